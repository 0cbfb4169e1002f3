//! Stale answers in the place of an origin that fails (RFC 5861 4; F17, S33).

use std::time::Duration;

use axum::http::Method;
use forebay::{Path, Policy};
use futures_util::future::join_all;

use crate::shop::{Deed, Down, Shop};
use crate::support::{Fields, field, settle};

const SIE: Fields<'static> = &[("cache-control", "max-age=60, stale-if-error=300")];

//= https://www.rfc-editor.org/rfc/rfc5861#section-4
//= type=test
//# In this context, an error is any situation which would result in a 500, 502, 503 or 504 HTTP
//# response status code being returned.
#[tokio::test]
async fn some_errors_are_covered_up_and_others_are_not() {
    for (status, covered) in [
        (500, true),
        (502, true),
        (503, true),
        (504, true),
        (501, false),
        (505, false),
        (404, false),
        (429, false),
    ] {
        let shop = Shop::origin_profile().await;
        shop.origin.says(200, SIE, "old");
        shop.get("/a", &[]).await;
        shop.pass(100);
        shop.origin.says(status, &[], "broken");
        let reply = shop.get("/a", &[]).await;
        let expected = if covered { (200, "old") } else { (status, "broken") };
        assert_eq!((reply.status.as_u16(), reply.text()), expected);
        if covered {
            let says = format!("forebay; fwd=stale; fwd-status={status}; ttl=-40; detail=stale-if-error");
            assert_eq!(reply.cache_status(), says);
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc5861#section-4
//= type=test
//# Note that this directive does not affect freshness; stale cached responses that are used SHOULD
//# still be visibly stale when sent (i.e., have a non-zero Age header and a warning header, as per
//# HTTP's requirements.).
#[tokio::test]
async fn a_covered_up_error_is_visibly_stale_and_ends_with_its_window() {
    let shop = Shop::origin_profile().await;
    shop.origin.says(200, SIE, "old");
    shop.get("/a", &[]).await;
    shop.origin.does(|_| Deed::Fail);
    shop.pass(359);
    let last = shop.get("/a", &[]).await;
    assert_eq!((last.text(), field(&last.headers, "age").as_str()), ("old", "359"));
    shop.pass(2);
    assert_eq!(shop.ask(Method::GET, "/a", &[]).await.err(), Some(Down));
}

// S33
#[tokio::test]
async fn no_error_is_covered_up_for_longer_than_a_day() {
    let shop = Shop::origin_profile().await;
    shop.origin.says(200, &[("cache-control", "max-age=60, stale-if-error=999999")], "old");
    shop.get("/a", &[]).await;
    shop.origin.says(500, &[], "broken");
    shop.pass(59 + 24 * 60 * 60);
    assert_eq!(shop.get("/a", &[]).await.text(), "old");
    shop.pass(2);
    assert_eq!(shop.get("/a", &[]).await.text(), "broken");
}

#[tokio::test]
async fn the_followers_of_a_request_that_failed_share_its_fallback() {
    let shop = Shop::origin_profile().await;
    shop.origin.says(200, SIE, "old");
    shop.get("/a", &[]).await;
    shop.pass(100);
    shop.origin.does(|_| Deed::Fail);
    shop.origin.hold();
    let asking: Vec<_> = (0..100)
        .map(|_| {
            let shop = shop.clone();
            tokio::spawn(async move { shop.get("/a", &[]).await })
        })
        .collect();
    settle().await;
    assert_eq!(shop.origin.calls(), 2);
    shop.origin.release();
    let mut collapsed = 0;
    for reply in join_all(asking).await {
        let reply = reply.unwrap();
        assert_eq!(reply.text(), "old");
        collapsed += usize::from(reply.cache_status().contains("; collapsed"));
    }
    assert_eq!((shop.origin.calls(), collapsed), (2, 99));
}

// Who has waited for another in vain is not worse off than that one.
#[tokio::test(start_paused = true)]
async fn a_follower_that_goes_on_alone_takes_what_is_stale_along() {
    let shop = Shop::with(Policy::origin(), |cache| cache.flight_wait("1s")).await;
    let fields: Fields<'_> = &[("cache-control", "max-age=60, stale-if-error=300"), ("etag", "\"1\"")];
    shop.origin.says(200, fields, "old");
    shop.get("/a", &[]).await;
    shop.pass(100);
    shop.origin.does(|_| Deed::Fail);
    shop.origin.hold();
    let asking: Vec<_> = (0..10)
        .map(|_| {
            let shop = shop.clone();
            tokio::spawn(async move { shop.get("/a", &[]).await })
        })
        .collect();
    settle().await;
    tokio::time::advance(Duration::from_millis(1100)).await;
    settle().await;
    assert_eq!((shop.origin.calls(), shop.origin.last().has("if-none-match")), (11, true));
    shop.origin.release();
    for reply in join_all(asking).await {
        assert_eq!(reply.unwrap().text(), "old");
    }
}

// S33, F17
#[tokio::test]
async fn what_is_invalidated_while_the_origin_fails_is_not_given_again() {
    let shop = Shop::origin_profile().await;
    shop.origin.says(200, SIE, "old");
    shop.get("/a", &[]).await;
    shop.pass(100);
    shop.origin.does(|_| Deed::Fail);
    shop.origin.hold();
    let asking: Vec<_> = (0..10)
        .map(|_| {
            let shop = shop.clone();
            tokio::spawn(async move { shop.ask(Method::GET, "/a", &[]).await.err() })
        })
        .collect();
    settle().await;
    shop.cache.invalidate(Path("/a")).await.unwrap();
    shop.origin.release();
    for failed in join_all(asking).await {
        assert_eq!(failed.unwrap(), Some(Down));
    }
    assert_eq!(shop.ask(Method::GET, "/a", &[]).await.err(), Some(Down));
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.4
//= type=test
//# A cache MUST NOT generate a stale response unless it is disconnected or doing so is explicitly
//# permitted by the client or origin server (e.g., by the max-stale request directive in Section 5.2.1
//# , extension directives such as those defined in [RFC5861], or configuration in accordance with an
//# out-of-band contract).
#[tokio::test]
async fn without_a_directive_only_a_proxy_that_is_cut_off_answers_stale() {
    for (policy, covered) in [(Policy::proxy(), true), (Policy::origin(), false)] {
        let shop = Shop::with(policy, |cache| cache).await;
        shop.origin.says(200, &[("cache-control", "max-age=60"), ("etag", "\"1\"")], "old");
        shop.get("/a", &[]).await;
        shop.pass(100);
        shop.origin.says(503, &[], "broken");
        assert_eq!(shop.get("/a", &[]).await.text(), "broken", "an answer, if a bad one");
        shop.origin.does(|_| Deed::Fail);
        let reply = shop.ask(Method::GET, "/a", &[]).await;
        assert_eq!(reply.ok().map(|reply| reply.text() == "old"), covered.then_some(true));
    }
}

// One client's `stale-if-error` permits a stale answer to that client alone.
#[tokio::test]
async fn a_client_that_settles_for_a_stale_answer_does_not_settle_for_others() {
    let shop = Shop::proxy().await;
    shop.origin.says(200, &[("cache-control", "max-age=60"), ("etag", "\"1\"")], "old");
    shop.get("/a", &[]).await;
    shop.pass(100);
    shop.origin.says(500, &[], "broken");
    shop.origin.hold();
    let lenient = {
        let shop = shop.clone();
        tokio::spawn(async move { shop.get("/a", &[("cache-control", "stale-if-error=600")]).await })
    };
    settle().await;
    let strict = {
        let shop = shop.clone();
        tokio::spawn(async move { shop.get("/a", &[]).await })
    };
    settle().await;
    shop.origin.release();
    assert_eq!(lenient.await.unwrap().text(), "old");
    assert_eq!(strict.await.unwrap().text(), "broken");
}
