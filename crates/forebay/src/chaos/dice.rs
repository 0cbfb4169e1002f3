//! Chance that can be repeated.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What dice are thrown for. Each has a sequence of its own, so that how operations interleave changes nothing about the
/// faults of any one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Open,
    Lookup,
    Store,
    Invalidate,
    CatchUp,
    Scores,
    Poll,
    Message,
    Claim,
    Tend,
}

/// Dice for all kinds.
#[derive(Debug)]
pub(super) struct Dice {
    seed: u64,
    thrown: [AtomicU64; KINDS],
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, thrown: Default::default() }
    }

    /// The next throw for an operation of this kind.
    pub(super) fn throw(&self, op: Op) -> Throw {
        let number = self.thrown[op as usize].fetch_add(1, Relaxed);
        Throw(mixed(mixed(self.seed ^ mixed(op as u64 + 1)) ^ number))
    }
}

/// The chances of one operation, one after the other.
pub(super) struct Throw(u64);

impl Throw {
    /// True with this probability.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }

    /// From zero to just below one, evenly.
    pub(super) fn fraction(&mut self) -> f64 {
        // A double counts 53 bits exactly.
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From zero to just below `end`; zero for nothing.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.fraction() * end as f64) as usize
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mixed(self.0)
    }
}

/// A bijection that spreads every bit over all of them.
fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

const KINDS: usize = Op::Tend as usize + 1;
/// 2^64 divided by the golden ratio: a step that comes near no small cycle.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_come_as_often_as_they_say_and_the_same_with_the_same_seed() {
        let hits = |seed, probability| {
            let dice = Dice::new(seed);
            (0..10_000).map(|_| dice.throw(Op::Store).chance(probability)).collect::<Vec<_>>()
        };
        let count = |seed, probability| hits(seed, probability).into_iter().filter(|hit| *hit).count();
        assert_eq!((count(1, 0.0), count(1, 1.0)), (0, 10_000));
        assert!((2_800..3_200).contains(&count(1, 0.3)), "{}", count(1, 0.3));
        assert_eq!(hits(7, 0.3), hits(7, 0.3));
        assert_ne!(hits(7, 0.3), hits(8, 0.3));
    }

    #[test]
    fn kinds_do_not_disturb_each_other() {
        let (alone, mingled) = (Dice::new(3), Dice::new(3));
        for _ in 0..100 {
            mingled.throw(Op::Lookup);
            assert_eq!(alone.throw(Op::Store).next(), mingled.throw(Op::Store).next());
        }
    }
}
