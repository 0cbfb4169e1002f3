//! Following: waiting for another request's answer, and judging whether it is good for this one.

use std::sync::Arc;

use super::outcome::{Attestation, Followed};
use super::state::Tiers;
use crate::entry::{Assurance, Entry, Stored};
use crate::flight::{Follower, Landing};
use crate::time::Moment;

impl<V: Stored> Tiers<V> {
    /// Waits for the leader, and judges what it brings by when this request arrived: it is good if the leader began
    /// later than that, or if nothing it answers to has been invalidated since the leader began.
    pub(crate) async fn follow(
        &self,
        follower: Follower<Arc<Entry<V>>>,
        arrival: Moment,
        assurance: Assurance,
        patience: &mut u32,
    ) -> Followed<V> {
        let began = follower.began();
        let landing = tokio::time::timeout(self.instance.settings.flight_wait, follower.landing()).await;
        match landing {
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
            Ok(Landing::Failed(entry)) if self.may_share(&entry, assurance).await => Followed::Failed(entry),
            Ok(Landing::LookAgain) => Followed::LookAgain,
            Ok(Landing::Abandoned) if *patience > 0 => {
                *patience -= 1;
                Followed::Again
            }
            Ok(Landing::Abandoned | Landing::Unshareable | Landing::Failed(_)) | Err(_) => Followed::Alone,
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
