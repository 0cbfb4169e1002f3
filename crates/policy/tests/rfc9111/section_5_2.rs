//! Section 5.2: how Cache-Control is read.

use forebay_policy::directives::CacheControl;
use forebay_policy::reason::Reason;
use http::HeaderValue;

use crate::support::{Case, fields};

fn parse(value: &str) -> CacheControl {
    CacheControl::parse(&fields(&[("cache-control", value)]))
}

fn check_max_age(value: &str, expected: Option<u32>) {
    assert_eq!(parse(value).max_age, expected, "{value}");
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2
//= type=test
//# Cache directives are identified by a token, to be compared case-insensitively, and have an optional
//# argument that can use both token and quoted-string syntax.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2
//= type=test
//# For the directives defined below that define arguments, recipients ought to accept both forms, even if
//# a specific form is required for generation.
#[test]
fn names_have_no_case_and_arguments_two_forms() {
    check_max_age("max-age=60", Some(60));
    check_max_age("MAX-Age=60", Some(60));
    check_max_age("max-age=\"60\"", Some(60));
    check_max_age("  ,, max-age=60\t,", Some(60));
    check_max_age("max-age=007", Some(7));
    let all = parse(
        "Public, NO-CACHE, No-Store, PRIVATE, Must-Revalidate, proxy-REVALIDATE, immutable, must-Understand, \
         S-MaxAge=5, Stale-While-Revalidate=6, STALE-if-error=\"7\"",
    );
    assert!(all.public && all.no_cache && all.no_store && all.private && all.must_revalidate);
    assert!(all.proxy_revalidate && all.immutable && all.must_understand);
    assert_eq!((all.stale_while_revalidate, all.stale_if_error), (Some(6), Some(7)));
    assert_eq!((all.s_maxage, all.max_age, all.malformed), (Some(5), None, false));
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.1
//= type=test
//# Caches are encouraged to consider responses that have invalid freshness information (e.g., a
//# max-age directive with non-integer content) to be stale.
#[test]
fn a_time_that_is_no_number_is_zero() {
    for value in [
        "max-age",
        "max-age=",
        "max-age=x",
        "max-age=-1",
        "max-age=+1",
        "max-age=1.5",
        "max-age=1e3",
        "max-age=0x10",
        "max-age='60'",
        "max-age=\"\"",
        "max-age=\" 60\"",
        "max-age=\"6\\0\"",
        "max-age =60",
        "max-age= 60",
    ] {
        check_max_age(value, Some(0));
        Case::cache_control(value).route(60).refused(Reason::Expired);
    }
    check_max_age("max-age=x, max-age=60", Some(0));
    check_max_age("max-age=60, max-age=x", Some(0));
    Case::cache_control("s-maxage=x, max-age=60").refused(Reason::Expired);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-1.2.2
//= type=test
//# If a cache receives a delta-seconds value greater than the greatest integer it can represent,
//# or if any of its subsequent calculations overflows, the cache MUST consider the value to be
//# 2147483648 (2^31) or the greatest positive integer it can conveniently represent.
#[test]
fn a_time_that_overflows_is_two_to_the_thirty_first() {
    check_max_age("max-age=2147483647", Some(2_147_483_647));
    check_max_age("max-age=2147483648", Some(2_147_483_648));
    check_max_age("max-age=2147483649", Some(2_147_483_648));
    check_max_age("max-age=4294967296", Some(2_147_483_648));
    check_max_age("max-age=18446744073709551617", Some(2_147_483_648));
    check_max_age("max-age=99999999999999999999999999999999999999999", Some(2_147_483_648));
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.3
//= type=test
//# A cache MUST ignore unrecognized cache directives.
#[test]
fn unknown_directives_are_ignored_and_hide_nothing() {
    check_max_age("x=\"max-age=60\"", None);
    check_max_age("x=\"max-age=1\", max-age=60", Some(60));
    check_max_age("x=\"a, max-age=1, \\\" max-age=2\", max-age=60", Some(60));
    check_max_age("max-aged=1, xmax-age=2, max_age=3, max-age=60, x=", Some(60));
    assert_eq!(parse("foo, bar=1, baz=\"q, no-store\", community=\"UCI\""), CacheControl::default());
}

#[test]
fn what_is_no_cache_control_forbids() {
    for value in [
        "x=\"unended, max-age=60",
        "max-age=\"60",
        "max-age=60; no-store",
        "max-age=60 no-store",
        "no-store;max-age=60",
        "max-age=60, \"no-store\"",
        "max-age=60, {}",
        "x=\"a\"b, max-age=60",
        "=60, max-age=60",
    ] {
        assert!(parse(value).malformed, "{value}");
        Case::cache_control(value).route(60).refused(Reason::MalformedCacheControl);
    }
}

#[test]
fn bytes_beyond_ascii_do_not_hide_a_directive() {
    let mut response = fields(&[]);
    let value = HeaderValue::from_bytes(b"x=\"\xff\xfe\", no-store, \xff").unwrap();
    response.append("cache-control", value);
    let directives = CacheControl::parse(&response);
    assert!(directives.no_store && directives.malformed);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.4
//= type=test
//# Note: The qualified form of the directive is often handled by caches as if an unqualified
//# no-cache directive was received
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.4
//= type=test
//# The no-cache response directive, in its unqualified form (without an argument), indicates that the
//# response MUST NOT be used to satisfy any other request without forwarding it for validation and
//# receiving a successful response; see Section 4.3.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3.1
//= type=test
//# The no-cache (Section 5.2.2.4) and private (Section 5.2.2.7) cache directives can have arguments that
//# prevent storage of header fields by all caches and shared caches, respectively.
#[test]
fn qualified_no_cache_is_no_cache() {
    for value in
        ["no-cache", "no-cache=\"set-cookie\", max-age=60", "No-Cache=x, s-maxage=60", "no-cache=, max-age=9"]
    {
        Case::cache_control(value).route(60).handler(60).refused(Reason::NoCache);
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.4
//= type=test
//# Note: Because the meaning of "Pragma: no-cache" in responses was never specified, it does not
//# provide a reliable replacement for "Cache-Control: no-cache" in them.
#[test]
fn pragma_in_a_response_means_nothing() {
    Case::response(&[("pragma", "no-cache"), ("cache-control", "max-age=60")]).stored_for(60);
}

//= https://www.rfc-editor.org/rfc/rfc8246#section-2
//= type=test
//# If any arguments are present, they have no meaning and MUST be ignored.
//
//= https://www.rfc-editor.org/rfc/rfc8246#section-2
//= type=test
//# Multiple instances of the immutable extension are equivalent to one instance.
#[test]
fn immutable_takes_no_argument_and_may_be_said_twice() {
    for value in ["immutable", "immutable=1", "immutable=\"x\"", "immutable, max-age=1, immutable"] {
        assert!(parse(value).immutable, "{value}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc8246#section-2
//= type=test
//# The immutable extension only applies during the freshness lifetime of the stored response.
//
//= https://www.rfc-editor.org/rfc/rfc8246#section-2
//= type=test
//# Stale responses SHOULD be revalidated as they normally would be in the absence of the immutable
//# extension.
#[test]
fn immutable_changes_nothing_of_how_long_a_response_is_good() {
    for value in ["max-age=60", "max-age=60, must-revalidate", "no-store", "max-age=0", "private"] {
        let with = Case::cache_control(&format!("{value}, immutable")).judge();
        assert_eq!(with, Case::cache_control(value).judge(), "{value}");
    }
}
