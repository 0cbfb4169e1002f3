//! RFC 9110, section 15.3.7, and RFC 9111, sections 3.3 and 3.4: answers with parts, and parts that are stored.

use forebay_policy::partial::{
    Combined, Multipart, combine, covers, select_within, single_fields, unsatisfied_fields,
};
use forebay_policy::range::{ContentRange, Selection};
use forebay_policy::update::combinable;
use http::HeaderMap;

use crate::support::{Fields, fields};

const EARLY: &str = "Wed, 31 Dec 2025 23:00:00 GMT";
const LATE: &str = "Thu, 01 Jan 2026 01:00:00 GMT";

const STORED: Fields<'_> = &[
    ("date", LATE),
    ("cache-control", "max-age=60"),
    ("etag", "\"a\""),
    ("expires", LATE),
    ("content-location", "/a"),
    ("vary", "accept"),
    ("vary", "origin"),
    ("access-control-allow-origin", "*"),
    ("accept-ranges", "bytes"),
];

const DESCRIPTION: Fields<'_> = &[
    ("content-type", "text/plain"),
    ("content-encoding", "gzip"),
    ("content-language", "de"),
    ("last-modified", EARLY),
];

fn stored() -> HeaderMap {
    fields(&[STORED, DESCRIPTION, &[("content-length", "100")]].concat())
}

const OF_THE_PART: Fields<'_> = &[("content-range", "bytes 10-19/100"), ("content-length", "10")];

//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7
//= type=test
//# A server that generates a 206 response MUST generate the following header fields, in addition to
//# those required in the subsections below, if the field would have been sent in a 200 (OK) response
//# to the same request: Date, Cache-Control, ETag, Expires, Content-Location, and Vary.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.1
//= type=test
//# If a single part is being transferred, the server generating the 206 response MUST generate a
//# Content-Range header field, describing what range of the selected representation is enclosed, and a
//# content consisting of the range.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-14.4
//= type=test
//# For byte ranges, a sender SHOULD indicate the complete length of the representation from which the
//# range has been extracted, unless the complete length is unknown or difficult to determine.
#[test]
fn a_206_carries_the_fields_of_a_200() {
    let part = single_fields(&fields(&[]), &stored(), &(10..20), 100);
    assert_eq!(part, fields(&[STORED, DESCRIPTION, OF_THE_PART].concat()));
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7
//= type=test
//# A sender that generates a 206 response to a request with an If-Range header field SHOULD NOT
//# generate other representation header fields beyond those required because the client already has a
//# prior response containing those header fields. Otherwise, a sender MUST generate all of the
//# representation header fields that would have been sent in a 200 (OK) response to the same request.
#[test]
fn after_if_range_a_206_leaves_the_description_out() {
    let request = fields(&[("if-range", "\"a\"")]);
    let part = single_fields(&request, &stored(), &(10..20), 100);
    assert_eq!(part, fields(&[STORED, OF_THE_PART].concat()));
    let dated = single_fields(&request, &fields(&[("last-modified", EARLY)]), &(10..20), 100);
    assert_eq!(dated, fields(&[&[("last-modified", EARLY)], OF_THE_PART].concat()), "its only validator");
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.2
//= type=test
//# Within the header area of each body part in the multipart content, the server MUST generate a
//# Content-Range header field corresponding to the range being enclosed in that body part. If the
//# selected representation would have had a Content-Type header field in a 200 (OK) response, the
//# server SHOULD generate that same Content-Type header field in the header area of each body part.
#[test]
fn each_part_has_its_head_and_the_last_one_an_end() {
    let stored = stored();
    let multipart = Multipart { boundary: "b0", complete: 100, stored: &stored };
    let head = String::from_utf8(multipart.head(&(0..5))).unwrap();
    assert_eq!(head, "\r\n--b0\r\ncontent-type: text/plain\r\ncontent-range: bytes 0-4/100\r\n\r\n");
    assert_eq!(multipart.end(), b"\r\n--b0--\r\n");
    let untyped = fields(&[]);
    let head = Multipart { boundary: "b0", complete: 100, stored: &untyped }.head(&(0..5));
    assert_eq!(head, b"\r\n--b0\r\ncontent-range: bytes 0-4/100\r\n\r\n");
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.2
//= type=test
//# To avoid confusion with single-part responses, a server MUST NOT generate a Content-Range header
//# field in the HTTP header section of a multiple part response (this field will be sent in each part
//# instead).
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.2
//= type=test
//# If multiple parts are being transferred, the server generating the 206 response MUST generate
//# "multipart/byteranges" content, as defined in Section 14.6, and a Content-Type header field containing
//# the "multipart/byteranges" media type and its required boundary parameter.
#[test]
fn a_multipart_206_says_its_type_and_its_own_length() {
    let mut stored = stored();
    stored.insert("content-range", "bytes 0-99/100".parse().unwrap());
    let multipart = Multipart { boundary: "b0", complete: 100, stored: &stored };
    let parts = [0..5, 90..100];
    let length =
        parts.iter().map(|part| multipart.head(part).len()).sum::<usize>() + 15 + multipart.end().len();
    for request in [fields(&[]), fields(&[("if-range", "\"a\"")])] {
        let answer = multipart.fields(&request, &parts);
        assert_eq!(answer["content-type"], "multipart/byteranges; boundary=b0");
        assert_eq!(answer["content-length"], length.to_string());
        assert!(!answer.contains_key("content-range"));
        assert_eq!(answer["etag"], "\"a\"");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-15.5.17
//= type=test
//# A server that generates a 416 response to a byte-range request SHOULD generate a Content-Range
//# header field specifying the current length of the selected representation (Section 14.4).
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-14.4
//= type=test
//# A server generating a 416 (Range Not Satisfiable) response to a byte-range request SHOULD send a
//# Content-Range header field with an unsatisfied-range value, as in the following example:
#[test]
fn a_416_says_the_length_and_nothing_that_would_let_it_be_stored() {
    let expected: Fields<'_> = &[
        ("date", LATE),
        ("vary", "accept"),
        ("vary", "origin"),
        ("access-control-allow-origin", "*"),
        ("accept-ranges", "bytes"),
        ("content-range", "bytes */100"),
        ("content-length", "0"),
    ];
    assert_eq!(unsatisfied_fields(&stored(), 100), fields(expected));
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3.3
//= type=test
//# A cache MUST NOT use an incomplete response to answer requests unless the response has
//# been made complete, or the request is partial and specifies a range wholly within the incomplete
//# response.
#[test]
fn a_part_answers_for_what_lies_within_it() {
    for wanted in [10..20, 10..11, 19..20, 12..15] {
        assert!(covers(&(10..20), &wanted), "{wanted:?}");
    }
    for wanted in [9..20, 10..21, 0..5, 20..21, 0..100] {
        assert!(!covers(&(10..20), &wanted), "{wanted:?}");
    }
}

#[test]
fn a_stored_part_answers_for_the_ranges_it_holds() {
    let held = |range, complete| ContentRange { range, complete };
    let asks = |value, held: &ContentRange| select_within(&fields(&[("range", value)]), &fields(&[]), held);
    let part = held(40..60, Some(100));
    assert_eq!(asks("bytes=40-59", &part), Some(Selection::Single(40..60)));
    assert_eq!(asks("bytes=-50,41-42", &held(40..100, Some(100))), Some(Selection::Single(41..100)));
    assert_eq!(asks("bytes=100-", &part), Some(Selection::Unsatisfiable));
    for value in ["bytes=39-59", "bytes=40-60", "bytes=-10", "bytes=50-", "bytes=41-42,0-1", "bytes=0-", "x"]
    {
        assert_eq!(asks(value, &part), None, "{value}");
    }
    assert_eq!(asks("bytes=41-42", &held(40..60, None)), None, "the end is not known");
    assert_eq!(select_within(&fields(&[]), &fields(&[]), &part), None);
    let whole = select_within(&fields(&[]), &fields(&[]), &held(0..100, Some(100)));
    assert_eq!(whole, Some(Selection::Whole));
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.3
//= type=test
//# The combined response content consists of the union of partial content ranges within the new
//# response and all of the matching stored responses.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.3
//= type=test
//# A client that has received multiple partial responses to GET requests on a target resource MAY combine
//# those responses into a larger continuous range if they share the same strong validator.
#[test]
fn parts_that_touch_or_overlap_are_joined() {
    for (known, new, before, after) in [
        (0..10, 10..20, 0..10, 20..20),
        (10..20, 0..10, 0..0, 10..20),
        (0..10, 5..20, 0..5, 20..20),
        (5..20, 0..10, 0..0, 10..20),
        (0..20, 5..10, 0..5, 10..20),
        (5..10, 0..20, 0..0, 20..20),
        (0..10, 0..10, 0..0, 10..10),
    ] {
        let Combined::Joined(join) = combine(&known, &new) else { panic!("{known:?} {new:?}") };
        assert_eq!((join.before, join.after), (before, after), "{known:?} {new:?}");
        assert_eq!(join.whole, known.start.min(new.start)..known.end.max(new.end));
    }
}

#[test]
fn of_parts_that_do_not_touch_the_newer_one_stays() {
    assert_eq!(combine(&(0..10), &(11..20)), Combined::Replaced);
    assert_eq!(combine(&(11..20), &(0..10)), Combined::Replaced);
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.3
//= type=test
//# These ranges can only be safely combined if they all have in common the same strong validator
//# (Section 8.8.1).
//= https://www.rfc-editor.org/rfc/rfc9111#section-3.4
//= type=test
//# A cache MAY combine these ranges into a single stored response, and reuse that response to satisfy
//# later requests, if they all share the same strong validator and the cache complies with the client
//# requirements in Section 15.3.7.3 of [HTTP].
#[test]
fn only_parts_with_the_same_strong_validator_are_combined() {
    let may = |stored: Fields<'_>, new: Fields<'_>| combinable(&fields(stored), &fields(new));
    assert!(may(&[("etag", "\"a\"")], &[("etag", "\"a\"")]));
    assert!(!may(&[("etag", "\"a\"")], &[("etag", "\"b\"")]));
    assert!(!may(&[("etag", "W/\"a\"")], &[("etag", "W/\"a\"")]));
    assert!(!may(&[("etag", "\"a\"")], &[("etag", "W/\"a\"")]));
    assert!(!may(&[("etag", "\"a\"")], &[]));
    assert!(!may(&[], &[]));
    let dated: Fields<'_> = &[("last-modified", EARLY), ("date", LATE)];
    assert!(may(dated, dated));
    assert!(!may(dated, &[("last-modified", LATE), ("date", LATE)]));
    assert!(!may(&[("last-modified", EARLY), ("date", EARLY)], dated));
    assert!(!may(dated, &[("last-modified", EARLY)]));
    let tagged: Fields<'_> = &[("last-modified", EARLY), ("date", LATE), ("etag", "\"a\"")];
    assert!(!may(tagged, dated));
}
