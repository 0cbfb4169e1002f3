//! What holds where L2 has several shards, and how it fails by parts.

use std::time::Duration;

use forebay_core::coherence::Standing;
use forebay_core::instance::InvalidateError;
use forebay_core::l2::{L2Error, OddNumber, Shards};
use forebay_core::tag::All;
use forebay_testkit::memory::Op;

use crate::SHARDS;
use crate::support::*;

/// A key of each shard, that of [`X`] among them.
fn one_of_each() -> Vec<String> {
    let name = |shard| (0..).map(|n| format!("key {n}")).find(|name| shard_of(name) == shard).unwrap();
    (0..SHARDS).map(name).collect()
}

fn down() -> L2Error {
    L2Error::Unavailable("down".into())
}

#[tokio::test(start_paused = true)]
async fn entries_are_spread_over_the_shards_and_found_there() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    for (shard, key) in one_of_each().iter().enumerate() {
        a.get(key).await;
        assert_eq!(world.servers[shard].frames(), 1);
        assert_eq!(b.get(key).await, (0, From::L2));
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_reaches_the_entries_of_every_shard_in_one_round_trip_each() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    for key in &one_of_each() {
        a.get(key).await;
        b.get(key).await;
    }
    a.tiers.instance().invalidate(All).await.unwrap();
    assert!(one_of_each().iter().all(|key| a.peek(key).is_none()), "at Ok");
    assert!(a.clients.iter().all(|l2| l2.calls(Op::Invalidate) == 1));
    settle().await;
    assert!(one_of_each().iter().all(|key| b.peek(key).is_none()));
    for key in &one_of_each() {
        assert_eq!(b.get(key).await.1, From::Origin, "nor is it in L2");
    }
}

#[tokio::test(start_paused = true)]
async fn a_variant_stands_in_the_shard_whose_log_its_fill_rests_on() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    for (shard, key) in one_of_each().iter().enumerate() {
        for language in ["de", "en", "fr", "it", "pt"] {
            a.get_in(key, language).await;
            assert_eq!(b.get_in(key, language).await, (0, From::L2), "in {language}");
        }
        assert_eq!(world.servers[shard].frames(), 6, "five and the marker");
        // The other logs go on: a number of theirs would say nothing of these.
        a.write(key).await.unwrap();
    }
    for key in &one_of_each() {
        assert_eq!(b.get_in(key, "de").await.1, From::Origin);
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_that_one_shard_does_not_confirm_is_unconfirmed_and_sent_again_to_that_one_alone() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    let keys = one_of_each();
    for key in &keys {
        a.get(key).await;
        b.get(key).await;
    }
    let last = a.clients.last().unwrap();
    last.fail_all(down());
    let result = a.tiers.instance().invalidate(All).await;
    let expected = InvalidateError::Unconfirmed { queued: 1, source: Some(down()), shards: 1 };
    assert_eq!(result, Err(expected));
    settle().await;
    let (of_last, of_others) = keys.split_last().unwrap();
    assert!(keys.iter().all(|key| a.peek(key).is_none()), "the issuer has applied it everywhere");
    assert!(of_others.iter().all(|key| b.peek(key).is_none()), "the others where it was confirmed");
    assert_eq!(b.peek(of_last), Some((0, From::L1)));

    last.heal();
    pass(LEASE).await;
    assert_eq!(b.peek(of_last), None, "it was sent again");
    assert!(a.clients[..SHARDS - 1].iter().all(|l2| l2.calls(Op::Invalidate) == 1), "and to no other");
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_is_gone_costs_its_own_entries_alone() {
    let world = World::new();
    let a = world.node_with(|settings| settings.coherence.partition_grace = Duration::ZERO).await;
    let keys = one_of_each();
    for key in &keys {
        a.get(key).await;
    }
    a.clients[0].fail_all(down());
    pass(2 * LEASE).await;
    assert_eq!(a.peek(&keys[0]), None, "what its log says cannot be known");
    assert!(keys[1..].iter().all(|key| a.peek(key) == Some((0, From::L1))));
    let instance = a.tiers.instance();
    assert_eq!(instance.standing(world.now()), Standing::Lapsed, "the worst of all");
    a.clients[0].heal();
    pass(LEASE).await;
    assert_eq!(a.peek(&keys[0]), Some((0, From::L1)), "and nothing was fetched again");
    assert_eq!(instance.standing(world.now()), Standing::Synced);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_has_a_place_in_every_log() {
    let world = World::new();
    let a = world.node().await;
    let receipt = a.invalidate(X).await.unwrap().to_string();
    let places: Vec<_> = receipt.split(',').collect();
    assert_eq!(places.len(), SHARDS, "{receipt}");
    for (place, server) in places.iter().zip(&world.servers) {
        assert!(place.starts_with(&format!("{}-", server.position().unwrap().seq)), "{receipt}");
    }
}

#[test]
fn only_a_byte_s_worth_of_shards_that_a_mask_can_choose_from_is_accepted() {
    let server = forebay_testkit::memory::MemoryServer::new();
    let shards = |n| Shards::new((0..n).map(|_| std::sync::Arc::new(server.client()) as _).collect());
    for n in [1, 2, 16, 256] {
        assert!(shards(n).is_ok(), "{n}");
    }
    for n in [0, 3, 12, 257, 512] {
        assert_eq!(shards(n).unwrap_err(), OddNumber(n));
    }
}
