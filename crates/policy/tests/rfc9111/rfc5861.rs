//! RFC 5861 and RFC 9111, 4.2.4: what a response is good for when it is no longer fresh.

use forebay_policy::profile::Policy;
use forebay_policy::reason::Reason;
use forebay_policy::windows::{Stale, Validation, Windows};
use proptest::prelude::*;

use crate::support::{Case, Fields, seconds};

/// Refresh, error, unreachable and keep, in seconds.
fn windows(case: &Case) -> [u64; 4] {
    let Windows { refresh, error, unreachable, keep, .. } = case.stored().windows;
    [refresh, error, unreachable, keep].map(|window| window.as_secs())
}

fn without_keeping() -> Policy {
    let mut policy = Policy::origin();
    policy.keep_stale = seconds(0);
    policy
}

//= https://www.rfc-editor.org/rfc/rfc5861#section-3
//= type=test
//# When present in an HTTP response, the stale-while-revalidate Cache-Control extension indicates that
//# caches MAY serve the response it appears in after it becomes stale, up to the indicated number of
//# seconds.
#[test]
fn stale_while_revalidate_opens_the_window_for_refreshing() {
    let case = |value: &str| Case::cache_control(value).policy(without_keeping());
    assert_eq!(windows(&case("max-age=60, stale-while-revalidate=30")), [30, 0, 0, 30]);
    assert_eq!(windows(&case("max-age=60, Stale-While-Revalidate=\"30\"")), [30, 0, 0, 30]);
    assert_eq!(windows(&case("max-age=60")), [0, 0, 0, 0]);
    for invalid in ["x", "-1", "1.5", "", "'30'"] {
        let value = format!("max-age=60, stale-while-revalidate={invalid}");
        assert_eq!(windows(&case(&value)), [0, 0, 0, 0], "{value}");
    }
    let value = "max-age=60, stale-while-revalidate=30, stale-while-revalidate=20";
    assert_eq!(windows(&case(value)), [20, 0, 0, 20]);
    let value = "max-age=60, stale-while-revalidate=99999999999";
    assert_eq!(windows(&case(value))[0], 2_147_483_648);
}

//= https://www.rfc-editor.org/rfc/rfc5861#section-4
//= type=test
//# The stale-if-error Cache-Control extension indicates that when an error is encountered, a cached
//# stale response MAY be used to satisfy the request, regardless of other freshness information.
#[test]
fn stale_if_error_opens_the_window_for_errors_for_a_day_at_most() {
    let case = |value: &str| Case::cache_control(value).policy(without_keeping());
    assert_eq!(windows(&case("max-age=60, stale-if-error=1200")), [0, 1200, 1200, 1200]);
    assert_eq!(windows(&case("max-age=60, stale-if-error=99999999"))[1], 86_400);
    assert_eq!(windows(&case("max-age=60, stale-if-error"))[1], 0);
}

#[test]
fn an_annotation_opens_windows_for_what_it_makes_fresh_and_where_the_response_is_silent() {
    let granted = |mut case: Case| {
        case.granted.stale_while_revalidate = Some(seconds(5));
        case.granted.stale_if_error = Some(seconds(6));
        case.policy(without_keeping())
    };
    let own = "max-age=60, stale-while-revalidate=30, stale-if-error=40";
    assert_eq!(windows(&granted(Case::cache_control(own)))[..2], [30, 40]);
    assert_eq!(windows(&granted(Case::cache_control(own).handler(7)))[..2], [5, 6]);
    assert_eq!(windows(&granted(Case::cache_control("max-age=60")))[..2], [5, 6]);
    assert_eq!(windows(&granted(Case::response(&[]).route(7)))[..2], [5, 6]);
    assert_eq!(windows(&Case::cache_control(own).handler(7))[..2], [30, 40]);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.4
//= type=test
//# A cache MUST NOT generate a stale response if it is prohibited by an explicit in-protocol directive
//# (e.g., by a no-cache response directive, a must-revalidate response directive, or an applicable
//# s-maxage or proxy-revalidate response directive; see Section 5.2.2).
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.2
//= type=test
//# The must-revalidate response directive indicates that once the response has become stale, a cache
//# MUST NOT reuse that response to satisfy another request until it has been successfully validated by
//# the origin, as defined by Section 4.3.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.8
//= type=test
//# The proxy-revalidate response directive indicates that once the response has become stale, a shared
//# cache MUST NOT reuse that response to satisfy another request until it has been successfully
//# validated by the origin, as defined by Section 4.3.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.10
//= type=test
//# A shared cache MUST NOT reuse a stale response with s-maxage to satisfy another request until it has
//# been successfully validated by the origin, as defined by Section 4.3.
#[test]
fn what_forbids_stale_answers_closes_every_window() {
    let etag = ("etag", "\"1\"");
    for value in ["max-age=60, must-revalidate", "max-age=60, proxy-revalidate", "s-maxage=60", "no-cache"] {
        let value = format!("{value}, stale-while-revalidate=30, stale-if-error=40");
        let mut case = Case::response(&[("cache-control", &value), etag]).policy(Policy::proxy());
        case.granted.stale_if_error = Some(seconds(6));
        assert_eq!(case.stored().windows.stale, Stale::Forbidden, "{value}");
        assert_eq!(windows(&case), [0, 0, 0, 86_400], "{value}");
    }
    let case = Case::cache_control("max-age=60").policy(Policy::proxy());
    assert_eq!(case.stored().windows.stale, Stale::Permitted);
    // The handler's time has taken the place of s-maxage, but nothing takes the place of must-revalidate.
    assert_eq!(Case::cache_control("s-maxage=60").handler(7).stored().windows.stale, Stale::Permitted);
    let case = Case::cache_control("must-revalidate").handler(7);
    assert_eq!(case.stored().windows.stale, Stale::Forbidden);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.4
//= type=test
//# A cache MUST NOT generate a stale response unless it is disconnected or doing so is explicitly
//# permitted by the client or origin server (e.g., by the max-stale request directive in Section 5.2.1
//# , extension directives such as those defined in [RFC5861], or configuration in accordance with an
//# out-of-band contract).
#[test]
fn without_a_word_only_an_origin_out_of_reach_is_covered_up_and_only_by_policy() {
    let case = || Case::cache_control("max-age=60");
    assert_eq!(windows(&case().policy(Policy::origin())), [0, 0, 0, 0]);
    assert_eq!(windows(&case().policy(Policy::proxy())), [0, 0, 86_400, 86_400]);
}

#[test]
fn a_response_with_a_validator_is_kept_to_be_validated() {
    let validators: [(&str, &str); 2] =
        [("etag", "W/\"1\""), ("last-modified", "Mon, 01 Dec 2025 00:00:00 GMT")];
    for validator in validators {
        let case = Case::response(&[("cache-control", "max-age=60"), validator]);
        assert_eq!(windows(&case), [0, 0, 0, 3_600], "{validator:?}");
    }
    let case = Case::response(&[("cache-control", "max-age=60"), ("last-modified", "yesterday")]);
    assert_eq!(windows(&case), [0, 0, 0, 0]);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.4
//= type=test
//# The no-cache response directive, in its unqualified form (without an argument), indicates that the
//# response MUST NOT be used to satisfy any other request without forwarding it for validation and
//# receiving a successful response; see Section 4.3.
#[test]
fn no_cache_is_stored_with_a_validator_where_the_policy_stores_it_and_is_never_fresh() {
    let etag = ("etag", "\"1\"");
    for value in ["no-cache", "no-cache, max-age=60", "no-cache=\"x\", s-maxage=60"] {
        let lines: Fields<'_> = &[("cache-control", value), etag];
        let case = Case::response(lines).policy(Policy::proxy());
        case.stored_for(0);
        assert_eq!(case.stored().windows.validation, Validation::Always);
        Case::response(lines).refused(Reason::NoCache);
        Case::cache_control(value).policy(Policy::proxy()).refused(Reason::NoCache);
    }
    Case::response(&[("cache-control", "no-cache"), etag])
        .status(302)
        .policy(Policy::proxy())
        .refused(Reason::NoFreshness);
}

#[test]
fn what_is_expired_on_arrival_is_stored_only_if_it_is_of_use() {
    let etag = ("etag", "\"1\"");
    for expired in [("cache-control", "max-age=0"), ("expires", "0"), ("cache-control", "max-age=x")] {
        let case = Case::response(&[expired, etag]).policy(Policy::proxy());
        case.stored_for(0);
        assert_eq!(case.stored().windows.validation, Validation::WhenStale);
        Case::response(&[expired, etag]).refused(Reason::Expired);
        Case::response(&[expired]).policy(Policy::proxy()).refused(Reason::Expired);
    }
    Case::cache_control("max-age=0, stale-while-revalidate=10").stored_for(0);
    let aged = |age| [("cache-control", "max-age=60, stale-if-error=10"), ("age", age)];
    Case::response(&aged("69")).stored_for(60);
    Case::response(&aged("70")).refused(Reason::Expired);
}

proptest! {
    #[test]
    fn l2_gives_back_the_windows_that_it_was_given(
        refresh in any::<u32>(), error in any::<u32>(), keep in any::<u32>(), forbidden in any::<bool>(),
    ) {
        let forbid = if forbidden { ", must-revalidate" } else { "" };
        let value = format!("max-age=60, stale-while-revalidate={refresh}, stale-if-error={error}{forbid}");
        let mut case = Case::response(&[("cache-control", &value), ("etag", "\"1\"")]);
        case.policy.keep_stale = seconds(keep.into());
        let windows = case.stored().windows;
        prop_assert_eq!(Windows::from_numbers(windows.to_numbers()), Some(windows));
    }

    #[test]
    fn numbers_that_no_response_has_are_refused(numbers in any::<[u32; 5]>()) {
        if let Some(windows) = Windows::from_numbers(numbers) {
            prop_assert_eq!(windows.to_numbers(), numbers);
            prop_assert!(windows.keep >= windows.refresh.max(windows.unreachable));
            prop_assert!(windows.stale == Stale::Permitted || windows.unreachable.is_zero());
        }
    }
}

#[test]
fn windows_that_contradict_themselves_are_refused() {
    for numbers in [
        [30, 0, 0, 30, 0],
        [30, 0, 0, 30, 2],
        [0, 10, 5, 10, 1],
        [30, 0, 0, 20, 1],
        [0, 0, 0, 2_147_483_649, 1],
        [0, 0, 0, 0, 3],
    ] {
        assert_eq!(Windows::from_numbers(numbers), None, "{numbers:?}");
    }
}
