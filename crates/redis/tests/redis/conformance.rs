//! What every L2 must do, over each way to reach a Redis.

use std::sync::atomic::{AtomicU32, Ordering};

use forebay_core::key::Secrets;
use forebay_core::l2::L2;
use forebay_redis::{Redis, RedisL2};
use forebay_testkit::conformance::{conformance, conformance_but_for_order};
use forebay_testkit::redis::{RedisCluster, RedisServer, SentinelGroup};

use crate::support::*;

/// The suite over what these settings lead to.
async fn holds_over(redis: &Redis) {
    conformance(pairs(redis, &secrets())).await;
}

/// Makes two clients of a namespace of their own.
fn pairs(redis: &Redis, secrets: &Secrets) -> impl AsyncFn(usize) -> [RedisL2; 2] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    async move |max_log| {
        let namespace = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let config = redis.clone().timeout(PATIENCE / 2).max_log(max_log);
        let clients = [(); 2].map(|()| config.connect(&namespace, secrets).unwrap());
        for client in &clients {
            until(async || client.lookup(key(0)).await.ok()).await;
        }
        clients
    }
}

fn at(url: &str) -> Redis {
    Redis::url(url).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_does_what_every_l2_must() {
    let redis = RedisServer::start().await.unwrap();
    holds_over(&at(&redis.url())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_it_does_with_a_secret() {
    let redis = RedisServer::start().await.unwrap();
    conformance_but_for_order(pairs(&at(&redis.url()), &with_secret())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_it_does_with_a_password_in_the_url_and_in_a_file() {
    let redis = RedisServer::builder().password("p@ss/word").start().await.unwrap();
    holds_over(&at(&format!("redis://:p%40ss%2Fword@{}/1", redis.addr()))).await;
    let file = redis.dir().join("password");
    std::fs::write(&file, "p@ss/word\n").unwrap();
    holds_over(&at(&format!("redis://{}", redis.addr())).password_file(file)).await;
}

/// The recipe of the crate's docs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_it_does_for_a_user_with_the_documented_rights() {
    let redis =
        RedisServer::builder().user("shop", "secret", &documented_rights("t*")).start().await.unwrap();
    holds_over(&at(&redis.url())).await;
}

#[test]
fn the_operations_page_shows_the_same_rights() {
    let page = include_str!("../../../../docs/operations.md");
    assert_eq!(rights_in(page).join(" "), documented_rights("shop"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_it_does_over_a_unix_socket() {
    let redis = RedisServer::builder().password("hunter2").unix_socket().start().await.unwrap();
    holds_over(&at(&redis.unix_url().unwrap())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_it_does_under_sentinels_before_and_after_a_failover() {
    let servers = RedisServer::builder().password("hunter2");
    let group = SentinelGroup::builder().servers(servers).start().await.unwrap();
    let redis = at(&group.url());
    holds_over(&redis).await;
    group.fail_over().await.unwrap();
    holds_over(&redis).await;
}

/// Each case is in one slot, wherever its name leads it, with the rights that the crate's docs give it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_it_does_on_a_cluster() {
    let rights = documented_rights("t*").replace("+subscribe", "+ssubscribe");
    let rights = rights.replace("+publish", "+spublish +cluster|nodes");
    let node = RedisServer::builder().user("shop", "secret", &rights);
    let cluster = RedisCluster::builder().nodes(node).start().await.unwrap();
    holds_over(&at(&cluster.url())).await;
    conformance_but_for_order(pairs(&at(&cluster.url()), &with_secret())).await;
}

#[cfg(feature = "tls")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_it_does_over_tls() {
    let redis = RedisServer::builder().password("hunter2").tls().start().await.unwrap();
    holds_over(&at(&redis.url()).ca_file(redis.ca_file().unwrap())).await;
}

#[cfg(feature = "tls")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_it_does_where_both_sides_show_certificates() {
    let redis = RedisServer::builder().mutual_tls().start().await.unwrap();
    let (certificate, key) = redis.client_certificate_files().unwrap();
    holds_over(&at(&redis.url()).ca_file(redis.ca_file().unwrap()).client_certificate(certificate, key))
        .await;
}
