//! What a search is about: who takes part, what may go wrong how often, and what has been removed.

use super::names::{PATTERN, SOFT_X, X, Y, ident};
use crate::coherence::Failover;
use crate::coherence::mechanism::Mechanism;
use crate::tag::Ident;

/// What one instance does.
#[derive(Clone, Copy)]
pub(super) struct Role {
    /// Its driver runs: polls, catch-ups, audits.
    pub(super) driven: bool,
    /// It hears the bus.
    pub(super) bus: bool,
    /// It looks up, fetches and stores.
    pub(super) fills: bool,
    /// It has an L1.
    pub(super) l1: bool,
    /// It invalidates what the origin has changed.
    pub(super) issues: bool,
}

impl Role {
    pub(super) const ABSENT: Self =
        Self { driven: false, bus: false, fills: false, l1: false, issues: false };
    /// Everything but issuing.
    pub(super) const READER: Self = Self { driven: true, bus: true, fills: true, l1: true, issues: false };
    pub(super) const FULL: Self = Self { issues: true, ..Self::READER };
}

/// How often each thing may still happen.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Budget {
    pub(super) ticks: u8,
    /// Changes at the origin, each followed by an invalidation of x.
    pub(super) writes: u8,
    /// Invalidations of y, from outside.
    pub(super) others: u8,
    pub(super) disconnects: u8,
    /// Single messages lost on the way.
    pub(super) losses: u8,
    pub(super) duplicates: u8,
    pub(super) swaps: u8,
    /// Messages dropped with [`Notice::Lagged`](crate::l2::Notice::Lagged).
    pub(super) lags: u8,
    /// Times that an instance loses one or both connections.
    pub(super) cuts: u8,
    /// Answers that never come though the connection stands.
    pub(super) timeouts: u8,
    /// Times that the position moves on by itself.
    pub(super) moves: u8,
    pub(super) flushes: u8,
    pub(super) failovers: u8,
    pub(super) followers: u8,
    /// Looks into L2, of both instances.
    pub(super) lookups: u8,
    /// Invalidations that are waited for until they hold everywhere.
    pub(super) waits: u8,
}

/// What can be wrong around the state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    StampAtStore,
    NoReadCheck,
    NoEntryCheck,
    NoLease,
    SeqReuse,
    FloorNotRaisedByAge,
    FloorNotRaisedBySize,
    CheckedIsApplied,
    FollowerUnchecked,
    StampWithoutTicket,
    NoStoreCheck,
    RollAsksNobody,
    RollNotesAhead,
    RollForgetsItsAge,
}

/// What an instance invalidates when the origin has changed.
#[derive(Clone, Copy)]
pub(super) enum Names {
    X,
    XAndY,
    SoftlyX,
    Pattern,
}

impl Names {
    pub(super) fn idents(self) -> Vec<Ident> {
        match self {
            Self::X => vec![ident(X)],
            Self::XAndY => vec![ident(X), ident(Y)],
            Self::SoftlyX => vec![ident(SOFT_X)],
            Self::Pattern => vec![ident(PATTERN)],
        }
    }
}

/// A configuration with bounds.
#[derive(Clone, Copy)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) roles: [Role; 2],
    pub(super) budget: Budget,
    /// In ticks; it ends just before the last.
    pub(super) lease: u8,
    pub(super) grace: u8,
    pub(super) audit_window: u8,
    pub(super) max_idents: usize,
    pub(super) max_pending: usize,
    pub(super) max_audited: usize,
    pub(super) log_capacity: usize,
    /// In ticks.
    pub(super) retention: u8,
    /// Idents in one page of a catch-up.
    pub(super) page: usize,
    /// A change at the origin is invalidated from outside, at once confirmed.
    pub(super) issued_elsewhere: bool,
    /// What an instance does when another server has taken over.
    pub(super) failover: Failover,
    /// What is invalidated when the origin changes, by an instance.
    pub(super) invalidates: Names,
    /// An invalidation takes a while to reach L2, and may do so after its caller has given up.
    pub(super) slow_invalidations: bool,
    /// Things happen between a poll and its answer.
    pub(super) slow_polls: bool,
    /// Things happen between an action other than a poll and its answer.
    pub(super) slow_actions: bool,
    /// Things happen between a look into L2 or its log and the verdict on what it found.
    pub(super) slow_verdicts: bool,
    pub(super) knocked_out: Option<Mechanism>,
    pub(super) flaw: Option<Flaw>,
}

impl Scenario {
    /// Longer than any search, in ticks.
    pub(super) const LONG: u8 = 50;

    pub(super) const fn new(name: &'static str, roles: [Role; 2], budget: Budget) -> Self {
        Self {
            name,
            roles,
            budget,
            lease: 1,
            grace: 0,
            audit_window: Self::LONG,
            max_idents: 50,
            max_pending: 50,
            max_audited: 50,
            log_capacity: 3,
            retention: Self::LONG,
            page: 3,
            issued_elsewhere: false,
            failover: Failover::Reissue,
            invalidates: Names::X,
            slow_invalidations: false,
            slow_polls: true,
            slow_actions: false,
            slow_verdicts: false,
            knocked_out: None,
            flaw: None,
        }
    }

    /// The log forgets something, or the table does.
    pub(super) const fn is_cut(&self) -> bool {
        self.log_capacity < 3 || self.retention < Self::LONG || self.max_idents < 3
    }

    /// With a wider bound, for a search of minutes.
    pub(super) fn large(mut self) -> Self {
        self.budget.ticks += 1;
        self
    }
}
