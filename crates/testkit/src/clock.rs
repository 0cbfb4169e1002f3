//! Clocks that tests move.
//!
//! ```
//! use std::time::Duration;
//!
//! use forebay_core::time::Clock;
//! use forebay_testkit::clock::ManualClock;
//!
//! let manual = ManualClock::default();
//! let clock = Clock::new(manual.clone());
//! let before = clock.now();
//! manual.advance(Duration::from_secs(5));
//! assert_eq!(clock.now().since(before), Duration::from_secs(5));
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use forebay_core::time::{Moment, TimeSource};
use tokio::time::Instant;

/// A clock that follows tokio's: `tokio::time::pause` and `advance` move it, and so does the runtime when it has nothing
/// else to do.
///
/// The wall clock begins at a fixed date when the clock is made. Instances that share L2 must share one clock.
#[derive(Clone, Debug)]
pub struct TokioClock {
    start: Instant,
}

impl TokioClock {
    /// A clock that begins now.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl TimeSource for TokioClock {
    fn now(&self) -> Moment {
        START.after(self.start.elapsed())
    }

    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + WALL + self.start.elapsed()
    }
}

/// A clock that stands still until it is moved. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Hands>);

#[derive(Debug)]
struct Hands {
    /// Nanoseconds since the clock's start.
    now: AtomicU64,
    /// Nanoseconds since 1970.
    wall: AtomicU64,
}

impl ManualClock {
    /// Moves both hands on.
    pub fn advance(&self, by: Duration) {
        self.0.now.fetch_add(nanos(by), SeqCst);
        self.0.wall.fetch_add(nanos(by), SeqCst);
    }

    /// Sets the wall clock alone, as an administrator or NTP does: it may go back.
    ///
    /// # Panics
    /// When `to` is before 1970.
    pub fn set_wall(&self, to: SystemTime) {
        let since_1970 = to.duration_since(UNIX_EPOCH).expect("a wall clock after 1970");
        self.0.wall.store(nanos(since_1970), SeqCst);
    }
}

impl Default for ManualClock {
    /// A clock at the fixed date at which all clocks of tests begin.
    fn default() -> Self {
        Self(Arc::new(Hands { now: START.as_nanos().into(), wall: nanos(WALL).into() }))
    }
}

impl TimeSource for ManualClock {
    fn now(&self) -> Moment {
        Moment::from_nanos(self.0.now.load(SeqCst))
    }

    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.0.wall.load(SeqCst))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Not zero, so that there is a time before the test.
const START: Moment = Moment::from_nanos(1_000_000_000_000);
/// 21 November 2025, 08:00 UTC.
const WALL: Duration = Duration::from_secs(1_763_712_000);

#[cfg(test)]
mod tests {
    use forebay_core::time::Clock;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn paused_time_drives_both_hands_of_the_tokio_clock() {
        let clock = Clock::new(TokioClock::new());
        let (now, wall) = (clock.now(), clock.wall());
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(clock.now().since(now), Duration::from_secs(90));
        assert_eq!(clock.wall().duration_since(wall).unwrap(), Duration::from_secs(90));
    }

    #[test]
    fn the_wall_clock_can_step_back_alone() {
        let clock = ManualClock::default();
        let (now, wall) = (clock.now(), clock.wall());
        clock.set_wall(wall - Duration::from_secs(5));
        assert_eq!((clock.now(), clock.wall()), (now, wall - Duration::from_secs(5)));
    }
}
