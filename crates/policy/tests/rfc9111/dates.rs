//! Dates, in all the forms that they arrive in (RFC 9110 5.6.7, RFC 9111 4.2).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use forebay_policy::date::http_date;
use http::HeaderValue;
use proptest::prelude::*;

use crate::support::now;

#[track_caller]
fn check(value: &str, expected: Option<u64>) {
    let time = expected.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    assert_eq!(http_date(&HeaderValue::from_str(value).expect("a field value"), now()), time, "{value}");
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7
//= type=test
//# Recipients of a timestamp value in rfc850-date format, which uses a two-digit year, MUST interpret
//# a timestamp that appears to be more than 50 years in the future as representing the most recent
//# year in the past that had the same last two digits.
#[test]
fn a_year_of_two_digits_is_at_most_fifty_years_ahead() {
    check("Thursday, 01-Jan-26 00:00:00 GMT", Some(1_767_225_600));
    check("Friday, 31-Dec-99 23:59:59 GMT", Some(946_684_799));
    check("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777));
    // 1 January 2076 is 50 years ahead of 1 January 2026, the day after is more.
    check("Wednesday, 01-Jan-76 00:00:00 GMT", Some(3_345_062_400));
    check("Friday, 02-Jan-76 00:00:00 GMT", Some(189_388_800));
    check("Thursday, 02-Jan-76 00:00:00 GMT", None);
}

#[test]
fn a_year_of_two_digits_may_be_of_the_next_century() {
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    let new_years_eve_of_2099 = at(4_102_358_400);
    let read = |value| http_date(&HeaderValue::from_static(value), new_years_eve_of_2099);
    assert_eq!(read("Friday, 01-Jan-00 00:00:00 GMT"), Some(at(4_102_444_800)));
    assert_eq!(read("Thursday, 31-Dec-99 00:00:00 GMT"), Some(new_years_eve_of_2099));
    assert_eq!(read("Saturday, 01-Jan-50 00:00:00 GMT"), Some(at(2_524_608_000)));
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2
//= type=test
//# If a cache recipient's internal implementation of time has less resolution than the value of an
//# HTTP-date, the recipient MUST internally represent a parsed Expires date as the nearest time
//# equal to or earlier than the received value.
#[test]
fn a_leap_second_is_the_second_before_it() {
    check("Sat, 31 Dec 2016 23:59:60 GMT", Some(1_483_228_799));
    check("Sat, 31 Dec 2016 23:58:60 GMT", None);
    check("Sat, 31 Dec 2016 23:59:61 GMT", None);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2
//= type=test
//# A cache recipient SHOULD consider a date with a zone abbreviation other than "GMT" to be
//# invalid for calculating expiration.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2
//= type=test
//# A cache recipient MUST NOT allow local time zones to influence the calculation or comparison of an
//# age or expiration time.
#[test]
fn what_the_grammar_does_not_allow_is_no_date() {
    for value in [
        "Thu, 01 Jan 2026 00:00:00 UTC",
        "Thu, 01 Jan 2026 00:00:00 +0000",
        "Thu, 01 Jan 2026 00:00:00 AEST",
        "Thu, 01 Jan 2026 00:00:00",
        "Thu, 01 Jan 26 00:00:00 GMT",
        "Thu 01 Jan 2026 00:00:00 GMT",
        "Thu,01 Jan 2026 00:00:00 GMT",
        "Thu, 1 Jan 2026 00:00:00 GMT",
        "Thu, 01-Jan-2026 00:00:00 GMT",
        "Thu, 01  Jan 2026 00:00:00 GMT",
        "Thu, 01 Jan 2026 0:00:00 GMT",
        "Thu, 01 Jan 2026 00.00.00 GMT",
        "Thu, 01 Jan 2026 24:00:00 GMT",
        "Thu, 01 Jan 2026 00:60:00 GMT",
        "Thu, 00 Jan 2026 00:00:00 GMT",
        "Sun, 29 Feb 2026 00:00:00 GMT",
        "Fri, 01 Jan 2026 00:00:00 GMT",
        "Thu, 01 Jam 2026 00:00:00 GMT",
        "Thursday, 01-Jan-2026 00:00:00 GMT",
        "Thu, 01-Jan-26 00:00:00 GMT",
        "Thu Jan 1 00:00:00 2026",
        "Thu Jan  1 00:00:00 2026 GMT",
        "Thu, 01 Jan 2026 00:00:00 GMT, Thu, 01 Jan 2026 00:00:00 GMT",
        "2026-01-01T00:00:00Z",
        "1767225600",
        "-1",
    ] {
        check(value, None);
    }
}

#[test]
fn days_far_away_are_dates_too() {
    check("Sat, 29 Feb 2020 12:00:00 GMT", Some(1_582_977_600));
    check("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799));
    let value = HeaderValue::from_static("Mon, 01 Jan 1900 00:00:00 GMT");
    let before_1970 = SystemTime::UNIX_EPOCH - Duration::from_secs(2_208_988_800);
    assert_eq!(http_date(&value, now()), Some(before_1970));
}

proptest! {
    #[test]
    fn what_is_written_as_a_date_is_read_as_that_date(seconds in 0..253_402_300_800_u64) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let written = HeaderValue::from_str(&httpdate::fmt_http_date(time)).unwrap();
        prop_assert_eq!(http_date(&written, now()), Some(time));
    }
}
