//! RFC 9211: the Cache-Status member.

use forebay_policy::reuse::Forward;
use forebay_policy::status::{CacheName, CacheStatus, Collapsed, Forwarded, InvalidName, MAX_NAME, Outcome};

use crate::support::{Fields, fields};

fn check(outcome: Outcome, ttl: Option<i64>, detail: Option<&'static str>, expected: &str) {
    let name = CacheName::new("ExampleCache").expect("a token");
    assert_eq!(CacheStatus { name: &name, outcome, ttl, detail }.to_header_value(), expected);
}

//= https://www.rfc-editor.org/rfc/rfc9211#section-2.1
//= type=test
//# "hit" and "fwd" are exclusive; only one of them should appear on each list member.
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2.3
//= type=test
//# The value of "fwd-status" is an Integer that indicates which status code (see [HTTP], Section 15) the
//# next-hop server returned in response to the forwarded request.
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2.4
//= type=test
//# It may be negative, to indicate staleness.
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2.6
//= type=test
//# If true, the response was successfully reused; if not, a new request had to be made. If not present,
//# the request was not collapsed with others.
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2
//= type=test
//# While these parameters are OPTIONAL, caches are encouraged to provide as much information as possible.
#[test]
fn the_examples_of_the_rfc_come_out() {
    let miss = Forwarded::because(Forward::UriMiss);
    check(Outcome::Hit, None, None, "ExampleCache; hit");
    check(Outcome::Hit, Some(376), None, "ExampleCache; hit; ttl=376");
    check(Outcome::Hit, Some(-412), None, "ExampleCache; hit; ttl=-412");
    check(Outcome::Hit, None, Some("MEMORY"), "ExampleCache; hit; detail=MEMORY");
    check(Outcome::Forwarded(miss), None, None, "ExampleCache; fwd=uri-miss");
    let stale = Forwarded { status: Some(304), ..Forwarded::because(Forward::Stale) };
    check(Outcome::Forwarded(stale), None, None, "ExampleCache; fwd=stale; fwd-status=304");
    let collapsed = Forwarded { collapsed: Collapsed::Yes, ..miss };
    check(Outcome::Forwarded(collapsed), None, None, "ExampleCache; fwd=uri-miss; collapsed");
    let failed = Forwarded { collapsed: Collapsed::Failed, ..miss };
    check(Outcome::Forwarded(failed), None, None, "ExampleCache; fwd=uri-miss; collapsed=?0");
}

//= https://www.rfc-editor.org/rfc/rfc9211#section-2.2
//= type=test
//# "fwd", when present, indicates that the request went forward towards the origin; its value is a Token
//# that indicates why.
#[test]
fn every_reason_to_go_forward_has_its_token() {
    let tokens = [
        (Forward::Bypass, "bypass"),
        (Forward::Method, "method"),
        (Forward::UriMiss, "uri-miss"),
        (Forward::VaryMiss, "vary-miss"),
        (Forward::Miss, "miss"),
        (Forward::Request, "request"),
        (Forward::Stale, "stale"),
        (Forward::Partial, "partial"),
    ];
    for (reason, token) in tokens {
        assert_eq!(reason.as_str(), token);
    }
}

//= https://www.rfc-editor.org/rfc/rfc9211#section-2.4
//= type=test
//# The value of "ttl" is an Integer that indicates the response's remaining freshness lifetime (see
//# [HTTP-CACHING], Section 4.2.1) as calculated by the cache, as an integer number of seconds, measured
//# as closely as possible to when the response header section is sent by the cache.
//= https://www.rfc-editor.org/rfc/rfc9651#section-3.3.1
//= type=test
//# Integers have a range of -999,999,999,999,999 to 999,999,999,999,999 inclusive (i.e., up to
//# fifteen digits, signed), for IEEE 754 compatibility [IEEE754].
#[test]
fn numbers_are_written_to_their_ends() {
    for ttl in [0, 1, 9, 10, 99, 100, 999_999_999_999_999, -1, -10, -999_999_999_999_999] {
        check(Outcome::Hit, Some(ttl), None, &format!("ExampleCache; hit; ttl={ttl}"));
    }
    check(Outcome::Hit, Some(i64::MAX), None, "ExampleCache; hit; ttl=999999999999999");
    check(Outcome::Hit, Some(i64::MIN), None, "ExampleCache; hit; ttl=-999999999999999");
}

//= https://www.rfc-editor.org/rfc/rfc9211#section-2
//= type=test
//# When adding a value to the Cache-Status header field, caches SHOULD preserve the existing field
//# value, to allow debugging of the entire chain of caches handling the request.
#[test]
fn what_upstream_said_stays_in_front() {
    let upstream: Fields<'_> =
        &[("cache-status", "a; hit, \"b c\"; fwd=stale"), ("x", "1"), ("cache-status", "not; (structured")];
    let mut response = fields(upstream);
    let name = CacheName::new("ExampleCache").expect("a token");
    CacheStatus { name: &name, outcome: Outcome::Hit, ttl: None, detail: None }.append_to(&mut response);
    assert_eq!(response, fields(&[upstream, &[("cache-status", "ExampleCache; hit")]].concat()));
}

//= https://www.rfc-editor.org/rfc/rfc9211#section-2.8
//= type=test
//# The value of "detail" is either a String or a Token that allows implementations to convey additional
//# information not captured in other parameters, such as implementation-specific states or other
//# caching-related metrics.
#[test]
fn a_detail_is_a_token_a_string_or_left_out() {
    check(Outcome::Hit, None, Some("l1"), "ExampleCache; hit; detail=l1");
    check(Outcome::Hit, None, Some("a b"), "ExampleCache; hit; detail=\"a b\"");
    check(Outcome::Hit, None, Some("1"), "ExampleCache; hit; detail=\"1\"");
    check(Outcome::Hit, None, Some("a\nb"), "ExampleCache; hit");
    let long: &'static str = "x".repeat(300).leak();
    check(Outcome::Hit, Some(1), Some(long), "ExampleCache; hit; ttl=1");
}

//= https://www.rfc-editor.org/rfc/rfc9211#section-2
//= type=test
//# Each List member identifies the cache that inserted it, and this identifier MUST be a String or
//# Token.
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2
//= type=test
//# The syntax of this header field conforms to [STRUCTURED-FIELDS].
#[test]
fn a_name_is_a_token_or_a_string() {
    let written = |name: &str| {
        let name = CacheName::new(name)?;
        Ok(CacheStatus { name: &name, outcome: Outcome::Hit, ttl: None, detail: None }.to_header_value())
    };
    assert_eq!(written("a.b:c/d").unwrap(), "a.b:c/d; hit");
    assert_eq!(written("CDN Company Here").unwrap(), "\"CDN Company Here\"; hit");
    assert_eq!(written("10.0.0.1").unwrap(), "\"10.0.0.1\"; hit");
    assert_eq!(written("a\"b\\").unwrap(), "\"a\\\"b\\\\\"; hit");
    for name in ["", "caf\u{e9}", "a\r\nb", "\0", &"x".repeat(MAX_NAME + 1)] {
        assert_eq!(written(name), Err(InvalidName), "{name:?}");
    }
}
