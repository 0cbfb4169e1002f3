//! A Redis in which somebody else has been at work.

use axum::http::StatusCode;
use forebay_core::frame;
use forebay_testkit::resp::Value;
use metrics_util::debugging::DebuggingRecorder;

use crate::support::*;

/// Waits until both find in Redis again what the other has put there, while no request fails.
async fn until_shared_again(world: &World, nodes: &[Node; 2]) {
    world.joined(nodes).await;
    let current = world.write();
    nodes[0].cache.invalidate(forebay::All).await.unwrap();
    for node in nodes {
        until(async || (node.get("/articles/1").await.text == format!("1 {current}")).then_some(())).await;
    }
}

#[tokio::test]
async fn a_flush_costs_misses_and_nothing_else() {
    let world = World::start().await;
    let nodes = world.two().await;
    for command in ["FLUSHALL", "FLUSHDB"] {
        nodes[0].get("/articles/1").await;
        world.command(&[command]).await;
        for node in &nodes {
            assert_eq!(node.get("/articles/1").await.status, StatusCode::OK);
        }
        until_shared_again(&world, &nodes).await;
    }
    world.command(&["SCRIPT", "FLUSH"]).await;
    until_shared_again(&world, &nodes).await;
}

/// Fills Redis until it has evicted so many keys, and asks for articles meanwhile.
async fn crowd(world: &World, nodes: &[Node; 2], evicted: u64) {
    let before = evictions(world).await;
    let filler = "x".repeat(10_000);
    let mut number = 0_u64;
    while evictions(world).await < before + evicted {
        for _ in 0..20 {
            number += 1;
            world.command(&["SET", &format!("filler:{number}"), &filler, "EX", "600"]).await;
        }
        for node in nodes {
            assert_eq!(node.get("/articles/1").await.status, StatusCode::OK);
            assert_eq!(node.get(&format!("/articles/{number}")).await.status, StatusCode::OK);
        }
    }
}

async fn evictions(world: &World) -> u64 {
    let Value::Bulk(info) = world.command(&["INFO", "stats"]).await else { panic!("no text") };
    let info = String::from_utf8(info.to_vec()).unwrap();
    let count = info.lines().find_map(|line| line.strip_prefix("evicted_keys:"));
    count.unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn a_redis_that_evicts_costs_misses_and_where_it_may_evict_entries_alone_not_even_the_log() {
    let world = World::start().await;
    let nodes = world.two().await;
    world.command(&["CONFIG", "SET", "maxmemory", "6mb"]).await;
    let kept = |names: &[String]| {
        let log = names.iter().filter(|name| [":v", ":i", ":l"].iter().any(|end| name.ends_with(end)));
        log.count()
    };
    let log = kept(&world.names().await);
    for policy in ["volatile-lru", "volatile-ttl", "allkeys-random", "allkeys-lru"] {
        world.command(&["CONFIG", "SET", "maxmemory-policy", policy]).await;
        crowd(&world, &nodes, 500).await;
        if policy.starts_with("volatile") {
            assert_eq!(kept(&world.names().await), log, "{policy}");
        }
        // What is invalidated now is gone, whatever was evicted before.
        until_shared_again(&world, &nodes).await;
    }
}

#[tokio::test]
async fn keys_of_a_wrong_type_are_misses_and_are_mended() {
    let world = World::start().await;
    let nodes = world.two().await;
    nodes[0].get("/articles/1").await;
    for name in world.names().await {
        world.command(&["DEL", &name]).await;
        world.command(&["RPUSH", &name, "not", "ours"]).await;
        for node in &nodes {
            assert_eq!(node.get("/articles/1").await.status, StatusCode::OK, "{name}");
            assert_eq!(node.get("/articles/2").await.status, StatusCode::OK, "{name}");
        }
        until_shared_again(&world, &nodes).await;
    }
}

#[tokio::test]
async fn keys_with_nonsense_are_misses_and_are_mended() {
    let world = World::start().await;
    let nodes = world.two().await;
    nodes[0].get("/articles/1").await;
    for name in world.names().await {
        for nonsense in ["", "nonsense", "99999999999999999999", "-1"] {
            world.command(&["SET", &name, nonsense]).await;
            for node in &nodes {
                assert_eq!(node.get("/articles/1").await.status, StatusCode::OK, "{name}");
            }
            until_shared_again(&world, &nodes).await;
        }
    }
}

#[tokio::test]
async fn damaged_entries_are_counted_misses() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let world = World::start().await;
    let [a, _] = world.two().await;
    let before = world.entries().await;
    a.get("/articles/1").await;
    let entries = world.until_entries(before.len() + 1).await;
    let name = entries.into_iter().find(|name| !before.contains(name)).unwrap();
    let whole = world.value(&name).await;
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let mut foreign = whole.clone();
    foreign[12] = frame::VERSION + 1;
    for (number, damaged) in
        [&whole[..whole.len() / 2], &whole[..8], &flipped, &foreign].into_iter().enumerate()
    {
        world.set(&name, damaged).await;
        // A fresh instance, which has nothing in L1.
        let node = world.node().await;
        let got = until(async || {
            let got = node.get("/articles/1").await;
            assert_eq!(got, Got { from: got.from, ..got_from_origin() });
            (counted(&snapshotter, "cache_errors_total", ("op", "decode")) > 0).then_some(got)
        });
        assert_eq!(got.await.from, "origin", "damage {number}");
        until(async || (world.value(&name).await != damaged).then_some(())).await;
    }
}

fn got_from_origin() -> Got {
    got("origin", "1 0")
}
