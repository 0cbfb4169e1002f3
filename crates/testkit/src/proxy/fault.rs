//! What can go wrong, and for whom.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::resp::Value;

/// The connections that a fault is for. It is asked anew for everything that passes, so a fault may stand before
/// the connection it will hit.
///
/// ```
/// use forebay_testkit::proxy::Connections;
///
/// let the_heartbeat = Connections::matching(|opening| opening.ends_with(b"$1\r\nv\r\n$1\r\ni\r\n"));
/// assert_eq!(format!("{the_heartbeat:?}"), "matching a predicate");
/// ```
#[derive(Clone)]
pub struct Connections(Which);

#[derive(Clone)]
enum Which {
    All,
    Nth(usize),
    Matching(Arc<Predicate>),
}

type Predicate = dyn Fn(&[u8]) -> bool + Send + Sync;

impl Connections {
    /// Every connection, present and future.
    #[must_use]
    pub fn all() -> Self {
        Self(Which::All)
    }

    /// The connection that was accepted as the `n`th, the first being 0.
    #[must_use]
    pub fn nth(n: usize) -> Self {
        Self(Which::Nth(n))
    }

    /// Those that have subscribed to a channel (SUBSCRIBE, PSUBSCRIBE or SSUBSCRIBE).
    #[must_use]
    pub fn subscribers() -> Self {
        Self::that_sent("SUBSCRIBE\r\n")
    }

    /// Those whose client has sent this text, in whatever case, within its first 16 KiB.
    #[must_use]
    pub fn that_sent(text: &str) -> Self {
        let text = text.to_owned();
        Self::matching(move |opening| {
            opening.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text.as_bytes()))
        })
    }

    /// Those for which `opening`, the first 16 KiB that the client has sent up to now, meets the predicate.
    #[must_use]
    pub fn matching(predicate: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Self {
        Self(Which::Matching(Arc::new(predicate)))
    }

    pub(super) fn include(&self, index: usize, opening: &[u8]) -> bool {
        match &self.0 {
            Which::All => true,
            Which::Nth(n) => *n == index,
            Which::Matching(predicate) => predicate(opening),
        }
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Which::All => f.write_str("all"),
            Which::Nth(n) => write!(f, "number {n}"),
            Which::Matching(_) => f.write_str("matching a predicate"),
        }
    }
}

/// Which of a connection's two streams a fault is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// What the client sends.
    ToServer,
    /// What the server answers and pushes.
    ToClient,
    /// Both streams.
    Both,
}

/// What happens to the bytes that pass. Offsets and counts start when the fault is injected and run over all
/// connections it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing passes; what is sent meanwhile arrives when the fault is healed. A partition as TCP sees it: this is
    /// how a write that timed out lands after all.
    Hold(Direction),
    /// What is sent is accepted and lost for good, whole RESP values at a time, so that the stream is still
    /// readable after the fault is healed.
    Blackhole(Direction),
    /// Each read that the proxy makes is handed on this much later.
    Delay(Direction, Duration),
    /// At most this many bytes pass in a second.
    Throttle(Direction, u64),
    /// This many bytes pass, in the middle of a value or not; the next one resets the connection.
    CutAfter(Direction, u64),
    /// All bits of the byte at this offset are inverted, once.
    Corrupt(Direction, u64),
    /// Pub/sub messages, as RESP3 pushes, are taken out of what the server sends; replies and confirmations pass.
    DropPushes(Pushes),
}

impl Fault {
    fn direction(self) -> Direction {
        match self {
            Self::Hold(direction)
            | Self::Blackhole(direction)
            | Self::Delay(direction, _)
            | Self::Throttle(direction, _)
            | Self::CutAfter(direction, _)
            | Self::Corrupt(direction, _) => direction,
            Self::DropPushes(_) => Direction::ToClient,
        }
    }
}

/// Which pub/sub messages are dropped, counted from the moment the fault is injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pushes {
    /// All of them.
    All,
    /// The `n`th, the `2n`th, and so on.
    Every(u64),
    /// Only the `k`th, the first being 1.
    Kth(u64),
    /// The next `n`.
    Next(u64),
}

impl Pushes {
    fn include(self, count: u64) -> bool {
        match self {
            Self::All => true,
            Self::Every(n) => n != 0 && count.is_multiple_of(n),
            Self::Kth(k) => count == k,
            Self::Next(n) => count <= n,
        }
    }
}

/// A fault in force, with what has passed under it: bytes, or messages for [`Fault::DropPushes`].
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) who: Connections,
    pub(super) fault: Fault,
    passed: AtomicU64,
}

impl Rule {
    pub(super) fn new(who: Connections, fault: Fault) -> Self {
        Self { who, fault, passed: AtomicU64::new(0) }
    }

    pub(super) fn covers(&self, stream: Direction) -> bool {
        let direction = self.fault.direction();
        direction == Direction::Both || direction == stream
    }

    /// Counts `bytes` as passed and returns where `offset`, which counts from the injection, lies among them.
    pub(super) fn locate(&self, offset: u64, bytes: usize) -> Option<usize> {
        let before = self.passed.fetch_add(bytes as u64, Ordering::Relaxed);
        let within = usize::try_from(offset.checked_sub(before)?).ok()?;
        (within < bytes).then_some(within)
    }

    /// Counts a message and says whether this fault drops it.
    pub(super) fn drops_this_message(&self) -> bool {
        let Fault::DropPushes(pushes) = self.fault else { return false };
        pushes.include(self.passed.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// Whether this is a pub/sub message as RESP3 sends it. The confirmations of SUBSCRIBE are pushes too, but clients
/// wait for those as for replies.
pub(super) fn is_message(value: &Value) -> bool {
    let Value::Push(items) = value else { return false };
    matches!(items.first().and_then(Value::as_bytes), Some(b"message" | b"pmessage" | b"smessage"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_are_counted_from_one() {
        let dropped = |pushes: Pushes| (1..=6).filter(|&count| pushes.include(count)).collect::<Vec<u64>>();
        assert_eq!(dropped(Pushes::All), [1, 2, 3, 4, 5, 6]);
        assert_eq!(dropped(Pushes::Every(3)), [3, 6]);
        assert_eq!(dropped(Pushes::Every(0)), []);
        assert_eq!(dropped(Pushes::Kth(2)), [2]);
        assert_eq!(dropped(Pushes::Next(2)), [1, 2]);
    }

    #[test]
    fn an_offset_is_found_once_in_the_chunk_that_holds_it() {
        let rule = Rule::new(Connections::all(), Fault::Corrupt(Direction::Both, 5));
        assert_eq!([4, 4, 4].map(|bytes| rule.locate(5, bytes)), [None, Some(1), None]);
    }

    #[test]
    fn a_subscriber_is_known_by_its_command_in_any_case() {
        let subscribers = Connections::subscribers();
        assert!(subscribers.include(0, b"*2\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n"));
        assert!(!subscribers.include(0, b"*2\r\n$3\r\nGET\r\n$9\r\nsubscribe!\r\n"));
    }
}
