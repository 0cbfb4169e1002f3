//! Replicas: an invalidation that has to reach them, and a server that is not the one it was.

use std::time::Duration;

use forebay_core::l2::{L2, L2Error, Notice, Notices};
use forebay_testkit::redis::RedisServer;

use crate::support::*;

const WAIT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn an_invalidation_is_confirmed_when_its_replica_has_it() {
    let setup = Setup::with(|redis| redis.wait(1, 10 * WAIT)).await;
    let replica = RedisServer::builder().replica_of(&setup.redis).start().await.unwrap();
    replica.until_replica().await.unwrap();
    for n in 0..20 {
        let issued = setup.l2.invalidate(&[ident(n)], 0).await.unwrap();
        let position = replica.command(["GET", &setup.name(":v").await]).await.unwrap();
        assert_eq!(position.as_str(), Some(&*issued.position.seq.to_string()), "the replica has it at Ok");
    }
    setup.command(&["SCRIPT", "FLUSH"]).await;
    setup.l2.invalidate(&[ident(1)], 0).await.unwrap();
}

#[tokio::test]
async fn without_enough_replicas_an_invalidation_happens_and_is_not_confirmed() {
    let setup = Setup::with(|redis| redis.wait(2, WAIT)).await;
    let opened = setup.l2.open().await.unwrap();
    assert_eq!(setup.l2.invalidate(&[ident(1)], 0).await, Err(L2Error::Unreplicated(0)));
    let replica = RedisServer::builder().replica_of(&setup.redis).start().await.unwrap();
    replica.until_replica().await.unwrap();
    let one = Err(L2Error::Unreplicated(1));
    until(async || (setup.l2.invalidate(&[ident(1)], 0).await == one).then_some(())).await;
    let scores = setup.l2.scores(&[ident(1)]).await.unwrap();
    assert!(scores.seqs[0] > Some(opened.seq));
}

#[tokio::test]
async fn nothing_else_waits_for_replicas() {
    let setup = Setup::with(|redis| redis.wait(1, 40 * WAIT)).await;
    let at = setup.l2.open().await.unwrap();
    let idents = [ident(1)];
    let waiting = setup.l2.invalidate(&idents, 0);
    let others = async {
        until(async || (setup.l2.open().await.unwrap().seq > at.seq).then_some(())).await;
        for _ in 0..20 {
            let now = setup.l2.open().await.unwrap();
            setup.store(now, &[], "frame").await;
            setup.l2.lookup(key(1)).await.unwrap();
        }
    };
    tokio::select! {
        biased;
        confirmed = waiting => panic!("there is no replica: {confirmed:?}"),
        () = others => {}
    }
}

/// The name of the server that the next subscription is with.
async fn server(notices: &mut Notices) -> String {
    wait_for(notices, &Notice::Subscribed).await;
    match next_of_all(notices).await {
        Notice::Server(Some(name)) => name,
        other => panic!("{other:?} in place of a name"),
    }
}

#[tokio::test]
async fn a_server_that_was_started_again_is_told_from_the_one_before() {
    let setup = Setup::start().await;
    let mut notices = setup.l2.subscribe();
    let mut named = Vec::new();
    for _ in 0..2 {
        named.push(server(&mut notices).await);
        setup.redis.kill().unwrap();
        wait_for(&mut notices, &Notice::Lost).await;
        setup.redis.restart().await.unwrap();
    }
    assert_ne!(named[0], named[1]);
}

#[tokio::test]
async fn a_broken_connection_to_the_same_server_is_told_as_such() {
    let setup = Setup::start().await;
    let mut notices = setup.l2.subscribe();
    let mut named = Vec::new();
    for _ in 0..2 {
        named.push(server(&mut notices).await);
        setup.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    }
    assert_eq!(named[0], named[1]);
}
