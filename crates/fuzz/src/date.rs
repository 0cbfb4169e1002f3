//! Dates: Date, Expires and Last-Modified.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use forebay_policy::date::{date as date_of, http_date};
use forebay_policy::directives::CacheControl;
use forebay_policy::freshness::Explicit;
use http::header::{DATE, EXPIRES, HeaderMap, HeaderValue};

use crate::input::{first_line, lines_of, numbers, time, values};

/// Dates: whole seconds, the same in any case, close to now where the year has two digits, and one that is written in any of
/// the three forms is read as the time that it was.
///
/// # Panics
/// Where that does not hold.
pub fn date(data: &[u8]) {
    let (clock, lines) = first_line(data);
    let mut numbers = numbers(clock);
    let now = time(numbers.next().unwrap_or(NOW));
    values(lines).for_each(|value| check_value(&value, now));
    numbers.for_each(|seconds| check_round_trip(time(seconds), now));

    let fields = lines_of(&DATE, lines);
    let read: Vec<SystemTime> = values(lines).take(200).filter_map(|value| http_date(&value, now)).collect();
    assert_eq!(date_of(&fields, now), read.iter().min().copied());
    check_expires(lines, now);
}

const NOW: u64 = 1_767_225_600;

fn check_value(value: &HeaderValue, now: SystemTime) {
    let read = http_date(value, now);
    for other in [value.as_bytes().to_ascii_uppercase(), value.as_bytes().to_ascii_lowercase()] {
        let other = HeaderValue::from_bytes(&other).expect("letters for letters");
        assert_eq!(http_date(&other, now), read);
    }
    let Some(read) = read else { return };
    let two_digits = value.as_bytes().contains(&b'-');
    let distance = read.duration_since(now).unwrap_or_else(|before| before.duration());
    assert!(!two_digits || distance < 51 * YEAR, "at most fifty years from now");
    let Ok(past) = read.duration_since(UNIX_EPOCH) else { return };
    assert_eq!(past.subsec_nanos(), 0);
    check_round_trip(read, now);
    // The reference does not know weekdays that are wrong from right ones, nor every case of letters.
    if let Some(other) = value.to_str().ok().and_then(|text| httpdate::parse_http_date(text).ok())
        && !two_digits
    {
        assert_eq!(other, read);
    }
}

/// Years that have four digits can be written in two of the forms, those around now in three.
fn check_round_trip(at: SystemTime, now: SystemTime) {
    let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // There is no way to write a later year.
    if time(seconds) != at {
        return;
    }
    let fixdate = httpdate::fmt_http_date(at);
    let [weekday, day, month, year, clock, _] = fixdate.splitn(6, ' ').collect::<Vec<_>>()[..] else {
        panic!("six words");
    };
    let weekday = weekday.trim_end_matches(',');
    let asctime = format!("{weekday} {month} {:>2} {clock} {year}", day.trim_start_matches('0'));
    let long = WEEKDAYS[usize::try_from((seconds / DAY + 3) % 7).unwrap_or_default()];
    let rfc850 = format!("{long}, {day}-{month}-{} {clock} GMT", &year[2..]);
    for written in [fixdate, asctime] {
        assert_eq!(http_date(&text(&written), now), Some(at), "{written}");
    }
    let century = |distance: Duration| distance < 49 * YEAR;
    if at.duration_since(now).is_ok_and(century) || now.duration_since(at).is_ok_and(century) {
        assert_eq!(http_date(&text(&rfc850), now), Some(at), "{rfc850}");
    }
}

fn text(date: &str) -> HeaderValue {
    HeaderValue::from_str(date).expect("a date is a field value")
}

/// What is no date has expired, and so has what disagrees.
fn check_expires(lines: &[u8], now: SystemTime) {
    let fields = lines_of(&EXPIRES, lines);
    let explicit = Explicit::of(&CacheControl::parse(&HeaderMap::new()), &fields, now);
    let expected = fields.contains_key(EXPIRES).then(|| {
        let mut dates = values(lines).take(200).map(|value| http_date(&value, now));
        let first = dates.next().flatten();
        let agreed = first.filter(|first| dates.all(|other| other == Some(*first)));
        Explicit::Expires(agreed.and_then(|at| at.duration_since(now).ok()).unwrap_or_default())
    });
    assert_eq!(explicit, expected);
}

const DAY: u64 = 24 * 60 * 60;
const YEAR: Duration = Duration::from_secs(365 * DAY);
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
