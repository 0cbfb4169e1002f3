//! What an outer and an inner layer of one cache say to each other about a request.
//!
//! The outer one marks the request; the inner one answers through that mark. Nothing travels in the response, which a
//! layer in between may well replace.

use std::sync::{Arc, Mutex, PoisonError};

use http::request::Parts;

use crate::route::{Partition, Route};

/// In a request: an outer layer has it in hand.
#[derive(Clone)]
pub(super) struct Outer {
    /// Whose layer that is.
    pub(super) hub: u64,
    pub(super) wish: Wish,
    /// How many layers of the same cache are around that one.
    pub(super) depth: u8,
    said: Said,
}

/// What the outer layer leaves to an annotated route inside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// To say what holds for it.
    Options,
    /// All the work: the outer layer cannot tell routes apart.
    Work,
    /// Nothing: the outer layer is an annotation itself.
    Nothing,
}

/// Where the answer is left; nobody listens where there is no place for one.
#[derive(Clone, Default)]
pub(super) struct Said(Option<Arc<Mutex<Word>>>);

/// What the inner layers have said.
#[derive(Default)]
pub(super) enum Word {
    /// There are none, or the request has not come to them.
    #[default]
    Nothing,
    /// What holds for the route.
    Options(HandedUp),
    /// One has dealt with the request, whatever came of it.
    Handled,
    /// Two annotations claim the route.
    Twice,
}

/// What an annotation says about a request of its route.
pub(super) struct HandedUp {
    pub(super) route: Arc<Route>,
    pub(super) path: Option<Box<str>>,
    /// Whose request it is, as seen from there.
    pub(super) partition: Partition,
}

impl Outer {
    /// The mark that a request carries.
    pub(super) fn of(parts: &Parts) -> Option<&Self> {
        parts.extensions.get()
    }

    /// Puts the mark of `hub` on a request, in place of one that is there.
    pub(super) fn mark(parts: &mut Parts, hub: u64, wish: Wish, said: Said) {
        let depth = Self::depth_under(parts, hub);
        parts.extensions.insert(Self { hub, wish, depth, said });
    }

    /// How many layers of `hub` are around this request already.
    pub(super) fn depth_under(parts: &Parts, hub: u64) -> u8 {
        Self::of(parts).filter(|outer| outer.hub == hub).map_or(0, |outer| outer.depth.saturating_add(1))
    }

    pub(super) fn say(&self, word: Word) {
        let Some(said) = &self.said.0 else { return };
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        *said = match (std::mem::take(&mut *said), word) {
            (Word::Nothing, word) => word,
            (Word::Twice, _) | (Word::Options(_), Word::Options(_)) => Word::Twice,
            (_, _) => Word::Handled,
        };
    }
}

impl Said {
    pub(super) fn listening() -> Self {
        Self(Some(Arc::default()))
    }

    pub(super) fn take(&self) -> Word {
        let Some(said) = &self.0 else { return Word::Nothing };
        std::mem::take(&mut *said.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
