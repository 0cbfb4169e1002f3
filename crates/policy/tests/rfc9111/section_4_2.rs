//! Section 4.2: freshness lifetime and age, and the fields they are computed from (5.1, 5.3).

use std::time::Duration;

use forebay_policy::age::{Times, initial_age};
use forebay_policy::date::http_date;
use forebay_policy::freshness::Source;
use forebay_policy::reason::Reason;
use http::HeaderValue;

use crate::support::{Case, Fields, fields, now, seconds};

const DATE: (&str, &str) = ("date", "Thu, 01 Jan 2026 00:00:00 GMT");

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.1
//= type=test
//# If the cache is shared and the s-maxage response directive (Section 5.2.2.10) is present, use
//# its value, or
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.1
//= type=test
//# If the max-age response directive (Section 5.2.2.1) is present, use its value, or
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.10
//= type=test
//# The s-maxage response directive indicates that, for a shared cache, the maximum age specified by this
//# directive overrides the maximum age specified by either the max-age directive or the Expires header
//# field.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3
//= type=test
//# an Expires header field (see Section 5.3);
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3
//= type=test
//# if the cache is shared: an s-maxage response directive (see Section 5.2.2.10);
#[test]
fn freshness_is_taken_from_the_first_that_speaks() {
    let later = ("expires", "Thu, 01 Jan 2026 00:01:40 GMT");
    let cases: [(Fields<'_>, u64, Source); 4] = [
        (&[("cache-control", "max-age=600, s-maxage=60"), DATE, later], 60, Source::CacheControl),
        (&[("cache-control", "max-age=600"), DATE, later], 600, Source::CacheControl),
        (&[("cache-control", "public"), DATE, later], 100, Source::Expires),
        (&[("cache-control", "public")], 30, Source::Route),
    ];
    for (lines, freshness, source) in cases {
        let lifetime = Case::response(lines).route(30).stored();
        assert_eq!((lifetime.freshness, lifetime.source), (seconds(freshness), source), "{lines:?}");
        let lifetime = Case::response(lines).route(30).handler(7).stored();
        assert_eq!((lifetime.freshness, lifetime.source), (seconds(7), Source::Handler), "{lines:?}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.1
//= type=test
//# If the Expires response header field (Section 5.3) is present, use its value minus the value of
//# the Date response header field (using the time the message was received if it is not present,
//# as per Section 6.6.1 of [HTTP]), or
#[test]
fn expires_counts_from_date_else_from_arrival() {
    let expires = ("expires", "Thu, 01 Jan 2026 00:01:40 GMT");
    Case::response(&[expires]).stored_for(100);
    Case::response(&[expires, ("date", "nonsense")]).stored_for(100);
    let lifetime = Case::response(&[expires, ("date", "Wed, 31 Dec 2025 23:59:30 GMT")]).stored();
    assert_eq!((lifetime.freshness, lifetime.initial_age), (seconds(130), seconds(30)));
    // A clock ahead of ours shortens what Expires grants.
    Case::response(&[expires, ("date", "Thu, 01 Jan 2026 00:01:00 GMT")]).stored_for(40);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.3
//= type=test
//# A cache recipient MUST interpret invalid date formats, especially the value "0", as representing a
//# time in the past (i.e., "already expired").
#[test]
fn expires_that_is_no_date_is_expired_whatever_the_route_grants() {
    for value in ["0", "-1", "", "tomorrow", "Thu, 01 Jan 2026 00:01:40 CET", "1767225700"] {
        Case::response(&[("expires", value)]).route(60).refused(Reason::Expired);
    }
    Case::response(&[("expires", "Wed, 31 Dec 2025 23:59:59 GMT")]).route(60).refused(Reason::Expired);
    Case::response(&[("expires", "Thu, 01 Jan 2026 00:00:00 GMT")]).route(60).refused(Reason::Expired);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.1
//= type=test
//# When there is more than one value present for a given directive (e.g., two Expires header field
//# lines or multiple Cache-Control: max-age directives), either the first occurrence should be used
//# or the response should be considered stale.
#[test]
fn several_times_give_the_shortest_or_none() {
    let (short, long) = ("Thu, 01 Jan 2026 00:01:00 GMT", "Thu, 01 Jan 2026 01:00:00 GMT");
    Case::response(&[("expires", long), ("expires", short)]).refused(Reason::Expired);
    Case::response(&[("expires", long), ("expires", "0")]).refused(Reason::Expired);
    Case::response(&[("expires", short), ("expires", short)]).stored_for(60);
    Case::cache_control("max-age=600, max-age=60").stored_for(60);
    Case::response(&[("cache-control", "max-age=60"), ("cache-control", "max-age=600")]).stored_for(60);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.3
//= type=test
//# If a response includes a Cache-Control header field with the max-age directive (Section 5.2.2.1), a
//# recipient MUST ignore the Expires header field. Likewise, if a response includes the s-maxage
//# directive (Section 5.2.2.10), a shared cache recipient MUST ignore the Expires header field.
#[test]
fn expires_says_nothing_beside_max_age() {
    Case::response(&[("cache-control", "max-age=60"), ("expires", "0")]).stored_for(60);
    Case::response(&[("cache-control", "s-maxage=60"), ("expires", "0")]).stored_for(60);
    let expires = ("expires", "Thu, 01 Jan 2026 01:00:00 GMT");
    Case::response(&[("cache-control", "max-age=0"), expires]).refused(Reason::Expired);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2
//= type=test
//# Although all date formats are specified to be case-sensitive, a cache recipient SHOULD match
//# the field value case-insensitively.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7
//= type=test
//# A recipient that parses a timestamp value in an HTTP field MUST accept all three HTTP-date formats.
#[test]
fn dates_are_read_in_three_forms_and_any_case() {
    for value in [
        "Thu, 01 Jan 2026 00:00:00 GMT",
        "thu, 01 jan 2026 00:00:00 gmt",
        "THU, 01 JAN 2026 00:00:00 GMT",
        "Thursday, 01-Jan-26 00:00:00 GMT",
        "Thu Jan  1 00:00:00 2026",
        " Thu, 01 Jan 2026 00:00:00 GMT ",
    ] {
        assert_eq!(http_date(&HeaderValue::from_str(value).unwrap(), now()), Some(now()), "{value}");
    }
    for value in [
        "",
        "0",
        "Thu, 32 Jan 2026 00:00:00 GMT",
        "Fri, 01 Jan 2026 00:00:00 GMT",
        "Thu, 01 Jan 2026 00:00:00",
    ] {
        assert_eq!(http_date(&HeaderValue::from_str(value).unwrap(), now()), None, "{value}");
    }
    assert_eq!(http_date(&HeaderValue::from_bytes(&[0xff; 29]).unwrap(), now()), None);
    assert_eq!(http_date(&HeaderValue::from_bytes(&[b'a'; 4000]).unwrap(), now()), None);
}

fn age(lines: Fields<'_>) -> Duration {
    initial_age(&fields(lines), Times { requested: now(), received: now() })
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.3
//= type=test
//# the "apparent_age": response_time minus date_value, if the implementation's clock is reasonably
//# well synchronized to the origin server's clock. If the result is negative, the result is
//# replaced by zero.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.3
//= type=test
//# In circumstances where very old cache implementations that might not correctly insert Age are present,
//# corrected_initial_age can be calculated more conservatively as corrected_initial_age =
//# max(apparent_age, corrected_age_value);
#[test]
fn age_is_the_larger_of_what_date_and_age_say() {
    let old = ("date", "Wed, 31 Dec 2025 23:59:00 GMT");
    assert_eq!(age(&[]), seconds(0));
    assert_eq!(age(&[old]), seconds(60));
    assert_eq!(age(&[old, ("age", "10")]), seconds(60));
    assert_eq!(age(&[old, ("age", "100")]), seconds(100));
    assert_eq!(age(&[DATE, old]), seconds(60));
    assert_eq!(age(&[("date", "Thu, 01 Jan 2026 01:00:00 GMT")]), seconds(0));
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.3
//= type=test
//# A cache MUST interpret this value relative to the time the request was initiated, not
//# the time that the response was received.
#[test]
fn the_time_on_the_way_counts() {
    let received = now() + Duration::from_millis(1_500);
    let response = fields(&[DATE, ("age", "10")]);
    let age = |requested| initial_age(&response, Times { requested, received });
    assert_eq!(age(now()), Duration::from_millis(11_500));
    assert_eq!(age(received + seconds(5)), seconds(10), "a clock that went back counts nothing");
    let times = Times { requested: received, received };
    assert_eq!(initial_age(&fields(&[DATE]), times), seconds(1), "dates have whole seconds");
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.1
//= type=test
//# Although it is defined as a singleton header field, a cache encountering a message with a
//# list-based Age field value SHOULD use the first member of the field value, discarding subsequent
//# ones.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.1
//= type=test
//# If the field value (after discarding additional members, as per above) is invalid (e.g., it contains
//# something other than a non-negative integer), a cache SHOULD ignore the field.
#[test]
fn the_first_member_of_age_counts_and_an_invalid_one_does_not() {
    for (value, expected) in [
        ("30", 30),
        ("30, 60", 30),
        ("  30  ", 30),
        (", 30", 30),
        ("-30", 0),
        ("30.5", 0),
        ("abc", 0),
        ("x, 30", 0),
        ("\"30\"", 0),
        ("", 0),
        ("99999999999999999999999", 2_147_483_648),
    ] {
        assert_eq!(age(&[("age", value)]), seconds(expected), "{value}");
    }
    assert_eq!(age(&[("age", "30"), ("age", "60")]), seconds(30));
}

#[test]
fn a_response_that_arrives_with_its_lifetime_used_up_is_not_stored() {
    Case::response(&[("cache-control", "max-age=60"), ("age", "59")]).stored_for(60);
    Case::response(&[("cache-control", "max-age=60"), ("age", "60")]).refused(Reason::Expired);
    Case::response(&[("age", "60")]).route(60).refused(Reason::Expired);
    Case::response(&[]).handler(0).refused(Reason::Expired);
}
