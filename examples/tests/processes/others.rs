//! The examples beside the quickstart: each does what it says.

use forebay_testkit::redis::RedisServer;
use http::{Method, StatusCode};

use crate::support::{Data, Site, command};

#[tokio::test]
async fn a_plain_hyper_service_is_cached_by_its_table_and_by_its_handler() {
    let site = Site::start(env!("CARGO_BIN_EXE_hyper_service"), &Data::new(), None).await;
    for path in ["/hello/ann", "/news"] {
        let first = site.get(path).await;
        assert!(first.cache_status().contains("; stored"), "{first:?}");
        let second = site.get_until(path, |answer| answer.is_hit_of("l1")).await;
        assert_eq!(second.text, first.text);
    }
    for path in ["/clock", "/clock", "/nowhere", "/nowhere"] {
        let answer = site.get(path).await;
        assert!(!answer.cache_status().contains("; hit"), "{answer:?}");
    }
}

#[tokio::test]
async fn each_user_has_answers_of_their_own_and_nobody_else_gets_any() {
    let site = Site::start(env!("CARGO_BIN_EXE_per_user"), &Data::new(), None).await;
    for (token, user) in [("token-of-ann", "ann"), ("token-of-bob", "bob"), ("token-of-ann", "ann")] {
        let answer = site.get_with("/me", &[("authorization", &format!("Bearer {token}"))]).await;
        assert!(answer.text.starts_with(&format!("for {user} alone")), "{answer:?}");
    }
    assert_eq!(site.get("/me").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_old_rate_is_given_at_once_while_a_new_one_is_made_or_in_place_of_an_error() {
    let site = Site::start(env!("CARGO_BIN_EXE_stale"), &Data::new(), None).await;
    let one = site.get("/rates/EUR").await;
    assert!(one.cache_status().contains("; stored;") && one.cache_status().contains("=handler"), "{one:?}");
    let all = site.get("/rates").await;
    assert!(all.cache_status().contains("; stored;") && all.cache_status().contains("=route"), "{all:?}");

    let old = site.get_until("/rates", |answer| answer.is_hit_of("stale")).await;
    assert_eq!(old.text, all.text);
    let new = site.get_until("/rates", |answer| answer.text != all.text).await;
    assert!(new.is_hit_of("l1"), "nobody has waited for it: {new:?}");

    site.send(Method::POST, "/down", &[], "").await;
    let kept = site.get_until("/rates/EUR", |answer| !answer.is_hit_of("l1")).await;
    assert!(kept.cache_status().contains("fwd=stale; fwd-status=503"), "{kept:?}");
    assert_eq!((kept.status, &kept.text), (StatusCode::OK, &one.text));
    assert_eq!(site.get("/rates/CHF").await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn two_instances_show_what_one_redis_gives_them() {
    let program = env!("CARGO_BIN_EXE_two_instances");
    let redis = RedisServer::start().await.unwrap();
    let shown = command(program, &Data::new()).env("REDIS_URL", redis.url()).output().await.unwrap();
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.status.success(), "{text}");
    for expected in ["detail=l2", "detail=l1", "the old article was gone within"] {
        assert!(text.contains(expected), "{expected} in {text}");
    }

    let refused = command(program, &Data::new()).output().await.unwrap();
    let text = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(text.lines().count() == 1 && text.contains("REDIS_URL is not set"), "{text}");
}
