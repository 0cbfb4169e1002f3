//! What every L2 must do, checked over any implementation.
//!
//! [`conformance`] runs the suite; each case is a function of its own and may be run alone. A case takes two clients of
//! one fresh namespace and panics with a sentence that says which promise is broken.
//!
//! ```
//! use forebay_testkit::conformance::conformance;
//! use forebay_testkit::memory::{MemoryServer, Settings};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! conformance(async |max_log| {
//!     let server = MemoryServer::with_settings(Settings { max_log, ..Settings::default() });
//!     [server.client(), server.client()]
//! })
//! .await;
//! # }
//! ```

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use forebay_core::entry::Seq;
use forebay_core::holds::{MAX_HELD, tells_of_holds};
use forebay_core::key::{Key, Secrets};
use forebay_core::l2::{
    Claim, Held, Holding, Incarnation, Issued, L2, L2Error, Link, MAX_HOLD, Message, Notice, Notices,
    Position, Presence, Refusal, Roll, Store, Stored, Tend, Tenure, Token,
};
use forebay_core::pattern::{MAX_SHAPES, Shape};
use forebay_core::tag::{Ident, MAX_IDENTS, Pattern, Targets};

/// Runs every case, each over two clients of a namespace of its own. `make` gets the most idents that the namespace's
/// log may keep.
///
/// # Panics
/// When a promise is broken, or a case has not ended after 30 s.
pub async fn conformance<L: L2>(make: impl AsyncFn(usize) -> [L; 2]) {
    conformance_but_for_order(&make).await;
    let [a, b] = make(ROOMY).await;
    let hears = every_subscriber_hears_the_whole_chain(&a, &b);
    tokio::time::timeout(LIMIT, Box::pin(hears)).await.expect("the order of the chain hangs");
}

/// The same for an L2 on whose bus messages of two issuers may overtake each other: that costs whoever hears them a look into the
/// log, and no promise.
///
/// # Panics
/// When a promise is broken, or a case has not ended after 30 s.
pub async fn conformance_but_for_order<L: L2>(make: impl AsyncFn(usize) -> [L; 2]) {
    macro_rules! run {
        ($log:expr => $($case:ident)+) => {
            $({
                let [a, b] = make($log).await;
                let case = concat!("the case `", stringify!($case), "` hangs");
                tokio::time::timeout(LIMIT, Box::pin($case(&a, &b))).await.expect(case);
            })+
        };
    }
    run! { ROOMY =>
        an_unopened_namespace_has_no_position
        opening_is_idempotent_and_shared
        a_frame_comes_back_as_it_was_stored
        a_frame_goes_when_its_time_is_up
        a_lookup_never_sees_a_frame_without_its_position
        a_store_that_must_be_refused_changes_nothing
        numbers_grow_whoever_issues_them
        numbers_are_above_what_the_issuer_has_seen
        an_invalidation_tells_of_the_last_before_it
        every_subscriber_hears_every_message
        no_ident_moves_only_the_position
        pages_of_the_log_are_complete
        scores_are_in_the_order_of_the_question
        both_links_see_the_position
        the_roll_knows_who_is_behind_and_tells_them
        the_shapes_of_patterns_are_told_with_the_scores
        more_shapes_than_fit_raise_the_floor
        what_is_held_is_out_until_its_holds_end
        a_hold_that_runs_out_ends_with_an_invalidation
        more_holds_than_fit_are_refused
        a_fill_lease_belongs_to_one_claim_at_a_time
        a_fill_lease_runs_out_unless_it_is_renewed
        a_claim_finds_what_was_stored_before_the_release
        the_end_of_a_lease_that_is_waited_for_is_told_and_no_other
        a_lease_that_is_waived_holds_nobody_up_for_a_while
        a_claim_after_a_position_overrules_what_was_claimed_before_it
    }
    run! { TINY_LOG => a_cut_log_raises_its_floor }
}

/// [`L2::lookup`] and [`L2::poll`] tell apart a namespace that nobody has opened.
pub async fn an_unopened_namespace_has_no_position(a: &impl L2, b: &impl L2) {
    assert!(!a.name().is_empty(), "an L2 has a name");
    let found = ok(a.lookup(key(0)).await);
    assert_eq!(found.frame, None, "a fresh namespace has no frames");
    assert_eq!(found.position, None, "a fresh namespace has no position before it is opened");
    assert_eq!(ok(b.poll(Link::Commands).await), None, "a poll does not open a namespace");
}

/// [`L2::open`] makes an incarnation once and says the same to everybody.
pub async fn opening_is_idempotent_and_shared(a: &impl L2, b: &impl L2) {
    let (first, second) = tokio::join!(a.open(), b.open());
    let first = ok(first);
    assert_eq!(ok(second), first, "two clients that open at once must agree");
    assert_eq!(ok(a.open().await), first, "opening again changes nothing");
    assert!(first.seq > 0, "a position is never 0: that is the instance that knows nothing");
    assert_eq!(ok(b.lookup(key(0)).await).position, Some(first), "a lookup sees the position");
}

/// A stored frame is there for both clients, byte for byte, whatever it holds; a later one replaces it.
pub async fn a_frame_comes_back_as_it_was_stored(a: &impl L2, b: &impl L2) {
    let at = ok(a.open().await);
    let idents: Vec<Ident> = (0..MAX_IDENTS as u64).map(ident).collect();
    let binary: Vec<u8> = (0..=255).collect();
    let large = vec![0xa5; 1 << 20];
    for (n, bytes) in [&binary[..], &large, b"\r\n$-1\r\n", b""].into_iter().enumerate() {
        let frame = Bytes::copy_from_slice(bytes);
        let store = Store { idents: &idents, ..store(n as u64, at, frame.clone()) };
        accepted(a, store).await;
        for client in [a as &dyn L2, b] {
            let found = ok(client.lookup(key(n as u64)).await);
            assert!(found.frame == Some(frame.clone()), "frame {n} comes back changed or not at all");
            assert_eq!(found.position, Some(at), "a store does not move the position");
        }
    }
    accepted(b, store(0, at, Bytes::from_static(b"again"))).await;
    let found = ok(a.lookup(key(0)).await).frame;
    assert_eq!(found.as_deref(), Some(&b"again"[..]), "a frame with an equal stamp replaces the one there");
    assert_eq!(ok(a.lookup(key(99)).await).frame, None, "another key has nothing");
}

/// A frame stays no longer than its time to live.
pub async fn a_frame_goes_when_its_time_is_up(a: &impl L2, b: &impl L2) {
    let at = ok(a.open().await);
    let brief = Store { ttl: Duration::from_millis(20), ..store(0, at, Bytes::from_static(b"brief")) };
    accepted(a, brief).await;
    accepted(a, store(1, at, Bytes::from_static(b"lasting"))).await;
    while ok(b.lookup(key(0)).await).frame.is_some() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(ok(b.lookup(key(1)).await).frame.is_some(), "a frame must not go before its time");
}

/// The frame and the position of a lookup belong to one instant: a frame never has a stamp above the position.
pub async fn a_lookup_never_sees_a_frame_without_its_position(a: &impl L2, b: &impl L2) {
    ok(a.open().await);
    let writes = async {
        for _ in 0..ROUNDS {
            let at = ok(a.invalidate(&[ident(1)], 0).await).position;
            accepted(a, store(0, at, Bytes::copy_from_slice(&at.seq.to_be_bytes()))).await;
        }
    };
    let reads = async {
        for _ in 0..ROUNDS {
            let found = ok(b.lookup(key(0)).await);
            let position = found.position.expect("an opened namespace has a position").seq;
            if let Some(frame) = found.frame {
                let stamp = Seq::from_be_bytes(frame[..].try_into().expect("the frame is a number"));
                assert!(
                    stamp <= position,
                    "frame with stamp {stamp} seen at position {position}: not atomic"
                );
            }
        }
    };
    tokio::join!(writes, reads);
}

/// Each [`Refusal`] that does not depend on time, and that a refused store leaves what is there.
pub async fn a_store_that_must_be_refused_changes_nothing(a: &impl L2, b: &impl L2) {
    let old = ok(a.open().await);
    let now = ok(b.invalidate(&[ident(1)], 0).await).position;
    let frame = Bytes::from_static(b"refused");
    let beyond = Position { seq: now.seq + 1, ..now };
    let other_life = Position { incarnation: Incarnation([0xee; 16]), ..now };
    accepted(a, store(0, now, Bytes::from_static(b"there"))).await;

    let (dead, alive) = ([ident(1)], [ident(7)]);
    let dead_among_others = [ident(7), ident(8), ident(1)];
    let with = |idents| Store { idents, ..store(1, old, frame.clone()) };
    refused(a, store(1, other_life, frame.clone()), Refusal::Incarnation).await;
    refused(a, store(1, beyond, frame.clone()), Refusal::Lineage).await;
    refused(a, with(&dead), Refusal::Invalidated).await;
    refused(a, with(&dead_among_others), Refusal::Invalidated).await;
    refused(b, store(0, old, frame.clone()), Refusal::Newer).await;
    assert_eq!(ok(b.lookup(key(1)).await).frame, None, "a refused frame must not be there");
    let kept = ok(b.lookup(key(0)).await).frame;
    assert_eq!(kept.as_deref(), Some(&b"there"[..]), "a refused frame must not replace another");

    accepted(a, with(&alive)).await;
    accepted(a, Store { idents: &dead, ..store(2, now, frame.clone()) }).await;
}

/// Concurrent invalidations of two clients get different numbers, each above the one before it in the chain, and in the
/// order in which each client saw them confirmed.
pub async fn numbers_grow_whoever_issues_them(a: &impl L2, b: &impl L2) {
    let start = ok(a.open().await);
    let issued = issue_at_once(a, b).await;
    for own in &issued {
        let growing = own.windows(2).all(|pair| pair[0].position.seq < pair[1].position.seq);
        assert!(growing, "a client's own invalidations got falling numbers");
    }
    let mut all = issued.concat();
    all.sort_by_key(|issued| issued.position.seq);
    assert_chain(start, all.iter().map(|issued| (issued.previous, issued.position.seq)));
    assert!(all.iter().all(|issued| issued.position.incarnation == start.incarnation), "one incarnation");
}

/// An invalidation is numbered above `at_least`, however far ahead of the server's clock that is, and so is the next.
pub async fn numbers_are_above_what_the_issuer_has_seen(a: &impl L2, b: &impl L2) {
    let start = ok(a.open().await);
    let ahead = start.seq + 3_600_000_000;
    let first = ok(a.invalidate(&[ident(1)], ahead).await);
    assert!(first.position.seq > ahead, "{} is not above {ahead}", first.position.seq);
    assert_eq!(first.previous, start.seq, "the link to what stood there before");
    let second = ok(b.invalidate(&[ident(1)], 0).await);
    assert!(second.position.seq > first.position.seq, "the number fell back to the clock");
    let third = ok(b.invalidate(&[ident(1)], second.position.seq).await);
    assert!(third.position.seq > second.position.seq, "`at_least` itself is not above");
}

/// An invalidation tells when the last of its idents was invalidated before, and nothing of others.
pub async fn an_invalidation_tells_of_the_last_before_it(a: &impl L2, b: &impl L2) {
    let start = ok(a.open().await);
    let first = ok(a.invalidate(&[ident(1)], 0).await);
    assert!(first.last <= start.seq, "{} of an ident that was never invalidated", first.last);
    ok(b.invalidate(&[ident(2)], 0).await);
    let second = ok(b.invalidate(&[ident(1), ident(3)], 0).await);
    assert_eq!(second.last, first.position.seq);
    let third = ok(a.invalidate(&[ident(3), ident(2)], 0).await);
    assert_eq!(third.last, second.position.seq, "the later of the two");
}

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

/// An invalidation of nothing is a number and a message, and no more.
pub async fn no_ident_moves_only_the_position(a: &impl L2, b: &impl L2) {
    let mut notices = subscribed(b).await;
    let start = ok(a.open().await);
    accepted(a, store(0, start, Bytes::from_static(b"kept"))).await;
    let issued = ok(a.invalidate(&[], 0).await);
    assert!(issued.position.seq > start.seq, "the position did not move");
    let expected = Message {
        incarnation: start.incarnation,
        seq: issued.position.seq,
        previous: start.seq,
        idents: Vec::new(),
    };
    assert_eq!(message(&mut notices).await, expected);
    let page = ok(b.catch_up(start.seq).await);
    assert_eq!((page.upto, page.idents), (issued.position.seq, Vec::new()), "the log names nothing");
    let found = ok(b.lookup(key(0)).await);
    assert!(found.frame.is_some() && found.position == Some(issued.position), "frames stay");
}

/// Pages of [`L2::catch_up`] together name every ident invalidated since, once with its last number, also when more
/// idents share a number than a page holds.
pub async fn pages_of_the_log_are_complete(a: &impl L2, b: &impl L2) {
    let start = ok(a.open().await);
    let mut expected = HashMap::new();
    let mut middle = start.seq;
    // The first ident of each batch was the last of the one before.
    for batch in 0..4 {
        let idents: Vec<Ident> = (batch * 999..=(batch + 1) * 999).map(ident).collect();
        let seq = ok(a.invalidate(&idents, 0).await).position.seq;
        expected.extend(idents.into_iter().map(|ident| (ident, seq)));
        middle = if batch == 1 { seq } else { middle };
    }
    for n in 10_000..10_050 {
        let seq = ok(a.invalidate(&[ident(n)], 0).await).position.seq;
        expected.insert(ident(n), seq);
    }
    assert_eq!(read_log(b, start.seq).await, expected, "the log since the start");
    expected.retain(|_, seq| *seq > middle);
    assert_eq!(read_log(b, middle).await, expected, "the log since the middle: after it, not from it on");
    let end = ok(b.open().await);
    let page = ok(b.catch_up(end.seq).await);
    assert_eq!((page.upto, page.position), (end.seq, end), "at the end there is nothing more");
    assert!(page.idents.is_empty(), "at the end there is nothing more");
}

/// [`L2::scores`] answers for each ident asked for, in order, and agrees with the log.
pub async fn scores_are_in_the_order_of_the_question(a: &impl L2, b: &impl L2) {
    ok(a.open().await);
    let one = ok(a.invalidate(&[ident(1)], 0).await).position.seq;
    let two = ok(a.invalidate(&[ident(2)], 0).await).position.seq;
    let end = ok(a.invalidate(&[ident(3)], 0).await).position;
    let scores = ok(b.scores(&[ident(2), ident(9), ident(1), ident(2)]).await);
    assert_eq!(scores.seqs, [Some(two), None, Some(one), Some(two)]);
    assert_eq!(scores.position, end);
    assert!(scores.floor < one, "nothing was cut, yet the floor is {}", scores.floor);
    let again = ok(b.invalidate(&[ident(1)], 0).await).position.seq;
    assert_eq!(ok(a.scores(&[ident(1)]).await).seqs, [Some(again)], "the last invalidation counts");
    assert!(ok(a.scores(&[]).await).seqs.is_empty(), "no question, no answer");
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

/// [`L2::scores`] tells the shape of every pattern that was invalidated, hard or soft, once, also when nothing is asked.
pub async fn the_shapes_of_patterns_are_told_with_the_scores(a: &impl L2, b: &impl L2) {
    let start = ok(a.open().await);
    assert!(ok(b.scores(&[]).await).shapes.is_empty(), "nothing was invalidated yet");
    let [one, two, soft] = [pattern("/a/*"), pattern("/*/b/**"), pattern("/*/*").soft()];
    let seq = ok(a.invalidate(&[one, two, ident(1)], 0).await).position.seq;
    ok(a.invalidate(&[pattern("/other/*"), soft], 0).await);
    let scores = ok(b.scores(&[one, two, ident(1)]).await);
    assert_eq!(scores.seqs, [Some(seq); 3], "the ident of a pattern is one like any other");
    let told: HashSet<Shape> = scores.shapes.iter().copied().collect();
    assert_eq!(told.len(), scores.shapes.len(), "a shape is told once");
    assert_eq!(told, [one, two, soft].iter().filter_map(|ident| Shape::of_ident(ident.as_bytes())).collect());
    let log = read_log(b, start.seq).await;
    assert_eq!(log.len(), 5, "shapes are not in the log");
}

/// What was invalidated in a shape that had to give way is at or below the floor.
pub async fn more_shapes_than_fit_raise_the_floor(a: &impl L2, b: &impl L2) {
    ok(a.open().await);
    let shaped = |n: usize| {
        pattern(&(0..8).map(|bit| if n >> bit & 1 == 1 { "/*" } else { "/x" }).collect::<String>())
    };
    let mut last = Vec::new();
    for n in 0..MAX_SHAPES + 3 {
        last.push((shaped(n), ok(a.invalidate(&[shaped(n)], 0).await).position.seq));
    }
    let scores = ok(b.scores(&[]).await);
    assert_eq!(scores.shapes.len(), MAX_SHAPES, "as many as fit");
    for (ident, seq) in last {
        let known = Shape::of_ident(ident.as_bytes()).is_some_and(|shape| scores.shapes.contains(&shape));
        assert!(known || seq <= scores.floor, "{seq} was in a shape that is forgotten above the floor");
    }
    assert!(scores.floor < scores.position.seq, "the last ones are still known");
}

/// Whatever the log forgets, its floor covers: an ident without a score was last invalidated at or below the floor, and
/// what is stamped below the floor is refused. The namespace's log keeps at most [`TINY_LOG`] idents.
pub async fn a_cut_log_raises_its_floor(a: &impl L2, b: &impl L2) {
    let start = ok(a.open().await);
    assert!(ok(a.catch_up(start.seq).await).floor <= start.seq, "a fresh log covers its own start");
    let mut last = HashMap::new();
    let many: Vec<Ident> = (0..3 * TINY_LOG as u64).map(ident).collect();
    for round in 0..3 {
        for chunk in many.chunks(1 + round * TINY_LOG) {
            let seq = ok(a.invalidate(chunk, 0).await).position.seq;
            last.extend(chunk.iter().map(|ident| (*ident, seq)));
        }
        assert_covered(b, &last).await;
    }
    let page = ok(b.catch_up(start.seq).await);
    assert!(page.floor > start.seq, "the floor is above what was cut");
    assert!(page.floor <= page.position.seq, "the floor is no higher than the position");
    refused(a, store(0, start, Bytes::from_static(b"old")), Refusal::Floor).await;
    accepted(a, store(0, page.position, Bytes::from_static(b"new"))).await;
}

/// Every ident's last invalidation is in the log, or at or below its floor.
async fn assert_covered(l2: &impl L2, last: &HashMap<Ident, Seq>) {
    let idents: Vec<Ident> = last.keys().copied().collect();
    let scores = ok(l2.scores(&idents).await);
    let known = scores.seqs.iter().flatten().count();
    assert!(known <= TINY_LOG, "the log holds {known} idents, {TINY_LOG} were allowed");
    for (ident, score) in idents.iter().zip(scores.seqs) {
        match score {
            Some(score) => assert_eq!(score, last[ident], "the log has a wrong number"),
            None => assert!(last[ident] <= scores.floor, "{} was cut above the floor", last[ident]),
        }
    }
}

/// What is held is not stored and counts as invalidated until each of its holds has ended, which is an invalidation; and numbers
/// tell whether anything is held.
pub async fn what_is_held_is_out_until_its_holds_end(a: &impl L2, b: &impl L2) {
    let before = ok(a.open().await);
    assert!(!tells_of_holds(before.seq), "nothing is held at first");
    let first = begun(a, &several(), Holding::Begin(token(0), MAX_HOLD)).await;
    let second = begun(b, &several()[..1], Holding::Begin(token(1), MAX_HOLD)).await;
    let (held, free) = ([several()[1]], [ident(1)]);
    for at in [first, second] {
        assert!(tells_of_holds(at.seq), "{} was issued while something was held", at.seq);
        for idents in [&several()[..1], &held] {
            refused(b, Store { idents, ..frame(at) }, Refusal::Invalidated).await;
        }
        accepted(b, Store { idents: &free, ..frame(at) }).await;
    }
    let scores = ok(b.scores(&[held[0], free[0]]).await);
    assert_eq!(scores.seqs, [Some(second.seq + 1), None], "what is held counts as invalidated next");
    assert!(matches!(ok(a.hold(&several(), 0, Holding::End(token(7))).await), Held::Over(_)));
    assert!(matches!(ok(b.hold(&several(), 0, Holding::End(token(0))).await), Held::Done(_)));
    let now = ok(b.invalidate(&held, 0).await).position;
    assert!(tells_of_holds(now.seq), "one of two holds has ended");
    accepted(a, Store { idents: &held, ..frame(now) }).await;
    refused(a, Store { idents: &several()[..1], ..frame(now) }, Refusal::Invalidated).await;
    let Held::Done(end) = ok(a.hold(&several()[..1], now.seq + 9, Holding::End(token(1))).await) else {
        panic!("the hold was on")
    };
    assert!(end.position.seq > now.seq + 9 && !tells_of_holds(end.position.seq), "the last hold has ended");
    refused(a, Store { idents: &several()[..1], ..frame(now) }, Refusal::Invalidated).await;
    accepted(a, Store { idents: &several()[..1], ..frame(end.position) }).await;
}

/// A hold that is not ended ends by itself, with an invalidation that stands in the log.
pub async fn a_hold_that_runs_out_ends_with_an_invalidation(a: &impl L2, b: &impl L2) {
    ok(a.open().await);
    let at = begun(a, &several(), Holding::Begin(token(0), Duration::from_millis(20))).await;
    let page = loop {
        let page = ok(b.catch_up(at.seq).await);
        if !tells_of_holds(page.position.seq) {
            break page;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let idents: HashSet<Ident> = page.idents.iter().map(|(ident, _)| *ident).collect();
    assert_eq!(
        idents,
        several().into_iter().collect(),
        "what was held is invalidated when the hold runs out"
    );
    refused(b, Store { idents: &several(), ..frame(at) }, Refusal::Invalidated).await;
    assert!(matches!(ok(a.hold(&several(), 0, Holding::End(token(0))).await), Held::Over(_)));
}

/// There are no more than [`MAX_HELD`] idents held at a time.
pub async fn more_holds_than_fit_are_refused(a: &impl L2, b: &impl L2) {
    let idents: Vec<Ident> = (0..MAX_IDENTS as u64).map(ident).collect();
    let fit = (MAX_HELD / MAX_IDENTS) as u64;
    for n in 0..fit {
        begun(a, &idents, Holding::Begin(token(n), MAX_HOLD)).await;
    }
    let full = Holding::Begin(token(fit), MAX_HOLD);
    assert_eq!(ok(b.hold(&idents, 0, full).await), Held::Full);
    assert!(matches!(ok(b.hold(&idents, 0, Holding::End(token(0))).await), Held::Done(_)));
    begun(b, &idents, full).await;
}

/// Of several claims one gets the lease of a key, until its holder releases it; nobody else can renew or end it.
pub async fn a_fill_lease_belongs_to_one_claim_at_a_time(a: &impl L2, b: &impl L2) {
    ok(a.open().await);
    let (first, second) =
        tokio::join!(a.claim(key(0), token(1), TERM, 0), b.claim(key(0), token(2), TERM, 0));
    let (holder, other) = match (ok(first).0, ok(second).0) {
        (Claim::Claimed, Claim::Held(left)) => {
            assert!(left <= TERM, "{left:?} are left of {TERM:?}");
            (token(1), token(2))
        }
        (Claim::Held(_), Claim::Claimed) => (token(2), token(1)),
        claims => panic!("one of two gets a lease, not {claims:?}"),
    };
    assert_eq!(
        ok(b.claim(key(1), token(3), TERM, 0).await).0,
        Claim::Claimed,
        "another key has another lease"
    );
    for tend in [Tend::Renew(TERM), Tend::Release, Tend::Waive(TERM)] {
        assert_eq!(ok(a.tend(key(0), other, tend).await), Tenure::Lost, "{tend:?} by somebody else");
    }
    assert!(matches!(ok(b.claim(key(0), other, TERM, 0).await).0, Claim::Held(_)), "it is still held");
    assert_eq!(ok(a.tend(key(0), holder, Tend::Release).await), Tenure::Ours);
    assert_eq!(
        ok(a.tend(key(0), holder, Tend::Renew(TERM)).await),
        Tenure::Lost,
        "what was released is gone"
    );
    assert_eq!(ok(b.claim(key(0), other, TERM, 0).await).0, Claim::Claimed);
}

/// A lease ends with its term, counted from the last renewal.
pub async fn a_fill_lease_runs_out_unless_it_is_renewed(a: &impl L2, b: &impl L2) {
    ok(a.open().await);
    let brief = Duration::from_millis(20);
    assert_eq!(ok(a.claim(key(0), token(1), brief, 0).await).0, Claim::Claimed);
    assert_eq!(ok(a.claim(key(1), token(1), brief, 0).await).0, Claim::Claimed);
    assert_eq!(ok(a.tend(key(1), token(1), Tend::Renew(TERM)).await), Tenure::Ours);
    while ok(b.claim(key(0), token(2), TERM, 0).await).0 != Claim::Claimed {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(ok(a.tend(key(0), token(1), Tend::Release).await), Tenure::Lost, "it is another's now");
    assert!(matches!(ok(a.claim(key(0), token(3), TERM, 0).await).0, Claim::Held(_)));
    assert!(matches!(ok(b.claim(key(1), token(3), TERM, 0).await).0, Claim::Held(_)), "renewed");
}

/// A claim looks up, whoever gets the lease.
pub async fn a_claim_finds_what_was_stored_before_the_release(a: &impl L2, b: &impl L2) {
    let (claim, found) = ok(a.claim(key(0), token(1), TERM, 0).await);
    assert!(
        claim == Claim::Claimed && found.frame.is_none() && found.position.is_none(),
        "nothing is opened"
    );
    let at = ok(a.open().await);
    assert_eq!(ok(b.claim(key(0), token(2), TERM, 0).await).1.position, Some(at));
    accepted(a, store(0, at, Bytes::from_static(b"fetched"))).await;
    for _ in 0..2 {
        let found = ok(b.claim(key(0), token(2), TERM, 0).await).1;
        assert_eq!((found.frame.as_deref(), found.position), (Some(&b"fetched"[..]), Some(at)));
        ok(a.tend(key(0), token(1), Tend::Release).await);
    }
}

/// Every subscriber hears of the end of a lease that a claim has found held: of its release, or that it was waived.
pub async fn the_end_of_a_lease_that_is_waited_for_is_told_and_no_other(a: &impl L2, b: &impl L2) {
    let (mut at_a, mut at_b) = (subscribed(a).await, subscribed(b).await);
    ok(a.open().await);
    for (n, tend) in [(0, Tend::Release), (1, Tend::Release), (2, Tend::Waive(TERM)), (3, Tend::Release)] {
        ok(a.claim(key(n), token(1), TERM, 0).await);
        if n != 0 {
            ok(b.claim(key(n), token(2), TERM, 0).await);
        }
        ok(a.tend(key(n), token(1), Tend::Renew(TERM)).await);
        ok(a.tend(key(n), token(1), tend).await);
    }
    for notices in [&mut at_a, &mut at_b] {
        for n in 1..4 {
            assert_eq!(released(notices).await, key(n));
        }
    }
}

/// After a lease was waived no claim is held up, nor gets a lease; later it is as before.
pub async fn a_lease_that_is_waived_holds_nobody_up_for_a_while(a: &impl L2, b: &impl L2) {
    ok(a.open().await);
    ok(a.claim(key(0), token(1), TERM, 0).await);
    assert_eq!(ok(a.tend(key(0), token(1), Tend::Waive(TERM)).await), Tenure::Ours);
    assert_eq!(ok(b.claim(key(0), token(2), TERM, 0).await).0, Claim::Waived);
    assert_eq!(ok(a.claim(key(0), token(1), TERM, 0).await).0, Claim::Waived);
    ok(a.claim(key(1), token(1), TERM, 0).await);
    ok(a.tend(key(1), token(1), Tend::Waive(Duration::from_millis(20))).await);
    while ok(b.claim(key(1), token(2), TERM, 0).await).0 != Claim::Claimed {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A lease that was claimed before the position that a claim names is overruled, and whoever waited for it hears of the end
/// of its successor's.
pub async fn a_claim_after_a_position_overrules_what_was_claimed_before_it(a: &impl L2, b: &impl L2) {
    let mut notices = subscribed(b).await;
    let at = ok(a.open().await).seq;
    ok(a.claim(key(0), token(1), TERM, at).await);
    assert!(matches!(ok(b.claim(key(0), token(2), TERM, at).await).0, Claim::Held(_)), "claimed at it");
    let after = ok(b.invalidate(&[ident(1)], 0).await).position.seq;
    assert_eq!(ok(b.claim(key(0), token(2), TERM, after).await).0, Claim::Claimed, "claimed before it");
    assert_eq!(ok(a.tend(key(0), token(1), Tend::Release).await), Tenure::Lost);
    assert!(matches!(ok(a.claim(key(0), token(3), TERM, after).await).0, Claim::Held(_)));
    ok(b.tend(key(0), token(2), Tend::Release).await);
    // The invalidation is told as well, before it or after.
    assert_eq!(released(&mut notices).await, key(0));
}

/// Invalidates from both clients at once: ident n by its n-th invalidation, the second client's after the first's.
async fn issue_at_once(a: &impl L2, b: &impl L2) -> [Vec<Issued>; 2] {
    async fn issue(l2: &impl L2, first: u64) -> Vec<Issued> {
        let mut issued = Vec::new();
        for n in first..first + ROUNDS {
            issued.push(ok(l2.invalidate(&[ident(n)], 0).await));
        }
        issued
    }
    tokio::join!(issue(a, 0), issue(b, ROUNDS)).into()
}

/// Reads the log after `after`, page by page.
async fn read_log(l2: &impl L2, mut after: Seq) -> HashMap<Ident, Seq> {
    let mut log = HashMap::new();
    loop {
        let page = ok(l2.catch_up(after).await);
        for (ident, seq) in page.idents {
            assert!(after < seq && seq <= page.upto, "{seq} on the page from {after} to {}", page.upto);
            let before = log.insert(ident, seq);
            assert!(before.is_none_or(|before| before == seq), "an ident with two numbers");
        }
        if page.upto == page.position.seq {
            return log;
        }
        assert!(after < page.upto && page.upto < page.position.seq, "a page that leads nowhere");
        after = page.upto;
    }
}

/// Each link begins where the one before it ended, and leads up.
fn assert_chain(start: Position, links: impl Iterator<Item = (Seq, Seq)>) {
    let mut at = start.seq;
    for (previous, seq) in links {
        assert_eq!(previous, at, "a link of the chain is missing, doubled or out of order");
        assert!(seq > previous, "{seq} after {previous}: the chain leads down");
        at = seq;
    }
}

async fn subscribed(l2: &impl L2) -> Notices {
    let mut notices = l2.subscribe();
    let first = notices.recv().await;
    assert_eq!(first, Some(Notice::Subscribed), "the first notice confirms the subscription");
    notices
}

async fn message(notices: &mut Notices) -> Message {
    match notices.recv().await {
        Some(Notice::Message(message)) => message,
        Some(Notice::Server(_)) => Box::pin(message(notices)).await,
        other => panic!("{other:?} where a message should be"),
    }
}

async fn accepted(l2: &(impl L2 + ?Sized), store: Store<'_>) {
    assert_eq!(ok(l2.store(store).await), Stored::Accepted, "nothing speaks against this frame");
}

async fn refused(l2: &(impl L2 + ?Sized), store: Store<'_>, why: Refusal) {
    assert_eq!(ok(l2.store(store).await), Stored::Refused(why));
}

fn frame(at: Position) -> Store<'static> {
    store(0, at, Bytes::from_static(b"frame"))
}

/// The position at which a hold has begun.
async fn begun(l2: &impl L2, idents: &[Ident], holding: Holding) -> Position {
    match ok(l2.hold(idents, 0, holding).await) {
        Held::Done(issued) => issued.position,
        other => panic!("{other:?} in place of a hold"),
    }
}

fn store(n: u64, at: Position, frame: Bytes) -> Store<'static> {
    let Position { incarnation, seq } = at;
    Store { key: key(n), incarnation, stamp: seq, ttl: Duration::from_secs(60), frame, idents: &[] }
}

/// The key of the next lease of whose end the bus tells.
async fn released(notices: &mut Notices) -> Key {
    loop {
        match notices.recv().await {
            Some(Notice::Released(key)) => return key,
            Some(_) => {}
            None => panic!("the subscription has ended"),
        }
    }
}

fn token(n: u64) -> Token {
    Token(spread(n, 0x2b))
}

fn key(n: u64) -> Key {
    Key::from_bytes(spread(n, 0x6b))
}

/// What one invalidation names beside others.
fn several() -> [Ident; 3] {
    [ident(1000), ident(1001), ident(1002)]
}

fn ident(n: u64) -> Ident {
    Ident::from_bytes(spread(n, 0x69))
}

fn pattern(pattern: &str) -> Ident {
    let idents = Pattern(pattern).idents(&Secrets::new("conformance", None));
    idents.unwrap_or_else(|error| panic!("{error}"))[0]
}

/// Sixteen bytes with zeros, line ends and high bits among them: an L2 must take any.
fn spread(n: u64, kind: u8) -> [u8; 16] {
    let mut bytes = [kind, 0, b'\r', b'\n', 0xff, b'{', b'}', b':', 0, 0, 0, 0, 0, 0, 0, 0];
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    bytes
}

#[track_caller]
fn ok<T: Debug>(result: Result<T, L2Error>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// The log of the case that wants it cut.
pub const TINY_LOG: usize = 8;
const ROOMY: usize = 100_000;
/// How often each client does its part where two act at once.
const ROUNDS: u64 = 100;
/// No case takes a second; this only ends one that waits for what never comes.
const LIMIT: Duration = Duration::from_secs(30);
/// Long after this nothing more comes.
const SILENCE: Duration = Duration::from_secs(10);
/// No case takes so long that a lease of this term runs out.
const TERM: Duration = Duration::from_secs(60);
