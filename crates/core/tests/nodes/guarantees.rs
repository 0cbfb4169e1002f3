//! What holds once an invalidation is confirmed: on the instance that issued it, and in L2.

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn the_issuer_never_serves_what_was_there_before() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    assert_eq!(a.get("x").await, (0, From::Origin));
    assert_eq!(b.get("x").await, (0, From::L2));
    let version = a.write("x").await.unwrap();
    assert_eq!(a.peek("x"), None, "not from L1, from the very moment of Ok");
    assert_eq!(a.get("x").await, (version, From::Origin));
    assert_eq!(a.get("x").await, (version, From::L1));
}

#[tokio::test(start_paused = true)]
async fn a_fill_that_began_before_is_stored_nowhere() {
    let world = World::new();
    let [a, b, c] = world.nodes().await;
    world.origin.hold("x");
    let (on_a, on_b) = (a.spawn_get("x"), b.spawn_get("x"));
    world.origin.arrived("x", 2).await;
    let version = a.write("x").await.unwrap();
    world.origin.release("x");
    assert_eq!(on_a.await.unwrap(), (0, From::Origin), "whoever asked before may have the older answer");
    assert_eq!(on_b.await.unwrap(), (0, From::Origin));
    settle().await;
    assert_eq!(world.server.frames(), 0);
    for node in [&a, &b] {
        assert_eq!(node.peek("x"), None);
    }
    assert_eq!(c.get("x").await, (version, From::Origin));
}

#[tokio::test(start_paused = true)]
async fn l2_itself_refuses_a_fill_of_an_instance_that_has_not_heard() {
    let world = World::new();
    let [a, b, c] = world.nodes().await;
    b.l2.hold_messages();
    world.origin.hold("x");
    let slow = b.spawn_get("x");
    world.origin.arrived("x", 1).await;
    let version = a.write("x").await.unwrap();
    world.origin.release("x");
    assert_eq!(slow.await.unwrap(), (0, From::Origin));
    settle().await;
    assert_eq!(world.server.frames(), 0, "refused");
    assert_eq!(c.get("x").await, (version, From::Origin));
    b.l2.release_messages();
    settle().await;
    assert_eq!(b.get("x").await, (version, From::L2));
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_arrives_after_it_does_not_get_the_leaders_older_answer() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    world.origin.hold("x");
    let leader = b.spawn_get("x");
    world.origin.arrived("x", 1).await;
    let version = a.write("x").await.unwrap();
    settle().await;
    let after = b.spawn_get("x");
    world.origin.arrived("x", 2).await;
    world.origin.release("x");
    assert_eq!(leader.await.unwrap(), (0, From::Origin));
    assert_eq!(after.await.unwrap(), (version, From::Origin));
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_goes_on_when_its_caller_does_not_wait() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    a.get("x").await;
    b.get("x").await;
    let version = world.origin.write("x");
    let caller = tokio::time::timeout(MS / 2, {
        a.l2.hang(forebay_testkit::memory::Op::Invalidate);
        a.invalidate("x")
    });
    assert!(caller.await.is_err());
    a.l2.heal();
    settle().await;
    for node in [&a, &b] {
        assert_eq!(node.get("x").await.0, version);
    }
}

#[tokio::test(start_paused = true)]
async fn one_invalidation_is_one_round_trip_and_a_hit_is_none() {
    let world = World::new();
    let [a] = world.nodes().await;
    a.get("x").await;
    let before = a.l2.total_calls();
    for _ in 0..100 {
        assert_eq!(a.request("x", None).await, (0, From::L1));
    }
    assert_eq!(a.l2.total_calls(), before);
    a.write("x").await.unwrap();
    assert_eq!(a.l2.total_calls(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn others_hear_of_it_through_the_bus_at_once_and_what_is_not_meant_stays() {
    let world = World::new();
    let [a, b, c] = world.nodes().await;
    for node in [&a, &b, &c] {
        node.get("x").await;
        node.get("y").await;
    }
    let version = a.write("x").await.unwrap();
    settle().await;
    for node in [&a, &b, &c] {
        assert_eq!(node.peek("x"), None);
        assert_eq!(node.peek("y"), Some((0, From::L1)));
        assert_eq!(node.get("x").await.0, version);
    }
    assert_eq!(world.origin.calls("x"), 2, "the second and third have it from L2");
}

#[tokio::test(start_paused = true)]
async fn two_instances_that_invalidate_at_the_same_time_both_win() {
    let world = World::new();
    let [a, b, c] = world.nodes().await;
    for node in [&a, &b, &c] {
        node.get("x").await;
        node.get("y").await;
    }
    let (x, y) = tokio::join!(a.write("x"), b.write("y"));
    let (x, y) = (x.unwrap(), y.unwrap());
    settle().await;
    for node in [&a, &b, &c] {
        assert_eq!((node.get("x").await.0, node.get("y").await.0), (x, y));
    }
    assert_eq!(c.l2.calls(forebay_testkit::memory::Op::CatchUp), 0, "nothing was missed");
}
