//! An L2 that fails, hangs or loses its answers: no request fails, none waits for more than one timeout.

use std::time::Duration;

use forebay_core::l2::L2Error;
use forebay_testkit::memory::Op;

use crate::support::*;

fn down() -> L2Error {
    L2Error::Unavailable("down".into())
}

/// How long a request takes.
async fn took(world: &World, node: &Node, key: &str) -> (u64, Duration) {
    let start = world.now();
    let (version, _) = node.request(key, None).await;
    (version, world.now().since(start))
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_one_timeout_at_most_and_for_none_once_the_breaker_is_open() {
    let world = World::new();
    let [a] = world.nodes().await;
    a.l2.hang_all();
    let mut waits = Vec::new();
    for n in 0..10 {
        let (version, wait) = took(&world, &a, &format!("key {n}")).await;
        assert_eq!(version, 0);
        assert!(wait <= TIMEOUT + 2 * MS, "{wait:?}");
        waits.push(wait);
    }
    let slow = waits.iter().filter(|wait| **wait > MS).count() as u64;
    assert!((1..=FAILURES).contains(&slow), "{waits:?}");
    assert_eq!(waits.last(), Some(&Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn no_request_is_used_to_find_out_whether_l2_is_back() {
    let world = World::new();
    let [a] = world.nodes().await;
    a.l2.fail_all(down());
    for n in 0..FAILURES {
        a.get(&near(&format!("key {n}"))).await;
    }
    let asked = [Op::Lookup, Op::Store, Op::Invalidate].map(|op| a.l2.calls(op));
    for n in 0..200 {
        a.get(&near(&format!("another key {n}"))).await;
        pass(100 * MS).await;
    }
    assert_eq!([Op::Lookup, Op::Store, Op::Invalidate].map(|op| a.l2.calls(op)), asked);
    let polls = a.l2.calls(Op::PollCommands) + a.l2.calls(Op::PollBus);
    assert!(polls > 20, "the background task goes on asking: {polls}");

    a.l2.heal();
    pass(LEASE).await;
    let another = near("yet another");
    a.get(&another).await;
    assert!(a.l2.calls(Op::Lookup) > asked[0], "requests use it again");
    assert!(world.server.frame(hashed(&another)).is_some());
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_that_is_not_confirmed_holds_here_and_is_sent_again() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    a.get("x").await;
    b.get("x").await;
    a.l2.fail_all(down());
    let version = world.origin.write("x");
    assert!(is_unconfirmed(&a.invalidate("x").await));
    assert_eq!(a.peek("x"), None);
    assert_eq!(a.get("x").await, (version, From::Origin));
    assert_eq!(b.peek("x"), Some((0, From::L1)), "nobody else has heard");

    a.l2.heal();
    pass(LEASE).await;
    assert_eq!(b.peek("x"), None);
    assert_eq!(b.get("x").await.0, version);
}

#[tokio::test(start_paused = true)]
async fn an_answer_filled_under_an_unconfirmed_invalidation_is_served_here_and_not_stored() {
    let world = World::new();
    let [a] = world.nodes().await;
    a.l2.fail(Op::Invalidate, usize::MAX, down());
    world.origin.write("x");
    assert!(is_unconfirmed(&a.invalidate("x").await));
    assert_eq!(a.get("x").await, (1, From::Origin));
    assert_eq!(a.peek("x"), Some((1, From::L1)));
    assert_eq!(world.server.frames(), 0);
    a.l2.heal();
    pass(LEASE).await;
    a.get("x").await;
    assert_eq!(a.get("x").await, (1, From::L1));
    assert_eq!(world.server.frames(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_an_unconfirmed_invalidation_has_hit_is_not_taken_from_l2() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    b.get("x").await;
    a.l2.fail(Op::Invalidate, usize::MAX, down());
    let version = world.origin.write("x");
    assert!(is_unconfirmed(&a.invalidate("x").await));
    assert_eq!(a.get("x").await, (version, From::Origin), "its frame is in L2 all the while");
}

#[tokio::test(start_paused = true)]
async fn more_unconfirmed_invalidations_than_fit_become_one_of_everything() {
    let world = World::new();
    let a = world.node_with(|settings| settings.coherence.max_pending = 10).await;
    let b = world.node().await;
    let never_named = near("never named");
    for node in [&a, &b] {
        node.get(&never_named).await;
    }
    a.l2.fail_all(down());
    for n in 0..11 {
        assert!(is_unconfirmed(&a.invalidate(&format!("tag {n}")).await));
    }
    assert_eq!(a.peek(&never_named), None);
    a.l2.heal();
    pass(LEASE).await;
    assert_eq!(b.peek(&never_named), None);
    let before = a.l2.calls(Op::Invalidate);
    pass(10 * LEASE).await;
    assert_eq!(a.l2.calls(Op::Invalidate), before, "and the queue is empty");
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_whose_reply_is_lost_has_happened_and_happens_again() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    a.get("x").await;
    b.get("x").await;
    a.l2.lose_replies(Op::Invalidate, 1);
    let version = world.origin.write("x");
    assert!(is_unconfirmed(&a.invalidate("x").await));
    for node in [&a, &b] {
        assert_eq!(node.get("x").await.0, version);
    }
    pass(LEASE).await;
    for node in [&a, &b] {
        assert_eq!(node.get("x").await.0, version);
        assert_eq!(node.get("x").await, (version, From::L1));
    }
}

#[tokio::test(start_paused = true)]
async fn writes_that_land_long_after_their_timeout_do_no_harm() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    a.l2.postpone(Op::Store, 1);
    a.get("x").await;
    let version = b.write("x").await.unwrap();
    a.l2.land();
    for node in [&a, &b] {
        assert_eq!(node.get("x").await.0, version, "the late frame is of a version that is gone");
    }
    // An invalidation that lands late costs a miss.
    a.l2.postpone(Op::Invalidate, 1);
    assert!(is_unconfirmed(&a.invalidate("x").await));
    pass(LEASE).await;
    for node in [&a, &b] {
        node.get("x").await;
    }
    a.l2.land();
    settle().await;
    for node in [&a, &b] {
        assert_eq!(node.peek("x"), None);
        assert_eq!(node.get("x").await.0, version);
    }
}

#[tokio::test(start_paused = true)]
async fn lost_replies_of_lookups_and_stores_are_misses() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    a.l2.lose_replies(Op::Store, 1);
    a.get("x").await;
    assert_eq!(b.get("x").await, (0, From::L2), "the store has happened");
    let c = world.node().await;
    c.l2.lose_replies(Op::Lookup, 1);
    assert_eq!(c.get("x").await, (0, From::Origin));
    assert_eq!(c.get("x").await, (0, From::L1));
}

#[tokio::test(start_paused = true)]
async fn failures_of_the_background_task_alone_do_not_keep_requests_from_l2() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    for op in [Op::PollBus, Op::PollCommands, Op::CatchUp, Op::Scores, Op::Open] {
        a.l2.fail(op, usize::MAX, L2Error::Timeout);
    }
    pass(LEASE).await;
    b.get("x").await;
    assert_eq!(a.get("x").await.0, 0);
    assert!(a.l2.calls(Op::Lookup) > 0);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_dropped_leaves_nothing_running() {
    let world = World::new();
    let [a] = world.nodes().await;
    a.get("x").await;
    let l2 = a.l2.clone();
    drop(a);
    settle().await;
    let calls = l2.total_calls();
    pass(10 * LEASE).await;
    assert_eq!(l2.total_calls(), calls);
}
