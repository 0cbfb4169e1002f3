//! Patterns: they end what they cover, wherever it stands, also where nobody has heard of such a pattern before.

use forebay_core::instance::{InvalidateError, Receipt};
use forebay_core::l2::L2Error;
use forebay_core::pattern::MAX_SHAPES;
use forebay_core::seek::Usage;
use forebay_core::tag::{Pattern, Soft};
use forebay_testkit::memory::Op;

use crate::support::*;

const COVERED: &str = "/articles/1/comments";
const OTHERS: [&str; 3] = ["/articles/1", "/articles/1/likes", "/articles/1/comments/2"];
const COMMENTS: &str = "/articles/*/comments";

async fn invalidate(node: &Node, pattern: &str) -> Result<Receipt, InvalidateError> {
    node.tiers.instance().invalidate(Pattern(pattern)).await
}

async fn holding<const N: usize>(world: &World) -> [Node; N] {
    let nodes: [Node; N] = world.nodes().await;
    for node in &nodes {
        for path in OTHERS.into_iter().chain([COVERED]) {
            node.get(path).await;
        }
    }
    nodes
}

#[tokio::test(start_paused = true)]
async fn what_a_pattern_covers_is_gone_everywhere_and_nothing_else() {
    let world = World::new();
    let [a, b, c] = holding(&world).await;
    let version = world.origin.write(COVERED);
    invalidate(&a, COMMENTS).await.unwrap();
    assert_eq!(a.peek(COVERED), None, "from the very moment of Ok");
    settle().await;
    assert_eq!(b.peek(COVERED), None);
    assert_eq!(a.get(COVERED).await, (version, From::Origin));
    assert_eq!(b.get(COVERED).await, (version, From::L2));
    assert_eq!(c.get(COVERED).await, (version, From::L2));
    for node in [&a, &b, &c] {
        for path in OTHERS {
            assert_eq!(node.peek(path), Some((0, From::L1)), "{path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_not_heard_of_the_shape_learns_it_from_the_log() {
    let world = World::new();
    let [a, b] = holding(&world).await;
    b.l2.hold_messages();
    let version = world.origin.write(COVERED);
    invalidate(&a, COMMENTS).await.unwrap();
    let late = world.node().await;
    let deaf = world.node().await;
    deaf.l2.hold_messages();
    invalidate(&a, "/unrelated/**").await.unwrap();
    for node in [&late, &deaf] {
        assert_eq!(node.get(OTHERS[0]).await, (0, From::L2), "what it does not cover is still good");
    }
    assert_eq!(late.get(COVERED).await, (version, From::Origin));
    assert_eq!(deaf.get(COVERED).await, (version, From::L2));
    b.l2.release_messages();
    settle().await;
    assert_eq!(b.get(COVERED).await, (version, From::L2));
}

#[tokio::test(start_paused = true)]
async fn the_log_is_asked_a_second_time_only_for_a_shape_that_is_new() {
    let world = World::new();
    let [a] = holding(&world).await;
    invalidate(&a, "/unrelated/*").await.unwrap();
    let late = world.node().await;
    late.get(OTHERS[0]).await;
    assert_eq!(late.l2.calls(Op::Scores), 2);
    late.get(OTHERS[1]).await;
    assert_eq!(late.l2.calls(Op::Scores), 3);
}

#[tokio::test(start_paused = true)]
async fn a_fill_that_began_before_is_stored_nowhere() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    b.l2.hold_messages();
    world.origin.hold(COVERED);
    let (on_a, on_b) = (a.spawn_get(COVERED), b.spawn_get(COVERED));
    world.origin.arrived(COVERED, 2).await;
    let version = world.origin.write(COVERED);
    invalidate(&a, COMMENTS).await.unwrap();
    world.origin.release(COVERED);
    assert_eq!((on_a.await.unwrap(), on_b.await.unwrap()), ((0, From::Origin), (0, From::Origin)));
    settle().await;
    b.l2.release_messages();
    settle().await;
    assert_eq!(a.get(COVERED).await, (version, From::Origin));
    assert_eq!(b.get(COVERED).await, (version, From::L2));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_confirmed_holds_here_and_is_sent_again() {
    let world = World::new();
    let [a, b] = holding(&world).await;
    a.l2.fail(Op::Invalidate, 1, L2Error::Timeout);
    let version = world.origin.write(COVERED);
    assert!(is_unconfirmed(&invalidate(&a, COMMENTS).await));
    assert_eq!(a.peek(COVERED), None);
    pass(LEASE).await;
    assert_eq!(b.peek(COVERED), None, "it has been sent again");
    assert_eq!(a.get(COVERED).await, (version, From::Origin));
}

#[tokio::test(start_paused = true)]
async fn one_lost_by_a_failover_is_issued_again() {
    let world = World::new();
    let [a, b] = holding(&world).await;
    let before = world.server.snapshot();
    let version = world.origin.write(COVERED);
    invalidate(&a, COMMENTS).await.unwrap();
    world.server.restore(&before);
    for node in [&a, &b] {
        node.l2.disconnect_bus();
        node.l2.reconnect_bus();
    }
    pass(LEASE).await;
    let late = world.node().await;
    assert_eq!(late.get(COVERED).await, (version, From::Origin));
}

#[tokio::test(start_paused = true)]
async fn a_soft_pattern_ends_the_freshness_of_what_it_covers() {
    let world = World::new();
    let [a, b] = holding(&world).await;
    let stale = Manners { stale: Usage::Refresh, keep: 600 * SECOND, ..Manners::default() };
    a.tiers.instance().invalidate(Soft(Pattern(COMMENTS))).await.unwrap();
    settle().await;
    world.origin.hold(COVERED);
    for node in [a, b, world.node().await] {
        let node = node.with(stale);
        node.get(COVERED).await;
        assert_eq!(node.peek(COVERED), Some((0, From::Refreshing)));
        assert!(node.peek(OTHERS[0]).is_none_or(|got| got == (0, From::L1)));
    }
    world.origin.release(COVERED);
}

#[tokio::test(start_paused = true)]
async fn more_shapes_than_are_remembered_cost_fetches_and_serve_nothing_old() {
    let world = World::new();
    let [a, b] = holding(&world).await;
    let version = world.origin.write(COVERED);
    invalidate(&a, COMMENTS).await.unwrap();
    b.l2.hold_messages();
    // Shapes of up to eight segments, each segment a wildcard or not.
    for n in 0..2 * MAX_SHAPES {
        let pattern: String = (0..8).map(|bit| if n >> bit & 1 == 1 { "/*" } else { "/x" }).collect();
        invalidate(&a, &pattern).await.unwrap();
    }
    let late = world.node().await;
    b.l2.release_messages();
    settle().await;
    for node in [&late, &a, &b] {
        assert_eq!(node.get(COVERED).await.0, version);
    }
}
