//! Section 5.2.1: how a request's Cache-Control is read.

use forebay_policy::directives::{MaxStale, RequestDirectives};
use forebay_policy::facts::{Fact, RequestFacts};
use http::HeaderValue;

use crate::support::fields;

fn parse(value: &str) -> RequestDirectives {
    RequestDirectives::parse(&fields(&[("cache-control", value)]))
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.1
//= type=test
//# The max-age request directive indicates that the client prefers a response whose age is less than
//# or equal to the specified number of seconds.
#[test]
fn the_shortest_max_age_counts_and_an_invalid_one_accepts_nothing_old() {
    for (value, expected) in [
        ("max-age=10", 10),
        ("MAX-AGE=\"10\"", 10),
        ("max-age=10, max-age=20", 10),
        ("max-age=20, max-age=10", 10),
        ("max-age=x", 0),
        ("max-age", 0),
        ("max-age=-1", 0),
        ("max-age=1.5", 0),
        ("max-age =10", 0),
        ("max-age=99999999999", 2_147_483_648),
    ] {
        assert_eq!(parse(value).max_age, Some(expected), "{value}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.2
//= type=test
//# If no value is assigned to max-stale, then the client will accept a stale response of any age.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.2
//= type=test
//# If a value is present, then the client is willing to accept a response that has exceeded its
//# freshness lifetime by no more than the specified number of seconds.
#[test]
fn the_least_that_max_stale_accepts_counts() {
    for (value, expected) in [
        ("max-stale", MaxStale::Any),
        ("max-stale=10", MaxStale::UpTo(10)),
        ("max-stale, max-stale=10", MaxStale::UpTo(10)),
        ("max-stale=10, max-stale", MaxStale::UpTo(10)),
        ("max-stale=10, max-stale=5", MaxStale::UpTo(5)),
        ("max-stale=", MaxStale::UpTo(0)),
        ("max-stale=x", MaxStale::UpTo(0)),
        ("max-stale =10", MaxStale::UpTo(0)),
    ] {
        assert_eq!(parse(value).max_stale, Some(expected), "{value}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.3
//= type=test
//# The min-fresh request directive indicates that the client prefers a response whose freshness
//# lifetime is no less than its current age plus the specified time in seconds.
#[test]
fn the_longest_min_fresh_counts_and_an_invalid_one_accepts_nothing() {
    for (value, expected) in [
        ("min-fresh=10", 10),
        ("min-fresh=10, min-fresh=20", 20),
        ("min-fresh", 2_147_483_648),
        ("min-fresh=x", 2_147_483_648),
    ] {
        assert_eq!(parse(value).min_fresh, Some(expected), "{value}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc5861#section-4
//= type=test
//# When used as a request Cache-Control extension, its scope of application is the request it appears
//# in; when used as a response Cache-Control extension, its scope is any request applicable to the
//# cached response it occurs in.
#[test]
fn a_client_may_say_stale_if_error_too() {
    assert_eq!(parse("stale-if-error=60").stale_if_error, Some(60));
    assert_eq!(parse("stale-if-error").stale_if_error, Some(0));
}

//= https://www.rfc-editor.org/rfc/rfc8246#section-2
//= type=test
//# The presence of an immutable Cache-Control extension in a request has no effect.
#[test]
fn what_only_responses_say_means_nothing_in_a_request() {
    let value = "immutable, s-maxage=1, must-revalidate, private, public, no-transform, x=1";
    assert_eq!(parse(value), RequestDirectives::default());
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.4
//= type=test
//# The no-cache request directive indicates that the client prefers a stored response not be used to
//# satisfy the request without successful validation on the origin server.
#[test]
fn flags_are_read_and_what_is_no_cache_control_asks_for_validation() {
    let asked = parse("no-cache, No-Store=x, only-if-cached");
    assert!(asked.no_cache && asked.no_store && asked.only_if_cached && !asked.malformed);
    for value in ["x=\"unended", "max-age=60; x", "{}"] {
        let asked = parse(value);
        assert!(asked.malformed && asked.no_cache, "{value}");
    }
}

#[test]
fn the_scan_tells_whether_cache_control_is_worth_a_reading() {
    let says = |value: &[u8], fact| {
        let mut request = fields(&[("accept", "*/*")]);
        request.append("cache-control", HeaderValue::from_bytes(value).expect("a field value"));
        RequestFacts::scan(&request).has(fact)
    };
    for value in [
        &b"max-age=0"[..],
        b"no-cache",
        b"only-if-cached",
        b"max-stale",
        b"x=\"\xff",
        b"no-store, min-fresh=1",
    ] {
        assert!(says(value, Fact::Directives), "{value:?}");
    }
    for value in [&b""[..], b"no-store", b"no-transform", b"x", b"immutable"] {
        assert!(!says(value, Fact::Directives), "{value:?}");
    }
    assert!(says(b"no-store", Fact::NoStore) && !says(b"max-age=0", Fact::NoStore));
}
