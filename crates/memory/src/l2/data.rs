//! What the server holds and how operations change it: each method is one atomic step.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use forebay_core::entry::Seq;
use forebay_core::holds::Holds;
use forebay_core::key::Key;
use forebay_core::l2::{
    Claim, Held, Holding, Incarnation, Issued, Lookup, MAX_HOLD, Message, Notice, Page, Position, Presence,
    Refusal, Roll, Scores, Store, Stored, Tend, Tenure, Token,
};
use forebay_core::pattern::{MAX_SHAPES, Shape};
use forebay_core::tag::Ident;
use tokio::time::Instant;

use super::bus::Bus;
use super::leases::Leases;
use super::register::Register;

/// What a [`MemoryServer`](super::MemoryServer) is tuned by.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many idents the log keeps. Default 200,000.
    pub max_log: usize,
    /// How long the log keeps them. Default 25 h.
    pub retention: Duration,
    /// The longest fill that may be stored. Default 60 s.
    pub max_fill: Duration,
    /// How old a position may get before a poll moves it on. Default 30 s.
    pub tick: Duration,
    /// How many idents a page of the log has, unless more share its last number. Default 1000.
    pub page: usize,
    /// How many notices wait for a subscriber; the last place is kept for
    /// [`Notice::Lagged`](forebay_core::l2::Notice::Lagged). Default 4096.
    pub bus_capacity: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_log: 200_000,
            retention: Duration::from_secs(25 * 3600),
            max_fill: Duration::from_secs(60),
            tick: Duration::from_secs(30),
            page: 1000,
            bus_capacity: 4096,
        }
    }
}

pub(super) struct Data {
    pub(super) settings: Arc<Settings>,
    pub(super) kept: Kept,
    pub(super) bus: Bus,
    pub(super) clock: ServerClock,
    /// Lives begun so far; they make the names of incarnations.
    lives: u64,
}

/// What a failover or a restart can take back to an earlier state.
#[derive(Clone, Default)]
pub(super) struct Kept {
    pub(super) position: Option<Position>,
    pub(super) frames: HashMap<Key, Standing>,
    pub(super) log: Log,
    pub(super) register: Register,
    pub(super) leases: Leases,
    /// Until when, in microseconds of the server's clock.
    pub(super) holds: Holds,
}

#[derive(Clone)]
pub(super) struct Standing {
    pub(super) frame: Bytes,
    incarnation: Incarnation,
    stamp: Seq,
    expires: Instant,
}

/// The compacted log: each ident once, with its last number.
#[derive(Clone, Default)]
pub(super) struct Log {
    last: HashMap<Ident, Seq>,
    order: BTreeSet<(Seq, Ident)>,
    /// The shapes of patterns, each with its last number.
    shapes: HashMap<Shape, Seq>,
    floor: Seq,
}

impl Data {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        let clock = ServerClock { start: Instant::now(), at_start: CLOCK_START };
        Self { settings, kept: Kept::default(), bus: Bus::default(), clock, lives: 0 }
    }

    pub(super) fn open(&mut self) -> Position {
        self.end_holds();
        self.begin()
    }

    /// Ends the holds that have run out.
    fn end_holds(&mut self) {
        let due = self.kept.holds.due(self.clock.micros());
        if !due.is_empty() {
            self.issue(&due, 0);
        }
    }

    fn begin(&mut self) -> Position {
        if let Some(position) = self.kept.position {
            return position;
        }
        self.lives += 1;
        let mut name = *b"life 0000000 mem";
        name[5..12].copy_from_slice(&self.lives.to_be_bytes()[1..]);
        let position =
            Position { incarnation: Incarnation(name), seq: Holds::default().number(self.clock.micros()) };
        self.kept.log = Log::default();
        self.kept.holds = Holds::default();
        *self.kept.position.insert(position)
    }

    pub(super) fn lookup(&mut self, key: Key) -> Lookup {
        self.expire(key);
        let frame = self.kept.frames.get(&key).map(|held| held.frame.clone());
        Lookup { frame, position: self.kept.position }
    }

    pub(super) fn store(&mut self, store: Store<'_>) -> Stored {
        self.end_holds();
        self.expire(store.key);
        if let Some(refusal) = self.refusal(&store) {
            return Stored::Refused(refusal);
        }
        let Store { key, incarnation, stamp, ttl, frame, .. } = store;
        self.kept.frames.insert(key, Standing { frame, incarnation, stamp, expires: Instant::now() + ttl });
        Stored::Accepted
    }

    fn refusal(&self, store: &Store<'_>) -> Option<Refusal> {
        let Some(position) = self.kept.position.filter(|at| at.incarnation == store.incarnation) else {
            return Some(Refusal::Incarnation);
        };
        let log = &self.kept.log;
        let held = self.kept.frames.get(&store.key).filter(|held| held.incarnation == store.incarnation);
        // The position that the fill's lookup saw may have stood still for a tick.
        let longest = micros(self.settings.max_fill + self.settings.tick);
        if store.stamp > position.seq {
            Some(Refusal::Lineage)
        } else if store.stamp < log.floor {
            Some(Refusal::Floor)
        } else if self.clock.micros().saturating_sub(store.stamp) > longest {
            Some(Refusal::Late)
        } else if store.idents.iter().any(|ident| self.last_of(ident).is_some_and(|seq| seq > store.stamp)) {
            Some(Refusal::Invalidated)
        } else if held.is_some_and(|held| held.stamp > store.stamp) {
            Some(Refusal::Newer)
        } else {
            None
        }
    }

    pub(super) fn claim(&mut self, key: Key, token: Token, term: Duration, after: Seq) -> (Claim, Lookup) {
        let at = self.kept.position.map_or(0, |position| position.seq);
        (self.kept.leases.claim(key, (token, at), term, after), self.lookup(key))
    }

    pub(super) fn tend(&mut self, key: Key, token: Token, tend: Tend) -> Tenure {
        let (tenure, waited_for) = self.kept.leases.tend(key, token, tend);
        if waited_for {
            self.bus.publish(&Notice::Released(key));
        }
        tenure
    }

    pub(super) fn invalidate(&mut self, idents: &[Ident], at_least: Seq) -> Issued {
        self.end_holds();
        self.issue(idents, at_least)
    }

    pub(super) fn hold(&mut self, idents: &[Ident], at_least: Seq, holding: Holding) -> Held {
        self.end_holds();
        match holding {
            Holding::Begin(token, time) => {
                self.begin();
                let until = self.clock.micros() + micros(time.min(MAX_HOLD));
                if !self.kept.holds.begin(token, idents, until) {
                    return Held::Full;
                }
                Held::Done(self.issue(idents, at_least))
            }
            Holding::End(token) => match self.kept.holds.end(token) {
                Tenure::Ours => Held::Done(self.issue(idents, at_least)),
                _ => Held::Over(self.issue(idents, at_least)),
            },
            _ => Held::Full,
        }
    }

    fn issue(&mut self, idents: &[Ident], at_least: Seq) -> Issued {
        let Position { incarnation, seq: previous } = self.begin();
        let seq = self.clock.micros().max(previous + 1).max(at_least.saturating_add(1));
        let seq = self.kept.holds.number(seq);
        let position = Position { incarnation, seq };
        self.kept.position = Some(position);
        let known = idents.iter().filter_map(|ident| self.kept.log.last.get(ident).copied());
        let last = known.fold(self.kept.log.floor, Seq::max);
        for ident in idents {
            self.kept.log.raise(*ident, seq);
        }
        let oldest = self.clock.micros().saturating_sub(micros(self.settings.retention));
        self.kept.log.trim(self.settings.max_log, oldest);
        let message = Message { incarnation, seq, previous, idents: idents.to_vec() };
        self.bus.publish(&Notice::Message(message));
        Issued { position, previous, last }
    }

    pub(super) fn catch_up(&mut self, after: Seq) -> Option<Page> {
        self.end_holds();
        let position = self.kept.position?;
        let (idents, complete) = self.kept.log.page(after, self.settings.page);
        let upto = if complete { position.seq } else { idents.last().map_or(position.seq, |last| last.1) };
        Some(Page { position, floor: self.kept.log.floor, upto, idents })
    }

    pub(super) fn scores(&mut self, idents: &[Ident]) -> Option<Scores> {
        self.end_holds();
        let position = self.kept.position?;
        let seqs = idents.iter().map(|ident| self.last_of(ident)).collect();
        let shapes = self.kept.log.shapes.keys().copied().collect();
        Some(Scores { position, floor: self.kept.log.floor, seqs, shapes })
    }

    /// The last invalidation of an ident; of one that is held, as if it were the next.
    fn last_of(&self, ident: &Ident) -> Option<Seq> {
        if self.kept.holds.cover(ident) {
            return self.kept.position.map(|position| position.seq + 1);
        }
        self.kept.log.last.get(ident).copied()
    }

    pub(super) fn poll(&mut self) -> Option<Position> {
        self.end_holds();
        let position = self.kept.position?;
        if self.clock.micros().saturating_sub(position.seq) > micros(self.settings.tick) {
            return Some(self.invalidate(&[], 0).position);
        }
        Some(position)
    }

    pub(super) fn attend(&mut self, presence: &Presence) -> Option<Position> {
        let position = self.poll()?;
        self.kept.register.attend(position.incarnation, presence);
        Some(position)
    }

    pub(super) fn forget_instances(&mut self) {
        self.kept.register = Register::default();
    }

    pub(super) fn roll(&mut self, upto: Position, caller: &Presence) -> Roll {
        let life = self.open().incarnation;
        match self.kept.register.behind(life, upto, caller) {
            None => Roll::Complete,
            Some(left) => {
                self.bus.call_for_reports();
                Roll::Behind(left)
            }
        }
    }

    fn expire(&mut self, key: Key) {
        if self.kept.frames.get(&key).is_some_and(|held| held.expires <= Instant::now()) {
            self.kept.frames.remove(&key);
        }
    }
}

impl Log {
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    fn raise(&mut self, ident: Ident, seq: Seq) {
        if let Some(before) = self.last.insert(ident, seq) {
            self.order.remove(&(before, ident));
        }
        self.order.insert((seq, ident));
        if let Some(shape) = Shape::of_ident(ident.as_bytes()) {
            self.shapes.insert(shape, seq);
        }
    }

    /// Cuts what is too old or too much, and raises the floor to the last that was cut.
    fn trim(&mut self, max: usize, oldest: Seq) {
        while let Some(&(seq, ident)) = self.order.first()
            && (self.order.len() > max || seq < oldest)
        {
            self.order.remove(&(seq, ident));
            self.last.remove(&ident);
            self.floor = seq;
        }
        while self.shapes.len() > MAX_SHAPES
            && let Some((&shape, &seq)) = self.shapes.iter().min_by_key(|(_, seq)| **seq)
        {
            self.shapes.remove(&shape);
            self.floor = self.floor.max(seq);
        }
    }

    /// The idents after `after`, at least `len` of them where there are so many, never half of those that share a
    /// number; and whether these are all.
    fn page(&self, after: Seq, len: usize) -> (Vec<(Ident, Seq)>, bool) {
        let mut idents: Vec<(Ident, Seq)> = Vec::new();
        for &(seq, ident) in self.order.range((after.saturating_add(1), LEAST)..) {
            if idents.len() >= len && idents.last().is_some_and(|last| last.1 < seq) {
                return (idents, false);
            }
            idents.push((ident, seq));
        }
        (idents, true)
    }
}

/// The server's own clock, in microseconds. It can be set back, as the clock of a real server can.
pub(super) struct ServerClock {
    start: Instant,
    at_start: u64,
}

impl ServerClock {
    fn micros(&self) -> u64 {
        self.at_start + micros(self.start.elapsed())
    }

    pub(super) fn step_back(&mut self, by: Duration) {
        self.at_start = self.at_start.saturating_sub(micros(by));
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

const LEAST: Ident = Ident::from_bytes([0; 16]);
/// 21 November 2025, 08:00 UTC.
const CLOCK_START: u64 = 1_763_712_000_000_000;
