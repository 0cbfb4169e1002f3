//! Stale answers while they are refreshed (RFC 5861 3; F17).

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Response};
use forebay::{Cached, Path, Policy, Tag};
use futures_util::StreamExt;
use futures_util::future::join_all;

use crate::shop::{Deed, Down, Shop, answer};
use crate::support::{Count, Fields, field, settle};

const SWR: Fields<'static> = &[("cache-control", "max-age=60, stale-while-revalidate=30")];

//= https://www.rfc-editor.org/rfc/rfc5861#section-3
//= type=test
//# If a cached response is served stale due to the presence of this extension, the cache SHOULD attempt
//# to revalidate it while still serving stale responses (i.e., without blocking).
#[tokio::test]
async fn a_thousand_stale_answers_are_given_at_once_and_cost_one_call() {
    let shop = Shop::origin_profile().await;
    shop.origin.says(200, SWR, "old");
    shop.get("/a", &[]).await;
    shop.pass(70);
    shop.origin.says(200, SWR, "new");
    shop.origin.hold();
    let replies = join_all((0..1000).map(|_| shop.get("/a", &[]))).await;
    for reply in &replies {
        assert_eq!(reply.text(), "old");
        assert_eq!(reply.cache_status(), "forebay; hit; ttl=-10; detail=stale");
        assert_eq!(field(&reply.headers, "age"), "70");
    }
    assert_eq!(shop.origin.calls(), 2);
    shop.origin.release();
    settle().await;
    let fresh = shop.get("/a", &[]).await;
    assert_eq!((fresh.text(), fresh.cache_status()), ("new", "forebay; hit; ttl=60; detail=l1"));
    assert_eq!(shop.origin.calls(), 2);
}

//= https://www.rfc-editor.org/rfc/rfc5861#section-3
//= type=test
//# If delta-seconds passes without the cached entity being revalidated, it SHOULD NOT continue to be
//# served stale, absent other information.
#[tokio::test]
async fn behind_the_window_the_origin_is_asked_first() {
    let shop = Shop::origin_profile().await;
    shop.origin.says(200, SWR, "old");
    shop.get("/a", &[]).await;
    shop.pass(91);
    shop.origin.says(200, SWR, "new");
    let reply = shop.get("/a", &[]).await;
    assert_eq!(reply.text(), "new");
    assert!(!reply.is_hit());
}

#[tokio::test]
async fn a_refresh_that_fails_or_panics_leaves_the_stale_answer_and_is_tried_again_after_a_second() {
    for deed in [|| Deed::Fail, || Deed::Panic, || Deed::Answer(answer(500, &[], "broken"))] {
        let shop = Shop::origin_profile().await;
        shop.origin.says(200, SWR, "old");
        shop.get("/a", &[]).await;
        shop.pass(70);
        shop.origin.does(move |_| deed());
        for calls in 2..5 {
            let reply = shop.get("/a", &[]).await;
            assert_eq!((reply.status.as_u16(), reply.text()), (200, "old"));
            assert_eq!(shop.origin.calls(), calls);
            shop.get("/a", &[]).await;
            assert_eq!(shop.origin.calls(), calls, "not yet");
            shop.pass(1);
        }
        shop.origin.says(200, SWR, "new");
        shop.get("/a", &[]).await;
        assert_eq!(shop.get("/a", &[]).await.text(), "new");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_hangs_is_given_up_and_tried_again() {
    let shop = Shop::origin_profile().await;
    shop.origin.says(200, SWR, "old");
    shop.get("/a", &[]).await;
    shop.pass(70);
    shop.origin.does(|_| Deed::Hang);
    for _ in 0..3 {
        assert_eq!(shop.get("/a", &[]).await.text(), "old");
    }
    assert_eq!(shop.origin.calls(), 2);
    tokio::time::advance(Duration::from_secs(61)).await;
    settle().await;
    shop.pass(1);
    shop.origin.says(200, SWR, "new");
    assert_eq!(shop.get("/a", &[]).await.text(), "old");
    assert_eq!(shop.get("/a", &[]).await.text(), "new");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_whose_body_hangs_is_given_up() {
    let shop = Shop::origin_profile().await;
    shop.origin.says(200, SWR, "old");
    shop.get("/a", &[]).await;
    shop.pass(70);
    shop.origin.does(|_| {
        let mut response =
            Response::new(Body::from_stream(futures_util::stream::pending::<Result<&[u8], Down>>()));
        response.headers_mut().insert("cache-control", "max-age=60".parse().unwrap());
        Deed::Answer(response)
    });
    assert_eq!(shop.get("/a", &[]).await.text(), "old");
    tokio::time::advance(Duration::from_secs(61)).await;
    settle().await;
    shop.pass(1);
    shop.origin.says(200, SWR, "new");
    shop.get("/a", &[]).await;
    assert_eq!(shop.get("/a", &[]).await.text(), "new");
}

#[tokio::test]
async fn a_head_or_a_range_gets_the_stale_answer_and_refreshes_nothing() {
    let shop = Shop::origin_profile().await;
    shop.origin.has(SWR, "hello");
    shop.get("/a", &[]).await;
    shop.pass(70);
    let head = shop.send(Method::HEAD, "/a", &[]).await;
    assert!(head.is_hit() && head.body.is_empty());
    let part = shop.get("/a", &[("range", "bytes=1-2")]).await;
    assert_eq!((part.status.as_u16(), part.text()), (206, "el"));
    assert_eq!(shop.get("/a", &[("cache-control", "no-store")]).await.text(), "hello");
    assert_eq!(shop.origin.calls(), 1);
}

#[tokio::test]
async fn what_forbids_stale_answers_outranks_the_window() {
    for forbidding in ["must-revalidate", "proxy-revalidate", "s-maxage=60", "no-cache"] {
        let shop = Shop::proxy().await;
        let says = format!("max-age=60, {forbidding}, stale-while-revalidate=600, stale-if-error=600");
        shop.origin.says(200, &[("cache-control", &says), ("etag", "\"1\"")], "old");
        shop.get("/a", &[]).await;
        shop.pass(70);
        shop.origin.does(|_| Deed::Fail);
        assert_eq!(shop.ask(Method::GET, "/a", &[]).await.err(), Some(Down), "{forbidding}");
        shop.origin.says(503, &[], "sorry");
        assert_eq!(shop.get("/a", &[]).await.text(), "sorry", "{forbidding}");
    }
}

#[tokio::test]
async fn a_handler_or_a_rule_gives_the_windows_as_a_field_does() {
    let handler = Shop::origin_profile().await;
    handler.origin.does(|_| {
        let mut response = answer(200, &[], "x");
        response.extensions_mut().insert(Cached::ttl("1m").swr("30s").stale_if_error("10m"));
        Deed::Answer(response)
    });
    let ruled = Shop::layered(
        Policy::origin(),
        |cache| cache,
        |cache| {
            let rules = cache.rules().at("/{name}", |r| r.ttl("1m").swr("30s").stale_if_error("10m"));
            rules.layer().unwrap()
        },
    )
    .await;
    ruled.origin.says(200, &[], "x");
    for shop in [handler, ruled] {
        shop.get("/a", &[]).await;
        shop.pass(80);
        shop.origin.does(|_| Deed::Fail);
        let stale = shop.get("/a", &[]).await;
        assert_eq!(stale.cache_status(), "forebay; hit; ttl=-20; detail=stale");
        shop.pass(20);
        let fallen = shop.get("/a", &[]).await;
        assert_eq!(fallen.cache_status(), "forebay; fwd=stale; ttl=-40; detail=stale-if-error");
        shop.pass(600);
        assert_eq!(shop.ask(Method::GET, "/a", &[]).await.err(), Some(Down));
    }
}

#[tokio::test]
async fn an_annotated_route_gives_its_windows_also_under_an_outer_layer() {
    use axum::Router;
    use axum::routing::get as on_get;
    use forebay_testkit::clock::ManualClock;
    for outer in [false, true] {
        let clock = ManualClock::default();
        let cache =
            forebay::Cache::builder("test").clock(forebay::Clock::new(clock.clone())).build().await.unwrap();
        let count = Count::default();
        let counting = count.clone();
        let page = on_get(move || std::future::ready(counting.up().to_string()));
        let mut app =
            Router::new().route("/a/{id}", page.layer(cache.route().ttl("1m").swr("30s").tags(["a:{id}"])));
        if outer {
            app = app.layer(cache.layer());
        }
        crate::support::get(&app, "/a/1", &[]).await;
        let kept = crate::support::get(&app, "/a/1", &[]).await;
        clock.advance(Duration::from_secs(70));
        let stale = crate::support::get(&app, "/a/1", &[]).await;
        assert_eq!((stale.text(), stale.is_hit()), (kept.text(), true), "outer: {outer}");
        let calls = count.get();
        let fresh = crate::support::get(&app, "/a/1", &[]).await;
        assert_eq!((fresh.text(), fresh.is_hit(), count.get()), (&*calls.to_string(), true, calls));
        cache.invalidate(Tag("a:1")).await.unwrap();
        assert!(!crate::support::get(&app, "/a/1", &[]).await.is_hit(), "a refreshed answer keeps its tags");
    }
}

// F17
#[tokio::test]
async fn what_is_invalidated_while_it_is_refreshed_does_not_come_back() {
    let shop = Shop::origin_profile().await;
    shop.origin.says(200, SWR, "old");
    shop.get("/a", &[]).await;
    shop.pass(70);
    shop.origin.says(200, SWR, "read before the write");
    shop.origin.hold();
    assert_eq!(shop.get("/a", &[]).await.text(), "old");
    shop.cache.invalidate(Path("/a")).await.unwrap();
    shop.origin.release();
    settle().await;
    shop.origin.says(200, SWR, "new");
    assert_eq!(shop.get("/a", &[]).await.text(), "new");
    assert_eq!(shop.get("/a", &[]).await.text(), "new");
}

// A refresh is sent with the request of whoever came by: what comes of it must not be that client's own.
#[tokio::test]
async fn a_refresh_that_brings_something_private_is_not_kept() {
    for private in [
        &[("cache-control", "private, max-age=60")] as Fields<'_>,
        &[("cache-control", "no-store")],
        &[("cache-control", "max-age=60"), ("set-cookie", "s=1")],
        &[("cache-control", "max-age=60"), ("vary", "*")],
    ] {
        let shop = Shop::origin_profile().await;
        shop.origin.says(200, SWR, "public");
        shop.get("/a", &[]).await;
        shop.pass(70);
        shop.origin.says(200, private, "ann's");
        for _ in 0..3 {
            assert_eq!(shop.get("/a", &[("cookie", "user=ann")]).await.text(), "public");
        }
        assert_eq!(shop.get("/a", &[("cookie", "user=ben")]).await.text(), "public");
    }
}

#[tokio::test]
async fn a_refresh_with_credentials_keeps_only_what_may_be_shared() {
    let shop = Shop::origin_profile().await;
    let public: Fields<'_> = &[("cache-control", "public, max-age=60, stale-while-revalidate=600")];
    shop.origin.says(200, public, "public");
    shop.get("/a", &[]).await;
    shop.pass(70);
    shop.origin.says(200, SWR, "ann's");
    assert_eq!(shop.get("/a", &[("authorization", "ann")]).await.text(), "public");
    assert_eq!(shop.get("/a", &[]).await.text(), "public", "the refresh was ann's and has left nothing");
    shop.pass(1000);
    assert_eq!(shop.get("/a", &[("authorization", "ben")]).await.text(), "ann's");
    assert_eq!(shop.origin.last().headers["authorization"], "ben");
}

#[tokio::test]
async fn each_principal_s_stale_answer_and_its_refresh_are_its_own() {
    let shop = Shop::layered(
        Policy::origin(),
        |cache| cache,
        |cache| {
            let user = |parts: &axum::http::request::Parts| {
                parts.headers.get("authorization").map(|user| user.as_bytes().to_vec())
            };
            let rules =
                cache.rules().at("/me", |r| r.ttl("1m").swr("30s").stale_if_error("10m").vary_by(user));
            rules.layer().unwrap()
        },
    )
    .await;
    let mine = || {
        move |seen: &crate::shop::Seen| Deed::Answer(answer(200, &[], &field(&seen.headers, "authorization")))
    };
    shop.origin.does(mine());
    for seconds in [0, 70, 20, 5] {
        shop.pass(seconds);
        for user in ["ann", "ben"] {
            assert_eq!(shop.get("/me", &[("authorization", user)]).await.text(), user);
        }
        let nobody = shop.get("/me", &[]).await;
        assert_eq!(nobody.text(), "-");
    }
    shop.pass(100);
    shop.origin.does(|_| Deed::Fail);
    for user in ["ann", "ben"] {
        assert_eq!(shop.get("/me", &[("authorization", user)]).await.text(), user);
    }
    assert_eq!(shop.ask(Method::GET, "/me", &[]).await.err(), Some(Down));
    assert_eq!(shop.ask(Method::GET, "/me", &[("authorization", "eve")]).await.err(), Some(Down));
}

// The refresh sends what the client sent, and its conditions would leave nothing to store.
#[tokio::test]
async fn a_client_s_conditions_do_not_keep_a_refresh_from_storing() {
    for credentials in [&[] as Fields<'_>, &[("authorization", "ann")]] {
        let shop = Shop::origin_profile().await;
        let fields: Fields<'_> = &[("cache-control", "public, max-age=60, stale-while-revalidate=30")];
        shop.origin.says(200, fields, "old");
        shop.get("/a", &[]).await;
        shop.pass(70);
        shop.origin.does(|seen| {
            let known = seen.has("if-none-match") || seen.has("if-modified-since");
            let fields: Fields<'_> = &[("cache-control", "public, max-age=60"), ("etag", "\"2\"")];
            Deed::Answer(if known { answer(304, fields, "") } else { answer(200, fields, "new") })
        });
        let fields = [credentials, &[("if-none-match", "\"2\"")]].concat();
        assert_eq!(shop.get("/a", &fields).await.text(), "old");
        assert_eq!(shop.get("/a", &[]).await.text(), "new");
    }
}

#[tokio::test]
async fn a_refresh_with_a_large_body_that_nobody_reads_keeps_none_of_it() {
    let shop =
        Shop::with(Policy::origin(), |cache| cache.l1(forebay::L1::bytes(1 << 20).max_entry(64 << 10))).await;
    shop.origin.says(200, SWR, "old");
    shop.get("/a", &[]).await;
    shop.pass(70);
    let sent = Arc::new(Count::default());
    let counting = Arc::clone(&sent);
    shop.origin.does(move |_| {
        let counting = Arc::clone(&counting);
        let chunks = futures_util::stream::iter(0..10_000).map(move |_| {
            counting.up();
            Ok::<_, Down>(vec![b'x'; 4096])
        });
        let mut response = Response::new(Body::from_stream(chunks));
        response.headers_mut().insert("cache-control", "max-age=60".parse().unwrap());
        Deed::Answer(response)
    });
    assert_eq!(shop.get("/a", &[]).await.text(), "old");
    settle().await;
    assert!(sent.get() < 10_000, "{} chunks were taken for nobody", sent.get());
    assert_eq!(shop.get("/a", &[]).await.text(), "old");
}
