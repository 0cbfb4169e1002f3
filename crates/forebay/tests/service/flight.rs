//! Many requests for the same thing at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use axum::response::IntoResponse;
use axum::routing;
use forebay::{Cache, Path, Tag};
use forebay_testkit::origin::{Answer, CountingOrigin};
use futures_util::future::join_all;
use tokio::task::JoinHandle;
use tower::ServiceExt;

use crate::support::{Count, cache, field, get, request, settle};

const FRESH: [(&str, &str); 1] = [("cache-control", "max-age=60")];

/// An app whose every page is an origin's answer.
fn app(cache: &Cache, origin: &CountingOrigin, fields: [(&'static str, &'static str); 1]) -> Router {
    let origin = origin.clone();
    let handler = move |request: Request<Body>| {
        let origin = origin.clone();
        async move { (fields, origin.answer(request.uri().path()).await.to_string()) }
    };
    Router::new().fallback(handler).layer(cache.layer())
}

fn ask(app: &Router, path: &str) -> JoinHandle<u64> {
    let (app, path) = (app.clone(), path.to_owned());
    tokio::spawn(async move { Answer::read(&get(&app, &path, &[]).await.body).unwrap().version })
}

async fn versions(asking: Vec<JoinHandle<u64>>) -> Vec<u64> {
    join_all(asking).await.into_iter().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_thousand_requests_for_a_cold_page_are_one_call() {
    let (cache, origin) = (cache().await, CountingOrigin::new());
    let app = app(&cache, &origin, FRESH);
    origin.hold("/a");
    let asking: Vec<_> = (0..1000).map(|_| ask(&app, "/a")).collect();
    origin.arrived("/a", 1).await;
    settle().await;
    origin.release("/a");
    assert_eq!(versions(asking).await, vec![0; 1000]);
    assert_eq!(origin.calls("/a"), 1);
}

#[tokio::test]
async fn a_leader_s_client_that_leaves_alone_takes_its_call_along() {
    let (cache, origin) = (cache().await, CountingOrigin::new());
    let app = app(&cache, &origin, FRESH);
    origin.hold("/a");
    let leader = ask(&app, "/a");
    origin.arrived("/a", 1).await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    settle().await;
    origin.release("/a");
    settle().await;
    assert_eq!(ask(&app, "/a").await.unwrap(), 0);
    assert_eq!(origin.calls("/a"), 2, "nothing had been kept of the first");
}

#[tokio::test]
async fn a_leader_s_client_that_leaves_followers_behind_leaves_them_its_call() {
    let (cache, origin) = (cache().await, CountingOrigin::new());
    let app = app(&cache, &origin, FRESH);
    origin.hold("/a");
    let leader = ask(&app, "/a");
    origin.arrived("/a", 1).await;
    let followers: Vec<_> = (0..100).map(|_| ask(&app, "/a")).collect();
    settle().await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    settle().await;
    origin.release("/a");
    assert_eq!(versions(followers).await, vec![0; 100]);
    assert_eq!(origin.calls("/a"), 1);
}

#[tokio::test]
async fn followers_that_leave_do_not_trouble_the_leader() {
    let (cache, origin) = (cache().await, CountingOrigin::new());
    let app = app(&cache, &origin, FRESH);
    origin.hold("/a");
    let leader = ask(&app, "/a");
    origin.arrived("/a", 1).await;
    let followers: Vec<_> = (0..10).map(|_| ask(&app, "/a")).collect();
    settle().await;
    followers.iter().for_each(JoinHandle::abort);
    settle().await;
    origin.release("/a");
    assert_eq!((leader.await.unwrap(), origin.calls("/a")), (0, 1));
}

/// Panics at its first call, when the test lets it.
fn panicking(cache: &Cache, origin: &CountingOrigin, always: bool) -> Router {
    let (origin, panicked) = (origin.clone(), Arc::new(AtomicBool::new(false)));
    let handler = move || {
        let (origin, panicked) = (origin.clone(), Arc::clone(&panicked));
        async move {
            let first = !panicked.swap(true, Ordering::SeqCst);
            let answer = origin.answer("/a").await;
            assert!(!first && !always, "the handler's own words");
            (FRESH, answer.to_string())
        }
    };
    Router::new().route("/a", routing::get(handler)).layer(cache.layer())
}

fn panic_text(panic: tokio::task::JoinError) -> String {
    let panic = panic.into_panic();
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref().cloned())
        .unwrap()
}

#[tokio::test]
async fn a_leader_that_panics_does_so_for_its_own_client_alone() {
    let (cache, origin) = (cache().await, CountingOrigin::new());
    let app = panicking(&cache, &origin, false);
    origin.hold("/a");
    let leader = ask(&app, "/a");
    origin.arrived("/a", 1).await;
    let followers: Vec<_> = (0..100).map(|_| ask(&app, "/a")).collect();
    settle().await;
    origin.release("/a");
    assert_eq!(panic_text(leader.await.unwrap_err()), "the handler's own words");
    assert_eq!(versions(followers).await, vec![0; 100]);
    assert_eq!(origin.calls("/a"), 2);
}

#[tokio::test]
async fn a_handler_that_always_panics_leaves_nobody_waiting() {
    let (cache, origin) = (cache().await, CountingOrigin::new());
    let app = panicking(&cache, &origin, true);
    let asking: Vec<_> = (0..50).map(|_| ask(&app, "/a")).collect();
    for asking in asking {
        assert_eq!(panic_text(asking.await.unwrap_err()), "the handler's own words");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4
//= type=test
//# Note, however, that if the cache cannot use the returned response for some or all of the collapsed
//# requests, it will need to forward the requests in order to satisfy them, potentially introducing
//# additional latency.
#[tokio::test]
async fn what_turns_out_unshareable_is_asked_for_by_everybody() {
    let (cache, origin) = (cache().await, CountingOrigin::new());
    let app = app(&cache, &origin, [("cache-control", "private")]);
    origin.hold("/a");
    let asking: Vec<_> = (0..100).map(|_| ask(&app, "/a")).collect();
    origin.arrived("/a", 1).await;
    settle().await;
    origin.let_through("/a", 1);
    settle().await;
    assert_eq!(origin.calls("/a"), 100, "they all ask at once, not one after the other");
    origin.release("/a");
    assert_eq!(versions(asking).await.len(), 100);
}

// The followers of each round arrive after the invalidation of the round before: none may get what is older.
#[tokio::test]
async fn an_invalidation_during_a_flight_reaches_all_that_arrive_after_it() {
    for by_tag in [false, true] {
        let (cache, origin) = (cache().await, CountingOrigin::new());
        let counting = origin.clone();
        let handler = move || {
            let origin = counting.clone();
            async move { (forebay::Cached::ttl("1m").tag("t"), origin.answer("/a").await.to_string()) }
        };
        let app = Router::new().route("/a", routing::get(handler)).layer(cache.layer());
        for round in 0..10 {
            let calls = origin.calls("/a");
            origin.hold("/a");
            let before: Vec<_> = (0..20).map(|_| ask(&app, "/a")).collect();
            origin.arrived("/a", calls + 1).await;
            settle().await;
            let written = origin.write("/a");
            if by_tag {
                cache.invalidate(Tag("t")).await.unwrap();
            } else {
                cache.invalidate(Path("/a")).await.unwrap();
            }
            let after: Vec<_> = (0..20).map(|_| ask(&app, "/a")).collect();
            settle().await;
            origin.release("/a");
            let after = versions(after).await;
            assert_eq!(after, vec![written; 20], "round {round}, by tag: {by_tag}");
            assert!(versions(before).await.iter().all(|version| *version >= written - 1));
            assert!(origin.calls("/a") - calls <= 2, "{} calls", origin.calls("/a") - calls);
            assert_eq!(ask(&app, "/a").await.unwrap(), written);
            cache.invalidate(Path("/a")).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_first_requests_to_a_route_of_users_are_each_answered_for_their_own() {
    let (cache, count) = (cache().await, Count::default());
    let counting = count.clone();
    let handler = move |request: Request<Body>| {
        let counting = counting.clone();
        async move {
            settle().await;
            counting.up();
            (FRESH, field(request.headers(), "x-user"))
        }
    };
    let by_user = |parts: &axum::http::request::Parts| Some(field(&parts.headers, "x-user").into_bytes());
    let annotated = routing::get(handler).layer(cache.route().ttl("1m").vary_by(by_user));
    let app = Router::new().route("/me", annotated).layer(cache.layer());
    let asking = (0..100).map(|n| {
        let app = app.clone();
        tokio::spawn(async move {
            let user = (n % 50).to_string();
            assert_eq!(get(&app, "/me", &[("x-user", &user)]).await.text(), user);
        })
    });
    for asking in asking.collect::<Vec<_>>() {
        asking.await.unwrap();
    }
    assert!(count.get() <= 51, "{} calls for 50 users", count.get());
}

#[tokio::test(start_paused = true)]
async fn who_has_waited_long_enough_asks_for_itself() {
    let cache = Cache::builder("test").flight_wait("3s").build().await.unwrap();
    let origin = CountingOrigin::new();
    let app = app(&cache, &origin, FRESH);
    origin.hold("/a");
    let leader = ask(&app, "/a");
    origin.arrived("/a", 1).await;
    let follower = ask(&app, "/a");
    settle().await;
    tokio::time::advance(Duration::from_millis(2900)).await;
    settle().await;
    assert_eq!(origin.calls("/a"), 1);
    tokio::time::advance(Duration::from_millis(200)).await;
    origin.arrived("/a", 2).await;
    origin.release("/a");
    assert_eq!((leader.await.unwrap(), follower.await.unwrap()), (0, 0));
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4
//= type=test
//# Note, however, that if the cache cannot use the returned response for some or all of the collapsed
//# requests, it will need to forward the requests in order to satisfy them, potentially introducing
//# additional latency.
#[tokio::test]
async fn followers_that_vary_from_their_leader_are_led_by_one_of_their_own() {
    let (cache, origin) = (cache().await, CountingOrigin::new());
    let counting = origin.clone();
    let handler = move |request: Request<Body>| {
        let origin = counting.clone();
        async move {
            let language = field(request.headers(), "accept-language");
            origin.answer(&language).await;
            let mut response = language.into_response();
            response.headers_mut().insert("cache-control", "max-age=60".parse().unwrap());
            response.headers_mut().insert("vary", "accept-language".parse().unwrap());
            response
        }
    };
    let app = Router::new().route("/a", routing::get(handler)).layer(cache.layer());
    let languages = ["de", "en", "fr"];
    let asking: Vec<_> = (0..90)
        .map(|n| {
            let (app, language) = (app.clone(), languages[n % 3]);
            let request = request(Method::GET, "/a", &[("accept-language", language)]);
            tokio::spawn(async move {
                let body = app.oneshot(request).await.unwrap().into_body();
                assert_eq!(axum::body::to_bytes(body, 100).await.unwrap(), language);
            })
        })
        .collect();
    for asking in asking {
        asking.await.unwrap();
    }
    for language in languages {
        assert_eq!(origin.calls(language), 1, "{language}");
    }
}

// Everything at once, on two threads: what is read is never older than what was confirmed before it was asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_reads_what_was_invalidated_before_they_asked() {
    let (cache, origin) = (cache().await, CountingOrigin::new());
    let counting = origin.clone();
    let handler = move || {
        let origin = counting.clone();
        async move { (forebay::Cached::ttl("1m").tag("t"), origin.answer("/a").await.to_string()) }
    };
    let app = Router::new().route("/a", routing::get(handler)).layer(cache.layer()).with_state(());
    let (confirmed, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let readers = (0..8).map(|_| {
        let (app, confirmed, done) = (app.clone(), Arc::clone(&confirmed), Arc::clone(&done));
        tokio::spawn(async move {
            let mut reads = 0;
            while !done.load(Ordering::SeqCst) {
                let floor = confirmed.load(Ordering::SeqCst);
                let response = app.clone().oneshot(request(Method::GET, "/a", &[])).await.unwrap();
                let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
                let version = Answer::read(&body).unwrap().version;
                assert!(version >= floor, "{version} after {floor}");
                reads += 1;
                tokio::task::yield_now().await;
            }
            reads
        })
    });
    let readers: Vec<JoinHandle<u64>> = readers.collect();
    for round in 0..1000 {
        let version = origin.write("/a");
        match round % 2 {
            0 => cache.invalidate(Tag("t")).await.unwrap(),
            _ => cache.invalidate(Path("/a")).await.unwrap(),
        };
        confirmed.store(version, Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
    done.store(true, Ordering::SeqCst);
    assert!(versions(readers).await.iter().sum::<u64>() > 0);
}
