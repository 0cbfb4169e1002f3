//! An instance: what all value types of one cache share, and what invalidates.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::breaker::{Breaker, Permit, Transition};
use crate::coherence::{self, Alone, Coherence};
use crate::event::{Event, Names, Op, Recorder};
use crate::key::Secrets;
use crate::l2::{Issued, L2, L2Error, Position};
use crate::sync_task::SyncTask;
use crate::tag::{TargetError, Targets};
use crate::time::{Clock, Random};

/// What an instance is made of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The hash keys of the namespace.
    pub secrets: Secrets,
    /// Where time comes from.
    pub clock: Clock,
    /// Where chance comes from.
    pub chance: Random,
    /// How metrics are called.
    pub names: Names,
    /// The protocol's own settings.
    pub coherence: coherence::Settings,
    /// How long a follower waits for its leader before it asks the origin itself. Default 10 s.
    pub flight_wait: Duration,
    /// How long a fill may take from its lookup to its last byte. Default 60 s, and no longer than L2 permits.
    pub max_fill: Duration,
    /// The longest an entry stays in L2. Default 24 h.
    pub max_lifetime: Duration,
    /// The largest frame in L2, in bytes. Default 8 MiB.
    pub max_frame: usize,
}

impl Settings {
    /// The defaults for a namespace.
    #[must_use]
    pub fn new(namespace: &str, secret: Option<&[u8]>) -> Self {
        let secrets = Secrets::new(namespace, secret);
        Self {
            coherence: coherence::Settings::new(&secrets),
            secrets,
            clock: Clock::system(),
            chance: Random::system(),
            names: Names::new("cache", namespace),
            flight_wait: Duration::from_secs(10),
            max_fill: Duration::from_secs(60),
            max_lifetime: Duration::from_secs(24 * 60 * 60),
            max_frame: 8 << 20,
        }
    }
}

/// L2 and what guards the request path against it.
pub(crate) struct Remote {
    pub(crate) l2: Arc<dyn L2>,
    pub(crate) breaker: Arc<Breaker>,
}

/// One process' membership in a cache.
pub struct Instance {
    pub(crate) settings: Settings,
    pub(crate) coherence: Arc<Coherence>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) remote: Option<Remote>,
    tasks: Vec<AbortHandle>,
}

impl Instance {
    /// Starts an instance; with an L2, also the task that keeps it in sync, which ends with the instance.
    ///
    /// Never waits for L2 and never fails because of it: until L2 is reached, L1 works alone.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn start(settings: Settings, l2: Option<Arc<dyn L2>>) -> Self {
        let recorder = Arc::new(Recorder::new(settings.names.clone()));
        let protocol = settings.coherence.clone();
        let coherence =
            Arc::new(if l2.is_some() { Coherence::apart(protocol) } else { Coherence::alone(protocol) });
        let remote = l2.map(|l2| Remote { l2, breaker: Arc::new(Breaker::default()) });
        let tasks = remote.iter().map(|remote| {
            let task = SyncTask {
                coherence: Arc::clone(&coherence),
                l2: Arc::clone(&remote.l2),
                breaker: Arc::clone(&remote.breaker),
                recorder: Arc::clone(&recorder),
                clock: settings.clock.clone(),
            };
            tokio::spawn(task.run()).abort_handle()
        });
        Self { tasks: tasks.collect(), settings, coherence, recorder, remote }
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What turns events into metrics.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// What the instance knows of invalidations.
    #[must_use]
    pub fn coherence(&self) -> &Coherence {
        &self.coherence
    }

    /// Invalidates `targets` on every instance.
    ///
    /// Once it is `Ok`, this instance serves nothing that was fetched before, no instance finds such a response in L2, and
    /// the others drop theirs as the message reaches them, at the latest after the lease. One round trip to L2, whatever the
    /// number of entries; none without an L2.
    ///
    /// # Errors
    /// [`InvalidateError::Target`] when no entry can carry such a name; nothing has happened then.
    /// [`InvalidateError::Unconfirmed`] when L2 did not confirm: it has taken effect on this instance and will be
    /// sent again until L2 has it.
    ///
    /// # Cancel safety
    /// Once polled, the invalidation goes through even if the future is dropped.
    pub async fn invalidate(self: &Arc<Self>, targets: impl Targets) -> Result<Receipt, InvalidateError> {
        let idents = targets.idents(&self.settings.secrets).map_err(InvalidateError::Target)?;
        let instance = Arc::clone(self);
        // On a task of its own: a caller that goes away must not leave the instance unaware of what L2 was told.
        let task = tokio::spawn(async move { instance.invalidate_idents(idents).await });
        task.await.unwrap_or(Err(InvalidateError::Unconfirmed { queued: 0, source: None }))
    }

    async fn invalidate_idents(&self, idents: Vec<crate::tag::Ident>) -> Result<Receipt, InvalidateError> {
        let now = self.settings.clock.now();
        let Some(remote) = &self.remote else {
            let local = self.coherence.invalidate_alone(&idents, now);
            self.recorder.observe(&Event::Invalidated);
            return Ok(Receipt(Proof::Local(local)));
        };
        let queued = idents.len();
        let (ticket, at_least) = self.coherence.ticket(now);
        let issued = remote.guarded(&self.recorder, &self.settings.clock, Op::Invalidate, || {
            remote.l2.invalidate(&idents, at_least)
        });
        match issued.await {
            Ok(issued) => {
                let event = coherence::Event::Issued(ticket, idents, issued);
                self.coherence.on_event(event, self.settings.clock.now());
                self.recorder.observe(&Event::Invalidated);
                Ok(Receipt(Proof::Log(issued)))
            }
            Err(source) => {
                self.coherence.taint(&idents, self.settings.clock.now());
                self.recorder.observe(&Event::Unconfirmed);
                Err(InvalidateError::Unconfirmed { queued, source })
            }
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let l2 = self.remote.as_ref().map_or("none", |remote| remote.l2.name());
        f.debug_struct("Instance").field("l2", &l2).finish_non_exhaustive()
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

/// Proof of a confirmed invalidation. Opaque: what it holds depends on L2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Receipt(Proof);

/// What an invalidation left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Proof {
    /// A place in L2's log.
    Log(Issued),
    /// Without L2: epochs in place of numbers.
    Local(Alone),
}

impl Receipt {
    pub(crate) fn proof(self) -> Proof {
        self.0
    }
}

impl fmt::Display for Receipt {
    /// Its place in the log, for people who compare what two instances have heard; `local` without a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Proof::Log(Issued { position: Position { incarnation, seq }, .. }) = &self.0 else {
            return f.write_str("local");
        };
        write!(f, "{seq}-")?;
        incarnation.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why an invalidation is not confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidateError {
    /// No entry can carry such a name.
    Target(TargetError),
    /// L2 did not confirm. This instance has applied it, and sends it again until L2 has it.
    Unconfirmed {
        /// How many idents wait because of this call.
        queued: usize,
        /// What L2 said; `None` when it was not asked because it has been failing.
        source: Option<L2Error>,
    },
}

impl fmt::Display for InvalidateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(error) => write!(f, "cannot invalidate: {error}"),
            Self::Unconfirmed { queued, .. } => {
                write!(f, "invalidated on this instance only; {queued} targets queued until L2 answers")
            }
        }
    }
}

impl std::error::Error for InvalidateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Target(error) => Some(error),
            Self::Unconfirmed { source, .. } => source.as_ref().map(|error| error as _),
        }
    }
}
