//! What surrounds the instances in the search: L2, the bus, the origin and what was promised so far.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use arrayvec::ArrayVec;

use super::disk::{Disk, Frame, Noted, Roll};
use super::names::{ANY, COVERS, ENTRY, IDENTS, KEY, NS, PATTERN, ident, incarnation, number, secrets};
use super::scenario::{Budget, Flaw, Scenario};
use crate::coherence::protocol::{Failover, Settings, Ticket};
use crate::coherence::state::State;
use crate::coherence::{Action, Event, Reply};
use crate::entry::{Seq, Stamp};
use crate::l2::{Incarnation, Issued, Message, Notice, Page, Position, Scores};
use crate::pattern::Shape;
use crate::tag::Ident;
use crate::time::Moment;

/// Nanoseconds in a tick. The lease is one less than a multiple of it, so that a moment is never on its edge.
pub(super) const TICK: u64 = 4;

pub(super) const fn moment(tick: u8) -> Moment {
    Moment::from_nanos(tick as u64 * TICK)
}

/// What somebody was promised about a version of the origin's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Promise {
    /// The instance that invalidated; [`ELSEWHERE`] for one outside the search.
    pub(super) by: usize,
    pub(super) since: u8,
    pub(super) seq: Seq,
    /// `Ok` was returned; else `Err(Unconfirmed)`, which binds the issuer alone.
    pub(super) confirmed: bool,
    /// A failover has lost it, and nobody has issued it again.
    pub(super) lost: bool,
    /// In which life of the log it was issued.
    pub(super) life: u8,
    /// Who has waited for it has been told that it holds everywhere.
    pub(super) everywhere: bool,
}

pub(super) const ELSEWHERE: usize = 9;
/// Versions of the origin's that a scenario counts at most, the first included.
pub(super) const VERSIONS: usize = 4;

/// An invalidation under way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Invalidation {
    pub(super) by: usize,
    pub(super) version: u8,
    pub(super) ticket: Ticket,
    /// What L2 answered, if it has got there; the answer may be lost.
    pub(super) issued: Option<Issued>,
    /// The caller has given up; it may still land.
    pub(super) abandoned: bool,
}

/// The entry in L1.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) value: u8,
    pub(super) stamp: Stamp,
    pub(super) checked: Option<u64>,
    /// A soft invalidation has ended its freshness.
    pub(super) stale: bool,
}

/// What a fill rests on: its stamp, and the incarnation that it may be stored in.
pub(super) type Grounds = (Stamp, Option<Incarnation>);

/// Whether what a fill brings may be served without validation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    Fresh,
    Stale,
}

/// How far a fill has got.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Stage {
    Looked(Option<Frame>),
    Asking(Frame),
    Scored(Frame, Option<Scores>),
    Missed(Grounds),
    Put(u8, Grounds, Freshness),
    Store(u8, Stamp, Incarnation),
}

/// A fill. `must` are the versions, as bits, that a lookup begun when this one was may not fall behind; `must_here`
/// those that this instance promised.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Flight {
    pub(super) ticket: Ticket,
    /// What the fill rests on if the lookup tells nothing.
    pub(super) local: Grounds,
    pub(super) position: Option<Position>,
    pub(super) must: u8,
    pub(super) must_here: u8,
    pub(super) stage: Stage,
}

/// One instance: the production state and what the crate around it holds.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) state: State,
    pub(super) subscribed: bool,
    pub(super) queue: VecDeque<Notice>,
    pub(super) bus_up: bool,
    pub(super) commands_up: bool,
    /// What will be answered to the action in flight.
    pub(super) reply: Option<Reply>,
    pub(super) held: Option<Held>,
    pub(super) flight: Option<Flight>,
    /// What a waiting follower may not fall behind.
    pub(super) follower: Option<u8>,
    /// The last tick at which it is known that L2 could not be reached.
    pub(super) out_of_reach: Option<u8>,
    /// Where failovers flush: the last tick at which it has heard that its bus is lost.
    pub(super) bus_lost: Option<u8>,
}

impl Node {
    pub(super) fn is_quiet(&self) -> bool {
        let wants = self.state.wants;
        let idle = self.state.in_flight.is_none() && self.state.pending.is_empty();
        let done = !wants.open && !wants.audit && !wants.bump && !wants.catch_up;
        idle && done && self.subscribed && self.queue.is_empty() && self.bus_up && self.commands_up
    }

    /// All that the entry answers to, as far as the instance knows.
    pub(super) fn named(&self) -> Cow<'static, [Ident]> {
        self.state.named(&ENTRY, &KEY)
    }

    pub(super) fn on_event(&mut self, event: Event, now: u8) {
        self.state.on_event(event, moment(now));
    }
}

/// Everything there is.
#[derive(Clone)]
pub(super) struct World {
    pub(super) now: u8,
    /// The highest number ever issued by any server: time.
    pub(super) clock: Seq,
    pub(super) origin: u8,
    pub(super) l2: Disk,
    pub(super) replica: Disk,
    /// The replica has been brought up to date since the last failover.
    pub(super) copied: bool,
    /// Where the log stood on the new server and on the old one when it failed over.
    pub(super) failover: Option<(Seq, Seq)>,
    pub(super) promises: [Option<Promise>; VERSIONS],
    pub(super) invalidations: ArrayVec<Invalidation, 2>,
    pub(super) nodes: [Rc<Node>; 2],
    pub(super) left: Budget,
}

impl World {
    /// The epoch that joining begins.
    pub(super) const FIRST_EPOCH: u64 = 1;

    /// Both instances joined and subscribed, nothing cached.
    pub(super) fn new(scenario: &Scenario) -> Self {
        let mut world = Self {
            now: 0,
            clock: 0,
            origin: 0,
            l2: Disk::EMPTY,
            replica: Disk::EMPTY,
            copied: false,
            failover: None,
            promises: [None; VERSIONS],
            invalidations: ArrayVec::new(),
            nodes: [0, 1].map(|_| Rc::new(node(scenario))),
            left: scenario.budget,
        };
        world.open(scenario);
        for k in 0..2 {
            let at = world.l2.position().unwrap_or_else(|| unreachable!("just opened"));
            let node = world.node(k);
            let opened = node.state.next_action(moment(0));
            assert_eq!(opened, Some(Action::Open));
            node.on_event(Event::Done(Reply::Opened(at)), 0);
            node.on_event(Event::Notice(Notice::Server(Some(server(scenario, scenario.budget)))), 0);
            world.attend(k, scenario);
        }
        world.replica = world.l2;
        world
    }

    pub(super) fn node(&mut self, k: usize) -> &mut Node {
        Rc::make_mut(&mut self.nodes[k])
    }

    pub(super) fn position(&self) -> Option<Position> {
        self.l2.position()
    }

    /// Instance `k` is subscribed again.
    pub(super) fn resubscribe(&mut self, k: usize, scenario: &Scenario) {
        let server = server(scenario, self.left);
        let node = self.node(k);
        node.subscribed = true;
        node.queue.push_back(Notice::Subscribed);
        if scenario.failover == Failover::Flush {
            node.queue.push_back(Notice::Server(Some(server)));
        }
    }

    /// Whether instance `k` flushes when a server takes over and has noticed that its bus is lost: then nothing lost excuses it.
    pub(super) fn is_flushed(&self, k: usize, scenario: &Scenario) -> bool {
        scenario.failover == Failover::Flush && !self.nodes[k].queue.contains(&Notice::Lost)
    }

    fn next_seq(&mut self, at_least: Seq, scenario: &Scenario) -> Seq {
        let last = if scenario.flaw == Some(Flaw::SeqReuse) { self.l2.seq } else { self.clock };
        let seq = last.max(at_least).max(self.l2.seq) + 1;
        self.clock = self.clock.max(seq);
        seq
    }

    /// [`L2::open`](crate::l2::L2::open).
    pub(super) fn open(&mut self, scenario: &Scenario) -> Position {
        if self.l2.life == 0 {
            let life = 1 + scenario.budget.flushes - self.left.flushes;
            let seq = self.next_seq(0, scenario);
            let new = life > 1 && scenario.flaw != Some(Flaw::RollForgetsItsAge);
            let roll = Roll { begun: new.then_some(self.now), ..Disk::EMPTY.roll };
            self.l2 = Disk { life, seq, roll, ..Disk::EMPTY };
        }
        Position { incarnation: incarnation(self.l2.life), seq: self.l2.seq }
    }

    /// [`L2::attend`](crate::l2::L2::attend).
    pub(super) fn attend(&mut self, k: usize, scenario: &Scenario) -> Option<Position> {
        let position = self.position()?;
        if scenario.budget.waits > 0 && scenario.roles[k].driven {
            let state = &self.nodes[k].state;
            let seq = if scenario.flaw == Some(Flaw::RollNotesAhead) { position.seq } else { state.applied };
            let applied = state.incarnation().map(|incarnation| Position { incarnation, seq });
            self.l2.roll.noted[k] = Some(Noted { applied, at: self.now });
        }
        Some(position)
    }

    /// Whether who waits for the invalidation behind `promise` is told that it holds everywhere: by
    /// [`L2::roll`](crate::l2::L2::roll), or since all leases of that time are over.
    pub(super) fn holds_everywhere(&self, promise: &Promise, scenario: &Scenario) -> bool {
        let over = |at: u8| at + scenario.lease <= self.now;
        let reached = incarnation(promise.life);
        let behind = |noted: &Noted| {
            let there = noted.applied.is_some_and(|at| at.incarnation == reached && at.seq >= promise.seq);
            !there && !over(noted.at) && scenario.flaw != Some(Flaw::RollAsksNobody)
        };
        let roll = &self.l2.roll;
        // What was noted of another life of the log says nothing.
        let asked = promise.life == self.l2.life && roll.noted.iter().flatten().any(behind);
        let complete = self.l2.life > 0 && roll.begun.is_none_or(over) && !asked;
        over(promise.since) || complete
    }

    /// [`L2::invalidate`](crate::l2::L2::invalidate).
    pub(super) fn invalidate(&mut self, idents: &[Ident], at_least: Seq, scenario: &Scenario) -> Issued {
        self.open(scenario);
        let previous = self.l2.seq;
        let seq = self.next_seq(at_least, scenario);
        self.l2.seq = seq;
        let known = idents.iter().filter_map(|ident| self.l2.seq_of(*ident));
        let last = known.fold(self.l2.floor, Seq::max);
        for ident in idents {
            let n = number(*ident).unwrap_or_else(|| unreachable!("nobody invalidates others"));
            self.l2.log[n] = Some((seq, self.now));
            self.l2.shape |= n == PATTERN;
        }
        self.l2.trim(self.now, scenario);
        let position = Position { incarnation: incarnation(self.l2.life), seq };
        let message = Message { incarnation: position.incarnation, seq, previous, idents: idents.to_vec() };
        for k in 0..2 {
            if self.nodes[k].subscribed && scenario.roles[k].bus {
                self.node(k).queue.push_back(Notice::Message(message.clone()));
            }
        }
        if idents.iter().any(|ident| ANY.map(self::ident).contains(ident)) {
            for promise in self.promises.iter_mut().flatten().filter(|promise| promise.lost) {
                (promise.lost, promise.since, promise.seq) = (false, self.now, seq);
            }
        }
        Issued { position, previous, last }
    }

    /// The position moves on because it has stood still too long; no message is sent.
    pub(super) fn move_on(&mut self, scenario: &Scenario) {
        let seq = self.next_seq(0, scenario);
        self.l2.seq = seq;
        self.l2.trim(self.now, scenario);
    }

    /// [`L2::catch_up`](crate::l2::L2::catch_up).
    pub(super) fn page(&self, after: Seq, scenario: &Scenario) -> Option<Page> {
        let position = self.position()?;
        let mut idents: Vec<(Ident, Seq)> = (0..IDENTS)
            .filter_map(|n| self.l2.log[n].map(|(seq, _)| (ident(n), seq)))
            .filter(|(_, seq)| *seq > after)
            .collect();
        idents.sort_by_key(|(_, seq)| *seq);
        let upto = if idents.len() > scenario.page {
            idents.truncate(scenario.page);
            idents.last().map_or(position.seq, |(_, seq)| *seq)
        } else {
            position.seq
        };
        Some(Page { position, floor: self.l2.floor, upto, idents })
    }

    /// [`L2::scores`](crate::l2::L2::scores).
    pub(super) fn scores(&self, idents: &[Ident]) -> Option<Scores> {
        let seqs = idents.iter().map(|ident| self.l2.seq_of(*ident)).collect();
        let shapes = Shape::of_ident(COVERS.as_bytes()).filter(|_| self.l2.shape).into_iter().collect();
        Some(Scores { position: self.position()?, floor: self.l2.floor, seqs, shapes })
    }

    /// [`L2::store`](crate::l2::L2::store).
    pub(super) fn store(&mut self, value: u8, stamp: Seq, life: Incarnation, scenario: &Scenario) -> bool {
        let Some(position) = self.position() else { return false };
        let at = Position { incarnation: position.incarnation, seq: stamp };
        let refused = position.incarnation != life
            || stamp < self.l2.floor
            || stamp > position.seq
            || self.l2.entry_seq() > stamp;
        let newer =
            self.l2.frame.is_some_and(|frame| frame.at.incarnation == at.incarnation && frame.at.seq > stamp);
        let unchecked = scenario.flaw == Some(Flaw::NoStoreCheck);
        let incarnation = if unchecked { life } else { at.incarnation };
        if (refused || newer) && !unchecked {
            return false;
        }
        self.l2.frame = Some(Frame { value, at: Position { incarnation, seq: stamp } });
        true
    }

    /// What an instance answers for from now on.
    pub(super) fn promise(&mut self, version: u8, by: usize, seq: Seq, confirmed: bool) {
        let lost = confirmed
            && self.failover.is_some_and(|(new, old)| new < seq && seq <= old && self.l2.fresh_seq() <= old);
        let (since, life) = (self.now, self.l2.life);
        self.promises[usize::from(version)] =
            Some(Promise { by, since, seq, confirmed, lost, life, everywhere: false });
    }

    /// The versions, as bits, whose promise satisfies `which`.
    pub(super) fn promised(&self, which: impl Fn(&Promise) -> bool) -> u8 {
        let kept = self.promises.iter().enumerate().filter(|(_, p)| p.as_ref().is_some_and(&which));
        kept.fold(0, |bits, (version, _)| bits | 1 << version)
    }

    /// The versions that a lookup begun now may not fall behind.
    pub(super) fn must(&self) -> u8 {
        self.promised(|promise| promise.confirmed && !promise.lost)
    }

    /// The versions that a request to instance `k` may not fall behind.
    pub(super) fn must_here(&self, k: usize) -> u8 {
        self.promised(|promise| promise.by == k)
    }

    /// An invalidation that the issuer has queued is confirmed at last.
    pub(super) fn confirm_queued(&mut self, k: usize, issued: Option<Seq>) {
        let Some(seq) = issued else { return };
        if self.nodes[k].state.is_tainted(&ANY.map(ident)) {
            return;
        }
        for version in 0..VERSIONS as u8 {
            if self.promises[usize::from(version)].is_some_and(|p| p.by == k && !p.confirmed) {
                self.promise(version, k, seq, true);
            }
        }
    }
}

/// The name of the server that is there when so much is left.
fn server(scenario: &Scenario, left: Budget) -> String {
    (scenario.budget.failovers - left.failovers).to_string()
}

fn node(scenario: &Scenario) -> Node {
    let mut settings = Settings::new(&secrets());
    settings.namespace = ident(NS);
    settings.failover = scenario.failover;
    settings.lease = Duration::from_nanos(u64::from(scenario.lease) * TICK - 1);
    settings.partition_grace = Duration::from_nanos(u64::from(scenario.grace) * TICK);
    settings.max_idents = scenario.max_idents;
    settings.max_pending = scenario.max_pending;
    settings.max_audited = scenario.max_audited;
    settings.audit_window = Duration::from_nanos(u64::from(scenario.audit_window) * TICK);
    let mut state = State::apart(settings);
    state.knocked_out = scenario.knocked_out;
    Node {
        state,
        subscribed: true,
        queue: VecDeque::new(),
        bus_up: true,
        commands_up: true,
        reply: None,
        held: None,
        flight: None,
        follower: None,
        out_of_reach: None,
        bus_lost: None,
    }
}
