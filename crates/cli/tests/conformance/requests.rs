//! What a client asks of the cache: Cache-Control in a request, and Pragma.

use crate::support::{Cache, ok};

const FRESH: &str = "Cache-Control: max-age=600";

async fn all(cases: &[(&[&str], &[&str], bool)]) {
    let cache = Cache::start().await;
    for (response, request, reused) in cases {
        assert_eq!(cache.reuses_for(200, response, request).await, *reused, "{response:?} {request:?}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.1
//= type=test
//# The max-age request directive indicates that the client prefers a response whose age is less
//# than or equal to the specified number of seconds.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.1
//= type=test
//# Unless the max-stale request directive is also present, the client does not wish to receive a
//# stale response.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.3
//= type=test
//# The min-fresh request directive indicates that the client prefers a response whose freshness
//# lifetime is no less than its current age plus the specified time in seconds.
#[tokio::test]
async fn a_client_may_ask_for_a_younger_response() {
    all(&[
        (&[FRESH], &["Cache-Control: max-age=60"], true),
        (&[FRESH, "Age: 100"], &["Cache-Control: max-age=60"], false),
        (&[FRESH, "Age: 100"], &["Cache-Control: max-age=200"], true),
        (&[FRESH, "Age: 100"], &["Cache-Control: MAX-AGE=\"60\""], false),
        (&[FRESH, "Age: 10"], &["Cache-Control: max-age=0"], false),
        (&[FRESH, "Age: 100"], &["Cache-Control: min-fresh=400"], true),
        (&[FRESH, "Age: 100"], &["Cache-Control: min-fresh=501"], false),
        (&[FRESH], &["Cache-Control: foo, min-fresh=601"], false),
        (&[FRESH], &["Cache-Control: max-age=999999999999999999999"], true),
    ])
    .await;
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.2
//= type=test
//# If a value is present, then the client is willing to accept a response that has exceeded its
//# freshness lifetime by no more than the specified number of seconds.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.2
//= type=test
//# If no value is assigned to max-stale, then the client will accept a stale response of any age.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.4
//= type=test
//# A cache MUST NOT generate a stale response if it is prohibited by an explicit in-protocol
//# directive (e.g., by a no-cache response directive, a must-revalidate response directive, or an
//# applicable s-maxage or proxy-revalidate response directive; see Section 5.2.2).
#[tokio::test]
async fn a_client_may_accept_a_stale_response_where_nothing_forbids_one() {
    let stale: &[&str] = &["Cache-Control: max-age=600", "ETag: \"a\"", "Age: 700"];
    let with = |directive: &'static str| [directive, "ETag: \"a\"", "Age: 700"];
    let forbidding = [
        with("Cache-Control: max-age=600, must-revalidate"),
        with("Cache-Control: max-age=600, proxy-revalidate"),
        with("Cache-Control: s-maxage=600"),
        with("Cache-Control: max-age=600, no-cache"),
    ];
    let any = &["Cache-Control: max-stale"];
    let mut cases: Vec<(&[&str], &[&str], bool)> = vec![
        (stale, any, true),
        (stale, &["Cache-Control: max-stale=1000"], true),
        (stale, &["Cache-Control: max-stale=50"], false),
        (stale, &["Cache-Control: max-age=800, max-stale=1000"], true),
        (stale, &["Cache-Control: max-age=100, max-stale=50"], false),
        (stale, &[], false),
    ];
    cases.extend(forbidding.iter().map(|fields| (&fields[..], &any[..], false)));
    all(&cases).await;
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.4
//= type=test
//# The no-cache request directive indicates that the client prefers a stored response not be used
//# to satisfy the request without successful validation on the origin server.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.4
//= type=test
//# The "Pragma" request header field was defined for HTTP/1.0 caches, so that clients could
//# specify a "no-cache" request (as Cache-Control was not defined until HTTP/1.1).
#[tokio::test]
async fn no_cache_asks_the_origin_and_pragma_only_where_nothing_newer_is_said() {
    all(&[
        (&[FRESH], &["Cache-Control: no-cache"], false),
        (&[FRESH], &["Cache-Control: No-Cache"], false),
        (&[FRESH], &["Cache-Control: foo=\"no-cache\""], true),
        (&[FRESH], &["Pragma: no-cache", "Cache-Control: max-age=500"], true),
        (&[FRESH], &["Pragma: foo"], true),
        // What a response says so means nothing.
        (&[FRESH, "Pragma: no-cache"], &[], true),
        (&["Pragma: max-age=600"], &[], false),
        // Nor does this, from a client.
        (&[FRESH], &["Cache-Control: immutable, private, must-revalidate"], true),
    ])
    .await;
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.5
//= type=test
//# The no-store request directive indicates that a cache MUST NOT store any part of either this
//# request or any response to it.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.5
//= type=test
//# Note that if a request containing this directive is satisfied from a cache, the no-store
//# request directive does not apply to the already stored response.
#[tokio::test]
async fn no_store_keeps_the_answer_out_of_the_cache() {
    let cache = Cache::start().await;
    assert!(!cache.reuses_between(200, &["Cache-Control: no-store"], &[FRESH], &[]).await);
    let path = cache.path([ok(&[FRESH], "first"), ok(&[FRESH], "second"), ok(&[FRESH], "third")]);
    cache.get(&path, &[]).await;
    cache.get(&path, &["Cache-Control: no-store"]).await;
    // What was stored before is not removed by it.
    assert_eq!(cache.get(&path, &[]).await.body, "first");
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.7
//= type=test
//# Caches that honor this request directive SHOULD, upon receiving it, respond with either a
//# stored response consistent with the other constraints of the request or a 504 (Gateway Timeout)
//# status code.
#[tokio::test]
async fn only_if_cached_never_asks_the_origin() {
    let cache = Cache::start().await;
    let path = cache.path([ok(&[FRESH], "first")]);
    let ask = ["Cache-Control: only-if-cached"];
    let answer = cache.get(&path, &ask).await;
    assert_eq!((answer.status(), cache.asked(&path).len()), (504, 0));
    cache.get(&path, &[]).await;
    let answer = cache.get(&path, &ask).await;
    assert_eq!((answer.status(), answer.body.as_str(), cache.asked(&path).len()), (200, "first", 1));
    let stale = cache.path([ok(&["Cache-Control: max-age=1", "ETag: \"a\"", "Age: 9"], "x")]);
    cache.get(&stale, &[]).await;
    assert_eq!(cache.get(&stale, &ask).await.status(), 504);
    assert_eq!(cache.get(&stale, &["Cache-Control: only-if-cached, max-stale"]).await.body, "x");
    assert_eq!(cache.get(&stale, &["Cache-Control: only-if-cached, no-cache"]).await.status(), 504);
    assert_eq!(cache.asked(&stale).len(), 1);
}
