//! Every order in which layers are put around each other.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Request, StatusCode};
use axum::middleware::{self, Next};
use axum::response::IntoResponse;
use axum::routing;
use forebay::Cache;
use tower::{ServiceBuilder, service_fn};

use crate::support::{Count, Errors, cache, field, get, request, send};

fn user(parts: &Parts) -> Option<Vec<u8>> {
    parts.headers.get("x-user").map(|user| user.as_bytes().to_vec())
}

/// Answers with the user's name and says that everybody may have it: only the route knows better.
fn me() -> routing::MethodRouter {
    routing::get(async |request: Request<Body>| {
        ([("cache-control", "max-age=60")], field(request.headers(), "x-user"))
    })
}

fn by_user(cache: &Cache) -> routing::MethodRouter {
    me().layer(cache.route().ttl("1m").vary_by(user))
}

fn numbered(count: &Count) -> routing::MethodRouter {
    let count = count.clone();
    routing::get(move || std::future::ready(count.up().to_string()))
}

/// Puts a response together from its parts, as a layer may that knows nothing of extensions.
async fn anew(response: axum::response::Response) -> axum::response::Response {
    let (head, body) = response.into_parts();
    (head.status, head.headers, body).into_response()
}

/// Lets users through only.
async fn guarded(request: Request<Body>, next: Next) -> axum::response::Response {
    match request.headers().contains_key("x-user") {
        true => next.run(request).await,
        false => StatusCode::UNAUTHORIZED.into_response(),
    }
}

/// Asks for `path` as several users, several times, and wants each to get their own.
async fn each_gets_their_own(app: &Router, path: &str, order: &str) {
    for round in 0..4 {
        for user in ["ann", "ben", "cat"] {
            assert_eq!(get(app, path, &[("x-user", user)]).await.text(), user, "{order}, round {round}");
        }
    }
}

#[tokio::test]
async fn in_no_order_does_a_route_of_users_mix_them() {
    let other = cache().await;
    type Build = dyn Fn(&Cache) -> Router;
    let orders: [(&str, &str, Box<Build>); 12] = [
        ("alone", "/me", Box::new(|c| Router::new().route("/me", by_user(c)))),
        ("under the layer", "/me", Box::new(|c| Router::new().route("/me", by_user(c)).layer(c.layer()))),
        (
            "under two layers",
            "/me",
            Box::new(|c| Router::new().route("/me", by_user(c)).layer(c.layer()).layer(c.layer())),
        ),
        (
            "nested",
            "/a/me",
            Box::new(|c| Router::new().nest("/a", Router::new().route("/me", by_user(c))).layer(c.layer())),
        ),
        (
            "nested, both with the layer",
            "/a/me",
            Box::new(|c| {
                Router::new()
                    .nest("/a", Router::new().route("/me", by_user(c)).layer(c.layer()))
                    .layer(c.layer())
            }),
        ),
        (
            "nested as a service",
            "/a/me",
            Box::new(|c| {
                Router::new().nest_service("/a", Router::new().route("/me", by_user(c))).layer(c.layer())
            }),
        ),
        (
            "as a fallback",
            "/me",
            Box::new(|c| {
                Router::new().fallback_service(Router::new().route("/me", by_user(c))).layer(c.layer())
            }),
        ),
        (
            "by route_layer",
            "/me",
            Box::new(|c| {
                Router::new().route("/me", me()).route_layer(c.route().vary_by(user)).layer(c.layer())
            }),
        ),
        (
            "under rules for others",
            "/me",
            Box::new(|c| {
                let rules = c.rules().at("/x", |route| route.ttl("1m")).layer().unwrap();
                Router::new().route("/me", by_user(c)).layer(rules)
            }),
        ),
        (
            "under a rule that knows nothing of users",
            "/me",
            Box::new(|c| {
                let rules = c.rules().at("/me", |route| route.ttl("1m")).layer().unwrap();
                Router::new().route("/me", by_user(c)).layer(rules)
            }),
        ),
        (
            "under an annotation that knows nothing of users",
            "/me",
            Box::new(|c| {
                Router::new()
                    .route("/me", by_user(c).layer::<_, Infallible>(c.route().ttl("1m")))
                    .layer(c.layer())
            }),
        ),
        (
            "under a response that is put together anew",
            "/me",
            Box::new(|c| {
                Router::new().route("/me", by_user(c)).layer(middleware::map_response(anew)).layer(c.layer())
            }),
        ),
    ];
    for (order, path, build) in orders {
        let cache = cache().await;
        each_gets_their_own(&build(&cache), path, order).await;
        each_gets_their_own(&build(&cache).with_state(()), path, order).await;
    }
    let cache = cache().await;
    let app = Router::new().route("/me", by_user(&cache)).layer(other.layer());
    each_gets_their_own(&app, "/me", "under another cache").await;
}

#[tokio::test]
async fn a_refusal_in_between_teaches_the_outer_layer_nothing() {
    let (cache, count) = (cache().await, Count::default());
    let guard = middleware::from_fn(guarded);
    let app = Router::new()
        .route("/me", me().layer(cache.route().vary_by(user)).layer(guard.clone()))
        .route("/all", numbered(&count).layer(cache.route().ttl("1m")).layer(guard))
        .layer(cache.layer())
        .with_state(());
    for path in ["/me", "/all"] {
        assert_eq!(get(&app, path, &[]).await.status, StatusCode::UNAUTHORIZED);
    }
    each_gets_their_own(&app, "/me", "after a refusal").await;
    get(&app, "/all", &[("x-user", "ann")]).await;
    assert!(get(&app, "/all", &[("x-user", "ben")]).await.is_hit());
}

#[tokio::test]
async fn two_apps_on_one_cache_may_annotate_one_path_differently() {
    let cache = cache().await;
    let list = routing::get(async |request: Request<Body>| request.uri().to_string());
    let shared = Router::new()
        .route("/me", list.clone().layer(cache.route().ttl("1m").query(["q"])))
        .layer(cache.layer());
    let users = Router::new().route("/me", me().layer(cache.route().vary_by(user))).layer(cache.layer());
    let plain = Router::new().route("/me", list).layer(cache.layer());
    for n in 0..3 {
        let page = format!("/me?x={n}");
        assert_eq!(get(&shared, &page, &[("host", "shared")]).await.text(), "/me");
        for user in ["ann", "ben"] {
            assert_eq!(get(&users, &page, &[("host", "users"), ("x-user", user)]).await.text(), user);
        }
        assert_eq!(
            get(&plain, &page, &[("host", "plain")]).await.text(),
            page,
            "nobody takes its query away"
        );
    }
}

#[tokio::test]
async fn two_annotations_on_one_route_cache_nothing_and_say_so() {
    let errors = Errors::collect();
    let (cache, count) = (cache().await, Count::default());
    let twice =
        numbered(&count).layer::<_, Infallible>(cache.route().ttl("1m")).layer(cache.route().ttl("2m"));
    let app = Router::new().route("/a", twice);
    for app in [app.clone(), app.layer(cache.layer())] {
        get(&app, "/a", &[]).await;
        assert!(!get(&app, "/a", &[]).await.is_hit());
    }
    assert_eq!(errors.lines().len(), 1, "{:?}", errors.lines());
}

// What is blind to routes must not wait for itself: the paused clock would show the wait.
#[tokio::test(start_paused = true)]
async fn a_layer_around_the_whole_router_leaves_the_work_to_the_routes_inside() {
    let (cache, count) = (cache().await, Count::default());
    let inside =
        Router::new().route("/a/{id}", numbered(&count).layer(cache.route().ttl("1m").tags(["a:{id}"])));
    let app = ServiceBuilder::new().layer(cache.layer()).service(inside);
    let start = tokio::time::Instant::now();
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let app = app.clone();
            tokio::spawn(async move { send(&app, request(Method::GET, "/a/1", &[])).await.text().to_owned() })
        })
        .collect();
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap(), "1");
    }
    assert!(send(&app, request(Method::GET, "/a/1", &[])).await.is_hit());
    cache.invalidate(forebay::Tag("a:1")).await.unwrap();
    assert_eq!(send(&app, request(Method::GET, "/a/1", &[])).await.text(), "2");
    assert_eq!(start.elapsed().as_secs(), 0);
}

#[tokio::test]
async fn compression_outside_of_the_cache_serves_every_client_from_one_entry() {
    let (cache, count) = (cache().await, Count::default());
    let compress = middleware::from_fn(async |request: Request<Body>, next: Next| {
        let accepts = field(request.headers(), "accept-encoding");
        let mut response = next.run(request).await;
        if accepts.contains("gzip") {
            response.headers_mut().insert("content-encoding", HeaderValue::from_static("gzip"));
            response.headers_mut().append("vary", HeaderValue::from_static("accept-encoding"));
        }
        response
    });
    let app = Router::new().route("/a", numbered(&count).layer(cache.route().ttl("1m")));
    let app = app.layer(cache.layer()).layer(compress);
    for (accepts, encoding) in [("gzip", "gzip"), ("br", "-"), ("gzip", "gzip")] {
        let reply = get(&app, "/a", &[("accept-encoding", accepts)]).await;
        assert_eq!((reply.text(), field(&reply.headers, "content-encoding").as_str()), ("1", encoding));
    }
}

#[tokio::test]
async fn a_service_on_a_route_and_two_methods_on_one_path() {
    let (cache, count) = (cache().await, Count::default());
    let counting = count.clone();
    let service = service_fn(move |_: Request<Body>| {
        let n = counting.up();
        async move { Ok::<_, Infallible>(([("cache-control", "max-age=60")], n.to_string()).into_response()) }
    });
    let app = Router::new()
        .route_service("/service", service)
        .route(
            "/both",
            numbered(&count)
                .layer(cache.route().ttl("1m"))
                .head(async || [("x-head", "own")])
                .post(async || StatusCode::CONFLICT),
        )
        .layer(cache.layer());
    // HEAD has a handler of its own that is not annotated: what it shows says nothing about GET.
    assert_eq!(field(&send(&app, request(Method::HEAD, "/both", &[])).await.headers, "x-head"), "own");
    for path in ["/service", "/both"] {
        get(&app, path, &[]).await;
        send(&app, request(Method::POST, path, &[])).await;
        get(&app, path, &[]).await;
        assert!(get(&app, path, &[]).await.is_hit(), "{path}");
    }
}

#[tokio::test]
async fn a_router_made_anew_for_each_request_shares_what_the_cache_has_learned() {
    let (cache, count) = (cache().await, Count::default());
    let fresh = || {
        Router::new()
            .route("/all", numbered(&count).layer(cache.route().ttl("1m")))
            .route("/me", me().layer(cache.route().ttl("1m").vary_by(user)))
            .layer(cache.layer())
    };
    get(&fresh(), "/all", &[]).await;
    assert!(get(&fresh(), "/all", &[]).await.is_hit());
    for hit in [false, false, true] {
        let reply = get(&fresh(), "/me", &[("x-user", "ann")]).await;
        assert_eq!((reply.text(), reply.is_hit()), ("ann", hit));
    }
    assert_eq!(get(&fresh(), "/me", &[("x-user", "ben")]).await.text(), "ben");
}
