//! An instance that L2 does not let in, since others are there that do not go together with it.

use forebay_core::coherence::Standing;
use forebay_core::l2::L2Error;
use forebay_testkit::memory::Op;

use crate::support::*;

fn refuse(node: &Node) {
    node.l2.fail_all(L2Error::Refused("deadbeef".into()));
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_serves_nothing_that_others_may_have_invalidated() {
    let world = World::new();
    let inside = world.node().await;
    let l2 = world.server.client();
    l2.fail_all(L2Error::Refused("deadbeef".into()));
    let outside = world.start(&l2, |_| {});
    settle().await;
    assert_eq!(outside.coherence().standing(world.now()), Standing::Lapsed);
    assert_eq!(outside.get("x").await, (0, From::Origin));
    let version = inside.write("x").await.unwrap();
    pass(SECOND).await;
    assert_eq!(outside.get("x").await, (version, From::Origin), "not from L1, and not from L2");
    assert!(is_unconfirmed(&outside.write("x").await));
}

#[tokio::test(start_paused = true)]
async fn what_it_invalidates_meanwhile_is_sent_when_it_is_let_in_and_what_it_holds_is_dropped() {
    let world = World::new();
    let inside = world.node().await;
    let outside = world.node().await;
    outside.get("x").await;
    let other = near("other");
    outside.get(&other).await;
    refuse(&outside);
    pass(LEASE).await;
    assert_eq!(
        outside.coherence().standing(world.now()),
        Standing::Lapsed,
        "with no grace: it is no partition"
    );
    inside.get("x").await;
    let version = 1;
    assert!(is_unconfirmed(&outside.write("x").await));
    assert_eq!(inside.get("x").await.0, 0, "it cannot tell");
    outside.l2.heal();
    pass(LEASE).await;
    assert_eq!(outside.coherence().standing(world.now()), Standing::Synced);
    assert_eq!(inside.get("x").await.0, version);
    assert!(outside.l2.calls(Op::Invalidate) > 0);
    assert_ne!(outside.peek(&other).map(|(_, from)| from), Some(From::L1), "it starts over");
}
