//! A Redis that is not there: no request fails, and afterwards the tiers work together again.

use std::time::Duration;

use axum::http::StatusCode;
use forebay::{InvalidateError, Redis, Tag};

use crate::support::*;

/// Settings as in production: what does not answer soon is not waited for.
fn impatient(world: &World) -> Redis {
    Redis::url(&world.redis.url()).unwrap().timeout(Duration::from_millis(50))
}

async fn two(world: &World) -> [Node; 2] {
    let nodes = [
        world.node_with(impatient(world), |cache| cache).await,
        world.node_with(impatient(world), |cache| cache).await,
    ];
    world.joined(&nodes).await;
    nodes
}

/// Sends requests for old and new keys; all are answered, none from a data version that is older than `version`.
async fn all_answer(nodes: &[Node], round: usize) {
    for node in nodes {
        for n in 0..30 {
            let got = node.get(&format!("/articles/{round}-{}", n % 10)).await;
            assert_eq!(got.status, StatusCode::OK);
        }
    }
}

#[tokio::test]
async fn a_service_starts_without_redis_and_joins_when_it_comes() {
    let world = World::start().await;
    world.redis.kill().unwrap();
    let nodes = [world.node().await, world.node().await];
    let [a, b] = &nodes;
    for node in &nodes {
        assert_eq!(node.get("/articles/1").await, got("origin", "1 0"));
        assert_eq!(node.get("/articles/1").await, got("l1", "1 0"));
    }
    let current = world.write();
    assert!(matches!(a.cache.invalidate(Tag("article:1")).await, Err(InvalidateError::Unconfirmed { .. })));
    assert_eq!(a.get("/articles/1").await, got("origin", &format!("1 {current}")));
    assert_eq!(b.get("/articles/1").await, got("l1", "1 0"), "nobody can tell it");

    world.redis.restart().await.unwrap();
    world.joined(&nodes).await;
    for node in &nodes {
        until(async || (node.get("/articles/1").await.text == format!("1 {current}")).then_some(())).await;
    }
}

#[tokio::test]
async fn while_redis_is_dead_every_request_is_answered_and_the_invalidation_comes_later() {
    let world = World::start().await;
    let nodes = two(&world).await;
    let [a, b] = &nodes;
    for round in 0..2 {
        all_answer(&nodes, round).await;
        world.redis.kill().unwrap();
        all_answer(&nodes, round).await;
        let current = format!("{round}-1 {}", world.write());
        let result = a.cache.invalidate(Tag(format!("article:{round}-1"))).await;
        assert!(matches!(result, Err(InvalidateError::Unconfirmed { .. })), "{result:?}");
        assert_eq!(a.get(&format!("/articles/{round}-1")).await.text, current);
        all_answer(&nodes, round + 100).await;
        world.redis.restart().await.unwrap();
        world.joined(&nodes).await;
        until(async || (b.get(&format!("/articles/{round}-1")).await.text == current).then_some(())).await;
    }
}

#[tokio::test]
async fn while_redis_stands_still_every_request_is_answered() {
    let world = World::start().await;
    let nodes = two(&world).await;
    let [a, b] = &nodes;
    all_answer(&nodes, 0).await;
    world.redis.stop().unwrap();
    all_answer(&nodes, 1).await;
    let current = format!("0-1 {}", world.write());
    let result = a.cache.invalidate(Tag("article:0-1")).await;
    assert!(matches!(result, Err(InvalidateError::Unconfirmed { .. })), "{result:?}");
    assert_eq!(a.get("/articles/0-1").await.text, current);
    all_answer(&nodes, 2).await;
    world.redis.cont().unwrap();
    world.joined(&nodes).await;
    until(async || (b.get("/articles/0-1").await.text == current).then_some(())).await;
    all_answer(&nodes, 3).await;
}

#[tokio::test]
async fn l1_goes_on_without_redis_as_unsynced_and_without_a_grace_not_at_all() {
    let world = World::start().await;
    let graceful = world.node_with(impatient(&world), |cache| cache.lease("200ms")).await;
    let strict = world
        .node_with(impatient(&world), |cache| cache.lease("200ms").partition_grace(Duration::ZERO))
        .await;
    let nodes = [graceful, strict];
    world.joined(&nodes).await;
    let [graceful, strict] = &nodes;
    for node in &nodes {
        until(async || (node.get("/articles/1").await.from == "l1").then_some(())).await;
    }
    world.redis.kill().unwrap();
    until(async || (graceful.get("/articles/1").await.from == "unsynced").then_some(())).await;
    until(async || (strict.get("/articles/1").await.from == "origin").then_some(())).await;
    for _ in 0..50 {
        assert_eq!(graceful.get("/articles/1").await, got("unsynced", "1 0"));
        assert!(matches!(strict.get("/articles/1").await.from, "origin" | "flight"));
    }
}
