//! Strict routes: on each instance, never anything that another has invalidated before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::{Router, routing};
use forebay::{Cache, Coherence, L2, Tag};
use forebay_core::l2::L2Error;
use forebay_testkit::memory::{MemoryL2, MemoryServer, Op};

use crate::support::{Reply, get, settle};

/// An instance of a service whose page shows the version of the data.
struct Node {
    cache: Cache,
    l2: MemoryL2,
    app: Router,
}

/// What the routes of a service look like.
type Build = fn(&Cache, routing::MethodRouter) -> Router;

async fn node(server: &MemoryServer, version: &Arc<AtomicU64>, build: Build) -> Node {
    let l2 = server.client();
    let shared: Arc<dyn L2> = Arc::new(l2.clone());
    let cache = Cache::builder("test").l2(shared).build().await.unwrap();
    settle().await;
    let version = Arc::clone(version);
    let page = routing::get(async move || version.load(Ordering::SeqCst).to_string());
    let app = build(&cache, page);
    Node { cache, l2, app }
}

fn annotated(cache: &Cache, page: routing::MethodRouter) -> Router {
    let strict = cache.route().ttl("5m").tags(["a"]).coherence(Coherence::Strict);
    Router::new().route("/a", page.layer(strict))
}

fn annotated_inside(cache: &Cache, page: routing::MethodRouter) -> Router {
    annotated(cache, page).layer(cache.layer())
}

fn ruled(cache: &Cache, page: routing::MethodRouter) -> Router {
    let rules = cache.rules().at("/a", |route| route.ttl("5m").tags(["a"]).coherence(Coherence::Strict));
    Router::new().route("/a", page).layer(rules.layer().unwrap())
}

fn bounded(cache: &Cache, page: routing::MethodRouter) -> Router {
    Router::new().route("/a", page.layer(cache.route().ttl("5m").tags(["a"])))
}

impl Node {
    /// How often requests have asked Redis; what keeps in sync goes over the bus' connection.
    fn asked(&self) -> u64 {
        [Op::Lookup, Op::Scores, Op::PollCommands].into_iter().map(|op| self.l2.calls(op)).sum()
    }

    async fn get(&self) -> Reply {
        get(&self.app, "/a", &[]).await
    }
}

/// What the second of two instances gives after the first has invalidated, and nobody has told the second.
async fn after_a_lost_message(build: Build) -> String {
    let (server, version) = (MemoryServer::new(), Arc::default());
    let (a, b) = (node(&server, &version, build).await, node(&server, &version, build).await);
    // What a route says is learned by the first.
    for _ in 0..2 {
        assert_eq!(b.get().await.text(), "0");
    }
    assert!(b.get().await.cache_status().ends_with("detail=l1"), "{}", b.get().await.cache_status());
    version.store(1, Ordering::SeqCst);
    b.l2.drop_messages(1);
    a.cache.invalidate(Tag("a")).await.unwrap();
    b.get().await.text().to_owned()
}

#[tokio::test]
async fn what_another_instance_has_invalidated_is_never_given_however_the_route_is_declared() {
    assert_eq!(after_a_lost_message(annotated).await, "1");
    assert_eq!(after_a_lost_message(annotated_inside).await, "1");
    assert_eq!(after_a_lost_message(ruled).await, "1");
    assert_eq!(after_a_lost_message(bounded).await, "0", "within the lease others may");
}

#[tokio::test]
async fn a_strict_hit_asks_redis_once_and_others_do_not() {
    let (server, version) = (MemoryServer::new(), Arc::default());
    for (build, asked) in [(annotated_inside as Build, 1), (bounded, 0)] {
        let node = node(&server, &version, build).await;
        node.get().await;
        node.get().await;
        let before = node.asked();
        assert!(node.get().await.is_hit());
        assert_eq!(node.asked() - before, asked);
    }
}

#[tokio::test]
async fn while_redis_is_silent_the_handler_is_asked() {
    let (server, version) = (MemoryServer::new(), Arc::default());
    let node = node(&server, &version, annotated).await;
    node.get().await;
    assert!(node.get().await.is_hit());
    node.l2.fail_all(L2Error::Unavailable("down".into()));
    version.store(1, Ordering::SeqCst);
    let reply = node.get().await;
    assert_eq!((reply.text(), reply.is_hit()), ("1", false), "{}", reply.cache_status());
    assert!(node.l2.calls(Op::PollCommands) > 0);
}
