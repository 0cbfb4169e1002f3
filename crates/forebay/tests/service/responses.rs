//! Which responses are kept, and what is kept of them (S7, S9, S10, S11, S14, S16, S17, S21).

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use axum::response::IntoResponse;
use axum::routing;
use forebay::{Cache, Clock};
use forebay_testkit::clock::ManualClock;
use std::time::Duration;

use crate::support::{Count, Fields, cache, field, get, request, send};

/// An app whose every page answers like this, with the number of the call as its body.
async fn answering(status: u16, fields: Fields<'static>) -> (Router, Count) {
    let count = Count::default();
    let counting = count.clone();
    let handler = move || {
        let mut response = counting.up().to_string().into_response();
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response.headers_mut().remove("content-type");
        for (name, value) in fields {
            response.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        std::future::ready(response)
    };
    (Router::new().fallback(handler).layer(cache().await.layer()), count)
}

const FRESH: Fields<'static> = &[("cache-control", "max-age=60")];

// S7
#[tokio::test]
async fn a_page_is_not_kept_because_it_looks_like_a_file() {
    let (app, count) = answering(200, &[("content-type", "text/css")]).await;
    let pages =
        ["/account/x.css", "/account;.js", "/account%0a.css", "/account%23.css", "/account/..%2fx.png"];
    for (number, page) in pages.into_iter().enumerate() {
        get(&app, page, &[]).await;
        get(&app, page, &[]).await;
        assert_eq!(count.get(), 2 * (number + 1), "{page}");
    }
}

// S9
//= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.1
//= type=test
//# The response to a GET request is cacheable; a cache MAY use it to satisfy subsequent GET and HEAD
//# requests unless otherwise indicated by the Cache-Control header field (Section 5.2 of [CACHING]).
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.2
//= type=test
//# The HEAD method is identical to GET except that the server MUST NOT send content in the response.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.2
//= type=test
//# The server SHOULD send the same header fields in response to a HEAD request as it would have sent if
//# the request method had been GET.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-8.6
//= type=test
//# A server MAY send a Content-Length header field in a response to a HEAD request (Section 9.3.2); a
//# server MUST NOT send Content-Length in such a response unless its field value equals the decimal
//# number of octets that would have been sent in the content of a response if the same request had used
//# the GET method.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4
//= type=test
//# the request method associated with the stored response allows it to be used for the presented request,
//# and
#[tokio::test]
async fn head_is_answered_from_get_and_never_the_other_way_round() {
    let (app, count) = answering(200, FRESH).await;
    let head = || send(&app, request(Method::HEAD, "/a", &[]));
    assert!(!head().await.is_hit());
    assert!(!head().await.is_hit(), "a HEAD leaves nothing");
    let got = get(&app, "/a", &[]).await;
    assert_eq!((got.is_hit(), got.text()), (false, "3"));
    let headed = head().await;
    assert!(headed.is_hit() && headed.body.is_empty());
    assert_eq!(field(&headed.headers, "content-length"), "1");
    assert_eq!(count.get(), 3);
}

// S10
#[tokio::test]
async fn a_range_is_cut_from_what_is_stored_and_a_part_is_not_kept() {
    let (app, count) = answering(200, FRESH).await;
    let whole = get(&app, "/a", &[("range", "bytes=0-0")]).await;
    assert_eq!((whole.status.as_u16(), whole.text()), (200, "1"), "this origin knows no ranges");
    for (range, status) in
        [("bytes=0-0", 206), ("bytes=1-", 416), ("x", 200), ("bytes=-1,-9223372036854775806", 206)]
    {
        let reply = get(&app, "/a", &[("range", range)]).await;
        assert_eq!(reply.status.as_u16(), status, "{range}");
        assert!(reply.is_hit(), "{range}");
    }
    assert_eq!(count.get(), 1);
    let (app, _) = answering(206, &[("cache-control", "max-age=60"), ("content-range", "bytes 0-0/2")]).await;
    get(&app, "/a", &[("range", "bytes=0-0")]).await;
    assert!(!get(&app, "/a", &[("range", "bytes=0-0")]).await.is_hit());
}

// S11
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.5
//= type=test
//# The no-store request directive indicates that a cache MUST NOT store any part of either this request
//# or any response to it.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.5
//= type=test
//# Note that if a request containing this directive is satisfied from a cache, the no-store request
//# directive does not apply to the already stored response.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.5
//= type=test
//# "MUST NOT store" in this context means that the cache MUST NOT intentionally store the information in
//# non-volatile storage and MUST make a best-effort attempt to remove the information from volatile
//# storage as promptly as possible after forwarding it.
#[tokio::test]
async fn a_request_s_no_store_is_answered_but_leaves_nothing() {
    let (app, count) = answering(200, FRESH).await;
    let no_store = [("cache-control", "no-store")];
    get(&app, "/a", &no_store).await;
    get(&app, "/a", &no_store).await;
    assert_eq!(count.get(), 2);
    get(&app, "/a", &[]).await;
    assert!(get(&app, "/a", &no_store).await.is_hit());
    for ignored in ["no-cache", "max-age=0", "only-if-cached", "min-fresh=999"] {
        assert!(
            get(&app, "/a", &[("cache-control", ignored)]).await.is_hit(),
            "{ignored} would let anyone load the origin"
        );
    }
}

// S14
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.1
//= type=test
//# A stored response with a Vary header field value containing a member "*" always fails to match.
#[tokio::test]
async fn what_may_be_kept_by_vary() {
    let cases = [
        ("accept", true),
        ("Accept-Encoding, ACCEPT-LANGUAGE", true),
        ("origin", true),
        ("*", false),
        ("accept, *", false),
        ("cookie", false),
        ("authorization", false),
        ("user-agent", false),
        ("accept, x-custom", false),
        ("a b", false),
        ("accept-a,accept-b,accept-c,accept-d,accept-e,accept-f,accept-g,accept-h", true),
        ("accept-a,accept-b,accept-c,accept-d,accept-e,accept-f,accept-g,accept-h,accept-i", false),
    ];
    for (vary, kept) in cases {
        let fields = Box::leak(Box::new([("cache-control", "max-age=60"), ("vary", vary)]));
        let (app, _) = answering(200, fields).await;
        get(&app, "/a", &[("user-agent", "x")]).await;
        assert_eq!(get(&app, "/a", &[("user-agent", "x")]).await.is_hit(), kept, "{vary}");
    }
}

// S14
#[tokio::test]
async fn ever_new_field_values_do_not_fill_the_cache() {
    let clock = ManualClock::default();
    let cache = Cache::builder("test").clock(Clock::new(clock.clone())).build().await.unwrap();
    let handler = async |request: Request<Body>| {
        ([("cache-control", "max-age=60"), ("vary", "accept")], field(request.headers(), "accept"))
    };
    let app = Router::new().fallback(handler).layer(cache.layer());
    let mut kept = 0;
    for n in 0..10_000 {
        let accept = format!("text/x-{n}");
        let reply = get(&app, "/a", &[("accept", &accept)]).await;
        assert_eq!(reply.text(), accept);
        kept += usize::from(reply.cache_status().contains("; stored"));
    }
    assert_eq!(kept, 32);
    assert!(get(&app, "/a", &[("accept", "text/x-31")]).await.is_hit());
    let refused = get(&app, "/a", &[("accept", "text/html")]).await;
    assert!(refused.cache_status().ends_with("detail=too-many-variants"), "{}", refused.cache_status());
    clock.advance(Duration::from_secs(61));
    assert!(get(&app, "/a", &[("accept", "text/html")]).await.cache_status().contains("; stored"));
}

// S16
#[tokio::test]
async fn which_statuses_are_kept() {
    for status in (200..600).filter(|status| ![206, 304].contains(status)) {
        let request_error = matches!(status, 400 | 405 | 408 | 411..=417 | 421 | 426 | 428 | 429 | 431);
        let (app, _) = answering(status, FRESH).await;
        get(&app, "/a", &[]).await;
        let again = get(&app, "/a", &[]).await;
        assert_eq!((again.is_hit(), again.status.as_u16()), (!request_error, status), "by its own word");

        let by_route = matches!(status, 200 | 203 | 301 | 308 | 404 | 410);
        let handler = move || std::future::ready(StatusCode::from_u16(status).unwrap());
        let route = cache().await.route().ttl("5m");
        let app = Router::new().route("/a", routing::get(handler).layer(route));
        let first = get(&app, "/a", &[]).await;
        assert_eq!(get(&app, "/a", &[]).await.is_hit(), by_route, "{status} by its route");
        if matches!(status, 404 | 410) {
            assert!(first.cache_status().contains("ttl=60"), "{status}: {}", first.cache_status());
        }
    }
}

// S16: a broken request must not become everybody's answer.
#[tokio::test]
async fn an_error_provoked_by_a_field_outside_the_key_is_gone_with_its_request() {
    let handler = async |request: Request<Body>| {
        let status = match request.headers().len() {
            ..3 => StatusCode::OK,
            3 => StatusCode::BAD_REQUEST,
            4 => StatusCode::METHOD_NOT_ALLOWED,
            _ => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        };
        (status, [("cache-control", "public, max-age=60")])
    };
    let app = Router::new().fallback(handler).layer(cache().await.layer());
    let metas = [("x-oversized-header", "x"), ("x-meta-malicious", "\\u7"), ("x-a", "1"), ("x-b", "2")];
    for fields in [&metas[..2], &metas[..3], &metas] {
        assert_ne!(get(&app, "/a", fields).await.status, 200);
    }
    assert_eq!(get(&app, "/a", &[]).await.status, 200);
}

// S17
//= https://www.rfc-editor.org/rfc/rfc9111#section-3.1
//= type=test
//# Caches MUST include all received response header fields — including unrecognized ones — when storing a
//# response; this assures that new HTTP header fields can be successfully deployed.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3.1
//= type=test
//# The Connection header field and fields whose names are listed in it are required by Section 7.6.1 of
//# [HTTP] to be removed before forwarding the message. This MAY be implemented by doing so before
//# storage.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3.1
//= type=test
//# Likewise, some fields' semantics require them to be removed before forwarding the message, and this
//# MAY be implemented by doing so before storage; see Section 7.6.1 of [HTTP] for some examples.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3.1
//= type=test
//# Header fields that are specific to the proxy that a cache uses when forwarding a request MUST NOT be
//# stored, unless the cache incorporates the identity of the proxy into the cache key.
#[tokio::test]
async fn connection_takes_away_what_is_the_connection_s_and_hides_nothing() {
    let named = "content-length, cache-control, vary, set-cookie, etag, x-hop";
    let (app, _) = answering(
        200,
        &[
            ("connection", "content-length, cache-control, vary, set-cookie, etag, x-hop"),
            ("cache-control", "max-age=60"),
            ("vary", "accept"),
            ("etag", "\"1\""),
            ("x-hop", "secret"),
            ("keep-alive", "timeout=5"),
            ("proxy-authenticate", "Basic"),
            ("x-end", "a"),
            ("x-end", "b"),
        ],
    )
    .await;
    assert_eq!(field(&get(&app, "/a", &[]).await.headers, "connection"), named);
    let hit = get(&app, "/a", &[]).await;
    assert!(hit.is_hit());
    for gone in ["connection", "x-hop", "keep-alive", "proxy-authenticate"] {
        assert_eq!(field(&hit.headers, gone), "-", "{gone}");
    }
    for (there, value) in
        [("cache-control", "max-age=60"), ("vary", "accept"), ("etag", "\"1\""), ("content-length", "1")]
    {
        assert_eq!(field(&hit.headers, there), value);
    }
    assert_eq!(hit.headers.get_all("x-end").iter().collect::<Vec<_>>(), ["a", "b"]);
    for hidden in [("set-cookie", "a=b"), ("cache-control", "private"), ("vary", "*")] {
        let fields = Box::leak(Box::new([("connection", hidden.0), ("cache-control", "max-age=60"), hidden]));
        let (app, _) = answering(200, fields).await;
        get(&app, "/a", &[]).await;
        assert!(!get(&app, "/a", &[]).await.is_hit(), "{hidden:?}");
    }
}

// S21
//= https://www.rfc-editor.org/rfc/rfc9111#section-4
//= type=test
//# When a stored response is used to satisfy a request without validation, a cache MUST generate an Age
//# header field (Section 5.1), replacing any present in the response with a value equal to the stored
//# response's current_age; see Section 4.2.3.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.3
//= type=test
//# The current_age of a stored response can then be calculated by adding the time (in seconds) since the
//# stored response was last validated by the origin server to the corrected_initial_age.
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2
//= type=test
//# When adding a value to the Cache-Status header field, caches SHOULD preserve the existing field value,
//# to allow debugging of the entire chain of caches handling the request.
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2.2
//= type=test
//# stale: The cache was able to select a response for the request, but it was stale.
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2.4
//= type=test
//# The value of "ttl" is an Integer that indicates the response's remaining freshness lifetime (see
//# [HTTP-CACHING], Section 4.2.1) as calculated by the cache, as an integer number of seconds, measured
//# as closely as possible to when the response header section is sent by the cache.
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2.1
//= type=test
//# A response that was in cache but not able to be used without going forward (e.g., because it was stale
//# or partial) is not considered a hit.
#[tokio::test]
async fn age_is_counted_on_and_upstream_s_cache_status_stays() {
    let clock = ManualClock::default();
    let cache = Cache::builder("test").clock(Clock::new(clock.clone())).build().await.unwrap();
    let handler = async || {
        let fields =
            [("cache-control", "max-age=60"), ("age", "20"), ("cache-status", "cdn; hit"), ("x-a", "1")];
        (fields, "x")
    };
    let app = Router::new().fallback(handler).layer(cache.layer());
    assert!(get(&app, "/a", &[]).await.cache_status().starts_with("cdn; hit"));
    clock.advance(Duration::from_secs(15));
    let hit = get(&app, "/a", &[]).await;
    assert_eq!(field(&hit.headers, "age"), "35");
    let statuses: Vec<_> = hit.headers.get_all("cache-status").iter().collect();
    assert_eq!(statuses, ["cdn; hit", "forebay; hit; ttl=25; detail=l1"]);
    clock.advance(Duration::from_secs(25));
    assert_eq!(hit.headers.get_all("age").iter().count(), 1);
    assert!(
        get(&app, "/a", &[])
            .await
            .headers
            .get_all("cache-status")
            .iter()
            .any(|v| v.to_str().unwrap().contains("fwd=stale"))
    );
}
