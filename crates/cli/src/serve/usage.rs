//! What a connection is used for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use http::Version;
use tokio::time::{Instant, sleep_until};

/// The requests of one connection.
#[derive(Debug)]
pub(super) struct Usage {
    start: Instant,
    under_way: AtomicUsize,
    begun: AtomicU64,
    /// When the last answer ended, in milliseconds after `start`.
    ended: AtomicU64,
    multiplexed: AtomicBool,
}

impl Usage {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            under_way: AtomicUsize::new(0),
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            multiplexed: AtomicBool::new(false),
        }
    }

    /// Notes that a request has arrived. It is under way until what this returns is dropped.
    pub(super) fn begin(self: &Arc<Self>, version: Version) -> Busy {
        if version == Version::HTTP_2 {
            self.multiplexed.store(true, Ordering::Relaxed);
        }
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::AcqRel);
        Busy(Arc::clone(self))
    }

    /// The number of the request whose head is waited for; `None` while one is under way, and where frames that belong to no
    /// request may come at any time.
    pub(super) fn awaited(&self) -> Option<u64> {
        let waits = self.under_way.load(Ordering::Acquire) == 0 && !self.multiplexed.load(Ordering::Relaxed);
        waits.then(|| self.begun.load(Ordering::Relaxed))
    }

    /// Resolves once there has been no request for this long.
    pub(super) async fn idle(&self, longest: Duration) {
        let mut end = self.start + longest;
        loop {
            sleep_until(end).await;
            end = match self.under_way.load(Ordering::Acquire) {
                0 => self.start + Duration::from_millis(self.ended.load(Ordering::Relaxed)) + longest,
                _ => Instant::now() + longest,
            };
            if end <= Instant::now() {
                return;
            }
        }
    }
}

/// A request under way. Dropped when its answer has been sent or given up.
#[derive(Debug)]
pub(super) struct Busy(Arc<Usage>);

impl Drop for Busy {
    fn drop(&mut self) {
        let elapsed = u64::try_from(self.0.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.ended.store(elapsed, Ordering::Relaxed);
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}
