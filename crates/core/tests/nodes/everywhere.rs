//! What holds once an invalidation has been waited for: no instance serves anything older as in sync.

use std::time::Duration;

use forebay_core::instance::InvalidateError;
use forebay_core::l2::L2Error;
use forebay_testkit::memory::Op;

use crate::support::*;

/// Nodes that stop with their lease, and that L2 has known for longer than one.
async fn known<const N: usize>(world: &World) -> [Node; N] {
    let mut nodes = Vec::new();
    for _ in 0..N {
        nodes.push(world.node_with(|settings| settings.coherence.partition_grace = Duration::ZERO).await);
    }
    pass(LEASE + SECOND).await;
    for node in &nodes {
        node.get("x").await;
        assert_eq!(node.peek("x"), Some((0, From::L1)));
    }
    nodes.try_into().unwrap_or_else(|_| unreachable!("as many as were asked for"))
}

/// Writes everywhere, and says how long that took.
async fn took(world: &World, node: &Node) -> Duration {
    let start = world.now();
    node.write_everywhere("x").await.unwrap();
    world.now().since(start)
}

#[tokio::test(start_paused = true)]
async fn it_is_over_as_soon_as_everybody_has_heard() {
    let world = World::new();
    let [a, b, c] = known(&world).await;
    let took = took(&world, &a).await;
    for node in [&a, &b, &c] {
        assert_eq!(node.peek("x"), None);
    }
    assert!(took < 10 * MS, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn who_has_missed_the_message_is_waited_for() {
    let world = World::new();
    let [a, b, c] = known(&world).await;
    b.l2.drop_messages(usize::MAX);
    let took = took(&world, &a).await;
    assert_eq!((b.peek("x"), c.peek("x")), (None, None));
    // It catches up with one poll, and says so with the next.
    assert!(took <= LEASE / 2 + 100 * MS, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_answer_is_waited_for_until_its_lease_is_over_and_no_longer() {
    let world = World::new();
    let [a, b] = known(&world).await;
    b.l2.hang_all();
    b.l2.drop_messages(usize::MAX);
    let took = took(&world, &a).await;
    assert_eq!(b.peek("x"), None);
    assert!(took > LEASE / 2 && took <= LEASE + 100 * MS, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn who_is_gone_is_forgotten() {
    let world = World::new();
    let [a, b] = known(&world).await;
    drop(b);
    pass(LEASE).await;
    let took = took(&world, &a).await;
    assert!(took < 10 * MS, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn who_has_only_just_joined_is_waited_for_too() {
    let world = World::new();
    let [a] = known(&world).await;
    let late = world.node_with(|settings| settings.coherence.partition_grace = Duration::ZERO).await;
    late.get("x").await;
    late.l2.hang_all();
    late.l2.drop_messages(usize::MAX);
    assert_eq!(late.peek("x"), Some((0, From::L1)), "it has a lease");
    took(&world, &a).await;
    assert_eq!(late.peek("x"), None);
}

#[tokio::test(start_paused = true)]
async fn where_it_has_been_forgotten_who_is_there_all_leases_of_that_time_are_waited_for() {
    let world = World::new();
    let [a, b] = known(&world).await;
    b.l2.hang_all();
    b.l2.drop_messages(usize::MAX);
    world.server.forget_instances();
    took(&world, &a).await;
    assert_eq!(b.peek("x"), None);
}

#[tokio::test(start_paused = true)]
async fn an_l2_that_falls_silent_does_not_make_it_wait_longer_than_a_lease() {
    for grace in [Duration::ZERO, GRACE] {
        let world = World::new();
        let a = world.node_with(|settings| settings.coherence.partition_grace = grace).await;
        let [b] = known(&world).await;
        b.l2.hang_all();
        b.l2.drop_messages(usize::MAX);
        a.l2.fail(Op::Roll, usize::MAX, L2Error::Timeout);
        let start = world.now();
        let done = a.write_everywhere("x").await;
        assert!(world.now().since(start) <= LEASE + 100 * MS);
        assert_eq!(b.peek("x"), None);
        // By then all leases are over. Who has a grace may have something to say beyond.
        match done {
            Ok(_) => assert!(grace.is_zero()),
            Err(error) => assert!(matches!(error, InvalidateError::NotEverywhere { .. }) && !grace.is_zero()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_confirmed_is_not_waited_for() {
    let world = World::new();
    let [a, _b] = known(&world).await;
    a.l2.fail(Op::Invalidate, 1, L2Error::Timeout);
    assert!(is_unconfirmed(&a.write_everywhere("x").await));
    assert_eq!(a.l2.calls(Op::Roll), 0);
    let alone = world.alone();
    alone.get("x").await;
    alone.write_everywhere("x").await.unwrap();
    assert_eq!(alone.peek("x"), None);
}

#[tokio::test(start_paused = true)]
async fn whoever_stops_waiting_has_invalidated_all_the_same() {
    let world = World::new();
    let [a, b] = known(&world).await;
    b.l2.hold_messages();
    let waiting = tokio::time::timeout(50 * MS, a.write_everywhere("x")).await;
    assert!(waiting.is_err());
    b.l2.release_messages();
    settle().await;
    assert_eq!((a.peek("x"), b.peek("x")), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_not_noted_is_not_granted() {
    let world = World::new();
    let [a, b] = known(&world).await;
    // Another life of the log, which `b` hears of by an answer that notes nobody.
    world.server.flush();
    a.invalidate("y").await.unwrap();
    b.invalidate("y").await.unwrap();
    b.get("x").await;
    b.l2.hang_all();
    b.l2.drop_messages(usize::MAX);
    pass(LEASE / 2).await;
    took(&world, &a).await;
    assert_eq!(b.peek("x"), None);
}
