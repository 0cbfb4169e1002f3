//! A value that comes with the change that invalidates it: the answer to a request that is an entry itself.
//!
//! Such a value is younger than its own invalidation. Whether it is also younger than another's that came in between, the log
//! tells: where nothing stands in it between what was known before the request was sent and the request's own invalidation,
//! nothing came in between.

use std::future::Future;

use crate::entry::{Stamp, Stored};
use crate::instance::Receipt;
use crate::l2::{Incarnation, Issued};
use crate::seek::{Fill, Filling};

use super::outcome::Grounds;
use super::state::Tiers;

/// What was known before a request was sent that may change something.
#[derive(Clone, Copy, Debug)]
pub struct Before {
    stamp: Stamp,
    incarnation: Option<Incarnation>,
}

impl<V: Stored> Tiers<V> {
    /// To be called before the request is sent.
    #[must_use]
    pub fn before_change(&self) -> Before {
        let coherence = self.instance().coherence();
        Before { stamp: coherence.begin().stamp, incarnation: coherence.incarnation() }
    }

    /// Stores what a request brought that has invalidated what it changed, for which it has this receipt. Stores nothing where
    /// something else may have been invalidated meanwhile. `filling` runs to its end in any case.
    pub async fn fill_after(
        &self,
        before: Before,
        receipt: Receipt,
        filling: impl Future<Output = Vec<Fill<V>>> + Send + 'static,
    ) {
        match self.grounds_after(before, receipt) {
            Some(grounds) => self.fill(None, grounds, None, Filling::Storable(Box::pin(filling))).await,
            None => drop(filling.await),
        }
    }

    /// What such a value rests on: its own invalidation, if that is the only one since.
    fn grounds_after(&self, before: Before, receipt: Receipt) -> Option<Grounds> {
        let Before { stamp, incarnation } = before;
        let Some(Issued { position, previous }) = receipt.issued() else {
            // Without a log each invalidation is an epoch.
            let epoch = self.instance().coherence().epoch();
            let alone = incarnation.is_none() && epoch == stamp.epoch + 1;
            return alone.then_some(Grounds { stamp: Stamp { epoch, ..stamp }, incarnation });
        };
        let alone = incarnation == Some(position.incarnation) && previous <= stamp.seq;
        // The epoch stays: what this instance has invalidated and L2 not confirmed has a later one.
        alone.then_some(Grounds { stamp: Stamp { seq: position.seq, ..stamp }, incarnation })
    }
}
