//! A [`State`] shared between the task that drives it and the requests that ask it.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::Notify;

use super::bookkeeping::Bookkeeping;
use super::protocol::{Action, Event, FrameVerdict, Settings, Ticket};
use super::state::State;
use crate::entry::{Entry, Seq, Stamp};
use crate::l2::{Incarnation, Position, Scores};
use crate::pattern::{Learned, Shape};
use crate::tag::Ident;
use crate::time::Moment;

/// Whether an entry in L1 may be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Serves {
    /// Yes.
    Synced,
    /// Yes, though L2 cannot be reached: it may have been invalidated elsewhere within `partition_grace`.
    Unsynced,
    /// No: it has been invalidated.
    Invalidated,
    /// No: the instance does not know what has been invalidated lately. It may turn out to be valid.
    Lapsed,
}

/// Whether an instance knows what has been invalidated; what is worse is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Standing {
    /// It does; without an L2 it is the only one that invalidates.
    Synced,
    /// It has not heard from L2 for the length of a lease. It serves L1 for as long as `partition_grace` allows.
    Unsynced,
    /// It does not, and serves nothing from L1 before it has heard from L2.
    Lapsed,
    /// It has never reached its L2: it serves what it has fetched itself, and knows of its own invalidations alone.
    Apart,
}

/// An invalidation on an instance without L2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Alone {
    /// The epoch it began.
    pub(crate) epoch: u64,
    /// The last epoch before it at which one of its idents was invalidated.
    pub(crate) last: u64,
}

/// What a fill starts from.
#[derive(Clone, Copy, Debug)]
pub struct Begun {
    /// For judging what L2 answers.
    pub ticket: Ticket,
    /// The fill's stamp, if L2 has none to give.
    pub stamp: Stamp,
}

/// The instance's view of what has been invalidated.
///
/// **Invariant:** whoever sees a granted lease sees the table it was granted for: the table changes under the lock, then
/// the epoch is published, then the lease; readers load them in the opposite order.
pub struct Coherence {
    state: RwLock<State>,
    epoch: AtomicU64,
    /// Nanoseconds until which L1 is served; the lowest bit says whether that is past the lease.
    serve_until: AtomicU64,
    wake: Notify,
}

impl Coherence {
    /// Without an L2.
    #[must_use]
    pub fn alone(settings: Settings) -> Self {
        Self::new(State::alone(settings))
    }

    /// With an L2 that has not been reached yet.
    #[must_use]
    pub fn apart(settings: Settings) -> Self {
        Self::new(State::apart(settings))
    }

    fn new(state: State) -> Self {
        let (epoch, serve_until) = (AtomicU64::new(state.epoch), AtomicU64::new(packed(&state)));
        Self { state: RwLock::new(state), epoch, serve_until, wake: Notify::new() }
    }

    /// Whether `entry` may be served from L1 now. Two atomic loads when nothing has been invalidated since the entry
    /// was last asked for; else a look into the table for each of its idents.
    #[inline]
    pub fn serves<V>(&self, entry: &Entry<V>, now: Moment) -> Serves {
        let serve_until = self.serve_until.load(Ordering::Acquire);
        if now.as_nanos() >= serve_until & !UNSYNCED {
            return Serves::Lapsed;
        }
        let epoch = self.epoch.load(Ordering::Acquire);
        if entry.checked() != epoch && !self.check(entry, epoch) {
            return Serves::Invalidated;
        }
        if serve_until & UNSYNCED == 0 || serve_until == FOREVER { Serves::Synced } else { Serves::Unsynced }
    }

    /// Until when L1 may be served, or might have been.
    pub(crate) fn served_until(&self) -> Moment {
        Moment::from_nanos(self.serve_until.load(Ordering::Acquire) & !UNSYNCED)
    }

    /// Whether the instance knows now what has been invalidated.
    #[must_use]
    pub fn standing(&self, now: Moment) -> Standing {
        match self.serve_until.load(Ordering::Acquire) {
            until if now.as_nanos() >= until & !UNSYNCED => Standing::Lapsed,
            FOREVER if self.read().is_apart() => Standing::Apart,
            FOREVER => Standing::Synced,
            until if until & UNSYNCED == 0 => Standing::Synced,
            _ => Standing::Unsynced,
        }
    }

    /// The slow path of [`Coherence::serves`]. `epoch` was loaded before the table is looked into, so a change in
    /// between makes the next hit check again.
    #[cold]
    fn check<V>(&self, entry: &Entry<V>, epoch: u64) -> bool {
        let state = self.read();
        let named = state.named(&entry.idents, &entry.canonical);
        let valid = state.admits(entry.stamp, &named);
        if valid {
            if let Some(since) = state.expired_since(entry.stamp, &named) {
                entry.expire(since);
            }
            entry.set_checked(epoch);
        }
        valid
    }

    /// Whether an entry with this stamp and these idents is still valid, as far as its key does not matter.
    #[must_use]
    pub fn admits(&self, stamp: Stamp, idents: &[Ident]) -> bool {
        self.read().admits(stamp, idents)
    }

    /// Whether an entry is still valid; what [`Coherence::serves`] asks, without a lease.
    #[must_use]
    pub fn admits_entry<V>(&self, entry: &Entry<V>) -> bool {
        let state = self.read();
        state.admits(entry.stamp, &state.named(&entry.idents, &entry.canonical))
    }

    /// Whether an entry is valid and nothing that ends it waits for L2: whether L2 may have it. And all that it answers to.
    #[must_use]
    pub fn offers<'a, V>(&self, entry: &'a Entry<V>) -> Option<Cow<'a, [Ident]>> {
        let state = self.read();
        let named = state.named(&entry.idents, &entry.canonical);
        (!state.is_tainted(&named) && state.admits(entry.stamp, &named)).then_some(named)
    }

    /// See [`State::named`].
    #[must_use]
    pub fn named<'a>(&self, idents: &'a [Ident], canonical: &[u8]) -> Cow<'a, [Ident]> {
        self.read().named(idents, canonical)
    }

    /// Learns the shapes of patterns that the log knows; says whether one was not known here.
    pub fn learn(&self, shapes: &[Shape]) -> Learned {
        let news =
            |state: &State| shapes.iter().any(|shape| state.shapes.iter().all(|known| known != *shape));
        if news(&self.read()) { self.update(|state| state.learn(shapes)) } else { Learned::Nothing }
    }

    /// See [`State::last_invalidated`].
    #[must_use]
    pub fn last_invalidated(&self, idents: &[Ident]) -> Seq {
        self.read().last_invalidated(idents)
    }

    /// See [`State::confirmed`].
    #[must_use]
    pub fn confirmed(&self, stamp: Stamp, asked: Stamp, idents: &[Ident], canonical: &[u8]) -> Stamp {
        let state = self.read();
        state.confirmed(stamp, asked, &state.named(idents, canonical))
    }

    /// The current epoch: grows with every change of what is known to be invalidated.
    #[inline]
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// To be called before a fill looks into L2.
    #[must_use]
    pub fn begin(&self) -> Begun {
        let state = self.read();
        Begun { ticket: state.ticket(Moment::default()), stamp: state.local_stamp() }
    }

    /// The incarnation the instance follows.
    #[must_use]
    pub fn incarnation(&self) -> Option<Incarnation> {
        self.read().incarnation()
    }

    /// How much the instance remembers.
    #[must_use]
    pub fn bookkeeping(&self) -> Bookkeeping {
        self.read().bookkeeping()
    }

    /// The log that the instance follows, and up to where it has applied it.
    #[must_use]
    pub fn applied(&self) -> Option<Position> {
        let state = self.read();
        state.incarnation().map(|incarnation| Position { incarnation, seq: state.local_stamp().seq })
    }

    /// See [`State::judge_frame`].
    #[must_use]
    pub fn judge_frame(
        &self,
        ticket: Ticket,
        at: Position,
        frame: Position,
        idents: &[Ident],
        canonical: &[u8],
    ) -> FrameVerdict {
        let state = self.read();
        state.judge_frame(ticket, at, frame, &state.named(idents, canonical))
    }

    /// See [`State::judge_scores`].
    #[must_use]
    pub fn judge_scores(
        &self,
        ticket: Ticket,
        frame: Position,
        idents: &[Ident],
        canonical: &[u8],
        scores: &Scores,
    ) -> FrameVerdict {
        let state = self.read();
        state.judge_scores(ticket, frame, &state.named(idents, canonical), scores)
    }

    /// See [`State::judge_held`].
    #[must_use]
    pub fn judge_held(&self, ticket: Ticket, at: Position, stamp: Stamp, idents: &[Ident]) -> FrameVerdict {
        self.read().judge_held(ticket, at, stamp, idents)
    }

    /// See [`State::judge_held_scores`].
    #[must_use]
    pub fn judge_held_scores(
        &self,
        ticket: Ticket,
        stamp: Stamp,
        idents: &[Ident],
        scores: &Scores,
    ) -> FrameVerdict {
        self.read().judge_held_scores(ticket, stamp, idents, scores)
    }

    /// A ticket for an invalidation of this instance, with the number its sequence number has to exceed.
    #[must_use]
    pub fn ticket(&self, now: Moment) -> (Ticket, u64) {
        let state = self.read();
        (state.ticket(now), state.highest)
    }

    /// Takes in an event and publishes what it changed.
    pub fn on_event(&self, event: Event, now: Moment) {
        self.update(|state| state.on_event(event, now));
        self.wake.notify_one();
    }

    /// Invalidates on this instance at once, without L2; where there is an L2, it will be told.
    pub fn taint(&self, idents: &[Ident], now: Moment) {
        self.on_event(Event::Unconfirmed(idents.to_vec()), now);
    }

    /// Invalidates on an instance that has no L2 and never will.
    pub(crate) fn invalidate_alone(&self, idents: &[Ident], now: Moment) -> Alone {
        self.update(|state| {
            let last = state.last_tainted(idents);
            state.on_event(Event::Unconfirmed(idents.to_vec()), now);
            Alone { epoch: state.local_stamp().epoch, last }
        })
    }

    /// Whether none of the idents was invalidated here after `since` without L2 knowing of it, but for what `own` did.
    pub(crate) fn untouched_since(&self, since: u64, own: Option<Alone>, idents: &[Ident]) -> bool {
        let state = self.read();
        idents.iter().all(|ident| {
            let last = state.last_tainted(std::slice::from_ref(ident));
            last <= since || own.is_some_and(|own| last == own.epoch && own.last <= since)
        })
    }

    /// See [`State::next_action`].
    pub fn next_action(&self, now: Moment) -> Option<Action> {
        self.update(|state| state.next_action(now))
    }

    /// See [`State::deadline`].
    #[must_use]
    pub fn deadline(&self) -> Moment {
        self.read().deadline()
    }

    /// Waits until an event has come in.
    ///
    /// # Cancel safety
    /// Safe to drop.
    pub async fn changed(&self) {
        self.wake.notified().await;
    }

    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut state);
        self.epoch.store(state.epoch, Ordering::Release);
        self.serve_until.store(packed(&state), Ordering::Release);
        result
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        // A panic while the lock was held cannot leave the state half-changed in a way that serves more.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Coherence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coherence").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

const UNSYNCED: u64 = 1;
const FOREVER: u64 = u64::MAX;

fn packed(state: &State) -> u64 {
    match state.serve_until() {
        Moment::NEVER => FOREVER,
        until if state.unsynced.is_some() => until.as_nanos() | UNSYNCED,
        until => until.as_nanos() & !UNSYNCED,
    }
}
