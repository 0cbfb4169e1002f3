//! Entries: a stored value with what decides whether it may still be served.
//!
//! An entry does not know whether it may be served; it carries what [`crate::coherence`] and the caller need to judge that:
//! its [`Stamp`], its idents, and its [`Span`] of time.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use crate::tag::Ident;
use crate::time::Moment;

/// A position in the invalidation log of a namespace: microseconds of Redis' clock, made strictly increasing.
pub type Seq = u64;

/// What L1 holds and L2 keeps in encoded form. Implemented by the HTTP layer and by tests.
pub trait Stored: Send + Sync + Sized + 'static {
    /// The bytes this value holds in memory, beside the entry around it.
    fn weight(&self) -> usize;

    /// The value in two parts: a small encoded one, and a body that is copied as it is.
    fn encode(&self) -> Result<Encoded, Undecodable>;

    /// The value back from its parts. The bytes come from L2 and may be anything.
    ///
    /// # Errors
    /// [`Undecodable`]; it becomes a counted miss.
    fn decode(encoded: Encoded) -> Result<Self, Undecodable>;
}

/// A value on its way to or from L2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The value's own description, in MessagePack.
    pub meta: Bytes,
    /// The body, raw.
    pub body: Bytes,
}

/// Bytes from L2 that are no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecodable(pub &'static str);

impl fmt::Display for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "undecodable value: {}", self.0)
    }
}

impl std::error::Error for Undecodable {}

/// What an entry reflects: every invalidation up to here, and nothing about later ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// The log's position, read before the origin was asked.
    pub seq: Seq,
    /// This instance's epoch at that time: it orders the fill against what the log does not know yet.
    pub epoch: u64,
}

/// How sure a request has to be that nothing it is answered with was invalidated before it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Assurance {
    /// As sure as the lease makes it: what others have invalidated is heard of soon.
    #[default]
    Bounded,
    /// Certain: L2 is asked after the request has come. Where it does not answer, the origin is asked.
    Strict,
}

/// When a value's age was zero, how long it is fresh from then on, and how long it is kept after that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// When the value's age was zero (RFC 9111 4.2.3), on this instance's clock.
    pub born: Moment,
    /// How long the value is fresh, counted from `born`. Zero for one that may only be used after validation.
    pub lifetime: Duration,
    /// How long beyond that it is kept.
    pub keep: Duration,
}

/// A stored value and what it answers to.
pub struct Entry<V> {
    /// The stored value.
    pub value: V,
    /// The canonical key: compared byte for byte on a hit, so that a hash collision is a miss.
    pub canonical: Box<[u8]>,
    /// What can invalidate this entry.
    pub idents: Box<[Ident]>,
    /// What this entry reflects.
    pub stamp: Stamp,
    /// When the value's age was zero (RFC 9111 4.2.3), on this instance's clock.
    pub born: Moment,
    /// How long the value is fresh, counted from `born`.
    pub lifetime: Duration,
    /// How long beyond that it is kept: to be served stale where that is allowed, or to be validated.
    pub keep: Duration,
    /// In nanoseconds: what a hit compares. `born` and `lifetime` in one, until a soft invalidation ends it sooner.
    fresh_until: AtomicU64,
    kept_until: Moment,
    checked: AtomicU64,
}

impl<V> Entry<V> {
    /// An entry that no check has passed yet.
    pub fn new(value: V, canonical: &[u8], idents: &[Ident], stamp: Stamp, span: Span) -> Self {
        let Span { born, lifetime, keep } = span;
        Self {
            value,
            canonical: canonical.into(),
            idents: idents.into(),
            stamp,
            born,
            lifetime,
            keep,
            fresh_until: AtomicU64::new(born.after(lifetime).as_nanos()),
            kept_until: born.after(lifetime.saturating_add(keep)),
            checked: AtomicU64::new(NEVER_CHECKED),
        }
    }

    /// The epoch at which the entry last passed the coherence check.
    #[inline]
    pub(crate) fn checked(&self) -> u64 {
        self.checked.load(Ordering::Acquire)
    }

    /// Notes that the entry passed the check at `epoch`. Whoever sees that sees what the check did to the entry.
    #[inline]
    pub(crate) fn set_checked(&self, epoch: u64) {
        self.checked.store(epoch, Ordering::Release);
    }

    /// Ends the entry's freshness at `since`, if it has not ended sooner.
    pub(crate) fn expire(&self, since: Moment) {
        self.fresh_until.fetch_min(since.as_nanos(), Ordering::Relaxed);
    }

    /// The entry's age.
    #[inline]
    #[must_use]
    pub fn age(&self, now: Moment) -> Duration {
        now.since(self.born)
    }

    /// Whether the entry is fresh.
    #[inline]
    #[must_use]
    pub fn is_fresh(&self, now: Moment) -> bool {
        now.as_nanos() < self.fresh_until.load(Ordering::Relaxed)
    }

    /// How long the entry is or was fresh, counted from `born`: its lifetime, unless a soft invalidation has ended it sooner.
    #[must_use]
    pub fn fresh_for(&self) -> Duration {
        let until = Moment::from_nanos(self.fresh_until.load(Ordering::Relaxed));
        until.since(self.born).min(self.lifetime)
    }

    /// Whether the entry is still of use to anyone, fresh or not.
    #[inline]
    #[must_use]
    pub fn is_kept(&self, now: Moment) -> bool {
        now < self.kept_until
    }
}

impl<V: Stored> Entry<V> {
    /// The entry's weight in L1: the value and everything around it.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.value.weight() + self.canonical.len() + size_of_val(&*self.idents) + size_of::<Self>() + SLOT
    }
}

impl<V> fmt::Debug for Entry<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("idents", &self.idents.len())
            .field("stamp", &self.stamp)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

/// No epoch: epochs count from zero and never get here.
const NEVER_CHECKED: u64 = u64::MAX;
/// What an entry costs beside what is counted: about 315 bytes in L1's table, queues and timer, 65 of reference counts, and 200
/// that the allocator adds to some twenty pieces. Measured over a full L1 with a heap profiler.
const SLOT: usize = 576;
