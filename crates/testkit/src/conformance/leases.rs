//! Fill leases.

use std::time::Duration;

use bytes::Bytes;
use forebay_core::key::Key;
use forebay_core::l2::{Claim, L2, Notice, Notices, Tend, Tenure};

use super::support::{accepted, ident, key, ok, store, subscribed, token};

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

/// No case takes so long that a lease of this term runs out.
const TERM: Duration = Duration::from_secs(60);
