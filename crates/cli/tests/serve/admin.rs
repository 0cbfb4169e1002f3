//! The admin API.

use forebay_testkit::redis::RedisServer;

use crate::support::{Answer, Connection, Origin, Proxy, Scrap, ok};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const FRESH: &str = "cache-control: max-age=60\r\n";

struct Site {
    proxy: Proxy,
    origin: Origin,
    _token: Scrap,
}

impl Site {
    async fn start(test: &str, more: &[&str]) -> Self {
        Self::serving(test, FRESH, more).await
    }

    async fn serving(test: &str, fields: &'static str, more: &[&str]) -> Self {
        let origin = Origin::start(move |_| ok(fields, "hello")).await;
        let token = Scrap::new(test, &format!("{TOKEN}\n"));
        let mut args = vec!["--admin-listen", "127.0.0.1:0", "--admin-token-file", token.path()];
        args.extend(more);
        let proxy = Proxy::start(origin.address, &args).await;
        Self { proxy, origin, _token: token }
    }

    async fn admin(&self, request: &str, fields: &str, body: &str) -> Answer {
        let length = body.len();
        let mut connection = Connection::to(self.proxy.admin()).await.unwrap();
        connection
            .send(format!("{request} HTTP/1.1\r\nhost: a\r\n{fields}content-length: {length}\r\n\r\n{body}"))
            .await;
        let answer = connection.answer().await;
        assert_eq!(answer.field("cache-control"), "no-store", "{request}");
        answer
    }

    async fn invalidate(&self, body: &str) -> Answer {
        let fields = format!("authorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n");
        self.admin("POST /invalidate", &fields, body).await
    }
}

#[tokio::test]
async fn only_the_token_opens_it_whatever_the_length_of_others() {
    let site = Site::start("auth", &[]).await;
    let wrong = (0..=64)
        .map(|length| "0123456789abcdef".repeat(4)[..length].to_owned())
        .filter(|token| token != TOKEN);
    for token in wrong {
        let answer = site.admin("GET /stats", &format!("authorization: Bearer {token}\r\n"), "").await;
        assert_eq!((answer.status(), answer.field("www-authenticate")), (401, "Bearer"), "{token:?}");
    }
    let others = [
        String::new(),
        format!("authorization: Basic {TOKEN}\r\n"),
        format!("authorization: {TOKEN}\r\n"),
        format!("authorization: Bearer {TOKEN}x\r\n"),
        format!("authorization: Bearer x\r\nauthorization: Bearer {TOKEN}\r\n"),
    ];
    for fields in others {
        for request in ["GET /stats", "GET /metrics", "POST /invalidate"] {
            assert_eq!(site.admin(request, &fields, "").await.status(), 401, "{request} {fields}");
        }
    }
    let right = format!("authorization: bearer {TOKEN}\r\n");
    assert_eq!(site.admin("GET /stats", &right, "").await.status(), 200);
    assert_eq!(site.admin(&format!("GET /stats?token={TOKEN}"), "", "").await.status(), 401);
    for _ in 0..40 {
        site.admin("GET /stats", "", "").await;
    }
    assert_eq!(site.admin("GET /stats", "", "").await.status(), 429);
    assert_eq!(site.admin("GET /stats", &right, "").await.status(), 200);
}

#[tokio::test]
async fn health_and_readiness_need_no_token_and_the_proxy_itself_has_neither() {
    let site = Site::start("health", &[]).await;
    assert_eq!(site.admin("GET /healthz", "", "").await.body, "ok\n");
    assert_eq!(site.admin("GET /readyz", "", "").await.body, "ready\n");
    assert_eq!(site.admin("GET /other", "", "").await.status(), 404);
    assert_eq!(site.admin("POST /healthz", "", "").await.status(), 405);
    assert_eq!(site.proxy.get("/healthz").await.body, "hello");
}

#[tokio::test]
async fn what_is_invalidated_is_fetched_again() {
    let site = Site::start("invalidate", &[]).await;
    let orders = [
        r#"{"keys": ["a.example/x/y"]}"#,
        r#"{"paths": ["/x/y"], "tags": []}"#,
        r#"{"prefixes": ["/x"], "soft": false}"#,
        r#"{"patterns": ["/*/y"]}"#,
        r#"{"all": true}"#,
    ];
    for (number, order) in orders.into_iter().enumerate() {
        for _ in 0..2 {
            site.proxy.get("/x/y").await;
        }
        assert_eq!(site.origin.seen().len(), number + 1, "{order}");
        let answer = site.invalidate(order).await;
        assert_eq!((answer.status(), answer.body.as_str()), (200, r#"{"confirmed":true,"seq":"local"}"#));
    }
}

#[tokio::test]
async fn a_broken_order_is_named_and_changes_nothing() {
    let site = Site::start("orders", &[]).await;
    site.proxy.get("/").await;
    let many = format!(r#"{{"tags": ["x"{}]}}"#, r#","x""#.repeat(1000));
    let long = format!(r#"{{"tags": ["{}"]}}"#, "x".repeat(257));
    let cases: [(&str, u16, &str); 10] = [
        ("", 400, "EOF while parsing"),
        ("{", 400, "EOF while parsing"),
        ("{}", 400, "nothing to invalidate: tags, events, keys, paths, prefixes, patterns or all is needed"),
        (r#"{"tag": ["x"]}"#, 400, "unknown field `tag`, expected one of"),
        (r#"{"tags": "x"}"#, 400, "invalid type: string"),
        (r#"{"events": [""]}"#, 400, "the name of an event has 1 to 256 bytes"),
        (r#"{"patterns": ["/a*"]}"#, 400, "`*` stands for a whole one"),
        (r#"{"paths": ["x"]}"#, 400, "a path begins with `/`"),
        (&many, 400, "at most 1000 targets at once"),
        (&long, 400, "a tag has 1 to 256 bytes"),
    ];
    for (order, status, problem) in cases {
        let answer = site.invalidate(order).await;
        assert_eq!(answer.status(), status, "{order}");
        assert!(
            answer.body.starts_with(r#"{"error":""#) && answer.body.contains(problem),
            "{order}: {}",
            answer.body
        );
    }
    let plain = format!("authorization: Bearer {TOKEN}\r\ncontent-type: text/plain\r\n");
    assert_eq!(site.admin("POST /invalidate", &plain, r#"{"all": true}"#).await.status(), 415);
    assert_eq!(
        site.admin("POST /invalidate", &format!("authorization: Bearer {TOKEN}\r\n"), r#"{"all": true}"#)
            .await
            .status(),
        415
    );
    assert_eq!(site.invalidate(&" ".repeat((1 << 20) + 1)).await.status(), 413);
    assert!(site.proxy.get("/").await.field("cache-status").contains("; hit"));
}

#[tokio::test]
async fn a_soft_order_keeps_what_may_be_served_while_it_is_refreshed() {
    let swr = "cache-control: max-age=60, stale-while-revalidate=30\r\n";
    let site = Site::serving("soft", swr, &[]).await;
    site.proxy.get("/").await;
    let answer = site.invalidate(r#"{"paths": ["/"], "soft": true}"#).await;
    assert_eq!((answer.status(), answer.body.as_str()), (200, r#"{"confirmed":true,"seq":"local"}"#));
    let stale = site.proxy.get("/").await;
    assert!(stale.field("cache-status").ends_with("detail=stale"), "{}", stale.field("cache-status"));
    assert!(!stale.field("cache-status").contains("ttl=6"), "{}", stale.field("cache-status"));
}

#[tokio::test]
async fn an_invalidation_that_redis_has_not_confirmed_is_202() {
    let redis = RedisServer::start().await.unwrap();
    redis.kill().unwrap();
    let site = Site::start("unconfirmed", &["--redis", &redis.url()]).await;
    let answer = site.invalidate(r#"{"tags": ["x"]}"#).await;
    assert_eq!((answer.status(), answer.body.as_str()), (202, r#"{"confirmed":false,"seq":null}"#));
    let stats = site.admin("GET /stats", &format!("authorization: Bearer {TOKEN}\r\n"), "").await;
    let stats: serde_json::Value = serde_json::from_str(&stats.body).unwrap();
    assert_eq!(stats["l2"].as_str(), Some("apart"), "it has never been reached");
}

/// The statistics, once their L2 stands like that.
async fn stats_when(site: &Site, standing: &str) -> serde_json::Value {
    let right = format!("authorization: Bearer {TOKEN}\r\n");
    loop {
        let stats = site.admin("GET /stats", &right, "").await;
        let stats: serde_json::Value = serde_json::from_str(&stats.body).unwrap();
        if stats["l2"] == standing && !stats["configuration"]["own"].is_null() {
            return stats;
        }
    }
}

#[tokio::test]
async fn who_is_refused_says_so_in_its_statistics_and_in_the_log() {
    let redis = RedisServer::start().await.unwrap();
    let (url, secret) = (redis.url(), Scrap::new("refused-secret", "a secret of its own"));
    let shared = ["--redis", &url, "--namespace", "shop", "--log", "info"];
    let first = Site::start("first", &shared).await;
    first.proxy.log_with("the tiers work together").await;
    let own = stats_when(&first, "synced").await["configuration"]["own"].as_str().unwrap().to_owned();
    let second = Site::start("second", &[&shared[..], &["--secret-file", secret.path()]].concat()).await;
    let stats = stats_when(&second, "refused").await;
    assert_eq!(stats["configuration"]["strangers"], serde_json::json!([own]));
    second.proxy.log_with("ERROR").await;
    second
        .proxy
        .log_with("L2 is off: instances with another configuration were in this namespace first")
        .await;
    let answer = second.invalidate(r#"{"tags": ["x"]}"#).await;
    assert_eq!((answer.status(), answer.body.as_str()), (202, r#"{"confirmed":false,"seq":null}"#));
    first.proxy.log_with("want to use this namespace and are refused").await;
}

#[tokio::test]
async fn stats_and_metrics_tell_what_was_done_and_no_key() {
    let site = Site::start("stats", &["--namespace", "shop"]).await;
    for _ in 0..3 {
        site.proxy.get("/canary").await;
    }
    let right = format!("authorization: Bearer {TOKEN}\r\n");
    let stats = site.admin("GET /stats", &right, "").await;
    assert_eq!(stats.field("content-type"), "application/json");
    let stats: serde_json::Value = serde_json::from_str(&stats.body).unwrap();
    // A request that comes while the answer is being stored shares the flight.
    let hits = |tier: &str| stats["hits"][tier].as_u64().unwrap();
    assert_eq!((hits("l1") + hits("flight"), hits("l2")), (2, 0));
    assert_eq!((stats["misses"].as_u64(), stats["l2"].as_str()), (Some(1), Some("none")));
    assert_eq!((stats["namespace"].as_str(), stats["profile"].as_str()), (Some("shop"), Some("proxy")));
    let unconfirmed = stats["remembered"]["unconfirmed"].as_u64();
    assert_eq!((unconfirmed, stats["process"]["tasks"].as_u64() > Some(0)), (Some(0), true));
    let metrics = site.admin("GET /metrics", &right, "").await;
    assert!(metrics.body.contains("cache_hits_total{namespace=\"shop\""), "{}", metrics.body);
    assert!(!metrics.body.contains("canary"), "{}", metrics.body);
}
