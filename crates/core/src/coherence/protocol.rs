//! What goes into a [`State`](super::State) and what comes out of it.

use std::time::Duration;

use crate::entry::{Seq, Stamp};
use crate::key::Secrets;
use crate::l2::{Issued, Notice, Page, Position, Scores};
use crate::tag::Ident;
use crate::time::Moment;

/// What the protocol is tuned by.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// How long after a poll was sent its answer vouches for L1. Default 2 s.
    pub lease: Duration,
    /// How long L1 is served after the lease while L2 cannot be reached. Default 30 s.
    pub partition_grace: Duration,
    /// How many invalidated idents the instance remembers. Default 200,000 (about 40 bytes each).
    pub max_idents: usize,
    /// How many unconfirmed invalidations wait for L2 before they collapse into one of the namespace. Default 10,000.
    pub max_pending: usize,
    /// For how long an acknowledged invalidation is checked again after a reconnect. Default 60 s.
    pub audit_window: Duration,
    /// How many of them are remembered for it; beyond that a reconnect invalidates the namespace. Default 65,536.
    pub max_audited: usize,
    /// What becomes of a failover. Default [`Failover::Reissue`].
    pub failover: Failover,
    /// The ident that every entry carries.
    pub namespace: Ident,
    /// The hash keys of the namespace.
    pub secrets: Secrets,
}

impl Settings {
    /// The defaults for a namespace.
    #[must_use]
    pub fn new(secrets: &Secrets) -> Self {
        Self {
            lease: Duration::from_secs(2),
            partition_grace: Duration::from_secs(30),
            max_idents: 200_000,
            max_pending: 10_000,
            audit_window: Duration::from_secs(60),
            max_audited: 65_536,
            failover: Failover::Reissue,
            namespace: Ident::namespace(secrets),
            secrets: secrets.clone(),
        }
    }
}

/// What an instance does when another server may have taken over from the one it knew, without the last invalidations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failover {
    /// Looks for what was acknowledged lately and issues again what is lost. Until that has happened, answers may be old.
    #[default]
    Reissue,
    /// Invalidates everything as well, before it serves anything. No answer is old, and every instance fetches anew.
    Flush,
}

/// When an action was begun and what the instance knew then. Its answer is judged by that, not by what is known when
/// it arrives: a message may overtake it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    pub(super) sent: Moment,
    pub(super) highest: Seq,
    pub(super) epoch: u64,
    pub(super) generation: u64,
}

/// What the driver is to do next. One at a time; each is answered by one [`Event::Done`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// [`L2::open`](crate::l2::L2::open).
    Open,
    /// [`L2::poll`](crate::l2::L2::poll), over the bus and, when that fails, over the commands' connection.
    Poll,
    /// [`L2::catch_up`](crate::l2::L2::catch_up) after this position.
    CatchUp(Seq),
    /// [`L2::scores`](crate::l2::L2::scores) of what was acknowledged lately: has L2 lost it?
    Audit(Vec<(Ident, Seq)>),
    /// [`L2::invalidate`](crate::l2::L2::invalidate) with these idents, above this number.
    Reissue(Vec<Ident>, Seq),
}

/// The answer to an [`Action`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// To [`Action::Open`].
    Opened(Position),
    /// To [`Action::Poll`].
    Polled(Option<Position>),
    /// To [`Action::CatchUp`].
    Page(Page),
    /// To [`Action::Audit`].
    Scores(Scores),
    /// To [`Action::Reissue`].
    Issued(Issued),
    /// To any of them: no answer.
    Failed,
    /// To any of them: this instance is not let in ([`L2Error::Refused`](crate::l2::L2Error::Refused)).
    Refused,
}

/// What can happen to an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The bus said something.
    Notice(Notice),
    /// The action in flight has ended.
    Done(Reply),
    /// A lookup, begun with this ticket, saw this position.
    LookedUp(Ticket, Option<Position>),
    /// An invalidation of this instance, begun with this ticket, is confirmed.
    Issued(Ticket, Vec<Ident>, Issued),
    /// An invalidation of this instance may or may not have happened, or L2 was not asked.
    Unconfirmed(Vec<Ident>),
}

/// Whether a frame that a lookup brought may be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FrameVerdict {
    /// Yes: nothing it answers to was invalidated up to this stamp, which it takes on.
    Valid(Stamp),
    /// Yes, but a soft invalidation has ended its freshness, about then.
    Stale(Stamp, Moment),
    /// The instance's table does not reach far enough; the log must be asked.
    AskLog,
    /// No.
    Dead,
}
