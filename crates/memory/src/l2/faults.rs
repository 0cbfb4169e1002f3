//! What goes wrong for one client, and what it has asked.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use forebay_core::l2::L2Error;
use tokio::sync::watch;

use super::MemoryServer;

/// A kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// [`L2::open`](forebay_core::l2::L2::open).
    Open,
    /// [`L2::lookup`](forebay_core::l2::L2::lookup).
    Lookup,
    /// [`L2::store`](forebay_core::l2::L2::store).
    Store,
    /// [`L2::invalidate`](forebay_core::l2::L2::invalidate).
    Invalidate,
    /// [`L2::hold`](forebay_core::l2::L2::hold).
    Hold,
    /// [`L2::catch_up`](forebay_core::l2::L2::catch_up).
    CatchUp,
    /// [`L2::scores`](forebay_core::l2::L2::scores).
    Scores,
    /// [`L2::poll`](forebay_core::l2::L2::poll) or [`L2::attend`](forebay_core::l2::L2::attend) over
    /// [`Link::Bus`](forebay_core::l2::Link::Bus).
    PollBus,
    /// The same over [`Link::Commands`](forebay_core::l2::Link::Commands).
    PollCommands,
    /// [`L2::roll`](forebay_core::l2::L2::roll).
    Roll,
    /// [`L2::claim`](forebay_core::l2::L2::claim).
    Claim,
    /// [`L2::tend`](forebay_core::l2::L2::tend).
    Tend,
}

impl Op {
    /// All kinds.
    pub const ALL: [Self; 12] = [
        Self::Open,
        Self::Lookup,
        Self::Store,
        Self::Invalidate,
        Self::Hold,
        Self::CatchUp,
        Self::Scores,
        Self::PollBus,
        Self::PollCommands,
        Self::Roll,
        Self::Claim,
        Self::Tend,
    ];
}

/// What becomes of one operation.
#[derive(Clone)]
pub(super) enum Fate {
    Pass,
    Fail(L2Error),
    LoseReply,
    Postpone,
}

type Postponed = Box<dyn FnOnce(&MemoryServer) + Send>;

#[derive(Default)]
pub(super) struct Faults {
    state: Mutex<State>,
    hung: watch::Sender<Vec<Op>>,
}

#[derive(Default)]
struct State {
    calls: HashMap<Op, u64>,
    /// For each kind, what the next operations meet, and how many of them.
    plans: HashMap<Op, VecDeque<(usize, Fate)>>,
    postponed: Vec<Postponed>,
}

impl Faults {
    /// Counts an operation and says what becomes of it.
    pub(super) fn begin(&self, op: Op) -> Fate {
        let mut state = self.state();
        *state.calls.entry(op).or_default() += 1;
        let Some(plans) = state.plans.get_mut(&op) else { return Fate::Pass };
        let Some((left, fate)) = plans.front_mut() else { return Fate::Pass };
        let fate = fate.clone();
        if *left != usize::MAX {
            *left -= 1;
        }
        if *left == 0 {
            plans.pop_front();
        }
        fate
    }

    pub(super) fn plan(&self, op: Op, times: usize, fate: Fate) {
        if times > 0 {
            self.state().plans.entry(op).or_default().push_back((times, fate));
        }
    }

    pub(super) fn hang(&self, op: Op) {
        self.hung.send_modify(|hung| hung.push(op));
    }

    pub(super) async fn unless_hung(&self, op: Op) {
        // The sender is in `self`: the channel cannot be closed meanwhile.
        let _ = self.hung.subscribe().wait_for(|hung| !hung.contains(&op)).await;
    }

    pub(super) fn heal(&self) {
        self.state().plans.clear();
        self.hung.send_modify(Vec::clear);
    }

    pub(super) fn postpone(&self, operation: Postponed) {
        self.state().postponed.push(operation);
    }

    pub(super) fn postponed(&self) -> Vec<Postponed> {
        std::mem::take(&mut self.state().postponed)
    }

    pub(super) fn calls(&self, op: Op) -> u64 {
        self.state().calls.get(&op).copied().unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
