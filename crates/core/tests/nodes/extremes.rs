//! Much at once, messages that nobody sent, and fills that are held up anywhere for long.

use std::time::Duration;

use forebay_core::instance::{InvalidateError, Receipt};
use forebay_core::l2::{Incarnation, Message, Notice};
use forebay_core::tag::{Ident, Tag};
use forebay_testkit::memory::Op;

use crate::support::*;

async fn invalidate_all(node: &Node, tags: impl Iterator<Item = u32>) -> Result<Receipt, InvalidateError> {
    let tags: Vec<Tag<String>> = tags.map(|n| Tag(format!("tag {n}"))).collect();
    node.tiers.instance().invalidate(tags).await
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_tags_a_thousand_at_once_end_what_they_name_and_nothing_else() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    for node in [&a, &b] {
        node.get("untouched").await;
        for n in [0, 99_999] {
            node.get(&format!("tag {n}")).await;
        }
    }
    for batch in 0..100 {
        invalidate_all(&a, batch * 1000..(batch + 1) * 1000).await.unwrap();
    }
    settle().await;
    for node in [&a, &b] {
        assert_eq!(node.peek("untouched"), Some((0, From::L1)));
        for n in [0, 99_999] {
            assert_eq!(node.peek(&format!("tag {n}")), None);
        }
    }
    assert_eq!(world.server.log_len(), 100_000);
    assert_eq!(
        (a.l2.calls(Op::Invalidate), b.l2.calls(Op::CatchUp)),
        (100, 0),
        "one round trip each, and no gap"
    );
}

#[tokio::test(start_paused = true)]
async fn messages_that_nobody_sent_cost_fetches_and_never_an_old_answer() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    b.get("x").await;
    let at = world.server.position().unwrap();
    let forged = |incarnation, seq, previous| {
        Notice::Message(Message { incarnation, seq, previous, idents: vec![Ident::from_bytes([9; 16])] })
    };
    let other = Incarnation([0xee; 16]);
    let far = at.seq + 3_600_000_000;
    for notice in [
        Notice::Malformed,
        forged(other, far, at.seq),
        forged(at.incarnation, at.seq, at.seq - 1),
        forged(at.incarnation, far, far - 1),
        forged(at.incarnation, far + 1, at.seq),
        forged(at.incarnation, far + 2, at.seq - 5),
    ] {
        b.l2.inject(notice.clone());
        settle().await;
        // The instance goes on, and hears of what is really invalidated within the lease.
        let version = a.write("x").await.unwrap();
        pass(LEASE).await;
        assert_eq!(b.get("x").await.0, version, "{notice:?}");
    }
    b.get("x").await;
    pass(LEASE).await;
    assert!(matches!(b.peek("x"), Some((_, From::L1))), "and is in sync again");
}

#[tokio::test(start_paused = true)]
async fn a_fill_that_is_held_up_anywhere_for_long_leaves_nothing_old_behind() {
    for held_up in ["x", &body_of("x")] {
        for pause in [SECOND / 10, LEASE, GRACE, Duration::from_secs(3600)] {
            let world = World::new();
            let [a, b, c] = world.nodes().await;
            b.l2.hold_messages();
            world.origin.hold(held_up);
            let slow = b.spawn_get("x");
            world.origin.arrived(held_up, 1).await;
            let version = a.write("x").await.unwrap();
            pass(pause).await;
            b.l2.postpone(Op::Store, 1);
            world.origin.release(held_up);
            assert_eq!(slow.await.unwrap().0, 0, "who asked before may have the older answer");
            pass(LEASE).await;
            b.l2.land();
            b.l2.release_messages();
            settle().await;
            for node in [&a, &b, &c] {
                assert_eq!(node.get("x").await.0, version, "{held_up} for {pause:?}");
            }
        }
    }
}
