//! The one place where time and randomness come from.
//!
//! A request reads the [`Clock`] once and passes [`Moment`] down; nothing else in the workspace may ask the
//! system for the time. Tests put a [`TimeSource`] of their own in.
//!
//! ```
//! use forebay_core::time::Clock;
//! use std::time::Duration;
//!
//! let clock = Clock::system();
//! let start = clock.now();
//! assert!(clock.now().since(start) < Duration::from_secs(60));
//! ```

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// A point on a clock that never goes back and, on Linux, goes on while the machine is suspended.
///
/// Leases are measured on it, so a suspended process must not believe that no time has passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The end of time: a deadline that never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// The moment `nanos` nanoseconds after the clock's start.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's start.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to here; zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This moment moved on by `by`; saturates at [`Moment::NEVER`].
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(nanos(by)))
    }

    /// This moment moved back by `by`; saturates at the clock's start.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(by)))
    }
}

fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

/// Where a [`Clock`] reads the time: implemented by tests that move time by hand.
pub trait TimeSource: Send + Sync + 'static {
    /// The monotonic time.
    fn now(&self) -> Moment;
    /// The wall-clock time, used only for HTTP dates and for the age of entries that come from L2.
    fn wall(&self) -> SystemTime;
}

/// A handle to a time source; cheap to clone.
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<dyn TimeSource>>);

impl Clock {
    /// The system's clock: `CLOCK_BOOTTIME` on Linux, the monotonic clock elsewhere.
    #[must_use]
    pub const fn system() -> Self {
        Self(None)
    }

    /// A clock that reads `source`.
    #[must_use]
    pub fn new(source: impl TimeSource) -> Self {
        Self(Some(Arc::new(source)))
    }

    /// Reads the monotonic time. No allocation, no system call on Linux (vDSO).
    #[must_use]
    pub fn now(&self) -> Moment {
        match &self.0 {
            None => system_now().after(HEAD_START),
            Some(source) => source.now(),
        }
    }

    /// Reads the wall clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that may read the system's clock")]
    pub fn wall(&self) -> SystemTime {
        match &self.0 {
            None => SystemTime::now(),
            Some(source) => source.wall(),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Clock(manual)" } else { "Clock(system)" })
    }
}

/// What the system's clock has counted before the machine was up. What is older than the machine, an entry that another
/// instance has made or a response that came with an Age, was born before that and is not to look younger than it is.
const HEAD_START: Duration = Duration::from_nanos(1 << 61);

#[cfg(unix)]
fn system_now() -> Moment {
    #[cfg(target_os = "linux")]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
    let t = rustix::time::clock_gettime(CLOCK);
    Moment((t.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(t.tv_nsec as u64))
}

#[cfg(not(unix))]
#[expect(clippy::disallowed_methods, reason = "the one place that may read the system's clock")]
fn system_now() -> Moment {
    use std::sync::LazyLock;
    use std::time::Instant;
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    Moment(nanos(START.elapsed()))
}

/// A source of chance, for spreading in time what would otherwise happen at once. Clones draw from the same source.
///
/// Not for secrets: whoever sees some draws can tell the others.
///
/// ```
/// use forebay_core::time::Random;
///
/// let (chance, again) = (Random::seeded(7), Random::seeded(7));
/// let draws: Vec<f64> = (0..100).map(|_| chance.unit()).collect();
/// assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
/// assert!((0..100).all(|n| again.unit() == draws[n]));
/// ```
#[derive(Clone)]
pub struct Random(Arc<AtomicU64>);

impl Random {
    /// A source that nobody can foretell.
    #[must_use]
    pub fn system() -> Self {
        Self::seeded(RandomState::new().hash_one(0x5eed_u64))
    }

    /// A source whose draws follow from the seed alone.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seed)))
    }

    /// A number from zero on and below one, each as likely as the others. One atomic addition.
    #[must_use]
    pub fn unit(&self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number from zero on, the likelier the smaller: exponentially distributed, one on average, 36.7 at most.
    #[must_use]
    pub fn exponential(&self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): a counter whose bits are mixed, so that draws need no lock.
    fn bits(&self) -> u64 {
        let mut bits = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

/// The golden ratio of 64 bits.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Sixteen unpredictable bytes, seeded by the operating system.
///
/// `RandomState` draws its keys from the system's random source; hashing a counter under two of them is enough
/// for names that must not collide (incarnations, instances) and spares a dependency.
#[must_use]
pub fn random_id() -> [u8; 16] {
    let (a, b) = (RandomState::new(), RandomState::new());
    let mut id = [0; 16];
    id[..8].copy_from_slice(&a.hash_one(0x5eed_u64).to_le_bytes());
    id[8..].copy_from_slice(&b.hash_one(0xf00d_u64).to_le_bytes());
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_saturate_at_both_ends() {
        assert_eq!(Moment::NEVER.after(Duration::from_secs(1)), Moment::NEVER);
        assert_eq!(Moment::default().before(Duration::from_secs(1)), Moment::default());
        assert_eq!(Moment(5).since(Moment(9)), Duration::ZERO);
    }

    #[test]
    fn the_system_s_clock_reaches_back_beyond_the_start_of_the_machine() {
        let (now, longest) = (Clock::system().now(), Duration::from_secs(1 << 31));
        assert_eq!(now.since(now.before(longest)), longest);
    }

    #[test]
    fn draws_have_the_average_that_they_say() {
        let chance = Random::seeded(1);
        let average = |draw: &dyn Fn() -> f64| (0..10_000).map(|_| draw()).sum::<f64>() / 10_000.0;
        assert!((average(&|| chance.unit()) - 0.5).abs() < 0.02);
        assert!((average(&|| chance.exponential()) - 1.0).abs() < 0.05);
    }

    #[test]
    fn ids_differ() {
        assert_ne!(random_id(), random_id());
    }
}
