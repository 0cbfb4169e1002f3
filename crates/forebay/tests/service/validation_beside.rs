//! Validation where others wait, invalidate, hold variants or have credentials of their own (RFC 9111 4.3; F17).

use std::sync::Arc;

use forebay::{Cached, Path, Policy, Tag};
use futures_util::future::join_all;

use crate::shop::{Deed, Shop, answer};
use crate::support::{Fields, field, settle};

const TAG: Fields<'static> = &[("cache-control", "max-age=60"), ("etag", "\"1\"")];

/// A shop with a page that has become stale.
async fn stale(policy: Policy, fields: Fields<'_>) -> Shop {
    let shop = Shop::with(policy, |cache| cache).await;
    shop.origin.has(fields, "old");
    shop.get("/a", &[]).await;
    shop.pass(100);
    shop
}

#[tokio::test]
async fn the_followers_of_a_validation_get_what_came_of_it() {
    for (tag, expected) in [("\"1\"", "old"), ("\"2\"", "new")] {
        let shop = stale(Policy::origin(), TAG).await;
        shop.origin.has(&[("cache-control", "max-age=60"), ("etag", tag)], expected);
        shop.origin.hold();
        let asking: Vec<_> = (0..50)
            .map(|number| {
                let shop = shop.clone();
                let known: Fields<'static> =
                    if number % 2 == 0 { &[] } else { &[("if-none-match", "\"2\"")] };
                tokio::spawn(async move { (known.is_empty(), shop.get("/a", known).await) })
            })
            .collect();
        settle().await;
        shop.origin.release();
        for reply in join_all(asking).await {
            let (unconditional, reply) = reply.unwrap();
            if unconditional || tag != "\"2\"" {
                assert_eq!((reply.status.as_u16(), reply.text()), (200, expected));
            } else {
                assert_eq!(reply.status, 304);
            }
        }
        assert_eq!(shop.origin.calls(), 2);
    }
}

// A validation that may not be shared ends without followers who wait for one another.
#[tokio::test]
async fn the_followers_of_a_validation_that_is_not_stored_ask_for_themselves_at_once() {
    let shop = stale(Policy::origin(), TAG).await;
    shop.origin.has(&[("cache-control", "private"), ("etag", "\"1\"")], "old");
    shop.origin.hold();
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let shop = shop.clone();
            tokio::spawn(async move { shop.get("/a", &[]).await })
        })
        .collect();
    settle().await;
    assert_eq!(shop.origin.calls(), 2);
    shop.origin.release();
    settle().await;
    for reply in join_all(asking).await {
        assert_eq!(reply.unwrap().text(), "old");
    }
    assert_eq!(shop.origin.calls(), 51);
}

// F17: at every point at which a validation can be, an invalidation is not undone by it.
#[tokio::test]
async fn what_is_invalidated_while_it_is_validated_does_not_come_back() {
    for yields in 0..60 {
        let shop = stale(Policy::origin(), TAG).await;
        let asking = {
            let shop = shop.clone();
            tokio::spawn(async move { shop.get("/a", &[]).await })
        };
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        shop.cache.invalidate(Path("/a")).await.unwrap();
        shop.origin.has(&[("cache-control", "max-age=60"), ("etag", "\"2\"")], "new");
        assert_eq!(shop.get("/a", &[]).await.text(), "new", "{yields}");
        asking.await.unwrap();
        assert_eq!(shop.get("/a", &[]).await.text(), "new", "{yields}");
    }
}

// F17
#[tokio::test]
async fn a_304_to_a_question_asked_before_an_invalidation_freshens_nothing() {
    let shop = stale(Policy::origin(), TAG).await;
    shop.origin.hold();
    let asking: Vec<_> = (0..10)
        .map(|_| {
            let shop = shop.clone();
            tokio::spawn(async move { shop.get("/a", &[]).await })
        })
        .collect();
    settle().await;
    shop.cache.invalidate(Path("/a")).await.unwrap();
    shop.origin.release();
    for reply in join_all(asking).await {
        assert_eq!(reply.unwrap().status, 200);
    }
    shop.origin.has(&[("cache-control", "max-age=60"), ("etag", "\"2\"")], "new");
    // Those who came before the invalidation may have asked again after it, and rightly so: not with what was stored.
    let reply = shop.get("/a", &[]).await;
    assert!(reply.text() == "new" || shop.origin.calls() > 2, "{}", reply.cache_status());
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.4
//= type=test
//# The initial set of stored responses to update are those that could have been chosen for that request
//# — i.e., those that meet the requirements in Section 4, except the last requirement to be fresh, able
//# to be served stale, or just validated.
#[tokio::test]
async fn a_304_freshens_the_variants_that_are_the_same_representation() {
    let shop = Shop::origin_profile().await;
    let fields = |tag: &'static str| [("cache-control", "max-age=60"), ("vary", "accept"), ("etag", tag)];
    shop.origin.has(&fields("\"1\""), "same");
    for accept in ["a/a", "b/b"] {
        assert_eq!(shop.get("/a", &[("accept", accept)]).await.text(), "same");
    }
    shop.origin.has(&fields("\"2\""), "other");
    shop.get("/a", &[("accept", "c/c")]).await;
    shop.pass(100);
    shop.origin.has(&fields("\"1\""), "same");
    assert_eq!(shop.get("/a", &[("accept", "a/a")]).await.text(), "same");
    let calls = shop.origin.calls();
    assert!(shop.get("/a", &[("accept", "b/b")]).await.is_hit(), "freshened as well");
    assert_eq!(shop.origin.calls(), calls);
    assert!(!shop.get("/a", &[("accept", "c/c")]).await.is_hit(), "another representation");
}

// What names a freshened answer, old or new, invalidates it.
#[tokio::test]
async fn a_freshened_answer_keeps_its_tags_and_gets_those_of_the_304() {
    for tag in ["old", "new"] {
        let shop = stale(
            Policy::origin(),
            &[("cache-control", "max-age=60"), ("etag", "\"1\""), ("surrogate-key", "old")],
        )
        .await;
        shop.origin
            .has(&[("cache-control", "max-age=60"), ("etag", "\"1\""), ("surrogate-key", "new")], "old");
        shop.get("/a", &[]).await;
        assert!(shop.get("/a", &[]).await.is_hit());
        shop.cache.invalidate(Tag(tag)).await.unwrap();
        assert!(!shop.get("/a", &[]).await.is_hit(), "{tag}");
    }
}

#[tokio::test]
async fn a_304_s_cookie_is_given_to_its_own_client_and_to_nobody_else() {
    let shop = stale(Policy::origin(), TAG).await;
    shop.origin.says(304, &[("cache-control", "max-age=60"), ("etag", "\"1\""), ("set-cookie", "s=ann")], "");
    shop.origin.hold();
    let asking: Vec<_> = (0..10)
        .map(|_| {
            let shop = shop.clone();
            tokio::spawn(async move { shop.get("/a", &[]).await })
        })
        .collect();
    settle().await;
    shop.origin.release();
    let replies = join_all(asking).await;
    let cookies = replies.iter().filter(|reply| reply.as_ref().unwrap().headers.contains_key("set-cookie"));
    assert_eq!((cookies.count(), shop.origin.calls()), (1, 2), "it is the client's whose request was sent");
    shop.origin.has(TAG, "old");
    assert!(!shop.get("/a", &[]).await.headers.contains_key("set-cookie"));
}

// A 304 that the cache has asked for is never a client's that has not.
#[tokio::test]
async fn a_304_reaches_no_client_that_sent_no_condition() {
    let wrong: [fn() -> Deed; 3] = [
        || {
            let mut response = answer(304, &[("etag", "\"1\"")], "");
            response.extensions_mut().insert(Cached::ttl("soon"));
            Deed::Answer(response)
        },
        || Deed::Answer(answer(304, &[("etag", "\"9\"")], "")),
        || Deed::Answer(answer(304, &[("cache-control", "no-store")], "")),
    ];
    for wrong in wrong {
        let shop = stale(Policy::origin(), TAG).await;
        shop.origin.does(move |_| wrong());
        let reply = shop.get("/a", &[]).await;
        assert_eq!((reply.status.as_u16(), reply.text()), (200, "old"));
        let known = shop.get("/a", &[("if-none-match", "\"1\"")]).await;
        assert_eq!(known.status, 304);
    }
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-15.4.5
//= type=test
//# If the conditional request originated with an outbound client, such as a user agent with its own
//# cache sending a conditional GET to a shared proxy, then the proxy SHOULD forward the 304 response to
//# that client.
#[tokio::test]
async fn a_solo_request_s_conditions_come_through_where_nothing_is_stored() {
    let shop = Shop::origin_profile().await;
    shop.origin.has(TAG, "x");
    let reply = shop.get("/a", &[("authorization", "ann"), ("if-none-match", "\"1\"")]).await;
    assert_eq!(reply.status, 304);
    assert_eq!(shop.origin.last().headers["if-none-match"], "\"1\"");
    assert_eq!(shop.get("/a", &[]).await.text(), "x");
}

#[tokio::test]
async fn each_principal_s_validation_is_its_own() {
    let user = |parts: &axum::http::request::Parts| {
        parts.headers.get("authorization").map(|user| user.as_bytes().to_vec())
    };
    let shop = Shop::layered(
        Policy::origin(),
        |cache| cache,
        |cache| cache.rules().at("/me", |r| r.ttl("1m").vary_by(user)).layer().unwrap(),
    )
    .await;
    shop.origin.does(|seen| {
        // One tag for all: it is the same version of everybody's page.
        let fields: Fields<'_> = &[("etag", "\"1\"")];
        let known = seen.has("if-none-match");
        let whose = field(&seen.headers, "authorization");
        Deed::Answer(if known { answer(304, fields, "") } else { answer(200, fields, &whose) })
    });
    for _ in 0..3 {
        for user in ["ann", "ben"] {
            assert_eq!(shop.get("/me", &[("authorization", user)]).await.text(), user);
        }
        shop.pass(100);
    }
    let asking: Vec<_> = (0..40)
        .map(|number| {
            let shop = shop.clone();
            let user = if number % 2 == 0 { "ann" } else { "ben" };
            tokio::spawn(async move { (user, shop.get("/me", &[("authorization", user)]).await) })
        })
        .collect();
    for reply in join_all(asking).await {
        let (user, reply) = reply.unwrap();
        assert_eq!(reply.text(), user);
    }
}

// The handler's annotation of the 304 counts as that of the answer did.
#[tokio::test]
async fn a_handler_may_annotate_its_304() {
    let shop = Shop::origin_profile().await;
    let page = Arc::new(|seen: &crate::shop::Seen| {
        let known = seen.has("if-none-match");
        let mut response =
            answer(if known { 304 } else { 200 }, &[("etag", "\"1\"")], if known { "" } else { "x" });
        response.extensions_mut().insert(Cached::ttl("1m"));
        Deed::Answer(response)
    });
    shop.origin.does(move |seen| page(seen));
    shop.get("/a", &[]).await;
    shop.pass(100);
    assert!(shop.get("/a", &[]).await.cache_status().contains("detail=validated"));
    assert!(shop.get("/a", &[]).await.is_hit());
}
