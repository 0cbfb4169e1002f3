//! Soft invalidation: what it names is expired from then on, wherever it stands, and not gone.

use std::time::Duration;

use forebay_core::instance::InvalidateError;
use forebay_core::l2::L2Error;
use forebay_core::seek::Usage;
use forebay_core::tag::{Soft, Tag};
use forebay_testkit::memory::Op;

use crate::support::*;

const KEEP: Duration = Duration::from_secs(600);

/// Requests that do this with what is stale.
fn on_stale(stale: Usage) -> Manners {
    Manners { lifetime: Duration::from_secs(3600), keep: KEEP, stale, ..Manners::default() }
}

async fn soften(node: &Node, tag: &str) -> Result<(), InvalidateError> {
    node.tiers.instance().invalidate(Soft(Tag(tag))).await.map(drop)
}

/// Nodes that hold `x`, and `y` for comparison.
async fn holding<const N: usize>(world: &World, stale: Usage) -> [Node; N] {
    let nodes: [Node; N] = world.nodes().await;
    let nodes = nodes.map(|node| node.with(on_stale(stale)));
    for node in &nodes {
        for key in ["x", "y"] {
            node.get(key).await;
            assert!(matches!(node.peek(key), Some((0, From::L1))));
        }
    }
    nodes
}

#[tokio::test(start_paused = true)]
async fn what_is_softly_invalidated_is_served_while_it_is_refreshed_everywhere() {
    let world = World::new();
    let [a, b] = holding(&world, Usage::Refresh).await;
    let version = world.origin.write("x");
    soften(&a, "x").await.unwrap();
    assert_eq!(a.peek("x"), Some((0, From::Refreshing)), "stale from the very moment of Ok");
    settle().await;
    assert_eq!(b.get("x").await, (0, From::Refreshing));
    for node in [&a, &b] {
        node.get("x").await;
        assert_eq!(node.peek("x"), Some((version, From::L1)), "what was fetched since is fresh");
        assert_eq!(node.peek("y"), Some((0, From::L1)), "what it does not name stays fresh");
    }
    assert_eq!(world.origin.calls("x"), 2, "one found what the other had fetched");
}

#[tokio::test(start_paused = true)]
async fn where_nothing_stale_may_be_served_the_origin_is_asked_first() {
    let world = World::new();
    let [a, b] = holding(&world, Usage::Ask).await;
    let version = world.origin.write("x");
    soften(&a, "x").await.unwrap();
    settle().await;
    assert_eq!(a.get("x").await, (version, From::Origin));
    assert_eq!(b.get("x").await, (version, From::L2));
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_the_origin_confirms_is_fresh_again() {
    let world = World::new();
    let [a, b] = holding(&world, Usage::Ask).await;
    soften(&a, "x").await.unwrap();
    let confirming = a.with(Manners { origin: Conduct::Confirms, ..on_stale(Usage::Ask) });
    assert_eq!(confirming.get("x").await, (0, From::Confirmed));
    assert_eq!(a.peek("x"), Some((0, From::L1)));
    settle().await;
    assert_eq!(b.get("x").await, (0, From::L2), "for everyone");
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_is_softly_invalidated_is_found_as_stale_by_those_who_had_nothing() {
    let world = World::new();
    let [a] = holding(&world, Usage::Refresh).await;
    let deaf = world.node().await.with(on_stale(Usage::Refresh));
    deaf.l2.hold_messages();
    soften(&a, "x").await.unwrap();
    let late = world.node().await.with(on_stale(Usage::Refresh));
    world.origin.hold("x");
    for (node, why) in [(&deaf, "its table does not reach so far"), (&late, "it was not there")] {
        assert_eq!(node.get("x").await.0, 0, "{why}");
        assert_eq!(node.peek("x"), Some((0, From::Refreshing)), "{why}");
    }
    world.origin.release("x");
}

#[tokio::test(start_paused = true)]
async fn how_long_it_has_been_stale_is_counted_from_the_invalidation_on() {
    let world = World::new();
    let [a, b] = holding(&world, Usage::Ask).await;
    let begun = world.now();
    soften(&a, "x").await.unwrap();
    pass(100 * SECOND).await;
    let born = |node: &Node| node.tiers.l1().get(&hashed("x")).unwrap();
    let alone = world.alone().with(on_stale(Usage::Ask));
    alone.get("x").await;
    let alone_begun = world.now();
    soften(&alone, "x").await.unwrap();
    pass(100 * SECOND).await;
    for (node, begun) in [(&a, begun), (&b, begun), (&alone, alone_begun)] {
        assert_eq!(node.peek("x"), None);
        let entry = born(node);
        let ended = entry.born.after(entry.fresh_for());
        assert!(ended.since(begun) < SECOND && begun.since(ended) < SECOND, "noticed late, expired in time");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hard_invalidation_beats_a_soft_one_whatever_comes_first() {
    let world = World::new();
    let [a, b] = holding(&world, Usage::Refresh).await;
    soften(&a, "x").await.unwrap();
    let version = a.write("x").await.unwrap();
    assert_eq!(a.peek("x"), None);
    assert_eq!(a.get("x").await, (version, From::Origin));
    let version = b.write("y").await.unwrap();
    soften(&b, "y").await.unwrap();
    assert_eq!(b.get("y").await, (version, From::Origin), "there was nothing to be stale");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_confirmed_holds_here_and_is_sent_again() {
    let world = World::new();
    let [a, b] = holding(&world, Usage::Refresh).await;
    a.l2.fail(Op::Invalidate, 1, L2Error::Timeout);
    assert!(is_unconfirmed(&soften(&a, "x").await));
    assert_eq!(a.peek("x"), Some((0, From::Refreshing)));
    pass(LEASE).await;
    assert_eq!(b.peek("x"), Some((0, From::Refreshing)), "it has been sent again");
}

#[tokio::test(start_paused = true)]
async fn one_lost_by_a_failover_is_issued_again() {
    let world = World::new();
    let [a, b] = holding(&world, Usage::Refresh).await;
    let before = world.server.snapshot();
    soften(&a, "x").await.unwrap();
    world.server.restore(&before);
    b.l2.disconnect_bus();
    a.l2.disconnect_bus();
    a.l2.reconnect_bus();
    pass(LEASE).await;
    b.l2.reconnect_bus();
    settle().await;
    let late = world.node().await.with(on_stale(Usage::Refresh));
    world.origin.hold("x");
    late.get("x").await;
    assert_eq!(late.peek("x").map(|(_, from)| from), Some(From::Refreshing));
    world.origin.release("x");
}
