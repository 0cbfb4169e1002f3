//! What every L2 must do.

use forebay_core::key::Secrets;
use forebay_core::l2::L2;
use forebay_redis::RedisL2;
use forebay_testkit::conformance::{conformance, conformance_but_for_order};
use forebay_testkit::redis::RedisServer;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_does_what_every_l2_must() {
    let redis = RedisServer::start().await.unwrap();
    conformance(pairs(&redis, &secrets())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_does_what_every_l2_must_with_a_secret_too() {
    let redis = RedisServer::start().await.unwrap();
    conformance_but_for_order(pairs(&redis, &with_secret())).await;
}

/// Makes two clients of a namespace of their own.
fn pairs(redis: &RedisServer, secrets: &Secrets) -> impl AsyncFn(usize) -> [RedisL2; 2] {
    let next = std::sync::atomic::AtomicU32::new(0);
    async move |max_log| {
        let namespace = format!("t{}", next.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let config = config(redis, redis.addr()).max_log(max_log);
        let clients = [(); 2].map(|()| config.connect(&namespace, secrets).unwrap());
        for client in &clients {
            until(async || client.lookup(key(0)).await.ok()).await;
        }
        clients
    }
}
