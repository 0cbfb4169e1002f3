//! What keeps answers fresh: refreshing ahead of time, by the clock and by chance; shorter times by chance; times of their own
//! for what is missing.

use std::time::Duration;

use axum::http::Method;
use forebay::{Policy, Random, Upkeep};
use futures_util::future::join_all;

use crate::shop::{Deed, Shop, answer};
use crate::support::{Fields, field, settle};

const MINUTE: Fields<'static> = &[("cache-control", "max-age=60")];

async fn shop(upkeep: Upkeep) -> Shop {
    Shop::with(Policy::origin(), |cache| cache.upkeep(upkeep).chance(Random::seeded(1))).await
}

#[tokio::test]
async fn what_is_asked_for_in_its_last_stretch_is_refreshed_once_and_nobody_waits() {
    let shop = shop(Upkeep::new().refresh_ahead(0.8)).await;
    shop.origin.says(200, MINUTE, "old");
    shop.get("/a", &[]).await;
    shop.pass(47);
    assert_eq!(shop.get("/a", &[]).await.text(), "old");
    assert_eq!(shop.origin.calls(), 1, "it is not time yet");
    shop.pass(1);
    shop.origin.says(200, MINUTE, "new");
    shop.origin.hold();
    for reply in join_all((0..100).map(|_| shop.get("/a", &[]))).await {
        assert_eq!((reply.text(), reply.cache_status()), ("old", "forebay; hit; ttl=12; detail=l1"));
    }
    assert_eq!(shop.origin.calls(), 2);
    shop.origin.release();
    settle().await;
    let fresh = shop.get("/a", &[]).await;
    assert_eq!((fresh.text(), fresh.cache_status()), ("new", "forebay; hit; ttl=60; detail=l1"));
}

#[tokio::test]
async fn what_is_asked_for_often_never_expires_and_what_is_not_does() {
    let shop = shop(Upkeep::new().refresh_ahead(0.8)).await;
    shop.origin.says(200, MINUTE, "x");
    for path in ["/often", "/seldom"] {
        shop.get(path, &[]).await;
    }
    for _ in 0..20 {
        shop.pass(10);
        assert!(shop.get("/often", &[]).await.is_hit());
    }
    assert_eq!(shop.origin.calls(), 2 + 4, "one each fifty seconds");
    assert_eq!(
        shop.get("/seldom", &[]).await.cache_status(),
        "forebay; fwd=stale; stored; ttl=60; detail=cache-control"
    );
}

#[tokio::test]
async fn the_time_counts_from_when_the_answer_arrived() {
    let shop = shop(Upkeep::new().refresh_ahead(0.5)).await;
    shop.origin.says(200, &[("cache-control", "max-age=60"), ("age", "50")], "x");
    shop.get("/a", &[]).await;
    for (seconds, calls) in [(4, 1), (1, 2)] {
        shop.pass(seconds);
        assert!(shop.get("/a", &[]).await.is_hit());
        assert_eq!(shop.origin.calls(), calls);
    }
}

#[tokio::test]
async fn a_refresh_ahead_of_time_is_a_validation_where_there_is_a_validator() {
    let shop = shop(Upkeep::new().refresh_ahead(0.8)).await;
    shop.origin.has(&[("cache-control", "max-age=60"), ("etag", "\"1\"")], "x");
    shop.get("/a", &[]).await;
    shop.pass(50);
    shop.get("/a", &[]).await;
    assert!(shop.origin.last().has("if-none-match"));
    assert_eq!(shop.get("/a", &[]).await.cache_status(), "forebay; hit; ttl=60; detail=l1");
}

#[tokio::test]
async fn a_head_and_a_range_refresh_nothing_ahead_of_time() {
    let shop = shop(Upkeep::new().refresh_ahead(0.8)).await;
    shop.origin.has(MINUTE, "hello");
    shop.get("/a", &[]).await;
    shop.pass(55);
    assert!(shop.send(Method::HEAD, "/a", &[]).await.is_hit());
    assert_eq!(shop.get("/a", &[("range", "bytes=1-2")]).await.text(), "el");
    assert_eq!(shop.origin.calls(), 1);
}

#[tokio::test]
async fn a_route_says_otherwise_than_its_cache() {
    let shop = Shop::layered(
        Policy::origin(),
        |cache| cache.upkeep(Upkeep::new().refresh_ahead(0.5)),
        |cache| cache.rules().at("/own", |r| r.ttl("1m").refresh_ahead(0.9)).layer().unwrap(),
    )
    .await;
    shop.origin.says(200, MINUTE, "x");
    for path in ["/own", "/other"] {
        shop.get(path, &[]).await;
    }
    for (seconds, own, other) in [(40, 2, 3), (15, 4, 4)] {
        shop.pass(seconds);
        shop.get("/own", &[]).await;
        assert_eq!(shop.origin.calls(), own);
        shop.get("/other", &[]).await;
        assert_eq!(shop.origin.calls(), other);
    }
}

/// How many seconds before its end an answer that took this long is refreshed when it is asked for every second.
async fn lead(weight: f64, takes: u64) -> u64 {
    let shop = Shop::with(Policy::origin(), |cache| {
        cache.upkeep(Upkeep::new().refresh_early(weight)).chance(Random::seeded(takes))
    })
    .await;
    let clock = shop.clock.clone();
    shop.origin.does(move |_| {
        clock.advance(Duration::from_secs(takes));
        Deed::Answer(answer(200, &[("cache-control", "max-age=600")], "x"))
    });
    shop.get("/a", &[]).await;
    // The time that it took counts.
    for left in (1..600 - takes).rev() {
        shop.pass(1);
        shop.get("/a", &[]).await;
        if shop.origin.calls() > 1 {
            return left;
        }
    }
    0
}

#[tokio::test]
async fn what_is_dear_is_refreshed_earlier_than_what_is_cheap() {
    assert_eq!(lead(1.0, 0).await, 0, "what costs nothing is fetched when it is needed");
    let mut sums = [0; 3];
    for takes in 1..10 {
        for (sum, weight) in sums.iter_mut().zip([0.0, 1.0, 4.0]) {
            *sum += lead(weight, takes).await;
        }
    }
    let [never, once, fourfold] = sums;
    assert!(never == 0 && once > 45 && fourfold > 2 * once, "{sums:?}");
}

#[tokio::test]
async fn chance_shortens_each_time_by_its_own_and_lengthens_none() {
    let shop = shop(Upkeep::new().jitter(0.2)).await;
    shop.origin.says(200, MINUTE, "x");
    let mut times = std::collections::BTreeSet::new();
    for page in 0..50 {
        let path = format!("/{page}");
        let stored = shop.get(&path, &[]).await;
        let said = stored.cache_status().to_owned();
        let ttl: u64 =
            said.split("ttl=").nth(1).and_then(|rest| rest.split(';').next()).unwrap().parse().unwrap();
        assert!((48..=60).contains(&ttl), "{said}");
        times.insert(ttl);
        shop.pass(3);
        let hit = shop.get(&path, &[]).await;
        assert_eq!(hit.cache_status(), format!("forebay; hit; ttl={}; detail=l1", ttl - 3));
        assert_eq!(field(&hit.headers, "cache-control"), "max-age=60");
    }
    assert!(times.len() > 8, "{times:?}");
}

#[tokio::test]
async fn what_is_missing_has_a_time_of_its_own() {
    let shop = Shop::layered(
        Policy::origin(),
        |cache| cache.upkeep(Upkeep::new().negative_ttl("10s")),
        |cache| {
            cache
                .rules()
                .at("/{name}", |r| r.ttl("5m"))
                .at("/own/{name}", |r| r.ttl("5m").negative_ttl("20s"))
                .layer()
                .unwrap()
        },
    )
    .await;
    let check = async |path: &str, status, fields: Fields<'_>, expected: &str| {
        shop.origin.says(status, fields, "");
        assert_eq!(
            shop.get(path, &[]).await.cache_status(),
            format!("forebay; fwd=uri-miss; {expected}"),
            "{path}"
        );
    };
    check("/a", 404, &[], "stored; ttl=10; detail=route").await;
    check("/b", 410, &[], "stored; ttl=10; detail=route").await;
    check("/c", 404, MINUTE, "stored; ttl=60; detail=cache-control").await;
    check("/d", 404, &[("cache-control", "no-store")], "detail=no-store").await;
    check("/e", 200, &[], "stored; ttl=300; detail=route").await;
    check("/f", 403, &[], "detail=status").await;
    check("/own/g", 404, &[], "stored; ttl=20; detail=route").await;
    // Without a `ttl` there, nothing else is stored by it.
    check("/no/route/h", 404, &[], "stored; ttl=10; detail=route").await;
    check("/no/route/i", 200, &[], "detail=no-freshness").await;
    check("/no/route/j", 500, &[], "detail=no-freshness").await;
}
