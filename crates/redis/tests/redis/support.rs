//! A Redis of the test's own and an L2 on it.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use forebay_core::entry::Seq;
use forebay_core::key::{Key, Secrets};
use forebay_core::l2::{L2, L2Error, Notice, Notices, Position, Store, Stored};
use forebay_core::tag::Ident;
use forebay_redis::{Redis, RedisL2};
use forebay_testkit::redis::RedisServer;
use forebay_testkit::resp::Value;

/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn ident(n: u8) -> Ident {
    Ident::from_bytes([n; 16])
}

pub(crate) fn key(n: u8) -> Key {
    Key::from_bytes([n; 16])
}

pub(crate) struct Setup {
    pub(crate) redis: RedisServer,
    pub(crate) l2: RedisL2,
}

impl Setup {
    pub(crate) async fn start() -> Self {
        Self::with(|redis| redis).await
    }

    /// An L2 with settings of the test's own, connected.
    pub(crate) async fn with(settings: impl FnOnce(Redis) -> Redis) -> Self {
        let redis = RedisServer::start().await.unwrap();
        let l2 = settings(config(&redis, redis.addr())).connect("t", &secrets()).unwrap();
        until_open(&l2).await;
        Self { redis, l2 }
    }

    /// An L2 with a secret.
    pub(crate) async fn with_secret() -> Self {
        let redis = RedisServer::start().await.unwrap();
        let l2 = config(&redis, redis.addr()).connect("t", &with_secret()).unwrap();
        until_open(&l2).await;
        Self { redis, l2 }
    }

    /// One more L2 on the same Redis.
    pub(crate) async fn another(&self) -> RedisL2 {
        let l2 = config(&self.redis, self.redis.addr()).connect("t", &secrets()).unwrap();
        until_open(&l2).await;
        l2
    }

    /// The name of the key that ends like this.
    pub(crate) async fn name(&self, end: &str) -> String {
        let Value::Array(names) = self.redis.command(["KEYS", &format!("*{end}")]).await.unwrap() else {
            panic!("no list of keys")
        };
        names[0].as_str().unwrap().to_owned()
    }

    pub(crate) async fn command(&self, args: &[&str]) -> Value {
        self.redis.command(args).await.unwrap()
    }

    /// Moves the beginning of the log's life back, to this number.
    pub(crate) async fn begun_at(&self, seq: Seq) {
        let (log, at) = (self.name(":l").await, self.l2.open().await.unwrap());
        let sentinel = [b"life:", &at.incarnation.0[..]].concat();
        let score = seq.to_string();
        self.redis.command([b"ZADD", log.as_bytes(), score.as_bytes(), &sentinel]).await.unwrap();
    }

    /// Moves the beginning of the register back, so far that no lease is as old.
    pub(crate) async fn begun_long_ago(&self) {
        let (register, at) = (self.name(":a").await, self.l2.open().await.unwrap());
        let head = [b"life:", &at.incarnation.0[..]].concat();
        self.redis.command([b"ZADD", register.as_bytes(), b"1", &head]).await.unwrap();
    }

    /// Stores `frame` under `key(1)` with the position as the stamp.
    pub(crate) async fn store(&self, at: Position, idents: &[Ident], frame: &'static str) -> Stored {
        store(&self.l2, at, idents, frame).await
    }

    pub(crate) async fn frame(&self) -> Option<Bytes> {
        self.l2.lookup(key(1)).await.unwrap().frame
    }
}

pub(crate) async fn store(l2: &impl L2, at: Position, idents: &[Ident], frame: &'static str) -> Stored {
    l2.store(a_store(at, idents, frame)).await.unwrap()
}

pub(crate) fn a_store<'a>(at: Position, idents: &'a [Ident], frame: &'static str) -> Store<'a> {
    Store {
        key: key(1),
        incarnation: at.incarnation,
        stamp: at.seq,
        ttl: HOUR,
        frame: Bytes::from_static(frame.as_bytes()),
        idents,
    }
}

pub(crate) fn secrets() -> Secrets {
    Secrets::new("t", None)
}

pub(crate) fn with_secret() -> Secrets {
    Secrets::new("t", Some(b"a secret of sixteen bytes"))
}

/// Settings that do not take a slow machine for a fault.
pub(crate) fn config(redis: &RedisServer, at: SocketAddr) -> Redis {
    Redis::url(&redis.url_at(at)).unwrap().timeout(Duration::from_secs(2))
}

/// Waits until an L2 has reached its Redis.
pub(crate) async fn until_open(l2: &impl L2) -> Position {
    until(async || l2.open().await.ok()).await
}

/// Asks again and again until there is an answer.
pub(crate) async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("what is waited for comes in time")
}

/// The next notice but those that name the server.
pub(crate) async fn next(notices: &mut Notices) -> Notice {
    loop {
        match next_of_all(notices).await {
            Notice::Server(_) => {}
            notice => return notice,
        }
    }
}

/// The next notice, whatever it is.
pub(crate) async fn next_of_all(notices: &mut Notices) -> Notice {
    tokio::time::timeout(PATIENCE, notices.recv())
        .await
        .expect("a notice in time")
        .expect("a live subscription")
}

/// The next notice that is this one; what comes before is passed over.
pub(crate) async fn wait_for(notices: &mut Notices, wanted: &Notice) {
    while next(notices).await != *wanted {}
}

pub(crate) fn is_unavailable<T>(result: &Result<T, L2Error>) -> bool {
    matches!(result, Err(L2Error::Unavailable(_)))
}

/// A number that no log of today has issued.
pub(crate) const FAR: Seq = 5_000_000_000_000_000;

/// The rights that the crate's docs name, for namespaces of this pattern.
pub(crate) fn documented_rights(namespaces: &str) -> String {
    let docs = include_str!("../../src/lib.rs");
    rights_in(docs).join(" ").replace("{shop:*", &format!("{{{namespaces}:*"))
}

/// The rights of the user `shop` in a text.
pub(crate) fn rights_in(text: &str) -> Vec<&str> {
    let (_, recipe) = text.split_once("ACL SETUSER shop on >secret ").expect("there is a recipe");
    let (recipe, _) = recipe.split_once("```").expect("it ends");
    recipe.split_whitespace().filter(|word| !matches!(*word, "//!" | "\\")).collect()
}
