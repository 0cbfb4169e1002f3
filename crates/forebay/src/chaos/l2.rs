//! An L2 with faults.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use forebay_core::entry::Seq;
use forebay_core::key::Key;
use forebay_core::l2::{
    Census, Claim, Held, Holding, Issued, L2, L2Error, L2Future, Link, Lookup, Notices, Page, Position,
    Presence, Roll, Scores, Store, Stored, Tend, Tenure, Token,
};
use forebay_core::tag::Ident;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::bus;
use super::dice::{Op, Throw};
use super::switch::{Chaos, End};

/// Another L2, with the faults of a [`Chaos`]. [`CacheBuilder::chaos`](crate::CacheBuilder::chaos) puts it in place.
///
/// What it does is within what an L2 may do to a cache, so no promise of the cache is weaker over it.
pub struct ChaosL2 {
    l2: Arc<dyn L2>,
    chaos: Chaos,
}

impl ChaosL2 {
    /// Puts the faults of `chaos` in front of `l2`.
    #[must_use]
    pub fn new(l2: Arc<dyn L2>, chaos: &Chaos) -> Self {
        Self { l2, chaos: chaos.clone() }
    }

    /// Runs an operation to the end that chance has for it.
    fn call<'a, T: Send + 'a>(
        &'a self,
        op: Op,
        run: impl FnOnce(&'a dyn L2) -> L2Future<'a, T> + Send + 'a,
    ) -> L2Future<'a, T> {
        Box::pin(async move { Ok(self.answer(op, run).await?.0) })
    }

    /// The operation's answer, and the rest of its throw.
    async fn answer<'a, T>(
        &'a self,
        op: Op,
        run: impl FnOnce(&'a dyn L2) -> L2Future<'a, T>,
    ) -> Result<(T, Throw), L2Error> {
        let (fate, throw) = self.chaos.fate(op);
        if !fate.delay.is_zero() {
            sleep(fate.delay).await;
        }
        match fate.end {
            End::Pass => return Ok((run(&*self.l2).await?, throw)),
            End::Fail => return Err(L2Error::Unavailable("chaos".into())),
            End::DropRequest => {}
            End::DropReply => drop(run(&*self.l2).await),
        }
        sleep(fate.timeout).await;
        Err(L2Error::Timeout)
    }

    /// What a lookup found, as the rest of its throw leaves it.
    fn damaged(&self, mut found: Lookup, mut throw: Throw) -> Lookup {
        if let Some(frame) = &found.frame
            && let Some(damaged) = self.chaos.damaged(frame, &mut throw)
        {
            found.frame = Some(damaged.into());
        }
        found
    }
}

impl L2 for ChaosL2 {
    fn open(&self) -> L2Future<'_, Position> {
        self.call(Op::Open, |l2| l2.open())
    }

    fn lookup(&self, key: Key) -> L2Future<'_, Lookup> {
        Box::pin(async move {
            let (found, throw) = self.answer(Op::Lookup, |l2| l2.lookup(key)).await?;
            Ok(self.damaged(found, throw))
        })
    }

    fn store<'a>(&'a self, store: Store<'a>) -> L2Future<'a, Stored> {
        self.call(Op::Store, move |l2| l2.store(store))
    }

    fn invalidate<'a>(&'a self, idents: &'a [Ident], at_least: Seq) -> L2Future<'a, Issued> {
        self.call(Op::Invalidate, move |l2| l2.invalidate(idents, at_least))
    }

    fn hold<'a>(&'a self, idents: &'a [Ident], at_least: Seq, holding: Holding) -> L2Future<'a, Held> {
        self.call(Op::Invalidate, move |l2| l2.hold(idents, at_least, holding))
    }

    fn catch_up(&self, after: Seq) -> L2Future<'_, Page> {
        self.call(Op::CatchUp, move |l2| l2.catch_up(after))
    }

    fn scores<'a>(&'a self, idents: &'a [Ident]) -> L2Future<'a, Scores> {
        self.call(Op::Scores, move |l2| l2.scores(idents))
    }

    fn claim(&self, key: Key, token: Token, term: Duration, after: Seq) -> L2Future<'_, (Claim, Lookup)> {
        Box::pin(async move {
            let claimed = self.answer(Op::Claim, move |l2| l2.claim(key, token, term, after));
            let ((claim, found), throw) = claimed.await?;
            Ok((claim, self.damaged(found, throw)))
        })
    }

    fn tend(&self, key: Key, token: Token, tend: Tend) -> L2Future<'_, Tenure> {
        self.call(Op::Tend, move |l2| l2.tend(key, token, tend))
    }

    fn poll(&self, link: Link) -> L2Future<'_, Option<Position>> {
        self.call(Op::Poll, move |l2| l2.poll(link))
    }

    fn attend(&self, link: Link, presence: Presence) -> L2Future<'_, Option<Position>> {
        self.call(Op::Poll, move |l2| l2.attend(link, presence))
    }

    fn roll(&self, upto: Position, caller: Presence) -> L2Future<'_, Roll> {
        self.call(Op::Poll, move |l2| l2.roll(upto, caller))
    }

    fn census(&self) -> Option<Arc<Census>> {
        self.l2.census()
    }

    fn subscribe(&self) -> Notices {
        let (sender, notices) = mpsc::channel(MAX_NOTICES);
        tokio::spawn(bus::forward(self.l2.subscribe(), sender, self.chaos.clone()));
        notices
    }

    fn name(&self) -> &'static str {
        self.l2.name()
    }
}

impl fmt::Debug for ChaosL2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChaosL2").field("l2", &self.l2.name()).field("chaos", &self.chaos).finish()
    }
}

const MAX_NOTICES: usize = 64;
