//! What becomes of the log's life when Redis loses a part of it.

use forebay_core::l2::{L2, Link, Notice, Position, Presence, Refusal, Roll, Stored};
use forebay_testkit::resp::Value;

use crate::support::*;

/// Ways to damage one key: gone, or not what it was.
fn damages(name: &str) -> Vec<Vec<String>> {
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let mut damages = vec![words(&format!("DEL {name}"))];
    for remake in ["SET {} nonsense", "SET {} 99999999999999999999", "SET {} -1"] {
        damages.push(words(&remake.replace("{}", name)));
    }
    for other_type in ["LPUSH {} x", "HSET {} f x", "ZADD {} 1 x"] {
        let remake = words(&other_type.replace("{}", name));
        let script = format!("redis.call('DEL', '{name}') return redis.call(unpack(ARGV))");
        damages.push([words("EVAL"), vec![script], words("0"), remake].concat());
    }
    damages
}

/// Damages `end` in every way and lets `notice` find out on a log with a frame and an invalidation in it.
async fn after_each_damage(end: &str, notice: impl AsyncFn(&Setup, Position)) {
    let setup = Setup::start().await;
    let name = setup.name(end).await;
    for damage in damages(&name) {
        let at = setup.l2.invalidate(&[ident(1)], 0).await.unwrap().position;
        assert_eq!(setup.store(at, &[ident(2)], "frame").await, Stored::Accepted, "before {damage:?}");
        setup.redis.command(&damage).await.unwrap();
        notice(&setup, at).await;
        let now = setup.l2.open().await.unwrap();
        assert_ne!(now.incarnation, at.incarnation, "after {damage:?}");
        assert_eq!(setup.l2.poll(Link::Commands).await.unwrap(), Some(now), "after {damage:?}");
        assert_eq!(setup.store(at, &[ident(2)], "x").await, Stored::Refused(Refusal::Incarnation));
        assert_eq!(setup.store(now, &[ident(2)], "y").await, Stored::Accepted);
    }
}

#[tokio::test]
async fn without_its_position_or_incarnation_the_log_has_none_until_it_is_opened() {
    for end in [":v", ":i"] {
        after_each_damage(end, async |setup, _| {
            assert_eq!(setup.l2.lookup(key(1)).await.unwrap().position, None);
            assert_eq!(setup.l2.poll(Link::Commands).await.unwrap(), None);
        })
        .await;
    }
}

#[tokio::test]
async fn without_a_part_of_the_register_it_is_unknown_who_was_there() {
    let setup = Setup::start().await;
    let here = |lease| Presence { instance: [1; 16], applied: None, lease };
    let (caller, cautious) = (here(std::time::Duration::ZERO), here(HOUR));
    let at = setup.l2.open().await.unwrap();
    let there = Presence { instance: [2; 16], applied: Some(at), lease: HOUR };
    setup.l2.attend(Link::Commands, there).await.unwrap();
    for end in [":m", ":a"] {
        let name = setup.name(end).await;
        for damage in damages(&name) {
            assert_eq!(setup.l2.roll(at, caller).await.unwrap(), Roll::Complete, "before {damage:?}");
            setup.redis.command(&damage).await.unwrap();
            let begun = setup.l2.roll(at, cautious).await.unwrap();
            let Roll::Behind(left) = begun else { panic!("after {damage:?}: {begun:?}") };
            // Only what was begun anew covers this much.
            assert!(left > HOUR - std::time::Duration::from_secs(60), "after {damage:?}: {left:?}");
            assert_eq!(setup.l2.attend(Link::Commands, there).await.unwrap(), Some(at));
            setup.begun_long_ago().await;
        }
    }
}

#[tokio::test]
async fn who_attends_no_more_is_struck_out() {
    let setup = Setup::start().await;
    let at = setup.l2.open().await.unwrap();
    let brief =
        |n: u8| Presence { instance: [n; 16], applied: Some(at), lease: std::time::Duration::from_millis(1) };
    for n in 0..50 {
        setup.l2.attend(Link::Commands, brief(n)).await.unwrap();
    }
    until(async || {
        setup.l2.attend(Link::Commands, brief(99)).await.unwrap();
        let (m, a) = (setup.name(":m").await, setup.name(":a").await);
        let sizes = [setup.command(&["ZCARD", &m]).await, setup.command(&["ZCARD", &a]).await];
        sizes.iter().all(|size| matches!(size, Value::Integer(2..4))).then_some(())
    })
    .await;
}

#[tokio::test]
async fn opening_notices_a_lost_log() {
    after_each_damage(":l", async |_, _| {}).await;
}

#[tokio::test]
async fn storing_notices_whatever_is_lost() {
    for end in [":v", ":i", ":l"] {
        after_each_damage(end, async |setup, at| {
            let refused = Stored::Refused(Refusal::Incarnation);
            assert_eq!(setup.store(at, &[], "x").await, refused);
        })
        .await;
    }
}

#[tokio::test]
async fn invalidating_notices_whatever_is_lost_and_is_done_in_the_new_life() {
    for end in [":v", ":i", ":l"] {
        after_each_damage(end, async |setup, at| {
            let issued = setup.l2.invalidate(&[ident(7)], at.seq + 1000).await.unwrap();
            assert_ne!(issued.position.incarnation, at.incarnation);
            assert!(issued.position.seq > at.seq + 1000);
            let scores = setup.l2.scores(&[ident(7), ident(1)]).await.unwrap();
            assert_eq!(scores.seqs, [Some(issued.position.seq), None]);
            assert_eq!(scores.position, issued.position);
        })
        .await;
    }
}

#[tokio::test]
async fn reading_the_log_notices_whatever_is_lost() {
    for end in [":v", ":i", ":l"] {
        after_each_damage(end, async |setup, at| {
            let page = setup.l2.catch_up(at.seq).await.unwrap();
            assert_ne!(page.position.incarnation, at.incarnation);
            assert_eq!(page.upto, page.position.seq);
        })
        .await;
        after_each_damage(end, async |setup, at| {
            let scores = setup.l2.scores(&[ident(1)]).await.unwrap();
            assert_ne!(scores.position.incarnation, at.incarnation);
        })
        .await;
    }
}

#[tokio::test]
async fn the_sentinel_lost_alone_ends_the_life() {
    let setup = Setup::start().await;
    let at = setup.l2.invalidate(&[ident(1)], 0).await.unwrap().position;
    let log = setup.name(":l").await;
    setup.command(&["ZREMRANGEBYRANK", &log, "0", "0"]).await;
    assert_eq!(setup.l2.scores(&[ident(1)]).await.unwrap().seqs, [None]);
    assert_ne!(setup.l2.open().await.unwrap().incarnation, at.incarnation);
}

#[tokio::test]
async fn numbers_go_on_rising_over_a_lost_log_and_incarnation() {
    let setup = Setup::start().await;
    let far = setup.l2.invalidate(&[], FAR).await.unwrap().position;
    for end in [":l", ":i"] {
        let name = setup.name(end).await;
        setup.command(&["DEL", &name]).await;
        assert!(setup.l2.open().await.unwrap().seq > far.seq);
    }
}

#[tokio::test]
async fn a_flushed_redis_begins_anew() {
    let setup = Setup::start().await;
    let at = setup.l2.open().await.unwrap();
    setup.store(at, &[], "frame").await;
    setup.command(&["FLUSHALL"]).await;
    let found = setup.l2.lookup(key(1)).await.unwrap();
    assert_eq!((found.frame, found.position), (None, None));
    assert_eq!(setup.l2.poll(Link::Commands).await.unwrap(), None);
    assert_eq!(setup.store(at, &[], "x").await, Stored::Refused(Refusal::Incarnation));
    assert_ne!(setup.l2.open().await.unwrap().incarnation, at.incarnation);
}

#[tokio::test]
async fn a_life_that_ends_is_told_to_those_who_follow_it() {
    let setup = Setup::start().await;
    let mut notices = setup.l2.subscribe();
    assert_eq!(next(&mut notices).await, Notice::Subscribed);
    for end in [":v", ":i", ":l"] {
        let name = setup.name(end).await;
        setup.command(&["DEL", &name]).await;
        let now = setup.l2.open().await.unwrap();
        let Notice::Message(message) = next(&mut notices).await else { panic!("no message") };
        assert_eq!((message.incarnation, message.seq, message.idents), (now.incarnation, now.seq, vec![]));
    }
}

#[tokio::test]
async fn a_server_that_forgot_the_scripts_learns_them_again() {
    let setup = Setup::start().await;
    for _ in 0..2 {
        let at = setup.l2.invalidate(&[ident(1)], 0).await.unwrap().position;
        setup.command(&["SCRIPT", "FLUSH"]).await;
        assert_eq!(setup.store(at, &[], "x").await, Stored::Accepted);
        setup.command(&["SCRIPT", "FLUSH"]).await;
        assert_eq!(setup.l2.catch_up(at.seq).await.unwrap().position, at);
        setup.command(&["SCRIPT", "FLUSH"]).await;
        assert_eq!(setup.l2.scores(&[ident(1)]).await.unwrap().position, at);
        setup.command(&["SCRIPT", "FLUSH"]).await;
        assert_eq!(setup.l2.open().await.unwrap(), at);
        setup.command(&["SCRIPT", "FLUSH"]).await;
    }
}
