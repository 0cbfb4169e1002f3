//! The quickstart.

use forebay_testkit::redis::RedisServer;
use http::{Method, StatusCode};
use http_body_util::BodyExt;

use crate::support::{Answer, Data, Site, command};

const QUICKSTART: &str = env!("CARGO_BIN_EXE_quickstart");

async fn start(data: &Data, redis: Option<&str>) -> Site {
    Site::start(QUICKSTART, data, redis).await
}

fn hit(answer: &Answer) -> bool {
    answer.is_hit_of("l1")
}

#[tokio::test]
async fn an_article_is_made_once_and_then_a_hit_until_it_is_updated() {
    let data = Data::new();
    let site = start(&data, None).await;

    let first = site.get("/articles/1").await;
    assert_eq!(first.cache_status(), "forebay; fwd=uri-miss; stored; ttl=60; detail=route");
    assert!(
        first.text.contains("Bread with rye") && first.text.contains(&site.signature()),
        "{}",
        first.text
    );
    let second = site.get_until("/articles/1", hit).await;
    assert_eq!(second.text, first.text);
    assert!(!second.field("age").is_empty());

    let updated = site.put("/articles/1", "Rye again").await;
    assert_eq!(updated.status, StatusCode::OK);
    let third = site.get("/articles/1").await;
    assert!(third.text.starts_with("Rye again\n"), "{}", third.text);
    assert!(third.cache_status().contains("fwd="), "{}", third.cache_status());
}

#[tokio::test]
async fn an_update_leaves_other_articles_and_clears_searches() {
    let data = Data::new();
    let site = start(&data, None).await;
    let other = site.get_until("/articles/2", hit).await;
    site.get_until("/articles?q=Bread", hit).await;

    site.put("/articles/1", "Rye again").await;
    let search = site.get("/articles?q=Bread").await;
    assert!(!search.text.contains("1: ") && search.text.contains("2: Bread"), "{}", search.text);
    let kept = site.get("/articles/2").await;
    assert!(hit(&kept) && kept.text == other.text, "{kept:?}");
}

#[tokio::test]
async fn a_search_is_keyed_by_its_words_alone() {
    let data = Data::new();
    let site = start(&data, None).await;
    let plain = site.get_until("/articles?q=Bread", hit).await;
    let decorated = site.get("/articles?utm=1&q=Bread").await;
    assert!(hit(&decorated) && decorated.text == plain.text, "{decorated:?}");
    let soup = site.get("/articles?q=Soup").await;
    assert!(!hit(&soup) && soup.text.contains("3: Soup"), "{soup:?}");
}

#[tokio::test]
async fn two_users_never_see_each_other_s_answers() {
    let data = Data::new();
    let site = start(&data, None).await;
    for user in ["ann", "bob", "ann", "bob", "ann", "bob"] {
        let answer = site.get_with("/me", &[("x-user", user)]).await;
        assert!(answer.text.starts_with(&format!("for {user} alone\n")), "{user}: {answer:?}");
    }
    let nobody = site.get("/me").await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
    assert!(!nobody.cache_status().contains("stored"), "{}", nobody.cache_status());
}

#[tokio::test]
async fn head_and_conditional_requests_are_answered_from_the_cache() {
    let data = Data::new();
    let site = start(&data, None).await;
    let whole = site.get_until("/articles/1", hit).await;

    let head = site.send(Method::HEAD, "/articles/1", &[], "").await;
    assert_eq!(head.headers()["content-length"], whole.text.len().to_string());
    assert!(head.headers()["cache-status"].to_str().unwrap().contains("; hit"));
    assert!(head.into_body().collect().await.unwrap().to_bytes().is_empty());

    let same = site.get_with("/articles/1", &[("if-none-match", whole.field("etag"))]).await;
    assert_eq!((same.status, same.text.as_str()), (StatusCode::NOT_MODIFIED, ""));
    assert!(hit(&same), "{}", same.cache_status());
    let other = site.get_with("/articles/1", &[("if-none-match", "\"another\"")]).await;
    assert_eq!((other.status, &other.text), (StatusCode::OK, &whole.text));
}

#[tokio::test]
async fn the_feed_passes_its_events_one_by_one() {
    let data = Data::new();
    let site = start(&data, None).await;
    let feed = site.send(Method::GET, "/feed", &[], "").await;
    assert_eq!(feed.headers()["content-type"], "text/event-stream");
    let mut feed = feed.into_body();
    for number in 1..=2 {
        // The stream has no end: a cache that collected it before passing it on would never get here.
        let event = feed.frame().await.unwrap().unwrap().into_data().unwrap();
        let expected = format!("data: {number} by ");
        assert!(event.starts_with(expected.as_bytes()), "{event:?}");
        assert_eq!(event.windows(5).filter(|part| part == b"data:").count(), 1, "{event:?}");
    }
}

#[tokio::test]
async fn metrics_count_hits_and_misses_by_route() {
    let data = Data::new();
    let site = start(&data, None).await;
    site.get_until("/articles/1", hit).await;
    let metrics = site.get("/metrics").await.text;
    for name in ["cache_hits_total{", "cache_misses_total{"] {
        let line = metrics.lines().find(|line| line.starts_with(name) && line.contains("/articles/{id}"));
        assert!(line.is_some(), "{name} in {metrics}");
    }
    assert!(!metrics.contains("/articles/1"), "{metrics}");
}

#[tokio::test]
async fn instances_on_one_redis_share_entries_and_an_update_on_one_reaches_the_other() {
    let redis = RedisServer::start().await.unwrap();
    let data = Data::new();
    let (a, b) = (start(&data, Some(&redis.url())).await, start(&data, Some(&redis.url())).await);
    a.log_with("L2 is reached").await;
    b.log_with("L2 is reached").await;

    let first = a.get("/articles/1").await;
    a.stored_in_l2(1).await;
    let shared = b.get("/articles/1").await;
    assert!(shared.is_hit_of("l2") && shared.text == first.text, "{shared:?}");
    assert!(hit(&b.get("/articles/1").await));

    a.put("/articles/1", "Rye again").await;
    let on_a = a.get("/articles/1").await;
    assert!(on_a.text.starts_with("Rye again\n"), "{}", on_a.text);
    // The message takes its way to b; at the latest the lease ends what b has.
    b.get_until("/articles/1", |answer| answer.text.starts_with("Rye again\n")).await;

    // And the other way round.
    b.put("/articles/1", "Rye for ever").await;
    assert!(b.get("/articles/1").await.text.starts_with("Rye for ever\n"));
    a.get_until("/articles/1", |answer| answer.text.starts_with("Rye for ever\n")).await;
}

#[tokio::test]
async fn without_its_redis_it_starts_says_so_once_and_joins_later() {
    let redis = RedisServer::start().await.unwrap();
    redis.kill().unwrap();
    let data = Data::new();
    let site = start(&data, Some(&redis.url())).await;
    let log = site.log_with("L2 cannot be reached").await;
    let first = site.get("/articles/1").await;
    assert_eq!(first.status, StatusCode::OK);
    site.get_until("/articles/1", hit).await;
    assert_eq!(log.matches("L1 works alone").count(), 1, "{log}");

    redis.restart().await.unwrap();
    let log = site.log_with("L2 is reached").await;
    assert_eq!(log.matches("L1 works alone").count(), 1, "{log}");
    // What it makes from now on is there for others.
    site.get("/articles/2").await;
    site.stored_in_l2(1).await;
    let other = start(&data, Some(&redis.url())).await;
    other.log_with("L2 is reached").await;
    let shared = other.get("/articles/2").await;
    assert!(shared.is_hit_of("l2") && shared.text.contains(&site.signature()), "{shared:?}");
}

#[tokio::test]
async fn a_wrong_setting_is_one_line_and_exit_code_1() {
    let data = Data::new();
    let site = start(&data, None).await;
    let taken = site.signature().replace("made by ", "");
    let cases = [
        ("REDIS_URL", "http://localhost:6379", "redis://"),
        ("LISTEN", taken.as_str(), "LISTEN=127.0.0.1:3001"),
        ("LISTEN", "3000", "LISTEN=127.0.0.1:3001"),
        ("DATA", "/dev/null/articles", "DATA=/dev/null/articles"),
    ];
    for (name, value, expected) in cases {
        let output = command(QUICKSTART, &data).env(name, value).output().await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.starts_with("error: ") && said.contains(name) && said.contains(value), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}
