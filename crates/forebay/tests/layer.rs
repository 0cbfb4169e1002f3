//! The layer on an axum router, over L1 alone.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::Path as Id;
use axum::http::{Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use forebay::{Cache, Cached, Tag};
use http_body_util::BodyExt;
use tower::ServiceExt;

async fn cache() -> Cache {
    Cache::builder("test").build().await.unwrap()
}

async fn send(app: &Router, request: Request<Body>) -> Response<Body> {
    app.clone().oneshot(request).await.unwrap()
}

async fn get_path(app: &Router, path: &str) -> Response<Body> {
    send(app, Request::get(path).header("host", "shop").body(Body::empty()).unwrap()).await
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn status(response: &Response<Body>) -> &str {
    response.headers()["cache-status"].to_str().unwrap()
}

/// Lets the detached fill run to its end.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

fn counting(counter: &Arc<AtomicUsize>) -> impl Fn() -> usize + Clone + Send + Sync + 'static {
    let counter = Arc::clone(counter);
    move || counter.fetch_add(1, Ordering::SeqCst) + 1
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3
//= type=test
//# a max-age response directive (see Section 5.2.2.1);
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4
//= type=test
//# fresh (see Section 4.2), or
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.1
//= type=test
//# The max-age response directive indicates that the response is to be considered stale after its age is
//# greater than the specified number of seconds.
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2.2
//= type=test
//# uri-miss: The cache did not contain any responses that matched the request URI.
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2.5
//= type=test
//# The value of "stored" is a Boolean that indicates whether the cache stored the response (see
//# [HTTP-CACHING], Section 3); a true value indicates that it did.
#[tokio::test]
async fn a_response_with_explicit_freshness_is_answered_from_l1() {
    let calls = Arc::default();
    let count = counting(&calls);
    let handler = move || async move { ([(header::CACHE_CONTROL, "max-age=60")], count().to_string()) };
    let app = Router::new().route("/a", get(handler)).layer(cache().await.layer());

    let first = get_path(&app, "/a").await;
    assert_eq!(status(&first), "forebay; fwd=uri-miss; stored; ttl=60; detail=cache-control");
    assert_eq!(text(first).await, "1");
    settle().await;
    let second = get_path(&app, "/a").await;
    assert!(status(&second).starts_with("forebay; hit; ttl="), "{}", status(&second));
    assert_eq!(second.headers()["age"], "0");
    assert_eq!(second.headers()["content-length"], "1");
    assert_eq!(text(second).await, "1");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_route_s_ttl_and_tags_hold_under_an_outer_layer_and_alone() {
    for outer in [true, false] {
        let calls = Arc::default();
        let count = counting(&calls);
        let cache = cache().await;
        let handler = move |Id(id): Id<u32>| async move { format!("{id}:{}", count()) };
        let annotated = get(handler).layer(cache.route().ttl("5m").tags(["article:{id}"]));
        let mut app = Router::new().route("/articles/{id}", annotated);
        if outer {
            app = app.layer(cache.layer());
        }

        for expected in ["42:1", "42:1", "42:1"] {
            assert_eq!(text(get_path(&app, "/articles/42").await).await, expected, "outer: {outer}");
            settle().await;
        }
        assert_eq!(text(get_path(&app, "/articles/7").await).await, "7:2");
        settle().await;
        cache.invalidate(Tag("article:42")).await.unwrap();
        assert_eq!(text(get_path(&app, "/articles/42").await).await, "42:3");
        assert_eq!(text(get_path(&app, "/articles/7").await).await, "7:2");
    }
}

#[tokio::test]
async fn a_handler_s_annotation_outranks_its_fields() {
    let calls = Arc::default();
    let count = counting(&calls);
    let handler = move || async move {
        (Cached::ttl("2m").tag("x"), [(header::CACHE_CONTROL, "max-age=1")], count().to_string())
    };
    let cache = cache().await;
    let app = Router::new().route("/a", get(handler)).layer(cache.layer());
    let first = get_path(&app, "/a").await;
    assert_eq!(status(&first), "forebay; fwd=uri-miss; stored; ttl=120; detail=handler");
    assert!(first.extensions().get::<Cached>().is_none());
    drop(text(first).await);
    settle().await;
    assert_eq!(text(get_path(&app, "/a").await).await, "1");
    cache.invalidate(Tag("x")).await.unwrap();
    assert_eq!(text(get_path(&app, "/a").await).await, "2");
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.5
//= type=test
//# The no-store response directive indicates that a cache MUST NOT store any part of either the immediate
//# request or the response and MUST NOT use the response to satisfy any other request.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.7
//= type=test
//# The unqualified private response directive indicates that a shared cache MUST NOT store the response
//# (i.e., the response is intended for a single user).
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.5
//= type=test
//# "MUST NOT store" in this context means that the cache MUST NOT intentionally store the information in
//# non-volatile storage and MUST make a best-effort attempt to remove the information from volatile
//# storage as promptly as possible after forwarding it.
#[tokio::test]
async fn nothing_is_stored_without_a_word_and_nothing_that_is_private() {
    let cases: [&[(&str, &str)]; 5] = [
        &[],
        &[("cache-control", "no-store, max-age=60")],
        &[("cache-control", "private, max-age=60")],
        &[("cache-control", "max-age=60"), ("set-cookie", "a=b")],
        &[("cache-control", "max-age=60"), ("vary", "*")],
    ];
    for fields in cases {
        let calls = Arc::default();
        let count = counting(&calls);
        let handler = move || async move {
            let mut response = count().to_string().into_response();
            for (name, value) in fields {
                response.headers_mut().append(*name, value.parse().unwrap());
            }
            response
        };
        let app = Router::new().route("/a", get(handler)).layer(cache().await.layer());
        for expected in ["1", "2"] {
            assert_eq!(text(get_path(&app, "/a").await).await, expected, "{fields:?}");
            settle().await;
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4
//= type=test
//# request header fields nominated by the stored response (if any) match those presented (see Section
//# 4.1), and
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.1
//= type=test
//# When a cache receives a request that can be satisfied by a stored response and that stored response
//# contains a Vary header field (Section 12.5.5 of [HTTP]), the cache MUST NOT use that stored response
//# without revalidation unless all the presented request header fields nominated by that Vary field value
//# match those fields in the original request (i.e., the request that caused the cached response to be
//# stored).
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-12.5.5
//= type=test
//# To inform cache recipients that they MUST NOT use this response to satisfy a later request unless the
//# later request has the same values for the listed header fields as the original request (Section 4.1 of
//# [CACHING]) or reuse of the response has been validated by the origin server.
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2.2
//= type=test
//# vary-miss: The cache contained a response that matched the request URI, but it could not select a
//# response based upon this request's header fields and stored Vary header fields.
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2.2
//= type=test
//# The most specific reason known to the cache SHOULD be used, to the extent that it is possible to
//# implement.
#[tokio::test]
async fn answers_vary_by_what_vary_names() {
    let calls = Arc::default();
    let count = counting(&calls);
    let handler = move |request: Request<Body>| async move {
        let language =
            request.headers().get("accept-language").map_or("none", |v| v.to_str().unwrap()).to_owned();
        (
            [(header::CACHE_CONTROL, "max-age=60"), (header::VARY, "accept-language")],
            format!("{language}:{}", count()),
        )
    };
    let app = Router::new().route("/a", get(handler)).layer(cache().await.layer());
    let ask = async |language: &str| {
        let request = Request::get("/a").header("host", "h").header("accept-language", language);
        let response = send(&app, request.body(Body::empty()).unwrap()).await;
        let status = status(&response).to_owned();
        let text = text(response).await;
        settle().await;
        (text, status)
    };
    assert_eq!(ask("de").await.0, "de:1");
    let (body, status) = ask("en").await;
    assert_eq!(body, "en:2");
    assert!(status.starts_with("forebay; fwd=vary-miss"), "{status}");
    assert_eq!(ask("de").await.0, "de:1");
    assert_eq!(ask("en").await.0, "en:2");
    assert_eq!(text(get_path(&app, "/a").await).await, "none:3");
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.4
//= type=test
//# A cache MUST invalidate the target URI (Section 7.1 of [HTTP]) when it receives a non-error status
//# code in response to an unsafe request method (including methods whose safety is unknown).
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.4
//= type=test
//# Invalidate means that the cache will either remove all stored responses whose target URI matches the
//# given URI or mark them as "invalid" and in need of a mandatory validation before they can be sent in
//# response to a subsequent request.
#[tokio::test]
async fn a_mutation_invalidates_its_tags_and_its_path_before_it_answers() {
    let calls = Arc::default();
    let count = counting(&calls);
    let cache = cache().await;
    let list = {
        let count = count.clone();
        move || async move { count().to_string() }
    };
    let show = move |Id(_): Id<u32>| async move { count().to_string() };
    let app = Router::new()
        .route("/articles", get(list).layer(cache.route().ttl("1m").tags(["articles"])))
        .route(
            "/articles/{id}",
            get(show)
                .layer(cache.route().ttl("1m").tags(["article:{id}"]))
                .put(async || StatusCode::NO_CONTENT)
                .delete(async || StatusCode::FORBIDDEN)
                .layer(cache.invalidates(["articles"])),
        )
        .layer(cache.layer());
    let both = async || {
        let list = text(get_path(&app, "/articles").await).await;
        settle().await;
        let article = text(get_path(&app, "/articles/1").await).await;
        settle().await;
        (list, article)
    };
    let unsafe_request = async |method: &str| {
        send(&app, Request::builder().method(method).uri("/articles/1").body(Body::empty()).unwrap()).await
    };
    let before = both().await;
    assert_eq!(both().await, before);
    unsafe_request("DELETE").await;
    assert_eq!(both().await, before, "a refused DELETE changes nothing");
    unsafe_request("PUT").await;
    let after = both().await;
    assert!(after.0 != before.0 && after.1 != before.1, "{after:?}");
}
