//! What `build` refuses, in its own words.

use std::time::Duration;

use forebay::{Authority, Cache, CacheBuilder, L1, Redis};

async fn refused(change: impl FnOnce(CacheBuilder) -> CacheBuilder) -> String {
    change(Cache::builder("shop")).build().await.expect_err("a setting that cannot be").to_string()
}

#[tokio::test]
async fn each_error_names_the_setting_its_value_and_what_is_accepted() {
    let zero = Duration::ZERO;
    let cases = [
        (refused(|b| b.l1(L1::bytes(0))).await, "l1 of 0 bytes: the budget is 65536 bytes to"),
        (refused(|b| b.l1(L1::bytes(u64::MAX))).await, "l1 of 18446744073709551615 bytes"),
        (refused(|b| b.l1(L1::bytes(1 << 20).max_entry(0))).await, "l1.max_entry of 0 bytes"),
        (refused(|b| b.l1(L1::bytes(1 << 20).max_entry(2 << 20))).await, "l1.max_entry of 2097152 bytes"),
        (refused(|b| b.default_ttl("soon")).await, "default_ttl of \"soon\": more than 0 and at most a year"),
        (refused(|b| b.default_ttl(zero)).await, "default_ttl of \"0s\""),
        (refused(|b| b.lease("1ms")).await, "lease of 1ms: 100ms to 5m is accepted"),
        (refused(|b| b.partition_grace(Duration::MAX)).await, "0s to 1day is accepted"),
        (refused(|b| b.flight_wait("1h")).await, "flight_wait of 1h: 1ms to 10m is accepted"),
        (refused(|b| b.fill_lease("1ms")).await, "fill_lease of 1ms: 100ms to 1m is accepted"),
        (refused(|b| b.fill_lease("2m")).await, "fill_lease of 2m: 100ms to 1m is accepted"),
        (refused(|b| b.name("")).await, "name \"\": a cache's name is 1 to 64 printable ASCII characters"),
        (refused(|b| b.metrics_prefix("a-b")).await, "metrics_prefix \"a-b\""),
        (
            refused(|b| b.secret("short")).await,
            "secret of fewer than 16 bytes: 16 bytes or more are accepted",
        ),
        (refused(|b| b.authority(Authority::Fixed(String::new()))).await, "authority of \"\""),
        (
            refused(|b| b.l2(Redis::url("redis://localhost").unwrap().timeout(zero))).await,
            "redis timeout 0ns: from 1ms to 60s is accepted",
        ),
        (
            refused(|b| {
                b.lease("1s").l2(Redis::url("redis://localhost").unwrap().timeout(Duration::from_millis(300)))
            })
            .await,
            "redis timeout of 300ms with a lease of 1s: four polls have to fit into a lease; a timeout of at most 250ms, \
             or a lease of at least 1s 200ms, is accepted",
        ),
    ];
    for (error, expected) in cases {
        assert!(error.starts_with(expected) || error.ends_with(expected), "{error}");
    }
    for namespace in ["", "My Shop", &"x".repeat(65), "a{b}"] {
        let error = Cache::builder(namespace).build().await.expect_err("no such namespace").to_string();
        assert!(error.contains(&format!("{namespace:?}")) && error.contains("a-z"), "{error}");
    }
}

#[test]
fn another_scheme_is_no_redis_and_no_password_is_shown() {
    for url in ["http://user:hunter2@localhost:6379", "localhost:6379", "redis://", ""] {
        let error = Redis::url(url).expect_err("no such URL").to_string();
        assert!(error.contains("redis://") && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn outside_of_a_runtime_build_says_so() {
    let mut building = std::pin::pin!(Cache::builder("shop").build());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match building.as_mut().poll(&mut context) {
        std::task::Poll::Ready(Err(error)) => assert!(error.to_string().contains("tokio runtime"), "{error}"),
        other => panic!("{other:?}"),
    }
}
