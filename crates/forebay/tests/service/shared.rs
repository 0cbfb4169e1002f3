//! The layer over a tier that instances share: what stands there, and what they learn from each other.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing;
use forebay::{Cache, L2};
use forebay_core::time::TimeSource;
use forebay_testkit::clock::ManualClock;
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

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_back_makes_no_answer_last_and_undoes_no_invalidation() {
    let (server, count) = (MemoryServer::new(), Count::default());
    let clocks = [ManualClock::default(), ManualClock::default()];
    let mut apps = Vec::new();
    for clock in &clocks {
        let (l2, counted): (Arc<dyn L2>, _) = (Arc::new(server.client()), count.clone());
        let cache = Cache::builder("test").l2(l2).clock(forebay::Clock::new(clock.clone()));
        let cache = cache.build().await.unwrap();
        settle().await;
        let handler = move || {
            counted.up();
            std::future::ready(([("cache-control", "max-age=60")], counted.get().to_string()))
        };
        apps.push((Router::new().route("/a", routing::get(handler)).layer(cache.layer()), cache));
    }
    let pass = async |seconds: u64| {
        for _ in 0..seconds {
            clocks.iter().for_each(|clock| clock.advance(Duration::from_secs(1)));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let [(a, _), (b, cache)] = &apps[..] else { unreachable!("two") };
    pass(5).await;
    get(a, "/a", &[]).await;
    settle().await;
    pass(10).await;
    // The clock of the second goes back by an hour: an entry of the other was made in its future.
    clocks[1].set_wall(clocks[1].wall() - Duration::from_secs(3600));
    let from_l2 = get(b, "/a", &[]).await;
    assert_eq!((from_l2.text(), field(&from_l2.headers, "age").as_str()), ("1", "0"));
    // The first's own goes back under an entry that it holds: that one's age goes by another clock.
    clocks[0].set_wall(clocks[0].wall() - Duration::from_secs(3600));
    assert_eq!(field(&get(a, "/a", &[]).await.headers, "age"), "10");
    cache.invalidate(forebay::Path("/a")).await.unwrap();
    settle().await;
    for app in [b, a] {
        assert_eq!(get(app, "/a", &[]).await.text(), "2");
        settle().await;
    }
    pass(61).await;
    assert_eq!(get(a, "/a", &[]).await.text(), "3", "its time is over, and Redis' time as well");
}
