//! One server's memory in the search: entry, log, and who is there.

use super::names::{ANY, IDENTS, NS, PATTERN, X, incarnation, number};
use super::scenario::{Flaw, Scenario};
use crate::entry::Seq;
use crate::l2::Position;
use crate::tag::Ident;

/// The frame under the one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) value: u8,
    pub(super) at: Position,
}

/// One server's memory: what a failover may lose.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Disk {
    /// Zero: nobody has opened the namespace.
    pub(super) life: u8,
    pub(super) seq: Seq,
    /// Each ident's last number, and the tick it was given at.
    pub(super) log: [Option<(Seq, u8)>; IDENTS],
    pub(super) floor: Seq,
    /// It knows the pattern's shape.
    pub(super) shape: bool,
    pub(super) frame: Option<Frame>,
    /// Who is there, where a scenario waits for them.
    pub(super) roll: Roll,
}

/// The instances that have polled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Roll {
    /// When it was begun, unless that is long ago.
    pub(super) begun: Option<u8>,
    pub(super) noted: [Option<Noted>; 2],
}

/// What an instance had applied at its last poll, and when that was.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Noted {
    pub(super) applied: Option<Position>,
    pub(super) at: u8,
}

impl Disk {
    pub(super) const EMPTY: Self = Self {
        life: 0,
        seq: 0,
        log: [None; IDENTS],
        floor: 0,
        shape: false,
        frame: None,
        roll: Roll { begun: None, noted: [None; 2] },
    };

    pub(super) fn position(&self) -> Option<Position> {
        (self.life > 0).then(|| Position { incarnation: incarnation(self.life), seq: self.seq })
    }

    /// The last number of what the entry answers to.
    pub(super) fn entry_seq(&self) -> Seq {
        self.last_of(&[NS, X, PATTERN])
    }

    /// The last number of what ends the entry or its freshness.
    pub(super) fn fresh_seq(&self) -> Seq {
        self.last_of(&ANY)
    }

    fn last_of(&self, idents: &[usize]) -> Seq {
        idents.iter().filter_map(|n| self.log[*n]).map(|(seq, _)| seq).max().unwrap_or(0)
    }

    pub(super) fn seq_of(&self, asked: Ident) -> Option<Seq> {
        number(asked).and_then(|n| self.log[n]).map(|(seq, _)| seq)
    }

    pub(super) fn trim(&mut self, now: u8, scenario: &Scenario) {
        loop {
            let oldest = (0..IDENTS).filter(|n| self.log[*n].is_some()).min_by_key(|n| self.log[*n]);
            let Some((n, (seq, at))) = oldest.and_then(|n| Some((n, self.log[n]?))) else { return };
            let too_many = self.log.iter().flatten().count() > scenario.log_capacity;
            let too_old = at + scenario.retention < now;
            if !too_many && !too_old {
                return;
            }
            self.log[n] = None;
            let raised = !(too_old && scenario.flaw == Some(Flaw::FloorNotRaisedByAge)
                || too_many && scenario.flaw == Some(Flaw::FloorNotRaisedBySize));
            if raised {
                self.floor = self.floor.max(seq);
            }
        }
    }
}
