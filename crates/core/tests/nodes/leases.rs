//! Fill leases: of all instances one asks the origin, whoever dies, leaves or lies, and nobody waits in vain for long.

use std::time::Duration;

use forebay_core::l2::{L2Error, Notice};
use forebay_core::seek::Usage;
use forebay_testkit::memory::Op;

use crate::support::*;

/// The term unless another is set.
const TERM: Duration = Duration::from_secs(2);
const FLIGHT_WAIT: Duration = Duration::from_secs(10);
/// Whoever has heard nothing looks at the latest after this.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Nodes of which the first asks the origin for `x`, which holds it, and the others wait for that.
async fn one_asks_and_the_others_wait<const N: usize>(
    world: &World,
) -> ([Node; N], Vec<tokio::task::JoinHandle<Got>>) {
    let nodes: [Node; N] = world.nodes().await;
    world.origin.hold("x");
    let mut requests = vec![nodes[0].spawn_get("x")];
    world.origin.arrived("x", 1).await;
    requests.extend(nodes[1..].iter().map(|node| node.spawn_get("x")));
    settle().await;
    assert_eq!(world.origin.calls("x"), 1, "the others wait");
    (nodes, requests)
}

async fn all(requests: Vec<tokio::task::JoinHandle<Got>>) -> Vec<Got> {
    let mut got = Vec::new();
    for request in requests {
        got.push(request.await.unwrap());
    }
    got
}

#[tokio::test(start_paused = true)]
async fn a_thousand_requests_on_four_instances_are_one_fetch() {
    let world = World::new();
    let nodes: [Node; 4] = world.nodes().await;
    world.origin.hold("x");
    let requests: Vec<_> = (0..1000).map(|n| nodes[n % 4].spawn_get("x")).collect();
    world.origin.arrived("x", 1).await;
    settle().await;
    world.origin.release("x");
    let got = all(requests).await;
    let count = |from| got.iter().filter(|got| **got == (0, from)).count();
    assert_eq!((count(From::Origin), count(From::Lease), count(From::Flight)), (1, 3, 996));
    assert_eq!(world.origin.calls("x"), 1);
    settle().await;
    assert_eq!(world.server.leases(), 0, "the lease has ended");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_woken_and_does_not_look_in_vain() {
    let world = World::new();
    let ([_, b], requests) = one_asks_and_the_others_wait(&world).await;
    let start = world.now();
    world.origin.release("x");
    assert_eq!(all(requests).await, [(0, From::Origin), (0, From::Lease)]);
    assert_eq!(world.now(), start, "at once");
    assert_eq!((b.l2.calls(Op::Lookup), b.l2.calls(Op::Claim)), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_miss_that_nobody_else_has_costs_one_more_round_trip_and_tells_nobody() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    b.l2.hold_messages();
    let before = a.l2.total_calls();
    assert_eq!(a.get("x").await, (0, From::Origin));
    let [lookups, claims, stores, tends] =
        [Op::Lookup, Op::Claim, Op::Store, Op::Tend].map(|op| a.l2.calls(op));
    assert_eq!((lookups, claims, stores, tends), (1, 1, 1, 1));
    assert_eq!(a.l2.total_calls() - before, 4);
    assert_eq!(a.get("x").await, (0, From::L1));
    assert_eq!(b.get("x").await, (0, From::L2));
    assert_eq!(b.l2.calls(Op::Claim), 0, "what is found needs no lease");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_lost_is_made_up_for_by_looking_again() {
    let world = World::new();
    let ([_, b], requests) = one_asks_and_the_others_wait(&world).await;
    b.l2.drop_messages(1);
    let start = world.now();
    world.origin.release("x");
    assert_eq!(all(requests).await, [(0, From::Origin), (0, From::Lease)]);
    assert!(world.now().since(start) <= LONGEST_PAUSE);
}

#[tokio::test(start_paused = true)]
async fn a_release_that_fails_is_made_up_for_by_looking_again() {
    let world = World::new();
    let ([a, _], requests) = one_asks_and_the_others_wait(&world).await;
    a.l2.fail(Op::Tend, 1, L2Error::Timeout);
    let start = world.now();
    world.origin.release("x");
    assert_eq!(all(requests).await, [(0, From::Origin), (0, From::Lease)]);
    assert!(world.now().since(start) <= LONGEST_PAUSE);
    assert_eq!(world.origin.calls("x"), 1);
}

#[tokio::test(start_paused = true)]
async fn when_the_holder_dies_one_of_the_others_takes_over_after_the_term() {
    let world = World::new();
    let ([a, ..], mut requests) = one_asks_and_the_others_wait::<4>(&world).await;
    pass(SECOND).await;
    a.l2.hang_all();
    requests.remove(0).abort();
    let death = world.now();
    world.origin.arrived("x", 2).await;
    assert!(world.now().since(death) <= TERM, "{:?}", world.now().since(death));
    pass(3 * TERM).await;
    assert_eq!(world.origin.calls("x"), 2, "one of them, and it keeps the lease");
    world.origin.release("x");
    let mut got = all(requests).await;
    got.sort_by_key(|got| got.1 == From::Lease);
    assert_eq!(got, [(0, From::Origin), (0, From::Lease), (0, From::Lease)]);
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_was_paused_does_no_harm_when_it_goes_on() {
    let world = World::new();
    let ([a, b], mut requests) = one_asks_and_the_others_wait(&world).await;
    a.l2.hang_all();
    world.origin.arrived("x", 2).await;
    let version = world.origin.write("x");
    b.invalidate("x").await.unwrap();
    world.origin.let_through("x", 1);
    assert_eq!(requests.remove(0).await.unwrap(), (0, From::Origin), "as a client that asked before may get");
    a.l2.heal();
    pass(TERM).await;
    assert_eq!(world.server.leases(), 1, "it released what is another's");
    world.origin.release("x");
    assert_eq!(all(requests).await, [(0, From::Origin)]);
    settle().await;
    for node in [&a, &b] {
        assert_eq!(node.get("x").await.0, version);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_outlasts_the_term_keeps_its_lease() {
    let world = World::new();
    let ([..], requests) = one_asks_and_the_others_wait::<3>(&world).await;
    pass(FLIGHT_WAIT - SECOND).await;
    assert_eq!(world.origin.calls("x"), 1);
    world.origin.release("x");
    assert_eq!(all(requests).await, [(0, From::Origin), (0, From::Lease), (0, From::Lease)]);
}

#[tokio::test(start_paused = true)]
async fn whoever_has_waited_for_long_enough_asks_and_those_who_follow_wait_for_that() {
    let world = World::new();
    let ([_, b], requests) = one_asks_and_the_others_wait(&world).await;
    let start = world.now();
    let followers: Vec<_> = (0..100).map(|_| b.spawn_get("x")).collect();
    world.origin.arrived("x", 2).await;
    assert!(world.now().since(start) <= FLIGHT_WAIT, "{:?}", world.now().since(start));
    pass(FLIGHT_WAIT - SECOND).await;
    assert_eq!(world.origin.calls("x"), 2, "one call an instance");
    world.origin.release("x");
    assert_eq!(all(requests).await, [(0, From::Origin), (0, From::Origin)]);
    assert!(all(followers).await.iter().all(|got| *got == (0, From::Flight)));
}

#[tokio::test(start_paused = true)]
async fn forged_ends_of_a_lease_only_make_an_instance_look_and_not_for_ever() {
    let world = World::new();
    let ([_, b], requests) = one_asks_and_the_others_wait(&world).await;
    for _ in 0..1000 {
        b.l2.inject(Notice::Released(hashed("x")));
        b.l2.inject(Notice::Released(hashed("y")));
        settle().await;
    }
    assert_eq!(world.origin.calls("x"), 1);
    assert!(b.l2.calls(Op::Claim) < 30, "{} looks", b.l2.calls(Op::Claim));
    world.origin.release("x");
    assert_eq!(all(requests).await, [(0, From::Origin), (0, From::Lease)]);
}

#[tokio::test(start_paused = true)]
async fn when_l2_goes_away_whoever_waits_asks_without() {
    let world = World::new();
    let ([_, b], requests) = one_asks_and_the_others_wait(&world).await;
    b.l2.fail_all(L2Error::Unavailable("down".into()));
    let start = world.now();
    world.origin.arrived("x", 2).await;
    assert!(world.now().since(start) <= LONGEST_PAUSE);
    world.origin.release("x");
    assert_eq!(all(requests).await, [(0, From::Origin), (0, From::Origin)]);
}

#[tokio::test(start_paused = true)]
async fn an_l2_that_hangs_while_somebody_waits_costs_one_timeout() {
    let world = World::new();
    let ([_, b], requests) = one_asks_and_the_others_wait(&world).await;
    b.l2.hang_all();
    let start = world.now();
    world.origin.arrived("x", 2).await;
    assert!(world.now().since(start) <= LONGEST_PAUSE + TIMEOUT);
    world.origin.release("x");
    all(requests).await;
}

#[tokio::test(start_paused = true)]
async fn an_l2_that_fails_a_lookup_is_not_asked_for_a_lease() {
    let world = World::new();
    let [a] = world.nodes().await;
    a.l2.fail(Op::Lookup, 1, L2Error::Timeout);
    assert_eq!(a.get("x").await, (0, From::Origin));
    assert_eq!(a.l2.calls(Op::Claim), 0);
    a.l2.fail(Op::Claim, 1, L2Error::Timeout);
    assert_eq!(a.get("y").await, (0, From::Origin));
    assert_eq!((a.l2.calls(Op::Claim), a.l2.calls(Op::Tend)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_passes_the_turn_on_at_once() {
    let world = World::new();
    let ([..], mut requests) = one_asks_and_the_others_wait::<2>(&world).await;
    let start = world.now();
    requests.remove(0).abort();
    world.origin.arrived("x", 2).await;
    assert_eq!(world.now(), start);
    world.origin.release("x");
    assert_eq!(all(requests).await, [(0, From::Origin)]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_it_waits_leaves_nothing_behind() {
    let world = World::new();
    let ([_, b], mut requests) = one_asks_and_the_others_wait(&world).await;
    requests.pop().unwrap().abort();
    settle().await;
    let claims = b.l2.calls(Op::Claim);
    pass(TERM).await;
    assert_eq!(b.l2.calls(Op::Claim), claims);
    world.origin.release("x");
    all(requests).await;
    settle().await;
    assert_eq!((world.server.leases(), world.origin.calls("x")), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_its_claim_is_under_way_leaves_no_lease_behind() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    a.l2.hang(Op::Claim);
    let request = a.spawn_get("x");
    settle().await;
    request.abort();
    settle().await;
    a.l2.heal();
    settle().await;
    assert_eq!((a.l2.calls(Op::Tend), world.server.leases()), (1, 0));
    let start = world.now();
    assert_eq!(b.request("x", None).await, (0, From::Origin));
    assert_eq!(world.now(), start);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_shared_is_asked_for_by_all_at_once_and_not_one_after_the_other() {
    let world = World::new();
    let nodes: [Node; 4] = world.nodes().await;
    let nodes = nodes.map(|node| node.with(Manners { origin: Conduct::Fails, ..Manners::default() }));
    world.origin.hold("x");
    let requests: Vec<_> = nodes.iter().map(|node| node.spawn_get("x")).collect();
    world.origin.arrived("x", 1).await;
    settle().await;
    let start = world.now();
    world.origin.let_through("x", 1);
    world.origin.arrived("x", 4).await;
    assert_eq!(world.now(), start);
    let late = nodes[0].spawn_get("x");
    world.origin.arrived("x", 5).await;
    assert_eq!(world.now(), start, "nor does one that comes right after wait for them");
    world.origin.release("x");
    assert!(all(requests).await.iter().all(|got| *got == (0, From::Failed)));
    assert_eq!(late.await.unwrap(), (0, From::Failed));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_passes_the_turn_on_at_once() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    world.origin.hold("x");
    let panics = a.with(Manners { origin: Conduct::Panics, ..Manners::default() }).spawn_get("x");
    world.origin.arrived("x", 1).await;
    let waits = b.spawn_get("x");
    settle().await;
    let start = world.now();
    world.origin.release("x");
    assert!(panics.await.is_err());
    assert_eq!((waits.await.unwrap(), world.now()), ((0, From::Origin), start));
}

#[tokio::test(start_paused = true)]
async fn after_an_invalidation_nobody_waits_for_a_fetch_that_began_before_it() {
    let world = World::new();
    let ([a, b], requests) = one_asks_and_the_others_wait(&world).await;
    let version = b.write("x").await.unwrap();
    let start = world.now();
    let late = b.spawn_get("x");
    world.origin.arrived("x", 2).await;
    assert_eq!(world.now(), start);
    world.origin.release("x");
    assert_eq!(late.await.unwrap(), (version, From::Origin));
    all(requests).await;
    settle().await;
    for node in [&a, &b] {
        assert_eq!(node.get("x").await.0, version);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_invalidated_meanwhile_makes_one_of_the_others_ask() {
    let world = World::new();
    let ([_, b, c], mut requests) = one_asks_and_the_others_wait(&world).await;
    // Neither hears of it in time: they go on waiting for the older fetch.
    for node in [&b, &c] {
        node.l2.drop_messages(1);
    }
    let version = world.node().await.write("x").await.unwrap();
    world.origin.let_through("x", 1);
    assert_eq!(requests.remove(0).await.unwrap(), (0, From::Origin));
    world.origin.arrived("x", 2).await;
    settle().await;
    assert_eq!(world.origin.calls("x"), 2, "one of them");
    world.origin.release("x");
    let mut got = all(requests).await;
    got.sort_by_key(|got| got.1 == From::Lease);
    assert_eq!(got, [(version, From::Origin), (version, From::Lease)]);
}

#[tokio::test(start_paused = true)]
async fn one_instance_of_all_refreshes_and_the_others_take_what_it_brings() {
    let world = World::new();
    let nodes: [Node; 3] = world.nodes().await;
    let (lifetime, keep) = (10 * SECOND, 3600 * SECOND);
    let manners = Manners { lifetime, keep, stale: Usage::Refresh, ..Manners::default() };
    let nodes = nodes.map(|node| node.with(manners));
    for node in &nodes {
        node.get("x").await;
    }
    pass(lifetime + SECOND).await;
    let version = world.origin.write("x");
    world.origin.hold("x");
    for _ in 0..100 {
        for node in &nodes {
            assert_eq!(node.get("x").await, (0, From::Refreshing), "nobody waits");
        }
    }
    assert_eq!(world.origin.calls("x"), 2);
    assert!(nodes[1].l2.calls(Op::Claim) < 10, "nor asks L2 each time");
    world.origin.release("x");
    settle().await;
    for node in &nodes {
        assert_eq!(node.peek("x"), Some((version, From::L1)));
    }
    assert_eq!(world.origin.calls("x"), 2);
}

#[tokio::test(start_paused = true)]
async fn variants_are_each_fetched_once() {
    let world = World::new();
    let nodes: [Node; 3] = world.nodes().await;
    world.origin.hold("x");
    let mut requests = Vec::new();
    for node in &nodes {
        for language in ["de", "en"] {
            let node = node.clone();
            requests.push(tokio::spawn(async move { node.request("x", Some(language)).await }));
        }
    }
    world.origin.arrived("x", 1).await;
    settle().await;
    world.origin.release("x");
    assert!(all(requests).await.iter().all(|got| got.0 == 0));
    assert_eq!(world.origin.calls("x"), 2);
}

#[tokio::test(start_paused = true)]
async fn without_fill_leases_each_instance_asks() {
    let world = World::new();
    let (a, b) =
        (world.node_with(|it| it.fill_lease = None).await, world.node_with(|it| it.fill_lease = None).await);
    world.origin.hold("x");
    let requests = vec![a.spawn_get("x"), b.spawn_get("x")];
    world.origin.arrived("x", 2).await;
    world.origin.release("x");
    all(requests).await;
    assert_eq!((a.l2.calls(Op::Claim), b.l2.calls(Op::Claim)), (0, 0));
}
