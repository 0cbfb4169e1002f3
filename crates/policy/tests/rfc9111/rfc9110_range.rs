//! RFC 9110, section 14: Range and Content-Range.

use std::ops::Range;

use forebay_policy::range::{ContentRange, MAX_RANGES, Selection, select};
use http::HeaderValue;

use crate::support::{Fields, fields};

fn asked(value: &str, length: u64) -> Selection {
    select(&fields(&[("range", value)]), &fields(&[]), length)
}

#[track_caller]
fn single(value: &str, length: u64, expected: Range<u64>) {
    assert_eq!(asked(value, length), Selection::Single(expected), "{value}");
}

#[track_caller]
fn multiple(value: &str, expected: &[Range<u64>]) {
    assert_eq!(asked(value, 10_000), Selection::Multiple(expected.to_vec()), "{value}");
}

#[track_caller]
fn whole(value: &str) {
    assert_eq!(asked(value, 10_000), Selection::Whole, "{value}");
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.2
//= type=test
//# A server MUST NOT generate a multipart response to a request for a single range, since a client that
//# does not request multiple parts might not support multipart responses.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-14
//= type=test
//# Range requests are an OPTIONAL feature of HTTP, designed so that recipients not implementing this
//# feature (or not supporting it for the target resource) can respond as if it is a normal GET request
//# without impacting interoperability.
#[test]
fn the_examples_of_the_rfc_come_out() {
    single("bytes=0-499", 10_000, 0..500);
    single("bytes=500-999", 10_000, 500..1000);
    single("bytes=-500", 10_000, 9500..10_000);
    single("bytes=9500-", 10_000, 9500..10_000);
    multiple("bytes=0-0,-1", &[0..1, 9999..10_000]);
    multiple("bytes= 0-999, 4500-5499, -1000", &[0..1000, 4500..5500, 9000..10_000]);
    single("bytes=500-600,601-999", 10_000, 500..1000);
    single("bytes=500-700,601-999", 10_000, 500..1000);
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-14.1
//= type=test
//# All range unit names are case-insensitive
#[test]
fn whitespace_case_and_empty_members_make_no_difference() {
    for value in [" bytes=1-2", "BYTES=1-2", "bytes=\t1-2 ", "bytes=,1-2", "bytes=, ,1-2 ,,", "bytes=1-2,"] {
        single(value, 10_000, 1..3);
    }
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-14.1.2
//= type=test
//# If the last-pos value is absent, or if the value is greater than or equal to the
//# current length of the representation data, the byte range is interpreted as the remainder of the
//# representation
#[test]
fn a_range_ends_where_the_representation_ends() {
    single("bytes=3-", 5, 3..5);
    single("bytes=3-4", 5, 3..5);
    single("bytes=3-5", 5, 3..5);
    single("bytes=0-", 5, 0..5);
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-14.1.2
//= type=test
//# If the selected representation is shorter than the specified suffix-length, the entire
//# representation is used.
//= https://www.rfc-editor.org/rfc/rfc9110#section-14.2
//= type=test
//# If all of the preconditions are true, the server supports the Range header field for the target
//# resource, the received Range field-value contains a valid ranges-specifier with a range-unit
//# supported for that target resource, and that ranges-specifier is satisfiable with respect to the
//# selected representation, the server SHOULD send a 206 (Partial Content) response with content
//# containing one or more partial representations that correspond to the satisfiable range-spec(s)
//# requested.
#[test]
fn a_long_suffix_is_the_whole() {
    single("bytes=-5", 5, 0..5);
    single("bytes=-6", 5, 0..5);
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-14.1.2
//= type=test
//# Since there is no predefined limit to the length of content, recipients MUST anticipate
//# potentially large decimal numerals and prevent parsing errors due to integer conversion overflows.
#[test]
fn numbers_of_any_size_are_read() {
    let huge = "9".repeat(60);
    single(&format!("bytes=1-{huge}"), 5, 1..5);
    single(&format!("bytes=-{huge}"), 5, 0..5);
    single("bytes=1-18446744073709551615", 5, 1..5);
    single("bytes=0000000000000000000000000000001-2", 5, 1..3);
    assert_eq!(asked(&format!("bytes={huge}-"), 5), Selection::Unsatisfiable);
    assert_eq!(asked(&format!("bytes={huge}-{huge}"), u64::MAX), Selection::Unsatisfiable);
    single("bytes=0-", u64::MAX, 0..u64::MAX);
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-14.1.1
//= type=test
//# A valid ranges-specifier is satisfiable if it contains at least one range-spec that is satisfiable,
//# as defined by the indicated range-unit. Otherwise, the ranges-specifier is unsatisfiable.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-14.1.2
//= type=test
//# an int-range with a first-pos that is less than the current length of the selected representation or
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-14.1.2
//= type=test
//# a suffix-range with a non-zero suffix-length.
//= https://www.rfc-editor.org/rfc/rfc9110#section-14.2
//= type=test
//# If all of the preconditions are true, the server supports the Range header field for the target
//# resource, the received Range field-value contains a valid ranges-specifier, and either the
//# range-unit is not supported for that target resource or the ranges-specifier is unsatisfiable with
//# respect to the selected representation, the server SHOULD send a 416 (Range Not Satisfiable)
//# response.
#[test]
fn ranges_past_the_end_are_left_out_and_alone_they_are_unsatisfiable() {
    for value in ["bytes=5-", "bytes=5-6", "bytes=-0", "bytes=7-,-0,5-9"] {
        assert_eq!(asked(value, 5), Selection::Unsatisfiable, "{value}");
    }
    single("bytes=5-,0-1,-0", 5, 0..2);
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-14.1.1
//= type=test
//# A ranges-specifier is invalid if it contains any range-spec that is invalid or undefined for the
//# indicated range-unit.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-14.1.1
//= type=test
//# An int-range is invalid if the last-pos value is present and less than the first-pos.
#[test]
fn what_is_invalid_or_in_another_unit_is_ignored() {
    for value in [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=1",
        "bytes=2-1",
        "bytes=a-b",
        "bytes=1-2-3",
        "bytes=+1-2",
        "bytes=1 -2",
        "bytes=1- 2",
        "bytes =1-2",
        "bytes=0-1,x",
        "bytes=0-1,3-2",
        "bytes=\"0-1\"",
        "items=0-1",
        "byte=0-1",
        "none=0-1",
        "bytes=0-1;2-3",
    ] {
        whole(value);
    }
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5
//= type=test
//# A server MUST ignore an If-Range header field received in a request that does not contain a Range
//# header field.
#[test]
fn several_range_fields_are_none_and_if_range_alone_is_nothing() {
    let request = fields(&[("range", "bytes=0-1"), ("range", "bytes=0-1")]);
    assert_eq!(select(&request, &fields(&[]), 10), Selection::Whole);
    assert_eq!(select(&fields(&[]), &fields(&[]), 10), Selection::Whole);
    let alone = fields(&[("if-range", "\"a\"")]);
    assert_eq!(select(&alone, &fields(&[("etag", "\"a\"")]), 10), Selection::Whole);
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-14.2
//= type=test
//# A server that supports range requests MAY ignore a Range header field when the selected
//# representation has no content (i.e., the selected representation's data is of zero length).
#[test]
fn an_empty_representation_has_no_ranges() {
    for value in ["bytes=0-", "bytes=-1", "bytes=5-"] {
        assert_eq!(asked(value, 0), Selection::Whole, "{value}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-14.2
//= type=test
//# A server that supports range requests MAY ignore or reject a Range header field that contains an
//# invalid ranges-specifier (Section 14.1.1), a ranges-specifier with more than two overlapping
//# ranges, or a set of many small ranges that are not listed in ascending order, since these are
//# indications of either a broken client or a deliberate denial-of-service attack (Section 17.15).
//= https://www.rfc-editor.org/rfc/rfc9110#section-14.2
//= type=test
//# A server MAY ignore the Range header field.
#[test]
fn too_many_ranges_get_the_whole() {
    let list = |count: usize| {
        let members: Vec<_> = (0..count).map(|n| format!("{0}-{0}", n * 100)).collect();
        format!("bytes={}", members.join(","))
    };
    let Selection::Multiple(parts) = asked(&list(MAX_RANGES), 10_000) else {
        panic!("sixteen are many, not too many")
    };
    assert_eq!(parts.len(), MAX_RANGES);
    whole(&list(MAX_RANGES + 1));
    whole(&list(10_000));
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.2
//= type=test
//# When multiple ranges are requested, a server MAY coalesce any of the ranges that overlap, or that
//# are separated by a gap that is smaller than the overhead of sending multiple parts, regardless of
//# the order in which the corresponding range-spec appeared in the received Range header field.
#[test]
fn ranges_that_overlap_or_nearly_touch_become_one() {
    single("bytes=0-,0-,0-", 10_000, 0..10_000);
    single("bytes=200-300,0-199", 10_000, 0..301);
    single("bytes=0-1,50-60", 10_000, 0..61);
    single("bytes=100-900,200-300", 10_000, 100..901);
    multiple("bytes=0-0,82-82", &[0..1, 82..83]);
    single("bytes=0-0,81-81", 10_000, 0..82);
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.2
//= type=test
//# A server that generates a multipart response SHOULD send the parts in the same order that the
//# corresponding range-spec appeared in the received Range header field, excluding those ranges that
//# were deemed unsatisfiable or that were coalesced into other ranges.
#[test]
fn parts_come_in_the_order_they_were_asked_for() {
    multiple("bytes=-1,0-0", &[9999..10_000, 0..1]);
    multiple("bytes=500-600,90000-,0-9,601-700", &[500..701, 0..10]);
    multiple("bytes=5000-5001,0-1,4990-4999", &[4990..5002, 0..2]);
}

const EARLY: &str = "Wed, 31 Dec 2025 23:00:00 GMT";
const LATE: &str = "Thu, 01 Jan 2026 01:00:00 GMT";

fn if_range(value: &str, stored: Fields<'_>) -> Selection {
    select(&fields(&[("range", "bytes=0-1"), ("if-range", value)]), &fields(stored), 10)
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5
//= type=test
//# If the entity-tag validator provided exactly matches the ETag field value for the selected
//# representation using the strong comparison function (Section 8.8.3.2), the condition is true.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5
//= type=test
//# Otherwise, the condition is false.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5
//= type=test
//# A recipient of an If-Range header field MUST ignore the Range header field if the If-Range condition
//# evaluates to false.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5
//= type=test
//# Otherwise, the recipient SHOULD process the Range header field as requested.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5
//= type=test
//# A valid entity-tag can be distinguished from a valid HTTP-date by examining the first three characters
//# for a DQUOTE.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3.2
//= type=test
//# two entity tags are equivalent if both are not weak and their opaque-tags match
//# character-by-character.
#[test]
fn if_range_compares_tags_strongly() {
    let applied = Selection::Single(0..2);
    assert_eq!(if_range("\"a\"", &[("etag", "\"a\"")]), applied);
    assert_eq!(if_range(" \"a\" ", &[("etag", "\"a\"")]), applied);
    for (value, tag) in [
        ("\"a\"", "\"b\""),
        ("W/\"a\"", "W/\"a\""),
        ("W/\"a\"", "\"a\""),
        ("\"a\"", "W/\"a\""),
        ("\"a\", \"b\"", "\"a\""),
        ("a", "\"a\""),
        ("*", "\"a\""),
        ("", "\"a\""),
    ] {
        assert_eq!(if_range(value, &[("etag", tag)]), Selection::Whole, "{value} {tag}");
    }
    assert_eq!(if_range("\"a\"", &[]), Selection::Whole);
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5
//= type=test
//# If the HTTP-date validator provided exactly matches the Last-Modified field value for the
//# selected representation, the condition is true.
#[test]
fn if_range_compares_dates_exactly() {
    let stored: Fields<'_> = &[("last-modified", EARLY), ("date", LATE)];
    assert_eq!(if_range(EARLY, stored), Selection::Single(0..2));
    assert_eq!(if_range("Wednesday, 31-Dec-25 23:00:00 GMT", stored), Selection::Single(0..2));
    assert_eq!(if_range(LATE, stored), Selection::Whole, "later is not the same");
    assert_eq!(if_range("x", stored), Selection::Whole);
    assert_eq!(if_range(EARLY, &[("etag", "\"a\""), ("date", LATE)]), Selection::Whole);
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5
//= type=test
//# If the HTTP-date validator provided is not a strong validator in the sense defined by Section
//# 8.8.2.2, the condition is false.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-8.8.2.2
//= type=test
//# The validator is being compared by an intermediate cache to the validator stored in its cache entry
//# for the representation, and That cache entry includes a Date value which is at least one second after
//# the Last-Modified value and the cache has reason to believe that they were generated by the same clock
//# or that there is enough difference between the Last-Modified and Date values to make clock
//# synchronization issues unlikely.
#[test]
fn a_date_that_the_second_change_may_share_is_too_weak() {
    assert_eq!(if_range(EARLY, &[("last-modified", EARLY), ("date", EARLY)]), Selection::Whole);
    assert_eq!(if_range(EARLY, &[("last-modified", EARLY)]), Selection::Whole);
    assert_eq!(if_range(LATE, &[("last-modified", LATE), ("date", EARLY)]), Selection::Whole);
    let a_second_later: Fields<'_> = &[("last-modified", EARLY), ("date", "Wed, 31 Dec 2025 23:00:01 GMT")];
    assert_eq!(if_range(EARLY, a_second_later), Selection::Single(0..2));
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5
//= type=test
//# A server that receives an If-Range header field on a Range request MUST evaluate the condition per
//# Section 13.2 prior to performing the method.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.2.2
//= type=test
//# When the method is GET and both Range and If-Range are present, evaluate the If-Range precondition:
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.2
//= type=test
//# A cache that implements partial responses to range requests, as defined in Section 14.2 of [HTTP],
//# also needs to evaluate a received If-Range header field (Section 13.1.5 of [HTTP]) with respect to
//# the cache's chosen response.
#[test]
fn several_if_range_fields_fail() {
    let request = fields(&[("range", "bytes=0-1"), ("if-range", "\"a\""), ("if-range", "\"a\"")]);
    assert_eq!(select(&request, &fields(&[("etag", "\"a\"")]), 10), Selection::Whole);
}

fn parsed(value: &str) -> Option<(Range<u64>, Option<u64>)> {
    ContentRange::parse(&HeaderValue::from_bytes(value.as_bytes()).expect("a field value"))
        .map(|part| (part.range, part.complete))
}

#[test]
fn content_range_is_read() {
    assert_eq!(parsed("bytes 42-1233/1234"), Some((42..1234, Some(1234))));
    assert_eq!(parsed("bytes 42-1233/*"), Some((42..1234, None)));
    assert_eq!(parsed("Bytes 0-0/1"), Some((0..1, Some(1))));
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-14.4
//= type=test
//# A Content-Range field value is invalid if it contains a range-resp that has a last-pos value less
//# than its first-pos value, or a complete-length value less than or equal to its last-pos value. The
//# recipient of an invalid Content-Range MUST NOT attempt to recombine the received content with a
//# stored representation.
#[test]
fn an_invalid_content_range_is_no_part() {
    for value in [
        "",
        "bytes",
        "bytes 2-1/10",
        "bytes 0-9/9",
        "bytes 0-9/0",
        "bytes */10",
        "bytes 0-9",
        "bytes 0-/10",
        "bytes -9/10",
        "bytes  0-9/10",
        "bytes=0-9/10",
        "bytes 0 - 9/10",
        "bytes 0-9/10/11",
        "bytes +0-9/10",
        "items 0-9/10",
        "bytes 0-18446744073709551615/*",
        "bytes 0-9/99999999999999999999999999",
    ] {
        assert_eq!(parsed(value), None, "{value}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-14.4
//= type=test
//# If a 206 (Partial Content) response contains a Content-Range header field with a range unit (
//# Section 14.1) that the recipient does not understand, the recipient MUST NOT attempt to recombine
//# it with a stored representation.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7
//= type=test
//# A client MUST inspect a 206 response's Content-Type and Content-Range field(s) to determine what parts
//# are enclosed and whether additional requests are needed.
#[test]
fn only_a_single_part_in_bytes_is_a_part() {
    let part = |lines: Fields<'_>| ContentRange::of(&fields(lines)).is_some();
    assert!(part(&[("content-range", "bytes 0-9/10"), ("content-type", "text/plain")]));
    assert!(!part(&[("content-range", "seconds 0-9/10")]));
    assert!(!part(&[("content-range", "bytes 0-9/10"), ("content-range", "bytes 0-9/10")]));
    assert!(!part(&[
        ("content-range", "bytes 0-9/10"),
        ("content-type", "Multipart/Byteranges; boundary=x")
    ]));
    assert!(!part(&[("content-type", "multipart/byteranges; boundary=x")]));
}
