//! What is held.

use std::collections::HashSet;
use std::time::Duration;

use forebay_core::holds::{MAX_HELD, tells_of_holds};
use forebay_core::l2::{Held, Holding, L2, MAX_HOLD, Position, Refusal, Store};
use forebay_core::tag::{Ident, MAX_IDENTS};

use super::support::{accepted, frame, ident, ok, refused, several, token};

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

/// The position at which a hold has begun.
async fn begun(l2: &impl L2, idents: &[Ident], holding: Holding) -> Position {
    match ok(l2.hold(idents, 0, holding).await) {
        Held::Done(issued) => issued.position,
        other => panic!("{other:?} in place of a hold"),
    }
}
