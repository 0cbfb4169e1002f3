//! Requests that have to be certain: nothing they get was invalidated before they came, wherever and whatever is lost.

use forebay_core::entry::Assurance;
use forebay_core::l2::L2Error;
use forebay_core::seek::Usage;
use forebay_core::tag::{Soft, Tag};
use forebay_testkit::memory::Op;

use crate::support::*;

/// Two nodes that hold `x` in their memory, and the second once more with strict requests.
async fn two_and_a_strict_one(world: &World) -> [Node; 3] {
    let [a, b] = world.nodes().await;
    for node in [&a, &b] {
        node.get("x").await;
        assert_eq!(node.peek("x"), Some((0, From::L1)));
    }
    let strict = b.with(Manners { assurance: Assurance::Strict, ..Manners::default() });
    [a, b, strict]
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_that_nobody_has_told_of_is_noticed_by_the_very_next_request() {
    let world = World::new();
    let [a, b, strict] = two_and_a_strict_one(&world).await;
    b.l2.drop_messages(1);
    let version = a.write("x").await.unwrap();
    assert_eq!(b.request("x", None).await, (0, From::L1), "within the lease");
    assert_eq!(strict.request("x", None).await, (version, From::Origin));
}

#[tokio::test(start_paused = true)]
async fn a_hit_costs_one_round_trip_that_reads_no_frame() {
    let world = World::new();
    let [_, b, strict] = two_and_a_strict_one(&world).await;
    let (all, polls) = (b.l2.total_calls(), b.l2.calls(Op::PollCommands));
    for _ in 0..10 {
        assert_eq!(strict.request("x", None).await, (0, From::L1));
    }
    assert_eq!((b.l2.total_calls() - all, b.l2.calls(Op::PollCommands) - polls), (10, 10));
    let alone = world.alone().with(strict.manners);
    alone.get("x").await;
    assert_eq!(alone.get("x").await, (0, From::L1), "without L2 the instance itself is the one that knows");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_seeks_to_know_asks_once_and_takes_what_there_is_where_l2_is_silent() {
    let world = World::new();
    let [a, b, strict] = two_and_a_strict_one(&world).await;
    let seeks = b.with(Manners { assurance: Assurance::Sought, ..strict.manners });
    b.l2.hold_messages();
    let before = b.l2.total_calls();
    assert_eq!(seeks.request("x", None).await, (0, From::L1));
    assert_eq!(b.l2.total_calls() - before, 1);
    let version = a.write("x").await.unwrap();
    b.l2.fail_all(L2Error::Timeout);
    assert_eq!(seeks.request("x", None).await, (0, From::L1));
    b.l2.heal();
    assert_eq!(seeks.request("x", None).await, (version, From::Origin));
}

#[tokio::test(start_paused = true)]
async fn where_the_log_is_ahead_it_is_asked_and_what_was_not_meant_stays_a_hit() {
    let world = World::new();
    let [a, b, strict] = two_and_a_strict_one(&world).await;
    b.l2.hold_messages();
    a.write("y").await.unwrap();
    let before = b.l2.total_calls();
    assert_eq!(strict.request("x", None).await, (0, From::L1));
    assert_eq!(b.l2.total_calls() - before, 2);
    let version = a.write("x").await.unwrap();
    assert_eq!(strict.request("x", None).await, (version, From::Origin));
}

#[tokio::test(start_paused = true)]
async fn where_l2_is_silent_the_origin_is_asked_though_others_are_answered_from_l1() {
    let world = World::new();
    let [_, b, strict] = two_and_a_strict_one(&world).await;
    b.l2.fail_all(L2Error::Unavailable("down".into()));
    assert_eq!(b.request("x", None).await, (0, From::L1));
    let version = world.origin.write("x");
    assert_eq!(strict.request("x", None).await, (version, From::Origin));
    pass(LEASE + SECOND).await;
    assert_eq!(b.request("x", None).await.1, From::Unsynced);
    assert_eq!(strict.request("x", None).await, (version, From::Origin));
    b.l2.heal();
    pass(SECOND).await;
    assert_eq!(strict.get("x").await.0, version);
    assert_eq!(strict.get("x").await, (version, From::L1));
}

#[tokio::test(start_paused = true)]
async fn of_many_that_come_while_l2_is_silent_few_ask_the_origin() {
    let world = World::new();
    let [_, b, strict] = two_and_a_strict_one(&world).await;
    b.l2.fail_all(L2Error::Timeout);
    let before = world.origin.calls("x");
    world.origin.hold("x");
    let many: Vec<_> = (0..100).map(|_| strict.spawn_get("x")).collect();
    settle().await;
    world.origin.release("x");
    for one in many {
        assert_eq!(one.await.unwrap().0, 0);
    }
    assert_eq!(world.origin.calls("x") - before, 2, "one for whoever came first, one for those after it");
}

#[tokio::test(start_paused = true)]
async fn a_follower_does_not_get_what_was_invalidated_elsewhere_after_its_leader_began() {
    for leader_is_strict in [false, true] {
        let world = World::new();
        let [a, b] = world.nodes().await;
        let strict = b.with(Manners { assurance: Assurance::Strict, ..Manners::default() });
        world.origin.hold("x");
        let leader = if leader_is_strict { strict.spawn_get("x") } else { b.spawn_get("x") };
        world.origin.arrived("x", 1).await;
        b.l2.drop_messages(1);
        let version = a.write("x").await.unwrap();
        let (sure, other) = (strict.spawn_get("x"), b.spawn_get("x"));
        settle().await;
        world.origin.release("x");
        assert_eq!(leader.await.unwrap().0, 0);
        assert_eq!(other.await.unwrap().0, 0, "nobody has told this instance");
        assert_eq!(sure.await.unwrap().0, version);
    }
}

#[tokio::test(start_paused = true)]
async fn a_follower_whose_leader_has_what_is_right_asks_l2_and_not_the_origin() {
    let world = World::new();
    let [_, b] = world.nodes().await;
    let strict = b.with(Manners { assurance: Assurance::Strict, ..Manners::default() });
    world.origin.hold("x");
    let many: Vec<_> = (0..10).map(|_| strict.spawn_get("x")).collect();
    world.origin.arrived("x", 1).await;
    settle().await;
    world.origin.release("x");
    for one in many {
        assert_eq!(one.await.unwrap().0, 0);
    }
    assert_eq!(world.origin.calls("x"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_invalidated_elsewhere_is_neither_validated_nor_fallen_back_on() {
    let world = World::new();
    let stale = Manners { lifetime: SECOND, keep: 60 * SECOND, ..Manners::default() };
    let [a, b] = world.nodes().await.map(|node| node.with(stale));
    for (origin, failed) in [(Conduct::Confirms, Settles::Never), (Conduct::Fails, Settles::ForStale)] {
        b.get("x").await;
        pass(SECOND).await;
        b.l2.drop_messages(1);
        let version = a.write("x").await.unwrap();
        let strict = b.with(Manners { assurance: Assurance::Strict, origin, failed, ..stale });
        let got = strict.get("x").await;
        assert!(got.0 == version || got.1 == From::Failed, "{origin:?}: {got:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_softly_invalidated_elsewhere_counts_as_expired_at_once() {
    for held in [false, true] {
        let world = World::new();
        let [a, b] = world.nodes().await;
        let keep = Manners { keep: 60 * SECOND, assurance: Assurance::Strict, ..Manners::default() };
        let strict = b.with(keep);
        strict.get("x").await;
        assert_eq!(strict.get("x").await, (0, From::L1));
        if held {
            b.l2.hold_messages();
        }
        a.tiers.instance().invalidate(Soft(Tag("x"))).await.unwrap();
        settle().await;
        assert_eq!(strict.with(Manners { stale: Usage::Refresh, ..keep }).get("x").await, (0, From::L1));
        let version = world.origin.write("x");
        a.tiers.instance().invalidate(Soft(Tag("x"))).await.unwrap();
        settle().await;
        assert_eq!(strict.get("x").await, (version, From::Origin), "held: {held}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_answers_vary_only_the_answer_is_asked_about() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    let strict = b.with(Manners { assurance: Assurance::Strict, ..Manners::default() });
    b.get_in("x", "de").await;
    let before = b.l2.total_calls();
    assert_eq!(strict.request("x", Some("de")).await, (0, From::L1));
    assert_eq!(b.l2.total_calls() - before, 1);
    b.l2.drop_messages(1);
    let version = a.write("x").await.unwrap();
    assert_eq!(strict.request("x", Some("de")).await.0, version);
}
