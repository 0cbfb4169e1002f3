//! Sections 4.2.4 and 5.2.1 of RFC 9111, and RFC 5861: when a stale response answers, and what a request may ask.

use std::time::Duration;

use forebay_policy::directives::RequestDirectives;
use forebay_policy::facts::RequestFacts;
use forebay_policy::profile::Policy;
use forebay_policy::reuse::{Failure, Fallback, Forward, Reuse, heard, on_failure, reuse};
use forebay_policy::storable::Lifetime;
use http::StatusCode;

use crate::support::{Case, fields, seconds};

const STALE: Reuse = Reuse::Validate(Forward::Stale);
const REQUEST: Reuse = Reuse::Validate(Forward::Request);

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1
//= type=test
//# They are advisory; caches MAY implement them, but are not required to.
#[test]
fn a_request_is_heard_where_the_policy_says_so() {
    let heard = |policy: &Policy, value: &str| {
        let request = fields(&[("cache-control", value)]);
        heard(RequestFacts::scan(&request), &request, policy).is_some()
    };
    assert!(heard(&Policy::proxy(), "max-age=0"));
    assert!(!heard(&Policy::proxy(), "no-store"), "that is the gate's matter");
    assert!(!heard(&Policy::origin(), "max-age=0"));
}

fn stored(cache_control: &str) -> Lifetime {
    Case::response(&[("cache-control", cache_control), ("etag", "\"a\"")]).policy(Policy::proxy()).stored()
}

fn asking(cache_control: &str) -> RequestDirectives {
    RequestDirectives::parse(&fields(&[("cache-control", cache_control)]))
}

#[track_caller]
fn answers(response: &str, age: u64, expected: Reuse) {
    assert_eq!(reuse(&stored(response), seconds(age), None), expected, "{response} {age}");
}

#[track_caller]
fn asked(request: &str, response: &str, age: u64, expected: Reuse) {
    let answer = reuse(&stored(response), seconds(age), Some(&asking(request)));
    assert_eq!(answer, expected, "{request} / {response} / {age}");
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4
//= type=test
//# fresh (see Section 4.2), or
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4
//= type=test
//# the stored response does not contain the no-cache directive (Section 5.2.2.4), unless it is
//# successfully validated (Section 4.3), and
//
//= https://www.rfc-editor.org/rfc/rfc8246#section-2.1
//= type=test
//# Therefore, proxies SHOULD skip conditionally revalidating fresh responses containing the immutable
//# extension unless there is a signal from the client that a validation is necessary (e.g., a no-cache
//# Cache-Control request directive defined in Section 5.2.1.4 of [RFC7234]).
#[test]
fn a_fresh_response_answers_and_a_stale_one_is_validated() {
    answers("max-age=60", 0, Reuse::Fresh);
    answers("max-age=60", 59, Reuse::Fresh);
    answers("max-age=60", 60, STALE);
    answers("no-cache", 0, STALE);
    answers("max-age=60, no-cache", 0, STALE);
    answers("max-age=0", 0, STALE);
}

//= https://www.rfc-editor.org/rfc/rfc5861#section-3
//= type=test
//# When present in an HTTP response, the stale-while-revalidate Cache-Control extension indicates that
//# caches MAY serve the response it appears in after it becomes stale, up to the indicated number of
//# seconds.
//
//= https://www.rfc-editor.org/rfc/rfc5861#section-3
//= type=test
//# If delta-seconds passes without the cached entity being revalidated, it SHOULD NOT continue to be
//# served stale, absent other information.
#[test]
fn a_response_answers_while_it_is_refreshed_and_no_longer() {
    answers("max-age=600, stale-while-revalidate=30", 599, Reuse::Fresh);
    answers("max-age=600, stale-while-revalidate=30", 600, Reuse::Refresh);
    answers("max-age=600, stale-while-revalidate=30", 630, Reuse::Refresh);
    answers("max-age=600, stale-while-revalidate=30", 631, STALE);
    answers("max-age=600, stale-while-revalidate=0", 600, STALE);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.4
//= type=test
//# A cache MUST NOT generate a stale response if it is prohibited by an explicit in-protocol directive
//# (e.g., by a no-cache response directive, a must-revalidate response directive, or an applicable
//# s-maxage or proxy-revalidate response directive; see Section 5.2.2).
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.2
//= type=test
//# The must-revalidate response directive indicates that once the response has become stale, a cache MUST
//# NOT reuse that response to satisfy another request until it has been successfully validated by the
//# origin, as defined by Section 4.3.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.8
//= type=test
//# The proxy-revalidate response directive indicates that once the response has become stale, a shared
//# cache MUST NOT reuse that response to satisfy another request until it has been successfully validated
//# by the origin, as defined by Section 4.3.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.10
//= type=test
//# A shared cache MUST NOT reuse a stale response with s-maxage to satisfy another request until it has
//# been successfully validated by the origin, as defined by Section 4.3.
#[test]
fn what_forbids_stale_answers_forbids_every_one() {
    for forbidding in ["must-revalidate", "proxy-revalidate", "s-maxage=60", "no-cache"] {
        let response = format!("max-age=60, stale-while-revalidate=60, stale-if-error=60, {forbidding}");
        answers(&response, 61, STALE);
        asked("max-stale", &response, 61, STALE);
        asked("max-stale=100", &response, 61, STALE);
        asked("max-age=100, max-stale", &response, 61, STALE);
        for failure in [Failure::Unreachable, Failure::Status(StatusCode::BAD_GATEWAY)] {
            let client = asking("stale-if-error=100");
            let fallback = on_failure(&stored(&response), seconds(61), failure, Some(&client));
            assert_eq!(fallback, Fallback::None, "{forbidding} {failure:?}");
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.4
//= type=test
//# The no-cache request directive indicates that the client prefers a stored response not be used to
//# satisfy the request without successful validation on the origin server.
#[test]
fn no_cache_asks_the_origin() {
    asked("no-cache", "max-age=60", 10, REQUEST);
    asked("no-cache, max-stale", "max-age=60", 10, REQUEST);
    asked("no-cache, max-stale", "max-age=60", 70, STALE);
    asked("no-cache", "max-age=60, stale-while-revalidate=60", 70, STALE);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.1
//= type=test
//# The max-age request directive indicates that the client prefers a response whose age is less than
//# or equal to the specified number of seconds. Unless the max-stale request directive is also
//# present, the client does not wish to receive a stale response.
#[test]
fn max_age_limits_the_age_and_refuses_what_is_stale() {
    asked("max-age=10", "max-age=60", 10, Reuse::Fresh);
    asked("max-age=10", "max-age=60", 11, REQUEST);
    asked("max-age=0", "max-age=60", 1, REQUEST);
    asked("max-age=100", "max-age=60", 70, STALE);
    asked("max-age=100", "max-age=60, stale-while-revalidate=60", 70, STALE);
    let a_little = Duration::from_millis(1);
    assert_eq!(reuse(&stored("max-age=60"), a_little, Some(&asking("max-age=0"))), REQUEST);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.3
//= type=test
//# The min-fresh request directive indicates that the client prefers a response whose freshness
//# lifetime is no less than its current age plus the specified time in seconds.
#[test]
fn min_fresh_wants_freshness_to_spare() {
    asked("min-fresh=20", "max-age=60", 40, Reuse::Fresh);
    asked("min-fresh=20", "max-age=60", 41, REQUEST);
    asked("min-fresh=4294967295", "max-age=60", 0, REQUEST);
    asked("min-fresh=0", "max-age=60", 60, STALE);
    asked("min-fresh=1, max-stale", "max-age=60", 61, STALE);
    asked("min-fresh=1", "max-age=60, stale-while-revalidate=60", 61, STALE);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.2
//= type=test
//# The max-stale request directive indicates that the client will accept a response that has exceeded
//# its freshness lifetime. If a value is present, then the client is willing to accept a response that
//# has exceeded its freshness lifetime by no more than the specified number of seconds. If no value is
//# assigned to max-stale, then the client will accept a stale response of any age.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4
//= type=test
//# allowed to be served stale (see Section 4.2.4), or
#[test]
fn max_stale_accepts_what_is_stale() {
    asked("max-stale=10", "max-age=60", 59, Reuse::Fresh);
    asked("max-stale=10", "max-age=60", 70, Reuse::Stale);
    asked("max-stale=10", "max-age=60", 71, STALE);
    asked("max-stale", "max-age=60", 100_000, Reuse::Stale);
    asked("max-stale=10", "max-age=60, stale-while-revalidate=60", 70, Reuse::Refresh);
    asked("max-stale=10", "max-age=60, stale-while-revalidate=60", 71, STALE);
    asked("max-stale", "max-age=60, stale-while-revalidate=5", 71, Reuse::Stale);
}

#[test]
fn max_age_beside_max_stale_still_limits_the_age() {
    asked("max-age=80, max-stale=30", "max-age=60", 80, Reuse::Stale);
    asked("max-age=80, max-stale=30", "max-age=60", 81, STALE);
    asked("max-age=100, max-stale=30", "max-age=60", 91, STALE);
    asked("max-age=0, max-stale", "max-age=60", 10, REQUEST);
}

//= https://www.rfc-editor.org/rfc/rfc8246#section-2
//= type=test
//# The presence of an immutable Cache-Control extension in a request has no effect.
#[test]
fn what_is_no_matter_of_freshness_changes_nothing() {
    for request in ["only-if-cached", "no-store", "no-transform", "stale-if-error=60", "immutable", "x"] {
        asked(request, "max-age=60", 10, Reuse::Fresh);
        asked(request, "max-age=60, stale-while-revalidate=60", 61, Reuse::Refresh);
        asked(request, "max-age=60", 61, STALE);
    }
}

fn fallback(response: &str, age: u64, failure: Failure, request: &str) -> Fallback {
    let client = asking(request);
    on_failure(&stored(response), seconds(age), failure, (!request.is_empty()).then_some(&client))
}

fn on_status(response: &str, age: u64, status: u16) -> Fallback {
    fallback(response, age, Failure::Status(StatusCode::from_u16(status).expect("a status code")), "")
}

//= https://www.rfc-editor.org/rfc/rfc5861#section-4
//= type=test
//# In this context, an error is any situation which would result in a 500, 502, 503 or 504 HTTP
//# response status code being returned.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.3
//= type=test
//# However, if a cache receives a 5xx (Server Error) response while attempting to validate a response, it
//# can either forward this response to the requesting client or act as if the server failed to respond.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.3
//= type=test
//# In the latter case, the cache can send a previously stored response, subject to its constraints on
//# doing so (see Section 4.2.4), or retry the validation request.
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.3
//= type=test
//# However, if a cache receives a 5xx (Server Error) response while attempting to validate a response,
//# it can either forward this response to the requesting client or act as if the server failed to
//# respond.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.3
//= type=test
//# In the latter case, the cache can send a previously stored response, subject to its constraints on
//# doing so (see Section 4.2.4), or retry the validation request.
#[test]
fn stale_if_error_answers_for_these_errors_and_no_others() {
    let response = "max-age=60, stale-if-error=60";
    for status in [500, 502, 503, 504] {
        assert_eq!(on_status(response, 61, status), Fallback::Stale, "{status}");
    }
    for status in [200, 304, 400, 404, 410, 429, 501, 505, 511, 599] {
        assert_eq!(on_status(response, 61, status), Fallback::None, "{status}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc5861#section-4
//= type=test
//# Its value indicates the upper limit to staleness; when the cached response is more stale than the
//# indicated amount, the cached response SHOULD NOT be used to satisfy the request, absent other
//# information.
#[test]
fn stale_if_error_ends() {
    assert_eq!(on_status("max-age=600, stale-if-error=1200", 900, 500), Fallback::Stale);
    assert_eq!(on_status("max-age=600, stale-if-error=1200", 1800, 500), Fallback::Stale);
    assert_eq!(on_status("max-age=600, stale-if-error=1200", 1801, 500), Fallback::None);
    assert_eq!(on_status("max-age=600", 600, 500), Fallback::None);
    assert_eq!(on_status("max-age=600, stale-if-error=0", 600, 500), Fallback::None);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.4
//= type=test
//# A cache MUST NOT generate a stale response unless it is disconnected or doing so is explicitly
//# permitted by the client or origin server (e.g., by the max-stale request directive in Section 5.2.1
//# , extension directives such as those defined in [RFC5861], or configuration in accordance with an
//# out-of-band contract).
#[test]
fn an_unreachable_origin_lets_a_stale_response_answer_where_the_policy_says_so() {
    let day = 24 * 60 * 60;
    assert_eq!(fallback("max-age=60", 60 + day, Failure::Unreachable, ""), Fallback::Stale);
    assert_eq!(fallback("max-age=60", 61 + day, Failure::Unreachable, ""), Fallback::None);
    assert_eq!(fallback("max-age=60, stale-if-error=60", 61, Failure::Unreachable, ""), Fallback::Stale);
    let own = Case::cache_control("max-age=60").stored();
    assert_eq!(on_failure(&own, seconds(61), Failure::Unreachable, None), Fallback::None);
}

//= https://www.rfc-editor.org/rfc/rfc5861#section-4
//= type=test
//# When used as a request Cache-Control extension, its scope of application is the request it appears
//# in; when used as a response Cache-Control extension, its scope is any request applicable to the
//# cached response it occurs in.
#[test]
fn a_client_may_accept_stale_in_the_place_of_an_error() {
    let failure = Failure::Status(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(fallback("max-age=60", 90, failure, "stale-if-error=30"), Fallback::Stale);
    assert_eq!(fallback("max-age=60", 91, failure, "stale-if-error=30"), Fallback::None);
    assert_eq!(fallback("max-age=60, stale-if-error=60", 91, failure, "stale-if-error=30"), Fallback::Stale);
    assert_eq!(fallback("max-age=60", 90, failure, "max-stale"), Fallback::None);
}
