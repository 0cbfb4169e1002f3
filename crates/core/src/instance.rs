//! An instance: what all value types of one cache share, and what invalidates.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::coherence::{self, Bookkeeping, Standing};
use crate::event::{Event, Names, Recorder};
use crate::flight;
use crate::frame::Shape;
use crate::key::{Key, Secrets};
use crate::l2::{Census, Issued, L2, L2Error, Position, Shards};
use crate::shard::{Proof, Shard};
use crate::tag::{Ident, TargetError, Targets};
use crate::time::{Clock, Moment, Random, random_id};

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
    /// How many flights there may be.
    pub flights: flight::Limits,
    /// How long a request waits for another that fetches the same, on this instance or on another one, before it asks the
    /// origin itself. One that waits here for one that waits for another instance may wait twice as long. Default 10 s.
    pub flight_wait: Duration,
    /// How long an answer that was not to be stored keeps those who ask for the next one from waiting for each other. Default
    /// 10 s.
    pub hit_for_miss: Duration,
    /// How long L1 serves what it is filled with while the instance has lost touch with L2, and is past the lease and its grace.
    /// Default 1 s; in no case longer than the grace.
    pub micro_cache: Duration,
    /// For how long an instance that fetches a key keeps the others from fetching it too; it renews that while the fetch goes
    /// on. `None`: each instance fetches for itself. Default 2 s.
    pub fill_lease: Option<Duration>,
    /// How long a fill may take from its lookup to its last byte. Default 60 s, and no longer than L2 permits.
    pub max_fill: Duration,
    /// The longest an entry stays in L2. Default 24 h.
    pub max_lifetime: Duration,
    /// What frames may look like.
    pub frames: Shape,
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
            flights: flight::Limits::default(),
            flight_wait: Duration::from_secs(10),
            hit_for_miss: Duration::from_secs(10),
            micro_cache: Duration::from_secs(1),
            fill_lease: Some(Duration::from_secs(2)),
            max_fill: Duration::from_secs(60),
            max_lifetime: Duration::from_secs(24 * 60 * 60),
            frames: Shape::default(),
        }
    }
}

/// One process' membership in a cache.
pub struct Instance {
    /// Names the instance to the others.
    pub(crate) id: [u8; 16],
    pub(crate) settings: Settings,
    pub(crate) recorder: Arc<Recorder>,
    /// One without an L2, else as many as L2 has: a power of two.
    shards: Box<[Shard]>,
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
        Self::start_over(settings, l2.map(Shards::from))
    }

    /// The same over an L2 of several shards.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn start_over(settings: Settings, l2: Option<Shards>) -> Self {
        let recorder = Arc::new(Recorder::new(settings.names.clone()));
        let id = random_id();
        let parts = || (settings.coherence.clone(), Arc::clone(&recorder), settings.clock.clone());
        let shards = match l2 {
            None => {
                let (protocol, recorder, clock) = parts();
                Box::from([Shard::alone(protocol, recorder, clock)])
            }
            Some(l2) => {
                let shard = |(number, l2)| {
                    let (protocol, recorder, clock) = parts();
                    Shard::of(l2, (id, number), protocol, recorder, clock)
                };
                l2.into_vec().into_iter().enumerate().map(shard).collect()
            }
        };
        Self { id, settings, recorder, shards }
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

    /// The shards: one, unless L2 has several.
    #[must_use]
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// The shard that an entry under `key` belongs to.
    #[inline]
    #[must_use]
    pub fn shard(&self, key: Key) -> &Shard {
        &self.shards[key.shard_of(self.shards.len())]
    }

    /// How much is remembered of invalidations, of all shards.
    #[must_use]
    pub fn bookkeeping(&self) -> Bookkeeping {
        self.shards.iter().map(|shard| shard.coherence.bookkeeping()).sum()
    }

    /// Which configurations L2 has found in the namespace, where it counts them.
    #[must_use]
    pub fn census(&self) -> Option<Arc<Census>> {
        self.shards[0].remote.as_ref()?.l2.census()
    }

    /// How the instance stands to L2: as the shard does that it knows least of.
    #[must_use]
    pub fn standing(&self, now: Moment) -> Standing {
        let standings = self.shards.iter().map(|shard| shard.coherence.standing(now));
        standings.max().unwrap_or(Standing::Synced)
    }

    /// Invalidates `targets` on every instance.
    ///
    /// Once it is `Ok`, this instance serves nothing that was fetched before, no instance finds such a response in L2, and
    /// the others drop theirs as the message reaches them, at the latest after the lease. One round trip to L2, whatever the
    /// number of entries, to all shards at once; none without an L2.
    ///
    /// # Errors
    /// [`InvalidateError::Target`] when no entry can carry such a name; nothing has happened then.
    /// [`InvalidateError::Unconfirmed`] when a shard did not confirm: it has taken effect on this instance and will be
    /// sent again until that shard has it.
    ///
    /// # Cancel safety
    /// Once polled, the invalidation goes through even if the future is dropped.
    pub async fn invalidate(self: &Arc<Self>, targets: impl Targets) -> Result<Receipt, InvalidateError> {
        let idents = targets.idents(&self.settings.secrets).map_err(InvalidateError::Target)?;
        let instance = Arc::clone(self);
        // On a task of its own: a caller that goes away must not leave the instance unaware of what L2 was told.
        let task = tokio::spawn(async move { instance.invalidate_idents(idents.into()).await });
        let lost = InvalidateError::Unconfirmed { queued: 0, source: None, shards: 0 };
        task.await.unwrap_or(Err(lost))
    }

    async fn invalidate_idents(self: &Arc<Self>, idents: Arc<[Ident]>) -> Result<Receipt, InvalidateError> {
        // The first on this task, the others beside it.
        let others = (1..self.shards.len()).map(|at| {
            let (instance, idents) = (Arc::clone(self), Arc::clone(&idents));
            tokio::spawn(async move { instance.shards[at].invalidate(&idents).await })
        });
        let others: Vec<_> = others.collect();
        let mut proofs = Vec::with_capacity(self.shards.len());
        let (mut failed, mut why) = (0, None);
        let mut note = |answer| match answer {
            Ok(proof) => proofs.push(proof),
            Err(source) => {
                failed += 1;
                why = why.take().or(source);
            }
        };
        note(self.shards[0].invalidate(&idents).await);
        for other in others {
            note(other.await.unwrap_or(Err(None)));
        }
        if failed > 0 {
            self.recorder.observe(&Event::Unconfirmed);
            return Err(InvalidateError::Unconfirmed { queued: idents.len(), source: why, shards: failed });
        }
        self.recorder.observe(&Event::Invalidated);
        Ok(Receipt::of(proofs))
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let l2 = self.shards[0].remote.as_ref().map_or("none", |remote| remote.l2.name());
        f.debug_struct("Instance")
            .field("l2", &l2)
            .field("shards", &self.shards.len())
            .finish_non_exhaustive()
    }
}

/// Proof of a confirmed invalidation. Opaque: what it holds depends on L2. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Receipt(Arc<[Proof]>);

impl Receipt {
    pub(crate) fn of(proofs: Vec<Proof>) -> Self {
        Self(proofs.into())
    }

    /// What it says of each shard.
    pub(crate) fn proofs(&self) -> &[Proof] {
        &self.0
    }

    /// What it says of the shard that an entry under `key` belongs to.
    pub(crate) fn proof(&self, key: Key) -> Proof {
        self.0[key.shard_of(self.0.len())]
    }
}

impl fmt::Display for Receipt {
    /// Its place in the log, one for each shard, for people who compare what two instances have heard; `local` without a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, proof) in self.0.iter().enumerate() {
            let between = if at > 0 { "," } else { "" };
            let Proof::Log(Issued { position: Position { incarnation, seq }, .. }) = proof else {
                return f.write_str("local");
            };
            write!(f, "{between}{seq}-")?;
            incarnation.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        }
        Ok(())
    }
}

/// Why an invalidation is not confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidateError {
    /// No entry can carry such a name.
    Target(TargetError),
    /// L2 did not confirm, or not as a whole. This instance has applied it, and sends it again until L2 has it.
    Unconfirmed {
        /// How many idents wait because of this call.
        queued: usize,
        /// What L2 said; `None` when it was not asked because it has been failing.
        source: Option<L2Error>,
        /// How many of L2's shards have not confirmed it; the others have.
        shards: usize,
    },
    /// It is confirmed, and whether it holds on every instance cannot be told: L2 has fallen silent. No instance serves anything
    /// older as in sync any more; one that cannot reach L2 may do so out of sync, until its `partition_grace` is over.
    NotEverywhere {
        /// The proof that it is confirmed.
        receipt: Receipt,
        /// What L2 said; `None` when it was not asked because it has been failing.
        source: Option<L2Error>,
    },
}

impl fmt::Display for InvalidateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(error) => write!(f, "cannot invalidate: {error}"),
            Self::Unconfirmed { queued, .. } => {
                write!(
                    f,
                    "invalidated for certain on this instance only; {queued} targets queued until L2 answers"
                )
            }
            Self::NotEverywhere { .. } => {
                f.write_str("invalidated, but L2 does not tell whether every instance has heard of it")
            }
        }
    }
}

impl std::error::Error for InvalidateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Target(error) => Some(error),
            Self::Unconfirmed { source, .. } | Self::NotEverywhere { source, .. } => {
                source.as_ref().map(|error| error as _)
            }
        }
    }
}
