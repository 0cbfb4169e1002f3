//! What the cases ask and store.

use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use forebay_core::entry::Seq;
use forebay_core::key::Key;
use forebay_core::l2::{
    Issued, L2, L2Error, Message, Notice, Notices, Position, Refusal, Store, Stored, Token,
};
use forebay_core::tag::Ident;

/// Invalidates from both clients at once: ident n by its n-th invalidation, the second client's after the first's.
pub(super) async fn issue_at_once(a: &impl L2, b: &impl L2) -> [Vec<Issued>; 2] {
    async fn issue(l2: &impl L2, first: u64) -> Vec<Issued> {
        let mut issued = Vec::new();
        for n in first..first + ROUNDS {
            issued.push(ok(l2.invalidate(&[ident(n)], 0).await));
        }
        issued
    }
    tokio::join!(issue(a, 0), issue(b, ROUNDS)).into()
}

/// Each link begins where the one before it ended, and leads up.
pub(super) fn assert_chain(start: Position, links: impl Iterator<Item = (Seq, Seq)>) {
    let mut at = start.seq;
    for (previous, seq) in links {
        assert_eq!(previous, at, "a link of the chain is missing, doubled or out of order");
        assert!(seq > previous, "{seq} after {previous}: the chain leads down");
        at = seq;
    }
}

pub(super) async fn subscribed(l2: &impl L2) -> Notices {
    let mut notices = l2.subscribe();
    let first = notices.recv().await;
    assert_eq!(first, Some(Notice::Subscribed), "the first notice confirms the subscription");
    notices
}

pub(super) async fn message(notices: &mut Notices) -> Message {
    match notices.recv().await {
        Some(Notice::Message(message)) => message,
        Some(Notice::Server(_)) => Box::pin(message(notices)).await,
        other => panic!("{other:?} where a message should be"),
    }
}

pub(super) async fn accepted(l2: &(impl L2 + ?Sized), store: Store<'_>) {
    assert_eq!(ok(l2.store(store).await), Stored::Accepted, "nothing speaks against this frame");
}

pub(super) async fn refused(l2: &(impl L2 + ?Sized), store: Store<'_>, why: Refusal) {
    assert_eq!(ok(l2.store(store).await), Stored::Refused(why));
}

pub(super) fn frame(at: Position) -> Store<'static> {
    store(0, at, Bytes::from_static(b"frame"))
}

pub(super) fn store(n: u64, at: Position, frame: Bytes) -> Store<'static> {
    let Position { incarnation, seq } = at;
    Store { key: key(n), incarnation, stamp: seq, ttl: Duration::from_secs(60), frame, idents: &[] }
}

pub(super) fn key(n: u64) -> Key {
    Key::from_bytes(spread(n, 0x6b))
}

/// What one invalidation names beside others.
pub(super) fn several() -> [Ident; 3] {
    [ident(1000), ident(1001), ident(1002)]
}

pub(super) fn token(n: u64) -> Token {
    Token(spread(n, 0x2b))
}

pub(super) fn ident(n: u64) -> Ident {
    Ident::from_bytes(spread(n, 0x69))
}

/// Sixteen bytes with zeros, line ends and high bits among them: an L2 must take any.
pub(super) fn spread(n: u64, kind: u8) -> [u8; 16] {
    let mut bytes = [kind, 0, b'\r', b'\n', 0xff, b'{', b'}', b':', 0, 0, 0, 0, 0, 0, 0, 0];
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    bytes
}

#[track_caller]
pub(super) fn ok<T: Debug>(result: Result<T, L2Error>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// How often each client does its part where two act at once.
pub(super) const ROUNDS: u64 = 100;

/// Long after this nothing more comes.
pub(super) const SILENCE: Duration = Duration::from_secs(10);
