//! An invalidation that is waited for, by real processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use forebay_testkit::redis::RedisServer;
use rustix::process::Signal;

use crate::support::{Connection, Origin, Proxy, Scrap, ok};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Waits until the proxy has joined the others, and asks until the answer is its own.
async fn until_hit(proxy: &Proxy) {
    proxy.log_with("the tiers work together").await;
    while !proxy.get("/x").await.field("cache-status").contains("hit; ") {}
}

#[tokio::test]
async fn who_is_stopped_is_waited_for_and_serves_nothing_old_when_it_wakes_up() {
    let redis = RedisServer::start().await.unwrap();
    let version = Arc::new(AtomicU64::new(0));
    let data = Arc::clone(&version);
    let origin = Origin::start(move |_| {
        ok("cache-control: max-age=600\r\n", &data.load(Ordering::SeqCst).to_string())
    });
    let origin = origin.await;
    let (token, url) = (Scrap::new("everywhere", TOKEN), redis.url());
    let shared = ["--redis", &url, "--namespace", "everywhere", "--lease", "1s", "--log", "info"];
    let admin = ["--admin-listen", "127.0.0.1:0", "--admin-token-file", token.path()];
    let a = Proxy::start(origin.address, &[&shared[..], &admin].concat()).await;
    let b = Proxy::start(origin.address, &shared).await;
    until_hit(&a).await;
    until_hit(&b).await;

    b.signal(Signal::STOP);
    version.store(1, Ordering::SeqCst);
    let order = r#"{"paths": ["/x"], "everywhere": true}"#;
    let mut connection = Connection::to(a.admin()).await.unwrap();
    let head = format!(
        "POST /invalidate HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{order}",
        order.len()
    );
    connection.send(head).await;
    let answer = connection.answer().await;
    assert_eq!(answer.status(), 200, "{}", answer.body);
    assert!(answer.body.contains(r#""everywhere":true"#), "{}", answer.body);
    b.signal(Signal::CONT);
    assert_eq!(b.get("/x").await.body, "1");
    assert_eq!(a.get("/x").await.body, "1");
}
