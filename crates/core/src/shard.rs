//! A shard of an instance: one log, what the instance knows of it, and the way to it.
//!
//! A shard has a protocol, a breaker and a task of its own, so that an L2 of several nodes fails by parts. An entry belongs to the
//! shard that its key names. What an invalidation names may be on entries of any shard, so it goes to all.

use std::fmt;
use std::sync::Arc;

use tokio::task::AbortHandle;

use crate::breaker::{Breaker, Permit, Transition};
use crate::coherence::{self, Alone, Coherence};
use crate::event::{Event, Op, Recorder};
use crate::l2::{Issued, L2, L2Error};
use crate::sync_task::{Patience, SyncTask};
use crate::tag::Ident;
use crate::time::Clock;
use crate::waiters::Waiters;

/// What an instance has of one shard. Without an L2 it is the only one.
pub struct Shard {
    pub(crate) coherence: Arc<Coherence>,
    pub(crate) remote: Option<Remote>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) clock: Clock,
    /// Who waits here for what another instance fetches.
    pub(crate) waiters: Arc<Waiters>,
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
        Self { coherence, remote: None, recorder, clock, waiters, task: None }
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
        Self { coherence, remote: Some(Remote { l2, breaker }), recorder, clock, waiters, task }
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
            Ok(issued) => {
                let event = coherence::Event::Issued(ticket, idents.to_vec(), issued);
                self.coherence.on_event(event, self.clock.now());
                Ok(Proof::Log(issued))
            }
            Err(source) => {
                self.coherence.taint(idents, self.clock.now());
                Err(source)
            }
        }
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
