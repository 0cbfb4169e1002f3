//! What the cache reports: events, and the metrics made from them.
//!
//! Everything worth knowing is one [`Event`]; a [`Recorder`] turns it into a counter of the `metrics` facade and, where an
//! operator should see it, into a `tracing` event. Metrics carry only bounded labels: a namespace, a route
//! template, a tier, a reason; never a key, a URL or a tag.
//!
//! | metric | kind | labels |
//! |---|---|---|
//! | `cache_hits_total` | counter | `namespace`, `route`, `tier` (`l1`, `l2`, `flight`, `lease`), `sync` (`synced`, `unsynced`) |
//! | `cache_misses_total` | counter | `namespace`, `route`, `reason` |
//! | `cache_errors_total` | counter | `namespace`, `op`, `kind` |
//! | `cache_stores_total` | counter | `namespace`, `result` |
//! | `cache_refreshes_total` | counter | `namespace`, `result` (`origin`, `elsewhere`, `failed`, `unstorable`, `timeout`, `abandoned`) |
//! | `cache_fill_leases_total` | counter | `namespace`, `result` (`claimed`, `taken-over`, `elsewhere`, `waived`, `timeout`, `unavailable`) |
//! | `cache_freshened_total` | counter | `namespace` |
//! | `cache_fallbacks_total` | counter | `namespace` |
//! | `cache_invalidations_total` | counter | `namespace`, `result` |
//! | `cache_evictions_total` | counter | `namespace` |
//! | `cache_limits_total` | counter | `namespace`, `limit` (`flights`, `followers`, `routes`, `collected`): a table was full |
//! | `cache_breaker_open` | gauge | `namespace` |
//! | `cache_strangers` | gauge | `namespace`: other configurations in it that this one does not go together with |
//! | `cache_entries`, `cache_bytes` | gauge | `namespace` |
//! | `cache_operation_latency_seconds` | histogram | `namespace`, `op` |
//!
//! Handles are resolved once, at the first event of their kind: install the recorder before the first request.
//!
//! ```
//! use forebay_core::event::{Event, Names, Op, Recorder};
//!
//! let recorder = Recorder::new(Names::new("cache", "shop"));
//! recorder.observe(&Event::Evicted);
//! ```

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Label};

use crate::l2::{Admission, Census, L2Error, Refusal};

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tier {
    /// This process.
    L1,
    /// The shared tier.
    L2,
    /// Another request of this process that was under way (a collapsed request).
    Flight,
    /// Another instance's fetch that was under way, by way of the shared tier (a collapsed request).
    Lease,
}

impl Tier {
    /// The tier as a word for metrics and Cache-Status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::L1 => "l1",
            Self::L2 => "l2",
            Self::Flight => "flight",
            Self::Lease => "lease",
        }
    }
}

/// An operation on L2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Op {
    /// Reading a frame.
    Lookup,
    /// Writing a frame.
    Store,
    /// Invalidating.
    Invalidate,
    /// Keeping in sync.
    Sync,
    /// Asking about what is held in memory.
    Attest,
    /// Claiming, renewing and ending fill leases.
    Lease,
}

impl Op {
    const ALL: [Self; 6] =
        [Self::Lookup, Self::Store, Self::Invalidate, Self::Sync, Self::Attest, Self::Lease];

    /// The operation as a word for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lookup => "lookup",
            Self::Store => "store",
            Self::Invalidate => "invalidate",
            Self::Sync => "sync",
            Self::Attest => "attest",
            Self::Lease => "lease",
        }
    }
}

/// How the background fetch of an entry that was being served has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refresh {
    /// The origin gave something to store.
    Origin,
    /// Another instance had been faster.
    Elsewhere,
    /// The origin failed.
    Failed,
    /// What the origin gave is not to be stored.
    Unstorable,
    /// The origin took too long.
    TimedOut,
    /// It was cancelled, or the origin panicked.
    Abandoned,
}

impl Refresh {
    /// The outcome as a word for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::Elsewhere => "elsewhere",
            Self::Failed => "failed",
            Self::Unstorable => "unstorable",
            Self::TimedOut => "timeout",
            Self::Abandoned => "abandoned",
        }
    }
}

/// How it went when an instance claimed a key's fill lease, to be the one of all that asks the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Turn {
    /// It got the lease at once, and asks.
    Claimed,
    /// It got the lease after another had held it and brought nothing, and asks.
    TakenOver,
    /// Another instance has brought what was wanted. It does not ask.
    Elsewhere,
    /// Another instance has found out that there is nothing to wait for. It asks.
    Waived,
    /// It has waited for as long as it may, and asks.
    TimedOut,
    /// L2 does not say, and it asks.
    Unavailable,
}

impl Turn {
    /// The outcome as a word for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::TakenOver => "taken-over",
            Self::Elsewhere => "elsewhere",
            Self::Waived => "waived",
            Self::TimedOut => "timeout",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Something that happened inside the cache, beside the answer to a request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// An L2 operation failed. The request that needed it goes on without.
    Failed(Op, L2Error),
    /// An L2 operation took this long.
    Took(Op, Duration),
    /// A frame from L2 could not be read: a miss.
    Corrupt(&'static str),
    /// A frame from L2 is from another life of the log: left behind by a flush, or put back after one. A miss.
    Replayed,
    /// The bus brought something that is no message, or that nobody with the secret has sent.
    Malformed,
    /// L2 took a frame.
    Stored,
    /// L2 refused a frame.
    Refused(Refusal),
    /// A complete response was not stored in L1 or L2.
    NotStored(&'static str),
    /// A refresh has ended.
    Refreshed(Refresh),
    /// A fill lease was claimed, and this came of it.
    Turn(Turn),
    /// An entry was made from one that the origin has confirmed.
    Freshened,
    /// A request was answered with an entry that is stale, since the origin failed.
    Fallback,
    /// An invalidation was confirmed by L2, or there is no L2.
    Invalidated,
    /// An invalidation waits for L2.
    Unconfirmed,
    /// A table was full, and what was to go into it went without: its name.
    Full(&'static str),
    /// L1 dropped an entry for space.
    Evicted,
    /// L2 failed often enough to be kept off the request path.
    BreakerOpened,
    /// L2 answered a probe and is used again.
    BreakerClosed,
    /// Other configurations than before are in the namespace, or what this instance may do there has changed.
    Census(Arc<Census>),
    /// What L1 holds, now.
    Holds {
        /// Entries.
        entries: u64,
        /// The sum of their weights, in bytes.
        bytes: u64,
    },
}

/// The prefix of all metric names and the namespace label.
#[derive(Clone, Debug)]
pub struct Names {
    prefix: Arc<str>,
    namespace: Arc<str>,
}

impl Names {
    /// Names with a prefix, `cache` unless the user chose another, and a namespace.
    #[must_use]
    pub fn new(prefix: &str, namespace: &str) -> Self {
        Self { prefix: prefix.into(), namespace: namespace.into() }
    }

    fn name(&self, what: &str) -> String {
        format!("{}_{what}", self.prefix)
    }

    fn labels<const N: usize>(&self, more: [(&'static str, String); N]) -> Vec<Label> {
        let namespace = Label::new("namespace", self.namespace.to_string());
        std::iter::once(namespace)
            .chain(more.into_iter().map(|(key, value)| Label::new(key, value)))
            .collect()
    }

    fn counter<const N: usize>(&self, what: &str, labels: [(&'static str, String); N]) -> Counter {
        metrics::counter!(self.name(what), self.labels(labels))
    }

    fn gauge(&self, what: &str) -> Gauge {
        metrics::gauge!(self.name(what), self.labels([]))
    }

    fn histogram(&self, what: &str, op: Op) -> Histogram {
        metrics::histogram!(self.name(what), self.labels([("op", op.as_str().into())]))
    }
}

/// Turns events into metrics and log lines.
pub struct Recorder {
    names: Names,
    latency: OnceLock<[Histogram; Op::ALL.len()]>,
    stores: Counters,
    refreshes: Counters,
    turns: Counters,
    freshened: OnceLock<Counter>,
    fallbacks: OnceLock<Counter>,
    invalidations: Counters,
    evicted: OnceLock<Counter>,
    holds: OnceLock<[Gauge; 2]>,
}

impl Recorder {
    /// A recorder under these names.
    #[must_use]
    pub fn new(names: Names) -> Self {
        Self {
            names,
            latency: OnceLock::new(),
            stores: Counters::new(),
            refreshes: Counters::new(),
            turns: Counters::new(),
            freshened: OnceLock::new(),
            fallbacks: OnceLock::new(),
            invalidations: Counters::new(),
            evicted: OnceLock::new(),
            holds: OnceLock::new(),
        }
    }

    /// The names, for meters of a route.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Records an event. The frequent ones cost an atomic addition, the rare ones a look-up of their handle.
    pub fn observe(&self, event: &Event) {
        let n = &self.names;
        match event {
            Event::Failed(op, error) => {
                tracing::debug!(namespace = %n.namespace, op = op.as_str(), %error, "L2 operation failed");
                n.counter("errors_total", [("op", op.as_str().into()), ("kind", error.as_str().into())])
                    .increment(1);
            }
            Event::Took(op, took) => {
                let all = self
                    .latency
                    .get_or_init(|| Op::ALL.map(|op| n.histogram("operation_latency_seconds", op)));
                all[*op as usize].record(took.as_secs_f64());
            }
            Event::Corrupt(why) => {
                tracing::warn!(namespace = %n.namespace, why, "unreadable frame in L2, treated as a miss");
                n.counter("errors_total", [("op", "decode".into()), ("kind", (*why).into())]).increment(1);
            }
            Event::Malformed => {
                n.counter("errors_total", [("op", "bus".into()), ("kind", "malformed".into())]).increment(1);
            }
            Event::Replayed => {
                n.counter("errors_total", [("op", "decode".into()), ("kind", "incarnation".into())])
                    .increment(1);
            }
            Event::Stored => self.stored("stored"),
            Event::Refused(refusal) => self.stored(refusal.as_str()),
            Event::NotStored(why) => self.stored(why),
            Event::Refreshed(refresh) => self.refreshed(*refresh),
            Event::Turn(turn) => self.turn(*turn),
            Event::Freshened => {
                self.freshened.get_or_init(|| n.counter("freshened_total", [])).increment(1);
            }
            Event::Fallback => {
                self.fallbacks.get_or_init(|| n.counter("fallbacks_total", [])).increment(1);
            }
            Event::Invalidated => self.invalidated("confirmed"),
            Event::Unconfirmed => self.invalidated("unconfirmed"),
            Event::Full(limit) => n.counter("limits_total", [("limit", (*limit).into())]).increment(1),
            Event::Evicted => self.evicted.get_or_init(|| n.counter("evictions_total", [])).increment(1),
            Event::BreakerOpened => {
                tracing::warn!(namespace = %n.namespace, "L2 keeps failing: requests go on without it until it answers a probe");
                n.gauge("breaker_open").set(1.0);
            }
            Event::BreakerClosed => {
                tracing::info!(namespace = %n.namespace, "L2 answers again");
                n.gauge("breaker_open").set(0.0);
            }
            Event::Census(census) => self.census(census),
            Event::Holds { entries, bytes } => {
                let gauges = self.holds.get_or_init(|| [n.gauge("entries"), n.gauge("bytes")]);
                gauges[0].set(*entries as f64);
                gauges[1].set(*bytes as f64);
            }
        }
    }
}

impl Recorder {
    fn census(&self, census: &Census) {
        self.names.gauge("strangers").set(census.strangers.len() as f64);
        let (namespace, own) = (&self.names.namespace, &census.own);
        let strangers = census.strangers.join(", ");
        match census.admission {
            Admission::Refused => tracing::error!(
                %namespace, own, strangers,
                "L2 is off: instances with another configuration were in this namespace first. Nothing is shared with them, \
                 invalidations go neither way, and nothing is served from L1; give all instances the same secret, version and shards, or this one a namespace of its own"
            ),
            Admission::Admitted if !strangers.is_empty() => tracing::error!(
                %namespace, own, strangers,
                "instances with another configuration want to use this namespace and are refused: their L2 is off, and \
                 invalidations go neither way"
            ),
            Admission::Admitted => {
                tracing::info!(%namespace, own, "no other configuration is in this namespace")
            }
            Admission::Pending => {}
        }
    }

    fn stored(&self, result: &'static str) {
        self.stores.increment(result, || self.names.counter("stores_total", [("result", result.into())]));
    }

    fn refreshed(&self, refresh: Refresh) {
        let make = || self.names.counter("refreshes_total", [("result", refresh.as_str().into())]);
        self.refreshes.increment(refresh.as_str(), make);
    }

    fn turn(&self, turn: Turn) {
        let make = || self.names.counter("fill_leases_total", [("result", turn.as_str().into())]);
        self.turns.increment(turn.as_str(), make);
    }

    fn invalidated(&self, result: &'static str) {
        let make = || self.names.counter("invalidations_total", [("result", result.into())]);
        self.invalidations.increment(result, make);
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("names", &self.names).finish_non_exhaustive()
    }
}

/// The counters of one route.
pub struct Meters {
    names: Names,
    route: Box<str>,
    hits: [OnceLock<Counter>; 5],
    misses: Counters,
}

impl Meters {
    /// Meters for a route template such as `/articles/{id}`.
    #[must_use]
    pub fn new(names: Names, route: &str) -> Self {
        Self { names, route: route.into(), hits: [const { OnceLock::new() }; 5], misses: Counters::new() }
    }

    /// Counts an answer from the cache. An atomic addition.
    #[inline]
    pub fn hit(&self, tier: Tier, synced: bool) {
        let slot = match tier {
            Tier::L1 => usize::from(!synced),
            Tier::L2 => 2,
            Tier::Flight => 3,
            Tier::Lease => 4,
        };
        self.hits[slot].get_or_init(|| self.hit_counter(tier, synced)).increment(1);
    }

    /// Counts an answer from the origin. An atomic addition and a few comparisons.
    pub fn miss(&self, reason: &'static str) {
        let labels = || [("route", self.route.to_string()), ("reason", reason.into())];
        self.misses.increment(reason, || self.names.counter("misses_total", labels()));
    }

    #[cold]
    fn hit_counter(&self, tier: Tier, synced: bool) -> Counter {
        let sync = if synced { "synced" } else { "unsynced" };
        let labels =
            [("route", self.route.to_string()), ("tier", tier.as_str().into()), ("sync", sync.into())];
        self.names.counter("hits_total", labels)
    }
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meters").field("route", &self.route).finish_non_exhaustive()
    }
}

/// The counters of one metric, told apart by a reason: one for each that has occurred, in the order of their first
/// occurrence.
struct Counters([OnceLock<(&'static str, Counter)>; MAX_REASONS]);

impl Counters {
    const fn new() -> Self {
        Self([const { OnceLock::new() }; MAX_REASONS])
    }

    fn increment(&self, reason: &'static str, make: impl Fn() -> Counter) {
        for slot in &self.0 {
            let (known, counter) = slot.get_or_init(|| (reason, make()));
            if *known == reason {
                return counter.increment(1);
            }
        }
    }
}

/// More than there are reasons.
const MAX_REASONS: usize = 48;
