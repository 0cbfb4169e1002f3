//! After a reconnect: has L2 lost what it had acknowledged? What it has lost is issued again.
//!
//! Comparing positions is not enough: one new invalidation on a replica that has taken over hides the hole.

use super::mechanism::Mechanism;
use super::protocol::{Action, Ticket};
use super::state::State;
use crate::entry::Seq;
use crate::l2::Scores;
use crate::tag::Ident;
use crate::time::Moment;

impl State {
    /// Has L2 asked for what was acknowledged lately.
    pub(super) fn want_audit(&mut self) {
        self.forget_recent();
        self.wants.audit |=
            !self.lacks(Mechanism::Audit) && (!self.recent.is_empty() || self.forgot_recent.is_some());
    }

    pub(super) fn on_audit(&mut self, ticket: Ticket, asked: &[(Ident, Seq)], scores: &Scores, now: Moment) {
        if self.is_foreign(ticket, scores.position) {
            return;
        }
        self.note(scores.position.seq, ticket.sent);
        let mut lost: Vec<Ident> = asked
            .iter()
            .zip(&scores.seqs)
            // Not even one below the log's floor counts as merely cut: what the new log has cut it may never have had.
            .filter(|((_, seq), found)| found.is_none_or(|found| found < *seq))
            .filter(|((_, seq), _)| scores.floor < *seq || !self.lacks(Mechanism::AuditBelowFloor))
            .map(|((ident, _), _)| *ident)
            .collect();
        let forgot = self.forgot_recent.take().is_some() && !self.lacks(Mechanism::AuditOverflow);
        if forgot || scores.seqs.len() != asked.len() {
            lost = vec![self.settings.namespace];
        }
        if !lost.is_empty() {
            self.taint(&lost, now);
        }
    }

    /// Drops what is too old to be audited. What counts is its age when L2 was last heard of, and until an audit has
    /// looked for it nothing is dropped at all.
    pub(super) fn forget_recent(&mut self) {
        if self.is_auditing() && !self.lacks(Mechanism::AuditWindowHeld) {
            return;
        }
        let heard = self.lease_until.before(self.settings.lease);
        let oldest = heard.before(self.settings.audit_window);
        while self.recent.front().is_some_and(|(at, ..)| *at < oldest) {
            self.recent.pop_front();
        }
        self.forgot_recent = self.forgot_recent.filter(|at| *at >= oldest);
    }

    fn is_auditing(&self) -> bool {
        self.wants.audit || matches!(self.in_flight, Some((_, Action::Audit(_))))
    }
}
