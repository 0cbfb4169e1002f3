//! What is noted of a load: each read with where its answer came from, and each write with what it was promised.

use std::io;
use std::time::Duration;

use forebay_core::time::{Clock, Moment};
use forebay_testkit::history::{HistoryChecker, Read, Tier};
use forebay_testkit::http::{Answer, Client};

use crate::origin;

/// A read, and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) key: usize,
    pub(crate) instance: usize,
    /// Of the instance's processes the one that was asked.
    pub(crate) process: usize,
    /// When it was sent.
    pub(crate) start: Moment,
    /// From when it was due to its answer: what had to wait for another one counts the wait.
    pub(crate) took: Duration,
    pub(crate) got: Result<(From, u64), Failed>,
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// L1, in sync.
    L1,
    /// L1, while Redis cannot be reached.
    Unsynced,
    /// Redis.
    L2,
    /// Another request's fetch.
    Flight,
    /// The origin.
    Origin,
}

impl From {
    /// What is not said to come from a cache comes from the origin.
    fn read(cache_status: &str) -> Self {
        let words = [
            ("detail=unsynced", Self::Unsynced),
            ("detail=l2", Self::L2),
            ("collapsed", Self::Flight),
            ("hit", Self::L1),
        ];
        words
            .into_iter()
            .find_map(|(word, from)| cache_status.contains(word).then_some(from))
            .unwrap_or(Self::Origin)
    }

    fn tier(self) -> Tier {
        match self {
            Self::L1 | Self::Flight => Tier::L1,
            Self::Unsynced => Tier::Unsynced,
            Self::L2 => Tier::L2,
            Self::Origin => Tier::Origin,
        }
    }
}

/// Why a read failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Failed {
    /// There was no whole answer: the connection failed.
    Broken,
    /// There was none in time.
    Hung,
    /// The answer was an error.
    Status(u16),
    /// The answer's bytes were not those of any version.
    Bytes,
}

impl Sample {
    /// For the judge, unless it failed.
    pub(crate) fn to_read(&self) -> Option<Read> {
        let (from, version) = self.got.ok()?;
        let (key, instance, start) = (origin::path(self.key), self.process, self.start);
        Some(Read { key, version, instance, tier: from.tier(), start })
    }
}

/// What was collected.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub(crate) samples: Vec<Sample>,
    pub(crate) history: HistoryChecker,
    pub(crate) confirmed: u64,
    pub(crate) unconfirmed: u64,
}

impl Collected {
    pub(crate) fn absorb(&mut self, part: Self) {
        self.samples.extend(part.samples);
        self.history.absorb(part.history);
        self.confirmed += part.confirmed;
        self.unconfirmed += part.unconfirmed;
    }
}

/// Reads a resource once.
pub(crate) async fn read(client: &mut Client, clock: &Clock, key: usize, instance: usize) -> Sample {
    let path = origin::path(key);
    let start = clock.now();
    let answer = client.get(&path).await;
    let took = clock.now().since(start);
    Sample { key, instance, process: instance, start, took, got: understand(&path, answer) }
}

fn understand(path: &str, answer: io::Result<Answer>) -> Result<(From, u64), Failed> {
    let answer = answer.map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut => Failed::Hung,
        _ => Failed::Broken,
    })?;
    if answer.status != 200 {
        return Err(Failed::Status(answer.status));
    }
    let version = origin::version_in(path, &answer.body).ok_or(Failed::Bytes)?;
    Ok((From::read(answer.field("cache-status")), version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_status_says_where_an_answer_came_from() {
        for (said, expected) in [
            ("forebay; hit; ttl=3; detail=l1", From::L1),
            ("forebay; hit; ttl=-3; detail=stale", From::L1),
            ("forebay; hit; ttl=3; detail=unsynced", From::Unsynced),
            ("forebay; hit; ttl=3; detail=l2", From::L2),
            ("forebay; fwd=uri-miss; collapsed; detail=flight", From::Flight),
            ("forebay; fwd=uri-miss; stored", From::Origin),
            ("plain; fwd=uri-miss", From::Origin),
        ] {
            assert_eq!(From::read(said), expected, "{said}");
        }
    }

    #[test]
    fn an_answer_that_is_not_whole_and_right_has_failed() {
        assert_eq!(understand("/k/1", Err(io::ErrorKind::TimedOut.into())).unwrap_err(), Failed::Hung);
        assert_eq!(understand("/k/1", Err(io::ErrorKind::UnexpectedEof.into())).unwrap_err(), Failed::Broken);
    }
}
