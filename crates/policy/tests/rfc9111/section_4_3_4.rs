//! Sections 4.3.1, 4.3.4 and 4.3.5: what the cache asks to validate, and which stored response an answer is about.

use forebay_policy::update::{
    Freshens, HeadEffect, Mismatch, StoredHead, conditions, freshens, has_validator, head_effect,
};
use http::StatusCode;

use crate::support::{Fields, fields};

const EARLY: &str = "Wed, 31 Dec 2025 23:00:00 GMT";
const LATE: &str = "Thu, 01 Jan 2026 01:00:00 GMT";

#[track_caller]
fn asks(stored: Fields<'_>, client: Fields<'_>, expected: Fields<'_>) {
    let mut request = fields(client);
    conditions(&fields(stored), &mut request);
    assert_eq!(request, fields(expected));
    assert_eq!(has_validator(&fields(stored)), !expected.is_empty(), "{stored:?}");
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.1
//= type=test
//# MUST send the relevant entity tags (using If-Match, If-None-Match, or If-Range) if the entity
//# tags were provided in the stored response(s) being validated.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
//= type=test
//# When a client desires to update one or more stored responses that have entity tags, the client SHOULD
//# generate an If-None-Match header field containing a list of those entity tags when making a GET
//# request; this allows recipient servers to send a 304 (Not Modified) response to indicate when one of
//# those stored responses matches the selected representation.
#[test]
fn the_stored_entity_tag_is_sent_as_it_is() {
    for tag in ["\"a\"", "W/\"a\"", "\"\"", "\"a,b\\\\\""] {
        asks(&[("etag", tag)], &[], &[("if-none-match", tag)]);
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.1
//= type=test
//# SHOULD send the Last-Modified value (using If-Modified-Since) if the request is not for a
//# subrange, a single stored response is being validated, and that response contains a
//# Last-Modified value.
#[test]
fn the_stored_date_is_sent_and_beside_the_tag() {
    asks(&[("last-modified", EARLY)], &[], &[("if-modified-since", EARLY)]);
    asks(
        &[("last-modified", EARLY), ("etag", "\"a\"")],
        &[],
        &[("if-none-match", "\"a\""), ("if-modified-since", EARLY)],
    );
}

#[test]
fn the_clients_own_conditions_are_replaced() {
    let client: Fields<'_> =
        &[("if-none-match", "\"b\""), ("if-none-match", "\"c\""), ("if-modified-since", LATE)];
    asks(&[("etag", "\"a\"")], client, &[("if-none-match", "\"a\"")]);
    asks(&[("last-modified", EARLY)], client, &[("if-modified-since", EARLY)]);
    asks(&[], client, &[]);
}

#[test]
fn what_is_no_validator_is_not_sent() {
    for tag in ["*", "a", "\"a", "w/\"a\"", "\"a\", \"b\"", ""] {
        asks(&[("etag", tag)], &[], &[]);
    }
    asks(&[("etag", "\"a\""), ("etag", "\"b\"")], &[], &[]);
    for date in ["0", "", "yesterday"] {
        asks(&[("last-modified", date)], &[], &[]);
    }
}

#[track_caller]
fn judged(stored: Fields<'_>, new: Fields<'_>, expected: Freshens) {
    assert_eq!(freshens(&fields(stored), &fields(new)), expected, "{stored:?} {new:?}");
}

const OTHER_TAG: Freshens = Freshens::No(Mismatch::EntityTag);
const OTHER_DATE: Freshens = Freshens::No(Mismatch::LastModified);

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.4
//= type=test
//# If the new response contains one or more strong validators (see Section 8.8.1 of [HTTP]), then
//# each of those strong validators identifies a selected representation for update.
#[test]
fn a_strong_tag_freshens_the_response_that_has_it() {
    judged(&[("etag", "\"a\"")], &[("etag", "\"a\"")], Freshens::Yes);
    judged(&[("etag", "\"a\""), ("last-modified", EARLY)], &[("etag", "\"a\"")], Freshens::Yes);
    let dated: Fields<'_> = &[("last-modified", EARLY), ("date", LATE)];
    judged(dated, &[("etag", "\"a\""), ("last-modified", EARLY)], Freshens::Yes);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.4
//= type=test
//# If none of the initial set contains at least one of the same strong validators, then
//# the cache MUST NOT use the new response to update any stored responses.
#[test]
fn a_strong_tag_of_another_response_freshens_nothing() {
    judged(&[("etag", "\"a\"")], &[("etag", "\"b\"")], OTHER_TAG);
    judged(&[("etag", "W/\"a\"")], &[("etag", "\"a\"")], OTHER_TAG);
    judged(&[], &[("etag", "\"a\"")], OTHER_TAG);
    let weakly_dated: Fields<'_> = &[("last-modified", EARLY), ("date", EARLY)];
    judged(weakly_dated, &[("etag", "\"a\""), ("last-modified", EARLY)], OTHER_TAG);
    judged(&[("last-modified", EARLY)], &[("etag", "\"a\""), ("last-modified", EARLY)], OTHER_TAG);
    let tagged: Fields<'_> = &[("etag", "\"a\""), ("last-modified", EARLY), ("date", LATE)];
    judged(tagged, &[("etag", "\"b\""), ("last-modified", EARLY)], OTHER_TAG);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.4
//= type=test
//# If the new response contains no strong validators but does contain one or more weak validators,
//# and those validators correspond to one of the initial set's stored responses, then the most
//# recent of those matching stored responses is identified for update.
#[test]
fn weak_validators_are_compared_weakly() {
    judged(&[("etag", "W/\"a\"")], &[("etag", "W/\"a\"")], Freshens::Yes);
    judged(&[("etag", "\"a\"")], &[("etag", "W/\"a\"")], Freshens::Yes);
    judged(&[("etag", "W/\"a\"")], &[("etag", "W/\"b\"")], OTHER_TAG);
    judged(&[("last-modified", EARLY)], &[("last-modified", EARLY)], Freshens::Yes);
    judged(&[("last-modified", EARLY)], &[("last-modified", LATE)], OTHER_DATE);
    judged(&[("last-modified", EARLY)], &[("etag", "W/\"a\""), ("last-modified", EARLY)], Freshens::Yes);
    judged(&[("last-modified", EARLY)], &[("etag", "W/\"a\"")], OTHER_TAG);
    judged(&[("etag", "\"a\"")], &[("last-modified", EARLY)], OTHER_DATE);
    judged(&[("last-modified", EARLY)], &[("last-modified", "x")], OTHER_DATE);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.4
//= type=test
//# If the new response does not include any form of validator (such as where a client generates an
//# If-Modified-Since request from a source other than the Last-Modified response header field),
//# and there is only one stored response in the initial set, and that stored response also lacks a
//# validator, then that stored response is identified for update.
#[test]
fn a_bare_304_is_about_the_response_that_was_asked_about() {
    for stored in [&[][..], &[("etag", "\"a\"")], &[("last-modified", EARLY)]] {
        judged(stored, &[("cache-control", "max-age=60")], Freshens::Yes);
    }
}

#[track_caller]
fn head(stored: Fields<'_>, status: u16, new: Fields<'_>, expected: HeadEffect) {
    let status = StatusCode::from_u16(status).expect("a status code");
    let own = fields(stored);
    let own = StoredHead { status: StatusCode::OK, fields: &own, length: Some(10) };
    assert_eq!(head_effect(own, status, &fields(new)), expected, "{stored:?} {new:?}");
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.5
//= type=test
//# When a cache makes an inbound HEAD request for a target URI and receives a 200 (OK) response, the
//# cache SHOULD update or invalidate each of its stored GET responses that could have been chosen for
//# that request (see Section 4.1).
#[test]
fn only_a_200_to_a_head_tells_something() {
    head(&[], 200, &[], HeadEffect::Freshen);
    for status in [204, 206, 301, 304, 404, 410, 500] {
        head(&[("etag", "\"a\"")], status, &[("etag", "\"b\"")], HeadEffect::Nothing);
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.5
//= type=test
//# For each of the stored responses that could have been chosen, if the stored response and HEAD
//# response have matching values for any received validator fields (ETag and Last-Modified) and, if
//# the HEAD response has a Content-Length header field, the value of Content-Length matches that of
//# the stored response, the cache SHOULD update the stored response as described below; otherwise, the
//# cache SHOULD consider the stored response to be stale.
#[test]
fn a_head_freshens_what_it_is_the_head_of_and_stales_the_rest() {
    let stored: Fields<'_> = &[("etag", "\"a\""), ("last-modified", EARLY)];
    head(stored, 200, stored, HeadEffect::Freshen);
    head(stored, 200, &[("x", "1")], HeadEffect::Freshen);
    head(stored, 200, &[("content-length", "10")], HeadEffect::Freshen);
    head(stored, 200, &[("etag", "\"b\"")], HeadEffect::Stale(Mismatch::EntityTag));
    head(stored, 200, &[("etag", "W/\"a\"")], HeadEffect::Stale(Mismatch::EntityTag));
    head(
        stored,
        200,
        &[("etag", "\"a\""), ("last-modified", LATE)],
        HeadEffect::Stale(Mismatch::LastModified),
    );
    head(&[], 200, &[("last-modified", LATE)], HeadEffect::Stale(Mismatch::LastModified));
    for length in ["11", "x", "", "10, 10", "99999999999999999999999"] {
        head(stored, 200, &[("content-length", length)], HeadEffect::Stale(Mismatch::Length));
    }
}

#[test]
fn a_head_that_finds_something_stales_what_says_that_there_is_nothing() {
    let (own, found) = (fields(&[]), fields(&[("etag", "\"a\"")]));
    for status in [StatusCode::NOT_FOUND, StatusCode::MOVED_PERMANENTLY, StatusCode::NO_CONTENT] {
        let stored = StoredHead { status, fields: &own, length: Some(0) };
        let effect = head_effect(stored, StatusCode::OK, &found);
        assert_eq!(effect, HeadEffect::Stale(Mismatch::Status), "{status}");
        assert_eq!(head_effect(stored, status, &found), HeadEffect::Nothing, "{status}");
    }
}

#[test]
fn the_length_of_a_whole_that_is_not_known_is_not_compared() {
    let (own, head) = (fields(&[]), fields(&[("content-length", "10")]));
    let stored = StoredHead { status: StatusCode::OK, fields: &own, length: None };
    assert_eq!(head_effect(stored, StatusCode::OK, &head), HeadEffect::Freshen);
}
