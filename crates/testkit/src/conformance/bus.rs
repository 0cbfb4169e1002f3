//! The bus, the polls and the roll of who is there.

use std::collections::HashSet;
use std::time::Duration;

use forebay_core::entry::Seq;
use forebay_core::l2::{Incarnation, Issued, L2, Link, Message, Notice, Notices, Position, Presence, Roll};
use forebay_core::tag::Ident;

use super::support::{ROUNDS, SILENCE, assert_chain, ident, issue_at_once, message, ok, several, subscribed};

/// Every subscriber, the issuer included, hears each invalidation once, in order, with its idents, its number and the
/// number before it.
pub async fn every_subscriber_hears_the_whole_chain(a: &impl L2, b: &impl L2) {
    let (start, issued, heard) = issued_and_heard(a, b).await;
    for heard in heard {
        assert_told(start, &issued, &heard);
    }
}

/// The same in any order.
pub async fn every_subscriber_hears_every_message(a: &impl L2, b: &impl L2) {
    let (start, issued, heard) = issued_and_heard(a, b).await;
    for mut heard in heard {
        heard.sort_by_key(|message| message.seq);
        assert_told(start, &issued, &heard);
    }
}

/// Invalidates from both clients at once, and hears as many messages at each.
async fn issued_and_heard(a: &impl L2, b: &impl L2) -> (Position, Vec<Issued>, [Vec<Message>; 2]) {
    let (mut at_a, mut at_b) = (subscribed(a).await, subscribed(b).await);
    let start = ok(a.open().await);
    let mut issued = issue_at_once(a, b).await.concat();
    issued.push(ok(b.invalidate(&several(), 0).await));
    issued.sort_by_key(|issued| issued.position.seq);
    let heard = [messages(&mut at_a, &issued).await, messages(&mut at_b, &issued).await];
    (start, issued, heard)
}

/// As many messages as were issued, or up to a silence.
async fn messages(notices: &mut Notices, issued: &[Issued]) -> Vec<Message> {
    let mut heard = Vec::new();
    while heard.len() < issued.len()
        && let Ok(message) = tokio::time::timeout(SILENCE, message(notices)).await
    {
        heard.push(message);
    }
    heard
}

/// What was heard is what was issued, link by link.
fn assert_told(start: Position, issued: &[Issued], heard: &[Message]) {
    assert_chain(start, heard.iter().map(|message| (message.previous, message.seq)));
    let told: Vec<Seq> = heard.iter().map(|message| message.seq).collect();
    let known: Vec<Seq> = issued.iter().map(|issued| issued.position.seq).collect();
    assert_eq!(told, known, "the bus tells every invalidation once");
    assert!(heard.iter().all(|message| message.incarnation == start.incarnation), "one incarnation");
    let named: HashSet<Ident> = heard.iter().flat_map(|message| message.idents.clone()).collect();
    let expected = (0..2 * ROUNDS).map(ident).chain(several()).collect();
    assert_eq!(named, expected, "messages name what was invalidated");
    assert_eq!(heard.last().map(|message| &message.idents[..]), Some(&several()[..]), "in their order");
}

/// [`L2::poll`] sees what the other client did, over either connection.
pub async fn both_links_see_the_position(a: &impl L2, b: &impl L2) {
    let _notices = subscribed(b).await;
    ok(a.open().await);
    let position = ok(a.invalidate(&[ident(1)], 0).await).position;
    for link in [Link::Bus, Link::Commands] {
        assert_eq!(ok(b.poll(link).await), Some(position), "over {link:?}");
    }
}

/// [`L2::attend`] is a poll that is noted, and [`L2::roll`] tells what was. An L2 may do without.
pub async fn the_roll_knows_who_is_behind_and_tells_them(a: &impl L2, b: &impl L2) {
    let hour = Duration::from_secs(3600);
    let presence = |n, applied, lease| Presence { instance: [n; 16], applied, lease };
    let (caller, long) = (presence(1, None, Duration::ZERO), presence(1, None, hour));
    assert_eq!(ok(b.attend(Link::Commands, caller).await), None, "attending does not open a namespace");
    let mut notices = subscribed(b).await;
    ok(a.open().await);
    let upto = ok(a.invalidate(&[ident(1)], 0).await).position;
    message(&mut notices).await;
    if ok(a.roll(upto, caller).await) == Roll::Unknown {
        return;
    }
    assert!(matches!(ok(a.roll(upto, long).await), Roll::Behind(_)), "who was there before is unknown");
    assert_eq!(notices.recv().await, Some(Notice::Report), "who is behind is told");
    for link in [Link::Bus, Link::Commands] {
        let noted = ok(b.attend(link, presence(2, None, hour)).await);
        assert_eq!(noted, Some(upto), "attending over {link:?} tells the position");
    }
    let other = Position { incarnation: Incarnation([0xee; 16]), seq: upto.seq + 1 };
    for applied in [None, Some(Position { seq: upto.seq - 1, ..upto }), Some(other)] {
        ok(b.attend(Link::Commands, presence(2, applied, hour)).await);
        assert!(matches!(ok(a.roll(upto, caller).await), Roll::Behind(_)), "{applied:?} is behind");
        assert_eq!(notices.recv().await, Some(Notice::Report), "who is behind is told");
    }
    ok(b.attend(Link::Commands, presence(2, Some(upto), hour)).await);
    ok(a.attend(Link::Commands, presence(1, None, hour)).await);
    assert_eq!(ok(a.roll(upto, caller).await), Roll::Complete, "the other is there, the caller is not meant");
    ok(b.attend(Link::Commands, presence(3, None, Duration::from_millis(20))).await);
    while ok(a.roll(upto, caller).await) != Roll::Complete {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
