//! Who is there, and what each has applied.

use std::collections::HashMap;
use std::time::Duration;

use forebay_core::l2::{Incarnation, Position, Presence};
use tokio::time::Instant;

/// The live instances of one life of the log. Lost with it, or without; then it is begun anew.
#[derive(Clone, Default)]
pub(super) struct Register {
    begun: Option<(Incarnation, Instant)>,
    instances: HashMap<[u8; 16], Entry>,
}

#[derive(Clone)]
struct Entry {
    lease_ends: Instant,
    applied: Option<Position>,
}

impl Register {
    /// Notes an instance.
    pub(super) fn attend(&mut self, life: Incarnation, presence: &Presence) {
        self.open(life);
        let now = Instant::now();
        self.instances.retain(|_, entry| entry.lease_ends > now);
        let entry = Entry { lease_ends: now + presence.lease, applied: presence.applied };
        self.instances.insert(presence.instance, entry);
    }

    /// For how long an instance other than the caller may hold a lease that has not applied the log up to there.
    pub(super) fn behind(
        &mut self,
        life: Incarnation,
        upto: Position,
        caller: &Presence,
    ) -> Option<Duration> {
        let begun = self.open(life);
        let lags = |entry: &&Entry| {
            entry.applied.is_none_or(|at| at.incarnation != upto.incarnation || at.seq < upto.seq)
        };
        let others = self.instances.iter().filter(|(instance, _)| **instance != caller.instance);
        let of_this_life = others.filter(|_| upto.incarnation == life).map(|(_, entry)| entry);
        let ends = of_this_life.filter(lags).map(|entry| entry.lease_ends).max();
        let last = ends.into_iter().fold(begun + caller.lease, Instant::max);
        Some(last.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    /// When this life's register was begun.
    fn open(&mut self, life: Incarnation) -> Instant {
        match self.begun {
            Some((of, begun)) if of == life => begun,
            _ => {
                self.instances.clear();
                self.begun.insert((life, Instant::now())).1
            }
        }
    }
}
