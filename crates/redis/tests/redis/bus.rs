//! The subscription.

use forebay_core::l2::{L2, Link, Message, Notice};
use forebay_testkit::resp::Value;

use crate::support::*;

#[tokio::test]
async fn an_invalidation_reaches_every_subscriber_as_it_was_issued() {
    let setup = Setup::start().await;
    let other = setup.another().await;
    let mut all = [setup.l2.subscribe(), other.subscribe()];
    for notices in &mut all {
        assert_eq!(next(notices).await, Notice::Subscribed);
    }
    for idents in [vec![ident(1), ident(0xff)], vec![], vec![ident(7); 1000]] {
        let issued = setup.l2.invalidate(&idents, 0).await.unwrap();
        let message = Message {
            incarnation: issued.position.incarnation,
            seq: issued.position.seq,
            previous: issued.previous,
            idents,
        };
        for notices in &mut all {
            assert_eq!(next(notices).await, Notice::Message(message.clone()));
        }
    }
}

#[tokio::test]
async fn a_killed_subscription_is_lost_and_then_renewed() {
    let setup = Setup::start().await;
    let mut notices = setup.l2.subscribe();
    assert_eq!(next(&mut notices).await, Notice::Subscribed);
    for _ in 0..5 {
        setup.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        assert_eq!(next(&mut notices).await, Notice::Lost);
        assert_eq!(next(&mut notices).await, Notice::Subscribed);
        let issued = setup.l2.invalidate(&[ident(1)], 0).await.unwrap();
        let Notice::Message(message) = next(&mut notices).await else { panic!("no message") };
        assert_eq!(message.seq, issued.position.seq);
    }
}

#[tokio::test]
async fn what_is_no_message_is_malformed_and_harms_nothing() {
    let setup = Setup::start().await;
    let mut notices = setup.l2.subscribe();
    assert_eq!(next(&mut notices).await, Notice::Subscribed);
    let Value::Array(channels) = setup.command(&["PUBSUB", "CHANNELS"]).await else { panic!("no list") };
    let channel = channels[0].as_str().unwrap();
    for nonsense in ["", "\u{90}", "hello", &"x".repeat(100_000)] {
        setup.command(&["PUBLISH", channel, nonsense]).await;
        assert_eq!(next(&mut notices).await, Notice::Malformed);
    }
    setup.l2.invalidate(&[ident(1)], 0).await.unwrap();
    assert!(matches!(next(&mut notices).await, Notice::Message(_)));
}

#[tokio::test]
async fn a_listener_that_does_not_keep_up_is_told_of_the_gap() {
    let setup = Setup::start().await;
    let mut notices = setup.l2.subscribe();
    assert_eq!(next(&mut notices).await, Notice::Subscribed);
    let Value::Array(channels) = setup.command(&["PUBSUB", "CHANNELS"]).await else { panic!("no list") };
    let flood = "for n = 1, 200000 do redis.call('PUBLISH', ARGV[1], n) end";
    setup.command(&["EVAL", flood, "0", channels[0].as_str().unwrap()]).await;
    let mut lagged = 0;
    loop {
        match next(&mut notices).await {
            Notice::Lagged => lagged += 1,
            Notice::Message(_) => break,
            Notice::Malformed => {}
            // The server cut the slow subscription off: as good.
            Notice::Lost => return,
            other => panic!("{other:?}"),
        }
        if lagged > 0 && notices.is_empty() {
            setup.l2.invalidate(&[ident(1)], 0).await.unwrap();
        }
    }
    assert!(lagged > 0);
}

#[tokio::test]
async fn a_poll_over_the_bus_needs_a_living_subscription() {
    let setup = Setup::start().await;
    let at = setup.l2.open().await.unwrap();
    assert!(is_unavailable(&setup.l2.poll(Link::Bus).await));
    let mut notices = setup.l2.subscribe();
    assert_eq!(next(&mut notices).await, Notice::Subscribed);
    assert_eq!(setup.l2.poll(Link::Bus).await.unwrap(), Some(at));
    drop(notices);
    until(async || is_unavailable(&setup.l2.poll(Link::Bus).await).then_some(())).await;
    assert_eq!(setup.l2.poll(Link::Commands).await.unwrap(), Some(at));
}

#[tokio::test]
async fn a_refused_subscription_is_tried_again_until_it_is_granted() {
    let setup = Setup::start().await;
    setup.command(&["ACL", "SETUSER", "default", "resetchannels"]).await;
    let mut notices = setup.l2.subscribe();
    until(async || {
        let Value::Array(log) = setup.command(&["ACL", "LOG"]).await else { panic!("no log") };
        (log.len() > 1 || format!("{log:?}").contains("subscribe")).then_some(())
    })
    .await;
    assert!(notices.try_recv().is_err());
    assert!(is_unavailable(&setup.l2.poll(Link::Bus).await));
    setup.command(&["ACL", "SETUSER", "default", "allchannels"]).await;
    assert_eq!(next(&mut notices).await, Notice::Subscribed);
}

#[tokio::test]
async fn connections_end_with_their_owners() {
    let setup = Setup::start().await;
    let (other, mut kept) = (setup.another().await, setup.l2.subscribe());
    let (mut first, mut second) = (other.subscribe(), other.subscribe());
    for notices in [&mut kept, &mut first, &mut second] {
        assert_eq!(next(notices).await, Notice::Subscribed);
    }
    assert_eq!(connections(&setup).await, 2 + 1 + 2 + 2);
    drop(first);
    until(async || (connections(&setup).await == 2 + 1 + 2 + 1).then_some(())).await;
    drop(other);
    until(async || (connections(&setup).await == 2 + 1).then_some(())).await;
    while let Some(notice) = second.recv().await {
        assert!(matches!(notice, Notice::Server(_)), "{notice:?}");
    }
    drop(setup.l2);
    until(async || (count(&setup.redis).await == 0).then_some(())).await;
}

async fn connections(setup: &Setup) -> usize {
    count(&setup.redis).await
}

/// How many clients the server has, without the one that asks.
async fn count(redis: &forebay_testkit::redis::RedisServer) -> usize {
    let list = redis.command(["CLIENT", "LIST"]).await.unwrap();
    list.as_str().unwrap().lines().filter(|line| !line.contains("cmd=client|list")).count()
}
