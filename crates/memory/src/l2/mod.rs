//! The L2, as an instance sees it.

use std::sync::Arc;
use std::time::Duration;

use forebay_core::entry::Seq;
use forebay_core::key::Key;
use forebay_core::l2::{
    Claim, Held, Holding, Issued, L2, L2Error, L2Future, Link, Lookup, Notice, Notices, Page, Position,
    Presence, Roll, Scores, Store, Stored, Tend, Tenure, Token,
};
use forebay_core::tag::Ident;
use tokio::sync::mpsc;
use tokio::task::yield_now;

mod bus;
mod register;
mod leases;
mod data;
mod faults;
mod server;

pub use data::Settings;
pub use faults::Op;
pub use server::{MemoryServer, Snapshot};

use bus::Wire;
use data::Data;
use faults::{Fate, Faults};

/// One instance's client of a [`MemoryServer`]. Clones are the same client.
#[derive(Clone)]
pub struct MemoryL2 {
    server: MemoryServer,
    faults: Arc<Faults>,
    wire: Arc<Wire>,
}

impl MemoryL2 {
    /// The next `times` operations of this kind fail with `error`, and nothing happens.
    pub fn fail(&self, op: Op, times: usize, error: L2Error) {
        self.faults.plan(op, times, Fate::Fail(error));
    }

    /// Every operation fails with `error` until [`MemoryL2::heal`].
    pub fn fail_all(&self, error: L2Error) {
        for op in Op::ALL {
            self.fail(op, usize::MAX, error.clone());
        }
    }

    /// The next `times` operations of this kind happen, and the caller sees [`L2Error::Timeout`].
    pub fn lose_replies(&self, op: Op, times: usize) {
        self.faults.plan(op, times, Fate::LoseReply);
    }

    /// The next `times` operations of this kind time out for the caller and happen only at [`MemoryL2::land`], as a
    /// write in the buffer of a frozen server does.
    pub fn postpone(&self, op: Op, times: usize) {
        self.faults.plan(op, times, Fate::Postpone);
    }

    /// Lets the postponed operations happen, oldest first.
    pub fn land(&self) {
        for operation in self.faults.postponed() {
            operation(&self.server);
        }
    }

    /// Operations of this kind do not end until [`MemoryL2::heal`]; one that is dropped meanwhile never happens.
    pub fn hang(&self, op: Op) {
        self.faults.hang(op);
    }

    /// No operation ends until [`MemoryL2::heal`].
    pub fn hang_all(&self) {
        Op::ALL.into_iter().for_each(|op| self.hang(op));
    }

    /// Ends all faults of operations. What hung goes on; what was postponed still waits for [`MemoryL2::land`].
    pub fn heal(&self) {
        self.faults.heal();
    }

    /// Loses the next `count` messages of the bus on their way to this client. To lose only the last of several, call it
    /// right before that one.
    pub fn drop_messages(&self, count: usize) {
        self.wire.drop_next(count);
    }

    /// Keeps back this client's messages until [`MemoryL2::release_messages`].
    pub fn hold_messages(&self) {
        self.wire.hold();
    }

    /// Delivers what was kept back, in order.
    pub fn release_messages(&self) {
        self.wire.release();
    }

    /// Cuts this client's subscription: [`Notice::Lost`], then silence; polls over [`Link::Bus`] fail.
    pub fn disconnect_bus(&self) {
        self.wire.disconnect();
    }

    /// Renews the subscription: [`Notice::Subscribed`]. What was published meanwhile is lost.
    pub fn reconnect_bus(&self) {
        self.wire.reconnect();
    }

    /// Delivers a notice to this client alone, as a hostile or broken bus might.
    pub fn inject(&self, notice: Notice) {
        self.wire.deliver(notice);
    }

    /// How many operations of this kind have begun. Each is one round trip.
    #[must_use]
    pub fn calls(&self, op: Op) -> u64 {
        self.faults.calls(op)
    }

    /// How many operations of all kinds have begun.
    #[must_use]
    pub fn total_calls(&self) -> u64 {
        Op::ALL.into_iter().map(|op| self.calls(op)).sum()
    }

    fn poll_over(
        &self,
        link: Link,
        poll: impl FnOnce(&mut Data) -> Option<Position> + Send + 'static,
    ) -> L2Future<'_, Option<Position>> {
        let op = if link == Link::Bus { Op::PollBus } else { Op::PollCommands };
        let wire = Arc::clone(&self.wire);
        let arrives = move || link == Link::Commands || wire.is_connected();
        let position = self.call(op, move |data| arrives().then(|| poll(data)));
        Box::pin(async { position.await?.ok_or_else(|| L2Error::Unavailable("the bus is cut".into())) })
    }

    /// Runs an operation under the client's faults. It ends at the earliest when it is polled a second time, as anything
    /// that crosses a network.
    fn call<T: Send + 'static>(
        &self,
        op: Op,
        run: impl FnOnce(&mut Data) -> T + Send + 'static,
    ) -> L2Future<'_, T> {
        Box::pin(async move {
            let fate = self.faults.begin(op);
            yield_now().await;
            self.faults.unless_hung(op).await;
            match fate {
                Fate::Pass => Ok(self.server.with(run)),
                Fate::Fail(error) => Err(error),
                Fate::LoseReply => {
                    self.server.with(run);
                    Err(L2Error::Timeout)
                }
                Fate::Postpone => {
                    self.faults.postpone(Box::new(move |server| drop(server.with(run))));
                    Err(L2Error::Timeout)
                }
            }
        })
    }
}

impl L2 for MemoryL2 {
    fn open(&self) -> L2Future<'_, Position> {
        self.call(Op::Open, Data::open)
    }

    fn lookup(&self, key: Key) -> L2Future<'_, Lookup> {
        self.call(Op::Lookup, move |data| data.lookup(key))
    }

    fn store<'a>(&'a self, store: Store<'a>) -> L2Future<'a, Stored> {
        let idents = store.idents.to_vec();
        let Store { key, incarnation, stamp, ttl, frame, .. } = store;
        self.call(Op::Store, move |data| {
            data.store(Store { key, incarnation, stamp, ttl, frame, idents: &idents })
        })
    }

    fn invalidate<'a>(&'a self, idents: &'a [Ident], at_least: Seq) -> L2Future<'a, Issued> {
        let idents = idents.to_vec();
        self.call(Op::Invalidate, move |data| data.invalidate(&idents, at_least))
    }

    fn hold<'a>(&'a self, idents: &'a [Ident], at_least: Seq, holding: Holding) -> L2Future<'a, Held> {
        let idents = idents.to_vec();
        self.call(Op::Hold, move |data| data.hold(&idents, at_least, holding))
    }

    fn catch_up(&self, after: Seq) -> L2Future<'_, Page> {
        let page = self.call(Op::CatchUp, move |data| data.catch_up(after));
        Box::pin(async { page.await?.ok_or_else(unopened) })
    }

    fn scores<'a>(&'a self, idents: &'a [Ident]) -> L2Future<'a, Scores> {
        let idents = idents.to_vec();
        let scores = self.call(Op::Scores, move |data| data.scores(&idents));
        Box::pin(async { scores.await?.ok_or_else(unopened) })
    }

    fn claim(&self, key: Key, token: Token, term: Duration, after: Seq) -> L2Future<'_, (Claim, Lookup)> {
        self.call(Op::Claim, move |data| data.claim(key, token, term, after))
    }

    fn tend(&self, key: Key, token: Token, tend: Tend) -> L2Future<'_, Tenure> {
        self.call(Op::Tend, move |data| data.tend(key, token, tend))
    }

    fn poll(&self, link: Link) -> L2Future<'_, Option<Position>> {
        self.poll_over(link, Data::poll)
    }

    fn attend(&self, link: Link, presence: Presence) -> L2Future<'_, Option<Position>> {
        self.poll_over(link, move |data| data.attend(&presence))
    }

    fn roll(&self, upto: Position, caller: Presence) -> L2Future<'_, Roll> {
        self.call(Op::Roll, move |data| data.roll(upto, &caller))
    }

    fn subscribe(&self) -> Notices {
        let (sender, notices) = mpsc::channel(self.server.settings().bus_capacity.max(2));
        self.wire.subscribe(sender);
        notices
    }

    fn name(&self) -> &'static str {
        "memory"
    }
}

impl std::fmt::Debug for MemoryL2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryL2").field("calls", &self.total_calls()).finish_non_exhaustive()
    }
}

/// The log of a namespace without a position cannot be asked for.
fn unopened() -> L2Error {
    L2Error::Protocol("the namespace has no position".into())
}
