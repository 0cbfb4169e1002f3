//! Frames, and the position that they are found at.

use std::time::Duration;

use bytes::Bytes;
use forebay_core::entry::Seq;
use forebay_core::l2::{Incarnation, L2, Link, Position, Refusal, Store};
use forebay_core::tag::{Ident, MAX_IDENTS};

use super::support::{ROUNDS, accepted, ident, key, ok, refused, store};

/// [`L2::lookup`] and [`L2::poll`] tell apart a namespace that nobody has opened.
pub async fn an_unopened_namespace_has_no_position(a: &impl L2, b: &impl L2) {
    assert!(!a.name().is_empty(), "an L2 has a name");
    let found = ok(a.lookup(key(0)).await);
    assert_eq!(found.frame, None, "a fresh namespace has no frames");
    assert_eq!(found.position, None, "a fresh namespace has no position before it is opened");
    assert_eq!(ok(b.poll(Link::Commands).await), None, "a poll does not open a namespace");
}

/// [`L2::open`] makes an incarnation once and says the same to everybody.
pub async fn opening_is_idempotent_and_shared(a: &impl L2, b: &impl L2) {
    let (first, second) = tokio::join!(a.open(), b.open());
    let first = ok(first);
    assert_eq!(ok(second), first, "two clients that open at once must agree");
    assert_eq!(ok(a.open().await), first, "opening again changes nothing");
    assert!(first.seq > 0, "a position is never 0: that is the instance that knows nothing");
    assert_eq!(ok(b.lookup(key(0)).await).position, Some(first), "a lookup sees the position");
}

/// A stored frame is there for both clients, byte for byte, whatever it holds; a later one replaces it.
pub async fn a_frame_comes_back_as_it_was_stored(a: &impl L2, b: &impl L2) {
    let at = ok(a.open().await);
    let idents: Vec<Ident> = (0..MAX_IDENTS as u64).map(ident).collect();
    let binary: Vec<u8> = (0..=255).collect();
    let large = vec![0xa5; 1 << 20];
    for (n, bytes) in [&binary[..], &large, b"\r\n$-1\r\n", b""].into_iter().enumerate() {
        let frame = Bytes::copy_from_slice(bytes);
        let store = Store { idents: &idents, ..store(n as u64, at, frame.clone()) };
        accepted(a, store).await;
        for client in [a as &dyn L2, b] {
            let found = ok(client.lookup(key(n as u64)).await);
            assert!(found.frame == Some(frame.clone()), "frame {n} comes back changed or not at all");
            assert_eq!(found.position, Some(at), "a store does not move the position");
        }
    }
    accepted(b, store(0, at, Bytes::from_static(b"again"))).await;
    let found = ok(a.lookup(key(0)).await).frame;
    assert_eq!(found.as_deref(), Some(&b"again"[..]), "a frame with an equal stamp replaces the one there");
    assert_eq!(ok(a.lookup(key(99)).await).frame, None, "another key has nothing");
}

/// A frame stays no longer than its time to live.
pub async fn a_frame_goes_when_its_time_is_up(a: &impl L2, b: &impl L2) {
    let at = ok(a.open().await);
    let brief = Store { ttl: Duration::from_millis(20), ..store(0, at, Bytes::from_static(b"brief")) };
    accepted(a, brief).await;
    accepted(a, store(1, at, Bytes::from_static(b"lasting"))).await;
    while ok(b.lookup(key(0)).await).frame.is_some() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(ok(b.lookup(key(1)).await).frame.is_some(), "a frame must not go before its time");
}

/// The frame and the position of a lookup belong to one instant: a frame never has a stamp above the position.
pub async fn a_lookup_never_sees_a_frame_without_its_position(a: &impl L2, b: &impl L2) {
    ok(a.open().await);
    let writes = async {
        for _ in 0..ROUNDS {
            let at = ok(a.invalidate(&[ident(1)], 0).await).position;
            accepted(a, store(0, at, Bytes::copy_from_slice(&at.seq.to_be_bytes()))).await;
        }
    };
    let reads = async {
        for _ in 0..ROUNDS {
            let found = ok(b.lookup(key(0)).await);
            let position = found.position.expect("an opened namespace has a position").seq;
            if let Some(frame) = found.frame {
                let stamp = Seq::from_be_bytes(frame[..].try_into().expect("the frame is a number"));
                assert!(
                    stamp <= position,
                    "frame with stamp {stamp} seen at position {position}: not atomic"
                );
            }
        }
    };
    tokio::join!(writes, reads);
}

/// Each [`Refusal`] that does not depend on time, and that a refused store leaves what is there.
pub async fn a_store_that_must_be_refused_changes_nothing(a: &impl L2, b: &impl L2) {
    let old = ok(a.open().await);
    let now = ok(b.invalidate(&[ident(1)], 0).await).position;
    let frame = Bytes::from_static(b"refused");
    let beyond = Position { seq: now.seq + 1, ..now };
    let other_life = Position { incarnation: Incarnation([0xee; 16]), ..now };
    accepted(a, store(0, now, Bytes::from_static(b"there"))).await;

    let (dead, alive) = ([ident(1)], [ident(7)]);
    let dead_among_others = [ident(7), ident(8), ident(1)];
    let with = |idents| Store { idents, ..store(1, old, frame.clone()) };
    refused(a, store(1, other_life, frame.clone()), Refusal::Incarnation).await;
    refused(a, store(1, beyond, frame.clone()), Refusal::Lineage).await;
    refused(a, with(&dead), Refusal::Invalidated).await;
    refused(a, with(&dead_among_others), Refusal::Invalidated).await;
    refused(b, store(0, old, frame.clone()), Refusal::Newer).await;
    assert_eq!(ok(b.lookup(key(1)).await).frame, None, "a refused frame must not be there");
    let kept = ok(b.lookup(key(0)).await).frame;
    assert_eq!(kept.as_deref(), Some(&b"there"[..]), "a refused frame must not replace another");

    accepted(a, with(&alive)).await;
    accepted(a, Store { idents: &dead, ..store(2, now, frame.clone()) }).await;
}
