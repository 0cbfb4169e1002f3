//! When an instance moves a position on that has stood still.

use std::time::Duration;

use forebay_core::l2::Position;
use tokio::time::Instant;

/// How long the position has stood still, as this instance's polls see it.
pub(crate) struct Heartbeat {
    last: Option<(Position, Instant)>,
    /// How long it may, before this instance moves it on.
    patience: Duration,
}

impl Heartbeat {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { last: None, patience }
    }

    pub(crate) fn note(&mut self, position: Option<Position>, now: Instant) {
        if self.last.map(|(last, _)| last) != position {
            self.last = position.map(|position| (position, now));
        }
    }

    pub(crate) fn stands_still(&self, now: Instant) -> bool {
        self.last.is_some_and(|(_, since)| now.duration_since(since) > self.patience)
    }
}

#[cfg(test)]
mod tests {
    use forebay_core::l2::Incarnation;

    use super::*;

    #[test]
    fn a_position_that_polls_find_unchanged_for_too_long_stands_still() {
        let (begin, second) = (Instant::now(), Duration::from_secs(1));
        let at = |seq| Some(Position { incarnation: Incarnation([1; 16]), seq });
        let mut heartbeat = Heartbeat::new(30 * second);
        assert!(!heartbeat.stands_still(begin + 99 * second), "nothing was polled yet");
        heartbeat.note(at(1), begin);
        heartbeat.note(at(1), begin + 29 * second);
        assert!(!heartbeat.stands_still(begin + 30 * second));
        assert!(heartbeat.stands_still(begin + 31 * second));
        heartbeat.note(at(2), begin + 31 * second);
        assert!(!heartbeat.stands_still(begin + 32 * second));
        heartbeat.note(None, begin + 32 * second);
        assert!(!heartbeat.stands_still(begin + 99 * second));
    }
}
