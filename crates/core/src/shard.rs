//! A shard of an instance: one log, what the instance knows of it, and the way to it.
//!
//! A shard has a protocol, a breaker and a task of its own, so that an L2 of several nodes fails by parts. An entry belongs to the
//! shard that its key names. What an invalidation names may be on entries of any shard, so it goes to all.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

use crate::breaker::{Breaker, Permit, Transition};
use crate::coherence::{self, Alone, Coherence};
use crate::event::{Event, Op, Recorder};
use crate::holds::Holds;
use crate::l2::{Held, Holding, Issued, L2, L2Error, Tenure};
use crate::sync_task::{Patience, SyncTask};
use crate::tag::Ident;
use crate::time::{Clock, Moment};
use crate::waiters::Waiters;

/// What an instance has of one shard. Without an L2 it is the only one.
pub struct Shard {
    pub(crate) coherence: Arc<Coherence>,
    pub(crate) remote: Option<Remote>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) clock: Clock,
    /// Who waits here for what another instance fetches.
    pub(crate) waiters: Arc<Waiters>,
    /// What is held on an instance without an L2, until then in nanoseconds of its clock.
    holds: Mutex<Holds>,
    task: Option<AbortHandle>,
}

/// The shard's L2, and what guards the request path against it.
pub(crate) struct Remote {
    pub(crate) l2: Arc<dyn L2>,
    pub(crate) breaker: Arc<Breaker>,
}

impl Shard {
    /// A shard without an L2.
    pub(crate) fn alone(protocol: coherence::Settings, recorder: Arc<Recorder>, clock: Clock) -> Self {
        let (coherence, waiters) = (Arc::new(Coherence::alone(protocol)), Arc::default());
        let holds = Mutex::default();
        Self { coherence, remote: None, recorder, clock, waiters, holds, task: None }
    }

    /// A shard of an L2, for an instance and with a number, with the task that keeps it in sync, which ends with the shard.
    pub(crate) fn of(
        l2: Arc<dyn L2>,
        (instance, number): ([u8; 16], usize),
        protocol: coherence::Settings,
        recorder: Arc<Recorder>,
        clock: Clock,
    ) -> Self {
        let lease = protocol.lease;
        let patience = Patience::new(lease / 4);
        let (coherence, breaker) = (Arc::new(Coherence::apart(protocol)), Arc::new(Breaker::default()));
        let waiters = Arc::new(Waiters::default());
        let task = SyncTask {
            instance,
            shard: number,
            lease,
            coherence: Arc::clone(&coherence),
            l2: Arc::clone(&l2),
            breaker: Arc::clone(&breaker),
            waiters: Arc::clone(&waiters),
            recorder: Arc::clone(&recorder),
            clock: clock.clone(),
            patience,
        };
        let task = Some(tokio::spawn(task.run()).abort_handle());
        let holds = Mutex::default();
        Self { coherence, remote: Some(Remote { l2, breaker }), recorder, clock, waiters, holds, task }
    }

    /// What the instance knows of this shard's invalidations.
    #[must_use]
    pub fn coherence(&self) -> &Coherence {
        &self.coherence
    }

    /// Invalidates in this shard. What L2 does not confirm holds here, and is sent again until L2 has it.
    pub(crate) async fn invalidate(&self, idents: &[Ident]) -> Result<Proof, Option<L2Error>> {
        let now = self.clock.now();
        let Some(remote) = &self.remote else {
            return Ok(Proof::Local(self.coherence.invalidate_alone(idents, now)));
        };
        let (ticket, at_least) = self.coherence.ticket(now);
        let issued = remote
            .guarded(&self.recorder, &self.clock, Op::Invalidate, || remote.l2.invalidate(idents, at_least));
        match issued.await {
            Ok(issued) => Ok(self.issued(ticket, idents, issued)),
            Err(source) => {
                self.coherence.taint(idents, self.clock.now());
                Err(source)
            }
        }
    }

    /// The same, and begins or ends a hold on the idents. `None` where there are too many holds to begin one.
    pub(crate) async fn hold(
        &self,
        idents: &[Ident],
        holding: Holding,
    ) -> Result<Option<(Proof, Tenure)>, Option<L2Error>> {
        let now = self.clock.now();
        let Some(remote) = &self.remote else { return Ok(self.hold_alone(idents, holding, now)) };
        let (ticket, at_least) = self.coherence.ticket(now);
        let held = remote.guarded(&self.recorder, &self.clock, Op::Invalidate, || {
            remote.l2.hold(idents, at_least, holding)
        });
        match held.await {
            Ok(Held::Done(issued)) => Ok(Some((self.issued(ticket, idents, issued), Tenure::Ours))),
            Ok(Held::Over(issued)) => Ok(Some((self.issued(ticket, idents, issued), Tenure::Lost))),
            Ok(Held::Full) => Ok(None),
            Err(source) => {
                self.coherence.taint(idents, self.clock.now());
                Err(source)
            }
        }
    }

    fn hold_alone(&self, idents: &[Ident], holding: Holding, now: Moment) -> Option<(Proof, Tenure)> {
        self.end_due(now);
        let mut holds = self.holds();
        let tenure = match holding {
            Holding::Begin(token, time) if holds.begin(token, idents, now.after(time).as_nanos()) => {
                Tenure::Ours
            }
            Holding::Begin(..) => return None,
            Holding::End(token) => holds.end(token),
        };
        // Under the lock: what is not held any more has been invalidated.
        Some((Proof::Local(self.coherence.invalidate_alone(idents, now)), tenure))
    }

    /// Whether one of the idents is held, on an instance without an L2.
    pub(crate) fn holds_alone(&self, idents: &[Ident]) -> bool {
        self.end_due(self.clock.now());
        let holds = self.holds();
        !holds.is_empty() && idents.iter().any(|ident| holds.cover(ident))
    }

    /// Ends the holds that have run out, on an instance without an L2.
    fn end_due(&self, now: Moment) {
        let mut holds = self.holds();
        let due = if holds.is_empty() { Vec::new() } else { holds.due(now.as_nanos()) };
        if !due.is_empty() {
            self.coherence.invalidate_alone(&due, now);
        }
    }

    fn holds(&self) -> MutexGuard<'_, Holds> {
        // No code that can panic runs under the lock.
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what L2 has issued for this instance.
    fn issued(&self, ticket: coherence::Ticket, idents: &[Ident], issued: Issued) -> Proof {
        let event = coherence::Event::Issued(ticket, idents.to_vec(), issued);
        self.coherence.on_event(event, self.clock.now());
        Proof::Log(issued)
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        self.task.iter().for_each(AbortHandle::abort);
    }
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard").field("coherence", &self.coherence).finish_non_exhaustive()
    }
}

impl Remote {
    /// Runs an operation unless the breaker is open, and tells breaker and metrics how it went. `None` as error: the breaker
    /// was open, L2 was not asked.
    pub(crate) async fn guarded<T, F>(
        &self,
        recorder: &Recorder,
        clock: &Clock,
        op: Op,
        operation: impl FnOnce() -> F,
    ) -> Result<T, Option<L2Error>>
    where
        F: Future<Output = Result<T, L2Error>>,
    {
        if self.breaker.permits() == Permit::Open {
            return Err(None);
        }
        let start = clock.now();
        let result = operation().await;
        recorder.observe(&Event::Took(op, clock.now().since(start)));
        match &result {
            Ok(_) => self.breaker.succeeded(),
            // It has answered, and does everything else.
            Err(error @ (L2Error::Unreplicated(_) | L2Error::Untold(_))) => {
                self.breaker.succeeded();
                recorder.observe(&Event::Failed(op, error.clone()));
            }
            Err(error) => {
                recorder.observe(&Event::Failed(op, error.clone()));
                if self.breaker.failed() == Transition::Opened {
                    recorder.observe(&Event::BreakerOpened);
                }
            }
        }
        result.map_err(Some)
    }
}

/// What an invalidation left behind in one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Proof {
    /// A place in the shard's log.
    Log(Issued),
    /// Without L2: epochs in place of numbers.
    Local(Alone),
}
