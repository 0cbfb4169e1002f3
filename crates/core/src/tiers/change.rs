//! A value that comes with the change that invalidates it: the answer to a request that is an entry itself.
//!
//! Such a value is younger than its own invalidation. Whether it is also younger than another's that came in between is asked
//! of the log: an invalidation tells when its idents were invalidated before it, and the idents that it does not name are
//! looked up afterwards. Where nothing came in between, the value rests on its own invalidation.

use std::future::{Future, ready};

use tokio::time::timeout;

use super::outcome::{Duty, Grounds, Told};
use super::state::Tiers;
use crate::entry::{Seq, Stamp, Stored};
use crate::event::{Event, Op};
use crate::instance::Receipt;
use crate::key::Key;
use crate::l2::{Incarnation, Issued, Scores};
use crate::pattern::Learned;
use crate::seek::{Fill, Filling};
use crate::shard::{Proof, Shard};
use crate::tag::Ident;
use crate::time::Moment;

/// What was known before a request was sent that may change something.
#[derive(Clone, Copy, Debug)]
pub struct Before {
    key: Key,
    stamp: Stamp,
    incarnation: Option<Incarnation>,
}

impl<V: Stored> Tiers<V> {
    /// To be called before the request is sent, with the canonical primary key of what it may bring.
    #[must_use]
    pub fn before_change(&self, canonical: &[u8]) -> Before {
        let key = self.key(canonical);
        let coherence = &self.instance().shard(key).coherence;
        Before { key, stamp: coherence.begin().stamp, incarnation: coherence.incarnation() }
    }

    /// Stores what a request brought that has invalidated what it changed, for which it has this receipt. Stores nothing where
    /// something that invalidates it has happened meanwhile. One more round trip to L2 than another fill.
    pub async fn fill_after(
        &self,
        before: Before,
        receipt: Receipt,
        filling: impl Future<Output = Vec<Fill<V>>> + Send,
    ) {
        let max_fill = self.instance().settings().max_fill;
        let fills = timeout(max_fill, filling).await.unwrap_or_default();
        if fills.is_empty() {
            return;
        }
        let coherence = &self.instance().shard(before.key).coherence;
        let named = |fill: &Fill<V>| coherence.named(fill.idents.as_slice(), &fill.canonical).into_owned();
        let idents: Vec<Ident> = fills.iter().flat_map(named).collect();
        match self.grounds_after(before, receipt, &idents).await {
            Some(grounds) => {
                self.fill(Duty::NONE, grounds, None, Filling::Storable(Box::pin(ready(fills)))).await;
            }
            None => self.instance().recorder().observe(&Event::NotStored("invalidated")),
        }
    }

    /// What such a value rests on: its own invalidation, if that is the only one since.
    async fn grounds_after(&self, before: Before, receipt: Receipt, idents: &[Ident]) -> Option<Grounds> {
        let Before { key, stamp, incarnation } = before;
        let shard = self.instance().shard(key);
        let coherence = &shard.coherence;
        let grounds = |stamp| Grounds {
            key,
            stamp,
            incarnation,
            asked: Moment::default(),
            told: Told::ByL2,
            frame: None,
        };
        match receipt.proof(key) {
            Proof::Local(own) => {
                let stamp = Stamp { epoch: own.epoch, ..stamp };
                let untouched = coherence.untouched_since(before.stamp.epoch, Some(own), idents);
                untouched.then(|| grounds(stamp))
            }
            Proof::Log(issued) => {
                let scores = self.scores(shard, idents).await?;
                if coherence.learn(&scores.shapes) == Learned::News {
                    // A pattern may have been invalidated that was not asked for.
                    return None;
                }
                // The epoch stays: what this instance has invalidated and L2 not confirmed has a later one.
                let stamp = Stamp { seq: issued.position.seq, ..stamp };
                let untouched = is_only_change(incarnation, before.stamp.seq, issued, &scores)
                    && coherence.untouched_since(before.stamp.epoch, None, idents);
                untouched.then(|| grounds(stamp))
            }
        }
    }

    async fn scores(&self, shard: &Shard, idents: &[Ident]) -> Option<Scores> {
        let instance = self.instance();
        let remote = shard.remote.as_ref()?;
        let (recorder, clock) = (instance.recorder(), &instance.settings().clock);
        remote.guarded(recorder, clock, Op::Lookup, || remote.l2.scores(idents)).await.ok()
    }
}

/// Whether an invalidation is all that has happened to these idents since `since`.
fn is_only_change(incarnation: Option<Incarnation>, since: Seq, issued: Issued, scores: &Scores) -> bool {
    let own = issued.position;
    let one_life = incarnation == Some(own.incarnation) && scores.position.incarnation == own.incarnation;
    let untouched = |seq: &Option<Seq>| seq.is_none_or(|seq| seq <= since || seq == own.seq);
    one_life && issued.last <= since && scores.floor <= since && scores.seqs.iter().all(untouched)
}
