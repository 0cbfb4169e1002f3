//! Read your writes: what a client has changed on one instance it sees on all of them, and a token is never more than a question.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::Method;
use axum::{Router, routing};
use forebay::{Cache, CacheBuilder, L2};
use forebay_core::l2::L2Error;
use forebay_testkit::memory::{MemoryL2, MemoryServer, Op};

use crate::support::{Reply, get, request, send, settle};

/// The data of a service, and how often it was read.
#[derive(Clone, Default)]
struct Data(Arc<[AtomicU64; 2]>);

impl Data {
    fn calls(&self) -> u64 {
        self.0[1].load(Ordering::SeqCst)
    }
}

struct Node {
    l2: MemoryL2,
    app: Router,
}

async fn node(server: &MemoryServer, data: &Data, build: fn(CacheBuilder) -> CacheBuilder) -> Node {
    let l2 = server.client();
    let shared: Arc<dyn L2> = Arc::new(l2.clone());
    let cache = build(Cache::builder("test").l2(shared)).build().await.unwrap();
    settle().await;
    let (read, written) = (data.clone(), data.clone());
    let page = routing::get(async move || {
        read.0[1].fetch_add(1, Ordering::SeqCst);
        read.0[0].load(Ordering::SeqCst).to_string()
    });
    let change = routing::put(async move || written.0[0].fetch_add(1, Ordering::SeqCst).to_string());
    let app = Router::new()
        .route("/a", page.layer(cache.route().ttl("5m").tags(["a"])).merge(change.clone()))
        .route("/b", change.layer(cache.invalidates(["a"])))
        .layer(cache.layer());
    Node { l2, app }
}

/// Two instances that hold `/a`, of which the second hears no messages.
async fn two(build: fn(CacheBuilder) -> CacheBuilder) -> (Data, [Node; 2]) {
    let (server, data) = (MemoryServer::new(), Data::default());
    let nodes = [node(&server, &data, build).await, node(&server, &data, build).await];
    for node in &nodes {
        for _ in 0..3 {
            get(&node.app, "/a", &[]).await;
        }
        assert!(get(&node.app, "/a", &[]).await.is_hit());
    }
    nodes[1].l2.hold_messages();
    (data, nodes)
}

impl Node {
    /// How often requests have asked Redis; what keeps in sync goes over the bus' connection.
    fn asked(&self) -> u64 {
        [Op::Lookup, Op::Scores, Op::PollCommands].into_iter().map(|op| self.l2.calls(op)).sum()
    }

    async fn get(&self, token: &str) -> Reply {
        get(&self.app, "/a", &[("cache-seq", token)]).await
    }

    /// Changes the data, and returns the token that its client is told.
    async fn change(&self, path: &str, token: &str) -> String {
        let answer = send(&self.app, request(Method::PUT, path, &[("cache-seq", token)])).await;
        answer.headers.get("cache-seq").map(|token| token.to_str().unwrap().to_owned()).unwrap_or_default()
    }
}

#[tokio::test]
async fn whoever_sends_the_token_of_a_change_sees_it_on_every_instance() {
    // By the URL that was changed, and by the tags of a route.
    for path in ["/a", "/b"] {
        let (_, [a, b]) = two(CacheBuilder::read_your_writes).await;
        let token = a.change(path, "").await;
        assert!((1..=64).contains(&token.len()), "{token}");
        assert_eq!(get(&b.app, "/a", &[]).await.text(), "0", "others are told in time");
        assert_eq!(b.get(&token).await.text(), "1", "{path}");
    }
}

#[tokio::test]
async fn the_newest_token_covers_all_changes_of_its_client() {
    let (_, [a, b]) = two(CacheBuilder::read_your_writes).await;
    let first = a.change("/b", "").await;
    let second = a.change("/b", &first).await;
    assert!(second > first, "{first} {second}");
    let foreign = a.change("/b", &"f".repeat(22)).await;
    assert!(foreign > second && foreign.len() == second.len(), "another log's is left out: {foreign}");
    assert_eq!(b.get(&foreign).await.text(), "3");
}

#[tokio::test]
async fn where_the_change_has_been_heard_of_a_token_costs_nothing() {
    let (_, [a, b]) = two(CacheBuilder::read_your_writes).await;
    b.l2.release_messages();
    let token = a.change("/a", "").await;
    settle().await;
    b.get(&token).await;
    let before = b.asked();
    for _ in 0..10 {
        let reply = b.get(&token).await;
        assert_eq!((reply.text(), reply.is_hit()), ("1", true));
    }
    assert_eq!(b.asked(), before);
}

#[tokio::test]
async fn whatever_a_client_sends_costs_one_round_trip_at_most_and_no_call_of_the_handler() {
    let (data, [a, b]) = two(CacheBuilder::read_your_writes).await;
    let genuine = a.change("/b", "").await;
    b.l2.release_messages();
    settle().await;
    b.get("").await;
    assert!(b.get("").await.is_hit());
    let ours = &genuine[..8];
    let tokens = [
        String::new(),
        "garbage".into(),
        "0".repeat(22),
        "f".repeat(22),
        "f".repeat(22 * 16),
        "f".repeat(5000),
        format!("{ours}{}", "f".repeat(14)),
        format!("{ours}{:014x}", 1_u64 << 53),
    ];
    let (calls, asked) = (data.calls(), b.asked());
    for token in &tokens {
        let before = b.asked();
        assert!(b.get(token).await.is_hit(), "{token:.40}");
        assert!(b.asked() - before <= 1, "{token:.40}");
    }
    assert!(b.asked() > asked, "some were worth a question");
    b.l2.fail_all(L2Error::Timeout);
    for token in &tokens {
        assert!(b.get(token).await.is_hit(), "without Redis: {token:.40}");
    }
    assert_eq!(data.calls(), calls);
}

#[tokio::test]
async fn unless_it_is_asked_for_nothing_is_told_and_nothing_is_heard() {
    let (_, [a, b]) = two(|cache| cache).await;
    assert_eq!(a.change("/a", "").await, "");
    assert_eq!(a.change("/b", "").await, "");
    let before = b.asked();
    assert!(b.get(&"f".repeat(22)).await.is_hit());
    assert_eq!(b.asked(), before);
}
