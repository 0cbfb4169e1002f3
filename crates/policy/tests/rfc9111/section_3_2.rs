//! Section 3.2: which stored fields another response updates.

use forebay_policy::profile::SetCookie;
use forebay_policy::update::update;

use crate::support::{Fields, fields};

#[track_caller]
fn check(stored: Fields<'_>, new: Fields<'_>, expected: Fields<'_>) {
    let updated = update(&fields(stored), &fields(new), SetCookie::Refuse);
    let lines: Vec<_> =
        updated.iter().map(|(name, value)| (name.as_str(), value.to_str().expect("text"))).collect();
    assert_eq!(lines, expected);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3.2
//= type=test
//# When doing so, the cache MUST add each header field in the provided response to the stored
//# response, replacing field values that are already present, with the following exceptions:
//= https://www.rfc-editor.org/rfc/rfc9111#section-3.4
//= type=test
//# When combining the new response with one or more stored responses, a cache MUST update the stored
//# response header fields using the header fields provided in the new response, as per Section 3.2.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.4
//= type=test
//# For each stored response identified, the cache MUST update its header fields with the header fields
//# provided in the 304 (Not Modified) response, as per Section 3.2.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.5
//= type=test
//# If a cache updates a stored response with the metadata provided in a HEAD response, the cache MUST
//# use the header fields provided in the HEAD response to update the stored response (see Section 3.2
//# ).
#[test]
fn fields_are_replaced_in_place_and_new_ones_come_last() {
    check(
        &[("a", "1"), ("b", "2"), ("c", "3")],
        &[("x-unknown", "9"), ("b", "4")],
        &[("a", "1"), ("b", "4"), ("c", "3"), ("x-unknown", "9")],
    );
    check(&[("a", "1")], &[], &[("a", "1")]);
    check(&[], &[("a", "1")], &[("a", "1")]);
}

#[test]
fn the_lines_of_a_name_are_replaced_together_and_keep_their_number_and_order() {
    check(
        &[("a", "1"), ("a", "2"), ("a", "2"), ("b", "3")],
        &[("a", "9"), ("a", "8")],
        &[("a", "9"), ("a", "8"), ("b", "3")],
    );
    check(
        &[("a", "1"), ("a", "2"), ("a", "2")],
        &[("b", "3")],
        &[("a", "1"), ("a", "2"), ("a", "2"), ("b", "3")],
    );
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3.2
//= type=test
//# Header fields excepted from storage in Section 3.1,
#[test]
fn what_is_never_stored_does_not_enter_by_an_update() {
    check(
        &[("x-one", "1")],
        &[
            ("connection", "x-one, x-two, keep-alive"),
            ("x-one", "2"),
            ("x-two", "2"),
            ("keep-alive", "timeout=5"),
            ("proxy-authenticate", "Basic"),
            ("proxy-authentication-info", "x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("te", "trailers"),
            ("x-three", "3"),
        ],
        &[("x-one", "1"), ("x-three", "3")],
    );
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3.2
//= type=test
//# The Content-Length header field.
#[test]
fn the_length_is_that_of_the_stored_content() {
    check(&[("content-length", "36")], &[("content-length", "0")], &[("content-length", "36")]);
    check(&[], &[("content-length", "0")], &[]);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3.2
//= type=test
//# Caches in this situation MAY omit these header fields from updating stored responses on an exceptional
//# basis but SHOULD limit such omission to those fields necessary to assure integrity of the stored
//# response.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3.2
//= type=test
//# Header fields that the cache's stored response depends upon, as described below,
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3.2
//= type=test
//# Header fields that are automatically processed and removed by the recipient, as described below, and
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3.2
//= type=test
//# Implementations MAY automatically omit such header fields from updates, even when the processing does
//# not actually occur.
#[test]
fn the_coding_and_the_range_of_the_stored_bytes_stay() {
    check(
        &[("content-encoding", "gzip"), ("content-range", "bytes 0-1/9")],
        &[("content-encoding", "br"), ("content-range", "bytes 2-3/9")],
        &[("content-encoding", "gzip"), ("content-range", "bytes 0-1/9")],
    );
    check(&[], &[("content-encoding", "br")], &[]);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3.2
//= type=test
//# Note that the Content-* prefix is not a signal that a header field is omitted from update; it is a
//# convention for MIME header fields, not HTTP.
#[test]
fn every_other_field_is_updated() {
    for name in [
        "content-type",
        "content-foo",
        "content-md5",
        "content-location",
        "content-security-policy",
        "cache-control",
        "etag",
        "last-modified",
        "expires",
        "vary",
        "warning",
        "x-frame-options",
    ] {
        check(&[(name, "1")], &[(name, "2")], &[(name, "2")]);
    }
}

#[test]
fn age_and_date_are_those_of_the_newer_message() {
    check(&[("age", "5"), ("date", "x")], &[("age", "1"), ("date", "y")], &[("age", "1"), ("date", "y")]);
    check(&[("age", "5"), ("date", "x"), ("a", "1")], &[], &[("a", "1")]);
}

#[test]
fn cookies_enter_only_where_cookies_are_stored() {
    let (stored, new) = (fields(&[("set-cookie", "a=b")]), fields(&[("set-cookie", "a=c")]));
    assert_eq!(update(&stored, &new, SetCookie::Store), new);
    assert_eq!(update(&fields(&[]), &new, SetCookie::Store), new);
    for cookies in [SetCookie::Refuse, SetCookie::Strip] {
        assert_eq!(update(&fields(&[]), &new, cookies), fields(&[]));
    }
}
