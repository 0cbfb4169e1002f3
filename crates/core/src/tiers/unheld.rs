//! What is held stays out of the cache.
//!
//! A fill that began where nothing was held needs no look: a hold that has begun since is an invalidation after its stamp. One
//! that began while something was held asks the log whether that was what it has brought.

use super::outcome::Grounds;
use super::state::Tiers;
use crate::entry::{Stamp, Stored};
use crate::event::Event;
use crate::holds::tells_of_holds;
use crate::seek::Fill;
use crate::shard::Shard;
use crate::tag::Idents;

impl<V: Stored> Tiers<V> {
    /// The fills again, unless one of them is held, or has been until a moment ago. One round trip to L2 for each where anything at
    /// all is held, else none.
    pub(super) async fn unheld(&self, grounds: Grounds, fills: Vec<Fill<V>>) -> Option<Vec<Fill<V>>> {
        let shard = self.instance.shard(grounds.key);
        let held = if shard.remote.is_none() {
            fills.iter().any(|fill| {
                shard.holds_alone(&shard.coherence.named(fill.idents.as_slice(), &fill.canonical))
            })
        } else if tells_of_holds(grounds.stamp.seq) {
            let brought = fills.iter().map(|fill| (fill.idents.clone(), fill.canonical.clone())).collect();
            self.is_held(shard, grounds.stamp, brought).await
        } else {
            false
        };
        if held {
            self.instance.recorder.observe(&Event::NotStored("held"));
        }
        (!held).then_some(fills)
    }

    async fn is_held(&self, shard: &Shard, stamp: Stamp, brought: Vec<(Idents, Box<[u8]>)>) -> bool {
        for (idents, canonical) in brought {
            // Who does not hear whether it is held takes it for held.
            let Some(scores) = self.ask_log(shard, idents.as_slice(), &canonical).await else { return true };
            let mut hard = scores.seqs.iter().take(scores.seqs.len() / 2).flatten();
            let ours = shard.coherence.incarnation() == Some(scores.position.incarnation);
            if !ours || scores.floor > stamp.seq || hard.any(|seq| *seq > stamp.seq) {
                return true;
            }
        }
        false
    }
}
