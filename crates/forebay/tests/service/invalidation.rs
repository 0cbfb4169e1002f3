//! What unsafe requests, tags and groups invalidate (RFC 9111 4.4, RFC 9875).

use axum::http::Method;
use forebay::{Path, Pattern, Policy, Soft, Tag};

use crate::shop::{Deed, Shop, answer};
use crate::support::{Fields, settle};

const FRESH: Fields<'static> = &[("cache-control", "max-age=600")];

/// A shop with these pages stored.
async fn stored(pages: &[&str]) -> Shop {
    let shop = Shop::proxy().await;
    shop.origin.says(200, FRESH, "page");
    for page in pages {
        shop.get(page, &[]).await;
        assert!(shop.get(page, &[]).await.is_hit(), "{page}");
    }
    shop
}

/// Does something unsafe to `/a`, which is answered like this.
async fn change(shop: &Shop, method: Method, status: u16, fields: Fields<'_>) {
    shop.origin.says(status, fields, "");
    shop.send(method, "/a", &[]).await;
    shop.origin.says(200, FRESH, "page");
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.4
//= type=test
//# A cache MUST invalidate the target URI (Section 7.1 of [HTTP]) when it receives a non-error status
//# code in response to an unsafe request method (including methods whose safety is unknown).
#[tokio::test]
async fn what_may_have_changed_is_invalidated_and_what_failed_is_not() {
    let methods = ["POST", "PUT", "DELETE", "PATCH", "MKCOL", "X-UNKNOWN"];
    for method in methods {
        for (status, kept) in
            [(200, false), (201, false), (204, false), (303, false), (400, true), (404, true), (500, true)]
        {
            let shop = stored(&["/a", "/b"]).await;
            change(&shop, method.parse().unwrap(), status, &[]).await;
            assert_eq!(shop.get("/a", &[]).await.is_hit(), kept, "{method} {status}");
            assert!(shop.get("/b", &[]).await.is_hit());
        }
    }
    for method in ["OPTIONS", "TRACE"] {
        let shop = stored(&["/a"]).await;
        change(&shop, method.parse().unwrap(), 200, &[]).await;
        assert!(shop.get("/a", &[]).await.is_hit(), "{method} is safe");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.4
//= type=test
//# However, a cache MUST NOT trigger an invalidation under these conditions if the origin (Section
//# 4.3.1 of [HTTP]) of the URI to be invalidated differs from that of the target URI (Section 7.1 of
//# [HTTP]).
#[tokio::test]
async fn what_the_answer_names_is_invalidated_where_it_is_of_the_same_origin() {
    let cases = [
        ("/b", false),
        ("b", false),
        ("./b?x=1", false),
        ("//shop/b", false),
        ("http://shop/b", false),
        ("http://SHOP/b", false),
        ("http://other/b", true),
        ("//other/b", true),
        ("http://shop:81/b", true),
        ("http://shop@other/b", true),
        ("rubbish://", true),
    ];
    for field in ["location", "content-location"] {
        for (named, kept) in cases {
            let shop = stored(&["/a", "/b", "/c"]).await;
            change(&shop, Method::POST, 201, &[(field, named)]).await;
            assert_eq!(shop.get("/b", &[]).await.is_hit(), kept, "{field}: {named}");
            assert!(!shop.get("/a", &[]).await.is_hit());
            assert!(shop.get("/c", &[]).await.is_hit());
        }
        let shop = stored(&["/b"]).await;
        change(&shop, Method::POST, 500, &[(field, "/b")]).await;
        assert!(shop.get("/b", &[]).await.is_hit(), "an error has changed nothing");
    }
}

#[tokio::test]
async fn a_get_invalidates_nothing_that_its_answer_names() {
    let shop = stored(&["/b"]).await;
    let fields = [("location", "/b"), ("content-location", "/b"), ("cache-group-invalidation", "\"g\"")];
    shop.origin.says(200, &fields, "");
    shop.get("/a", &[]).await;
    assert!(shop.get("/b", &[]).await.is_hit());
}

// Before the client hears of its success nobody is told the old any more.
#[tokio::test]
async fn it_is_invalidated_before_the_client_hears_of_it() {
    let shop = stored(&["/a"]).await;
    shop.origin.does(|seen| Deed::Answer(answer(200, FRESH, seen.method.as_str())));
    let mut changing = Box::pin(shop.send(Method::PUT, "/a", &[]));
    while futures_util::poll!(&mut changing).is_pending() {
        settle().await;
    }
    assert_eq!(shop.get("/a", &[]).await.text(), "GET");
}

// A GET that read the page before the change must not put it back after that.
#[tokio::test]
async fn what_was_read_before_a_change_is_not_stored_after_it() {
    for stale in [false, true] {
        let shop = stored(if stale { &["/a"] } else { &[] }).await;
        shop.pass(1000);
        shop.origin.says(200, FRESH, "read before");
        shop.origin.hold();
        let reading = {
            let shop = shop.clone();
            tokio::spawn(async move { shop.get("/a", &[]).await })
        };
        settle().await;
        let changing = {
            let shop = shop.clone();
            tokio::spawn(async move { shop.send(Method::PUT, "/a", &[]).await })
        };
        settle().await;
        shop.origin.release();
        changing.await.unwrap();
        reading.await.unwrap();
        shop.origin.says(200, FRESH, "after");
        let reply = shop.get("/a", &[]).await;
        assert_eq!(reply.text(), "after", "{}", reply.cache_status());
    }
}

//= https://www.rfc-editor.org/rfc/rfc9875#section-3
//= type=test
//# A cache that receives a Cache-Group-Invalidation header field on a response to an unsafe request MAY
//# invalidate any stored responses that share groups (per Section 2.1) with any of the listed groups.
//
//= https://www.rfc-editor.org/rfc/rfc9875#section-2.1
//= type=test
//# They both share the same URI origin (per Section 4.3.1 of [HTTP]).
#[tokio::test]
async fn groups_are_invalidated_within_their_origin() {
    let shop = Shop::proxy().await;
    shop.origin.says(200, &[("cache-control", "max-age=600"), ("cache-groups", "\"scripts\", \"eu\"")], "x");
    let elsewhere: Fields<'_> = &[("host", "other")];
    shop.get("/1", &[]).await;
    shop.get("/2", elsewhere).await;
    shop.origin.says(200, &[("cache-control", "max-age=600"), ("cache-groups", "\"styles\"")], "x");
    shop.get("/3", &[]).await;
    for (status, invalidated) in [(500, false), (200, true)] {
        shop.origin.says(status, &[("cache-group-invalidation", "\"none\", \"scripts\"")], "");
        shop.send(Method::POST, "/a", &[]).await;
        shop.origin.says(200, FRESH, "new");
        assert_eq!(shop.get("/1", &[]).await.is_hit(), !invalidated, "{status}");
    }
    assert!(shop.get("/2", elsewhere).await.is_hit(), "another origin's group of that name");
    assert!(shop.get("/3", &[]).await.is_hit(), "another group");
}

//= https://www.rfc-editor.org/rfc/rfc9875#section-2.2.1
//= type=test
//# Note that further grouped invalidations are not triggered by a grouped invalidation; i.e., this
//# mechanism does not cascade.
#[tokio::test]
async fn a_group_s_invalidation_does_not_go_on_to_other_groups() {
    let shop = Shop::proxy().await;
    for (page, groups) in [("/1", "\"a\", \"b\""), ("/2", "\"b\"")] {
        shop.origin.says(200, &[("cache-control", "max-age=600"), ("cache-groups", groups)], "x");
        shop.get(page, &[]).await;
    }
    change(&shop, Method::POST, 200, &[("cache-group-invalidation", "\"a\"")]).await;
    assert!(!shop.get("/1", &[]).await.is_hit());
    assert!(shop.get("/2", &[]).await.is_hit());
}

#[tokio::test]
async fn what_an_answer_s_fields_name_invalidates_it() {
    for (field, value) in [("surrogate-key", "a b"), ("cache-tag", "a, b"), ("cache-groups", "\"a\", \"b\"")]
    {
        for (tag, invalidated) in [("a", true), ("b", true), ("c", false), ("a b", false)] {
            let shop = Shop::proxy().await;
            shop.origin.says(200, &[("cache-control", "max-age=600"), (field, value)], "x");
            shop.get("/1", &[]).await;
            assert!(shop.get("/1", &[]).await.is_hit());
            shop.cache.invalidate(Tag(tag)).await.unwrap();
            assert_eq!(!shop.get("/1", &[]).await.is_hit(), invalidated, "{field}: {tag}");
        }
    }
}

// What could not be invalidated by all its names is not stored.
#[tokio::test]
async fn an_answer_with_more_names_than_can_be_carried_is_not_stored() {
    let names = |count: usize| (0..count).map(|n| format!("t{n}")).collect::<Vec<_>>().join(" ");
    for (value, kept) in [(names(30), true), (names(200), false)] {
        let shop = Shop::with(Policy::proxy(), |cache| cache).await;
        shop.origin.says(200, &[("cache-control", "max-age=600"), ("surrogate-key", &value)], "x");
        shop.get("/1", &[]).await;
        assert_eq!(shop.get("/1", &[]).await.is_hit(), kept);
    }
}

#[tokio::test]
async fn what_is_softly_invalidated_is_stale_and_treated_as_its_answer_allows() {
    const SWR: Fields<'static> =
        &[("cache-control", "max-age=600, stale-while-revalidate=60"), ("etag", "\"1\"")];
    let shop = Shop::origin_profile().await;
    shop.origin.says(200, SWR, "old");
    shop.get("/a", &[]).await;
    shop.pass(5);
    shop.cache.invalidate(Soft(Path("/a"))).await.unwrap();
    shop.pass(10);
    let stale = shop.get("/a", &[]).await;
    assert_eq!((stale.text(), stale.cache_status()), ("old", "forebay; hit; ttl=-10; detail=stale"));
    settle().await;
    assert_eq!(shop.get("/a", &[]).await.cache_status(), "forebay; hit; ttl=600; detail=l1");

    shop.cache.invalidate(Soft(Path("/a"))).await.unwrap();
    shop.pass(61);
    shop.origin.says(200, SWR, "new");
    let fetched = shop.get("/a", &[]).await;
    assert_eq!(fetched.text(), "new", "it has been stale for longer than it may be served");
}

#[tokio::test]
async fn what_is_softly_invalidated_is_validated_and_fallen_back_on() {
    const KEPT: Fields<'static> = &[("cache-control", "max-age=600, stale-if-error=60"), ("etag", "\"1\"")];
    let shop = Shop::proxy().await;
    shop.origin.says(200, KEPT, "old");
    shop.get("/a", &[]).await;
    shop.cache.invalidate(Soft(Path("/a"))).await.unwrap();
    shop.origin.says(503, &[], "down");
    assert_eq!(shop.get("/a", &[]).await.text(), "old", "better than an error");
    shop.pass(1);
    shop.origin.says(304, KEPT, "");
    assert_eq!(shop.get("/a", &[]).await.text(), "old");
    let calls = shop.origin.calls();
    assert_eq!(shop.get("/a", &[]).await.cache_status(), "forebay; hit; ttl=600; detail=l1", "confirmed");
    assert_eq!(shop.origin.calls(), calls);
    shop.cache.invalidate((Soft(Path("/a")), Path("/a"))).await.unwrap();
    shop.origin.says(503, &[], "down");
    assert_eq!(shop.get("/a", &[]).await.text(), "down", "hard beats soft");
}

#[tokio::test]
async fn a_pattern_covers_paths_with_any_query_and_any_variant() {
    let shop = stored(&["/a/1/c", "/a/2/c?x=1", "/a/1", "/a/1/d", "/b/1/c"]).await;
    shop.cache.invalidate(Pattern("/a/*/c")).await.unwrap();
    for (page, kept) in
        [("/a/1/c", false), ("/a/2/c?x=1", false), ("/a/1", true), ("/a/1/d", true), ("/b/1/c", true)]
    {
        assert_eq!(shop.get(page, &[]).await.is_hit(), kept, "{page}");
    }
    shop.cache.invalidate(Pattern("/a/**")).await.unwrap();
    for (page, kept) in [("/a/1/c", false), ("/a/1", false), ("/b/1/c", true)] {
        assert_eq!(shop.get(page, &[]).await.is_hit(), kept, "{page}");
    }
    let error = shop.cache.invalidate(Pattern("/a*")).await.unwrap_err().to_string();
    assert!(error.contains("`*` stands for a whole one"), "{error}");
}
