//! Instances on a Redis Cluster, whose nodes die and whose slots move.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use axum::http::StatusCode;
use forebay::{All, CacheBuilder, InvalidateError, Redis, Standing, Tag};
use forebay_testkit::redis::RedisCluster;
use forebay_testkit::resp::Value;

use crate::support::*;

const ARTICLES: usize = 48;

/// Settings as patient as the lease permits, for a slow machine is no fault.
fn settings(cluster: &RedisCluster) -> Redis {
    Redis::url(&cluster.url()).unwrap().timeout(std::time::Duration::from_millis(500))
}

async fn two(world: &World, cluster: &RedisCluster) -> [Node; 2] {
    let node = async || world.node_with(settings(cluster), |cache| cache).await;
    let nodes = [node().await, node().await];
    in_sync(&nodes).await;
    nodes
}

/// Waits until every shard of every instance has been reached.
async fn in_sync(nodes: &[Node]) {
    for node in nodes {
        until(async || node.cache.invalidate(Tag("nothing")).await.ok()).await;
        until(async || (node.cache.standing() == Standing::Synced).then_some(())).await;
    }
}

fn paths() -> impl Iterator<Item = String> {
    (0..ARTICLES).map(|n| format!("/articles/{n}"))
}

/// Asks for all articles, and says how many of the answers were older than `version`.
async fn older(node: &Node, version: u64) -> usize {
    let mut older = 0;
    for path in paths() {
        let got = node.get(&path).await;
        assert_eq!(got.status, StatusCode::OK, "no request fails because of Redis");
        older += usize::from(got.text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() < version);
    }
    older
}

/// Waits until both share everything again, and what is changed at one is changed at the other.
async fn work_together(world: &World, nodes: &[Node; 2]) {
    in_sync(nodes).await;
    let [a, b] = nodes;
    let version = world.write();
    until(async || a.cache.invalidate(All).await.ok()).await;
    assert_eq!(older(a, version).await, 0, "on the issuer at once");
    until(async || (older(b, version).await == 0).then_some(())).await;
    until(async || {
        let path = format!("/articles/fresh-{}", world.calls());
        a.get(&path).await;
        settle().await;
        (b.get(&path).await.from == "l2").then_some(())
    })
    .await;
}

/// The slot of the first shard.
async fn slot(cluster: &RedisCluster) -> u16 {
    for node in cluster.nodes() {
        let Value::Array(names) = node.command(["KEYS", "*:0}:v"]).await.unwrap() else { continue };
        if let Some(name) = names.first() {
            return cluster.slot_of(name.as_str().unwrap()).await.unwrap();
        }
    }
    panic!("no node has the first shard")
}

#[tokio::test]
async fn instances_share_entries_and_invalidations_over_all_nodes() {
    let (world, cluster) = (World::start().await, RedisCluster::builder().start().await.unwrap());
    let nodes = two(&world, &cluster).await;
    let [a, b] = &nodes;
    for path in paths() {
        assert_eq!(a.get(&path).await.from, "origin");
    }
    for path in paths() {
        until(async || matches!(b.get(&path).await.from, "l2" | "l1").then_some(())).await;
    }
    for node in cluster.nodes() {
        let Value::Array(names) = node.command(["KEYS", "*:e:*"]).await.unwrap() else { panic!() };
        assert!(!names.is_empty(), "the entries are spread");
    }
    a.get_in("/spoken/1", "de").await;
    settle().await;
    until(async || matches!(b.get_in("/spoken/1", "de").await.from, "l2" | "l1").then_some(())).await;

    let version = world.write();
    a.cache.invalidate(Tag("articles")).await.unwrap();
    assert_eq!(older(a, version).await, 0);
    until(async || (older(b, version).await == 0).then_some(())).await;
}

#[tokio::test]
async fn a_slot_that_moves_costs_misses_and_neither_requests_nor_invalidations() {
    let (world, cluster) = (World::start().await, RedisCluster::builder().start().await.unwrap());
    let nodes = two(&world, &cluster).await;
    let [a, b] = &nodes;
    let slot = slot(&cluster).await;
    older(a, 0).await;
    let to = cluster.other_master(slot).await.unwrap();
    cluster.start_migration(slot, to).await.unwrap();
    older(a, 0).await;
    older(b, 0).await;
    let version = world.write();
    // The log is still where it was, or on its way: confirmed or queued.
    let _ = a.cache.invalidate(Tag("articles")).await;
    assert_eq!(older(a, version).await, 0);
    cluster.finish_migration(slot, to).await.unwrap();
    assert_eq!(older(a, version).await, 0);
    until(async || (older(b, version).await == 0).then_some(())).await;
    work_together(&world, &nodes).await;
}

#[tokio::test]
async fn a_master_that_dies_is_replaced_by_its_replica() {
    let cluster = RedisCluster::builder().replicas(1).start().await.unwrap();
    let world = World::start().await;
    let nodes = two(&world, &cluster).await;
    let [a, b] = &nodes;
    older(a, 0).await;
    older(b, 0).await;
    cluster.fail_over(slot(&cluster).await).await.unwrap();
    older(a, 0).await;
    work_together(&world, &nodes).await;
}

#[tokio::test]
async fn while_one_node_is_dead_an_invalidation_is_unconfirmed_and_it_hears_of_it_when_it_is_back() {
    let (world, cluster) = (World::start().await, RedisCluster::builder().start().await.unwrap());
    let nodes = two(&world, &cluster).await;
    let [a, b] = &nodes;
    older(a, 0).await;
    older(b, 0).await;
    let dead = cluster.master_of(slot(&cluster).await).await.unwrap();
    dead.kill().unwrap();
    let version = world.write();
    let result = a.cache.invalidate(Tag("articles")).await;
    let Err(InvalidateError::Unconfirmed { shards, .. }) = result else { panic!("{result:?}") };
    assert!((1..=16).contains(&shards), "{shards}");
    assert_eq!(older(a, version).await, 0, "here it holds");
    dead.restart().await.unwrap();
    until(async || (older(b, version).await == 0).then_some(())).await;
    work_together(&world, &nodes).await;
}

#[tokio::test]
async fn whoever_has_a_token_sees_a_change_of_every_shard_on_every_instance() {
    let (world, cluster) = (World::start().await, RedisCluster::builder().start().await.unwrap());
    let node = async || world.node_with(settings(&cluster), CacheBuilder::read_your_writes).await;
    let nodes = [node().await, node().await];
    in_sync(&nodes).await;
    let [a, b] = &nodes;
    for path in paths() {
        b.get(&path).await;
        let token = a.put(&path).await;
        let text = b.get_after(&path, &token).await.text;
        assert!(text.ends_with(&format!(" {}", world.version())), "{path}: {text}");
    }
}

/// What the readers of a test have seen.
#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    answers: AtomicUsize,
    failed: AtomicUsize,
}

#[tokio::test]
async fn a_slot_that_moves_under_load_fails_no_request() {
    let (world, cluster) = (World::start().await, RedisCluster::builder().start().await.unwrap());
    let nodes = two(&world, &cluster).await;
    let slot = slot(&cluster).await;
    let seen = Seen::default();
    let read = async |node: &Node| {
        while !seen.stop.load(Relaxed) {
            for path in paths() {
                let got = node.get(&path).await;
                seen.answers.fetch_add(1, Relaxed);
                seen.failed.fetch_add(usize::from(got.status != StatusCode::OK), Relaxed);
            }
            settle().await;
        }
    };
    let change = async || {
        for _ in 0..2 {
            let to = cluster.other_master(slot).await.unwrap();
            cluster.start_migration(slot, to).await.unwrap();
            let before = seen.answers.load(Relaxed);
            let version = world.write();
            // Confirmed, or queued: the issuer gives nothing older either way.
            let _ = nodes[0].cache.invalidate(Tag("articles")).await;
            assert_eq!(older(&nodes[0], version).await, 0);
            until(async || (seen.answers.load(Relaxed) > before + 2 * ARTICLES).then_some(())).await;
            cluster.finish_migration(slot, to).await.unwrap();
            until(async || (older(&nodes[1], version).await == 0).then_some(())).await;
        }
        seen.stop.store(true, Relaxed);
    };
    tokio::join!(read(&nodes[0]), read(&nodes[1]), change());
    assert_eq!(seen.failed.load(Relaxed), 0, "of {}", seen.answers.load(Relaxed));
    work_together(&world, &nodes).await;
}
