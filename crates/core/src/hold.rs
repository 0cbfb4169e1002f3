//! Holding entries out of the cache while what they are made from changes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::event::Event;
use crate::instance::{Instance, InvalidateError, Receipt};
use crate::l2::{Holding, L2Error, MAX_HOLD, Tenure, Token};
use crate::shard::Proof;
use crate::tag::{Ident, MAX_IDENTS, Target, TargetError, Targets};
use crate::time::random_id;

impl Instance {
    /// Invalidates `targets` and keeps what answers to them out of the cache, on every instance, until the [`Hold`] is released,
    /// and no longer than `at_most`. One round trip to L2, to all shards at once; none without an L2.
    ///
    /// # Errors
    /// [`HoldError`]. What was to be held is invalidated then as far as that was possible, and nothing is held.
    ///
    /// # Cancel safety
    /// Once polled, it goes through even if the future is dropped: then the hold ends after `at_most`.
    pub async fn hold(
        self: &Arc<Self>,
        targets: impl Targets,
        at_most: Duration,
    ) -> Result<(Hold, Receipt), HoldError> {
        let idents = self.to_be_held(targets)?;
        if at_most.is_zero() || at_most > MAX_HOLD {
            return Err(HoldError::Time(format!("{at_most:?}")));
        }
        let hold = Hold { instance: Arc::clone(self), token: Token(random_id()), idents: idents.into() };
        let task = tokio::spawn(async move {
            match hold.change(Holding::Begin(hold.token, at_most)).await {
                Ok((receipt, _)) => Ok((hold, receipt)),
                Err(error) => {
                    // What has begun need not run out. Nobody can do anything about it if this fails, too.
                    drop(hold.change(Holding::End(hold.token)).await);
                    Err(error)
                }
            }
        });
        let lost = HoldError::Unconfirmed { source: None, shards: 0 };
        task.await.unwrap_or(Err(lost))
    }

    fn to_be_held(&self, targets: impl Targets) -> Result<Vec<Ident>, HoldError> {
        let mut all = Vec::new();
        targets.collect(&mut all);
        if all.iter().any(|target| matches!(target, Target::Soft(_))) {
            return Err(HoldError::Soft);
        }
        if all.is_empty() || all.len() > MAX_IDENTS {
            return Err(HoldError::Number(all.len()));
        }
        let secrets = &self.settings().secrets;
        all.iter().map(|target| target.ident(secrets).map_err(HoldError::Target)).collect()
    }
}

/// What is kept out of the cache. Dropped without [`release`](Self::release), it ends when its time is over.
#[must_use = "a hold is ended by `release`; dropped, it goes on until its time is over"]
pub struct Hold {
    instance: Arc<Instance>,
    token: Token,
    idents: Arc<[Ident]>,
}

impl Hold {
    /// Invalidates what is held, and lets it into the cache again. One round trip to L2, to all shards at once.
    ///
    /// # Errors
    /// [`InvalidateError::Unconfirmed`] as of an invalidation. The hold then ends when its time is over.
    ///
    /// # Cancel safety
    /// Once polled, it goes through even if the future is dropped.
    pub async fn release(self) -> Result<Released, InvalidateError> {
        let queued = self.idents.len();
        let unconfirmed = move |source, shards| InvalidateError::Unconfirmed { queued, source, shards };
        let task = tokio::spawn(async move { self.change(Holding::End(self.token)).await });
        match task.await {
            Ok(Ok((receipt, Tenure::Ours))) => Ok(Released::InTime(receipt)),
            Ok(Ok((receipt, Tenure::Lost))) => Ok(Released::TooLate(receipt)),
            Ok(Err(HoldError::Unconfirmed { source, shards })) => Err(unconfirmed(source, shards)),
            // Ending one takes no room.
            Ok(Err(_)) | Err(_) => Err(unconfirmed(None, 0)),
        }
    }

    async fn change(&self, holding: Holding) -> Result<(Receipt, Tenure), HoldError> {
        let all = 0..self.instance.shards().len();
        let changes = all.map(|at| {
            let (instance, idents) = (Arc::clone(&self.instance), Arc::clone(&self.idents));
            tokio::spawn(async move { instance.shards()[at].hold(&idents, holding).await })
        });
        let changes: Vec<_> = changes.collect();
        let (mut proofs, mut tenure) = (Vec::<Proof>::with_capacity(changes.len()), Tenure::Ours);
        let (mut failed, mut why, mut full) = (0, None, false);
        for change in changes {
            match change.await.unwrap_or(Err(None)) {
                Ok(Some((proof, Tenure::Ours))) => proofs.push(proof),
                Ok(Some((proof, Tenure::Lost))) => {
                    tenure = Tenure::Lost;
                    proofs.push(proof);
                }
                Ok(None) => full = true,
                Err(source) => {
                    failed += 1;
                    why = why.or(source);
                }
            }
        }
        let recorder = self.instance.recorder();
        if failed > 0 {
            recorder.observe(&Event::Unconfirmed);
            return Err(HoldError::Unconfirmed { source: why, shards: failed });
        }
        if full {
            return Err(HoldError::Full);
        }
        recorder.observe(&Event::Invalidated);
        Ok((Receipt::of(proofs), tenure))
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").field("token", &self.token).field("idents", &self.idents).finish()
    }
}

/// How a hold was ended. What was held is invalidated either way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Released {
    /// It was on until now.
    InTime(Receipt),
    /// It was over before: its time had run out, or L2 has lost it. In between responses may have been cached and served; from now
    /// on they are not.
    TooLate(Receipt),
}

impl Released {
    /// The proof of the invalidation that the hold has ended with.
    #[must_use]
    pub const fn receipt(&self) -> &Receipt {
        match self {
            Self::InTime(receipt) | Self::TooLate(receipt) => receipt,
        }
    }
}

/// Why nothing is held.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HoldError {
    /// No entry can carry such a name.
    Target(TargetError),
    /// A soft target: a hold is for what must not be served.
    Soft,
    /// So many targets: none, or more than [`MAX_IDENTS`].
    Number(usize),
    /// Such a time: zero, or more than [`MAX_HOLD`], or none at all.
    Time(String),
    /// There are as many holds as fit: [`MAX_HELD`](crate::holds::MAX_HELD) targets at a time.
    Full,
    /// L2 did not confirm, or not as a whole. This instance has invalidated the targets, and L2 will be told.
    Unconfirmed {
        /// What L2 said; `None` when it was not asked because it has been failing.
        source: Option<L2Error>,
        /// How many of L2's shards have not confirmed it.
        shards: usize,
    },
}

impl fmt::Display for HoldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(error) => write!(f, "cannot hold: {error}"),
            Self::Soft => f.write_str("cannot hold a soft target: hold the target itself"),
            Self::Number(0) => f.write_str("cannot hold nothing: name at least one target"),
            Self::Number(number) => write!(
                f,
                "cannot hold {number} targets at once: at most {MAX_IDENTS}, so hold a tag that they share"
            ),
            Self::Time(time) => {
                let most = MAX_HOLD.as_secs() / 60;
                write!(
                    f,
                    "cannot hold for {time:?}: more than 0 and at most {most}m is accepted, as in \"10s\""
                )
            }
            Self::Full => {
                f.write_str("too much is held already: release holds, or hold a tag in place of many")
            }
            Self::Unconfirmed { .. } => f.write_str(
                "invalidated for certain on this instance only, and nothing is held: L2 did not confirm",
            ),
        }
    }
}

impl std::error::Error for HoldError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Target(error) => Some(error),
            Self::Unconfirmed { source, .. } => source.as_ref().map(|error| error as _),
            _ => None,
        }
    }
}
