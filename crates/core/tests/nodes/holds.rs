//! What is held stays out of the cache, on every instance, until the hold ends; and nothing from before its end stays in.

use forebay_core::hold::{Hold, HoldError, Released};
use forebay_core::l2::{L2Error, MAX_HOLD};
use forebay_core::tag::{All, Soft, Tag};
use forebay_testkit::memory::{MemoryServer, Op, Settings};

use crate::support::*;

impl Node {
    async fn hold(&self, key: &str) -> Hold {
        self.tiers.instance().hold(Tag(key), 10 * SECOND).await.unwrap().0
    }
}

fn in_time(released: &Released) -> bool {
    matches!(released, Released::InTime(_))
}

#[tokio::test(start_paused = true)]
async fn while_something_is_held_every_request_for_it_asks_the_origin() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    a.get("x").await;
    b.get("x").await;
    let hold = a.hold("x").await;
    settle().await;
    for node in [&a, &b, &a, &b] {
        assert_eq!(node.get("x").await, (0, From::Origin));
        assert_eq!(node.peek("x"), None);
    }
    assert_eq!(b.get(&near("y")).await.1, From::Origin);
    assert_eq!(b.get(&near("y")).await.1, From::L1, "what is not held is cached");
    assert!(in_time(&hold.release().await.unwrap()));
    settle().await;
    assert_eq!(b.get("x").await, (0, From::Origin));
    assert_eq!(b.get("x").await, (0, From::L1));
    assert_eq!(a.get("x").await, (0, From::L2));
}

#[tokio::test(start_paused = true)]
async fn what_was_read_before_a_commit_is_not_there_after_it() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    let hold = a.hold("x").await;
    // The transaction has begun; b reads what it was, and again after the commit, before the release.
    assert_eq!(b.get("x").await, (0, From::Origin));
    let version = world.origin.write("x");
    assert_eq!(b.get("x").await, (version, From::Origin));
    hold.release().await.unwrap();
    assert_eq!(b.get("x").await, (version, From::Origin));
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_began_before_a_hold_leaves_nothing_behind() {
    for (lost, release_first) in [(false, false), (true, false), (false, true), (true, true)] {
        let world = World::new();
        let [a, b] = world.nodes().await;
        world.origin.hold("x");
        let asked = b.spawn_get("x");
        settle().await;
        if lost {
            b.l2.drop_messages(usize::MAX);
        }
        let hold = a.hold("x").await;
        world.origin.write("x");
        if release_first {
            hold.release().await.unwrap();
        }
        world.origin.release("x");
        asked.await.unwrap();
        settle().await;
        assert_eq!(a.get("x").await, (1, From::Origin), "lost: {lost}, released: {release_first}");
        pass(LEASE).await;
        assert_eq!(b.get("x").await.0, 1, "lost: {lost}, released: {release_first}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fetch_of_what_is_held_leaves_nothing_behind_when_it_ends_after_the_release() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    let hold = a.hold("x").await;
    settle().await;
    world.origin.hold("x");
    let asked = b.spawn_get("x");
    settle().await;
    // Not even where the message of the release is late.
    b.l2.hold_messages();
    let version = world.origin.write("x");
    hold.release().await.unwrap();
    world.origin.release("x");
    asked.await.unwrap();
    settle().await;
    assert_eq!(b.peek("x"), None);
    assert_eq!(b.get("x").await, (version, From::Origin));
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_nobody_releases_ends_after_its_time_with_an_invalidation() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    let (hold, _) = a.tiers.instance().hold(Tag("x"), 3 * SECOND).await.unwrap();
    drop(hold);
    settle().await;
    world.origin.hold("x");
    let asked = b.spawn_get("x");
    settle().await;
    world.origin.write("x");
    pass(3 * SECOND).await;
    world.origin.release("x");
    asked.await.unwrap();
    settle().await;
    assert_eq!(b.get("x").await, (1, From::Origin));
    assert_eq!(b.get("x").await, (1, From::L1));
}

#[tokio::test(start_paused = true)]
async fn a_release_that_comes_too_late_says_so_and_invalidates_all_the_same() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    let (hold, _) = a.tiers.instance().hold(Tag("x"), SECOND).await.unwrap();
    pass(2 * SECOND).await;
    assert_eq!(b.get("x").await, (0, From::Origin));
    assert_eq!(b.get("x").await, (0, From::L1));
    let version = world.origin.write("x");
    assert!(!in_time(&hold.release().await.unwrap()));
    settle().await;
    assert_eq!(b.get("x").await, (version, From::Origin));
}

#[tokio::test(start_paused = true)]
async fn what_two_hold_is_held_until_both_have_released_it() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    let (first, second) = (a.hold("x").await, b.hold("x").await);
    assert!(in_time(&first.release().await.unwrap()));
    b.get("x").await;
    assert_eq!(b.peek("x"), None);
    // Nor does another's invalidation end it.
    a.invalidate("x").await.unwrap();
    settle().await;
    b.get("x").await;
    assert_eq!(b.peek("x"), None);
    assert!(in_time(&second.release().await.unwrap()));
    settle().await;
    b.get("x").await;
    assert_eq!(b.peek("x"), Some((0, From::L1)));
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_joins_later_holds_it_too() {
    let world = World::new();
    let a = world.node().await;
    let hold = a.hold("x").await;
    let late = world.node().await;
    late.get("x").await;
    assert_eq!(late.peek("x"), None);
    hold.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_loses_l2_while_something_is_held_caches_nothing_until_it_hears_that_nothing_is() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    let hold = a.hold("x").await;
    settle().await;
    b.l2.fail_all(L2Error::Timeout);
    b.get("x").await;
    assert_eq!(b.peek("x"), None);
    b.l2.heal();
    hold.release().await.unwrap();
    pass(LEASE).await;
    b.get("x").await;
    assert_eq!(b.peek("x"), Some((0, From::L1)));
}

#[tokio::test(start_paused = true)]
async fn followers_of_a_fetch_of_what_is_held_ask_for_themselves() {
    let world = World::new();
    let [a] = world.nodes().await;
    let hold = a.hold("x").await;
    world.origin.hold("x");
    let asked: Vec<_> = (0..3).map(|_| a.spawn_get("x")).collect();
    settle().await;
    world.origin.release("x");
    for asked in asked {
        assert_eq!(asked.await.unwrap(), (0, From::Origin));
    }
    assert_eq!(world.origin.calls("x"), 3);
    hold.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_hold_of_everything_holds_everything() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    let (hold, _) = a.tiers.instance().hold(All, SECOND).await.unwrap();
    settle().await;
    b.get("x").await;
    assert_eq!(b.peek("x"), None);
    hold.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_l2_does_not_confirm_is_none_and_has_invalidated() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    a.get("x").await;
    a.l2.fail(Op::Hold, 1, L2Error::Timeout);
    let held = a.tiers.instance().hold(Tag("x"), SECOND).await;
    assert!(matches!(held, Err(HoldError::Unconfirmed { shards: 1, .. })), "{held:?}");
    assert_eq!(a.peek("x"), None);
    pass(SECOND / 2).await;
    b.get("x").await;
    assert_eq!(b.peek("x"), Some((0, From::L1)), "nothing is held anywhere");
}

#[tokio::test(start_paused = true)]
async fn a_release_that_l2_does_not_confirm_invalidates_here_and_the_hold_runs_out() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    let hold = a.hold("x").await;
    a.l2.fail(Op::Hold, 1, L2Error::Timeout);
    assert!(is_unconfirmed(&hold.release().await));
    pass(SECOND).await;
    b.get("x").await;
    assert_eq!(b.peek("x"), None);
    pass(10 * SECOND).await;
    b.get("x").await;
    assert_eq!(b.peek("x"), Some((0, From::L1)));
}

#[tokio::test(start_paused = true)]
async fn without_an_l2_a_hold_is_this_instance_s() {
    let world = World::new();
    let a = world.alone();
    a.get("x").await;
    let (first, second) = (a.hold("x").await, a.hold("x").await);
    assert!(in_time(&first.release().await.unwrap()));
    for _ in 0..2 {
        assert_eq!(a.get("x").await, (0, From::Origin));
        assert_eq!(a.peek("x"), None);
    }
    world.origin.hold("x");
    let asked = a.spawn_get("x");
    settle().await;
    let version = world.origin.write("x");
    // It runs out while the origin is being asked.
    pass(11 * SECOND).await;
    world.origin.release("x");
    asked.await.unwrap();
    assert_eq!(a.get("x").await, (version, From::Origin));
    assert_eq!(a.peek("x"), Some((version, From::L1)));
    assert!(!in_time(&second.release().await.unwrap()));
    assert_eq!(a.peek("x"), None);
}

#[tokio::test(start_paused = true)]
async fn while_nothing_is_held_nobody_asks_whether_anything_is() {
    let world = World::new();
    let [a] = world.nodes().await;
    a.hold("x").await.release().await.unwrap();
    a.get("x").await;
    assert_eq!(a.l2.calls(Op::Scores), 0);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_held_is_said_before_anything_happens() {
    let world = World::new();
    let a = world.node().await;
    a.get("x").await;
    let instance = a.tiers.instance();
    let number = |n: usize| (0..n).map(|n| Tag(n.to_string())).collect::<Vec<_>>();
    assert_eq!(instance.hold(number(0), SECOND).await.unwrap_err(), HoldError::Number(0));
    assert_eq!(instance.hold(number(65), SECOND).await.unwrap_err(), HoldError::Number(65));
    assert_eq!(instance.hold(Soft(Tag("x")), SECOND).await.unwrap_err(), HoldError::Soft);
    assert!(matches!(instance.hold(Tag(""), SECOND).await, Err(HoldError::Target(_))));
    for time in [std::time::Duration::ZERO, MAX_HOLD + MS] {
        assert_eq!(instance.hold(Tag("x"), time).await.unwrap_err(), HoldError::Time(format!("{time:?}")));
    }
    assert_eq!(a.peek("x"), Some((0, From::L1)));
}

#[tokio::test(start_paused = true)]
async fn too_many_holds_are_refused_and_those_there_are_stay() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    let tags = |of: usize| (0..50).map(|n| Tag(format!("{of} {n}"))).collect::<Vec<_>>();
    let mut holds = Vec::new();
    for of in 0..20 {
        holds.push(a.tiers.instance().hold(tags(of), SECOND).await.unwrap().0);
    }
    assert_eq!(b.tiers.instance().hold(Tag("x"), SECOND).await.unwrap_err(), HoldError::Full);
    for hold in holds {
        assert!(in_time(&hold.release().await.unwrap()));
    }
    b.hold("x").await.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_failover_that_loses_a_hold_is_told_when_it_is_released() {
    let world = World::on(MemoryServer::with_settings(Settings::default()));
    let [a, b] = world.nodes().await;
    let before = world.server.snapshot();
    let hold = a.hold("x").await;
    world.server.restore(&before);
    pass(LEASE).await;
    let version = world.origin.write("x");
    let released = hold.release().await.unwrap();
    assert!(!in_time(&released));
    settle().await;
    assert_eq!(b.get("x").await.0, version);
}
