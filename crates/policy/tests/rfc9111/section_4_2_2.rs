//! Section 4.2.2: heuristic freshness.

use std::time::Duration;

use forebay_policy::freshness::Source;
use forebay_policy::profile::{Heuristic, Policy};
use forebay_policy::reason::Reason;

use crate::support::{Case, Fields, seconds};

const DATE: (&str, &str) = ("date", "Thu, 01 Jan 2026 00:00:00 GMT");
const HOUR_AGO: (&str, &str) = ("last-modified", "Wed, 31 Dec 2025 23:00:00 GMT");
const MONTH_AGO: (&str, &str) = ("last-modified", "Mon, 01 Dec 2025 00:00:00 GMT");

fn case(lines: Fields<'_>) -> Case {
    Case::response(lines).policy(Policy::proxy())
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.2
//= type=test
//# If the response has a Last-Modified header field (Section 8.8.2 of [HTTP]), caches are encouraged
//# to use a heuristic expiration value that is no more than some fraction of the interval since that
//# time. A typical setting of this fraction might be 10%.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.2
//= type=test
//# Since origin servers do not always provide explicit expiration times, a cache MAY assign a heuristic
//# expiration time when an explicit time is not specified, employing algorithms that use other field
//# values (such as the Last-Modified time) to estimate a plausible expiration time.
#[test]
fn a_silent_response_is_fresh_for_a_tenth_of_the_time_since_its_last_change() {
    case(&[DATE, HOUR_AGO]).stored_for(360);
    assert_eq!(case(&[DATE, HOUR_AGO]).stored().source, Source::Heuristic);
    case(&[HOUR_AGO]).stored_for(360);
    case(&[DATE, MONTH_AGO]).stored_for(86_400);
    let mut policy = Policy::proxy();
    policy.heuristic = Some(Heuristic { percent: 50, cap: seconds(1_000) });
    case(&[DATE, HOUR_AGO]).policy(policy.clone()).stored_for(1_000);
    policy.heuristic = Some(Heuristic { percent: 255, cap: Duration::MAX });
    case(&[DATE, HOUR_AGO]).policy(policy).stored_for(3_600);
}

#[test]
fn without_a_time_of_change_in_the_past_nothing_is_guessed() {
    for modified in ["", "0", "yesterday", "Thu, 01 Jan 2026 00:00:01 GMT"] {
        case(&[DATE, ("last-modified", modified)]).refused(Reason::NoFreshness);
    }
    case(&[DATE, HOUR_AGO, HOUR_AGO]).refused(Reason::NoFreshness);
    case(&[DATE, ("etag", "\"1\"")]).refused(Reason::NoFreshness);
    Case::response(&[DATE, HOUR_AGO]).refused(Reason::NoFreshness);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.2
//= type=test
//# A cache MUST NOT use heuristics to determine freshness when an explicit expiration time is present
//# in the stored response.
#[test]
fn nothing_is_guessed_beside_an_explicit_time() {
    case(&[DATE, MONTH_AGO, ("cache-control", "max-age=5")]).stored_for(5);
    case(&[DATE, MONTH_AGO, ("cache-control", "max-age=x")]).stored_for(0);
    case(&[DATE, MONTH_AGO, ("expires", "0")]).stored_for(0);
    case(&[DATE, MONTH_AGO, ("expires", "Thu, 01 Jan 2026 00:00:05 GMT")]).stored_for(5);
    case(&[DATE, MONTH_AGO]).handler(5).stored_for(5);
    case(&[DATE, MONTH_AGO]).route(5).stored_for(5);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.2
//= type=test
//# Because of the requirements in Section 3, heuristics can only be used on
//# responses without explicit freshness whose status codes are defined as heuristically cacheable
//# (e.g., see Section 15.1 of [HTTP]) and on responses without explicit freshness that have been
//# marked as explicitly cacheable (e.g., with a public response directive).
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-15.1
//= type=test
//# Responses with status codes that are defined as heuristically cacheable (e.g., 200, 203, 204, 206,
//# 300, 301, 308, 404, 405, 410, 414, and 501 in this specification) can be reused by a cache with
//# heuristic expiration unless otherwise indicated by the method definition or explicit cache controls
//# [CACHING]; all other status codes are not heuristically cacheable.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.9
//= type=test
//# If a response with the public directive has no explicit freshness information, it is heuristically
//# cacheable (Section 4.2.2).
#[test]
fn the_status_or_public_permits_the_guess() {
    let mut policy = Policy::proxy();
    policy.store_request_errors = true;
    let status = |status, lines: Fields<'_>| case(lines).policy(policy.clone()).status(status);
    for code in [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501] {
        status(code, &[DATE, HOUR_AGO]).stored_for(360);
    }
    for code in [201, 202, 302, 303, 307, 400, 401, 403, 429, 500, 502, 503, 504, 599] {
        status(code, &[DATE, HOUR_AGO]).refused(Reason::NoFreshness);
        status(code, &[DATE, HOUR_AGO, ("cache-control", "public")]).stored_for(360);
    }
}
