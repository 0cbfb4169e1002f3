//! What every L2 must do.

use forebay_core::key::Secrets;
use forebay_core::l2::L2;
use forebay_testkit::conformance::conformance;
use forebay_testkit::redis::RedisServer;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_does_what_every_l2_must() {
    conforms(&secrets()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_does_what_every_l2_must_with_a_secret_too() {
    conforms(&with_secret()).await;
}

async fn conforms(secrets: &Secrets) {
    let redis = RedisServer::start().await.unwrap();
    let next = std::sync::atomic::AtomicU32::new(0);
    conformance(async |max_log| {
        let namespace = format!("t{}", next.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let config = config(&redis, redis.addr()).max_log(max_log);
        let clients = [(); 2].map(|()| config.connect(&namespace, secrets).unwrap());
        for client in &clients {
            until(async || client.lookup(key(0)).await.ok()).await;
        }
        clients
    })
    .await;
}
