//! The protocol of one instance as a state machine without I/O.

use std::collections::VecDeque;
use std::time::Duration;

use super::idents::IdentMap;
use super::mechanism::Mechanism;
use super::protocol::{Action, Event, Reply, Settings, Ticket};
use crate::entry::{Seq, Stamp};
use crate::l2::{Incarnation, Issued, Message, Notice, Page, Position};
use crate::pattern::Shapes;
use crate::tag::Ident;
use crate::time::Moment;

/// How the instance stands to L2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Membership {
    /// There is no L2.
    Alone,
    /// There is one, and it has not been reached yet.
    Apart,
    /// There is one, and others are in the namespace that do not go together with this instance.
    Refused,
    /// The instance follows this incarnation's log.
    Joined(Incarnation),
}

/// Which server the bus is with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Server {
    /// It has not told yet.
    #[default]
    Untold,
    /// This one, where it has a name.
    Named(Option<String>),
}

/// The protocol of one instance.
///
/// **Invariant:** the table knows every invalidation in `(floor, applied]`, and possibly later ones.
/// **Invariant:** the epoch grows with every change of the table, of the pending idents and of both floors.
#[derive(Clone)]
pub struct State {
    pub(super) settings: Settings,
    pub(super) membership: Membership,
    /// Up to here the log has been applied without a gap.
    pub(super) applied: Seq,
    /// The highest number seen or issued: L2 may never fall behind it.
    pub(super) highest: Seq,
    /// When it was seen first.
    pub(super) highest_at: Moment,
    /// How far the pages of a log that has more of them have been read, in which generation. That is not applied: the log
    /// has each ident once, and one that was named in what has been read may have moved to what has not.
    pub(super) read: Option<(u64, Seq)>,
    /// The table knows nothing about invalidations up to here; an entry stamped below is dead.
    pub(super) floor: Seq,
    pub(super) table: IdentMap,
    /// Invalidations that L2 has not confirmed, with the epoch they took effect at.
    pub(super) pending: IdentMap,
    /// When each of them was queued, in nanoseconds.
    pub(super) queued_at: IdentMap,
    /// The shapes of patterns that may have been invalidated.
    pub(super) shapes: Shapes,
    pub(super) epoch: u64,
    /// Entries whose fill began before this epoch are dead.
    pub(super) epoch_floor: u64,
    pub(super) lease_until: Moment,
    /// When the instance noticed that its lease had run out.
    pub(super) lapse: Option<Moment>,
    /// Until when L1 is served though the lease has run out: a poll that failed excuses it for as long as one that was
    /// answered would have vouched for it. A process that sleeps longer has to ask again.
    pub(super) unsynced: Option<Moment>,
    pub(super) next_poll: Moment,
    /// A lease that a poll has earned but that waits until the log is applied up to here.
    pub(super) owed: Option<(Moment, Seq)>,
    /// What was acknowledged lately, oldest first.
    pub(super) recent: VecDeque<(Moment, Ident, Seq)>,
    /// When the last one was forgotten for lack of room.
    pub(super) forgot_recent: Option<Moment>,
    /// Which server the bus is with.
    pub(super) server: Server,
    /// It may be another one by now.
    pub(super) suspects: bool,
    pub(super) wants: Wants,
    pub(super) in_flight: Option<(Ticket, Action)>,
    /// Grows when the instance starts over and with each subscription: answers to older actions are void, since they may
    /// come from a server that is gone.
    pub(super) generation: u64,
    /// What a test has removed, to see that it is missed.
    #[cfg(any(test, mutants))]
    pub(super) knocked_out: Option<Mechanism>,
}

/// What has to be done, most urgent first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Wants {
    pub(super) open: bool,
    pub(super) audit: bool,
    pub(super) bump: bool,
    pub(super) catch_up: bool,
    /// Something failed: find out first whether L2 can be reached at all, and not before `retry_at`.
    pub(super) poll_first: bool,
    pub(super) retry_at: Moment,
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
            highest_at: Moment::default(),
            read: None,
            floor: 0,
            table: IdentMap::default(),
            pending: IdentMap::default(),
            queued_at: IdentMap::default(),
            shapes: Shapes::default(),
            epoch: 0,
            epoch_floor: 0,
            lease_until: Moment::default(),
            lapse: None,
            unsynced: None,
            next_poll: Moment::default(),
            owed: None,
            recent: VecDeque::new(),
            forgot_recent: None,
            server: Server::default(),
            suspects: false,
            wants: Wants::default(),
            in_flight: None,
            generation: 0,
            #[cfg(mutants)]
            knocked_out: Mechanism::left_out(),
            #[cfg(all(test, not(mutants)))]
            knocked_out: None,
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
            Membership::Alone | Membership::Apart | Membership::Refused => None,
        }
    }

    /// Whether there is an L2 that the instance has never reached.
    #[must_use]
    pub fn is_apart(&self) -> bool {
        self.membership == Membership::Apart
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
            Event::Unconfirmed(idents) => self.taint(&idents, now),
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
            self.next_poll
        };
        // A lapse is noticed at once, whatever waits for its next try: only then can the grace begin.
        let joined = matches!(self.membership, Membership::Joined(_));
        let lapses = if joined && self.lapse.is_none() { self.lease_until } else { Moment::NEVER };
        due.max(self.wants.retry_at).min(lapses)
    }

    fn choose(&mut self, now: Moment) -> Option<Action> {
        let joined = matches!(self.membership, Membership::Joined(_));
        if joined && std::mem::take(&mut self.wants.poll_first) {
            return Some(Action::Poll);
        }
        if self.wants.open || !joined {
            return Some(Action::Open);
        }
        // A wish is taken back when it is acted upon, not when the answer comes: it may arise again in between.
        if std::mem::take(&mut self.wants.audit) {
            return Some(Action::Audit(self.recent.iter().map(|(_, ident, seq)| (*ident, *seq)).collect()));
        }
        if self.wants.bump || !self.pending.is_empty() {
            let idents = self.pending.iter().map(|(ident, _)| ident).take(REISSUE_BATCH).collect();
            return Some(Action::Reissue(idents, self.highest));
        }
        if std::mem::take(&mut self.wants.catch_up) {
            return Some(Action::CatchUp(self.read_up_to()));
        }
        (now >= self.next_poll).then_some(Action::Poll)
    }

    fn on_notice(&mut self, notice: Notice, now: Moment) {
        if !matches!(self.membership, Membership::Joined(_)) {
            match notice {
                // Where the bus can be reached the rest can be, too: no need to sit out the pause.
                Notice::Subscribed => self.wants.retry_at = Moment::default(),
                Notice::Server(name) => self.server = Server::Named(name),
                _ => {}
            }
            return;
        }
        match notice {
            Notice::Message(message) => self.on_message(message, now),
            Notice::Lagged | Notice::Malformed => self.wants.catch_up = true,
            Notice::Subscribed => {
                // Another server may have taken over, without some of what the old one had acknowledged.
                self.generation += u64::from(!self.lacks(Mechanism::VoidAnswers));
                self.want_audit();
                self.wants.retry_at = Moment::default();
                self.next_poll = now;
                if self.lacks(Mechanism::Resync) {
                    self.grant(now);
                }
            }
            Notice::Report => self.next_poll = now,
            Notice::Server(name) => self.on_server(name),
            Notice::Lost => {
                self.next_poll = now;
                self.suspect();
            }
            // Says nothing of what is invalid.
            Notice::Released(_) => {}
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
        } else if previous == self.applied || self.lacks(Mechanism::GapDetection) {
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
        let void = ticket.generation != self.generation;
        match (action, reply) {
            (Action::Reissue(idents, _), Reply::Issued(issued)) => {
                self.wants.bump &= void;
                self.on_issued(ticket, &idents, issued, now);
            }
            (action, Reply::Failed) => self.on_failure(ticket, &action, now),
            (action, Reply::Refused) => {
                // Others invalidate where this instance does not hear it. If it is let in, it starts over.
                (self.membership, self.wants.open) = (Membership::Refused, true);
                self.on_failure(ticket, &action, now);
            }
            (action, _) if void => self.want_again(&action, now),
            (Action::Open, Reply::Opened(position)) => {
                self.wants.open = false;
                self.on_position(ticket, position);
            }
            (Action::Poll, Reply::Polled(answer)) => {
                let sent = if self.lacks(Mechanism::LeaseFromSend) { now } else { ticket.sent };
                let ticket = Ticket { sent, ..ticket };
                match answer {
                    Some(position) => self.on_position(ticket, position),
                    None => self.wants.open = true,
                }
            }
            (Action::CatchUp(_), Reply::Page(page)) => self.on_page(ticket, page, now),
            (Action::Audit(asked), Reply::Scores(scores)) => self.on_audit(ticket, &asked, &scores, now),
            // An answer to something else: as good as none.
            (action, _) => self.on_failure(ticket, &action, now),
        }
    }

    fn on_failure(&mut self, ticket: Ticket, action: &Action, now: Moment) {
        self.want_again(action, now);
        self.wants.poll_first = true;
        self.wants.retry_at = ticket.sent.after(self.pause());
        // Only a poll tells whether L2 can be reached at all: it goes over both connections. And it tells that of when it
        // was sent: the process may have slept over its answer.
        let polled = *action == Action::Poll || self.lacks(Mechanism::GraceFromPoll);
        if polled && self.lapse.is_some() {
            let sent = if self.lacks(Mechanism::GraceFromSend) { now } else { ticket.sent };
            let until = sent.after(self.settings.lease);
            self.unsynced = Some(until);
            if until <= now {
                self.wants.retry_at = now;
            }
        }
    }

    /// Has what `action` was to find out asked again.
    fn want_again(&mut self, action: &Action, now: Moment) {
        match action {
            Action::Poll => self.next_poll = now,
            Action::CatchUp(_) => self.wants.catch_up = true,
            Action::Audit(_) => self.wants.audit = !self.lacks(Mechanism::AuditRetry),
            // These stay wanted until they are answered.
            Action::Open | Action::Reissue(..) => {}
        }
    }

    /// Whether a test has removed `mechanism`.
    #[cfg(any(test, mutants))]
    pub(super) fn lacks(&self, mechanism: Mechanism) -> bool {
        self.knocked_out == Some(mechanism)
    }

    #[cfg(not(any(test, mutants)))]
    #[expect(clippy::unused_self, reason = "the tests' version looks into the state")]
    pub(super) const fn lacks(&self, _: Mechanism) -> bool {
        false
    }

    /// A position: the same life of the log, further on, or not?
    fn on_position(&mut self, ticket: Ticket, position: Position) {
        let next_poll = ticket.sent.after(self.pause());
        self.next_poll = next_poll;
        let known = self.incarnation();
        if self.is_foreign(ticket, position) {
            if known != Some(position.incarnation) {
                // It was noted in that life who has asked.
                self.next_poll = next_poll;
                self.grant(ticket.sent);
            }
            return;
        }
        self.note(position.seq, ticket.sent);
        if position.seq > self.applied && !self.lacks(Mechanism::ApplyBeforeLease) {
            self.wants.catch_up = true;
            self.owed = Some((ticket.sent, position.seq));
        } else {
            self.grant(ticket.sent);
        }
    }

    fn on_page(&mut self, ticket: Ticket, page: Page, now: Moment) {
        if self.is_foreign(ticket, page.position) {
            return;
        }
        let complete = page.upto >= page.position.seq;
        self.wants.catch_up |= !complete;
        self.note(page.position.seq, ticket.sent);
        if page.floor > self.read_up_to() && !self.lacks(Mechanism::PageFloor) {
            // The log was cut beyond where we are.
            self.flush(page.position.seq);
        } else {
            for (ident, seq) in page.idents {
                self.raise(&[ident], seq, now);
            }
            if complete || self.lacks(Mechanism::PageEnd) {
                self.applied = self.applied.max(page.position.seq);
            } else if self.lacks(Mechanism::PageMoves) {
                self.applied = self.applied.max(page.upto);
            } else {
                self.read = Some((self.generation, page.upto));
            }
        }
        self.settle_owed();
    }

    /// Up to where the log has been read, by messages or pages.
    pub(super) fn read_up_to(&self) -> Seq {
        let read = self.read.filter(|(generation, _)| *generation == self.generation);
        read.map_or(self.applied, |(_, seq)| seq.max(self.applied))
    }

    fn on_issued(&mut self, ticket: Ticket, idents: &[Ident], issued: Issued, now: Moment) {
        let void = ticket.generation != self.generation;
        if self.incarnation() != Some(issued.position.incarnation) {
            if void {
                // One of two lives is over, and which is for a poll to find out.
                self.taint(idents, now);
                self.next_poll = now;
                return;
            }
            // It went into another life of the log: whatever we hold is void, and the new one knows of it.
            self.join(ticket.sent, issued.position);
        }
        self.raise(idents, issued.position.seq, now);
        for ident in idents {
            let settled = if self.lacks(Mechanism::SettleByTicket) { self.epoch } else { ticket.epoch };
            self.pending.settle(ident, settled);
            if self.pending.get(ident).is_none() {
                self.queued_at.settle(ident, u64::MAX);
            }
        }
        self.follow(issued.previous, issued.position.seq);
        if void && !self.lacks(Mechanism::AuditLateAnswer) {
            // The server that confirmed it may be gone, and the audit that its end called for over.
            self.want_audit();
        }
    }

    fn on_lookup(&mut self, ticket: Ticket, position: Option<Position>, now: Moment) {
        let Membership::Joined(incarnation) = self.membership else { return };
        let sound = position.is_some_and(|at| at.incarnation == incarnation && at.seq >= ticket.highest);
        if !sound && ticket.generation == self.generation {
            self.next_poll = now;
        }
    }

    /// Whether `position` belongs to another life of the log, or to one that has lost something; if so, deals with it.
    pub(super) fn is_foreign(&mut self, ticket: Ticket, position: Position) -> bool {
        if self.incarnation() != Some(position.incarnation) {
            self.join(ticket.sent, position);
            return true;
        }
        let seen = if self.lacks(Mechanism::RegressionAtSend) { self.highest } else { ticket.highest };
        // A fall that is known stays visible until the log has been moved on: it must not be dealt with over and over.
        let known = self.wants.bump && position.seq >= self.applied;
        let fell = position.seq < seen && !known;
        if fell {
            self.regress(position.seq);
        }
        fell
    }

    /// Starts over at `position`: nothing that is held counts any more. What L2 is told of next is that this instance is there:
    /// before that no lease is granted, or nobody who waits for all instances would wait for this one.
    fn join(&mut self, sent: Moment, position: Position) {
        self.membership = Membership::Joined(position.incarnation);
        (self.highest, self.highest_at) = (position.seq, sent);
        self.recent.clear();
        self.forgot_recent = None;
        self.table.clear();
        self.generation += 1;
        self.wants = Wants { retry_at: self.wants.retry_at, ..Wants::default() };
        self.owed = None;
        self.next_poll = Moment::default();
        self.flush(position.seq);
    }

    /// The log has fallen back to `seq`. L1 goes; what was acknowledged lately is looked for and issued again, above
    /// every number ever seen.
    fn regress(&mut self, seq: Seq) {
        self.generation += 1;
        self.wants.audit = true;
        self.wants.bump = !self.lacks(Mechanism::Bump);
        self.wants.catch_up = false;
        self.owed = None;
        self.flush(seq);
        self.flush_all();
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
        if self.suspects && !self.lacks(Mechanism::SuspectedPolls) {
            return;
        }
        if self.lapse.take().is_some() {
            // L2 is back, and another server may stand in its place.
            self.want_audit();
        }
        self.lease_until = self.lease_until.max(sent.after(self.settings.lease));
        self.unsynced = None;
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
        self.note(seq, now);
        self.learn_from(idents);
        for ident in idents {
            self.table.raise(*ident, seq);
            self.recent.push_back((now, *ident, seq));
        }
        if self.table.len() > self.settings.max_idents
            && let Some(cut) = self.table.cut()
            && !self.lacks(Mechanism::CutRaisesFloor)
        {
            self.floor = self.floor.max(cut);
        }
        while self.recent.len() > self.settings.max_audited {
            self.recent.pop_front();
            self.forgot_recent = Some(now);
        }
        self.forget_recent();
        self.epoch += 1;
    }

    /// The last epoch at which one of the idents was invalidated without L2 knowing of it; zero for never.
    pub(super) fn last_tainted(&self, idents: &[Ident]) -> u64 {
        idents.iter().filter_map(|ident| self.pending.get(ident)).max().unwrap_or(0)
    }

    /// Notes invalidations that L2 does not know of.
    pub(super) fn taint(&mut self, idents: &[Ident], now: Moment) {
        self.learn_from(idents);
        self.epoch += 1;
        for ident in idents {
            self.pending.raise(*ident, self.epoch);
            self.queued_at.raise(*ident, now.as_nanos());
        }
        if self.pending.len() > self.settings.max_pending {
            self.pending.clear();
            self.queued_at.clear();
            if self.lacks(Mechanism::PendingOverflow) {
                return;
            }
            self.pending.raise(self.settings.namespace, self.epoch);
        }
    }

    /// Between polls, and before something that failed is tried again.
    fn pause(&self) -> Duration {
        self.settings.lease / 4
    }
}

/// How many idents one re-issued invalidation carries at most.
const REISSUE_BATCH: usize = 1000;
