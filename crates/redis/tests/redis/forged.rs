//! Somebody who can publish on the bus of instances that have a secret.

use forebay_core::l2::{L2, Notice};
use forebay_testkit::resp::Value;

use crate::support::*;

/// The channel of the only L2 there is.
async fn channel(setup: &Setup) -> String {
    let Value::Array(channels) = setup.command(&["PUBSUB", "CHANNELS"]).await else { panic!("no list") };
    channels[0].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_was_not_sealed_with_the_secret_is_malformed_and_harms_nothing() {
    let setup = Setup::with_secret().await;
    let mut notices = setup.l2.subscribe();
    assert_eq!(next(&mut notices).await, Notice::Subscribed);
    let channel = channel(&setup).await;
    let at = setup.l2.open().await.unwrap();
    // What a script would publish without a secret.
    let forge = "redis.call('PUBLISH', ARGV[1], cmsgpack.pack({ARGV[2], tonumber(ARGV[3]) + 1, tonumber(ARGV[3]), ARGV[2], 0}))";
    let seq = at.seq.to_string();
    let args: [&[u8]; 6] =
        [b"EVAL", forge.as_bytes(), b"0", channel.as_bytes(), &at.incarnation.0, seq.as_bytes()];
    setup.redis.command(args).await.unwrap();
    assert_eq!(next(&mut notices).await, Notice::Malformed);
    for nonsense in ["", "hello", &"x".repeat(100_000)] {
        setup.command(&["PUBLISH", &channel, nonsense]).await;
        assert_eq!(next(&mut notices).await, Notice::Malformed);
    }
    let issued = setup.l2.invalidate(&[ident(1)], 0).await.unwrap();
    let Notice::Message(message) = next(&mut notices).await else { panic!("no message") };
    assert_eq!(
        (message.seq, message.previous, message.idents),
        (issued.position.seq, at.seq, vec![ident(1)])
    );
}

#[tokio::test]
async fn instances_with_a_secret_hear_each_other_in_order() {
    let setup = Setup::with_secret().await;
    let mut notices = setup.l2.subscribe();
    assert_eq!(next(&mut notices).await, Notice::Subscribed);
    let mut previous = setup.l2.open().await.unwrap().seq;
    for _ in 0..100 {
        let issued = setup.l2.invalidate(&[ident(1)], 0).await.unwrap();
        assert_eq!(issued.previous, previous);
        previous = issued.position.seq;
    }
    let mut heard = Vec::new();
    while heard.len() < 100 {
        let Notice::Message(message) = next(&mut notices).await else { panic!("no message") };
        heard.push(message);
    }
    assert!(heard.windows(2).all(|pair| pair[1].previous == pair[0].seq));
    assert_eq!(heard[99].seq, previous);
}

#[tokio::test]
async fn a_flood_of_garbage_is_read_to_its_end() {
    let setup = Setup::with_secret().await;
    let mut notices = setup.l2.subscribe();
    assert_eq!(next(&mut notices).await, Notice::Subscribed);
    let channel = channel(&setup).await;
    let flood = "math.randomseed(1) for n = 1, 10000 do redis.call('PUBLISH', ARGV[1], string.char(math.random(0, 255)):rep(math.random(0, 60))) end";
    setup.command(&["EVAL", flood, "0", &channel]).await;
    let issued = setup.l2.invalidate(&[ident(1)], 0).await.unwrap();
    loop {
        match next(&mut notices).await {
            Notice::Malformed => {}
            // The message went down with the rest, and the log has it.
            Notice::Lagged => return,
            Notice::Message(message) => return assert_eq!(message.seq, issued.position.seq),
            other => panic!("{other:?}"),
        }
    }
}
