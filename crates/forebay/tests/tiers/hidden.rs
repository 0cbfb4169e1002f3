//! What nobody finds in Redis, in the log or in the metrics, and what nobody can put there.

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use axum::routing::get;
use forebay::{Authority, Cache, Redis, Tag};
use forebay_testkit::redis::RedisServer;
use forebay_testkit::resp::Value;
use metrics_util::debugging::{DebuggingRecorder, Snapshotter};
use tower::ServiceExt;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::*;

#[tokio::test]
async fn with_a_secret_nobody_can_forge_or_move_an_entry() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let world = World::start().await;
    let redis = || world.settings(world.redis.addr());
    let secret = "a secret of the service, not of Redis";
    let node = async || world.node_with(redis(), |cache| cache.secret(secret)).await;
    let nodes = [node().await, node().await];
    world.joined(&nodes).await;
    // Whoever can write to Redis, and knows everything but the secret, makes an entry for the same URL, at home.
    let home = World::start().await;
    let forgers = home.two().await;
    let new = async |world: &World, others: Vec<String>| {
        let found =
            until(async || world.entries().await.into_iter().find(|name| !others.contains(name))).await;
        (world.value(&found).await, found)
    };
    let before = home.entries().await;
    forgers[0].get("/articles/1").await;
    let (forged, _) = new(&home, before).await;
    let before = world.entries().await;
    nodes[0].get("/articles/1").await;
    let (own, name) = new(&world, before.clone()).await;
    nodes[0].get("/articles/2").await;
    let (other, _) = new(&world, [before, vec![name.clone()]].concat()).await;

    // An entry has its stamp in front: the forger takes the one that stands there.
    let forged = [&own[..8], &forged[8..]].concat();
    let moved = [&own[..8], &other[8..]].concat();
    for value in [forged, moved] {
        world.set(&name, &value).await;
        let victim = node().await;
        until(async || {
            let got = victim.get("/articles/1").await;
            assert_eq!((got.from != "l2", got.text.as_str()), (true, "1 0"));
            (counted(&snapshotter, "cache_errors_total", ("op", "decode")) > 0).then_some(())
        })
        .await;
        world.set(&name, &own).await;
    }
}

const CANARIES: [&str; 8] = [
    "canary-path",
    "canary-query",
    "canary-cookie",
    "canary-token",
    "canary-set-cookie",
    "canary-password",
    "canary-secret-of-the-service",
    "canary-user",
];

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// A service with everything in it that is nobody else's business.
async fn service(redis: &RedisServer) -> (Cache, Router) {
    let cache = Cache::builder("hidden")
        .authority(Authority::Fixed("shop".into()))
        .secret("canary-secret-of-the-service")
        .l2(Redis::url(&redis.url()).unwrap())
        .build()
        .await
        .unwrap();
    let user = |parts: &axum::http::request::Parts| {
        parts.headers.get("x-user").and_then(|user| user.to_str().ok()).map(str::to_owned)
    };
    let app = Router::new()
        .route("/{name}", get(async || "public").layer(cache.route().ttl("5m").tags(["page:{name}"])))
        .route("/me/{name}", get(async || "mine").layer(cache.route().ttl("5m").vary_by(user)))
        .route(
            "/login/{name}",
            get(async || ([(header::SET_COOKIE, "id=canary-set-cookie")], "hello"))
                .layer(cache.route().ttl("5m")),
        )
        .layer(cache.layer());
    (cache, app)
}

async fn use_it(cache: &Cache, app: &Router) {
    let target = "canary-path?q=canary-query";
    let requests = || {
        [
            Request::get(format!("/{target}")),
            Request::get(format!("/{target}")).header("cookie", "session=canary-cookie"),
            Request::get(format!("/{target}")).header("authorization", "Bearer canary-token"),
            Request::get(format!("/me/{target}")).header("x-user", "canary-user"),
            Request::get(format!("/login/{target}")),
        ]
    };
    for request in requests().into_iter().chain(requests()) {
        let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        settle().await;
    }
    // Confirmed or not: what is named by it must not be told either way.
    drop(cache.invalidate((Tag("page:canary-path"), forebay::Path("/canary-path"))).await);
}

async fn everything_in(redis: &RedisServer) -> Vec<u8> {
    let Value::Array(names) = redis.command(["KEYS", "*"]).await.unwrap() else { panic!("no list of keys") };
    let mut found = Vec::new();
    for name in names {
        found.extend_from_slice(name.as_bytes().unwrap());
        let dump = redis.command([&b"DUMP"[..], name.as_bytes().unwrap()]).await.unwrap();
        found.extend_from_slice(dump.as_bytes().unwrap());
    }
    found
}

fn metrics_of(snapshotter: &Snapshotter) -> String {
    snapshotter.snapshot().into_vec().iter().map(|(key, ..)| format!("{key:?}\n")).collect()
}

#[tokio::test]
async fn no_url_credential_or_secret_is_ever_told_to_anybody() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _metrics = metrics::set_default_local_recorder(&recorder);
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .with_ansi(false)
        .finish();
    let _log = tracing::subscriber::set_default(subscriber);

    let redis =
        RedisServer::builder().set("enable-debug-command", "no").password("canary-password").start().await;
    let redis = redis.unwrap();
    let (cache, app) = service(&redis).await;
    use_it(&cache, &app).await;
    until(async || {
        use_it(&cache, &app).await;
        let Value::Array(names) = redis.command(["KEYS", "*:e:*"]).await.unwrap() else { return None };
        (names.len() >= 2).then_some(())
    })
    .await;
    let stored = everything_in(&redis).await;
    redis.kill().unwrap();
    use_it(&cache, &app).await;
    redis.restart().await.unwrap();
    until(async || cache.invalidate(Tag("anything")).await.ok()).await;
    use_it(&cache, &app).await;

    let log = log.0.lock().unwrap().clone();
    assert!(log.windows(5).any(|part| part == b"Redis"), "the log was listened to");
    let places =
        [("Redis", stored), ("the log", log), ("the metrics", metrics_of(&snapshotter).into_bytes())];
    for (place, found) in places {
        for canary in CANARIES {
            let at = found.windows(canary.len()).position(|part| part == canary.as_bytes());
            let shown =
                at.map(|at| String::from_utf8_lossy(&found[at.saturating_sub(200)..at + 40]).into_owned());
            assert_eq!(shown, None, "{canary} in {place}");
        }
    }
}
