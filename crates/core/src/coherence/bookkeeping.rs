//! How much an instance remembers of invalidations.

use std::iter::Sum;

use super::state::State;

/// How many idents are remembered for what. Each number has its limit in [`Settings`](super::Settings).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bookkeeping {
    /// Invalidated, and known to L2.
    pub invalidated: usize,
    /// Invalidated here, and not confirmed by L2; without an L2 all of them.
    pub unconfirmed: usize,
    /// Acknowledged so lately that they are looked for after a reconnect.
    pub acknowledged: usize,
}

impl Sum for Bookkeeping {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            invalidated: sum.invalidated + one.invalidated,
            unconfirmed: sum.unconfirmed + one.unconfirmed,
            acknowledged: sum.acknowledged + one.acknowledged,
        })
    }
}

impl State {
    /// How much is remembered now.
    #[must_use]
    pub fn bookkeeping(&self) -> Bookkeeping {
        Bookkeeping {
            invalidated: self.table.len(),
            unconfirmed: self.pending.len(),
            acknowledged: self.recent.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coherence::{Event, Settings};
    use crate::key::Secrets;
    use crate::tag::{Tag, Targets};
    use crate::time::Moment;

    #[test]
    fn what_waits_for_l2_is_counted_as_unconfirmed() {
        let secrets = Secrets::new("shop", None);
        let mut state = State::apart(Settings::new(&secrets));
        assert_eq!(state.bookkeeping(), Bookkeeping::default());
        let idents = Tag("article:42").idents(&secrets).unwrap();
        state.on_event(Event::Unconfirmed(idents), Moment::default());
        assert_eq!(state.bookkeeping(), Bookkeeping { unconfirmed: 1, ..Bookkeeping::default() });
    }
}
