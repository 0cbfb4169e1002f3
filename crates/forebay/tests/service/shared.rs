//! The layer over a tier that instances share: what stands there, and what they learn from each other.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing;
use forebay::{Cache, L2};
use forebay_testkit::memory::MemoryServer;

use crate::support::{Count, field, get, settle};

async fn on(server: &MemoryServer) -> Cache {
    let l2: Arc<dyn L2> = Arc::new(server.client());
    let cache = Cache::builder("test").l2(l2).build().await.unwrap();
    settle().await;
    cache
}

/// Everything that stands in the tier.
fn contents(server: &MemoryServer) -> Vec<u8> {
    let mut all = Vec::new();
    server.corrupt(|key, frame| {
        all.extend_from_slice(key.as_bytes());
        all.extend_from_slice(frame);
        frame.to_vec()
    });
    all
}

fn holds(contents: &[u8], text: &str) -> bool {
    contents.windows(text.len()).any(|window| window == text.as_bytes())
}

// S3, S13
#[tokio::test]
async fn the_shared_tier_holds_no_url_no_credential_and_no_cookie() {
    let server = MemoryServer::new();
    let cache = on(&server).await;
    let by_user = |parts: &axum::http::request::Parts| Some(field(&parts.headers, "cookie").into_bytes());
    let app = Router::new()
        .route(
            "/canary-path/{id}",
            routing::get(async || "kept")
                .layer(cache.route().ttl("1m").tags(["canary-tag:{id}"]).vary(["x-canary"]).vary_by(by_user)),
        )
        .route(
            "/cookie",
            routing::get(async || {
                ([("cache-control", "public, max-age=60"), ("set-cookie", "s=canary-set")], "canary-body")
            }),
        )
        .route(
            "/private",
            routing::get(async || ([("cache-control", "private, max-age=60")], "canary-private")),
        )
        .layer(cache.layer());
    let fields = [
        ("cookie", "s=canary-cookie"),
        ("authorization", "canary-authorization"),
        ("x-canary", "canary-field"),
        ("x-forwarded-host", "canary-host"),
    ];
    for path in ["/canary-path/canary-id?q=canary-query", "/cookie", "/private"] {
        get(&app, path, &fields).await;
        get(&app, path, &fields).await;
    }
    let contents = contents(&server);
    assert!(holds(&contents, "kept"), "one of them is kept");
    assert!(!holds(&contents, "canary"));
}

#[tokio::test]
async fn another_instance_answers_from_the_shared_tier_and_mixes_nobody() {
    let server = MemoryServer::new();
    let count = Count::default();
    let app = |cache: &Cache| {
        let count = count.clone();
        let handler = move |request: Request<Body>| {
            count.up();
            let (user, accept) = (field(request.headers(), "x-user"), field(request.headers(), "accept"));
            std::future::ready((
                [("cache-control", "max-age=60"), ("vary", "accept")],
                format!("{user} {accept}"),
            ))
        };
        let by_user = |parts: &axum::http::request::Parts| Some(field(&parts.headers, "x-user").into_bytes());
        let annotated = routing::get(handler).layer(cache.route().vary_by(by_user));
        Router::new().route("/me", annotated).layer(cache.layer()).with_state(())
    };
    let caches = [on(&server).await, on(&server).await];
    let apps = caches.each_ref().map(app);
    for round in 0..3 {
        for user in ["ann", "ben"] {
            for accept in ["a", "b"] {
                for app in &apps {
                    let reply = get(app, "/me", &[("x-user", user), ("accept", accept)]).await;
                    assert_eq!(reply.text(), format!("{user} {accept}"), "round {round}");
                }
            }
        }
    }
    // Four answers, and the first of each instance, which only tells how its key is made.
    assert!(count.get() <= 6, "{} calls", count.get());
    assert!(get(&apps[1], "/me", &[("x-user", "ben"), ("accept", "b")]).await.is_hit());
}

// S18: bytes in the shared tier that somebody has changed.
#[tokio::test]
async fn changed_bytes_in_the_shared_tier_are_a_miss() {
    let server = MemoryServer::new();
    let cache = on(&server).await;
    let count = Count::default();
    let app = |cache: &Cache| {
        let count = count.clone();
        let handler = move || std::future::ready(([("cache-control", "max-age=60")], count.up().to_string()));
        Router::new().route("/a", routing::get(handler)).layer(cache.layer())
    };
    get(&app(&cache), "/a", &[]).await;
    assert_eq!(server.frames(), 1);
    for at in [0, 5, 40, usize::MAX] {
        let changed = count.get();
        server.corrupt(|_, frame| {
            let mut frame = frame.to_vec();
            let at = at.min(frame.len() - 1);
            frame[at] ^= 1;
            frame
        });
        let fresh = on(&server).await;
        assert_eq!(get(&app(&fresh), "/a", &[]).await.text(), (changed + 1).to_string(), "byte {at}");
    }
}
