//! Fill leases in a real Redis: what stands there, and what others may have put in its place.

use std::time::Duration;

use forebay_core::l2::{Claim, L2, MAX_TERM, Notice, Tend, Tenure, Token};
use forebay_testkit::resp::Value;

use crate::support::*;

const TERM: Duration = Duration::from_secs(60);
const ONE: Token = Token([1; 16]);
const OTHER: Token = Token([2; 16]);

/// Connected for lookups as well: claims go over the same connection.
async fn started() -> Setup {
    let setup = Setup::start().await;
    until(async || setup.l2.lookup(key(0)).await.ok()).await;
    setup
}

/// Where the lease of `key(1)` stands.
async fn lease(setup: &Setup) -> String {
    setup.name(":v").await.replace(":v", ":f:") + &"01".repeat(16)
}

async fn claim(setup: &Setup, token: Token) -> Claim {
    setup.l2.claim(key(1), token, TERM, 0).await.unwrap().0
}

#[tokio::test]
async fn a_lease_stands_under_the_name_of_its_key_for_its_term() {
    let setup = started().await;
    let at = setup.l2.open().await.unwrap();
    assert_eq!(claim(&setup, ONE).await, Claim::Claimed);
    let name = lease(&setup).await;
    let value = [&[1; 16][..], at.seq.to_string().as_bytes()].concat();
    assert_eq!(setup.command(&["GET", &name]).await, Value::Bulk(value.clone().into()));
    let Value::Integer(left) = setup.command(&["PTTL", &name]).await else { panic!("no time") };
    assert!((50_000..=60_000).contains(&left), "{left}");
    assert!(matches!(claim(&setup, OTHER).await, Claim::Held(left) if left <= TERM));
    assert_eq!(setup.command(&["GET", &name]).await, Value::Bulk([&value[..], b"+"].concat().into()));
    assert_eq!(setup.l2.tend(key(1), ONE, Tend::Release).await, Ok(Tenure::Ours));
    assert_eq!(setup.command(&["EXISTS", &name]).await, Value::Integer(0));
    assert_eq!(setup.l2.open().await.unwrap(), at, "the log has nothing to do with it");
}

#[tokio::test]
async fn a_term_beyond_the_longest_is_cut() {
    let setup = started().await;
    let long = 1000 * MAX_TERM;
    assert_eq!(setup.l2.claim(key(1), ONE, long, 0).await.unwrap().0, Claim::Claimed);
    assert!(matches!(claim(&setup, OTHER).await, Claim::Held(left) if left <= MAX_TERM));
    assert_eq!(setup.l2.tend(key(1), ONE, Tend::Renew(long)).await, Ok(Tenure::Ours));
    assert!(matches!(claim(&setup, OTHER).await, Claim::Held(left) if left <= MAX_TERM));
}

#[tokio::test]
async fn what_is_no_lease_is_replaced_by_one() {
    let setup = started().await;
    let name = lease(&setup).await;
    let nonsense: [&[&str]; 7] = [
        &["RPUSH", &name, "a list"],
        &["SET", &name, "for ever and ever"],
        &["SET", &name, "for much too long", "PX", "100000000"],
        &["SET", &name, "-"],
        &["SET", &name, "", "PX", "50000"],
        &["HSET", &name, "-", "-"],
        &["SET", &name, "seventeen letters and then some", "PX", "100000000"],
    ];
    for nonsense in nonsense {
        setup.command(nonsense).await;
        assert_eq!(setup.l2.tend(key(1), OTHER, Tend::Release).await, Ok(Tenure::Lost), "{nonsense:?}");
        // What has a number behind it that is none counts as claimed at the beginning of time.
        let claimed = setup.l2.claim(key(1), ONE, TERM, 1).await.unwrap().0;
        assert_eq!(claimed, Claim::Claimed, "{nonsense:?}");
        assert!(matches!(claim(&setup, OTHER).await, Claim::Held(_)), "{nonsense:?}");
        assert_eq!(setup.l2.tend(key(1), ONE, Tend::Release).await, Ok(Tenure::Ours), "{nonsense:?}");
    }
}

#[tokio::test]
async fn a_server_that_has_forgotten_the_scripts_is_told_them_again() {
    let setup = started().await;
    setup.command(&["SCRIPT", "FLUSH"]).await;
    assert_eq!(claim(&setup, ONE).await, Claim::Claimed);
    setup.command(&["SCRIPT", "FLUSH"]).await;
    assert_eq!(setup.l2.tend(key(1), ONE, Tend::Release).await, Ok(Tenure::Ours));
}

#[tokio::test]
async fn a_lease_that_was_evicted_is_anybodys() {
    let setup = started().await;
    claim(&setup, ONE).await;
    setup.command(&["DEL", &lease(&setup).await]).await;
    assert_eq!(setup.l2.tend(key(1), ONE, Tend::Renew(TERM)).await, Ok(Tenure::Lost));
    assert_eq!(claim(&setup, OTHER).await, Claim::Claimed);
}

#[tokio::test]
async fn the_end_of_a_lease_is_told_over_the_bus_where_somebody_waits() {
    let setup = started().await;
    let other = setup.another().await;
    until(async || other.lookup(key(0)).await.ok()).await;
    let mut notices = other.subscribe();
    assert_eq!(next(&mut notices).await, Notice::Subscribed);
    for n in [1, 2] {
        setup.l2.claim(key(n), ONE, TERM, 0).await.unwrap();
    }
    other.claim(key(2), OTHER, TERM, 0).await.unwrap();
    for n in [1, 2] {
        setup.l2.tend(key(n), ONE, Tend::Release).await.unwrap();
    }
    wait_for(&mut notices, &Notice::Released(key(2))).await;
}
