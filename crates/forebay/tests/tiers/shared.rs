//! What one instance has filled or invalidated, another sees.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use forebay::{All, Failover, Key, Path, Pattern, Prefix, Redis, Tag, Target};
use forebay_testkit::redis::RedisServer;
use forebay_testkit::resp::Value;

use crate::support::*;

#[tokio::test]
async fn what_one_has_filled_is_a_hit_on_the_other() {
    let world = World::start().await;
    let [a, b] = world.two().await;
    let calls = world.calls();
    assert_eq!(a.get("/articles/1").await, got("origin", "1 0"));
    assert_eq!(a.get("/articles/1").await, got("l1", "1 0"));
    world.until_entries(world.entries().await.len().max(1)).await;
    assert_eq!(
        until(async || Some(b.get("/articles/1").await).filter(|got| got.from == "l2")).await,
        got("l2", "1 0")
    );
    assert_eq!(b.get("/articles/1").await, got("l1", "1 0"));
    assert!(world.calls() <= calls + 2);
}

#[tokio::test]
async fn what_is_invalidated_on_one_is_gone_on_the_other_whatever_it_is_named_by() {
    let world = World::start().await;
    let [a, b] = world.two().await;
    let targets: [Target; 6] = [
        Tag("article:7").into(),
        Tag("articles").into(),
        Path("/articles/7").into(),
        Prefix("/articles").into(),
        Key("shop/articles/7").into(),
        All.into(),
    ];
    for target in targets {
        for node in [&a, &b] {
            node.get("/articles/7").await;
            until(async || (node.get("/articles/7").await.from == "l1").then_some(())).await;
        }
        let current = format!("7 {}", world.write());
        a.cache.invalidate(target.clone()).await.unwrap();
        assert_eq!(a.get("/articles/7").await, got("origin", &current), "{target:?}");
        until(async || (b.get("/articles/7").await.text == current).then_some(())).await;
    }
}

#[tokio::test]
async fn a_mutation_through_one_instance_is_seen_on_the_other() {
    let world = World::start().await;
    let [a, b] = world.two().await;
    let mutations = [
        Request::put("/articles/7").body(Body::empty()).unwrap(),
        Request::post("/mutate/7").body(Body::empty()).unwrap(),
    ];
    for (version, mutation) in (1..).zip(mutations) {
        b.get("/articles/7").await;
        a.send(mutation).await;
        let current = format!("7 {version}");
        assert_eq!(a.get("/articles/7").await.text, current);
        until(async || (b.get("/articles/7").await.text == current).then_some(())).await;
    }
}

#[tokio::test]
async fn variants_are_shared_and_die_together() {
    let world = World::start().await;
    let [a, b] = world.two().await;
    let before = world.entries().await.len();
    for language in ["de", "en"] {
        assert_eq!(a.get_in("/spoken/7", language).await, got("origin", &format!("{language} 0")));
    }
    // Two answers, and the word that they vary.
    world.until_entries(before + 3).await;
    for language in ["de", "en"] {
        let text = format!("{language} 0");
        assert_eq!(b.get_in("/spoken/7", language).await, got("l2", &text));
        assert_eq!(b.get_in("/spoken/7", language).await, got("l1", &text));
    }
    world.write();
    a.cache.invalidate(Tag("article:7")).await.unwrap();
    for language in ["de", "en"] {
        let text = format!("{language} 1");
        assert_eq!(a.get_in("/spoken/7", language).await.text, text);
        until(async || (b.get_in("/spoken/7", language).await.text == text).then_some(())).await;
    }
}

/// How often Redis was sent this command by clients.
async fn sent(world: &World, command: &str) -> u64 {
    let Value::Bulk(info) = world.command(&["INFO", "commandstats"]).await else { panic!("no text") };
    let info = String::from_utf8(info.to_vec()).unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
}

/// What `work` makes of it. Polls of the instances come in between now and then, so the least of several counts.
async fn least_sent(world: &World, mut work: impl AsyncFnMut(usize)) -> (u64, u64) {
    let mut least = (u64::MAX, u64::MAX);
    for round in 0..8 {
        let before = (sent(world, "mget").await, sent(world, "evalsha").await);
        work(round).await;
        let after = (sent(world, "mget").await, sent(world, "evalsha").await);
        least = (least.0.min(after.0 - before.0), least.1.min(after.1 - before.1));
    }
    least
}

#[tokio::test]
async fn a_hit_in_l1_is_no_round_trip_and_every_other_operation_is_one_or_a_few() {
    let world = World::start().await;
    let [a, b] = world.two().await;
    let before = world.entries().await.len();
    let miss = least_sent(&world, async |round| {
        assert_eq!(a.get(&format!("/articles/{round}")).await.from, "origin");
        world.until_entries(before + round + 1).await;
        until(async || (!world.names().await.iter().any(|name| name.contains(":f:"))).then_some(())).await;
    });
    assert_eq!(miss.await, (2, 3), "a miss: look up; claim, which looks up, too; store; release");
    let hits_in_l1 = least_sent(&world, async |round| {
        for _ in 0..20 {
            assert_eq!(a.get(&format!("/articles/{round}")).await.from, "l1");
        }
    });
    assert_eq!(hits_in_l1.await, (0, 0));
    let hit_in_l2 = least_sent(&world, async |round| {
        assert_eq!(b.get(&format!("/articles/{round}")).await.from, "l2");
    });
    assert_eq!(hit_in_l2.await, (1, 0));
    let invalidation = least_sent(&world, async |_| {
        a.cache.invalidate(Tag("articles")).await.unwrap();
    });
    assert_eq!(invalidation.await, (0, 1), "of however many entries");
}

#[tokio::test]
async fn once_it_holds_everywhere_no_other_gives_it_at_all() {
    let world = World::start().await;
    held_everywhere(&world, world.two().await).await;
}

#[tokio::test]
async fn so_it_is_where_reports_are_sealed_with_a_secret() {
    let world = World::start().await;
    let node =
        async || world.node_with(world.settings(world.redis.addr()), |cache| cache.secret(SECRET)).await;
    let nodes = [node().await, node().await];
    world.joined(&nodes).await;
    held_everywhere(&world, nodes).await;
}

/// Whoever has changed something at one sees that at the other as soon as it has been waited for.
async fn held_everywhere(world: &World, [a, b]: [Node; 2]) {
    for round in 0..20 {
        b.get("/articles/7").await;
        let version = world.write();
        a.cache.invalidate(Tag("article:7")).everywhere().await.unwrap();
        assert_eq!(b.get("/articles/7").await.text, format!("7 {version}"), "round {round}");
    }
}

/// A user of Redis with no more than the rights that the docs give it, of a cache with everything that there is to be used.
#[tokio::test]
async fn a_user_with_the_documented_rights_gets_by() {
    let page = include_str!("../../../../docs/operations.md");
    let (_, recipe) = page.split_once("ACL SETUSER shop on >secret ").unwrap();
    let (recipe, _) = recipe.split_once("```").unwrap();
    let rights: Vec<_> = recipe.split_whitespace().filter(|word| *word != "\\").collect();
    let rights = rights.join(" ").replace("{shop:*", "{tiers:*");
    let redis = RedisServer::builder().user("shop", "secret", &rights).start().await.unwrap();
    let world = World::on(redis);
    let url = format!("redis://shop:secret@{}/0", world.redis.addr());
    let node = async || {
        let redis = Redis::url(&url).unwrap().timeout(Duration::from_millis(500));
        world.node_with(redis, |cache| cache.failover(Failover::Flush).read_your_writes()).await
    };
    let nodes = [node().await, node().await];
    world.joined(&nodes).await;
    let [a, b] = &nodes;
    let targets: [Target; 2] = [Tag("article:7").into(), Pattern("/articles/*").into()];
    for target in targets {
        b.get("/articles/7").await;
        let version = world.write();
        a.cache.invalidate(target.clone()).everywhere().await.unwrap();
        assert_eq!(b.get("/articles/7").await.text, format!("7 {version}"), "{target:?}");
    }
    let token = a.put("/articles/7").await;
    assert_eq!(b.get_after("/articles/7", &token).await.text, format!("7 {}", world.version()));
    world.command(&["FLUSHALL"]).await;
    world.joined(&nodes).await;
    let denied = world.command(&["ACL", "LOG"]).await;
    assert_eq!(denied, Value::Array(Vec::new()), "nothing was tried that it may not do");
}

const SECRET: &str = "a secret of the service, not of Redis";
