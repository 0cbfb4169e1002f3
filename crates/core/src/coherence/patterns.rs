//! Patterns: an entry answers to the patterns that cover its path, of the shapes that are known to have been invalidated.

use std::borrow::Cow;

use super::mechanism::Mechanism;
use super::state::State;
use crate::key;
use crate::pattern::{Learned, MAX_SHAPES, Shape};
use crate::tag::Ident;

impl State {
    /// All that an entry answers to: its own idents, and those of patterns.
    #[must_use]
    pub fn named<'a>(&self, idents: &'a [Ident], canonical: &[u8]) -> Cow<'a, [Ident]> {
        if self.shapes.len() == 0 {
            return idents.into();
        }
        let Some(path) = key::path(canonical) else { return idents.into() };
        let covered = self.shapes.iter().filter_map(|shape| shape.ident(&self.settings.secrets, path));
        idents.iter().copied().chain(covered.map(Ident::from_bytes)).collect()
    }

    /// Learns the shapes that the log knows; says whether one was not known here.
    pub(super) fn learn(&mut self, shapes: &[Shape]) -> Learned {
        let mut learned = Learned::Nothing;
        for shape in shapes {
            if !self.lacks(Mechanism::ShapesFromLog) && self.learn_one(*shape) == Learned::News {
                learned = Learned::News;
            }
        }
        learned
    }

    /// Learns the shapes of what has been invalidated.
    pub(super) fn learn_from(&mut self, idents: &[Ident]) {
        for shape in idents.iter().filter_map(|ident| Shape::of_ident(ident.as_bytes())) {
            if !self.lacks(Mechanism::ShapesFromIdents) {
                self.learn_one(shape);
            }
        }
    }

    fn learn_one(&mut self, shape: Shape) -> Learned {
        if self.shapes.len() >= MAX_SHAPES && !self.shapes.iter().any(|known| known == shape) {
            self.forget_shapes();
        }
        self.shapes.learn(shape)
    }

    /// What patterns have ended is not known any more: whatever may have been ended by one is dead.
    fn forget_shapes(&mut self) {
        self.shapes.clear();
        self.floor = self.floor.max(self.highest);
        self.epoch += 1;
        self.epoch_floor = self.epoch;
        if !self.pending.is_empty() {
            self.pending.raise(self.settings.namespace, self.epoch);
        }
    }
}
