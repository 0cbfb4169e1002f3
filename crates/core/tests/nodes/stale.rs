//! What outlives its freshness: refreshed while it is served, validated, fallen back on, and never brought back.

use std::collections::BTreeSet;

use forebay_core::l2::L2Error;
use forebay_core::seek::Usage;
use forebay_testkit::memory::Op;

use crate::support::*;

const LIFETIME: std::time::Duration = std::time::Duration::from_secs(10);
const KEEP: std::time::Duration = std::time::Duration::from_secs(3600);

/// Requests that do this with what is stale, by an origin that answers.
fn on_stale(stale: Usage) -> Manners {
    Manners { lifetime: LIFETIME, keep: KEEP, stale, ..Manners::default() }
}

fn by(origin: Conduct, stale: Usage) -> Manners {
    Manners { origin, ..on_stale(stale) }
}

/// Two nodes that hold a stale `x` in their memory. Longer stale than a fill may take.
async fn two_that_hold_stale_x(world: &World, stale: Usage) -> [Node; 2] {
    let nodes: [Node; 2] = world.nodes().await;
    let nodes = nodes.map(|node| node.with(on_stale(stale)));
    for node in &nodes {
        node.get("x").await;
    }
    pass(LIFETIME + 100 * SECOND).await;
    nodes
}

#[tokio::test(start_paused = true)]
async fn what_is_being_refreshed_is_answered_at_once_and_fetched_once() {
    let world = World::new();
    let [a, b] = two_that_hold_stale_x(&world, Usage::Refresh).await;
    let version = world.origin.write("x");
    world.origin.hold("x");
    let start = world.now();
    for _ in 0..1000 {
        assert_eq!(a.request("x", None).await, (0, From::Refreshing));
    }
    assert_eq!(world.now(), start, "nobody waited");
    world.origin.arrived("x", 2).await;
    world.origin.release("x");
    settle().await;
    assert_eq!(a.get("x").await, (version, From::L1));
    assert_eq!(world.origin.calls("x"), 2);
    assert_eq!(b.get("x").await, (0, From::Refreshing));
    assert_eq!(b.get("x").await, (version, From::L1), "it found in L2 what the other had fetched");
    assert_eq!(world.origin.calls("x"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_miss_during_a_refresh_waits_for_it() {
    let world = World::new();
    let [a, _] = two_that_hold_stale_x(&world, Usage::Refresh).await;
    world.origin.hold("x");
    assert_eq!(a.get("x").await, (0, From::Refreshing));
    let demanding = a.with(on_stale(Usage::Ask));
    let waiting = demanding.spawn_get("x");
    settle().await;
    let version = world.origin.write("x");
    world.origin.release("x");
    assert_eq!(waiting.await.unwrap(), (0, From::Flight), "it was fresh when the refresh began");
    assert_eq!((world.origin.calls("x"), version), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_fails_or_panics_is_begun_again_after_a_second_and_not_before() {
    for conduct in [Conduct::Fails, Conduct::Panics] {
        let world = World::new();
        let [a, _] = two_that_hold_stale_x(&world, Usage::Refresh).await;
        let failing = a.with(by(conduct, Usage::Refresh));
        for calls in 2..5 {
            for _ in 0..10 {
                assert_eq!(failing.get("x").await, (0, From::Refreshing));
            }
            assert_eq!(world.origin.calls("x"), calls, "{conduct:?}");
            pass(SECOND).await;
        }
        let version = world.origin.write("x");
        a.get("x").await;
        assert_eq!(a.get("x").await, (version, From::L1), "{conduct:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_of_an_origin_that_hangs_is_given_up_after_max_fill() {
    let world = World::new();
    let [a, _] = two_that_hold_stale_x(&world, Usage::Refresh).await;
    let max_fill = a.tiers.instance().settings().max_fill;
    world.origin.hold("x");
    a.get("x").await;
    pass(max_fill - SECOND).await;
    a.get("x").await;
    assert_eq!(world.origin.calls("x"), 2, "the first is still under way");
    pass(2 * SECOND).await;
    a.get("x").await;
    assert_eq!(world.origin.calls("x"), 3);
}

#[tokio::test(start_paused = true)]
async fn requests_with_a_stale_answer_at_hand_do_not_wait_longer_than_others_for_a_flight_that_hangs() {
    let world = World::new();
    let [a, _] = two_that_hold_stale_x(&world, Usage::Ask).await;
    world.origin.hold("x");
    let start = world.now();
    let (leader, follower) = (a.spawn_get("x"), a.spawn_get("x"));
    world.origin.arrived("x", 3).await;
    assert_eq!(world.now().since(start), a.tiers.instance().settings().flight_wait);
    world.origin.release("x");
    assert_eq!((leader.await.unwrap().0, follower.await.unwrap().0), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_fresh_is_refreshed_ahead_of_time_though_l2_has_it() {
    let world = World::new();
    let nodes: [Node; 2] = world.nodes().await;
    let [a, b] = nodes.map(|node| node.with(on_stale(Usage::Ask)));
    for node in [&a, &b] {
        node.get("x").await;
    }
    pass(SECOND / 2).await;
    let version = world.origin.write("x");
    for node in [&a, &b] {
        node.refresh_anyway("x").await;
        assert_eq!(node.peek("x"), Some((version, From::L1)));
    }
    assert_eq!(world.origin.calls("x"), 3, "by less than a second, an entry of L2 may only look younger");
    pass(2 * SECOND).await;
    let version = world.origin.write("x");
    for node in [&a, &b] {
        node.refresh_anyway("x").await;
        assert_eq!(node.peek("x"), Some((version, From::L1)));
    }
    assert_eq!(world.origin.calls("x"), 4, "the second found what the first had fetched");
}

#[tokio::test(start_paused = true)]
async fn what_is_stale_in_l2_alone_is_validated_or_refreshed_from_there() {
    let world = World::new();
    let [a, _] = two_that_hold_stale_x(&world, Usage::Ask).await;
    let version = world.origin.write("x");
    let cold = world.node().await.with(by(Conduct::Confirms, Usage::Ask));
    assert_eq!(cold.get("x").await, (0, From::Confirmed), "with what L2 had at hand");
    assert_eq!(a.get("x").await, (0, From::L2), "and all have what was confirmed");
    pass(LIFETIME).await;
    let cold = world.node().await.with(on_stale(Usage::Refresh));
    assert_eq!(cold.get("x").await, (0, From::L2));
    assert_eq!(cold.get("x").await, (version, From::L1));
}

#[tokio::test(start_paused = true)]
async fn what_was_confirmed_long_after_it_was_stored_is_fresh_for_everyone() {
    let world = World::new();
    let [a, b] = two_that_hold_stale_x(&world, Usage::Ask).await;
    for round in 0..5 {
        let confirming = a.with(by(Conduct::Confirms, Usage::Ask));
        assert_eq!(confirming.get("x").await, (0, From::Confirmed), "round {round}");
        assert_eq!(b.get("x").await, (0, From::L2), "round {round}");
        pass(LIFETIME + 100 * SECOND).await;
    }
    assert_eq!(a.l2.calls(Op::Store), 6);
}

#[tokio::test(start_paused = true)]
async fn the_younger_of_two_tiers_wins() {
    let world = World::new();
    let [a, b] = two_that_hold_stale_x(&world, Usage::Ask).await;
    let version = world.origin.write("x");
    assert_eq!(a.get("x").await, (version, From::Origin));
    assert_eq!(b.get("x").await, (version, From::L2), "the stale one in L1 does not hide it");

    pass(2 * LIFETIME).await;
    b.l2.fail(Op::Store, 1, L2Error::Timeout);
    let newer = world.origin.write("x");
    assert_eq!(b.get("x").await, (newer, From::Origin));
    pass(2 * LIFETIME).await;
    let confirming = b.with(by(Conduct::Confirms, Usage::Ask));
    assert_eq!(confirming.get("x").await, (newer, From::Confirmed), "nor does the older one in L2 hide that");
}

#[tokio::test(start_paused = true)]
async fn followers_of_a_failure_settle_for_what_is_stale_only_if_they_say_so() {
    let world = World::new();
    let [a, _] = two_that_hold_stale_x(&world, Usage::Ask).await;
    let failing = by(Conduct::Fails, Usage::Ask);
    let content = Manners { failed: Settles::ForStale, ..failing };
    world.origin.hold("x");
    let leader = a.with(content).spawn_get("x");
    world.origin.arrived("x", 2).await;
    let settling: Vec<_> = (0..10).map(|_| a.with(content).spawn_get("x")).collect();
    let demanding: Vec<_> = (0..3).map(|_| a.with(failing).spawn_get("x")).collect();
    settle().await;
    world.origin.release("x");
    assert_eq!(leader.await.unwrap(), (0, From::Fallback));
    for follower in settling {
        assert_eq!(follower.await.unwrap(), (0, From::Fallback));
    }
    for follower in demanding {
        assert_eq!(follower.await.unwrap(), (0, From::Failed));
    }
    assert_eq!(world.origin.calls("x"), 5, "the leader, and each that did not settle");
    assert_eq!(a.get("x").await.1, From::Origin, "and nothing is left behind");
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_accepts_the_leaders_fallback_anyway_has_its_answer() {
    let world = World::new();
    let [a, _] = two_that_hold_stale_x(&world, Usage::Ask).await;
    world.origin.hold("x");
    let leader = a.with(by(Conduct::Fails, Usage::Ask)).spawn_get("x");
    world.origin.arrived("x", 2).await;
    // Not in L1 any more, so that this one has to wait.
    a.tiers.l1().remove(&hashed("x"));
    let tolerant = a.with(on_stale(Usage::Answer)).spawn_get("x");
    settle().await;
    world.origin.release("x");
    assert_eq!(leader.await.unwrap(), (0, From::Failed));
    assert_eq!(tolerant.await.unwrap(), (0, From::Flight));
    assert_eq!(world.origin.calls("x"), 2);
}

#[tokio::test(start_paused = true)]
async fn nobody_settles_for_what_was_invalidated_while_the_origin_failed() {
    for issuer in 0..2 {
        let world = World::new();
        let nodes = two_that_hold_stale_x(&world, Usage::Ask).await;
        let content = Manners { failed: Settles::ForStale, ..by(Conduct::Fails, Usage::Ask) };
        world.origin.hold("x");
        let leader = nodes[0].with(content).spawn_get("x");
        world.origin.arrived("x", 2).await;
        let followers: Vec<_> = (0..5).map(|_| nodes[0].with(content).spawn_get("x")).collect();
        settle().await;
        nodes[issuer].write("x").await.unwrap();
        settle().await;
        world.origin.release("x");
        leader.await.unwrap();
        for follower in followers {
            assert_eq!(follower.await.unwrap(), (0, From::Failed));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn followers_that_find_the_flights_entry_stale_ask_with_it_at_hand() {
    let world = World::new();
    let a = world.node().await;
    let always = Manners { lifetime: std::time::Duration::ZERO, ..by(Conduct::Confirms, Usage::Ask) };
    let a = a.with(always);
    world.origin.hold("x");
    let leader = a.spawn_get("x");
    world.origin.arrived("x", 1).await;
    let followers: Vec<_> = (0..3).map(|_| a.spawn_get("x")).collect();
    settle().await;
    world.origin.release("x");
    assert_eq!(leader.await.unwrap(), (0, From::Origin));
    for follower in followers {
        assert_eq!(follower.await.unwrap(), (0, From::Confirmed));
    }
    assert_eq!((world.origin.calls("x"), a.l2.calls(Op::Lookup)), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn an_entry_is_kept_for_its_lifetime_and_its_keep_in_both_tiers() {
    for lifetime in [std::time::Duration::ZERO, LIFETIME] {
        let world = World::new();
        let a = world.node().await.with(Manners { lifetime, ..by(Conduct::Confirms, Usage::Ask) });
        a.get("x").await;
        pass(lifetime + KEEP - 10 * SECOND).await;
        assert!(world.server.frame(hashed("x")).is_some());
        let tolerant = a.with(on_stale(Usage::Answer));
        assert_eq!(tolerant.peek("x"), Some((0, From::L1)));
        assert_eq!(world.node().await.with(on_stale(Usage::Answer)).get("x").await, (0, From::L2));
        pass(10 * SECOND).await;
        assert_eq!(tolerant.peek("x"), None);
        a.tiers.l1().maintain();
        assert_eq!(a.tiers.l1().entries(), 0, "what nobody can use makes room when it is asked for");
        assert!(world.server.frame(hashed("x")).is_none());
        assert_eq!(a.get("x").await, (0, From::Origin));
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_out_of_sync_neither_serves_nor_validates_what_may_have_been_invalidated() {
    let world = World::new();
    let [a, b] = two_that_hold_stale_x(&world, Usage::Refresh).await;
    b.l2.disconnect_bus();
    b.l2.hang_all();
    let version = a.write("x").await.unwrap();
    pass(LEASE + GRACE + SECOND).await;
    let confirming = b.with(by(Conduct::Confirms, Usage::Refresh));
    assert_eq!(confirming.get("x").await, (version, From::Origin));
}

#[tokio::test(start_paused = true)]
async fn what_is_served_unsynced_is_refreshed_too_and_survives_nothing_that_was_missed() {
    let world = World::new();
    let [a, b] = two_that_hold_stale_x(&world, Usage::Refresh).await;
    b.l2.disconnect_bus();
    b.l2.fail_all(L2Error::Unavailable("a partition".into()));
    let version = a.write("x").await.unwrap();
    pass(LEASE + SECOND).await;
    let confirming = b.with(by(Conduct::Confirms, Usage::Refresh));
    assert_eq!(confirming.get("x").await, (0, From::Refreshing));
    assert_eq!(confirming.get("x").await, (0, From::Unsynced), "confirmed, and within the grace");
    b.l2.heal();
    b.l2.reconnect_bus();
    pass(LEASE).await;
    assert_eq!(b.peek("x"), None);
    assert_eq!(b.get("x").await, (version, From::Origin));
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_of_another_life_of_the_log_is_stored_nowhere() {
    for way in [Usage::Ask, Usage::Refresh] {
        let world = World::new();
        let [a, b] = two_that_hold_stale_x(&world, way).await;
        world.origin.hold("x");
        let asked = a.with(by(Conduct::Confirms, way)).spawn_get("x");
        world.origin.arrived("x", 2).await;
        world.server.flush();
        pass(LEASE).await;
        world.origin.release("x");
        asked.await.unwrap();
        settle().await;
        assert_eq!(world.server.frames(), 0, "{way:?}");
        let tolerant = on_stale(Usage::Answer);
        assert_eq!((a.with(tolerant).peek("x"), b.with(tolerant).peek("x")), (None, None), "{way:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_the_origin_drops_while_it_is_invalidated_is_not_forgotten() {
    let world = World::new();
    let [a, b] = two_that_hold_stale_x(&world, Usage::Answer).await;
    a.l2.hold_messages();
    world.origin.hold("x");
    let asked = a.with(by(Conduct::ConfirmsUntagged, Usage::Ask)).spawn_get("x");
    world.origin.arrived("x", 2).await;
    let version = b.write("x").await.unwrap();
    world.origin.release("x");
    assert_eq!(asked.await.unwrap(), (0, From::Confirmed), "whoever asked before may have it");
    settle().await;
    assert_eq!(world.node().await.get("x").await, (version, From::Origin));
    a.l2.release_messages();
    settle().await;
    assert_eq!(a.get("x").await, (version, From::L2));
}

/// When an invalidation comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Point {
    BeforeTheRequest,
    BeforeTheLookup,
    WhileTheOriginIsAsked,
    WhileTheBodyArrives,
    BeforeTheStore,
    Afterwards,
}

/// Where the stale entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    BothTiers,
    L1,
    L2,
}

/// Whether messages arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Bus {
    Prompt,
    Held,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Issuer {
    TheSame,
    Another,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    point: Point,
    place: Place,
    bus: Bus,
    issuer: Issuer,
    manners: Manners,
}

/// Validates or refreshes on `a` while `x` is invalidated at the case's point, and says who answers with the older version
/// after that although the guarantees forbid it.
async fn resurrections(case: Case) -> BTreeSet<&'static str> {
    let world = World::new();
    let [a, b] = two_that_hold_stale_x(&world, Usage::Answer).await;
    match case.place {
        Place::BothTiers => {}
        Place::L1 => world.server.evict(hashed("x")),
        Place::L2 => a.tiers.l1().remove(&hashed("x")),
    }
    if case.bus == Bus::Held {
        a.l2.hold_messages();
        b.l2.hold_messages();
    }
    let (issuer, other) = if case.issuer == Issuer::TheSame { (&a, &b) } else { (&b, &a) };
    let write = async || issuer.write("x").await.unwrap();
    let version = if case.point == Point::BeforeTheRequest { write().await } else { 1 };
    match case.point {
        Point::BeforeTheLookup => a.l2.hang(Op::Lookup),
        Point::WhileTheOriginIsAsked => world.origin.hold("x"),
        Point::WhileTheBodyArrives => world.origin.hold(&body_of("x")),
        Point::BeforeTheStore => a.l2.hang(Op::Store),
        Point::BeforeTheRequest | Point::Afterwards => {}
    }
    let request = a.with(case.manners).spawn_get("x");
    settle().await;
    if case.point != Point::BeforeTheRequest {
        write().await;
    }
    let mut found = BTreeSet::new();
    let tolerant = on_stale(Usage::Answer);
    // The issuer must not answer with it from this very moment, nor must anybody who finds it in L2.
    if issuer.with(tolerant).peek("x").is_some_and(|got| got.0 < version) {
        found.insert("the issuer, at once");
    }
    world.origin.release("x");
    world.origin.release(&body_of("x"));
    a.l2.heal();
    request.await.unwrap();
    settle().await;
    if issuer.with(tolerant).get("x").await.0 < version {
        found.insert("the issuer");
    }
    if world.node().await.with(tolerant).get("x").await.0 < version {
        found.insert("L2");
    }
    if case.bus == Bus::Held {
        // The messages never come: the log has to do without.
        pass(LEASE).await;
    }
    for (who, node) in [("the issuer, later", issuer), ("the other", other)] {
        if node.with(tolerant).get("x").await.0 < version {
            found.insert(who);
        }
    }
    found
}

/// All cases of requests that make the origin confirm what is stale.
fn cases(conduct: Conduct) -> impl Iterator<Item = Case> {
    use Point::*;
    let points = [
        BeforeTheRequest,
        BeforeTheLookup,
        WhileTheOriginIsAsked,
        WhileTheBodyArrives,
        BeforeTheStore,
        Afterwards,
    ];
    let manners = [by(conduct, Usage::Ask), by(conduct, Usage::Refresh)];
    points.into_iter().flat_map(move |point| {
        [Place::BothTiers, Place::L1, Place::L2].into_iter().flat_map(move |place| {
            [Bus::Prompt, Bus::Held].into_iter().flat_map(move |bus| {
                [Issuer::TheSame, Issuer::Another].into_iter().flat_map(move |issuer| {
                    manners.into_iter().map(move |manners| Case { point, place, bus, issuer, manners })
                })
            })
        })
    })
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_at_any_point_of_a_validation_or_refresh_is_not_undone() {
    for conduct in [Conduct::Confirms, Conduct::ConfirmsUntagged, Conduct::Answers] {
        for case in cases(conduct) {
            let found = resurrections(case).await;
            assert!(found.is_empty(), "{conduct:?} {case:?}: {found:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_basis_it_would_be() {
    let mut seen = BTreeSet::new();
    for case in cases(Conduct::ConfirmsWithoutBasis) {
        if !resurrections(case).await.is_empty() {
            seen.insert((case.point, case.place, case.bus, case.issuer));
        }
    }
    let expected = [Point::BeforeTheRequest, Point::BeforeTheLookup].into_iter().flat_map(|point| {
        [Place::BothTiers, Place::L1].map(|place| (point, place, Bus::Held, Issuer::Another))
    });
    assert_eq!(seen, expected.collect());
}

#[tokio::test(start_paused = true)]
async fn an_origin_that_has_failed_is_not_asked_for_a_second_by_those_who_have_something_stale() {
    let world = World::new();
    let [a, _] = two_that_hold_stale_x(&world, Usage::Ask).await;
    let failing = by(Conduct::Fails, Usage::Ask);
    let content = a.with(Manners { failed: Settles::ForStale, ..failing });
    for calls in 2..5 {
        for _ in 0..10 {
            assert_eq!(content.get("x").await, (0, From::Fallback));
        }
        assert_eq!(world.origin.calls("x"), calls);
        pass(SECOND).await;
    }
    assert_eq!(content.get("x").await, (0, From::Fallback));
    assert_eq!(a.with(failing).get("x").await, (0, From::Failed), "who does not settle asks");
    assert_eq!(world.origin.calls("x"), 6);
    a.write("x").await.unwrap();
    assert_eq!(content.get("x").await, (0, From::Failed), "what is invalidated stands in for nothing");
}
