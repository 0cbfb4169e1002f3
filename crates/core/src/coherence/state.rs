//! The protocol of one instance as a state machine without I/O.

use std::collections::VecDeque;
use std::time::Duration;

use super::idents::IdentMap;
use crate::entry::{Seq, Stamp};
use crate::key::Secrets;
use crate::l2::{Incarnation, Issued, Message, Notice, Page, Position, Scores};
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
    /// The ident that every entry carries.
    pub namespace: Ident,
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
            namespace: Ident::namespace(secrets),
        }
    }
}

/// When an action was begun and what the instance knew then. Its answer is judged by that, not by what is known when
/// it arrives: a message may overtake it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    sent: Moment,
    highest: Seq,
    epoch: u64,
    generation: u64,
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
    /// The instance's table does not reach far enough; the log must be asked.
    AskLog,
    /// No.
    Dead,
}

/// How the instance stands to L2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Membership {
    /// There is no L2.
    Alone,
    /// There is one, and it has not been reached yet.
    Apart,
    /// The instance follows this incarnation's log.
    Joined(Incarnation),
}

/// The protocol of one instance.
///
/// **Invariant:** the table knows every invalidation in `(floor, applied]`, and possibly later ones.
/// **Invariant:** the epoch grows with every change of the table, of the pending idents and of both floors.
#[derive(Clone)]
pub struct State {
    pub(super) settings: Settings,
    membership: Membership,
    /// Up to here the log has been applied without a gap.
    pub(super) applied: Seq,
    /// The highest number seen or issued: L2 may never fall behind it.
    pub(super) highest: Seq,
    /// The table knows nothing about invalidations up to here; an entry stamped below is dead.
    pub(super) floor: Seq,
    pub(super) table: IdentMap,
    /// Invalidations that L2 has not confirmed, with the epoch they took effect at.
    pub(super) pending: IdentMap,
    pub(super) epoch: u64,
    /// Entries whose fill began before this epoch are dead.
    pub(super) epoch_floor: u64,
    pub(super) lease_until: Moment,
    /// When the instance noticed that its lease had run out.
    pub(super) lapse: Option<Moment>,
    /// L1 is served though the lease has run out.
    pub(super) unsynced: bool,
    pub(super) next_poll: Moment,
    /// A lease that a poll has earned but that waits until the log is applied up to here.
    pub(super) owed: Option<(Moment, Seq)>,
    /// What was acknowledged lately, oldest first.
    pub(super) recent: VecDeque<(Moment, Ident, Seq)>,
    pub(super) recent_overflowed: bool,
    wants: Wants,
    in_flight: Option<(Ticket, Action)>,
    /// Grows when the instance starts over: answers to older actions are void.
    generation: u64,
}

/// What has to be done, most urgent first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Wants {
    open: bool,
    audit: bool,
    bump: bool,
    catch_up: bool,
    /// Something failed: find out first whether L2 can be reached at all, and not before `retry_at`.
    poll_first: bool,
    retry_at: Moment,
}

impl State {
    /// An instance without L2: its invalidations are its own.
    #[must_use]
    pub fn alone(settings: Settings) -> Self {
        Self::new(settings, Membership::Alone)
    }

    /// An instance that has an L2 and has not reached it yet.
    #[must_use]
    pub fn apart(settings: Settings) -> Self {
        let mut state = Self::new(settings, Membership::Apart);
        state.wants.open = true;
        state
    }

    fn new(settings: Settings, membership: Membership) -> Self {
        Self {
            settings,
            membership,
            applied: 0,
            highest: 0,
            floor: 0,
            table: IdentMap::default(),
            pending: IdentMap::default(),
            epoch: 0,
            epoch_floor: 0,
            lease_until: Moment::default(),
            lapse: None,
            unsynced: false,
            next_poll: Moment::default(),
            owed: None,
            recent: VecDeque::new(),
            recent_overflowed: false,
            wants: Wants::default(),
            in_flight: None,
            generation: 0,
        }
    }

    /// What the instance knows now; to be taken before L2 is asked.
    #[must_use]
    pub fn ticket(&self, now: Moment) -> Ticket {
        Ticket { sent: now, highest: self.highest, epoch: self.epoch, generation: self.generation }
    }

    /// The stamp of a fill whose lookup told nothing: what has been applied is certainly reflected.
    #[must_use]
    pub fn local_stamp(&self) -> Stamp {
        Stamp { seq: self.applied, epoch: self.epoch }
    }

    /// The incarnation the instance follows.
    #[must_use]
    pub fn incarnation(&self) -> Option<Incarnation> {
        match self.membership {
            Membership::Joined(incarnation) => Some(incarnation),
            Membership::Alone | Membership::Apart => None,
        }
    }

    /// Until when L1 may be served, as things stand.
    #[must_use]
    pub fn serve_until(&self) -> Moment {
        match self.membership {
            Membership::Alone | Membership::Apart => Moment::NEVER,
            Membership::Joined(_) if self.unsynced => self.lease_until.after(self.settings.partition_grace),
            Membership::Joined(_) => self.lease_until,
        }
    }

    /// Whether an entry with this stamp and these idents has been invalidated, as far as the instance knows.
    #[must_use]
    pub fn admits(&self, stamp: Stamp, idents: &[Ident]) -> bool {
        stamp.epoch >= self.epoch_floor
            && stamp.seq >= self.floor
            && idents.iter().all(|ident| {
                self.table.get(ident).is_none_or(|seq| seq <= stamp.seq)
                    && self.pending.get(ident).is_none_or(|epoch| epoch <= stamp.epoch)
            })
    }

    /// Whether one of the idents has an invalidation that L2 does not know of yet.
    #[must_use]
    pub fn is_tainted(&self, idents: &[Ident]) -> bool {
        !self.pending.is_empty() && idents.iter().any(|ident| self.pending.get(ident).is_some())
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
        let lineage = ticket.generation == self.generation
            && position.seq >= ticket.highest
            && frame.seq <= position.seq;
        if !ours || !lineage || self.is_tainted(idents) {
            return FrameVerdict::Dead;
        }
        if position.seq > self.applied || frame.seq < self.floor {
            return FrameVerdict::AskLog;
        }
        if idents.iter().any(|ident| self.table.get(ident).is_some_and(|seq| seq > frame.seq)) {
            return FrameVerdict::Dead;
        }
        FrameVerdict::Valid(Stamp { seq: position.seq, epoch: ticket.epoch })
    }

    /// Judges a frame by what the log says of its idents, after [`FrameVerdict::AskLog`].
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
        let lineage = ticket.generation == self.generation && scores.position.seq >= ticket.highest;
        let known = frame.seq >= scores.floor && scores.seqs.len() == idents.len();
        let alive = scores.seqs.iter().flatten().all(|seq| *seq <= frame.seq);
        if ours && lineage && known && alive && !self.is_tainted(idents) {
            FrameVerdict::Valid(Stamp { seq: scores.position.seq, epoch: ticket.epoch })
        } else {
            FrameVerdict::Dead
        }
    }

    /// Takes in what has happened.
    pub fn on_event(&mut self, event: Event, now: Moment) {
        self.notice_lapse(now);
        match event {
            Event::Notice(notice) => self.on_notice(notice, now),
            Event::Done(reply) => {
                if let Some((ticket, action)) = self.in_flight.take() {
                    self.on_reply(ticket, action, reply, now);
                }
            }
            Event::LookedUp(ticket, position) => self.on_lookup(ticket, position, now),
            Event::Issued(ticket, idents, issued) => self.on_issued(ticket, &idents, issued, now),
            Event::Unconfirmed(idents) => self.taint(&idents),
        }
    }

    /// What to do now, if anything. The driver does it and reports [`Event::Done`].
    pub fn next_action(&mut self, now: Moment) -> Option<Action> {
        self.notice_lapse(now);
        if self.membership == Membership::Alone || self.in_flight.is_some() || now < self.wants.retry_at {
            return None;
        }
        let action = self.choose(now)?;
        self.in_flight = Some((self.ticket(now), action.clone()));
        Some(action)
    }

    /// When to ask for the next action again, if nothing happens before.
    #[must_use]
    pub fn deadline(&self) -> Moment {
        if self.membership == Membership::Alone || self.in_flight.is_some() {
            return Moment::NEVER;
        }
        let busy = self.wants.open || self.wants.audit || self.wants.bump || self.wants.catch_up;
        let due = if busy || self.wants.poll_first || !self.pending.is_empty() {
            Moment::default()
        } else {
            let lapses = if self.lapse.is_none() { self.lease_until } else { Moment::NEVER };
            self.next_poll.min(lapses)
        };
        due.max(self.wants.retry_at)
    }

    fn choose(&mut self, now: Moment) -> Option<Action> {
        let joined = matches!(self.membership, Membership::Joined(_));
        if joined && std::mem::take(&mut self.wants.poll_first) {
            return Some(Action::Poll);
        }
        if self.wants.open || !joined {
            return Some(Action::Open);
        }
        if self.wants.audit {
            self.recent_within(now);
            return Some(Action::Audit(self.recent.iter().map(|(_, ident, seq)| (*ident, *seq)).collect()));
        }
        if self.wants.bump || !self.pending.is_empty() {
            let idents = self.pending.iter().map(|(ident, _)| ident).take(REISSUE_BATCH).collect();
            return Some(Action::Reissue(idents, self.highest));
        }
        if self.wants.catch_up {
            return Some(Action::CatchUp(self.applied));
        }
        (now >= self.next_poll).then_some(Action::Poll)
    }

    fn on_notice(&mut self, notice: Notice, now: Moment) {
        if !matches!(self.membership, Membership::Joined(_)) {
            return;
        }
        match notice {
            Notice::Message(message) => self.on_message(message, now),
            Notice::Lagged | Notice::Malformed => self.wants.catch_up = true,
            Notice::Subscribed => {
                // Another server may have taken over, without some of what the old one had acknowledged.
                self.wants.audit |= !self.recent.is_empty() || self.recent_overflowed;
                self.wants.retry_at = Moment::default();
                self.next_poll = now;
            }
            Notice::Lost => self.next_poll = now,
        }
    }

    fn on_message(&mut self, message: Message, now: Moment) {
        if self.incarnation() != Some(message.incarnation) {
            self.next_poll = now;
        } else if message.seq > self.applied {
            self.raise(&message.idents, message.seq, now);
            self.follow(message.previous, message.seq);
        }
    }

    /// Moves `applied` on by one link of the chain, or notices that the link does not fit.
    fn follow(&mut self, previous: Seq, seq: Seq) {
        if seq <= self.applied {
        } else if previous == self.applied {
            self.applied = seq;
            self.settle_owed();
        } else if previous > self.applied {
            self.wants.catch_up = true;
        } else {
            // The log goes on from before where we are: what we have applied was lost.
            self.regress(previous);
            self.applied = seq;
        }
    }

    fn on_reply(&mut self, ticket: Ticket, action: Action, reply: Reply, now: Moment) {
        self.wants.retry_at = Moment::default();
        match (action, reply) {
            (_, Reply::Failed) => self.on_failure(ticket, now),
            (_, Reply::Opened(position)) => {
                self.wants.open = false;
                self.on_position(ticket, position);
            }
            (_, Reply::Polled(None)) => self.wants.open = true,
            (_, Reply::Polled(Some(position))) => self.on_position(ticket, position),
            (_, Reply::Page(page)) => self.on_page(ticket, page, now),
            (Action::Audit(asked), Reply::Scores(scores)) => self.on_audit(ticket, &asked, &scores),
            (Action::Reissue(idents, _), Reply::Issued(issued)) => {
                self.wants.bump &= ticket.generation != self.generation;
                self.on_issued(ticket, &idents, issued, now);
            }
            // An answer to something else: as good as none.
            (_, Reply::Scores(_) | Reply::Issued(_)) => self.on_failure(ticket, now),
        }
    }

    fn on_failure(&mut self, ticket: Ticket, now: Moment) {
        // A poll that was sent before the lapse was noticed proves nothing: the process may have slept over its answer.
        if self.lapse.is_some_and(|noticed| ticket.sent >= noticed) {
            self.unsynced = true;
        }
        self.wants.poll_first = true;
        self.wants.retry_at =
            if self.lapse.is_some() && !self.unsynced { now } else { now.after(self.pause()) };
    }

    /// A position: the same life of the log, further on, or not?
    fn on_position(&mut self, ticket: Ticket, position: Position) {
        self.next_poll = ticket.sent.after(self.pause());
        if self.is_foreign(ticket, position) {
            return;
        }
        self.highest = self.highest.max(position.seq);
        if position.seq > self.applied {
            self.wants.catch_up = true;
            self.owed = Some((ticket.sent, position.seq));
        } else {
            self.grant(ticket.sent);
        }
    }

    fn on_page(&mut self, ticket: Ticket, page: Page, now: Moment) {
        if self.is_foreign(ticket, page.position) || ticket.generation != self.generation {
            return;
        }
        self.wants.catch_up = page.upto < page.position.seq;
        self.highest = self.highest.max(page.position.seq);
        if page.floor > self.applied {
            // The log was cut beyond where we are.
            self.flush(page.position.seq);
            self.wants.catch_up = false;
        } else {
            for (ident, seq) in page.idents {
                self.raise(&[ident], seq, now);
            }
            self.applied = self.applied.max(page.upto);
        }
        self.settle_owed();
    }

    fn on_audit(&mut self, ticket: Ticket, asked: &[(Ident, Seq)], scores: &Scores) {
        if self.is_foreign(ticket, scores.position) || ticket.generation != self.generation {
            return;
        }
        self.wants.audit = false;
        self.highest = self.highest.max(scores.position.seq);
        let mut lost: Vec<Ident> = asked
            .iter()
            .zip(&scores.seqs)
            .filter(|((_, seq), found)| found.is_none_or(|found| found < *seq) && scores.floor < *seq)
            .map(|((ident, _), _)| *ident)
            .collect();
        if std::mem::take(&mut self.recent_overflowed) || scores.seqs.len() != asked.len() {
            lost = vec![self.settings.namespace];
        }
        if !lost.is_empty() {
            self.taint(&lost);
        }
    }

    fn on_issued(&mut self, ticket: Ticket, idents: &[Ident], issued: Issued, now: Moment) {
        if self.incarnation() != Some(issued.position.incarnation) {
            // It went into another life of the log: whatever we hold is void, and the new one knows of it.
            self.join(ticket.sent, issued.position);
        }
        self.raise(idents, issued.position.seq, now);
        for ident in idents {
            self.pending.settle(ident, ticket.epoch);
        }
        self.follow(issued.previous, issued.position.seq);
    }

    fn on_lookup(&mut self, ticket: Ticket, position: Option<Position>, now: Moment) {
        let Membership::Joined(incarnation) = self.membership else { return };
        let sound = position.is_some_and(|at| at.incarnation == incarnation && at.seq >= ticket.highest);
        if !sound && ticket.generation == self.generation {
            self.next_poll = now;
        }
    }

    /// Whether `position` belongs to another life of the log, or to one that has lost something; if so, deals with it.
    fn is_foreign(&mut self, ticket: Ticket, position: Position) -> bool {
        if self.incarnation() != Some(position.incarnation) {
            self.join(ticket.sent, position);
            true
        } else if ticket.generation == self.generation && position.seq < ticket.highest {
            self.regress(position.seq);
            true
        } else {
            false
        }
    }

    /// Starts over at `position`: nothing that is held counts any more.
    fn join(&mut self, sent: Moment, position: Position) {
        self.membership = Membership::Joined(position.incarnation);
        self.highest = position.seq;
        self.recent.clear();
        self.recent_overflowed = false;
        self.table.clear();
        self.generation += 1;
        self.wants = Wants { retry_at: self.wants.retry_at, ..Wants::default() };
        self.owed = None;
        self.flush(position.seq);
        self.grant(sent);
    }

    /// The log has fallen back to `seq`. L1 goes; what was acknowledged lately is looked for and issued again, above
    /// every number ever seen.
    fn regress(&mut self, seq: Seq) {
        self.generation += 1;
        self.wants.audit = true;
        self.wants.bump = true;
        self.wants.catch_up = false;
        self.owed = None;
        self.flush(seq);
    }

    /// Forgets L1 and begins to follow the log after `seq`.
    fn flush(&mut self, seq: Seq) {
        self.epoch += 1;
        self.epoch_floor = self.epoch;
        self.applied = seq;
        self.floor = seq;
    }

    /// Gives the lease that a poll sent at `sent` has earned.
    fn grant(&mut self, sent: Moment) {
        if self.wants.audit || self.wants.bump {
            return;
        }
        self.lease_until = self.lease_until.max(sent.after(self.settings.lease));
        self.lapse = None;
        self.unsynced = false;
    }

    fn settle_owed(&mut self) {
        if let Some((sent, seq)) = self.owed
            && self.applied >= seq
        {
            self.owed = None;
            self.grant(sent);
        }
    }

    fn notice_lapse(&mut self, now: Moment) {
        let joined = matches!(self.membership, Membership::Joined(_));
        if joined && self.lapse.is_none() && now >= self.lease_until {
            self.lapse = Some(now);
            self.wants.poll_first = true;
            self.wants.retry_at = Moment::default();
        }
    }

    /// Notes confirmed invalidations.
    fn raise(&mut self, idents: &[Ident], seq: Seq, now: Moment) {
        self.highest = self.highest.max(seq);
        for ident in idents {
            self.table.raise(*ident, seq);
            self.recent.push_back((now, *ident, seq));
        }
        if self.table.len() > self.settings.max_idents
            && let Some(cut) = self.table.cut()
        {
            self.floor = self.floor.max(cut);
        }
        while self.recent.len() > self.settings.max_audited {
            self.recent.pop_front();
            self.recent_overflowed = true;
        }
        self.recent_within(now);
        self.epoch += 1;
    }

    /// Notes invalidations that L2 does not know of.
    fn taint(&mut self, idents: &[Ident]) {
        self.epoch += 1;
        for ident in idents {
            self.pending.raise(*ident, self.epoch);
        }
        if self.pending.len() > self.settings.max_pending {
            self.pending.clear();
            self.pending.raise(self.settings.namespace, self.epoch);
        }
    }

    /// Drops what is too old to be audited.
    fn recent_within(&mut self, now: Moment) {
        let oldest = now.before(self.settings.audit_window);
        while self.recent.front().is_some_and(|(at, ..)| *at < oldest) {
            self.recent.pop_front();
        }
    }

    /// Between polls, and before something that failed is tried again.
    fn pause(&self) -> Duration {
        self.settings.lease / 4
    }
}

/// How many idents one re-issued invalidation carries at most.
const REISSUE_BATCH: usize = 1000;
