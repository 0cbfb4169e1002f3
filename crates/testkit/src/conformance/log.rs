//! The log: numbers, pages, scores and shapes.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use forebay_core::entry::Seq;
use forebay_core::key::Secrets;
use forebay_core::l2::{L2, Message, Refusal};
use forebay_core::pattern::{MAX_SHAPES, Shape};
use forebay_core::tag::{Ident, Pattern, Targets};

use super::support::{
    accepted, assert_chain, ident, issue_at_once, key, message, ok, refused, store, subscribed,
};

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

fn pattern(pattern: &str) -> Ident {
    let idents = Pattern(pattern).idents(&Secrets::new("conformance", None));
    idents.unwrap_or_else(|error| panic!("{error}"))[0]
}

/// The log of the case that wants it cut.
pub const TINY_LOG: usize = 8;
