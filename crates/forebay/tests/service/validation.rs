//! Validation: what the origin is asked, and what its answer does to what is stored (RFC 9111 4.3; F17).

use axum::http::Method;
use forebay::Policy;
use futures_util::future::join_all;

use crate::shop::{Deed, Down, Shop};
use crate::support::{Fields, field, settle};

const TAG: Fields<'static> = &[("cache-control", "max-age=60"), ("etag", "\"1\"")];
const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// A shop with a page that has become stale.
async fn stale(policy: Policy, fields: Fields<'_>) -> Shop {
    let shop = Shop::with(policy, |cache| cache).await;
    shop.origin.has(fields, "old");
    shop.get("/a", &[]).await;
    shop.pass(100);
    shop
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.1
//= type=test
//# When generating a conditional request for validation, a cache either starts with a request it is
//# attempting to satisfy or — if it is initiating the request independently — synthesizes a request
//# using a stored response by copying the method, target URI, and request header fields identified by
//# the Vary header field (Section 4.1).
#[tokio::test]
async fn a_stale_answer_s_validators_are_what_the_origin_is_asked_with() {
    let both: Fields<'_> =
        &[("cache-control", "max-age=60"), ("etag", "W/\"1\""), ("last-modified", MODIFIED)];
    let cases: [(Fields<'_>, Option<&str>, Option<&str>); 3] = [
        (TAG, Some("\"1\""), None),
        (&[("cache-control", "max-age=60"), ("last-modified", MODIFIED)], None, Some(MODIFIED)),
        (both, Some("W/\"1\""), Some(MODIFIED)),
    ];
    for (fields, tag, modified) in cases {
        let client: [Fields<'_>; 3] = [
            &[],
            &[("if-none-match", "\"client's\"")],
            &[("if-modified-since", "Mon, 07 Nov 1994 08:49:37 GMT"), ("authorization", "ann")],
        ];
        for client in client {
            let shop = stale(Policy::origin(), fields).await;
            shop.get("/a", client).await;
            let seen = shop.origin.last().headers;
            if !client.iter().any(|(name, _)| *name == "authorization") {
                assert_eq!(field(&seen, "if-none-match"), tag.unwrap_or("-"), "{client:?}");
                assert_eq!(field(&seen, "if-modified-since"), modified.unwrap_or("-"), "{client:?}");
            }
            assert_eq!(shop.origin.calls(), 2);
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.3
//= type=test
//# A 304 (Not Modified) response status code indicates that the stored response can be updated and
//# reused; see Section 4.3.4.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4
//= type=test
//# the stored response is one of the following: successfully validated (see Section 4.3).
#[tokio::test]
async fn a_304_gives_the_stored_answer_a_new_life() {
    let shop = stale(Policy::origin(), TAG).await;
    let validated = shop.get("/a", &[]).await;
    assert_eq!((validated.status.as_u16(), validated.text()), (200, "old"));
    assert_eq!(field(&validated.headers, "age"), "0");
    assert_eq!(
        validated.cache_status(),
        "forebay; fwd=stale; fwd-status=304; stored; ttl=60; detail=validated"
    );
    shop.pass(30);
    let hit = shop.get("/a", &[]).await;
    assert_eq!((hit.text(), field(&hit.headers, "age").as_str()), ("old", "30"));
    assert_eq!(hit.cache_status(), "forebay; hit; ttl=30; detail=l1");
    assert_eq!(shop.origin.calls(), 2);
    assert!(hit.headers.contains_key("date"), "a recipient with a clock records the time");
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-6.6.1
//= type=test
//# A recipient with a clock that receives a response message without a Date header field MUST record
//# the time it was received and append a corresponding Date header field to the message's header
//# section if it is cached or forwarded downstream.
#[tokio::test]
async fn a_304_without_a_date_is_dated_when_it_arrives() {
    let shop = stale(Policy::origin(), TAG).await;
    shop.get("/a", &[]).await;
    let first = field(&shop.get("/a", &[]).await.headers, "date");
    shop.pass(100);
    shop.get("/a", &[]).await;
    let second = field(&shop.get("/a", &[]).await.headers, "date");
    let read = |date: &str| httpdate(date);
    assert_eq!(read(&second) - read(&first), 100, "{first}, {second}");
}

fn httpdate(date: &str) -> u64 {
    let date = date.split(' ').nth(4).unwrap_or_default();
    date.split(':').fold(0, |sum, part| sum * 60 + part.parse::<u64>().unwrap())
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3.2
//= type=test
//# When doing so, the cache MUST add each header field in the provided response to the stored response,
//# replacing field values that are already present, with the following exceptions:
#[tokio::test]
async fn a_304_replaces_fields_in_their_order_and_number() {
    let stored: Fields<'_> = &[
        ("cache-control", "max-age=60"),
        ("etag", "\"1\""),
        ("x-a", "1"),
        ("x-a", "2"),
        ("x-b", "kept"),
        ("content-type", "text/plain"),
        ("content-encoding", "br"),
    ];
    let shop = stale(Policy::origin(), stored).await;
    shop.origin.says(
        304,
        &[
            ("cache-control", "max-age=600"),
            ("etag", "\"1\""),
            ("x-a", "3"),
            ("x-a", "4"),
            ("x-a", "5"),
            ("x-new", "n"),
            ("content-length", "999"),
            ("content-encoding", "gzip"),
            ("content-range", "bytes 0-0/1"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "1"),
        ],
        "",
    );
    for _ in 0..2 {
        let reply = shop.get("/a", &[]).await;
        assert_eq!(reply.text(), "old");
        let all: Vec<_> = reply.headers.get_all("x-a").iter().collect();
        assert_eq!(all, ["3", "4", "5"]);
        for (name, value) in [
            ("cache-control", "max-age=600"),
            ("x-b", "kept"),
            ("x-new", "n"),
            ("content-type", "text/plain"),
            ("content-encoding", "br"),
            ("content-length", "3"),
            ("content-range", "-"),
            ("x-hop", "-"),
            ("connection", "-"),
            ("keep-alive", "-"),
        ] {
            assert_eq!(field(&reply.headers, name), value, "{name}");
        }
        assert_eq!(reply.headers.get_all("content-length").iter().count(), 1);
    }
    assert_eq!(shop.origin.calls(), 2);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.3
//= type=test
//# Instead, the cache MUST use the full response to satisfy the request.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.3
//= type=test
//# The cache MAY store such a full response, subject to its constraints (see Section 3).
#[tokio::test]
async fn a_full_answer_to_a_validation_takes_the_place_of_the_stored_one() {
    let shop = stale(Policy::origin(), TAG).await;
    shop.origin.has(&[("cache-control", "max-age=60"), ("etag", "\"2\"")], "new one");
    let replaced = shop.get("/a", &[]).await;
    assert_eq!((replaced.text(), field(&replaced.headers, "etag").as_str()), ("new one", "\"2\""));
    assert_eq!(shop.origin.last().headers["if-none-match"], "\"1\"");
    let hit = shop.get("/a", &[]).await;
    assert_eq!((hit.text(), hit.is_hit()), ("new one", true));
    assert_eq!(field(&hit.headers, "content-length"), "7");
}

// The client's own conditions are about what it has, not about what is stored here.
#[tokio::test]
async fn a_client_s_conditions_are_judged_by_the_answer_that_comes_of_it() {
    let shop = stale(Policy::origin(), TAG).await;
    let known = shop.get("/a", &[("if-none-match", "\"0\", \"1\"")]).await;
    assert_eq!((known.status.as_u16(), known.body.len()), (304, 0));
    assert_eq!(shop.origin.last().headers["if-none-match"], "\"1\"");
    shop.pass(100);
    let unknown = shop.get("/a", &[("if-none-match", "\"0\"")]).await;
    assert_eq!((unknown.status.as_u16(), unknown.text()), (200, "old"));
    shop.pass(100);
    shop.origin.has(&[("cache-control", "max-age=60"), ("etag", "\"2\"")], "new");
    let changed = shop.get("/a", &[("if-none-match", "\"2\"")]).await;
    assert_eq!(changed.status, 304);
    let stored = shop.get("/a", &[]).await;
    assert_eq!((stored.text(), stored.is_hit()), ("new", true));
    shop.pass(100);
    shop.origin.has(&[("cache-control", "max-age=60"), ("etag", "\"3\"")], "newer");
    assert_eq!(shop.get("/a", &[("if-none-match", "\"2\"")]).await.text(), "newer");
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.4
//= type=test
//# If none of the initial set contains at least one of the same strong validators, then the cache MUST
//# NOT use the new response to update any stored responses.
#[tokio::test]
async fn a_304_about_another_representation_changes_nothing() {
    let shop = stale(Policy::origin(), TAG).await;
    shop.origin.says(304, &[("cache-control", "max-age=600"), ("etag", "\"2\""), ("x-a", "1")], "");
    for calls in 2..4 {
        let reply = shop.get("/a", &[]).await;
        assert_ne!(reply.status, 304, "the client has sent no condition");
        assert!(!reply.headers.contains_key("x-a") && !reply.cache_status().contains("stored"));
        assert_eq!(shop.origin.calls(), calls, "and it is as stale as it was");
    }
}

#[tokio::test]
async fn a_304_that_may_not_be_stored_answers_once_and_freshens_nothing() {
    for from in ["no-store", "private, max-age=60"] {
        let shop = stale(Policy::origin(), TAG).await;
        shop.origin.says(304, &[("cache-control", from), ("etag", "\"1\"")], "");
        for calls in 2..5 {
            let reply = shop.get("/a", &[]).await;
            assert_eq!((reply.status.as_u16(), reply.text()), (200, "old"));
            assert!(!reply.cache_status().contains("stored"), "{}", reply.cache_status());
            assert_eq!(shop.origin.calls(), calls, "{from}");
        }
    }
    let shop = stale(Policy::proxy(), TAG).await;
    shop.origin.says(304, &[("vary", "x-a"), ("etag", "\"1\"")], "");
    for calls in 2..5 {
        let reply = shop.get("/a", &[("x-a", "1")]).await;
        assert_eq!((reply.text(), shop.origin.calls()), ("old", calls), "it varies now");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.3
//= type=test
//# However, if a cache receives a 5xx (Server Error) response while attempting to validate a response,
//# it can either forward this response to the requesting client or act as if the server failed to
//# respond. In the latter case, the cache can send a previously stored response, subject to its
//# constraints on doing so (see Section 4.2.4), or retry the validation request.
#[tokio::test]
async fn an_error_in_answer_to_a_validation_is_covered_up_where_that_is_permitted() {
    let covered: Fields<'_> = &[("cache-control", "max-age=60, stale-if-error=600"), ("etag", "\"1\"")];
    for (fields, expected) in [(covered, "old"), (TAG, "broken")] {
        let shop = stale(Policy::origin(), fields).await;
        shop.origin.says(503, &[], "broken");
        assert_eq!(shop.get("/a", &[]).await.text(), expected);
        assert_eq!(shop.origin.last().headers["if-none-match"], "\"1\"");
        shop.origin.has(fields, "old");
        assert_eq!(shop.get("/a", &[]).await.text(), "old");
        assert!(shop.get("/a", &[]).await.is_hit(), "the stored one has outlived the error");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.2
//= type=test
//# In all circumstances, a cache MUST NOT ignore the must-revalidate directive; in particular, if a
//# cache is disconnected, the cache MUST generate an error response rather than reuse the stale
//# response.
#[tokio::test]
async fn what_must_be_revalidated_is_never_given_by_a_cache_that_is_cut_off() {
    let fields: Fields<'_> = &[("cache-control", "max-age=60, must-revalidate"), ("etag", "\"1\"")];
    let shop = stale(Policy::proxy(), fields).await;
    shop.origin.does(|_| Deed::Fail);
    for client in
        [&[] as Fields<'_>, &[("cache-control", "max-stale")], &[("cache-control", "stale-if-error=600")]]
    {
        assert_eq!(shop.ask(Method::GET, "/a", client).await.err(), Some(Down));
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.4
//= type=test
//# The no-cache response directive, in its unqualified form (without an argument), indicates that the
//# response MUST NOT be used to satisfy any other request without forwarding it for validation and
//# receiving a successful response; see Section 4.3.
#[tokio::test]
async fn what_is_not_to_be_used_unvalidated_is_validated_every_time() {
    for says in ["no-cache", "max-age=0", "no-cache, max-age=600"] {
        let shop = Shop::proxy().await;
        shop.origin.has(&[("cache-control", says), ("etag", "\"1\"")], "old");
        shop.get("/a", &[]).await;
        for calls in 2..5 {
            assert_eq!(shop.get("/a", &[]).await.text(), "old");
            assert_eq!(
                (shop.origin.calls(), shop.origin.last().has("if-none-match")),
                (calls, true),
                "{says}"
            );
        }
        shop.origin.hold();
        let asking: Vec<_> = (0..20)
            .map(|_| {
                let shop = shop.clone();
                tokio::spawn(async move { shop.get("/a", &[]).await })
            })
            .collect();
        settle().await;
        shop.origin.has(&[("cache-control", says), ("etag", "\"2\"")], "new");
        shop.origin.release();
        for reply in join_all(asking).await {
            assert_eq!(reply.unwrap().text(), "new");
        }
        shop.origin.does(|_| Deed::Fail);
        let cut_off = shop.ask(Method::GET, "/a", &[]).await;
        if says != "max-age=0" {
            assert_eq!(cut_off.err(), Some(Down), "{says}");
        }
    }
}
