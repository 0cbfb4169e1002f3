//! HEAD: answered from what is stored for GET, and what its own answer says about that (RFC 9111 4.3.5; S9).

use axum::http::Method;
use forebay::{Path, Policy};

use crate::shop::{Deed, Shop};
use crate::support::{Fields, field, settle};

const PAGE: Fields<'static> = &[("cache-control", "max-age=60"), ("etag", "\"1\""), ("x-a", "1")];

async fn stale(policy: Policy) -> Shop {
    let shop = Shop::with(policy, |cache| cache).await;
    shop.origin.has(PAGE, "hello");
    shop.get("/a", &[]).await;
    shop.pass(100);
    shop
}

async fn head(shop: &Shop, fields: Fields<'_>) -> crate::support::Reply {
    let reply = shop.send(Method::HEAD, "/a", fields).await;
    assert!(reply.body.is_empty());
    reply
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.5
//= type=test
//# For each of the stored responses that could have been chosen, if the stored response and HEAD
//# response have matching values for any received validator fields (ETag and Last-Modified) and, if the
//# HEAD response has a Content-Length header field, the value of Content-Length matches that of the
//# stored response, the cache SHOULD update the stored response as described below; otherwise, the
//# cache SHOULD consider the stored response to be stale.
#[tokio::test]
async fn a_head_with_the_same_validator_gives_the_stored_answer_a_new_life() {
    let shop = stale(Policy::origin()).await;
    shop.origin.has(&[("cache-control", "max-age=600"), ("etag", "\"1\""), ("x-a", "2")], "hello");
    let reply = head(&shop, &[]).await;
    assert_eq!((reply.status.as_u16(), field(&reply.headers, "content-length").as_str()), (200, "5"));
    assert_eq!(shop.origin.last().method, Method::HEAD);
    assert!(!shop.origin.last().has("if-none-match"), "a HEAD asks for a head");
    let hit = shop.get("/a", &[]).await;
    assert_eq!((hit.text(), hit.is_hit(), field(&hit.headers, "x-a").as_str()), ("hello", true, "2"));
    assert_eq!(hit.cache_status(), "forebay; hit; ttl=600; detail=l1");
    assert_eq!(field(&hit.headers, "content-length"), "5");
}

#[tokio::test]
async fn a_head_of_another_version_makes_the_stored_answer_be_validated() {
    let others: [(Fields<'_>, &str); 2] = [
        (&[("cache-control", "max-age=600"), ("etag", "\"2\"")], "hello"),
        (&[("cache-control", "max-age=600"), ("etag", "\"1\"")], "hello!"),
    ];
    for (fields, body) in others {
        let swr: Fields<'_> =
            &[("cache-control", "max-age=60, stale-while-revalidate=600"), ("etag", "\"1\"")];
        let shop = Shop::proxy().await;
        shop.origin.has(swr, "hello");
        shop.get("/a", &[]).await;
        shop.origin.has(fields, body);
        head(&shop, &[("cache-control", "no-cache")]).await;
        let next = shop.get("/a", &[]).await;
        assert!(!next.is_hit(), "{body}: {}", next.cache_status());
        assert_eq!(shop.origin.calls(), 3);
    }
}

#[tokio::test]
async fn a_head_that_fails_says_nothing() {
    for status in [304, 404, 500] {
        let shop = stale(Policy::proxy()).await;
        shop.origin.says(status, &[("etag", "\"9\"")], "");
        head(&shop, &[]).await;
        shop.origin.has(PAGE, "hello");
        let validated = shop.get("/a", &[]).await;
        assert!(
            validated.cache_status().contains("fwd-status=304"),
            "{status}: {}",
            validated.cache_status()
        );
    }
}

#[tokio::test]
async fn a_head_leaves_nothing_for_a_get() {
    for policy in [Policy::origin(), Policy::proxy()] {
        let shop = Shop::with(policy, |cache| cache).await;
        shop.origin.has(PAGE, "hello");
        for calls in 1..3 {
            let reply = head(&shop, &[]).await;
            assert!(!reply.cache_status().contains("stored"), "{}", reply.cache_status());
            assert_eq!(shop.origin.calls(), calls);
        }
        assert_eq!(shop.get("/a", &[]).await.text(), "hello");
    }
}

// F17
#[tokio::test]
async fn a_head_brings_back_nothing_that_is_invalidated_meanwhile() {
    let shop = stale(Policy::origin()).await;
    shop.origin.hold();
    let asking = {
        let shop = shop.clone();
        tokio::spawn(async move { head(&shop, &[]).await })
    };
    settle().await;
    shop.cache.invalidate(Path("/a")).await.unwrap();
    shop.origin.release();
    asking.await.unwrap();
    let calls = shop.origin.calls();
    assert!(!shop.get("/a", &[]).await.is_hit());
    assert_eq!(shop.origin.calls(), calls + 1);
    assert!(!shop.origin.last().has("if-none-match"), "there is nothing to be validated");
}

#[tokio::test]
async fn a_head_is_answered_stale_where_a_get_is() {
    let shop = Shop::origin_profile().await;
    shop.origin.has(&[("cache-control", "max-age=60, stale-if-error=600")], "hello");
    shop.get("/a", &[]).await;
    shop.pass(100);
    shop.origin.does(|_| Deed::Fail);
    let reply = head(&shop, &[]).await;
    assert_eq!((reply.status.as_u16(), field(&reply.headers, "content-length").as_str()), (200, "5"));
}

#[tokio::test]
async fn a_head_s_conditions_reach_the_origin_where_nothing_fresh_is_stored() {
    let shop = stale(Policy::origin()).await;
    let reply = head(&shop, &[("if-none-match", "\"1\"")]).await;
    assert_eq!(shop.origin.last().headers["if-none-match"], "\"1\"");
    assert_eq!(reply.status, 304);
}
