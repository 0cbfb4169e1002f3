//! Which configurations live in a namespace, and whether this one may.
//!
//! Instances with another secret, another number of shards, or of a version that stores otherwise, have keys of their own and
//! could not hear each other's invalidations. Were each to go on by itself, an invalidation that is confirmed would not hold on all
//! instances of the namespace. So a namespace has one configuration at a time: who comes second is refused, and is told so, unless
//! each names the other ([`Redis::compat_namespaces`](crate::Redis::compat_namespaces)). All of them note in Redis that they are
//! there; one whose note is too old has gone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use forebay_core::l2::{Admission, L2Error};
use fred::clients::Client;
use fred::types::Value;
use tokio::time::{Instant, sleep, timeout};

use crate::client::{failed, is_redirection};
use crate::connection::{Route, Slot};
use crate::digest::Digest;
use crate::gate::Gate;
use crate::schema::Registry;
use crate::scripts;

/// Notes that this instance is there, and finds out who else is.
pub(crate) struct Census {
    pub(crate) writes: Slot,
    pub(crate) route: Arc<Route>,
    pub(crate) registry: Registry,
    pub(crate) compat: Vec<Digest>,
    pub(crate) gate: Gate,
    /// How long an answer may take.
    pub(crate) patience: Duration,
}

impl Census {
    /// Does so again and again, for ever.
    pub(crate) async fn run(self) {
        let mut queue = Queue::default();
        loop {
            let client = self.writes.there().await;
            let pause = match self.count(&client, queue.approach(Instant::now())).await {
                Ok(found) => {
                    queue.note(&found, Instant::now());
                    self.gate.set(found.admission, found.strangers());
                    INTERVAL
                }
                Err(error) => {
                    if is_redirection(&error) {
                        self.route.doubt();
                    }
                    self.gate.trouble(error);
                    RETRY
                }
            };
            sleep(pause).await;
        }
    }

    async fn count(&self, client: &Client, approach: Approach) -> Result<Found, L2Error> {
        let Registry { key, own, kin } = &self.registry;
        let names: BTreeSet<String> = self.compat.iter().map(Digest::to_string).collect();
        let names: Vec<String> = names.into_iter().collect();
        let mut args = vec![
            Value::from(format!("{kin}:{own}:{}", names.join(","))),
            Value::from(kin.as_str()),
            Value::from(own.to_string()),
            Value::from(LIFE.as_micros().to_string()),
            Value::from(if approach == Approach::Enter { "enter" } else { "knock" }),
        ];
        args.extend(names.into_iter().map(Value::from));
        let counted = scripts::CENSUS.call::<Vec<String>>(client, vec![key.as_str().into()], args);
        let reply = timeout(self.patience, counted).await.map_err(|_| L2Error::Timeout)?.map_err(failed)?;
        Found::read(reply).ok_or_else(|| L2Error::Protocol("a census has a form that no script gives".into()))
    }
}

/// What a census has brought.
#[derive(Debug)]
struct Found {
    admission: Admission,
    /// Those that do not go together with this one and are in the namespace, and those that would like to be.
    inside: BTreeSet<String>,
    outside: BTreeSet<String>,
}

impl Found {
    fn read(reply: Vec<String>) -> Option<Self> {
        let mut reply = reply.into_iter();
        let admission = match reply.next()?.as_str() {
            "admitted" => Admission::Admitted,
            "refused" => Admission::Refused,
            _ => return None,
        };
        let (mut inside, mut outside) = (BTreeSet::new(), BTreeSet::new());
        for name in reply {
            match name.strip_prefix('?') {
                Some(name) => outside.insert(name.to_owned()),
                None => inside.insert(name),
            };
        }
        Some(Self { admission, inside, outside })
    }

    fn strangers(&self) -> Vec<String> {
        self.inside.union(&self.outside).cloned().collect()
    }
}

/// Whether an instance asks to be let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Approach {
    Enter,
    /// It only makes itself known.
    Knock,
}

/// What an instance that was refused waits for. After a flush those who were inside are not in the books either: they come first.
#[derive(Debug, Default)]
enum Queue {
    #[default]
    First,
    /// Nobody who stands against it has been seen inside since then.
    Refused(Option<Instant>),
}

impl Queue {
    fn approach(&self, now: Instant) -> Approach {
        match self {
            Self::First => Approach::Enter,
            Self::Refused(Some(since)) if now.duration_since(*since) >= COURTESY => Approach::Enter,
            Self::Refused(_) => Approach::Knock,
        }
    }

    fn note(&mut self, found: &Found, now: Instant) {
        let since = match self {
            Self::Refused(since) => *since,
            Self::First => None,
        };
        *self = match found.admission {
            Admission::Admitted => Self::First,
            _ if found.inside.is_empty() => Self::Refused(since.or(Some(now))),
            _ => Self::Refused(None),
        };
    }
}

const INTERVAL: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(1);
/// For how long after it was heard of last a configuration counts as there.
const LIFE: Duration = Duration::from_secs(30);
/// How long who was refused lets others go first: three times as long as those who are connected need.
const COURTESY: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    fn found(reply: &[&str]) -> Found {
        Found::read(reply.iter().map(ToString::to_string).collect()).unwrap()
    }

    #[test]
    fn who_was_refused_comes_in_when_nobody_has_been_against_it_for_a_while() {
        let (begin, second) = (Instant::now(), Duration::from_secs(1));
        let mut queue = Queue::default();
        assert_eq!(queue.approach(begin), Approach::Enter);
        queue.note(&found(&["refused", "deadbeef"]), begin);
        assert_eq!(queue.approach(begin + 100 * second), Approach::Knock, "they are there");
        queue.note(&found(&["refused", "?1a2b3c4d"]), begin + 100 * second);
        assert_eq!(queue.approach(begin + 114 * second), Approach::Knock, "perhaps they come back");
        queue.note(&found(&["refused", "deadbeef"]), begin + 114 * second);
        queue.note(&found(&["refused"]), begin + 120 * second);
        assert_eq!(queue.approach(begin + 134 * second), Approach::Knock);
        assert_eq!(queue.approach(begin + 135 * second), Approach::Enter);
        queue.note(&found(&["admitted", "?deadbeef"]), begin + 135 * second);
        assert_eq!(queue.approach(begin + 135 * second), Approach::Enter, "also after a flush, at once");
    }

    #[test]
    fn strangers_are_named_once_wherever_they_are() {
        let found = found(&["refused", "deadbeef", "?deadbeef", "?1a2b3c4d/16"]);
        assert_eq!(found.strangers(), ["1a2b3c4d/16", "deadbeef"]);
        assert!(Found::read(vec![]).is_none() && Found::read(vec!["perhaps".into()]).is_none());
    }
}
