//! Soft invalidations: what they name counts as expired and is not gone.
//!
//! One is noted under an ident of its own, [`Ident::soft`], in the same log and table as all others. So whatever keeps a hard
//! invalidation from being lost keeps a soft one, and only who asks after an entry knows the difference.

use super::mechanism::Mechanism;
use super::protocol::FrameVerdict;
use super::state::State;
use crate::entry::{Seq, Stamp};
use crate::l2::Scores;
use crate::tag::Ident;
use crate::time::Moment;

/// What the log is asked of a frame with these idents: when each was invalidated, and when softly.
#[must_use]
pub fn asked(idents: &[Ident]) -> Vec<Ident> {
    idents.iter().copied().chain(idents.iter().map(Ident::soft)).collect()
}

impl State {
    /// Since when an entry with this stamp and these idents counts as expired because of a soft invalidation.
    #[must_use]
    pub fn expired_since(&self, stamp: Stamp, idents: &[Ident]) -> Option<Moment> {
        if self.lacks(Mechanism::SoftAtHit) {
            return None;
        }
        let confirmed = self.first_soft(stamp.seq, idents).map(|seq| self.moment_of(seq));
        let queued = idents.iter().map(Ident::soft).filter_map(|soft| {
            let begun = self.pending.get(&soft).is_some_and(|epoch| epoch > stamp.epoch);
            begun.then(|| Moment::from_nanos(self.queued_at.get(&soft).unwrap_or_default()))
        });
        confirmed.into_iter().chain(queued).min()
    }

    /// That an entry of L1 which is valid may be used, as what it is by now. The log may know of a soft invalidation that is not
    /// applied here yet.
    pub(super) fn held(&self, stamp: Stamp, idents: &[Ident], in_log: Option<Seq>) -> FrameVerdict {
        let in_log = in_log.map(|seq| self.moment_of(seq));
        match self.expired_since(stamp, idents).into_iter().chain(in_log).min() {
            Some(since) => FrameVerdict::Stale(stamp, since),
            None => FrameVerdict::Valid(stamp),
        }
    }

    /// That a frame which is valid up to `stamp` may be used, as what it is by now.
    pub(super) fn usable(&self, frame: Seq, stamp: Stamp, idents: &[Ident]) -> FrameVerdict {
        // The epoch of the lookup is later than what is queued: that was asked for by `is_tainted`.
        let soft = idents.iter().map(Ident::soft);
        let queued = soft.filter_map(|soft| self.queued_at.get(&soft)).map(Moment::from_nanos);
        let known = if self.lacks(Mechanism::SoftAtRead) { None } else { self.first_soft(frame, idents) };
        match known.map(|seq| self.moment_of(seq)).into_iter().chain(queued).min() {
            Some(since) => FrameVerdict::Stale(stamp, since),
            None => FrameVerdict::Valid(stamp),
        }
    }

    /// The same, of a frame that the log was asked about: it may know of a soft invalidation that is not applied here yet.
    pub(super) fn usable_by_log(
        &self,
        frame: Seq,
        stamp: Stamp,
        idents: &[Ident],
        scores: &Scores,
    ) -> FrameVerdict {
        let soft = scores.seqs.iter().skip(idents.len()).flatten().filter(|seq| **seq > frame).min();
        match (soft.filter(|_| !self.lacks(Mechanism::SoftInLog)), self.usable(frame, stamp, idents)) {
            (Some(seq), FrameVerdict::Stale(stamp, since)) => {
                FrameVerdict::Stale(stamp, since.min(self.moment_of(*seq)))
            }
            (Some(seq), _) => FrameVerdict::Stale(stamp, self.moment_of(*seq)),
            (None, verdict) => verdict,
        }
    }

    /// Notes that the log stood at `seq`.
    pub(super) fn note(&mut self, seq: Seq, at: Moment) {
        if seq > self.highest {
            (self.highest, self.highest_at) = (seq, at);
        }
    }

    /// The first soft invalidation after `stamp` that the table knows of.
    fn first_soft(&self, stamp: Seq, idents: &[Ident]) -> Option<Seq> {
        idents.iter().filter_map(|ident| self.table.get(&ident.soft())).filter(|seq| *seq > stamp).min()
    }

    /// About when `seq` was issued. Numbers are microseconds of the server's clock; one that has been put ahead of it looks
    /// older than it is, and what it marks staler.
    fn moment_of(&self, seq: Seq) -> Moment {
        let micros = self.highest.saturating_sub(seq);
        self.highest_at.before(std::time::Duration::from_micros(micros))
    }
}
