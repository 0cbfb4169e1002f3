//! For how long another instance may serve what has been invalidated, whatever is lost.

use forebay_core::instance::Settings;
use forebay_core::l2::L2Error;
use forebay_testkit::memory::Op;

use crate::support::*;

/// Two nodes that hold `x` in their memory.
async fn two_that_hold_x(world: &World) -> [Node; 2] {
    let nodes = world.nodes().await;
    for node in &nodes {
        node.get("x").await;
        assert_eq!(node.peek("x"), Some((0, From::L1)));
    }
    nodes
}

/// Lets time pass in small steps until the node serves nothing from L1 any more, and says how much it was.
async fn until_silent(world: &World, node: &Node) -> std::time::Duration {
    let start = world.now();
    while node.peek("x").is_some() {
        pass(10 * MS).await;
        assert!(world.now().since(start) < 10 * GRACE, "it never stops");
    }
    world.now().since(start)
}

#[tokio::test(start_paused = true)]
async fn the_last_message_lost_is_noticed_within_the_lease() {
    let world = World::new();
    let [a, b] = two_that_hold_x(&world).await;
    b.l2.drop_messages(1);
    let version = a.write("x").await.unwrap();
    settle().await;
    assert_eq!(b.peek("x"), Some((0, From::L1)), "nobody has told it");
    assert!(until_silent(&world, &b).await <= LEASE);
    assert_eq!(b.get("x").await, (version, From::Origin));
}

#[tokio::test(start_paused = true)]
async fn a_message_lost_before_another_is_noticed_by_the_other() {
    let world = World::new();
    let [a, b] = two_that_hold_x(&world).await;
    b.l2.drop_messages(1);
    a.write("x").await.unwrap();
    a.write("y").await.unwrap();
    settle().await;
    assert_eq!(b.peek("x"), None);
    assert_eq!(b.l2.calls(Op::CatchUp), 1);
}

#[tokio::test(start_paused = true)]
async fn messages_lost_by_a_bus_that_overflows_are_read_from_the_log() {
    let settings = forebay_testkit::memory::Settings { bus_capacity: 8, page: 7, ..Default::default() };
    let world = World::on(forebay_testkit::memory::MemoryServer::with_settings(settings));
    let [a, b] = two_that_hold_x(&world).await;
    a.write("x").await.unwrap();
    for n in 0..100 {
        // Without a pause between them, so that the other instance has no turn.
        let idents =
            forebay_core::tag::Targets::idents(forebay_core::tag::Tag(format!("other {n}")), &secrets());
        forebay_core::l2::L2::invalidate(&a.l2, &idents.unwrap(), 0).await.unwrap();
    }
    settle().await;
    assert_eq!(b.peek("x"), None);
    assert_eq!(b.get("x").await.0, 1);
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_is_cut_is_made_up_for_by_polls_over_the_other_connection() {
    let world = World::new();
    let [a, b] = two_that_hold_x(&world).await;
    b.l2.disconnect_bus();
    a.write("x").await.unwrap();
    assert!(until_silent(&world, &b).await <= LEASE);
    b.get("x").await;
    pass(3 * GRACE).await;
    assert_eq!(b.peek("x"), Some((1, From::L1)), "it stays in sync without a bus");
    b.l2.reconnect_bus();
    let version = a.write("x").await.unwrap();
    settle().await;
    assert_eq!(b.get("x").await.0, version);
}

#[tokio::test(start_paused = true)]
async fn what_was_published_while_the_bus_was_cut_is_caught_up_on_when_it_is_back() {
    let world = World::new();
    let [a, b] = two_that_hold_x(&world).await;
    b.l2.disconnect_bus();
    a.write("x").await.unwrap();
    b.l2.reconnect_bus();
    settle().await;
    assert_eq!(b.peek("x"), None);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_cannot_reach_l2_serves_for_the_lease_and_the_grace_and_no_longer() {
    let world = World::new();
    let [a, b] = two_that_hold_x(&world).await;
    b.l2.disconnect_bus();
    b.l2.hang_all();
    a.write("x").await.unwrap();
    let start = world.now();
    while b.peek("x") == Some((0, From::L1)) {
        pass(10 * MS).await;
    }
    assert!(world.now().since(start) <= LEASE, "as in sync");
    // Between the lapse and the failure of a poll sent after it, it serves nothing; then it does again, and says so.
    pass(5 * TIMEOUT).await;
    assert_eq!(b.peek("x"), Some((0, From::Unsynced)));
    until_silent(&world, &b).await;
    let lasted = world.now().since(start);
    assert!(lasted <= LEASE + GRACE, "{lasted:?}");
    assert!(lasted > GRACE - LEASE, "{lasted:?}: the grace was used");
    assert_eq!(b.get("x").await, (1, From::Origin));
}

#[tokio::test(start_paused = true)]
async fn without_a_grace_l1_stops_with_the_lease_and_comes_back_without_a_fetch() {
    let world = World::new();
    let a = world.node().await;
    let b = world.node_with(|settings| settings.coherence.partition_grace = std::time::Duration::ZERO).await;
    for node in [&a, &b] {
        node.get("x").await;
        node.get("y").await;
    }
    b.l2.disconnect_bus();
    b.l2.fail_all(L2Error::Unavailable("a partition".into()));
    a.write("x").await.unwrap();
    assert!(until_silent(&world, &b).await <= LEASE);
    pass(2 * GRACE).await;
    assert_eq!(b.peek("y"), None, "nor anything else");
    b.l2.heal();
    b.l2.reconnect_bus();
    pass(LEASE).await;
    assert_eq!(b.peek("y"), Some((0, From::L1)), "what was not invalidated is good again");
    assert_eq!(b.peek("x"), None);
    assert_eq!(b.get("x").await.0, 1);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_wakes_up_serves_nothing_before_it_has_asked() {
    let world = World::new();
    let [a, b] = two_that_hold_x(&world).await;
    b.l2.hold_messages();
    a.write("x").await.unwrap();
    // The clock jumps while no task has a turn: the process was stopped.
    tokio::time::advance(10 * SECOND).await;
    assert_eq!(b.peek("x"), None, "though there is a grace of {GRACE:?}: a pause is no partition");
    assert_eq!(b.get("x").await.0, 1);
    settle().await;
    assert_eq!(b.get("x").await, (1, From::L1), "in sync again");
}

#[tokio::test(start_paused = true)]
async fn a_pause_over_a_pending_poll_is_no_partition_either() {
    let world = World::new();
    let [a, b] = two_that_hold_x(&world).await;
    b.l2.disconnect_bus();
    b.l2.hang(Op::PollCommands);
    pass(LEASE / 4 + 10 * MS).await;
    a.write("x").await.unwrap();
    // The poll is under way; its timeout will be found to have passed before its answer is looked at.
    tokio::time::advance(10 * SECOND).await;
    b.l2.heal();
    assert_eq!(b.peek("x"), None);
    for _ in 0..100 {
        tokio::task::yield_now().await;
        assert_ne!(b.peek("x").map(|got| got.0), Some(0));
    }
    settle().await;
    assert_eq!(b.get("x").await.0, 1);
}

#[tokio::test(start_paused = true)]
async fn an_idle_instance_stays_in_sync_for_days() {
    let world = World::new();
    let [_, b] = two_that_hold_x(&world).await;
    for _ in 0..50 {
        pass(60 * SECOND).await;
        assert_eq!(b.peek("x"), Some((0, From::L1)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_reaches_l2_but_not_the_log_does_not_take_that_for_a_partition() {
    let world = World::new();
    let [a, b] = two_that_hold_x(&world).await;
    b.l2.drop_messages(1);
    b.l2.fail(Op::CatchUp, usize::MAX, L2Error::Timeout);
    a.write("x").await.unwrap();
    pass(LEASE + 10 * MS).await;
    for _ in 0..100 {
        assert_eq!(b.peek("x"), None, "L2 answers polls: there is no grace");
        pass(50 * MS).await;
    }
    b.l2.heal();
    pass(LEASE).await;
    assert_eq!(b.get("x").await.0, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_invalidated_again_while_the_log_is_being_read_does_not_hide_the_first_time() {
    let settings = forebay_testkit::memory::Settings { page: 1, ..Default::default() };
    let world = World::on(forebay_testkit::memory::MemoryServer::with_settings(settings));
    let [a, b] = two_that_hold_x(&world).await;
    b.l2.drop_messages(3);
    b.l2.hang(Op::CatchUp);
    a.write("x").await.unwrap();
    let start = world.now();
    a.write("y").await.unwrap();
    pass(LEASE / 4 + 10 * MS).await;
    // It is about to read what it has missed, and x moves to the second page of that, which it will not get.
    assert_eq!(b.l2.calls(Op::CatchUp), 1);
    a.write("x").await.unwrap();
    b.l2.heal();
    b.l2.fail(Op::CatchUp, usize::MAX, L2Error::Timeout);
    until_silent(&world, &b).await;
    assert!(world.now().since(start) <= LEASE);
    assert_eq!(b.get("x").await.0, 2);
}

/// A node that has lost touch for longer than its lease, and has no grace, with an `x` that it has fetched since.
async fn cut_off_with_a_new_x(world: &World, change: impl FnOnce(&mut Settings)) -> Node {
    let node = world
        .node_with(|settings| {
            settings.coherence.partition_grace = SECOND;
            change(settings);
        })
        .await;
    node.l2.disconnect_bus();
    node.l2.fail_all(L2Error::Unavailable("a partition".into()));
    pass(2 * LEASE).await;
    node.get("x").await;
    node
}

#[tokio::test(start_paused = true)]
async fn what_is_fetched_while_cut_off_is_served_for_a_second_and_no_longer_than_the_grace_allows() {
    let world = World::new();
    let b = cut_off_with_a_new_x(&world, |_| {}).await;
    let a = world.node().await;
    a.write("x").await.unwrap();
    let written = world.now();
    let mut calls = world.origin.calls("x");
    let mut hits = 0;
    for _ in 0..500 {
        match b.get("x").await {
            (0, from) => {
                assert_eq!(from, From::Unsynced);
                assert!(world.now().since(written) <= SECOND);
            }
            (_, From::Unsynced) => hits += 1,
            (_, _) => calls += 1,
        }
        pass(9 * MS).await;
    }
    assert_eq!(world.origin.calls("x"), calls);
    assert!(hits > 300 && calls < 8, "{hits} {calls}: one call a second");
    b.invalidate("x").await.unwrap_err();
    assert_eq!(b.peek("x"), None, "its own invalidations hold at once");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_served_while_cut_off_that_was_fetched_before_or_where_it_is_turned_off() {
    let world = World::new();
    let b = cut_off_with_a_new_x(&world, |settings| settings.micro_cache = std::time::Duration::ZERO).await;
    assert_eq!(b.peek("x"), None);
    let c = world.node_with(|settings| settings.coherence.partition_grace = std::time::Duration::ZERO).await;
    c.l2.disconnect_bus();
    c.l2.fail_all(L2Error::Unavailable("a partition".into()));
    pass(LEASE - 500 * MS).await;
    c.get("x").await;
    until_silent(&world, &c).await;
    assert_eq!(c.peek("x"), None, "it was fetched less than a second ago, and before that");
}

#[tokio::test(start_paused = true)]
async fn a_short_grace_makes_for_a_short_bridge() {
    let world = World::new();
    let b = cut_off_with_a_new_x(&world, |settings| settings.coherence.partition_grace = 100 * MS).await;
    assert_eq!(b.peek("x"), Some((0, From::Unsynced)));
    pass(100 * MS).await;
    assert_eq!(b.peek("x"), None);
}
