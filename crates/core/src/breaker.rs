//! The breaker: keeps an L2 that fails off the request path.
//!
//! After so many failures in a row it opens, and requests go on without L2 at once. No request is ever sent to find
//! out whether L2 is back: only [`Breaker::close`] closes it, called when a probe of the background task has
//! succeeded. The breaker keeps no time, so there is nothing to tune but the number.
//!
//! ```
//! use forebay_core::breaker::{Breaker, Permit, Transition};
//!
//! let breaker = Breaker::default();
//! assert_eq!(breaker.failed(), Transition::None);
//! assert_eq!(breaker.failed(), Transition::None);
//! assert_eq!(breaker.failed(), Transition::Opened);
//! assert_eq!(breaker.permits(), Permit::Open);
//!
//! // A request that began earlier succeeds late: that says nothing about now.
//! breaker.succeeded();
//! assert_eq!(breaker.permits(), Permit::Open);
//!
//! assert_eq!(breaker.close(), Transition::Closed);
//! assert_eq!(breaker.permits(), Permit::Yes);
//! ```

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Whether a request may ask L2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Permit {
    /// It may; it reports how it went.
    Yes,
    /// L2 counts as failed: go on without it.
    Open,
}

/// What a report changed. Exactly one of the callers that raced for a change is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Transition {
    /// Nothing.
    None,
    /// L2 is off the request path from now on.
    Opened,
    /// L2 is back on it.
    Closed,
}

/// See the [module](self).
///
/// All operations are a few relaxed atomic ones: the breaker orders nothing but itself.
#[derive(Debug)]
pub struct Breaker {
    /// Failures since the last success, or [`OPEN`].
    streak: AtomicU32,
    opened: AtomicU64,
    failures: NonZeroU32,
}

impl Breaker {
    /// A closed breaker that opens after `failures` in a row.
    #[must_use]
    pub const fn new(failures: NonZeroU32) -> Self {
        Self { streak: AtomicU32::new(0), opened: AtomicU64::new(0), failures }
    }

    /// Whether L2 may be asked. One relaxed load.
    #[inline]
    pub fn permits(&self) -> Permit {
        if self.streak.load(Relaxed) == OPEN { Permit::Open } else { Permit::Yes }
    }

    /// Notes that a request had an answer from L2. An open breaker stays open.
    #[inline]
    pub fn succeeded(&self) {
        let streak = self.streak.load(Relaxed);
        if streak != 0 && streak != OPEN {
            // Where another failure came in between, the streak goes on: it is the later news.
            let _ = self.streak.compare_exchange(streak, 0, Relaxed, Relaxed);
        }
    }

    /// Notes that a request had no answer from L2.
    pub fn failed(&self) -> Transition {
        let next = |streak: u32| match streak {
            OPEN => None,
            _ if streak + 1 >= self.failures.get() => Some(OPEN),
            _ => Some(streak + 1),
        };
        match self.streak.fetch_update(Relaxed, Relaxed, next) {
            Ok(streak) if next(streak) == Some(OPEN) => {
                self.opened.fetch_add(1, Relaxed);
                Transition::Opened
            }
            _ => Transition::None,
        }
    }

    /// Closes the breaker, after a probe has succeeded. A closed one keeps its streak: that a probe has an answer does
    /// not mean that requests have.
    pub fn close(&self) -> Transition {
        match self.streak.compare_exchange(OPEN, 0, Relaxed, Relaxed) {
            Ok(_) => Transition::Closed,
            Err(_) => Transition::None,
        }
    }

    /// How many times the breaker has opened.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.opened.load(Relaxed)
    }
}

impl Default for Breaker {
    /// A breaker that opens after three failures in a row.
    fn default() -> Self {
        Self::new(FAILURES)
    }
}

const FAILURES: NonZeroU32 = NonZeroU32::new(3).unwrap();
/// The streak of an open breaker; no count gets here, since counting stops one below the limit.
const OPEN: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    fn after(failures: u32) -> Breaker {
        Breaker::new(NonZeroU32::new(failures).unwrap())
    }

    #[test]
    fn only_failures_in_a_row_open_it() {
        let breaker = after(3);
        for _ in 0..10 {
            assert_eq!(breaker.failed(), Transition::None);
            assert_eq!(breaker.failed(), Transition::None);
            breaker.succeeded();
            assert_eq!(breaker.permits(), Permit::Yes);
        }
        let transitions: Vec<_> = (0..5).map(|_| breaker.failed()).collect();
        assert_eq!(transitions.iter().position(|t| *t == Transition::Opened), Some(2));
        assert_eq!((breaker.permits(), breaker.opened()), (Permit::Open, 1));
    }

    #[test]
    fn an_open_one_closes_by_a_probe_alone_and_then_counts_anew() {
        let breaker = after(2);
        let _ = breaker.failed();
        assert_eq!(breaker.failed(), Transition::Opened);
        breaker.succeeded();
        assert_eq!(breaker.failed(), Transition::None);
        assert_eq!(breaker.permits(), Permit::Open);
        assert_eq!(breaker.close(), Transition::Closed);
        assert_eq!(breaker.close(), Transition::None);
        assert_eq!(breaker.failed(), Transition::None, "the old failures are forgotten");
        assert_eq!(breaker.permits(), Permit::Yes);
    }

    #[test]
    fn a_probe_does_not_hide_that_requests_fail() {
        let breaker = after(2);
        let _ = breaker.failed();
        assert_eq!(breaker.close(), Transition::None);
        assert_eq!(breaker.failed(), Transition::Opened);
    }

    #[test]
    fn limits_at_both_ends_work() {
        assert_eq!(after(1).failed(), Transition::Opened);
        let patient = after(u32::MAX);
        patient.streak.store(u32::MAX - 1, Relaxed);
        assert_eq!(patient.failed(), Transition::Opened);
        assert_eq!(patient.failed(), Transition::None);
    }

    #[test]
    fn each_opening_is_told_to_exactly_one_of_many_threads() {
        let breaker = after(5);
        for round in 1..=200 {
            let told: usize = thread::scope(|scope| {
                let fail = || (0..20).filter(|_| breaker.failed() == Transition::Opened).count();
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(fail)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            assert_eq!((told, breaker.opened(), breaker.permits()), (1, round, Permit::Open));
            let closed: usize = thread::scope(|scope| {
                let close = || usize::from(breaker.close() == Transition::Closed);
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(close)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            assert_eq!((closed, breaker.permits()), (1, Permit::Yes));
        }
    }

    #[test]
    fn late_successes_of_other_threads_never_close_it() {
        let breaker = after(3);
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    breaker.succeeded();
                }
            });
            while breaker.permits() == Permit::Yes {
                let _ = breaker.failed();
            }
            let reopened = (0..10_000).filter(|_| breaker.permits() == Permit::Yes).count();
            done.store(true, Relaxed);
            assert_eq!(reopened, 0);
        });
    }
}
