//! Following: waiting for another request's answer, and judging whether it is good for this one.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::outcome::{Attestation, Followed};
use super::state::Tiers;
use crate::entry::{Assurance, Entry, Stored};
use crate::flight::{Follower, Landing};
use crate::seek::{Seeker, settles};
use crate::time::Moment;

impl<V: Stored> Tiers<V> {
    /// Waits for the leader, and judges what it brings by when this request arrived: it is good if the leader began
    /// later than that, or if nothing it answers to has been invalidated since the leader began.
    pub(crate) async fn follow<S: Seeker<V>>(
        &self,
        follower: Follower<Arc<Entry<V>>>,
        arrival: Moment,
        seeker: &S,
        patience: &mut u32,
    ) -> Followed<V> {
        let (began, assurance) = (follower.began(), seeker.assurance());
        let wait = seeker.patience().unwrap_or(self.instance.settings.flight_wait);
        match self.settled_within(wait, follower, seeker).await {
            Ok(Landing::Meanwhile(entry)) => Followed::Slow(entry),
            // A leader that need not be as sure may have had it from L1.
            Ok(Landing::Landed(entry)) if began.at > arrival && began.assurance >= assurance => {
                Followed::Shared(entry)
            }
            Ok(Landing::Landed(entry)) => {
                if self.may_share(&entry, assurance).await {
                    Followed::Shared(entry)
                } else {
                    Followed::Again
                }
            }
            Ok(Landing::Failed(entry)) if self.may_share(&entry, assurance).await => {
                if settles(seeker, &entry, self.now()) {
                    Followed::Failed(entry)
                } else {
                    Followed::Shared(entry)
                }
            }
            Ok(Landing::LookAgain) => Followed::LookAgain,
            Ok(Landing::Abandoned) if *patience > 0 => {
                *patience -= 1;
                Followed::Again
            }
            Ok(Landing::Abandoned | Landing::Unshareable | Landing::Failed(_)) => Followed::Alone,
            // One more call would not make the origin any faster.
            Err(_) if seeker.patience().is_some() => Followed::TimedOut,
            Err(_) => Followed::Alone,
        }
    }

    /// The same, for so long; once more that long where the leader has had to wait for another instance. Whoever would rather
    /// have no answer then waits no longer.
    async fn settled_within<S: Seeker<V>>(
        &self,
        wait: Duration,
        follower: Follower<Arc<Entry<V>>>,
        seeker: &S,
    ) -> Result<Landing<Arc<Entry<V>>>, Elapsed> {
        let delay = follower.delay();
        let mut settled = pin!(self.settled(follower, seeker));
        match timeout(wait, &mut settled).await {
            Err(_) if delay.has_occurred() && seeker.patience().is_none() => timeout(wait, settled).await,
            settled => settled,
        }
    }

    /// How the flight ended, unless the request settles for what there is while it takes its time.
    async fn settled<S: Seeker<V>>(
        &self,
        mut follower: Follower<Arc<Entry<V>>>,
        seeker: &S,
    ) -> Landing<Arc<Entry<V>>> {
        match follower.news().await {
            Landing::Meanwhile(entry)
                if settles(seeker, &entry, self.now())
                    && self.may_share(&entry, seeker.assurance()).await =>
            {
                Landing::Meanwhile(entry)
            }
            Landing::Meanwhile(_) => follower.landing().await,
            landing => landing,
        }
    }

    /// Whether a request that has to be so sure may have what another request has brought.
    async fn may_share(&self, entry: &Entry<V>, assurance: Assurance) -> bool {
        match assurance {
            Assurance::Bounded => self.is_valid(entry),
            Assurance::Sought | Assurance::Strict => match self.attest(entry, assurance).await {
                Attestation::Valid => true,
                Attestation::Refuted => false,
                Attestation::Silent => assurance == Assurance::Sought && self.is_valid(entry),
            },
        }
    }
}
