//! Which faults there are, how likely each is, and how many there have been.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How likely each fault is, as probabilities from 0 to 1. What is outside of that, or no number, counts as the nearest.
///
/// Of the three that end an operation at most one happens, in the order in which they stand here.
///
/// ```
/// use std::time::Duration;
///
/// use forebay::chaos::Faults;
///
/// let rough = Faults::none()
///     .fail(0.05)
///     .drop_requests(0.02)
///     .drop_replies(0.02)
///     .delay(0.2, Duration::from_millis(30))
///     .corrupt(0.01)
///     .lose_messages(0.1)
///     .repeat_messages(0.1)
///     .reorder_messages(0.1);
/// assert_ne!(rough, Faults::none());
/// assert_eq!(Faults::none().fail(-1.0), Faults::none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
pub struct Faults {
    pub(super) fail: f64,
    pub(super) drop_requests: f64,
    pub(super) drop_replies: f64,
    pub(super) timeout: Duration,
    pub(super) delay: f64,
    pub(super) longest: Duration,
    pub(super) corrupt: f64,
    pub(super) lose: f64,
    pub(super) repeat: f64,
    pub(super) reorder: f64,
}

impl Faults {
    /// No faults.
    pub const fn none() -> Self {
        Self {
            fail: 0.0,
            drop_requests: 0.0,
            drop_replies: 0.0,
            timeout: Duration::from_millis(100),
            delay: 0.0,
            longest: Duration::ZERO,
            corrupt: 0.0,
            lose: 0.0,
            repeat: 0.0,
            reorder: 0.0,
        }
    }

    /// An operation fails at once, as without a connection, and nothing happens.
    pub const fn fail(mut self, probability: f64) -> Self {
        self.fail = probable(probability);
        self
    }

    /// The request is lost on its way: nothing happens, and the cache learns it by waiting.
    pub const fn drop_requests(mut self, probability: f64) -> Self {
        self.drop_requests = probable(probability);
        self
    }

    /// The reply is lost on its way back: a write has happened, and the cache does not know.
    pub const fn drop_replies(mut self, probability: f64) -> Self {
        self.drop_replies = probable(probability);
        self
    }

    /// How long the cache waits for what was lost. Default 100 ms.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// An operation begins late: by anything from nothing to `longest`. That comes on top of the L2's own timeout.
    pub const fn delay(mut self, probability: f64, longest: Duration) -> Self {
        self.delay = probable(probability);
        self.longest = longest;
        self
    }

    /// A frame is damaged on its way from L2: a bit is flipped, the end is missing, or something follows it.
    pub const fn corrupt(mut self, probability: f64) -> Self {
        self.corrupt = probable(probability);
        self
    }

    /// A message of the bus does not arrive.
    pub const fn lose_messages(mut self, probability: f64) -> Self {
        self.lose = probable(probability);
        self
    }

    /// A message of the bus arrives twice.
    pub const fn repeat_messages(mut self, probability: f64) -> Self {
        self.repeat = probable(probability);
        self
    }

    /// A message of the bus arrives behind the next one; where none follows, a second late.
    pub const fn reorder_messages(mut self, probability: f64) -> Self {
        self.reorder = probable(probability);
        self
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::none()
    }
}

/// How many faults there have been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Operations that failed at once.
    pub failed: u64,
    /// Operations whose request was lost.
    pub requests_dropped: u64,
    /// Operations whose reply was lost.
    pub replies_dropped: u64,
    /// Operations that began late.
    pub delayed: u64,
    /// Frames that were damaged.
    pub corrupted: u64,
    /// Messages that did not arrive.
    pub messages_lost: u64,
    /// Messages that arrived twice.
    pub messages_repeated: u64,
    /// Messages that arrived late.
    pub messages_reordered: u64,
}

/// A fault that has happened.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Failed,
    RequestDropped,
    ReplyDropped,
    Delayed,
    Corrupted,
    MessageLost,
    MessageRepeated,
    MessageReordered,
}

#[derive(Debug, Default)]
pub(super) struct Counters([AtomicU64; Fault::MessageReordered as usize + 1]);

impl Counters {
    pub(super) fn count(&self, fault: Fault) {
        self.0[fault as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn counts(&self) -> Counts {
        let of = |fault: Fault| self.0[fault as usize].load(Relaxed);
        Counts {
            failed: of(Fault::Failed),
            requests_dropped: of(Fault::RequestDropped),
            replies_dropped: of(Fault::ReplyDropped),
            delayed: of(Fault::Delayed),
            corrupted: of(Fault::Corrupted),
            messages_lost: of(Fault::MessageLost),
            messages_repeated: of(Fault::MessageRepeated),
            messages_reordered: of(Fault::MessageReordered),
        }
    }
}

/// The nearest probability.
const fn probable(number: f64) -> f64 {
    if number > 1.0 {
        1.0
    } else if number > 0.0 {
        number
    } else {
        0.0
    }
}
