//! An origin that is slow, fails again and again, breaks down, or answers with what is not to be stored: who waits, and for how
//! long.

use std::time::Duration;

use axum::http::Method;
use forebay::{Path, Policy, Upkeep};
use futures_util::future::join_all;
use tokio::task::JoinHandle;

use crate::shop::{Deed, Down, Shop};
use crate::support::{Fields, Reply, settle};

const SIE: Fields<'static> = &[("cache-control", "max-age=60, stale-if-error=300")];
const MS: Duration = Duration::from_millis(1);

/// A shop with a stale answer, by an origin that holds whatever comes.
async fn slow(upkeep: Upkeep, fields: Fields<'_>) -> Shop {
    let shop = Shop::with(Policy::origin(), |cache| cache.upkeep(upkeep)).await;
    shop.origin.says(200, fields, "old");
    shop.get("/a", &[]).await;
    shop.pass(100);
    shop.origin.says(200, fields, "new");
    shop.origin.hold();
    shop
}

fn asking(shop: &Shop, path: &'static str) -> JoinHandle<Reply> {
    let shop = shop.clone();
    tokio::spawn(async move { shop.get(path, &[]).await })
}

async fn wait(time: Duration) {
    settle().await;
    tokio::time::advance(time).await;
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn behind_the_soft_timeout_the_stale_answer_is_given_and_the_call_goes_on() {
    let shop = slow(Upkeep::new().soft_timeout("200ms"), SIE).await;
    let (leader, follower) = (asking(&shop, "/a"), asking(&shop, "/a"));
    wait(199 * MS).await;
    assert!(!leader.is_finished() && !follower.is_finished());
    wait(MS).await;
    let reply = leader.await.unwrap();
    assert_eq!(
        (reply.text(), reply.cache_status()),
        ("old", "forebay; fwd=stale; ttl=-40; detail=origin-slow")
    );
    let reply = follower.await.unwrap();
    let collapsed = "forebay; fwd=stale; collapsed; ttl=-40; detail=origin-slow";
    assert_eq!((reply.text(), reply.cache_status()), ("old", collapsed));
    for _ in 0..100 {
        assert_eq!(shop.get("/a", &[]).await.cache_status(), collapsed, "nobody waits twice");
    }
    assert_eq!(shop.origin.calls(), 2);
    shop.origin.release();
    settle().await;
    let fresh = shop.get("/a", &[]).await;
    assert_eq!((fresh.text(), fresh.is_hit()), ("new", true));
    assert_eq!(shop.origin.calls(), 2, "what came in the end was stored");
}

#[tokio::test(start_paused = true)]
async fn without_a_permission_or_anything_stale_the_soft_timeout_means_nothing() {
    let shop = slow(Upkeep::new().soft_timeout("200ms"), &[("cache-control", "max-age=60")]).await;
    let waiting = [asking(&shop, "/a"), asking(&shop, "/cold")];
    wait(Duration::from_secs(5)).await;
    assert!(waiting.iter().all(|asking| !asking.is_finished()));
    shop.origin.release();
    for asking in waiting {
        assert_eq!(asking.await.unwrap().text(), "new");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_invalidated_before_the_soft_timeout_is_not_given() {
    let shop = slow(Upkeep::new().soft_timeout("200ms").hard_timeout("1s"), SIE).await;
    let leader = asking(&shop, "/a");
    wait(100 * MS).await;
    shop.cache.invalidate(Path("/a")).await.unwrap();
    wait(100 * MS).await;
    assert!(!leader.is_finished());
    wait(800 * MS).await;
    let reply = leader.await.unwrap();
    assert_eq!(
        (reply.status.as_u16(), reply.cache_status()),
        (504, "forebay; fwd=stale; detail=origin-timeout")
    );
    shop.origin.release();
    settle().await;
    assert!(!shop.get("/a", &[]).await.is_hit(), "what was asked for before it is not stored");
}

#[tokio::test(start_paused = true)]
async fn behind_the_hard_timeout_everybody_has_an_answer_and_the_call_goes_on() {
    let shop = slow(Upkeep::new().hard_timeout("2s"), SIE).await;
    let (stale, cold, follower) = (asking(&shop, "/a"), asking(&shop, "/cold"), asking(&shop, "/cold"));
    wait(Duration::from_millis(1999)).await;
    assert!(!stale.is_finished() && !cold.is_finished() && !follower.is_finished());
    let late = asking(&shop, "/cold");
    wait(MS).await;
    assert_eq!(stale.await.unwrap().text(), "old");
    let cold = cold.await.unwrap();
    assert_eq!(
        (cold.status.as_u16(), cold.cache_status()),
        (504, "forebay; fwd=uri-miss; detail=origin-timeout")
    );
    let follower = follower.await.unwrap();
    let status = "forebay; fwd=uri-miss; collapsed; detail=origin-timeout";
    assert_eq!((follower.status.as_u16(), follower.cache_status()), (504, status));
    assert_eq!(shop.origin.calls(), 3, "one call for all that asked for it");
    wait(Duration::from_secs(1)).await;
    assert!(!late.is_finished(), "it has waited for a second only");
    shop.origin.release();
    assert_eq!(late.await.unwrap().text(), "new");
    assert!(shop.get("/cold", &[]).await.is_hit());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_is_given_up_in_the_end_and_the_next_one_begins() {
    let shop = slow(Upkeep::new().soft_timeout("200ms"), SIE).await;
    shop.origin.does(|_| Deed::Hang);
    shop.origin.release();
    let leader = asking(&shop, "/a");
    wait(200 * MS).await;
    assert_eq!(leader.await.unwrap().text(), "old");
    wait(Duration::from_secs(59)).await;
    shop.get("/a", &[]).await;
    assert_eq!(shop.origin.calls(), 2);
    wait(Duration::from_secs(1)).await;
    shop.origin.says(200, SIE, "new");
    assert_eq!(shop.get("/a", &[]).await.text(), "new");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_before_the_timeout_takes_its_call_along() {
    let shop = slow(Upkeep::new().soft_timeout("200ms"), SIE).await;
    let leader = asking(&shop, "/a");
    wait(100 * MS).await;
    leader.abort();
    wait(Duration::from_secs(1)).await;
    shop.origin.release();
    assert_eq!(shop.get("/a", &[]).await.text(), "new");
    assert_eq!(shop.origin.calls(), 3, "nothing was kept of the first");
}

#[tokio::test]
async fn a_panic_is_covered_up_like_an_error_where_that_is_permitted() {
    let shop = slow(Upkeep::new(), SIE).await;
    shop.origin.does(|_| Deed::Panic);
    shop.origin.release();
    let reply = shop.get("/a", &[]).await;
    assert_eq!(
        (reply.text(), reply.cache_status()),
        ("old", "forebay; fwd=stale; ttl=-40; detail=stale-if-error")
    );
    let cold = asking(&shop, "/cold");
    assert!(
        cold.await.is_err_and(|error| error.is_panic()),
        "where nothing stands in it is the handler's own"
    );
}

#[tokio::test]
async fn an_origin_that_has_failed_is_left_alone_for_a_second() {
    let shop = slow(Upkeep::new(), SIE).await;
    shop.origin.release();
    shop.origin.does(|_| Deed::Fail);
    for calls in 2..5 {
        assert_eq!(shop.get("/a", &[]).await.text(), "old");
        for _ in 0..10 {
            let reply = shop.get("/a", &[]).await;
            assert_eq!(reply.text(), "old");
            assert!(reply.cache_status().starts_with("forebay; hit; ttl=-4"), "{}", reply.cache_status());
            assert!(reply.cache_status().ends_with("detail=stale-if-error"), "{}", reply.cache_status());
        }
        assert_eq!(shop.origin.calls(), calls);
        shop.pass(1);
    }
    // Its window is no longer for that.
    shop.pass(359 - 103);
    shop.clock.advance(500 * MS);
    assert_eq!(shop.get("/a", &[]).await.text(), "old");
    shop.clock.advance(700 * MS);
    assert_eq!(shop.ask(Method::GET, "/a", &[]).await.err(), Some(Down), "the window has ended");
}

#[tokio::test]
async fn those_who_ask_for_what_is_not_stored_do_not_wait_for_each_other() {
    let shop = Shop::origin_profile().await;
    let private: Fields<'_> = &[("cache-control", "no-store")];
    shop.origin.says(200, private, "mine");
    shop.get("/a", &[]).await;
    shop.origin.hold();
    let asked: Vec<_> = (0..20).map(|_| asking(&shop, "/a")).collect();
    settle().await;
    assert_eq!(shop.origin.calls(), 21, "all of them at once");
    shop.origin.release();
    join_all(asked).await;
    // Ten seconds later it is tried anew; an answer that is stored ends it sooner.
    for (seconds, ended) in [(9, false), (1, true)] {
        shop.pass(seconds);
        shop.origin.hold();
        let calls = shop.origin.calls();
        let asked: Vec<_> = (0..20).map(|_| asking(&shop, "/a")).collect();
        settle().await;
        assert_eq!(shop.origin.calls() - calls, if ended { 1 } else { 20 });
        shop.origin.release();
        join_all(asked).await;
    }
}

#[tokio::test]
async fn a_storable_answer_or_an_invalidation_makes_them_wait_again() {
    for invalidated in [false, true] {
        let shop = Shop::origin_profile().await;
        shop.origin.says(200, &[("cache-control", "no-store")], "mine");
        shop.get("/a", &[]).await;
        shop.origin.says(200, &[("cache-control", "max-age=60")], "ours");
        if invalidated {
            shop.cache.invalidate(Path("/a")).await.unwrap();
        } else {
            shop.get("/a", &[]).await;
            assert!(shop.get("/a", &[]).await.is_hit());
            shop.pass(61);
        }
        let calls = shop.origin.calls();
        shop.origin.hold();
        let asked: Vec<_> = (0..20).map(|_| asking(&shop, "/a")).collect();
        settle().await;
        assert_eq!(shop.origin.calls() - calls, 1, "invalidated: {invalidated}");
        shop.origin.release();
        join_all(asked).await;
    }
}

#[tokio::test]
async fn an_error_says_nothing_of_the_next_answer() {
    let shop = Shop::origin_profile().await;
    shop.origin.says(500, &[], "sorry");
    shop.get("/a", &[]).await;
    shop.origin.does(|_| Deed::Fail);
    assert_eq!(shop.ask(Method::GET, "/a", &[]).await.err(), Some(Down));
    shop.origin.says(200, &[("cache-control", "max-age=60")], "ours");
    shop.origin.hold();
    let asked: Vec<_> = (0..20).map(|_| asking(&shop, "/a")).collect();
    settle().await;
    assert_eq!(shop.origin.calls(), 3);
    shop.origin.release();
    join_all(asked).await;
}
