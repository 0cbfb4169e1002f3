//! Instances of a service, and the Redis they share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use forebay::{Authority, Cache, CacheBuilder, Redis};
use forebay_testkit::redis::RedisServer;
use forebay_testkit::resp::Value;
use http_body_util::BodyExt;
use metrics_util::debugging::{DebugValue, Snapshotter};
use tower::ServiceExt;

/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A Redis and the data behind all instances.
pub(crate) struct World {
    pub(crate) redis: RedisServer,
    data: Arc<Data>,
}

#[derive(Default)]
struct Data {
    version: AtomicU64,
    calls: AtomicU64,
}

/// An instance of the service.
pub(crate) struct Node {
    pub(crate) cache: Cache,
    pub(crate) app: Router,
}

/// An answer, as a client sees it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    /// Where it came from: `l1`, `l2`, `unsynced`, `flight` or `origin`.
    pub(crate) from: &'static str,
    pub(crate) text: String,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::on(RedisServer::start().await.unwrap())
    }

    pub(crate) fn on(redis: RedisServer) -> Self {
        Self { redis, data: Arc::default() }
    }

    /// The settings of Redis at its own address; as patient as the lease permits, for a slow machine is no
    /// fault.
    pub(crate) fn settings(&self, at: SocketAddr) -> Redis {
        Redis::url(&self.redis.url_at(at)).unwrap().timeout(Duration::from_millis(500))
    }

    /// Two instances that share their entries.
    pub(crate) async fn two(&self) -> [Node; 2] {
        let nodes = [self.node().await, self.node().await];
        self.joined(&nodes).await;
        nodes
    }

    pub(crate) async fn node(&self) -> Node {
        self.node_with(self.settings(self.redis.addr()), |cache| cache).await
    }

    pub(crate) async fn node_with(
        &self,
        redis: Redis,
        change: impl FnOnce(CacheBuilder) -> CacheBuilder,
    ) -> Node {
        let cache = Cache::builder("tiers").authority(Authority::Fixed("shop".into())).l2(redis);
        let cache = change(cache).build().await.unwrap();
        let data = Arc::clone(&self.data);
        let article = {
            let data = Arc::clone(&data);
            move |Path(id): Path<String>| async move { format!("{id} {}", data.answer()) }
        };
        let spoken = {
            let data = Arc::clone(&data);
            move |fields: HeaderMap| async move {
                let language = fields.get("accept-language").map_or("", |value| value.to_str().unwrap());
                ([(header::VARY, "accept-language")], format!("{language} {}", data.answer())).into_response()
            }
        };
        let write = move || async move { data.version.fetch_add(1, Ordering::SeqCst).to_string() };
        let tags = cache.route().ttl("5m").tags(["article:{id}", "articles"]);
        let app = Router::new()
            .route("/articles/{id}", get(article).layer(tags).put(write.clone()))
            .route("/spoken/{id}", get(spoken).layer(cache.route().ttl("5m").tags(["article:{id}"])))
            .route("/mutate/{id}", axum::routing::post(write).layer(cache.invalidates(["article:{id}"])))
            .layer(cache.layer());
        Node { cache, app }
    }

    /// Waits until each instance finds in Redis what the others have put there.
    pub(crate) async fn joined(&self, nodes: &[Node]) {
        for (number, filler) in nodes.iter().enumerate() {
            until(async || {
                let path = format!("/articles/join-{number}-{}", self.data.calls.load(Ordering::SeqCst));
                filler.get(&path).await;
                for node in nodes {
                    settle().await;
                    if !matches!(node.get(&path).await.from, "l1" | "l2") {
                        return None;
                    }
                    if node.get(&path).await.from != "l1" {
                        return None;
                    }
                }
                Some(())
            })
            .await;
        }
    }

    /// Changes the data.
    pub(crate) fn write(&self) -> u64 {
        self.data.version.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The version of the data.
    pub(crate) fn version(&self) -> u64 {
        self.data.version.load(Ordering::SeqCst)
    }

    /// How often the handlers were called.
    pub(crate) fn calls(&self) -> u64 {
        self.data.calls.load(Ordering::SeqCst)
    }

    pub(crate) async fn command(&self, args: &[&str]) -> Value {
        self.redis.command(args).await.unwrap()
    }

    /// The names of all keys.
    pub(crate) async fn names(&self) -> Vec<String> {
        let Value::Array(names) = self.command(&["KEYS", "*"]).await else { panic!("no list of keys") };
        names.iter().map(|name| String::from_utf8(name.as_bytes().unwrap().to_vec()).unwrap()).collect()
    }

    /// The names of all entries.
    pub(crate) async fn entries(&self) -> Vec<String> {
        self.names().await.into_iter().filter(|name| name.contains(":e:")).collect()
    }

    /// Waits until there are so many entries.
    pub(crate) async fn until_entries(&self, count: usize) -> Vec<String> {
        until(async || Some(self.entries().await).filter(|entries| entries.len() == count)).await
    }

    /// The value of a string.
    pub(crate) async fn value(&self, name: &str) -> Vec<u8> {
        self.command(&["GET", name]).await.as_bytes().unwrap().to_vec()
    }

    pub(crate) async fn set(&self, name: &str, value: &[u8]) {
        self.redis.command([b"SET", name.as_bytes(), value, b"KEEPTTL"]).await.unwrap();
    }
}

impl Data {
    fn answer(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.version.load(Ordering::SeqCst)
    }
}

impl Node {
    pub(crate) async fn get(&self, path: &str) -> Got {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn get_in(&self, path: &str, language: &str) -> Got {
        self.send(Request::get(path).header("accept-language", language).body(Body::empty()).unwrap()).await
    }

    /// Changes an article, and returns the token that its client is told.
    pub(crate) async fn put(&self, path: &str) -> String {
        let request = Request::put(path).body(Body::empty()).unwrap();
        let response = self.app.clone().oneshot(request).await.unwrap();
        let token = response.headers().get("cache-seq").expect("the change is confirmed");
        token.to_str().unwrap().to_owned()
    }

    /// What a client that has such a token is answered.
    pub(crate) async fn get_after(&self, path: &str, token: &str) -> Got {
        self.send(Request::get(path).header("cache-seq", token).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Got {
        let response =
            tokio::time::timeout(PATIENCE, self.app.clone().oneshot(request)).await.unwrap().unwrap();
        let (status, from) = (response.status(), from(&response));
        let text = response.into_body().collect().await.unwrap().to_bytes().to_vec();
        Got { status, from, text: String::from_utf8(text).unwrap() }
    }
}

fn from(response: &Response<impl Sized>) -> &'static str {
    let status = response.headers().get("cache-status").map_or("", |value| value.to_str().unwrap());
    ["l1", "l2", "unsynced", "flight"]
        .into_iter()
        .find(|tier| status.ends_with(&format!("detail={tier}")))
        .unwrap_or("origin")
}

/// A good answer from there.
pub(crate) fn got(from: &'static str, text: &str) -> Got {
    Got { status: StatusCode::OK, from, text: text.to_owned() }
}

/// Lets what an answer leaves behind, such as its store, come to an end where it can.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

/// Asks again and again until there is an answer.
pub(crate) async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            settle().await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("what is waited for comes in time")
}

/// The sum of a counter's values under a label, since the last snapshot.
pub(crate) fn gauged(snapshotter: &Snapshotter, name: &str) -> Option<f64> {
    snapshotter.snapshot().into_vec().into_iter().find_map(|(key, _, _, value)| match value {
        DebugValue::Gauge(value) if key.key().name() == name => Some(value.into_inner()),
        _ => None,
    })
}

pub(crate) fn counted(snapshotter: &Snapshotter, name: &str, label: (&str, &str)) -> u64 {
    let values = snapshotter.snapshot().into_vec().into_iter().filter_map(|(key, _, _, value)| {
        let key = key.key();
        let wanted = key.name() == name && key.labels().any(|l| (l.key(), l.value()) == label);
        match value {
            DebugValue::Counter(value) if wanted => Some(value),
            _ => None,
        }
    });
    values.sum()
}
