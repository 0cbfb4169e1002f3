//! One user's answer never reaches another (S12, S13, S15, S20).

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, header};
use axum::middleware::{self, Next};
use axum::response::IntoResponse;
use axum::routing;
use forebay::{Cookies, RouteOptions};
use tokio::sync::Barrier;

use crate::support::{Count, Fields, cache, field, get, settle};

/// Answers with the user's name, under these fields.
fn me(fields: Fields<'static>) -> routing::MethodRouter {
    routing::get(async move |request: Request<Body>| {
        let (user, cookie) = (field(request.headers(), "authorization"), field(request.headers(), "cookie"));
        let mut response = format!("{user} {cookie}").into_response();
        for (name, value) in fields {
            response.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        response
    })
}

// S12
//= https://www.rfc-editor.org/rfc/rfc9111#section-3
//= type=test
//# if the cache is shared: the Authorization header field is not present in the request (see Section
//# 11.6.2 of [HTTP]) or a response directive is present that explicitly allows shared caching (see
//# Section 3.5); and
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3.5
//= type=test
//# A shared cache MUST NOT use a cached response to a request with an Authorization header field (Section
//# 11.6.2 of [HTTP]) to satisfy any subsequent request unless the response contains a Cache-Control field
//# with a response directive (Section 5.2.2) that allows it to be stored by a shared cache, and the cache
//# conforms to the requirements of that directive for that response.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.2
//= type=test
//# The must-revalidate directive also permits a shared cache to reuse a response to a request containing
//# an Authorization header field (Section 11.6.2 of [HTTP]), subject to the above requirement on
//# revalidation (Section 3.5).
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.9
//= type=test
//# For example, public permits a shared cache to reuse a response to a request containing an
//# Authorization header field (Section 3.5).
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.10
//= type=test
//# This directive also permits a shared cache to reuse a response to a request containing an
//# Authorization header field, subject to the above requirements on maximum age and revalidation (Section
//# 3.5).
#[tokio::test]
async fn a_response_to_authorization_is_shared_only_if_it_says_so() {
    let directives: [(&str, bool); 12] = [
        ("max-age=60", false),
        ("public, max-age=60", true),
        ("s-maxage=60", true),
        ("must-revalidate, max-age=60", true),
        ("proxy-revalidate, max-age=60", false),
        ("private, s-maxage=60", false),
        ("private=\"x\", s-maxage=60", false),
        ("public, max-age=60, no-store", false),
        ("public, max-age=60, no-cache", false),
        ("max-age=60, immutable", false),
        ("public", false),
        ("", false),
    ];
    for (directive, shared) in directives {
        for name in ["authorization", "proxy-authorization", "x-api-key", "api-key", "x-auth-token"] {
            let fields = Box::leak(Box::new([("cache-control", directive)]));
            let app = Router::new().route("/me", me(fields)).layer(cache().await.layer());
            get(&app, "/me", &[(name, "ann")]).await;
            let ben = get(&app, "/me", &[(name, "ben")]).await;
            assert_eq!(ben.is_hit(), shared, "{directive:?} {name}");
            if name == "authorization" {
                assert_eq!(ben.text(), if shared { "ann -" } else { "ben -" }, "{directive:?}");
            }
            let anonymous = get(&app, "/me", &[]).await;
            assert_eq!(anonymous.is_hit(), shared, "{directive:?}");
            // And the other way round: what anybody left is not for those who are somebody.
            assert_eq!(get(&app, "/me", &[(name, "cat")]).await.is_hit(), shared, "{directive:?} {name}");
        }
    }
}

// S12: the bar holds for every variant, too.
#[tokio::test]
async fn a_variant_left_by_nobody_is_not_for_somebody() {
    let fields = &[("cache-control", "max-age=60"), ("vary", "accept")];
    let app = Router::new().route("/me", me(fields)).layer(cache().await.layer());
    get(&app, "/me", &[]).await;
    assert!(get(&app, "/me", &[]).await.is_hit());
    assert_eq!(get(&app, "/me", &[("authorization", "ann")]).await.text(), "ann -");
}

// S12: authentication outside of the cache, as documented: it sees whom the handler sees.
#[tokio::test]
async fn inside_of_authentication_the_cache_sees_the_credentials_that_it_adds() {
    let auth = middleware::from_fn(async |mut request: Request<Body>, next: Next| {
        if let Some(session) = request.headers_mut().remove("x-session") {
            request.headers_mut().insert(header::AUTHORIZATION, session);
        }
        next.run(request).await
    });
    let app = Router::new().route("/me", me(&[("cache-control", "max-age=60")]));
    let app = app.layer(cache().await.layer()).layer(auth);
    for user in ["ann", "ben"] {
        assert_eq!(get(&app, "/me", &[("x-session", user)]).await.text(), format!("{user} -"));
    }
}

// S12: authentication between the two layers. The outer one cannot see the user, and must not cache rather than mix.
#[tokio::test]
async fn authentication_between_the_layers_costs_the_cache_not_the_user() {
    #[derive(Clone)]
    struct User(String);
    for outer_sees in [false, true] {
        let cache = cache().await;
        let auth = middleware::from_fn(async |mut request: Request<Body>, next: Next| {
            // The client may claim to be anybody; the session tells who it is.
            let user = field(request.headers(), "x-session");
            request.headers_mut().insert("x-user", user.parse().unwrap());
            request.extensions_mut().insert(User(user));
            next.run(request).await
        });
        let handler = async |request: Request<Body>| {
            let User(user) = request.extensions().get::<User>().unwrap();
            ([("cache-control", "max-age=60")], user.clone())
        };
        let by_extension = |parts: &axum::http::request::Parts| {
            parts.extensions.get::<User>().map(|User(user)| user.clone().into_bytes())
        };
        let by_field =
            |parts: &axum::http::request::Parts| Some(field(&parts.headers, "x-user").into_bytes());
        let route = cache.route().ttl("1m");
        let route = if outer_sees { route.vary_by(by_field) } else { route.vary_by(by_extension) };
        let app =
            Router::new().route("/me", routing::get(handler).layer(route).layer(auth)).layer(cache.layer());
        for _ in 0..3 {
            for user in ["ann", "ben", "cat"] {
                let claims = [("x-session", user), ("x-user", "ann")];
                let claims = if user == "ben" { &claims } else { &claims[..1] };
                assert_eq!(get(&app, "/me", claims).await.text(), user, "{outer_sees}");
            }
        }
    }
}

// S13
#[tokio::test]
async fn a_cookie_that_is_set_reaches_only_the_client_it_is_set_for() {
    let count = Count::default();
    let counting = count.clone();
    let handler = move || async move {
        let cookie = format!("session=canary-{}", counting.up());
        (
            forebay::Cached::ttl("1m"),
            [("cache-control", "public, max-age=60".to_owned()), ("set-cookie", cookie)],
            "hi",
        )
    };
    let app = Router::new().route("/a", routing::get(handler)).layer(cache().await.layer());
    for n in 1..4 {
        let reply = get(&app, "/a", &[]).await;
        assert_eq!(field(&reply.headers, "set-cookie"), format!("session=canary-{n}"));
        assert!(reply.cache_status().contains("detail=set-cookie"), "{}", reply.cache_status());
    }
}

// S15
#[tokio::test]
async fn cookies_count_where_a_route_gives_the_freshness_and_not_where_the_response_does() {
    type Options = fn(RouteOptions) -> RouteOptions;
    let cases: [(Fields<'static>, Options, bool); 4] = [
        (&[], |route| route.ttl("1m"), false),
        (&[], |route| route.ttl("1m").cookies(Cookies::Ignore), true),
        (
            &[],
            |route| route.ttl("1m").vary_by(|parts| Some(field(&parts.headers, "cookie").into_bytes())),
            true,
        ),
        (&[("cache-control", "max-age=60")], |route| route.ttl("1m"), true),
    ];
    for (number, (fields, options, stored)) in cases.into_iter().enumerate() {
        let cache = cache().await;
        let layer = cache.rules().at("/me", options).layer().unwrap();
        let app = Router::new().route("/me", me(fields)).layer(layer);
        get(&app, "/me", &[("cookie", "s=1")]).await;
        assert_eq!(get(&app, "/me", &[("cookie", "s=1")]).await.is_hit(), stored, "case {number}");
        if !stored {
            get(&app, "/me", &[]).await;
            assert!(get(&app, "/me", &[]).await.is_hit());
            assert_eq!(get(&app, "/me", &[("cookie", "s=2")]).await.text(), "- s=2", "nor is it answered");
        }
    }
}

// S20: a hundred at once, and the handler decides late that the answer is the user's own.
#[tokio::test]
async fn a_hundred_users_at_once_get_a_hundred_answers() {
    for private in ["private, max-age=60", "no-store", "public, max-age=60"] {
        let own = private.starts_with("public");
        let handler = async move |request: Request<Body>| {
            settle().await;
            let user = field(request.headers(), "x-user");
            let mut response = user.clone().into_response();
            response.headers_mut().insert("cache-control", HeaderValue::from_static(private));
            if own {
                response.headers_mut().insert("set-cookie", format!("user={user}").parse().unwrap());
            }
            response
        };
        let app = Router::new().route("/me", routing::get(handler)).layer(cache().await.layer());
        let start = Arc::new(Barrier::new(100));
        let users = (0..100).map(|user| {
            let (app, start) = (app.clone(), Arc::clone(&start));
            tokio::spawn(async move {
                start.wait().await;
                let reply = get(&app, "/me", &[("x-user", &user.to_string())]).await;
                assert_eq!(reply.text(), user.to_string());
                assert_eq!(reply.headers.contains_key("set-cookie"), own);
            })
        });
        for user in users.collect::<Vec<_>>() {
            user.await.unwrap();
        }
    }
}
