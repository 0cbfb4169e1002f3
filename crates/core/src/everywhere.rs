//! Waiting until an invalidation holds on every instance.
//!
//! Two things end the wait. L2 keeps a roll of the instances that poll, with what each has applied: once all have applied the
//! invalidation, it holds everywhere, mostly within a millisecond or two. And time: a lease that was granted before the
//! invalidation is over a lease later, and one that is granted after it has the invalidation applied. So an instance that does
//! not answer is waited for no longer than that, and even an L2 that keeps no roll, or fails, ends the wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::event::Op;
use crate::instance::{Instance, InvalidateError, Receipt};
use crate::l2::{L2Error, Position, Presence, Roll};
use crate::shard::{Proof, Shard};
use crate::time::Moment;

impl Instance {
    /// Waits until each instance has applied the invalidation that this receipt is for, or holds no lease any more. At most for
    /// the length of a lease, and a little; at once without an L2.
    ///
    /// # Errors
    /// [`InvalidateError::NotEverywhere`] when L2 is silent to the end, and instances may be serving without a lease because of
    /// that. It is confirmed all the same.
    ///
    /// # Cancel safety
    /// Dropped, it only stops waiting.
    pub async fn everywhere(self: &Arc<Self>, receipt: Receipt) -> Result<Receipt, InvalidateError> {
        let lease = self.settings.coherence.lease;
        // Clocks do not run at quite the same pace.
        let end = self.settings.clock.now().after(lease + lease / 100);
        let mut waits = JoinSet::new();
        for (at, proof) in receipt.proofs().iter().enumerate() {
            let Proof::Log(issued) = *proof else { continue };
            let instance = Arc::clone(self);
            let caller = Presence { instance: self.id, applied: None, lease };
            waits.spawn(async move {
                instance.shards()[at].applied_everywhere(issued.position, caller, end).await
            });
        }
        let mut done = Ok(());
        while let Some(wait) = waits.join_next().await {
            done = done.and(wait.unwrap_or(Err(None)));
        }
        match done {
            // Who has no grace has stopped.
            Err(source) if !self.settings.coherence.partition_grace.is_zero() => {
                Err(InvalidateError::NotEverywhere { receipt, source })
            }
            _ => Ok(receipt),
        }
    }
}

impl Shard {
    /// Waits until each instance has applied this shard's log up to there, but not beyond `end`, when all leases are over.
    async fn applied_everywhere(
        &self,
        upto: Position,
        caller: Presence,
        mut end: Moment,
    ) -> Result<(), Option<L2Error>> {
        let Some(remote) = &self.remote else { return Ok(()) };
        let (mut pause, mut first) = (FIRST_PAUSE, true);
        loop {
            let asked =
                remote.guarded(&self.recorder, &self.clock, Op::Sync, || remote.l2.roll(upto, caller)).await;
            let now = self.clock.now();
            match asked {
                Ok(Roll::Complete) => return Ok(()),
                // Others may have longer leases. Those that are granted from now on have it applied.
                Ok(Roll::Behind(left)) if std::mem::take(&mut first) => end = end.max(now.after(left)),
                Err(error) if now >= end => return Err(error),
                _ => {}
            }
            if now >= end {
                return Ok(());
            }
            sleep(pause.min(until(now, end))).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }
}

fn until(now: Moment, end: Moment) -> Duration {
    end.since(now).max(FIRST_PAUSE)
}

/// A message reaches the others, and their reports L2, in about this time.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
