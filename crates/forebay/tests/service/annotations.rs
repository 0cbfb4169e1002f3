//! What a service says about its routes: in time, completely, and never silently wrong.

use axum::Router;
use axum::body::Body;
use axum::extract::{OriginalUri, Path};
use axum::http::{Method, Request, StatusCode};
use axum::routing;
use forebay::{All, Authority, Cache, Cached, Cookies, RouteError, Tag};

use crate::support::{Count, Errors, cache, field, get, request, send};

/// A page that tells how often it was made.
fn page(count: &Count) -> routing::MethodRouter {
    let count = count.clone();
    routing::get(move || std::future::ready(count.up().to_string()))
}

#[tokio::test]
async fn a_route_with_a_bad_duration_is_not_cached_and_says_so_once() {
    let errors = Errors::collect();
    let (cache, count) = (cache().await, Count::default());
    assert!(cache.route().ttl("soon").check().is_err());
    let app = Router::new()
        .route("/a", page(&count).layer(cache.route().ttl("soon")))
        .layer(cache.layer())
        .with_state(());
    for n in 1..4 {
        assert_eq!(get(&app, "/a", &[]).await.text(), n.to_string());
    }
    let lines = errors.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("soon") && lines[0].contains("/a"), "{lines:?}");
}

#[tokio::test]
async fn a_tag_that_cannot_be_filled_keeps_its_answers_out_and_says_so_once() {
    let errors = Errors::collect();
    let (cache, count) = (cache().await, Count::default());
    let annotated = page(&count).layer(cache.route().ttl("1m").tags(["article:{slug}"]));
    let app = Router::new().route("/articles/{id}", annotated).layer(cache.layer());
    for n in 1..4 {
        let reply = get(&app, "/articles/1", &[]).await;
        assert_eq!(reply.text(), n.to_string());
        assert!(reply.cache_status().ends_with("detail=tag-template"), "{}", reply.cache_status());
    }
    let lines = errors.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("article:{slug}") && lines[0].contains("`slug`"), "{lines:?}");
}

#[tokio::test]
async fn a_handler_s_bad_duration_keeps_its_answer_out() {
    let errors = Errors::collect();
    let handler = async || (Cached::ttl("soon"), [("cache-control", "max-age=60")], "x");
    let app = Router::new().route("/a", routing::get(handler)).layer(cache().await.layer());
    for _ in 0..2 {
        assert!(!get(&app, "/a", &[]).await.is_hit());
    }
    assert_eq!(errors.lines().len(), 1);
}

#[tokio::test]
async fn a_rules_table_names_what_is_wrong_with_it() {
    let cache = cache().await;
    let check =
        |pattern: &str, options: fn(forebay::RouteOptions) -> forebay::RouteOptions, expected: &str| {
            let error: RouteError = cache.rules().at(pattern, options).layer().unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        };
    check("/a", |route| route.ttl("soon"), "soon");
    check("a", |route| route.ttl("1m"), "\"a\"");
    check("/a/{id}", |route| route.tags(["a:{slug}"]), "slug");
    check("/a", |route| route.tags(["a:{"]), "a:{");
    check("/a", |route| route.vary(["cookie"]), "cookie");
    check("/a", |route| route.vary(["a b"]), "a b");
    assert!(cache.try_invalidates(["a:{"]).is_err());
}

#[tokio::test]
async fn a_handler_sees_exactly_the_query_that_is_keyed_also_when_nested() {
    let count = Count::default();
    let counting = count.clone();
    let handler = move |OriginalUri(original): OriginalUri, request: Request<Body>| {
        let n = counting.up();
        async move { format!("{} {original} {n}", request.uri()) }
    };
    for outer in [false, true] {
        let cache = cache().await;
        let annotated = routing::get(handler.clone()).layer(cache.route().ttl("1m").query(["q", "page"]));
        let mut app = Router::new().nest("/api", Router::new().route("/search", annotated));
        if outer {
            app = app.layer(cache.layer());
        }
        // With an outer layer the first answer only tells how the key is made.
        for n in 0..2 {
            let reply = get(&app, "/api/search?utm=1&q=x&page=2&q=%78&cb=evil", &[]).await;
            let (seen, _) = reply.text().rsplit_once(' ').unwrap();
            assert_eq!(seen, "/search?page=2&q=x&q=%78 /api/search?page=2&q=x&q=%78", "{outer} {n}");
        }
        let same = get(&app, "/api/search?page=2&q=x&utm=2&q=%78", &[]).await;
        assert!(same.is_hit(), "{outer}: {}", same.cache_status());
        assert!(
            !get(&app, "/api/search?page=2&q=%78&q=x", &[]).await.is_hit(),
            "the order of repetitions counts"
        );
        assert!(!get(&app, "/api/search?page=3", &[]).await.is_hit());
        let none = get(&app, "/api/search?utm=3", &[]).await;
        assert!(none.text().starts_with("/search /api/search "), "{}", none.text());
        assert!(get(&app, "/api/search", &[]).await.is_hit());
    }
}

#[tokio::test]
async fn declared_fields_tell_answers_apart_without_the_response_s_help() {
    let cache = cache().await;
    let handler = async |request: Request<Body>| field(request.headers(), "x-plan");
    let annotated = routing::get(handler).layer(cache.route().ttl("1m").vary(["x-plan", "accept-language"]));
    let app = Router::new().route("/a", annotated).layer(cache.layer());
    for hit in [None, Some(false), Some(true)] {
        for plan in ["free", "paid", ""] {
            let reply = get(&app, "/a", &[("x-plan", plan)]).await;
            assert_eq!(reply.text(), plan);
            if hit == Some(true) {
                assert!(reply.is_hit());
            }
        }
    }
    assert_eq!(get(&app, "/a", &[]).await.text(), "-");
    assert_eq!(get(&app, "/a", &[("accept-language", "free")]).await.text(), "-");
}

#[tokio::test]
async fn a_request_without_a_principal_is_not_cached_where_the_route_wants_one() {
    for outer in [false, true] {
        let cache = cache().await;
        let user = |parts: &axum::http::request::Parts| {
            parts.headers.get("authorization").map(|v| v.as_bytes().to_vec())
        };
        let handler = async |request: Request<Body>| field(request.headers(), "authorization");
        let mut app =
            Router::new().route("/me", routing::get(handler).layer(cache.route().ttl("30s").vary_by(user)));
        if outer {
            app = app.layer(cache.layer());
        }
        for _ in 0..3 {
            for user in ["ann", "ben"] {
                assert_eq!(get(&app, "/me", &[("authorization", user)]).await.text(), user);
            }
            assert_eq!(get(&app, "/me", &[]).await.text(), "-");
        }
        assert!(get(&app, "/me", &[("authorization", "ann")]).await.is_hit(), "outer: {outer}");
        assert!(get(&app, "/me", &[]).await.cache_status().contains("detail=no-principal"));
    }
}

#[tokio::test]
async fn ignored_cookies_and_a_default_lifetime_and_a_route_that_is_off() {
    let cache = Cache::builder("test").default_ttl("10s").build().await.unwrap();
    let (plain, ignoring, off) = (Count::default(), Count::default(), Count::default());
    let app = Router::new()
        .route("/plain", page(&plain))
        .route("/ignoring", page(&ignoring).layer(cache.route().cookies(Cookies::Ignore)))
        .route("/off", page(&off).layer(cache.route().off()))
        .layer(cache.layer());
    for path in ["/plain", "/ignoring", "/off"] {
        get(&app, path, &[]).await;
        let again = get(&app, path, &[]).await;
        assert_eq!(again.is_hit(), path != "/off", "{path}");
        assert_eq!(get(&app, path, &[("cookie", "a=b")]).await.is_hit(), path == "/ignoring", "{path}");
    }
    assert!(get(&app, "/off", &[]).await.cache_status().contains("detail=off"));
}

#[tokio::test]
async fn a_fixed_authority_needs_no_host_and_minds_none() {
    let authority = Authority::Fixed("shop".into());
    let cache = Cache::builder("test").authority(authority).build().await.unwrap();
    let count = Count::default();
    let app = Router::new().route("/a", page(&count).layer(cache.route().ttl("1m"))).layer(cache.layer());
    let mut without = request(Method::GET, "/a", &[]);
    without.headers_mut().remove("host");
    send(&app, without).await;
    assert!(get(&app, "/a", &[("host", "10.0.0.7:8080")]).await.is_hit());
    let twice = get(&app, "/a", &[("host", "a"), ("host", "b")]).await;
    assert!(twice.cache_status().contains("fwd=bypass"), "S5 holds all the same");
}

#[tokio::test]
async fn what_cannot_be_invalidated_by_name_takes_the_namespace_with_it() {
    let errors = Errors::collect();
    let (cache, count) = (cache().await, Count::default());
    let app = Router::new()
        .route("/other", page(&count).layer(cache.route().ttl("1m")))
        .route(
            "/articles/{id}",
            routing::put(async || StatusCode::OK).layer(cache.invalidates(["article:{slug}"])),
        )
        .route("/long/{id}", routing::put(async || StatusCode::OK).layer(cache.invalidates(["long:{id}"])))
        .route(
            "/failing",
            routing::put(async || StatusCode::CONFLICT).layer(cache.invalidates(["article:{slug}"])),
        )
        .layer(cache.layer());
    get(&app, "/other", &[]).await;
    send(&app, request(Method::PUT, "/failing", &[])).await;
    assert!(get(&app, "/other", &[]).await.is_hit());
    for path in ["/articles/1".to_owned(), format!("/long/{}", "x".repeat(300))] {
        get(&app, "/other", &[]).await;
        send(&app, request(Method::PUT, &path, &[])).await;
        assert!(!get(&app, "/other", &[]).await.is_hit(), "{path}");
    }
    assert_eq!(errors.lines().len(), 2);
}

#[tokio::test]
async fn tags_are_filled_alike_by_rules_annotations_and_invalidations() {
    for by_rule in [false, true] {
        let (cache, count) = (cache().await, Count::default());
        let rules = cache.rules().at("/articles/{id}", |route| route.ttl("1m").tags(["article:{id}"]));
        let annotation = cache.route().ttl("1m").tags(["article:{id}"]);
        let show = if by_rule { page(&count) } else { page(&count).layer(annotation) };
        let write = routing::put(async |Path(_): Path<String>| StatusCode::OK)
            .layer(cache.invalidates(["article:{id}"]));
        let app = Router::new().route("/articles/{id}", show).route("/write/{id}", write);
        let app = if by_rule { app.layer(rules.layer().unwrap()) } else { app.layer(cache.layer()) };
        for id in ["42", "a%20b", "%C3%A9", "%2F", "a%7Bb"] {
            let page = format!("/articles/{id}");
            get(&app, &page, &[]).await;
            assert!(get(&app, &page, &[]).await.is_hit(), "{page}");
            send(&app, request(Method::PUT, &format!("/write/{id}"), &[])).await;
            assert!(!get(&app, &page, &[]).await.is_hit(), "rule: {by_rule}, {page}");
        }
        cache.invalidate(Tag("article:a b")).await.unwrap();
        assert!(!get(&app, "/articles/a%20b", &[]).await.is_hit());
        cache.invalidate(All).await.unwrap();
    }
}
