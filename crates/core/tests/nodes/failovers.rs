//! Another server takes over without the last invalidations, where failovers flush.

use forebay_core::coherence::Failover;
use forebay_core::entry::Assurance;

use crate::support::*;

/// Two nodes that flush, with `x` in their memory, on a server that has a name.
async fn two_that_flush(world: &World) -> [Node; 2] {
    world.server.rename("first");
    let mut nodes = Vec::new();
    for _ in 0..2 {
        let node = world.node_with(|settings| settings.coherence.failover = Failover::Flush).await;
        for key in ["x", "y"] {
            node.get(key).await;
        }
        nodes.push(node);
    }
    nodes.try_into().unwrap_or_else(|_| unreachable!("two"))
}

/// Changes `x`, and loses the invalidation of it to a failover that the bus has yet to notice. `b` has not heard of it.
async fn lose_an_invalidation(world: &World, a: &Node, b: &Node) -> u64 {
    let before = world.server.snapshot();
    b.l2.disconnect_bus();
    let version = a.write("x").await.unwrap();
    settle().await;
    a.l2.disconnect_bus();
    world.server.restore(&before);
    world.server.rename("second");
    // Somebody invalidates something else: the log looks as if it had only gone on.
    pass(SECOND / 10).await;
    world.node().await.write("z").await.unwrap();
    version
}

#[tokio::test(start_paused = true)]
async fn who_finds_another_server_serves_nothing_that_was_there_before() {
    let world = World::new();
    let [a, b] = two_that_flush(&world).await;
    let version = lose_an_invalidation(&world, &a, &b).await;
    b.l2.reconnect_bus();
    settle().await;
    assert_eq!(b.peek("x"), None, "though the issuer has not come back yet");
    assert_eq!(b.get("x").await, (version, From::Origin));
    settle().await;
    let late = world.node().await;
    assert_eq!(late.get("y").await, (0, From::Origin), "nor does anybody else");
}

#[tokio::test(start_paused = true)]
async fn before_it_is_known_which_server_answers_nothing_is_believed() {
    let world = World::new();
    let [a, b] = two_that_flush(&world).await;
    let version = lose_an_invalidation(&world, &a, &b).await;
    b.tiers.l1().remove(&hashed("x"));
    assert_eq!(b.get("x").await, (version, From::Origin), "L2 holds the old one");
}

#[tokio::test(start_paused = true)]
async fn the_same_server_after_a_broken_connection_costs_nothing() {
    let world = World::new();
    let [a, b] = two_that_flush(&world).await;
    for node in [&a, &b] {
        node.l2.disconnect_bus();
        pass(SECOND).await;
        node.l2.reconnect_bus();
        settle().await;
        assert_eq!(node.peek("x"), Some((0, From::L1)));
    }
    let late = world.node().await;
    assert_eq!(late.get("x").await, (0, From::L2));
}

/// A node that had lost its bus before `x` was changed and has not heard of that, and the version that it does not know of.
async fn one_that_has_not_heard(world: &World) -> (Node, u64) {
    let [a, b] = two_that_flush(world).await;
    b.l2.disconnect_bus();
    settle().await;
    let before = world.server.snapshot();
    let version = a.write("x").await.unwrap();
    a.l2.disconnect_bus();
    world.server.restore(&before);
    world.server.rename("second");
    (b, version)
}

#[tokio::test(start_paused = true)]
async fn who_has_not_heard_of_what_was_lost_believes_nothing_either() {
    let world = World::new();
    let (b, version) = one_that_has_not_heard(&world).await;
    b.tiers.l1().remove(&hashed("x"));
    assert_eq!(b.get("x").await, (version, From::Origin), "L2 holds the old one, and knows of nothing newer");
    b.l2.reconnect_bus();
    settle().await;
    assert_eq!(b.get("x").await, (version, From::Origin), "now it is known that the server is another one");
    settle().await;
    assert_eq!(b.get("x").await, (version, From::L1));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_in_sync_with_a_server_that_may_be_another_one() {
    let world = World::new();
    let (b, version) = one_that_has_not_heard(&world).await;
    pass(LEASE).await;
    assert_eq!(b.peek("x"), None, "polls are answered, and earn no lease");
    assert_eq!(b.get("x").await, (version, From::Origin));
    b.l2.reconnect_bus();
    settle().await;
    b.get("x").await;
    assert_eq!(b.peek("x"), Some((version, From::L1)));
}

#[tokio::test(start_paused = true)]
async fn nor_does_a_strict_request_take_its_word() {
    let world = World::new();
    let (b, version) = one_that_has_not_heard(&world).await;
    assert_eq!(b.peek("x"), Some((0, From::L1)));
    let strict = b.with(Manners { assurance: Assurance::Strict, ..Manners::default() });
    assert_eq!(strict.get("x").await, (version, From::Origin));
}
