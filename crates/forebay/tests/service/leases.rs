//! Several instances on one shared tier: one of them asks, and what the others say of that.

use std::sync::Arc;

use axum::Router;
use axum::routing;
use forebay::{Cache, CacheBuilder, L2, Policy, Upkeep};
use forebay_testkit::clock::TokioClock;
use forebay_testkit::memory::MemoryServer;
use forebay_testkit::origin::CountingOrigin;

use crate::support::{Reply, field, get, settle};

async fn on(server: &MemoryServer, change: impl FnOnce(CacheBuilder) -> CacheBuilder) -> Cache {
    let l2: Arc<dyn L2> = Arc::new(server.client());
    let cache = Cache::builder("test").l2(l2).clock(forebay::Clock::new(TokioClock::new()));
    let cache = change(cache).build().await.unwrap();
    settle().await;
    cache
}

/// A service whose pages come from `origin`, the path being the key; those under `/own` each instance makes for itself.
fn app(cache: &Cache, origin: &CountingOrigin) -> Router {
    let page = |control: &'static str| {
        let origin = origin.clone();
        move |request: axum::extract::Request| async move {
            let answer = origin.answer(request.uri().path()).await;
            ([("cache-control", control)], answer.version.to_string())
        }
    };
    Router::new()
        .route("/a", routing::get(page("max-age=60")))
        .route("/slow", routing::get(page("max-age=60, stale-if-error=300")))
        .route("/never", routing::get(page("no-store")))
        .route("/own/{id}", routing::get(page("max-age=60")).layer(cache.route().without_fill_lease()))
        .route("/taken/{id}", routing::get(page("max-age=60")).layer(cache.route().fill_lease("5s")))
        .layer(cache.layer())
}

struct World {
    origin: CountingOrigin,
    apps: [Router; 3],
}

async fn three(change: impl Fn(CacheBuilder) -> CacheBuilder) -> World {
    let (server, origin) = (MemoryServer::new(), CountingOrigin::new());
    let mut apps = Vec::new();
    for _ in 0..3 {
        apps.push(app(&on(&server, &change).await, &origin));
    }
    World { origin, apps: apps.try_into().unwrap() }
}

impl World {
    /// The first request of an instance to a route tells it what the route says.
    async fn learn(&self, route: &str) {
        for (number, app) in self.apps.iter().enumerate() {
            get(app, &format!("{route}/learn-{number}"), &[]).await;
        }
    }

    /// Every instance is asked at once, and the origin holds what it is asked for until `calls` have come.
    async fn ask(&self, path: &'static str, calls: u64) -> Vec<Reply> {
        self.origin.hold(path);
        let asked = |app: &Router| {
            let app = app.clone();
            tokio::spawn(async move { get(&app, path, &[]).await })
        };
        let requests: Vec<_> = self.apps.iter().map(asked).collect();
        self.origin.arrived(path, calls).await;
        settle().await;
        self.origin.release(path);
        let mut replies = Vec::new();
        for request in requests {
            replies.push(request.await.unwrap());
        }
        settle().await;
        assert_eq!(self.origin.calls(path), calls);
        replies
    }
}

fn said(replies: &[Reply]) -> Vec<String> {
    replies.iter().map(|reply| field(&reply.headers, "cache-status")).collect()
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_another_instance_has_fetched_is_collapsed_and_says_so() {
    let world = three(|cache| cache).await;
    let mut said = said(&world.ask("/a", 1).await);
    said.sort();
    assert_eq!(
        said,
        [
            "forebay; fwd=uri-miss; collapsed; ttl=60; detail=lease",
            "forebay; fwd=uri-miss; collapsed; ttl=60; detail=lease",
            "forebay; fwd=uri-miss; stored; ttl=60; detail=cache-control",
        ]
    );
    for app in &world.apps {
        assert!(get(app, "/a", &[]).await.is_hit());
    }
}

#[tokio::test(start_paused = true)]
async fn a_route_without_fill_lease_is_asked_on_every_instance() {
    let world = three(|cache| cache).await;
    world.learn("/own").await;
    let said = said(&world.ask("/own/1", 3).await);
    assert!(said.iter().all(|said| !said.contains("lease")), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn a_cache_without_fill_lease_has_it_where_a_route_says_so() {
    let world = three(|cache| cache.without_fill_lease()).await;
    world.learn("/taken").await;
    assert!(said(&world.ask("/a", 3).await).iter().all(|said| !said.contains("lease")));
    let leased = said(&world.ask("/taken/1", 1).await);
    assert_eq!(leased.iter().filter(|said| said.contains("lease")).count(), 2, "{leased:?}");
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_stored_is_made_for_everybody_as_soon_as_that_is_known() {
    let world = three(|cache| cache).await;
    world.origin.hold("/never");
    let asked = |app: &Router| {
        let app = app.clone();
        tokio::spawn(async move { get(&app, "/never", &[]).await })
    };
    let requests: Vec<_> = world.apps.iter().map(asked).collect();
    world.origin.arrived("/never", 1).await;
    world.origin.let_through("/never", 1);
    world.origin.arrived("/never", 3).await;
    world.origin.release("/never");
    for request in requests {
        assert_eq!(request.await.unwrap().text(), "0");
    }
}

#[tokio::test(start_paused = true)]
async fn who_wants_what_is_stored_or_nothing_waits_for_nobody() {
    let world = three(|cache| cache.policy(Policy::proxy())).await;
    world.origin.hold("/a");
    let first = world.apps[0].clone();
    let first = tokio::spawn(async move { get(&first, "/a", &[]).await });
    world.origin.arrived("/a", 1).await;
    let begun = tokio::time::Instant::now();
    let reply = get(&world.apps[1], "/a", &[("cache-control", "only-if-cached")]).await;
    assert_eq!((reply.status.as_u16(), begun.elapsed().as_millis()), (504, 0));
    world.origin.release("/a");
    assert_eq!(first.await.unwrap().text(), "0");
}

#[tokio::test(start_paused = true)]
async fn a_layer_inside_another_one_does_not_wait_for_that_one_s_lease() {
    let (server, origin) = (MemoryServer::new(), CountingOrigin::new());
    let cache = on(&server, |cache| cache).await;
    let app = app(&cache, &origin).layer(cache.layer());
    let begun = tokio::time::Instant::now();
    for path in ["/a", "/never", "/own/1", "/taken/1"] {
        for _ in 0..3 {
            assert_eq!(get(&app, path, &[]).await.text(), "0");
        }
    }
    assert!(begun.elapsed().as_secs() < 1, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_has_waited_for_another_instance_waits_so_much_less_for_the_origin() {
    let world = three(|cache| cache.upkeep(Upkeep::new().soft_timeout("200ms").hard_timeout("1s"))).await;
    for app in &world.apps {
        get(app, "/slow", &[]).await;
        settle().await;
    }
    tokio::time::advance(std::time::Duration::from_secs(100)).await;
    settle().await;
    for (path, waits, status) in [("/slow", 200, 200), ("/a", 1000, 504)] {
        world.origin.hold(path);
        let first = world.apps[0].clone();
        let first = tokio::spawn(async move { get(&first, path, &[]).await });
        world.origin.arrived(path, world.origin.calls(path) + 1).await;
        let begun = tokio::time::Instant::now();
        let reply = get(&world.apps[1], path, &[]).await;
        let took = begun.elapsed().as_millis();
        assert!((waits..waits + 10).contains(&took), "{path}: {took} ms");
        assert_eq!(reply.status.as_u16(), status, "{path}");
        world.origin.release(path);
        first.await.unwrap();
    }
}
