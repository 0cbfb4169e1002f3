//! Age, and with Date the age at arrival.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use forebay_policy::age::{Times, initial_age};
use forebay_policy::date::date;
use http::header::{AGE, DATE, HeaderMap};

use crate::input::{first_line, message, numbers, time};

/// The age at arrival: what RFC 9111 4.2.3 computes, at most 2^31 seconds, and never less for more of it.
///
/// # Panics
/// Where that does not hold.
pub fn age(data: &[u8]) {
    let (clock, rest) = first_line(data);
    let mut numbers = numbers(clock);
    let mut next = || time(numbers.next().unwrap_or(NOW));
    let times = Times { requested: next(), received: next() };
    let fields = message(rest);
    let age = initial_age(&fields, times);
    assert!(age <= MAX);
    assert_eq!(age, naive(&fields, times));

    let mut undated = fields.clone();
    undated.remove(DATE);
    assert!(initial_age(&undated, times) <= age);
    let mut fresh = fields;
    fresh.remove(AGE);
    assert!(initial_age(&fresh, times) <= age);
}

const NOW: u64 = 1_767_225_600;
const MAX: Duration = Duration::from_secs(1 << 31);

fn naive(fields: &HeaderMap, Times { requested, received }: Times) -> Duration {
    let seconds = |time: SystemTime| match time.duration_since(UNIX_EPOCH) {
        Ok(past) => i128::from(past.as_secs()),
        Err(before) => -i128::from(before.duration().as_secs()),
    };
    let apparent = date(fields, received).map_or(0, |date| seconds(received) - seconds(date));
    let corrected = i128::from(said(fields)) + (seconds(received) - seconds(requested)).max(0);
    let age = apparent.max(corrected).clamp(0, i128::from(MAX.as_secs()));
    Duration::from_secs(u64::try_from(age).unwrap_or_default())
}

/// The first member that is not empty, where it is a number. Commas in quotes separate nothing, and what is quoted is none.
fn said(fields: &HeaderMap) -> u64 {
    let lines = fields.get_all(AGE).iter();
    let members = lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
    let mut members = members.map(|member| {
        let text = String::from_utf8_lossy(member).into_owned();
        text.trim_matches([' ', '\t']).to_owned()
    });
    let Some(first) = members.find(|member| !member.is_empty()) else { return 0 };
    if !first.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    let significant = first.trim_start_matches('0');
    if significant.len() > 10 { MAX.as_secs() } else { significant.parse().unwrap_or(0).min(MAX.as_secs()) }
}
