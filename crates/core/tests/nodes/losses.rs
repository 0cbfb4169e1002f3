//! An L2 that loses what it had: everything, its log alone, or its last minutes.

use std::time::Duration;

use forebay_core::coherence::Standing;
use forebay_core::l2::{Incarnation, L2Error, Message, Notice};
use forebay_testkit::memory::{MemoryServer, Op, Settings};

use crate::support::*;

async fn all_hold(nodes: &[&Node], key: &str) {
    for node in nodes {
        node.get(key).await;
        assert!(node.peek(key).is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_flush_ends_what_every_instance_holds_and_all_go_on() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    all_hold(&[&a, &b], "x").await;
    world.server.flush();
    pass(LEASE).await;
    for node in [&a, &b] {
        assert_eq!(node.peek("x"), None);
    }
    assert_eq!(a.get("x").await, (0, From::Origin));
    assert_eq!(b.get("x").await, (0, From::L2));
    let version = a.write("x").await.unwrap();
    settle().await;
    assert_eq!(b.get("x").await.0, version);
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_right_after_a_flush_reaches_those_that_have_not_noticed_it() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    all_hold(&[&a, &b], "x").await;
    world.server.flush();
    let version = a.write("x").await.unwrap();
    assert_eq!(a.get("x").await.0, version);
    settle().await;
    assert_eq!(b.peek("x"), None);
    assert_eq!(b.get("x").await.0, version);
}

#[tokio::test(start_paused = true)]
async fn a_frame_whose_log_was_lost_is_not_served() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    all_hold(&[&a], "x").await;
    world.server.lose_metadata();
    let version = a.write("x").await.unwrap();
    assert!(world.server.frame(hashed("x")).is_some(), "it is still there");
    settle().await;
    assert_eq!(b.get("x").await, (version, From::Origin));
    assert_eq!(a.get("x").await, (version, From::L2));
}

#[tokio::test(start_paused = true)]
async fn what_stands_in_l2_is_not_trusted_while_the_log_is_behind_what_was_seen() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    all_hold(&[&a, &b], "x").await;
    let before = world.server.snapshot();
    let version = a.write("x").await.unwrap();
    settle().await;
    world.server.restore(&before);
    for node in [&a, &b] {
        assert_eq!(node.request("x", None).await, (version, From::Origin), "before any poll has looked");
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_cut_beyond_where_an_instance_is_costs_it_its_l1() {
    let settings = Settings { max_log: 5, ..Settings::default() };
    let world = World::on(MemoryServer::with_settings(settings));
    let [a, b] = world.nodes().await;
    all_hold(&[&a, &b], "x").await;
    all_hold(&[&a, &b], "y").await;
    b.l2.drop_messages(usize::MAX / 2);
    let version = a.write("x").await.unwrap();
    for n in 0..20 {
        a.write(&format!("other {n}")).await.unwrap();
    }
    pass(LEASE).await;
    assert_eq!(b.peek("x"), None);
    assert_eq!(b.peek("y"), None, "nobody can tell any more");
    assert_eq!(b.get("x").await.0, version);
    assert_eq!(b.get("y").await.0, 0);
    assert!(b.peek("y").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_full_forgets_to_the_safe_side() {
    let world = World::new();
    let a = world.node().await;
    let b = world.node_with(|settings| settings.coherence.max_idents = 8).await;
    all_hold(&[&a, &b], "x").await;
    let version = a.write("x").await.unwrap();
    for n in 0..50 {
        a.write(&format!("other {n}")).await.unwrap();
    }
    settle().await;
    assert_eq!(b.get("x").await.0, version);
    assert!(b.peek("x").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_server_clock_that_steps_back_issues_larger_numbers_all_the_same() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    for _ in 0..3 {
        all_hold(&[&a, &b], "x").await;
        world.server.step_clock_back(Duration::from_secs(3600));
        let version = a.write("x").await.unwrap();
        settle().await;
        for node in [&a, &b] {
            assert_eq!(node.get("x").await.0, version);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_no_instance_has_sent_does_not_unsettle_one() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    all_hold(&[&a, &b], "x").await;
    let at = world.server.position().unwrap();
    let foreign = Message { incarnation: Incarnation([9; 16]), seq: u64::MAX, previous: 0, idents: vec![] };
    let old = Message { incarnation: at.incarnation, seq: at.seq, previous: 0, idents: vec![] };
    for notice in [Notice::Malformed, Notice::Lagged, Notice::Message(foreign), Notice::Message(old)] {
        for _ in 0..100 {
            b.l2.inject(notice.clone());
        }
        settle().await;
        assert_eq!(b.peek("x"), Some((0, From::L1)), "{notice:?}");
    }
    let version = a.write("x").await.unwrap();
    settle().await;
    assert_eq!(b.get("x").await.0, version);
    assert!(b.l2.total_calls() < 100, "nor is each one a question: {}", b.l2.total_calls());
}

#[tokio::test(start_paused = true)]
async fn messages_that_come_twice_or_late_change_nothing() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    b.l2.hold_messages();
    for _ in 0..3 {
        a.write("x").await.unwrap();
    }
    // Polls have long told it when the messages come.
    pass(LEASE).await;
    let version = b.get("x").await.0;
    b.l2.release_messages();
    settle().await;
    assert_eq!(b.peek("x"), Some((version, From::L1)));
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_starts_without_l2_works_alone_and_joins_when_it_comes() {
    let world = World::new();
    let a = world.node().await;
    let l2 = world.server.client();
    l2.disconnect_bus();
    l2.fail_all(L2Error::Unavailable("not there yet".into()));
    let b = world.start(&l2, |_| {});
    assert_eq!(b.get("x").await, (0, From::Origin));
    pass(10 * GRACE).await;
    assert_eq!(b.get("x").await, (0, From::L1), "without limit: nobody's invalidation can reach it");
    let standing = || b.tiers.instance().standing(world.now());
    assert_eq!(standing(), Standing::Apart);
    b.write("x").await.unwrap_err();
    assert_eq!(b.get("x").await, (1, From::Origin), "but its own do");
    all_hold(&[&a], "x").await;

    let version = world.origin.write("x");
    a.invalidate("x").await.unwrap();
    l2.heal();
    l2.reconnect_bus();
    pass(2 * LEASE).await;
    assert_eq!(standing(), Standing::Synced);
    assert_eq!(b.peek("x"), None, "what it has filled alone is dropped");
    assert_eq!(b.get("x").await.0, version);
    assert_eq!(a.get("x").await.0, version, "its own invalidation has reached the other");
    assert!(b.l2.calls(Op::Invalidate) > 0);
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_lost_by_a_failover_is_issued_again() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    all_hold(&[&a, &b], "x").await;
    let before = world.server.snapshot();
    let version = a.write("x").await.unwrap();
    settle().await;
    world.server.restore(&before);
    assert!(world.server.frame(hashed("x")).is_some(), "the older answer is back in L2");
    pass(LEASE).await;
    let c = world.node().await;
    for node in [&a, &b, &c] {
        assert_eq!(node.get("x").await.0, version);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_invalidation_after_a_failover_does_not_hide_the_lost_one() {
    let world = World::new();
    let [a, b, c] = world.nodes().await;
    all_hold(&[&a, &b], "x").await;
    for node in [&a, &b] {
        node.l2.disconnect_bus();
    }
    let before = world.server.snapshot();
    let version = a.write("x").await.unwrap();
    world.server.restore(&before);
    // C was away meanwhile and makes the position larger than it ever was.
    c.l2.disconnect_bus();
    pass(10 * MS).await;
    forebay_core::l2::L2::invalidate(&c.l2, &[], 0).await.unwrap();
    for node in [&a, &b, &c] {
        node.l2.reconnect_bus();
    }
    pass(LEASE).await;
    for node in [&a, &b, &c] {
        assert_eq!(node.get("x").await.0, version);
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_with_a_long_lease_joins_when_it_hears_from_the_bus() {
    let world = World::new();
    let l2 = world.server.client();
    l2.disconnect_bus();
    l2.fail_all(L2Error::Unavailable("not connected yet".into()));
    let a = world.start(&l2, |settings| settings.coherence.lease = 300 * SECOND);
    settle().await;
    assert_eq!(a.coherence().incarnation(), None);
    l2.heal();
    l2.reconnect_bus();
    settle().await;
    assert!(a.coherence().incarnation().is_some(), "and not a quarter of the lease later");
}
