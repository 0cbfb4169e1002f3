//! Instances of two configurations on one Redis, in one namespace.

use forebay::{Admission, CacheBuilder, InvalidateError, L2Error, Redis, Standing, Tag};
use metrics_util::debugging::DebuggingRecorder;

use crate::support::*;

/// What the configuration of an instance is called.
fn name(node: &Node) -> String {
    node.cache.census().unwrap().own.clone()
}

#[tokio::test]
async fn who_comes_second_is_refused_loudly_and_neither_shares_nor_confirms_anything() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let world = World::start().await;
    let first = world.two().await;
    let settings = world.settings(world.redis.addr());
    let change = |cache: CacheBuilder| {
        cache.secret("another secret than theirs").partition_grace(std::time::Duration::ZERO)
    };
    let stranger = world.node_with(settings, change).await;
    until(async || (stranger.cache.census()?.admission == Admission::Refused).then_some(())).await;
    assert_eq!(stranger.cache.census().unwrap().strangers, [name(&first[0])]);
    until(async || (gauged(&snapshotter, "cache_strangers") == Some(1.0)).then_some(())).await;
    until(async || (stranger.cache.standing() == Standing::Lapsed).then_some(())).await;
    // It answers, and with nothing that has been there before.
    for _ in 0..3 {
        first[0].get("/articles/1").await;
        let version = world.write();
        first[0].cache.invalidate(Tag("article:1")).await.unwrap();
        let got = stranger.get("/articles/1").await;
        assert_eq!((got.from, got.text), ("origin", format!("1 {version}")));
    }
    first[0].get("/articles/1").await;
    let result = stranger.cache.invalidate(Tag("article:1")).await;
    let Err(InvalidateError::Unconfirmed { source, .. }) = result else { panic!("{result:?}") };
    assert!(matches!(source, None | Some(L2Error::Refused(_))), "{source:?}");
    assert_eq!(first[0].get("/articles/1").await.from, "l1", "those who were there have not noticed");
}

#[tokio::test]
async fn two_configurations_that_name_each_other_hear_of_every_invalidation_and_share_no_entry() {
    let world = World::start().await;
    let one = world.settings(world.redis.addr());
    let four = one.clone().shards(4);
    // What both are called, they say on a Redis of their own.
    let elsewhere = World::start().await;
    let called = async |redis: &Redis| name(&elsewhere.node_with(redis.clone(), |cache| cache).await);
    let settings = elsewhere.settings(elsewhere.redis.addr());
    let [a, b] = [called(&settings).await, called(&settings.shards(4)).await];
    let old = world.node_with(one.compat_namespaces([b]), |cache| cache).await;
    confirmed(&old).await;
    let new = world.node_with(four.compat_namespaces([a]), |cache| cache).await;
    confirmed(&new).await;
    for (issuer, other) in [(&old, &new), (&new, &old)] {
        for id in 0..8 {
            let path = format!("/articles/{id}");
            other.get(&path).await;
            settle().await;
            assert_ne!(issuer.get(&path).await.from, "l2", "entries are not shared");
            assert_eq!(other.get(&path).await.from, "l1");
            let version = world.write();
            issuer.cache.invalidate(Tag(format!("article:{id}"))).await.unwrap();
            until(async || (other.get(&path).await.text == format!("{id} {version}")).then_some(())).await;
        }
    }
}

/// Waits until an instance has joined.
async fn confirmed(node: &Node) {
    until(async || node.cache.invalidate(Tag("nothing")).await.ok()).await;
}
