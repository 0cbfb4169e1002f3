//! Answers to POST that are stored for GET (RFC 9110 9.3.3).

use axum::Router;
use axum::http::Method;
use axum::response::IntoResponse;
use axum::routing::get as on_get;
use forebay::{Cache, Policy, Post};

use crate::support::*;

/// A resource that tells the number of calls, its answers to POST with these fields.
async fn resource(post: Post, fields: Fields<'static>) -> (Router, Count) {
    let mut policy = Policy::origin();
    policy.post = post;
    let cache = Cache::builder("test").policy(policy).build().await.unwrap();
    let count = Count::default();
    let (read, written) = (count.clone(), count.clone());
    let read = move || async move { ([("cache-control", "max-age=60")], read.up().to_string()) };
    let write = move || async move {
        let headers = fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        (headers.collect::<axum::http::HeaderMap>(), written.up().to_string()).into_response()
    };
    (Router::new().route("/a", on_get(read).post(write)).layer(cache.layer()), count)
}

async fn post(app: &Router) -> Reply {
    send(app, request(Method::POST, "/a", &[])).await
}

const STORABLE: Fields<'static> = &[("cache-control", "max-age=60"), ("content-location", "/a")];

//= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.3
//= type=test
//# Responses to POST requests are only cacheable when they include explicit freshness information (see
//# Section 4.2.1 of [CACHING]) and a Content-Location header field that has the same value as the POST's
//# target URI (Section 8.7).
#[tokio::test]
async fn one_with_freshness_and_its_own_location_answers_gets() {
    let (app, count) = resource(Post::Store, STORABLE).await;
    assert_eq!(get(&app, "/a", &[]).await.text(), "1");
    assert!(post(&app).await.cache_status().starts_with("forebay; fwd=method; stored; ttl=60"));
    let reply = get(&app, "/a", &[]).await;
    assert!(reply.is_hit());
    assert_eq!(reply.text(), "2", "not what was there before");
    assert_eq!(count.get(), 2);
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.3
//= type=test
//# A cached POST response can be reused to satisfy a later GET or HEAD request. In contrast, a POST
//# request cannot be satisfied by a cached POST response because POST is potentially unsafe; see Section 4
//# of [CACHING].
#[tokio::test]
async fn a_post_always_reaches_the_handler() {
    let (app, count) = resource(Post::Store, STORABLE).await;
    for call in 1..4 {
        assert_eq!(post(&app).await.text(), call.to_string());
    }
    assert_eq!(count.get(), 3);
    assert_eq!(get(&app, "/a", &[]).await.text(), "3");
}

#[tokio::test]
async fn others_only_invalidate() {
    let elsewhere: Fields<'static> = &[("cache-control", "max-age=60"), ("content-location", "/b")];
    let unfresh: Fields<'static> = &[("content-location", "/a")];
    for (mode, fields) in [(Post::Store, elsewhere), (Post::Store, unfresh), (Post::Pass, STORABLE)] {
        let (app, _) = resource(mode, fields).await;
        get(&app, "/a", &[]).await;
        post(&app).await;
        let reply = get(&app, "/a", &[]).await;
        assert!(!reply.is_hit(), "{mode:?} {fields:?}");
        assert_eq!(reply.text(), "3");
    }
}

/// What the handler gets of a POST, on a route that keys one parameter only.
async fn received(fields: Fields<'_>) -> (String, String) {
    let mut policy = Policy::origin();
    policy.post = Post::Store;
    let cache = Cache::builder("test").policy(policy).build().await.unwrap();
    let echo = async |request: axum::extract::Request| {
        let query = request.uri().query().unwrap_or_default().to_owned();
        format!("{query} {}", field(request.headers(), "if-none-match"))
    };
    let rules = cache.rules().at("/a", |route| route.ttl("1m").query(["q"])).layer().unwrap();
    let app = Router::new().route("/a", axum::routing::post(echo)).layer(rules);
    let reply = send(&app, request(Method::POST, "/a?z=1&q=2", fields)).await;
    let (query, condition) = reply.text().split_once(' ').unwrap();
    (query.to_owned(), condition.to_owned())
}

#[tokio::test]
async fn a_post_reaches_the_handler_as_it_was_sent() {
    let (query, condition) = received(&[("if-none-match", "*")]).await;
    assert_eq!(condition, "*", "only the service can judge it");
    assert_eq!(query, "z=1&q=2", "what is left out of keys is not left out of changes");
}
