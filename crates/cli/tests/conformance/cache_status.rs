//! Cache-Status (RFC 9211): what was done, said to the client.

use crate::support::{Answer, Cache, ok, reply};

const FRESH: &str = "Cache-Control: max-age=600";

/// The parameters of the member that this cache has added.
fn parameters(answer: &Answer) -> Vec<String> {
    let all = answer.all("cache-status").join(", ");
    let own = all.rsplit(", ").next().unwrap();
    let mut parts = own.split("; ").map(str::to_owned);
    assert_eq!(parts.next().as_deref(), Some("forebay"), "{all}");
    parts.collect()
}

fn has(answer: &Answer, parameter: &str) -> bool {
    let parameters = parameters(answer);
    let both =
        parameters.iter().any(|one| one == "hit") && parameters.iter().any(|one| one.starts_with("fwd="));
    assert!(!both, "{parameters:?}");
    parameters.iter().any(|one| one == parameter)
}

//= https://www.rfc-editor.org/rfc/rfc9211#section-2
//= type=test
//# When adding a value to the Cache-Status header field, caches SHOULD preserve the existing field
//# value, to allow debugging of the entire chain of caches handling the request.
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2
//= type=test
//# Each List member identifies the cache that inserted it, and this identifier MUST be a String or
//# Token.
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2.1
//= type=test
//# "hit" and "fwd" are exclusive; only one of them should appear on each list member.
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2.5
//= type=test
//# The value of "stored" is a Boolean that indicates whether the cache stored the response (see
//# [HTTP-CACHING], Section 3); a true value indicates that it did.
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2.4
//= type=test
//# The value of "ttl" is an Integer that indicates the response's remaining freshness lifetime
//# (see [HTTP-CACHING], Section 4.2.1) as calculated by the cache, as an integer number of
//# seconds, measured as closely as possible to when the response header section is sent by the
//# cache.
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2.3
//= type=test
//# The value of "fwd-status" is an Integer that indicates which status code (see [HTTP], Section
//# 15) the next-hop server returned in response to the forwarded request.
#[tokio::test]
async fn a_response_says_where_it_came_from() {
    let cache = Cache::start().await;
    let path = cache.path([ok(&[FRESH, "Age: 100", "Cache-Status: Outer; hit, Inner; fwd=miss"], "x")]);
    let first = cache.get(&path, &[]).await;
    assert!(has(&first, "fwd=uri-miss") && has(&first, "stored") && has(&first, "ttl=500"), "{first:?}");
    let hit = cache.until(&path, &[], |answer| has(answer, "hit")).await;
    assert!(hit.head.contains("Outer; hit, Inner; fwd=miss"), "{hit:?}");
    assert!(parameters(&hit).iter().any(|one| one == "ttl=500" || one == "ttl=499"), "{hit:?}");
    assert_eq!(cache.asked(&path).len(), 1);
}

//= https://www.rfc-editor.org/rfc/rfc9211#section-2.2
//= type=test
//# method: The request method's semantics require the request to be forwarded.
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2.2
//= type=test
//# request: The cache was able to select a fresh response for the request, but the request's
//# semantics (e.g., Cache-Control request directives) did not allow its use.
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2.2
//= type=test
//# stale: The cache was able to select a response for the request, but it was stale.
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2.2
//= type=test
//# partial: The cache was able to select a partial response for the request, but it did not
//# contain all of the requested ranges (or the request was for the complete response).
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2.2
//= type=test
//# vary-miss: The cache contained a response that matched the request URI, but it could not select
//# a response based upon this request's header fields and stored Vary header fields.
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2.2
//= type=test
//# uri-miss: The cache did not contain any responses that matched the request URI.
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2.2
//= type=test
//# "fwd", when present, indicates that the request went forward towards the origin; its value is a
//# Token that indicates why.
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2.2
//= type=test
//# The most specific reason known to the cache SHOULD be used, to the extent that it is possible
//# to implement.
#[tokio::test]
async fn a_forwarded_request_says_why() {
    let cache = Cache::start().await;
    let stored = |fields: &[&str]| ok(&[&[FRESH, "ETag: \"a\""], fields].concat(), "0123");
    let part = reply(206, &[FRESH, "ETag: \"a\"", "Content-Range: bytes 0-1/4"], "01");
    for (first, request, reason) in [
        (stored(&[]), &["Cache-Control: no-cache"][..], "fwd=request"),
        (stored(&["Age: 100"]), &["Cache-Control: max-age=50"], "fwd=request"),
        (stored(&["Age: 700"]), &[], "fwd=stale"),
        (stored(&["Vary: Foo"]), &["Foo: 1"], "fwd=vary-miss"),
        (part, &["Range: bytes=2-3"], "fwd=partial"),
    ] {
        let path = cache.path([first, ok(&["Cache-Control: no-store"], "new")]);
        let range: &[&str] = if reason == "fwd=partial" { &["Range: bytes=0-1"] } else { &[] };
        cache.get(&path, range).await;
        let answer = cache.get(&path, request).await;
        assert!(has(&answer, reason), "{reason}: {answer:?}");
        assert_eq!(cache.asked(&path).len(), 2);
    }
    let path = cache.path([ok(&[], "x"), ok(&[], "x")]);
    assert!(has(&cache.send("POST", &path, &[]).await, "fwd=method"));
    assert!(has(&cache.get(&path, &[]).await, "fwd=uri-miss"));
}

//= https://www.rfc-editor.org/rfc/rfc9211#section-2.1
//= type=test
//# A response that was in cache but not able to be used without going forward (e.g., because it
//# was stale or partial) is not considered a hit.
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2.1
//= type=test
//# A response that was originally produced by the origin but was modified by the cache (for
//# example, a 304 or 206 status code) is still considered a hit, as long as it did not go forward
//# (e.g., for validation).
#[tokio::test]
async fn a_validated_response_is_no_hit_and_says_what_the_origin_said() {
    let cache = Cache::start().await;
    let path = cache
        .path([ok(&[FRESH, "Age: 700", "ETag: \"a\""], "0123"), reply(304, &[FRESH, "ETag: \"a\""], "")]);
    cache.get(&path, &[]).await;
    let answer = cache.get(&path, &[]).await;
    assert!(has(&answer, "fwd=stale") && has(&answer, "fwd-status=304"), "{answer:?}");
    for request in [&["If-None-Match: \"a\""][..], &["Range: bytes=0-1"]] {
        let answer = cache.until(&path, request, |answer| has(answer, "hit")).await;
        assert!(matches!(answer.status(), 304 | 206), "{answer:?}");
    }
    assert_eq!(cache.asked(&path).len(), 2);
}

//= https://www.rfc-editor.org/rfc/rfc9211#section-2.4
//= type=test
//# It may be negative, to indicate staleness.
#[tokio::test]
async fn a_stale_hit_has_a_negative_ttl() {
    let cache = Cache::start().await;
    let path = cache.path([ok(&["Cache-Control: max-age=60", "Age: 100", "ETag: \"a\""], "x")]);
    cache.get(&path, &[]).await;
    let answer = cache.until(&path, &["Cache-Control: max-stale"], |answer| has(answer, "hit")).await;
    let ttl = parameters(&answer).iter().find_map(|one| one.strip_prefix("ttl=")?.parse::<i64>().ok());
    assert!((-60..=-40).contains(&ttl.unwrap()), "{answer:?}");
}

//= https://www.rfc-editor.org/rfc/rfc9211#section-2
//= type=test
//# An intermediary SHOULD NOT append a Cache-Status member to responses that it generates locally,
//# even if that intermediary contains a cache, unless the generated response is based upon a
//# stored response (e.g., 304 (Not Modified) and 206 (Partial Content) are both based upon a
//# stored response).
#[tokio::test]
async fn the_name_is_a_setting_and_so_is_silence() {
    let cache = Cache::with(&["--cache-status", "Edge 1"]).await;
    let path = cache.path([ok(&[FRESH], "x")]);
    assert!(cache.get(&path, &[]).await.field("cache-status").starts_with("\"Edge 1\"; fwd=uri-miss"));
    let cache = Cache::with(&["--cache-status", "off"]).await;
    let path = cache.path([ok(&[FRESH, "Cache-Status: Inner; hit"], "x")]);
    for _ in 0..2 {
        assert_eq!(cache.get(&path, &[]).await.field("cache-status"), "Inner; hit");
    }
}
