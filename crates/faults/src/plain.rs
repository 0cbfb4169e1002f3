//! The baseline: the cache that is usually written by hand. `forebay-faults plain` serves it.
//!
//! * A map in each process, in front of Redis with `GET` and `SETEX`, in front of the origin.
//! * An invalidation deletes from Redis (`DEL`; for a tag the members of its set), then from the process' own map, and then
//!   publishes what it was. Who hears it deletes that from its map.
//! * When the subscription is renewed after it was lost, the map is flushed: something may have been missed.
//! * Commands have a timeout, and a Redis that fails is a miss. The connection comes back by itself.
//!
//! It has no stamps, no log and no lease, and does not coalesce requests.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use fred::clients::Client as Redis;
use fred::interfaces::{ClientLike, EventInterface, KeysInterface, PubsubInterface, SetsInterface};
use fred::types::config::{Config, ConnectionConfig, PerformanceConfig, ReconnectPolicy, ServerConfig};
use fred::types::{Expiration, RespVersion};
use futures_util::future::try_join_all;
use http::{StatusCode, Uri};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::client::Client;
use crate::error::Error;

/// Serves until it is killed.
pub(crate) async fn serve(args: &[String]) -> Result<(), Error> {
    let setting = |name: &str| {
        let at = args.iter().position(|arg| arg == name).ok_or_else(|| format!("{name} is missing"))?;
        args.get(at + 1).ok_or_else(|| format!("{name} has no value"))
    };
    let origin = setting("--origin")?.trim_start_matches("http://").parse()?;
    let cache = Plain::start(setting("--redis")?, origin).await?;
    let (listener, admin) = (
        TcpListener::bind(setting("--listen")?).await?,
        TcpListener::bind(setting("--admin-listen")?).await?,
    );
    println!(
        "plain: listening on http://{}, admin on http://{}",
        listener.local_addr()?,
        admin.local_addr()?
    );
    let service = Router::new().fallback(answer).with_state(Arc::clone(&cache));
    let orders = Router::new()
        .route("/invalidate", post(invalidate))
        .route("/stats", get(async || "{\"l2\":\"synced\"}"))
        .with_state(cache);
    tokio::spawn(async move { drop(axum::serve(admin, orders).await) });
    Ok(axum::serve(listener, service).await?)
}

struct Plain {
    local: Mutex<HashMap<String, Held>>,
    redis: Redis,
    origin: SocketAddr,
    /// Idle connections to the origin.
    idle: Mutex<Vec<Client>>,
}

#[derive(Clone)]
struct Held {
    body: Bytes,
    tag: String,
    until: Instant,
}

impl Plain {
    async fn start(url: &str, origin: SocketAddr) -> Result<Arc<Self>, Error> {
        let performance =
            PerformanceConfig { default_command_timeout: TIMEOUT, ..PerformanceConfig::default() };
        let connection = ConnectionConfig {
            connection_timeout: Duration::from_millis(500),
            max_command_attempts: 1,
            ..ConnectionConfig::default()
        };
        let policy = ReconnectPolicy::new_constant(0, 50);
        let mut config = configuration(url)?;
        config.fail_fast = true;
        config.version = RespVersion::RESP3;
        let [redis, bus] = [(); 2].map(|()| {
            Redis::new(
                config.clone(),
                Some(performance.clone()),
                Some(connection.clone()),
                Some(policy.clone()),
            )
        });
        drop([redis.connect(), bus.connect()]);
        redis.wait_for_connect().await?;
        bus.wait_for_connect().await?;
        let (local, idle) = (Mutex::default(), Mutex::default());
        let cache = Arc::new(Self { local, redis, origin, idle });
        bus.subscribe(CHANNEL).await?;
        tokio::spawn(Arc::clone(&cache).listen(bus));
        Ok(cache)
    }

    /// Deletes what others have invalidated; everything when something may have been missed.
    async fn listen(self: Arc<Self>, bus: Redis) {
        let (mut messages, mut connections) = (bus.message_rx(), bus.reconnect_rx());
        loop {
            tokio::select! {
                message = messages.recv() => match message {
                    Ok(message) => self.forget(&message.value.as_string().unwrap_or_default()),
                    // Messages came faster than they were taken.
                    Err(_) => self.local().clear(),
                },
                _ = connections.recv() => {
                    drop(bus.subscribe(CHANNEL).await);
                    self.local().clear();
                }
            }
        }
    }

    fn local(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deletes one path or one tag from the map.
    fn forget(&self, what: &str) {
        match what.strip_prefix("tag ") {
            Some(tag) => self.local().retain(|_, held| held.tag != tag),
            None => drop(self.local().remove(what)),
        }
    }

    fn hold(&self, path: &str, tag: &str, body: Bytes) {
        let held = Held { body, tag: tag.to_owned(), until: Instant::now() + LOCAL_TTL };
        self.local().insert(path.to_owned(), held);
    }

    async fn find(&self, path: &str) -> Result<(Bytes, &'static str), Error> {
        let held = self.local().get(path).cloned();
        if let Some(held) = held.filter(|held| held.until > Instant::now()) {
            return Ok((held.body, "hit; detail=l1"));
        }
        let found: Option<Bytes> = self.redis.get(path).await.unwrap_or_default();
        if let Some((tag, body)) = found.as_ref().and_then(split) {
            self.hold(path, tag, body.clone());
            return Ok((body, "hit; detail=l2"));
        }
        let mut client = self.idle().pop().unwrap_or_else(|| Client::new(self.origin));
        let answer = client.get(path).await?;
        self.idle().push(client);
        if answer.status != 200 {
            return Err(format!("the origin answers {}", answer.status).into());
        }
        let tag = answer.field("cache-tag");
        // Whatever fails here makes the next one ask the origin again.
        drop(self.store(path, tag, &answer.body).await);
        self.hold(path, tag, answer.body.clone());
        Ok((answer.body, "fwd=uri-miss"))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Client>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn store(&self, path: &str, tag: &str, body: &Bytes) -> Result<(), fred::error::Error> {
        let value = [tag.as_bytes(), b"\n", body].concat();
        self.redis
            .set::<(), _, _>(path, Bytes::from(value), Some(Expiration::EX(REDIS_TTL)), None, false)
            .await?;
        if tag.is_empty() { Ok(()) } else { self.redis.sadd(format!("tag {tag}"), path).await }
    }

    async fn invalidate(&self, what: &str) -> Result<(), fred::error::Error> {
        let mut keys = vec![what.to_owned()];
        if what.starts_with("tag ") {
            keys.extend(self.redis.smembers::<Vec<String>, _>(what).await?);
        }
        // One by one: in a cluster they lie on several nodes.
        try_join_all(keys.into_iter().map(|key| self.redis.del::<(), _>(key))).await?;
        self.forget(what);
        self.redis.publish(CHANNEL, what).await
    }
}

/// Understands the URLs that `forebay serve` is given.
fn configuration(url: &str) -> Result<Config, Error> {
    let hosts = |list: &str| {
        let host = |addr: &str| {
            let addr: SocketAddr = addr.parse()?;
            Ok((addr.ip().to_string(), addr.port()))
        };
        list.split(',').map(host).collect::<Result<Vec<(String, u16)>, Error>>()
    };
    let server = if let Some(rest) = url.strip_prefix("redis-sentinel://") {
        let (sentinels, service) = rest.rsplit_once('/').ok_or("no service after the sentinels")?;
        ServerConfig::new_sentinel(hosts(sentinels)?, service)
    } else if let Some(nodes) = url.strip_prefix("redis-cluster://") {
        ServerConfig::new_clustered(hosts(nodes)?)
    } else {
        return Ok(Config::from_url(url)?);
    };
    Ok(Config { server, ..Config::default() })
}

fn split(value: &Bytes) -> Option<(&str, Bytes)> {
    let end = value.iter().position(|byte| *byte == b'\n')?;
    Some((std::str::from_utf8(&value[..end]).ok()?, value.slice(end + 1..)))
}

async fn answer(State(cache): State<Arc<Plain>>, uri: Uri) -> Response {
    match cache.find(uri.path()).await {
        Ok((body, how)) => ([("cache-status", format!("plain; {how}"))], Body::from(body)).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

/// Understands what the suite sends: `{"tags":["t1"]}` or `{"paths":["/k/1"]}`, of one member or several.
async fn invalidate(State(cache): State<Arc<Plain>>, order: String) -> StatusCode {
    let prefix = if order.contains("\"tags\"") { "tag " } else { "" };
    let names = order.split('"').skip(3).step_by(2);
    for name in names {
        let what = format!("{prefix}{name}");
        if cache.invalidate(&what).await.is_err() {
            cache.forget(&what);
            return StatusCode::ACCEPTED;
        }
    }
    StatusCode::OK
}

const CHANNEL: &str = "invalidations";
const TIMEOUT: Duration = Duration::from_millis(100);
const LOCAL_TTL: Duration = Duration::from_secs(60);
/// As long as the origin's answers are fresh.
const REDIS_TTL: i64 = 600;
