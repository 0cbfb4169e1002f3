//! What clients ask of the cache, in both profiles (RFC 9111 5.2.1).

use axum::http::Method;
use forebay::{ClientDirectives, Policy};
use futures_util::future::join_all;

use crate::shop::{Deed, Down, Shop};
use crate::support::{Fields, field, settle};

const PAGE: Fields<'static> = &[("cache-control", "max-age=60"), ("etag", "\"1\"")];

/// A shop with a page of this age.
async fn aged(policy: Policy, fields: Fields<'_>, seconds: u64) -> Shop {
    let shop = Shop::with(policy, |cache| cache).await;
    shop.origin.has(fields, "stored");
    shop.get("/a", &[]).await;
    shop.pass(seconds);
    shop
}

//= https://www.rfc-editor.org/rfc/rfc9211#section-2.2
//= type=test
//# request: The cache was able to select a fresh response for the request, but the request's semantics
//# (e.g., Cache-Control request directives) did not allow its use.
#[tokio::test]
async fn a_proxy_does_what_clients_ask_and_a_service_s_own_cache_does_not() {
    // What is asked, the age of what is stored, and whether a proxy answers with it.
    let cases = [
        ("no-cache", 10, false),
        ("max-age=5", 10, false),
        ("max-age=10", 10, true),
        ("max-age=0", 0, true),
        ("max-age=0", 1, false),
        ("min-fresh=50", 10, true),
        ("min-fresh=51", 10, false),
        ("max-stale", 10, true),
        ("only-if-cached", 10, true),
        ("max-stale", 1000, true),
        ("max-stale=40", 100, true),
        ("max-stale=39", 100, false),
        ("max-stale=40, no-cache", 100, false),
        ("max-stale=40, min-fresh=1", 100, false),
        ("max-age=99, max-stale=100", 100, false),
        ("max-age=100, max-stale=100", 100, true),
    ];
    for (asked, age, answers) in cases {
        let shop = aged(Policy::proxy(), PAGE, age).await;
        let reply = shop.get("/a", &[("cache-control", asked)]).await;
        assert_eq!((reply.text(), reply.is_hit()), ("stored", answers), "{asked}: {}", reply.cache_status());
        assert_eq!(shop.origin.calls(), if answers { 1 } else { 2 }, "{asked}");
        if !answers {
            let reason = if age < 60 { "fwd=request" } else { "fwd=stale" };
            assert!(reply.cache_status().contains(reason), "{asked}: {}", reply.cache_status());
            assert_eq!(shop.origin.last().headers["cache-control"], asked, "it goes on to the origin");
        }

        let deaf = aged(Policy::origin(), PAGE, age).await;
        let reply = deaf.get("/a", &[("cache-control", asked)]).await;
        assert_eq!(reply.is_hit(), age < 60, "{asked}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2
//= type=test
//# A proxy, whether or not it implements a cache, MUST pass cache directives through in forwarded
//# messages, regardless of their significance to that application, since the directives might apply to
//# all recipients along the request/response chain.
#[tokio::test]
async fn directives_are_passed_on_in_both_directions() {
    let says = "max-age=60, private=\"x\", community=\"UCI\", no-store";
    let shop = Shop::proxy().await;
    shop.origin.says(200, &[("cache-control", says)], "x");
    let asked = "no-cache, max-stale=1, unknown=\"y\"";
    let reply = shop.get("/a", &[("cache-control", asked)]).await;
    assert_eq!(field(&reply.headers, "cache-control"), says);
    assert_eq!(shop.origin.last().headers["cache-control"], asked);
    let stored = aged(Policy::proxy(), &[("cache-control", "max-age=60, unknown=\"y\"")], 1).await;
    assert_eq!(field(&stored.get("/a", &[]).await.headers, "cache-control"), "max-age=60, unknown=\"y\"");
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.7
//= type=test
//# Caches that honor this request directive SHOULD, upon receiving it, respond with either a stored
//# response consistent with the other constraints of the request or a 504 (Gateway Timeout) status code.
#[tokio::test]
async fn who_wants_what_is_stored_or_nothing_gets_a_504_and_the_origin_no_call() {
    let shop = Shop::proxy().await;
    shop.origin.has(PAGE, "stored");
    let only: Fields<'_> = &[("cache-control", "only-if-cached")];
    for method in [Method::GET, Method::HEAD] {
        let reply = shop.send(method, "/a", only).await;
        assert_eq!((reply.status.as_u16(), reply.body.len()), (504, 0));
    }
    assert_eq!(shop.origin.calls(), 0);
    shop.get("/a", &[]).await;
    assert_eq!(shop.get("/a", only).await.text(), "stored");
    shop.pass(100);
    assert_eq!(shop.get("/a", only).await.status, 504);
    assert_eq!(shop.get("/a", &[("cache-control", "only-if-cached, max-stale")]).await.text(), "stored");
    assert_eq!(shop.origin.calls(), 1);
    let deaf = Shop::origin_profile().await;
    deaf.origin.has(PAGE, "stored");
    assert_eq!(deaf.get("/a", only).await.text(), "stored", "not heard");
}

// Neither leads others into a 504, nor is led into asking the origin.
#[tokio::test]
async fn who_wants_what_is_stored_or_nothing_shares_a_flight_without_harm() {
    let shop = Shop::proxy().await;
    shop.origin.has(PAGE, "stored");
    let asking = (0..40).map(|number| {
        let fields: Fields<'static> =
            if number % 2 == 0 { &[("cache-control", "only-if-cached")] } else { &[] };
        let shop = shop.clone();
        tokio::spawn(async move { (fields.is_empty(), shop.get("/a", fields).await) })
    });
    for reply in join_all(asking.collect::<Vec<_>>()).await {
        let (plain, reply) = reply.unwrap();
        assert!(reply.text() == "stored" || (!plain && reply.status == 504), "{}", reply.cache_status());
    }
}

#[tokio::test]
async fn a_client_that_wants_it_validated_never_gets_what_another_was_content_with() {
    let shop = aged(Policy::proxy(), PAGE, 10).await;
    shop.origin.has(&[("cache-control", "max-age=60"), ("etag", "\"2\"")], "new");
    shop.origin.hold();
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let shop = shop.clone();
            tokio::spawn(async move { shop.get("/a", &[("cache-control", "no-cache")]).await })
        })
        .collect();
    settle().await;
    assert_eq!(shop.get("/a", &[]).await.text(), "stored");
    shop.origin.release();
    for reply in join_all(asking).await {
        assert_eq!(reply.unwrap().text(), "new");
    }
    assert_eq!(shop.get("/a", &[]).await.text(), "new");
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.5
//= type=test
//# The no-store request directive indicates that a cache MUST NOT store any part of either this request
//# or any response to it.
#[tokio::test]
async fn what_is_not_to_be_stored_is_not_stored_by_a_validation_either() {
    for policy in [Policy::origin(), Policy::proxy()] {
        let shop = Shop::with(policy.clone(), |cache| cache).await;
        shop.origin.has(PAGE, "x");
        shop.get("/a", &[("cache-control", "no-store")]).await;
        assert!(!shop.get("/a", &[]).await.is_hit());
        let shop = aged(policy, PAGE, 100).await;
        shop.origin.has(&[("cache-control", "max-age=60"), ("etag", "\"1\""), ("x-secret", "1")], "stored");
        let reply = shop.get("/a", &[("cache-control", "no-store")]).await;
        assert_eq!(reply.text(), "stored");
        assert!(!reply.cache_status().contains("; stored"), "{}", reply.cache_status());
        shop.origin.has(PAGE, "stored");
        let next = shop.get("/a", &[]).await;
        assert!(!next.is_hit() && !next.headers.contains_key("x-secret"));
    }
}

#[tokio::test]
async fn max_stale_does_not_lift_what_the_response_forbids() {
    for forbidding in ["must-revalidate", "proxy-revalidate", "s-maxage=60", "no-cache"] {
        let says = format!("max-age=60, {forbidding}");
        let shop = aged(Policy::proxy(), &[("cache-control", &says), ("etag", "\"1\"")], 100).await;
        shop.origin.does(|_| Deed::Fail);
        let reply = shop.ask(Method::GET, "/a", &[("cache-control", "max-stale")]).await;
        assert_eq!(reply.err(), Some(Down), "{forbidding}");
    }
}

#[tokio::test]
async fn a_policy_may_hear_clients_in_a_service_s_own_cache() {
    let mut policy = Policy::origin();
    policy.client_directives = ClientDirectives::Honour;
    let shop = aged(policy, PAGE, 10).await;
    assert!(!shop.get("/a", &[("cache-control", "no-cache")]).await.is_hit());
}
