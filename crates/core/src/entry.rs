//! Entries: a stored value with what decides whether it may still be served.
//!
//! An entry does not know whether it may be served; it carries what [`crate::coherence`] and the caller need to judge that:
//! its [`Stamp`], its idents, and its [`Span`] of time.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use crate::key::Key;
use crate::tag::Ident;
use crate::time::{Moment, Random};

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
    /// Whether it is worth trying to make the body smaller.
    pub density: Density,
}

/// Whether bytes can be expected to shrink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Density {
    /// They may.
    #[default]
    Loose,
    /// They are compressed already: an image, a body with a Content-Encoding.
    Dense,
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
    /// As sure as L2 can make it by one question, which is asked after the request has come; where it does not answer, the
    /// lease has to do.
    Sought,
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
    /// When it is fetched anew though it is fresh.
    pub early: Early,
}

/// When a value is fetched anew while it is still fresh, so that nobody has to wait for it. The default is never.
///
/// It is the request that comes at the right time which does it, beside its answer. A value that nobody asks for is left to
/// expire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Early {
    /// By whoever asks in the last stretch of its freshness, which is this long.
    pub ahead: Duration,
    /// By chance, the likelier the nearer the end: by a request that comes before the end by less than this times a draw from
    /// the exponential distribution (XFetch: Vattani, Chierichetti, Lowenstein 2015). In proportion to what fetching
    /// it costs.
    pub spread: Duration,
}

impl Early {
    /// Nobody who asks earlier than this before the end has to think of it.
    fn window(&self, lifetime: Duration) -> Duration {
        // What costs more to fetch than it lasts would be fetched without end.
        self.ahead.max(self.spread.saturating_mul(LONGEST_DRAW).min(lifetime / 2))
    }
}

/// A stored value and what it answers to.
pub struct Entry<V> {
    /// The stored value.
    pub value: V,
    /// Under which key it stands, and so in which shard.
    pub key: Key,
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
    /// When it is fetched anew though it is fresh.
    pub early: Early,
    /// When the origin was about to be asked, if that was for this very entry; else the clock's start.
    pub(crate) asked: Moment,
    /// In nanoseconds: what a hit compares. The end of freshness, less what `early` takes.
    quiet_until: AtomicU64,
    /// In nanoseconds. `born` and `lifetime` in one, until a soft invalidation ends it sooner.
    fresh_until: AtomicU64,
    kept_until: Moment,
    checked: AtomicU64,
}

impl<V> Entry<V> {
    /// An entry that no check has passed yet.
    pub fn new(value: V, key: Key, canonical: &[u8], idents: &[Ident], stamp: Stamp, span: Span) -> Self {
        let Span { born, lifetime, keep, early } = span;
        let fresh_until = born.after(lifetime);
        Self {
            value,
            key,
            canonical: canonical.into(),
            idents: idents.into(),
            stamp,
            born,
            lifetime,
            keep,
            early,
            asked: Moment::default(),
            quiet_until: AtomicU64::new(fresh_until.before(early.window(lifetime)).as_nanos()),
            fresh_until: AtomicU64::new(fresh_until.as_nanos()),
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
        self.quiet_until.fetch_min(since.as_nanos(), Ordering::Relaxed);
    }

    /// The entry's age.
    #[inline]
    #[must_use]
    pub fn age(&self, now: Moment) -> Duration {
        now.since(self.born)
    }

    /// Whether the entry answers whoever asks, without further ado: it is fresh, and it is not yet time to think of
    /// fetching it anew.
    #[inline]
    #[must_use]
    pub fn is_quiet(&self, now: Moment) -> bool {
        now.as_nanos() < self.quiet_until.load(Ordering::Relaxed)
    }

    /// Whether a request that asks now is the one to have it fetched anew, ahead of time. Draws anew for each.
    #[cold]
    #[must_use]
    pub fn is_due(&self, now: Moment, chance: &Random) -> bool {
        if self.is_quiet(now) {
            return false;
        }
        let left = Moment::from_nanos(self.fresh_until.load(Ordering::Relaxed)).since(now);
        let lead = self.early.spread.as_secs_f64() * chance.exponential();
        left <= self.early.ahead || left.as_secs_f64() < lead
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

/// A draw beyond this comes up once in nine million times: what it would decide is left to the next request.
const LONGEST_DRAW: u32 = 16;
/// No epoch: epochs count from zero and never get here.
const NEVER_CHECKED: u64 = u64::MAX;
/// What an entry costs beside what is counted: about 315 bytes in L1's table, queues and timer, 65 of reference counts, and 200
/// that the allocator adds to some twenty pieces. Measured over a full L1 with a heap profiler.
const SLOT: usize = 576;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn entry(early: Early) -> Entry<()> {
        let span = Span { born: Moment::default(), lifetime: 60 * SECOND, keep: Duration::ZERO, early };
        Entry::new((), Key::from_bytes([0; 16]), b"key", &[], Stamp::default(), span)
    }

    fn at(seconds: u32) -> Moment {
        Moment::default().after(SECOND * seconds)
    }

    #[test]
    fn what_says_nothing_of_it_is_quiet_for_as_long_as_it_is_fresh() {
        let (entry, chance) = (entry(Early::default()), Random::seeded(1));
        assert!(entry.is_quiet(at(59)) && !entry.is_quiet(at(60)));
        assert!((0..60).all(|second| !entry.is_due(at(second), &chance)));
    }

    #[test]
    fn the_last_stretch_is_everybody_s() {
        let entry = entry(Early { ahead: 12 * SECOND, spread: Duration::ZERO });
        for (second, due) in [(0, false), (47, false), (48, true), (59, true)] {
            assert_eq!(
                (entry.is_quiet(at(second)), entry.is_due(at(second), &Random::seeded(1))),
                (!due, due)
            );
        }
    }

    #[test]
    fn chance_favours_the_end_and_what_is_dear() {
        let often = |spread: u32, second: u32| {
            let (entry, chance) =
                (entry(Early { ahead: Duration::ZERO, spread: SECOND * spread }), Random::seeded(1));
            (0..10_000).filter(|_| entry.is_due(at(second), &chance)).count()
        };
        // exp(-left / spread) of them.
        for (spread, second, expected) in
            [(1, 59, 3679), (1, 58, 1353), (1, 55, 67), (2, 56, 1353), (4, 58, 6065)]
        {
            assert!(
                often(spread, second).abs_diff(expected) < 200,
                "{spread} {second}: {}",
                often(spread, second)
            );
        }
        assert_eq!(often(1, 43), 0, "nobody draws yet");
        assert_eq!(often(100, 29), 0, "what costs more than it lasts is left alone for half of its time");
    }

    #[test]
    fn no_number_of_another_instance_is_too_large() {
        for early in [Duration::MAX, SECOND].map(|spread| Early { ahead: Duration::MAX, spread }) {
            assert!(entry(early).is_due(at(1), &Random::seeded(1)));
        }
        let entry = entry(Early { ahead: Duration::ZERO, spread: Duration::MAX });
        assert!(entry.is_due(at(59), &Random::seeded(1)));
    }
}
