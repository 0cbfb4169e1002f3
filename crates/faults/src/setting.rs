//! What a scenario starts from: how much of what, how long, and over which kind of Redis.

use std::time::Duration;

use forebay_testkit::redis::{RedisBuilder, RedisServer};

use crate::load::Plan;
use crate::origin::Manner;

/// How long each part of a scenario takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) before: Duration,
    pub(crate) during: Duration,
    pub(crate) after: Duration,
    pub(crate) length: Length,
}

/// Which of the two lengths the suite has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// For figures.
    Full,
    /// For every change.
    Short,
}

impl Pace {
    /// A full run: half of `seconds` is the fault's.
    pub(crate) fn full(seconds: u64) -> Self {
        let part = |share: f64| Duration::from_secs(seconds).mul_f64(share);
        Self { before: part(0.2), during: part(0.5), after: part(0.3), length: Length::Full }
    }

    /// A short run. What comes after is longer than the lease, or nothing stale could be seen.
    pub(crate) fn short() -> Self {
        let [before, during, after] = [500, 3500, 3000].map(Duration::from_millis);
        Self { before, during, after, length: Length::Short }
    }

    /// One number for a full run, another for a short one.
    pub(crate) fn choose<T>(self, full: T, short: T) -> T {
        if self.length == Length::Full { full } else { short }
    }
}

/// What a scenario starts from.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) instances: usize,
    /// How long L1 is served while Redis cannot be reached. None where nobody is cut off: then any answer beyond the lease is
    /// one too many.
    pub(crate) grace: Duration,
    pub(crate) redis: RedisBuilder,
    pub(crate) topology: Topology,
    pub(crate) manner: Manner,
    pub(crate) plan: Plan,
    /// More settings of `forebay serve`.
    pub(crate) more: Vec<&'static str>,
    /// The secret that the instance of this number is given.
    pub(crate) secret: fn(usize) -> Option<&'static str>,
    /// Whether the origin goes wrong on purpose, so that what it fails is no failure of the cache.
    pub(crate) faulty_origin: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            instances: 3,
            grace: Duration::ZERO,
            redis: RedisServer::builder(),
            topology: Topology::One,
            manner: Manner::default(),
            plan: Plan::default(),
            more: Vec::new(),
            secret: |_| None,
            faulty_origin: false,
        }
    }
}

/// What the instances share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topology {
    /// A Redis, with a fault proxy in front of it for each instance.
    One,
    /// Whichever of two Redis the sentinels name as the master. Nobody uses the stage's own Redis then.
    Sentinels,
    /// Three masters with as many replicas each. Nobody uses the stage's own Redis then.
    Cluster { replicas: usize },
}
