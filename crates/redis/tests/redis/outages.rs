//! Redis that is away, stands still, or answers nonsense.

use std::net::SocketAddr;
use std::time::Duration;

use forebay_core::l2::{L2, L2Error, L2Future, Link, Notice, Position, Tend, Token};
use forebay_redis::{Redis, RedisL2};
use forebay_testkit::proxy::{Connections, Direction, Fault, FaultProxy};
use forebay_testkit::redis::RedisServer;

use crate::support::*;

/// Every operation, with its name, its answer left out.
fn all<'a>(l2: &'a RedisL2, at: Position) -> Vec<(&'static str, L2Future<'a, ()>)> {
    vec![
        ("open", Box::pin(async { l2.open().await.map(drop) })),
        ("lookup", Box::pin(async { l2.lookup(key(1)).await.map(drop) })),
        ("store", Box::pin(async move { l2.store(a_store(at, &[], "x")).await.map(drop) })),
        ("invalidate", Box::pin(async { l2.invalidate(&[], 0).await.map(drop) })),
        ("catch_up", Box::pin(async { l2.catch_up(0).await.map(drop) })),
        ("scores", Box::pin(async { l2.scores(&[]).await.map(drop) })),
        ("claim", Box::pin(async { l2.claim(key(1), Token([1; 16]), HOUR, 0).await.map(drop) })),
        ("tend", Box::pin(async { l2.tend(key(1), Token([1; 16]), Tend::Release).await.map(drop) })),
        ("poll", Box::pin(async { l2.poll(Link::Commands).await.map(drop) })),
        ("poll over the bus", Box::pin(async { l2.poll(Link::Bus).await.map(drop) })),
    ]
}

/// An L2 that takes little time for everything, as in production.
fn impatient(redis: &RedisServer, at: SocketAddr) -> RedisL2 {
    let config = Redis::url(&redis.url_at(at)).unwrap().timeout(Duration::from_millis(100));
    config.connect("t", &secrets()).unwrap()
}

#[tokio::test]
async fn an_l2_starts_before_its_redis_does() {
    let redis = RedisServer::start().await.unwrap();
    redis.kill().unwrap();
    let l2 = config(&redis, redis.addr()).connect("t", &secrets()).unwrap();
    let mut notices = l2.subscribe();
    assert!(is_unavailable(&l2.open().await));
    redis.restart().await.unwrap();
    until_open(&l2).await;
    assert_eq!(next(&mut notices).await, Notice::Subscribed);
}

#[tokio::test]
async fn while_redis_is_dead_everything_fails_and_afterwards_it_works_again() {
    let setup = Setup::start().await;
    let mut notices = setup.l2.subscribe();
    assert_eq!(next(&mut notices).await, Notice::Subscribed);
    let at = setup.l2.open().await.unwrap();
    for _ in 0..2 {
        setup.redis.kill().unwrap();
        wait_for(&mut notices, &Notice::Lost).await;
        until(async || is_unavailable(&setup.l2.lookup(key(1)).await).then_some(())).await;
        until(async || is_unavailable(&setup.l2.open().await).then_some(())).await;
        for (name, operation) in all(&setup.l2, at) {
            let result = operation.await;
            assert!(is_unavailable(&result), "{name}: {result:?}");
        }
        setup.redis.restart().await.unwrap();
        assert_eq!(next(&mut notices).await, Notice::Subscribed);
        assert_ne!(until_open(&setup.l2).await.incarnation, at.incarnation);
        until(async || setup.l2.lookup(key(1)).await.ok()).await;
    }
}

#[tokio::test]
async fn a_command_in_flight_fails_when_the_connection_dies() {
    let setup = Setup::with(|redis| redis.timeout(PATIENCE)).await;
    setup.redis.stop().unwrap();
    let lookup = setup.l2.lookup(key(1));
    let kill = async {
        tokio::task::yield_now().await;
        setup.redis.kill().unwrap();
    };
    let (result, ()) = tokio::join!(lookup, kill);
    assert!(is_unavailable(&result), "{result:?}");
}

#[tokio::test]
async fn while_redis_stands_still_each_operation_ends_and_afterwards_it_works_again() {
    let redis = RedisServer::start().await.unwrap();
    let l2 = impatient(&redis, redis.addr());
    let at = until_open(&l2).await;
    until(async || l2.lookup(key(1)).await.ok()).await;
    let mut notices = l2.subscribe();
    assert_eq!(next(&mut notices).await, Notice::Subscribed);

    redis.stop().unwrap();
    for (name, operation) in all(&l2, at) {
        let result = tokio::time::timeout(PATIENCE, operation).await.expect("it ends");
        assert!(matches!(result, Err(L2Error::Timeout | L2Error::Unavailable(_))), "{name}: {result:?}");
    }
    // A connection that answers no probe is given up: from then on nobody waits for it.
    assert_eq!(next(&mut notices).await, Notice::Lost);
    until(async || is_unavailable(&l2.lookup(key(1)).await).then_some(())).await;
    until(async || is_unavailable(&l2.open().await).then_some(())).await;

    redis.cont().unwrap();
    assert_eq!(next(&mut notices).await, Notice::Subscribed);
    assert_eq!(until_open(&l2).await.incarnation, at.incarnation);
    until(async || l2.lookup(key(1)).await.ok()).await;
    until(async || l2.poll(Link::Bus).await.ok()).await;
}

#[tokio::test]
async fn a_subscription_that_hears_nothing_is_given_up_while_lookups_go_on() {
    let redis = RedisServer::start().await.unwrap();
    let proxy = FaultProxy::start(redis.addr()).await.unwrap();
    let l2 = config(&redis, proxy.addr()).connect("t", &secrets()).unwrap();
    let at = until_open(&l2).await;
    let mut notices = l2.subscribe();
    assert_eq!(next(&mut notices).await, Notice::Subscribed);

    proxy.inject(Connections::subscribers(), Fault::Hold(Direction::Both));
    assert_eq!(next(&mut notices).await, Notice::Lost);
    assert_eq!(l2.poll(Link::Commands).await.unwrap(), Some(at));
    assert!(is_unavailable(&l2.poll(Link::Bus).await));

    proxy.heal();
    assert_eq!(next(&mut notices).await, Notice::Subscribed);
    assert_eq!(l2.poll(Link::Bus).await.unwrap(), Some(at));
}

#[tokio::test]
async fn a_reply_cut_off_or_turned_to_nonsense_costs_one_connection() {
    let redis = RedisServer::start().await.unwrap();
    let proxy = FaultProxy::start(redis.addr()).await.unwrap();
    let l2 = config(&redis, proxy.addr()).connect("t", &secrets()).unwrap();
    let at = until_open(&l2).await;
    for fault in [Fault::CutAfter(Direction::ToClient, 3), Fault::Corrupt(Direction::ToClient, 0)] {
        until(async || l2.lookup(key(1)).await.ok()).await;
        proxy.inject(Connections::all(), fault);
        assert!(l2.lookup(key(1)).await.is_err(), "{fault:?}");
        proxy.heal();
        assert_eq!(until_open(&l2).await, at);
    }
}

#[tokio::test]
async fn operations_given_up_halfway_leave_the_others_their_own_answers() {
    let setup = Setup::start().await;
    let at = setup.l2.open().await.unwrap();
    setup.store(at, &[], "frame").await;
    for n in 0..200 {
        let dropped = [setup.l2.lookup(key(2)), setup.l2.lookup(key(3))];
        for mut operation in dropped {
            // Polled once: sent, and then forgotten.
            let once =
                std::future::poll_fn(|cx| std::task::Poll::Ready(operation.as_mut().poll(cx).is_ready()));
            once.await;
        }
        let found = setup.l2.lookup(key(1)).await.unwrap();
        assert_eq!(found.frame.as_deref(), Some(&b"frame"[..]), "round {n}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_never_shown_and_a_right_one_works() {
    let redis = RedisServer::builder().password("hunter2").start().await.unwrap();
    let wrong = format!("redis://:hunter3@{}", redis.addr());
    let l2 = Redis::url(&wrong).unwrap().connect("t", &secrets()).unwrap();
    let told = until(async || l2.open().await.err().filter(|e| format!("{e}").contains("WRONGPASS"))).await;
    assert!(!format!("{told} {l2:?}").contains("hunter3"));
    until_open(&config(&redis, redis.addr()).connect("t", &secrets()).unwrap()).await;
}

#[tokio::test]
async fn a_redis_that_takes_no_writes_can_still_be_read() {
    let setup = Setup::start().await;
    let at = setup.l2.open().await.unwrap();
    setup.store(at, &[], "frame").await;
    setup.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    for refused in [
        setup.l2.store(a_store(at, &[], "x")).await.map(drop),
        setup.l2.invalidate(&[ident(1)], 0).await.map(drop),
        setup.l2.claim(key(1), Token([1; 16]), HOUR, 0).await.map(drop),
    ] {
        assert!(matches!(refused, Err(L2Error::Protocol(_))), "{refused:?}");
    }
    assert_eq!(setup.frame().await.as_deref(), Some(&b"frame"[..]));
    assert_eq!(setup.l2.open().await.unwrap(), at, "nothing was done by halves");
    assert_eq!(setup.l2.poll(Link::Commands).await.unwrap(), Some(at));
    setup.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_eq!(setup.l2.invalidate(&[ident(1)], 0).await.unwrap().previous, at.seq);
}

/// The recipe of the crate's docs.
#[tokio::test]
async fn a_user_with_the_documented_rights_can_do_everything() {
    let redis = RedisServer::builder().user("shop", "secret", &documented_rights("t")).start().await.unwrap();
    let url = format!("redis://shop:secret@{}/0", redis.addr());
    let l2 = Redis::url(&url).unwrap().timeout(PATIENCE).max_log(1000).connect("t", &secrets()).unwrap();
    let at = until_open(&l2).await;
    let mut notices = l2.subscribe();
    assert_eq!(next(&mut notices).await, Notice::Subscribed);
    for (name, operation) in all(&l2, at) {
        operation.await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    for n in 0..2 {
        let idents: Vec<_> = (0..=250u8)
            .map(|m| forebay_core::tag::Ident::from_bytes([m, n, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
            .collect();
        l2.invalidate(&idents, 0).await.unwrap();
    }
    redis.command(["FLUSHALL"]).await.unwrap();
    l2.open().await.unwrap();
}
