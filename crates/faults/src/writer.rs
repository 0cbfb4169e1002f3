//! Writes: the origin is changed, and what was changed is invalidated.

use std::net::SocketAddr;
use std::time::Duration;

use forebay_core::time::{Clock, Moment};
use forebay_testkit::history::Write;
use forebay_testkit::http::Client;

use crate::admin;
use crate::origin::{self, KEYS, TAGS, Writable};
use crate::random::Random;
use crate::samples::Collected;

/// What a write changes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    /// One resource, invalidated by its path.
    Key(usize),
    /// All resources of a tag, invalidated by it.
    Tag(usize),
}

impl What {
    /// One in ten is a tag. Low keys are written often and high ones seldom, so that some entries live long enough to grow old.
    pub(crate) fn draw(random: &mut Random) -> Self {
        if random.one_in(10) {
            return Self::Tag(random.below(TAGS));
        }
        Self::Key(random.below(KEYS).min(random.below(KEYS)).min(random.below(KEYS)))
    }

    /// What the admin API is told, with more members in it.
    pub(crate) fn order(self, more: &str) -> String {
        match self {
            Self::Key(key) => format!("{{\"paths\":[\"{}\"]{more}}}", origin::path(key)),
            Self::Tag(tag) => format!("{{\"tags\":[\"{}\"]{more}}}", origin::tag(tag)),
        }
    }

    fn keys(self) -> Vec<usize> {
        match self {
            Self::Key(key) => vec![key],
            Self::Tag(tag) => origin::keys_of(tag).collect(),
        }
    }
}

/// A change of the origin: resources, and the versions that they have since.
#[derive(Clone, Debug)]
pub(crate) struct Change(Vec<(usize, u64)>);

impl Change {
    /// What binds whom if its invalidation was answered so just now.
    pub(crate) fn answered(&self, status: u16, issuer: usize) -> Collected {
        let (mut collected, now) = (Collected::default(), Clock::system().now());
        for write in self.writes(issuer, now) {
            match status {
                200 => collected.history.write(write),
                202 => collected.history.unconfirmed(write),
                _ => {}
            }
        }
        collected.confirmed = u64::from(status == 200);
        collected.unconfirmed = u64::from(status == 202);
        collected
    }

    /// Its writes, as confirmed at that moment.
    pub(crate) fn writes(&self, issuer: usize, confirmed: Moment) -> impl Iterator<Item = Write> {
        let write = move |&(key, version): &(usize, u64)| Write {
            key: origin::path(key),
            version,
            issuer,
            confirmed,
        };
        self.0.iter().map(write)
    }
}

/// What every writer needs.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    origin: Writable,
    admins: Vec<SocketAddr>,
}

impl Writer {
    /// The admin APIs are those of the instances, in their order.
    pub(crate) fn new(origin: Writable, admins: Vec<SocketAddr>) -> Self {
        Self { origin, admins }
    }

    /// How many instances there are.
    pub(crate) fn instances(&self) -> usize {
        self.admins.len()
    }

    /// Changes the origin, invalidates through an instance, and notes the writes once that instance has answered.
    pub(crate) async fn write(&self, client: &mut Client, what: What, issuer: usize) -> Collected {
        let change = self.change(what);
        let answer = admin::order(client, &what.order("")).await;
        // Without an answer nothing was promised.
        answer.map_or_else(|_| Collected::default(), |answer| change.answered(answer.status, issuer))
    }

    /// Changes the origin, and nothing else.
    pub(crate) fn change(&self, what: What) -> Change {
        Change(what.keys().into_iter().map(|key| (key, self.origin.write(key))).collect())
    }

    /// The version that a resource has now.
    pub(crate) fn version(&self, key: usize) -> u64 {
        self.origin.version(key)
    }

    /// A client for the admin API of an instance.
    pub(crate) fn client(&self, issuer: usize) -> Client {
        Client::with_patience(self.admins[issuer], PATIENCE)
    }
}

/// An instance that takes longer with an invalidation has not confirmed it.
const PATIENCE: Duration = Duration::from_secs(3);
