//! Section 4.3: the client's conditions.

use forebay_policy::validate::{Precondition, evaluate, not_modified_fields};
use http::{Method, StatusCode};

use crate::support::{Fields, fields, now};

fn not_modified(request: Fields<'_>, stored: Fields<'_>) -> bool {
    let verdict = evaluate(&Method::GET, &fields(request), StatusCode::OK, &fields(stored), now());
    verdict == Precondition::NotModified
}

fn matches(if_none_match: &str, tag: &str) -> bool {
    not_modified(&[("if-none-match", if_none_match)], &[("etag", tag)])
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
//= type=test
//# A recipient MUST use the weak comparison function when comparing entity tags for If-None-Match (
//# Section 8.8.3.2), since weak entity tags can be used for cache validation even if there have been
//# changes to the representation data.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3.2
//= type=test
//# two entity tags are equivalent if their opaque-tags match character-by-character, regardless of either
//# or both being tagged as "weak".
#[test]
fn entity_tags_are_compared_weakly() {
    assert!(matches("W/\"1\"", "W/\"1\""));
    assert!(!matches("W/\"1\"", "W/\"2\""));
    assert!(matches("W/\"1\"", "\"1\""));
    assert!(matches("\"1\"", "W/\"1\""));
    assert!(matches("\"1\"", "\"1\""));
    assert!(!matches("\"A\"", "\"a\""));
    assert!(matches("\"\"", "\"\""));
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
//= type=test
//# If the field value is a list of entity tags, the condition is false if one of the listed tags matches
//# the entity tag of the selected representation.
#[test]
fn any_tag_of_the_list_may_match() {
    for list in ["\"a\", \"1\"", "\"1\",\"b\"", ", \"a\" ,, W/\"1\" ,", "\"a,\", \"1\""] {
        assert!(matches(list, "\"1\""), "{list}");
    }
    assert!(matches("\"a,b\"", "\"a,b\""), "a comma may stand in a tag");
    assert!(not_modified(&[("if-none-match", "\"a\""), ("if-none-match", "\"1\"")], &[("etag", "\"1\"")]));
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
//= type=test
//# If the field value is "*", the condition is false if the origin server has a current
//# representation for the target resource.
#[test]
fn a_star_alone_matches_whatever_is_stored() {
    assert!(matches("*", "\"1\""));
    assert!(not_modified(&[("if-none-match", " * ")], &[]));
    assert!(!matches("*, \"2\"", "\"1\""));
    assert!(!matches("*, \"1\"", "\"1\""));
    assert!(!not_modified(&[("if-none-match", "*"), ("if-none-match", "*")], &[("etag", "\"1\"")]));
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
//= type=test
//# Otherwise, the condition is true.
#[test]
fn a_broken_list_or_tag_matches_nothing() {
    for list in
        ["", "1", "\"1", "1\"", "\"1\" \"2\"", "\"1\", x", "x, \"1\"", "w/\"1\"", "W/ \"1\"", "\"1 \""]
    {
        assert!(!matches(list, "\"1\""), "{list}");
    }
    for tag in ["1", "\"1", "\"1\", \"1\"", "w/\"1\"", ""] {
        assert!(!matches("\"1\"", tag), "{tag}");
    }
    assert!(!not_modified(&[("if-none-match", "\"1\"")], &[("etag", "\"1\""), ("etag", "\"2\"")]));
    assert!(!not_modified(&[("if-none-match", "\"1\"")], &[]));
}

const EARLY: &str = "Wed, 31 Dec 2025 23:00:00 GMT";
const LATE: &str = "Thu, 01 Jan 2026 01:00:00 GMT";

//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.3
//= type=test
//# A recipient MUST ignore If-Modified-Since if the request contains an If-None-Match header field;
//# the condition in If-None-Match is considered to be a more accurate replacement for the condition in
//# If-Modified-Since, and the two are only combined for the sake of interoperating with older
//# intermediaries that might not implement If-None-Match.
#[test]
fn if_none_match_takes_precedence() {
    let stored: Fields<'_> = &[("etag", "\"1\""), ("last-modified", EARLY)];
    assert!(!not_modified(&[("if-none-match", "\"2\""), ("if-modified-since", LATE)], stored));
    assert!(!not_modified(&[("if-none-match", "broken"), ("if-modified-since", LATE)], stored));
    assert!(not_modified(&[("if-none-match", "\"1\""), ("if-modified-since", "x")], stored));
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.3
//= type=test
//# If the selected representation's last modification date is earlier or equal to the date
//# provided in the field value, the condition is false.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.3
//= type=test
//# A recipient MUST interpret an If-Modified-Since field value's timestamp in terms of the origin
//# server's clock.
#[test]
fn if_modified_since_compares_with_last_modified() {
    assert!(not_modified(&[("if-modified-since", LATE)], &[("last-modified", EARLY)]));
    assert!(not_modified(&[("if-modified-since", EARLY)], &[("last-modified", EARLY)]));
    assert!(!not_modified(&[("if-modified-since", EARLY)], &[("last-modified", LATE)]));
    assert!(!not_modified(&[("if-modified-since", LATE)], &[("last-modified", "x"), ("date", EARLY)]));
}

#[test]
fn if_modified_since_may_have_any_form_of_date_and_a_head_is_like_a_get() {
    let stored = fields(&[("last-modified", EARLY)]);
    for same in
        ["Wed, 31 Dec 2025 23:00:00 GMT", "Wednesday, 31-Dec-25 23:00:00 GMT", "Wed Dec 31 23:00:00 2025"]
    {
        let request = fields(&[("if-modified-since", same)]);
        for method in [Method::GET, Method::HEAD] {
            let verdict = evaluate(&method, &request, StatusCode::OK, &stored, now());
            assert_eq!(verdict, Precondition::NotModified, "{method} {same}");
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.2
//= type=test
//# If a request contains an If-Modified-Since header field and the Last-Modified header field is not
//# present in a stored response, a cache SHOULD use the stored response's Date field value (or, if no
//# Date field is present, the time that the stored response was received) to evaluate the conditional.
#[test]
fn without_last_modified_the_date_stands_in() {
    assert!(not_modified(&[("if-modified-since", LATE)], &[("date", EARLY)]));
    assert!(!not_modified(&[("if-modified-since", EARLY)], &[("date", LATE)]));
    assert!(not_modified(&[("if-modified-since", LATE)], &[]), "stored at midnight");
    assert!(!not_modified(&[("if-modified-since", EARLY)], &[]));
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.3
//= type=test
//# A recipient MUST ignore the If-Modified-Since header field if the received field value is not a
//# valid HTTP-date, the field value has more than one member, or if the request method is neither GET
//# nor HEAD.
#[test]
fn an_invalid_if_modified_since_is_ignored() {
    let stored: Fields<'_> = &[("last-modified", EARLY)];
    for value in ["", "x", "0", "Thu, 01 Jan 2026 01:00:00 GMT, Thu, 01 Jan 2026 01:00:00 GMT"] {
        assert!(!not_modified(&[("if-modified-since", value)], stored), "{value}");
    }
    assert!(!not_modified(&[("if-modified-since", LATE), ("if-modified-since", LATE)], stored));
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-13.2.1
//= type=test
//# A server MUST ignore all received preconditions if its response to the same request without
//# those conditions, prior to processing the request content, would have been a status code other than
//# a 2xx (Successful) or 412 (Precondition Failed).
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.2.1
//= type=test
//# Likewise, a server MUST ignore the conditional request header fields defined by this specification
//# when received with a request method that does not involve the selection or modification of a
//# selected representation, such as CONNECT, OPTIONS, or TRACE.
#[test]
fn only_a_stored_200_answers_conditions() {
    let (request, stored) = (fields(&[("if-none-match", "\"1\"")]), fields(&[("etag", "\"1\"")]));
    let verdict = |method: &Method, status: u16| {
        evaluate(method, &request, StatusCode::from_u16(status).unwrap(), &stored, now())
    };
    assert_eq!(verdict(&Method::GET, 200), Precondition::NotModified);
    assert_eq!(verdict(&Method::HEAD, 200), Precondition::NotModified);
    for method in [Method::POST, Method::OPTIONS, Method::TRACE, Method::CONNECT] {
        assert_eq!(verdict(&method, 200), Precondition::Proceed, "{method}");
    }
    for status in [203, 301, 404, 410, 500] {
        assert_eq!(verdict(&Method::GET, status), Precondition::Proceed, "{status}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-15.4.5
//= type=test
//# The server generating a 304 response MUST generate any of the following header fields that would
//# have been sent in a 200 (OK) response to the same request:
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-15.4.5
//= type=test
//# Since the goal of a 304 response is to minimize information transfer when the recipient already has
//# one or more cached representations, a sender SHOULD NOT generate representation metadata other than
//# the above listed fields unless said metadata exists for the purpose of guiding cache updates (e.g.,
//# Last-Modified might be useful if the response does not have an ETag field).
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-8.6
//= type=test
//# A server MAY send a Content-Length header field in a 304 (Not Modified) response to a conditional GET
//# request (Section 15.4.5); a server MUST NOT send Content-Length in such a response unless its field
//# value equals the decimal number of octets that would have been sent in the content of a 200 (OK)
//# response to the same request.
#[test]
fn a_304_leaves_out_what_describes_the_representation() {
    let kept: Fields<'_> = &[
        ("content-location", "/a"),
        ("date", EARLY),
        ("etag", "\"1\""),
        ("vary", "accept"),
        ("vary", "origin"),
        ("cache-control", "max-age=60"),
        ("expires", LATE),
        ("access-control-allow-origin", "*"),
        ("content-security-policy", "default-src 'self'"),
    ];
    let left_out: Fields<'_> = &[
        ("content-type", "text/html"),
        ("content-length", "10"),
        ("content-encoding", "gzip"),
        ("content-language", "de"),
        ("last-modified", EARLY),
    ];
    assert_eq!(not_modified_fields(&fields(&[kept, left_out].concat())), fields(kept));
    let untagged = fields(&[("last-modified", EARLY), ("content-type", "text/html")]);
    assert_eq!(not_modified_fields(&untagged), fields(&[("last-modified", EARLY)]));
}
