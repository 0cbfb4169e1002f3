//! Servers that take over from each other, and proofs of who is who.

use std::net::SocketAddr;

use forebay_core::l2::{L2, L2Error, Link, Notice, Notices, Stored};
use forebay_redis::{Redis, RedisL2};
use forebay_testkit::redis::{RedisServer, SentinelGroup};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::*;

fn connect(redis: &Redis) -> RedisL2 {
    redis.clone().timeout(PATIENCE / 10).connect("t", &secrets()).unwrap()
}

async fn subscribed(l2: &RedisL2) -> Notices {
    let mut notices = l2.subscribe();
    wait_for(&mut notices, &Notice::Subscribed).await;
    notices
}

/// That everything is done, and heard of, on this server.
async fn all_is_done_at(server: &RedisServer, l2: &RedisL2, notices: &mut Notices) {
    let at = until_open(l2).await;
    until(async || l2.poll(Link::Bus).await.ok()).await;
    assert_eq!(until(async || l2.store(a_store(at, &[], "x")).await.ok()).await, Stored::Accepted);
    let issued = l2.invalidate(&[ident(1)], 0).await.unwrap();
    loop {
        if let Notice::Message(message) = next(notices).await
            && message.seq == issued.position.seq
        {
            break;
        }
    }
    let seen = until(async || l2.lookup(key(1)).await.ok()).await;
    assert_eq!(seen.position, Some(issued.position));

    let names = server.command(["KEYS", "*:v"]).await.unwrap();
    assert!(format!("{names:?}").contains(":v"), "{names:?}");
}

/// A port that leads to one server at first and to another later, as an address in front of a failover does.
struct Switch {
    addr: SocketAddr,
    target: watch::Sender<SocketAddr>,
}

impl Switch {
    async fn to(first: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (addr, target) = (listener.local_addr().unwrap(), watch::Sender::new(first));
        let current = target.subscribe();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let target = *current.borrow();
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(target).await?;
                    copy_bidirectional(&mut near, &mut far).await
                });
            }
        });
        Self { addr, target }
    }
}

#[tokio::test]
async fn a_server_behind_the_same_address_is_noticed_as_a_reconnect_of_the_subscription() {
    let (old, new) = (RedisServer::start().await.unwrap(), RedisServer::start().await.unwrap());
    let switch = Switch::to(old.addr()).await;
    let l2 = connect(&Redis::url(&format!("redis://{}", switch.addr)).unwrap());
    let mut notices = subscribed(&l2).await;
    all_is_done_at(&old, &l2, &mut notices).await;

    switch.target.send_replace(new.addr());
    // Not the subscription: it could go on for ever, and say nothing of what happens on the new server.
    old.command(["CLIENT", "KILL", "TYPE", "normal"]).await.unwrap();
    wait_for(&mut notices, &Notice::Lost).await;
    wait_for(&mut notices, &Notice::Subscribed).await;
    all_is_done_at(&new, &l2, &mut notices).await;
}

#[tokio::test]
async fn a_master_that_becomes_a_replica_is_left_and_taken_again_when_it_is_one_no_more() {
    let (redis, other) = (RedisServer::start().await.unwrap(), RedisServer::start().await.unwrap());
    let l2 = connect(&Redis::url(&redis.url()).unwrap());
    let mut notices = subscribed(&l2).await;
    let port = other.port().to_string();
    redis.command(["REPLICAOF", "127.0.0.1", &port]).await.unwrap();
    wait_for(&mut notices, &Notice::Lost).await;
    until(async || is_unavailable(&l2.lookup(key(1)).await).then_some(())).await;
    let why = until(async || l2.open().await.err().filter(|why| why.to_string().contains("replica"))).await;
    assert!(matches!(why, L2Error::Unavailable(_)), "{why:?}");

    redis.command(["REPLICAOF", "NO", "ONE"]).await.unwrap();
    wait_for(&mut notices, &Notice::Subscribed).await;
    all_is_done_at(&redis, &l2, &mut notices).await;
}

#[tokio::test]
async fn after_a_failover_everything_is_done_on_the_new_master() {
    let group = SentinelGroup::builder().start().await.unwrap();
    let l2 = connect(&Redis::url(&group.url()).unwrap());
    let mut notices = subscribed(&l2).await;
    let old = group.master().await.unwrap();
    all_is_done_at(old, &l2, &mut notices).await;

    let new = group.fail_over().await.unwrap();
    wait_for(&mut notices, &Notice::Subscribed).await;
    all_is_done_at(new, &l2, &mut notices).await;

    old.restart().await.unwrap();
    old.until_replica().await.unwrap();
    all_is_done_at(new, &l2, &mut notices).await;
}

#[tokio::test]
async fn a_frozen_master_that_comes_back_finds_nobody() {
    let group = SentinelGroup::builder().start().await.unwrap();
    let l2 = connect(&Redis::url(&group.url()).unwrap());
    let mut notices = subscribed(&l2).await;
    let old = group.master().await.unwrap();
    old.stop().unwrap();
    let new = group.until_another(old).await.unwrap();
    wait_for(&mut notices, &Notice::Subscribed).await;
    all_is_done_at(new, &l2, &mut notices).await;
    old.cont().unwrap();
    old.until_replica().await.unwrap();
    all_is_done_at(new, &l2, &mut notices).await;
}

#[tokio::test]
async fn one_sentinel_that_answers_is_enough_to_find_the_master() {
    let group = SentinelGroup::builder().start().await.unwrap();
    group.sentinels()[0].kill().unwrap();
    group.sentinels()[1].stop().unwrap();
    let l2 = connect(&Redis::url(&group.url()).unwrap());
    until_open(&l2).await;
    let unknown = group.url().replace("/forebay", "/another");
    let l2 = connect(&Redis::url(&unknown).unwrap());
    let why = until(async || l2.open().await.err().filter(|why| why.to_string().contains("another"))).await;
    assert!(is_unavailable(&Err::<(), _>(why)));
}

#[tokio::test]
async fn a_password_that_changes_is_read_again_from_its_file() {
    let redis = RedisServer::builder().set("user", "shop on >first ~* &* +@all").start().await.unwrap();
    let file = redis.dir().join("password");
    std::fs::write(&file, "first\n").unwrap();
    let l2 = connect(&Redis::url(&format!("redis://shop:@{}", redis.addr())).unwrap().password_file(&file));
    let mut notices = subscribed(&l2).await;
    redis.command(["ACL", "SETUSER", "shop", "resetpass", ">second"]).await.unwrap();
    std::fs::write(&file, "second\n").unwrap();
    redis.command(["CLIENT", "KILL", "USER", "shop"]).await.unwrap();
    wait_for(&mut notices, &Notice::Subscribed).await;
    all_is_done_at(&redis, &l2, &mut notices).await;
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn a_server_that_nobody_trusted_vouches_for_is_not_talked_to() {
    let (redis, other) = (
        RedisServer::builder().password("hunter2").tls().start().await.unwrap(),
        RedisServer::builder().tls().start().await.unwrap(),
    );
    let stranger = Redis::url(&redis.url()).unwrap().ca_file(other.ca_file().unwrap());
    let why = until(async || connect(&stranger).open().await.err()).await;
    assert!(why.to_string().contains("InvalidCertificate"), "{why}");
    let plain = Redis::url(&redis.url_at(redis.tls_addr()).replace("rediss", "redis")).unwrap();
    assert!(connect(&plain).open().await.is_err());
}

#[cfg(feature = "tls")]
#[test]
fn files_that_are_no_certificates_are_named() {
    let check =
        |file: &str| Redis::url("rediss://localhost").unwrap().ca_file(file).check().unwrap_err().to_string();
    assert!(
        check("/nowhere/at/all").starts_with("redis ca_file /nowhere/at/all: "),
        "{}",
        check("/nowhere/at/all")
    );
    let no_pem = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    assert!(check(no_pem).contains("there is no certificate in it"), "{}", check(no_pem));
    let plain = Redis::url("redis://localhost").unwrap().ca_file("x").check().unwrap_err().to_string();
    assert!(plain.contains("rediss://"), "{plain}");
}
