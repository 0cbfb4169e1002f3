//! Events, and invalidations that wait for a commit.

use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use axum::routing;
use forebay::{Cache, Cached, Event, InvalidateError, L2, PlaceHold, Released, Soft, Tag, Target};
use forebay_testkit::memory::{MemoryServer, Op};

use crate::support::{Count, cache, get, request, send, settle};

/// A page that tells how often it was made.
fn page(count: &Count) -> routing::MethodRouter {
    let count = count.clone();
    routing::get(move || std::future::ready(count.up().to_string()))
}

/// A page of each deployment that is `.on` its update, and one tagged with the same words.
async fn site() -> (Cache, Router, [Count; 2]) {
    let (cache, counts) = (cache().await, [Count::default(), Count::default()]);
    let subscribed = cache.route().ttl("1m").on(["deployment.update.{id}"]);
    let tagged = cache.route().ttl("1m").tags(["deployment.update.{id}"]);
    let app = Router::new()
        .route("/deployments/{id}", page(&counts[0]).layer(subscribed))
        .route("/tagged/{id}", page(&counts[1]).layer(tagged))
        .layer(cache.layer());
    (cache, app, counts)
}

#[tokio::test]
async fn an_event_makes_old_what_subscribes_to_it_and_no_tag_of_its_name() {
    let (cache, app, [subscribed, tagged]) = site().await;
    for path in ["/deployments/1", "/deployments/2", "/tagged/1"] {
        get(&app, path, &[]).await;
    }
    cache.invalidate(Event("deployment.update.1")).await.unwrap();
    for (path, kept) in [("/deployments/1", false), ("/deployments/2", true), ("/tagged/1", true)] {
        assert_eq!(get(&app, path, &[]).await.is_hit(), kept, "{path}");
    }
    cache.invalidate(Tag("deployment.update.2")).await.unwrap();
    assert!(get(&app, "/deployments/2", &[]).await.is_hit());
    assert_eq!((subscribed.get(), tagged.get()), (3, 1));
}

#[tokio::test]
async fn a_handler_subscribes_its_own_answer() {
    let cache = cache().await;
    let handler = async || (Cached::ttl("1m").tag("page").on("release").on("rollback"), "page");
    let app = Router::new().route("/a", routing::get(handler)).layer(cache.layer());
    let targets: [Target; 3] = [Event("release").into(), Event("rollback").into(), Tag("page").into()];
    for target in targets {
        get(&app, "/a", &[]).await;
        assert!(get(&app, "/a", &[]).await.is_hit());
        cache.invalidate(target.clone()).await.unwrap();
        assert!(!get(&app, "/a", &[]).await.is_hit(), "{target:?}");
    }
    get(&app, "/a", &[]).await;
    cache.invalidate(Event("page")).await.unwrap();
    assert!(get(&app, "/a", &[]).await.is_hit());
}

#[tokio::test]
async fn a_change_that_succeeds_announces_its_events() {
    let (cache, count) = (cache().await, Count::default());
    let update = routing::put(async || "updated").layer(cache.invalidates(["x"]).events(["update.{id}"]));
    let app = Router::new()
        .route("/list", page(&count).layer(cache.route().ttl("1m").on(["update.7"])))
        .route("/items/{id}", update)
        .layer(cache.layer());
    get(&app, "/list", &[]).await;
    send(&app, request(Method::PUT, "/items/8", &[])).await;
    assert!(get(&app, "/list", &[]).await.is_hit());
    send(&app, request(Method::PUT, "/items/7", &[])).await;
    assert!(!get(&app, "/list", &[]).await.is_hit());
    assert!(cache.invalidates(["x"]).try_events(["update.{"]).is_err());
}

#[tokio::test]
async fn what_is_pending_happens_when_it_is_fired_and_never_if_it_is_dropped() {
    let (cache, app, _) = site().await;
    let is_kept = async || {
        let kept = get(&app, "/deployments/1", &[]).await.is_hit();
        settle().await;
        kept
    };
    is_kept().await;
    let mut changes = cache.pending();
    changes.add(Event("deployment.update.1")).add([Tag("a"), Tag("b"), Tag("a")]);
    assert_eq!(changes.len(), 3);
    assert!(is_kept().await, "nothing has been fired");
    drop(changes);
    assert!(is_kept().await, "it was dropped");
    let mut changes = cache.pending();
    changes.add(Event("deployment.update.1"));
    changes.fire().await.unwrap();
    assert!(!is_kept().await);
}

#[tokio::test]
async fn what_is_held_is_made_for_every_request_until_it_is_released() {
    let (cache, app, _) = site().await;
    let is_kept = async || {
        let kept = get(&app, "/deployments/1", &[]).await.is_hit();
        settle().await;
        kept
    };
    is_kept().await;
    let hold = cache.hold(Event("deployment.update.1"), "10s").everywhere().await.unwrap();
    assert!(!is_kept().await && !is_kept().await);
    assert!(matches!(hold.release().await.unwrap(), Released::InTime(_)));
    assert!(!is_kept().await && is_kept().await);
}

#[tokio::test]
async fn what_cannot_be_held_is_named_with_what_can() {
    let (cache, ..) = site().await;
    let why = async |hold: PlaceHold| hold.await.unwrap_err().to_string();
    assert_eq!(
        why(cache.hold(Tag("a"), "soon")).await,
        "cannot hold for \"soon\": more than 0 and at most 5m is accepted, as in \"10s\""
    );
    assert!(why(cache.hold(Tag("a"), "6m")).await.contains("360s"));
    assert!(why(cache.hold(Tag(""), "1s")).await.contains("1 to 256"));
    assert!(why(cache.hold(Vec::<Tag<String>>::new(), "1s")).await.contains("at least one"));
    assert!(why(cache.hold(Soft(Tag("a")), "1s")).await.contains("soft"));
}

#[tokio::test]
async fn after_the_commit_a_name_that_nothing_can_carry_keeps_no_other_from_being_invalidated() {
    let (cache, app, _) = site().await;
    get(&app, "/deployments/1", &[]).await;
    let mut changes = cache.pending();
    assert!(changes.is_empty() && changes.check().is_ok());
    changes.add(Tag("")).add(Event("deployment.update.1"));
    assert!(changes.check().unwrap_err().to_string().contains("1 to 256"));
    assert!(matches!(changes.fire().await, Err(InvalidateError::Target(_))));
    assert!(!get(&app, "/deployments/1", &[]).await.is_hit());

    get(&app, "/deployments/1", &[]).await;
    let targets: [Target; 2] = [Event("deployment.update.1").into(), Tag("").into()];
    assert!(cache.invalidate(targets).await.is_err());
    assert!(get(&app, "/deployments/1", &[]).await.is_hit(), "at once it is all or nothing");
}

#[tokio::test]
async fn what_is_pending_is_one_round_trip_however_much_it_is() {
    let l2 = MemoryServer::new().client();
    let shared: Arc<dyn L2> = Arc::new(l2.clone());
    let cache = Cache::builder("test").l2(shared).build().await.unwrap();
    settle().await;
    let mut changes = cache.pending();
    for n in 0..1000 {
        changes.add(Tag(format!("article:{n}")));
    }
    changes.fire().await.unwrap();
    assert_eq!(l2.calls(Op::Invalidate), 1);
}
