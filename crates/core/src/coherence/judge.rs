//! What a [`State`] lets pass: entries of L1, and frames that a lookup brought.

use super::mechanism::Mechanism;
use super::protocol::{FrameVerdict, Ticket};
use super::state::{Membership, State};
use crate::entry::{Seq, Stamp};
use crate::l2::{Position, Scores};
use crate::tag::Ident;
use crate::time::Moment;

impl State {
    /// Until when L1 may be served, as things stand.
    #[must_use]
    pub fn serve_until(&self) -> Moment {
        match self.membership {
            Membership::Alone | Membership::Apart => Moment::NEVER,
            Membership::Refused => Moment::default(),
            Membership::Joined(_) if self.lacks(Mechanism::Lease) => Moment::NEVER,
            Membership::Joined(_) => self.unsynced.map_or(self.lease_until, |until| {
                until.min(self.lease_until.after(self.settings.partition_grace))
            }),
        }
    }

    /// Whether an entry with this stamp and these idents has been invalidated, as far as the instance knows.
    #[must_use]
    pub fn admits(&self, stamp: Stamp, idents: &[Ident]) -> bool {
        (stamp.epoch >= self.epoch_floor || self.lacks(Mechanism::EpochFloor))
            && (stamp.seq >= self.floor || self.lacks(Mechanism::TableFloor))
            && idents.iter().all(|ident| {
                self.table.get(ident).is_none_or(|seq| seq <= stamp.seq)
                    && self.pending.get(ident).is_none_or(|epoch| epoch <= stamp.epoch)
            })
            || self.lacks(Mechanism::EntryCheck)
    }

    /// The number of the last invalidation of any of these idents that the instance knows of and L2 has confirmed; 0 if there
    /// is none.
    #[must_use]
    pub fn last_invalidated(&self, idents: &[Ident]) -> Seq {
        idents.iter().filter_map(|ident| self.table.get(ident)).max().unwrap_or(0)
    }

    /// The stamp of a value that the origin has confirmed, when it was asked at `asked`: as far from `stamp` towards
    /// `asked` as the instance knows of no invalidation in between. The stamp it had, if it has been invalidated.
    #[must_use]
    pub fn confirmed(&self, stamp: Stamp, asked: Stamp, idents: &[Ident]) -> Stamp {
        // What was asked in another life of the log has a number that means nothing in this one.
        if asked.epoch < self.epoch_floor || !self.admits(stamp, idents) {
            return stamp;
        }
        Stamp {
            // Beyond what is applied the table may lack some.
            seq: stamp.seq.max(asked.seq.min(self.applied)),
            epoch: stamp.epoch.max(asked.epoch),
        }
    }

    /// Whether one of the idents has an invalidation that L2 does not know of yet.
    #[must_use]
    pub fn is_tainted(&self, idents: &[Ident]) -> bool {
        !self.pending.is_empty()
            && !self.lacks(Mechanism::TaintAtRead)
            && idents.iter().any(|ident| self.pending.get(ident).is_some())
    }

    /// Judges a frame that a lookup, begun with `ticket`, found at `position`.
    #[must_use]
    pub fn judge_frame(
        &self,
        ticket: Ticket,
        position: Position,
        frame: Position,
        idents: &[Ident],
    ) -> FrameVerdict {
        let ours =
            self.incarnation() == Some(position.incarnation) && position.incarnation == frame.incarnation;
        let lineage = self.lacks(Mechanism::Lineage)
            || (ticket.generation == self.generation
                && position.seq >= ticket.highest
                && frame.seq <= position.seq);
        if !ours || !lineage || self.suspects || self.knows_better(frame.seq, idents) {
            return FrameVerdict::Dead;
        }
        let reaches = position.seq <= self.applied || self.lacks(Mechanism::ReachAtRead);
        let remembers = frame.seq >= self.floor || self.lacks(Mechanism::FloorAtRead);
        if !reaches || !remembers {
            return FrameVerdict::AskLog;
        }
        self.usable(frame.seq, Stamp { seq: position.seq, epoch: ticket.epoch }, idents)
    }

    /// Judges a frame by what the log says of [`asked`](super::asked), after [`FrameVerdict::AskLog`]. What has become known
    /// since the log was asked may be more than it was asked for: then the answer says nothing.
    #[must_use]
    pub fn judge_scores(
        &self,
        ticket: Ticket,
        frame: Position,
        idents: &[Ident],
        scores: &Scores,
    ) -> FrameVerdict {
        let ours = self.incarnation() == Some(scores.position.incarnation)
            && scores.position.incarnation == frame.incarnation;
        let lineage = self.lacks(Mechanism::Lineage)
            || (ticket.generation == self.generation && scores.position.seq >= ticket.highest);
        let known = (frame.seq >= scores.floor || self.lacks(Mechanism::LogFloorAtRead))
            && scores.seqs.len() == 2 * idents.len();
        let alive = scores.seqs.iter().take(idents.len()).flatten().all(|seq| *seq <= frame.seq);
        // The log may have lost what this instance saw confirmed, or issued itself: its own table counts as well.
        if ours && lineage && known && alive && !self.suspects && !self.knows_better(frame.seq, idents) {
            let stamp = Stamp { seq: scores.position.seq, epoch: ticket.epoch };
            self.usable_by_log(frame.seq, stamp, idents, scores)
        } else {
            FrameVerdict::Dead
        }
    }

    /// Judges an entry of L1 by a position that L2 gave for `ticket`: has anything it answers to been invalidated up to there?
    #[must_use]
    pub fn judge_held(
        &self,
        ticket: Ticket,
        position: Position,
        stamp: Stamp,
        idents: &[Ident],
    ) -> FrameVerdict {
        if !self.goes_on(ticket, position) || !self.admits(stamp, idents) {
            FrameVerdict::Dead
        } else if position.seq > self.applied && !self.lacks(Mechanism::ReachAtRead) {
            FrameVerdict::AskLog
        } else {
            self.held(stamp, idents, None)
        }
    }

    /// Judges an entry of L1 by what the log says of [`asked`](super::asked), after [`FrameVerdict::AskLog`].
    #[must_use]
    pub fn judge_held_scores(
        &self,
        ticket: Ticket,
        stamp: Stamp,
        idents: &[Ident],
        scores: &Scores,
    ) -> FrameVerdict {
        let known = stamp.seq >= scores.floor && scores.seqs.len() == 2 * idents.len();
        let alive = scores.seqs.iter().take(idents.len()).flatten().all(|seq| *seq <= stamp.seq);
        if self.goes_on(ticket, scores.position) && known && alive && self.admits(stamp, idents) {
            let soft = scores.seqs.iter().skip(idents.len()).flatten().filter(|seq| **seq > stamp.seq).min();
            self.held(stamp, idents, soft.copied())
        } else {
            FrameVerdict::Dead
        }
    }

    /// Whether `position`, given for `ticket`, is one of the log that the instance follows, and that log has lost nothing.
    fn goes_on(&self, ticket: Ticket, position: Position) -> bool {
        !self.suspects
            && self.incarnation() == Some(position.incarnation)
            && ticket.generation == self.generation
            && position.seq >= ticket.highest
    }

    /// Whether the instance itself knows of an invalidation after `stamp`, whatever L2 says.
    fn knows_better(&self, stamp: Seq, idents: &[Ident]) -> bool {
        let after = |ident| self.table.get(ident).is_some_and(|seq| seq > stamp);
        self.is_tainted(idents) || (idents.iter().any(after) && !self.lacks(Mechanism::TableAtRead))
    }
}
