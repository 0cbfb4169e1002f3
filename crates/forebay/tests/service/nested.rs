//! Stale answers under two layers, and where a layer is still learning what holds for a route.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use axum::routing;
use forebay::{Cache, Clock};
use forebay_testkit::clock::ManualClock;
use futures_util::future::join_all;
use tower::ServiceBuilder;

use crate::support::{Count, field, request, send};

/// A page with an entity tag that knows conditions, and tells how often it was asked.
fn page(count: &Count, control: &'static str) -> routing::MethodRouter {
    let count = count.clone();
    routing::get(move |request: Request| {
        count.up();
        let known = request.headers().contains_key("if-none-match");
        let fields = [("etag", "\"1\""), ("cache-control", control)];
        std::future::ready(match known {
            true => (StatusCode::NOT_MODIFIED, fields, "").into_response(),
            false => (StatusCode::OK, fields, "page").into_response(),
        })
    })
}

async fn timed() -> (Cache, ManualClock) {
    let clock = ManualClock::default();
    (Cache::builder("test").clock(Clock::new(clock.clone())).build().await.unwrap(), clock)
}

// Each layer asks the one inside with conditions of its own; none of their answers is the client's.
#[tokio::test(start_paused = true)]
async fn a_stale_answer_is_validated_through_both_layers() {
    for windows in ["max-age=60", "max-age=60, stale-while-revalidate=600", "max-age=60, stale-if-error=600"]
    {
        let ((cache, clock), count) = (timed().await, Count::default());
        let inside =
            Router::new().route("/a/{id}", page(&count, windows).layer(cache.route().tags(["a:{id}"])));
        let blind = ServiceBuilder::new().layer(cache.layer()).service(inside.clone());
        let outer = ServiceBuilder::new().layer(cache.layer()).service(inside.layer(cache.layer()));
        let get = async |nested: bool| {
            let request = request(Method::GET, "/a/1", &[]);
            let reply = if nested { send(&outer, request).await } else { send(&blind, request).await };
            assert_eq!((reply.status.as_u16(), reply.text()), (200, "page"), "{}", reply.cache_status());
            reply
        };
        let start = tokio::time::Instant::now();
        for nested in [false, true, false, true] {
            get(nested).await;
            clock.advance(Duration::from_secs(100));
            let calls = count.get();
            let replies = join_all((0..20).map(|_| get(nested))).await;
            assert_eq!(count.get(), calls + 1, "{windows}, {nested}");
            if !windows.contains("revalidate") {
                assert!(replies.iter().all(|reply| field(&reply.headers, "age") != "100"));
            }
            assert!(get(nested).await.is_hit(), "{windows}, {nested}");
        }
        assert_eq!(start.elapsed().as_secs(), 0, "nobody has waited for itself");
        cache.invalidate(forebay::Tag("a:1")).await.unwrap();
        let calls = count.get();
        get(false).await;
        assert_eq!(count.get(), calls + 1);
    }
}

// A layer that has not heard of the route yet cannot be sure that what is stored is what it asks about.
#[tokio::test]
async fn a_route_that_is_not_known_yet_is_not_asked_to_confirm_what_is_stored() {
    let server = forebay_testkit::memory::MemoryServer::new();
    let clock = ManualClock::default();
    let on = async || {
        let l2: std::sync::Arc<dyn forebay::L2> = std::sync::Arc::new(server.client());
        let cache = Cache::builder("test").clock(Clock::new(clock.clone())).l2(l2).build().await.unwrap();
        crate::support::settle().await;
        cache
    };
    let user = |parts: &axum::http::request::Parts| Some(field(&parts.headers, "x-user").into_bytes());
    let whose = async |request: axum::http::Request<Body>| {
        let known = request.headers().contains_key("if-none-match");
        let fields = [("etag", "\"1\""), ("cache-control", "max-age=60")];
        match known {
            true => (StatusCode::NOT_MODIFIED, fields, String::new()),
            false => (StatusCode::OK, fields, field(request.headers(), "x-user")),
        }
    };
    let before = on().await;
    let app = Router::new().route("/me", routing::get(whose)).layer(before.layer());
    crate::support::get(&app, "/me", &[]).await;
    assert!(crate::support::get(&app, "/me", &[]).await.is_hit());
    clock.advance(Duration::from_secs(100));
    // The next deployment has understood that the page is each user's own.
    let after = on().await;
    let app = Router::new().route("/me", routing::get(whose).layer(after.route().vary_by(user)));
    let app = app.layer(after.layer());
    for user in ["ann", "ben", "ann"] {
        assert_eq!(crate::support::get(&app, "/me", &[("x-user", user)]).await.text(), user);
    }
}
