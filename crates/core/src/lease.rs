//! Fill leases: of all instances, one asks the origin for a key.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::entry::Seq;
use crate::event::Op;
use crate::instance::Instance;
use crate::key::Key;
use crate::l2::{Claim, L2Error, Lookup, MAX_TERM, Tend, Tenure, Token};
use crate::shard::Remote;
use crate::time::random_id;

/// A fill lease that this instance holds. It is renewed until it is dropped, which releases it, or waived.
#[must_use = "a lease that is dropped is released"]
pub(crate) struct Lease(oneshot::Sender<Waived>);

/// What is fetched cannot be shared.
struct Waived;

impl Lease {
    /// Ends the lease: the others have nothing to wait for, and need not try one after the other.
    pub(crate) fn waive(self) {
        // Whoever kept it may have lost it.
        let _ = self.0.send(Waived);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lease")
    }
}

/// Whose turn it is to ask the origin.
#[derive(Debug)]
pub(crate) enum Whose {
    Ours(Lease),
    /// Another instance's, for so long unless it renews.
    Anothers(Duration),
    Everybodys,
}

impl Instance {
    /// Claims a key's fill lease, unless another instance has claimed it at the position `after` or later, and looks the key up
    /// in L2. `None` where L2 does not say.
    ///
    /// # Cancel safety
    /// Safe to drop: the claim is made on a task of its own, which releases what nobody waits for any more.
    pub(crate) async fn claim(
        self: &Arc<Self>,
        key: Key,
        term: Duration,
        after: Seq,
    ) -> Option<(Whose, Lookup)> {
        let (answer, answered) = oneshot::channel();
        tokio::spawn(keep(Arc::clone(self), key, term.min(MAX_TERM), after, answer));
        answered.await.ok()
    }

    async fn tend(
        &self,
        remote: &Remote,
        key: Key,
        token: Token,
        tend: Tend,
    ) -> Result<Tenure, Option<L2Error>> {
        let operation = || remote.l2.tend(key, token, tend);
        remote.guarded(&self.recorder, &self.settings.clock, Op::Lease, operation).await
    }
}

/// Claims a lease, and keeps it for as long as it is wanted.
async fn keep(
    instance: Arc<Instance>,
    key: Key,
    term: Duration,
    after: Seq,
    answer: oneshot::Sender<(Whose, Lookup)>,
) {
    let Some(remote) = &instance.shard(key).remote else { return };
    let token = Token(random_id());
    let operation = || remote.l2.claim(key, token, term, after);
    let claimed = remote.guarded(&instance.recorder, &instance.settings.clock, Op::Lease, operation).await;
    let Ok((claim, found)) = claimed else { return };
    let (lease, ended) = oneshot::channel();
    let whose = match claim {
        Claim::Claimed => Whose::Ours(Lease(lease)),
        Claim::Held(left) => Whose::Anothers(left),
        Claim::Waived => Whose::Everybodys,
    };
    // Where nobody waits for it any more, the lease in it is dropped here and now.
    drop(answer.send((whose, found)));
    if claim != Claim::Claimed {
        return;
    }
    let renewing = renew(&instance, remote, key, token, term);
    let tend = tokio::select! {
        biased;
        ended = ended => ended.map_or(Tend::Release, |Waived| Tend::Waive(WAIVED)),
        // After so long L2 takes nothing of this fill any more.
        _ = timeout(instance.settings.max_fill, renewing) => Tend::Release,
    };
    // If it fails, the lease runs out.
    drop(instance.tend(remote, key, token, tend).await);
}

/// Renews a lease until it is lost.
async fn renew(instance: &Instance, remote: &Remote, key: Key, token: Token, term: Duration) {
    loop {
        sleep(term / RENEWALS).await;
        if let Ok(Tenure::Lost) = instance.tend(remote, key, token, Tend::Renew(term)).await {
            return;
        }
    }
}

/// How often a lease is renewed within its term: one renewal may be lost.
const RENEWALS: u32 = 3;
/// How long it is remembered in L2 that there is nothing to wait for: longer than it takes whoever waits to hear of it.
const WAIVED: Duration = Duration::from_secs(1);
