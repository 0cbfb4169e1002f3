//! The switch: what is in force now, and what comes of it for each operation.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::dice::{Dice, Op, Throw};
use super::faults::{Counters, Counts, Fault, Faults};

/// A switch for faults, with a seed. Clones are the same switch, and one may serve several caches.
#[derive(Clone)]
pub struct Chaos(Arc<Inner>);

struct Inner {
    dice: Dice,
    faults: Mutex<Faults>,
    counters: Counters,
}

/// What becomes of an operation.
pub(super) struct Fate {
    pub(super) delay: Duration,
    pub(super) end: End,
    pub(super) timeout: Duration,
}

pub(super) enum End {
    Pass,
    Fail,
    DropRequest,
    DropReply,
}

/// What becomes of a message.
pub(super) enum Way {
    Pass,
    Lost,
    Twice,
    Late,
}

impl Chaos {
    /// A switch that is off.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let (dice, faults, counters) = (Dice::new(seed), Mutex::new(Faults::none()), Counters::default());
        Self(Arc::new(Inner { dice, faults, counters }))
    }

    /// From now on these faults happen, and no others.
    pub fn set(&self, faults: Faults) {
        *self.0.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// From now on none happen. What has begun goes on as it was to.
    pub fn off(&self) {
        self.set(Faults::none());
    }

    /// What is in force.
    pub fn faults(&self) -> Faults {
        *self.0.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many faults there have been so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.counters.counts()
    }

    pub(super) fn fate(&self, op: Op) -> (Fate, Throw) {
        let (faults, mut throw) = (self.faults(), self.0.dice.throw(op));
        let ends = [
            (faults.fail, End::Fail, Fault::Failed),
            (faults.drop_requests, End::DropRequest, Fault::RequestDropped),
            (faults.drop_replies, End::DropReply, Fault::ReplyDropped),
        ];
        let delay = if throw.chance(faults.delay) {
            self.count(Fault::Delayed);
            faults.longest.mul_f64(throw.fraction())
        } else {
            Duration::ZERO
        };
        let end = ends.into_iter().find(|(probability, ..)| throw.chance(*probability));
        let end = end.map_or(End::Pass, |(_, end, fault)| {
            self.count(fault);
            end
        });
        (Fate { delay, end, timeout: faults.timeout }, throw)
    }

    /// The frame, damaged where chance has it so.
    pub(super) fn damaged(&self, frame: &[u8], throw: &mut Throw) -> Option<Vec<u8>> {
        if !throw.chance(self.faults().corrupt) {
            return None;
        }
        self.count(Fault::Corrupted);
        let mut frame = frame.to_vec();
        let at = throw.below(frame.len());
        match throw.below(3) {
            0 => frame.truncate(at),
            1 => frame.extend_from_slice(b"chaos"),
            _ => frame.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << throw.below(8)),
        }
        Some(frame)
    }

    pub(super) fn way(&self) -> Way {
        let (faults, mut throw) = (self.faults(), self.0.dice.throw(Op::Message));
        let ways = [
            (faults.lose, Way::Lost, Fault::MessageLost),
            (faults.repeat, Way::Twice, Fault::MessageRepeated),
            (faults.reorder, Way::Late, Fault::MessageReordered),
        ];
        let way = ways.into_iter().find(|(probability, ..)| throw.chance(*probability));
        way.map_or(Way::Pass, |(_, way, fault)| {
            self.count(fault);
            way
        })
    }

    fn count(&self, fault: Fault) {
        self.0.counters.count(fault);
    }
}

impl fmt::Debug for Chaos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chaos")
            .field("faults", &self.faults())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
