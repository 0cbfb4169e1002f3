//! How the bytes of an input become fields. Inputs are text where they can be, so that corpora can be read: a line for each
//! value or `name: value`, an empty line between one message and the next.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// Every line that can be a field value.
pub(crate) fn values(data: &[u8]) -> impl Iterator<Item = HeaderValue> {
    data.split(|&byte| byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok())
}

/// A message with this field only, one line of it for each line of the input.
pub(crate) fn lines_of(name: &HeaderName, data: &[u8]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for value in values(data).take(MOST_LINES) {
        fields.append(name, value);
    }
    fields
}

/// A message from lines `name: value`; other lines are left out.
pub(crate) fn message(data: &[u8]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for line in data.split(|&byte| byte == b'\n').take(MOST_LINES) {
        if let Some((name, value)) = field(line) {
            fields.append(name, value);
        }
    }
    fields
}

fn field(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let value = line[colon + 1..].trim_ascii_start();
    Some((HeaderName::from_bytes(&line[..colon]).ok()?, HeaderValue::from_bytes(value).ok()?))
}

/// What stands before the first empty line, and what stands behind it.
pub(crate) fn two(data: &[u8]) -> (&[u8], &[u8]) {
    match data.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&data[..at], &data[at + 2..]),
        None => (data, &[]),
    }
}

/// The first line, and the rest.
pub(crate) fn first_line(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|&byte| byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[]),
    }
}

/// The decimal numbers of a line, whatever stands between them. Those too large for the type are left out.
pub(crate) fn numbers(line: &[u8]) -> impl Iterator<Item = u64> {
    let words = line.split(|byte| !byte.is_ascii_digit());
    words.filter_map(|word| std::str::from_utf8(word).ok()?.parse().ok())
}

/// A time within the years that any platform can hold.
pub(crate) fn time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds % LAST_SECOND)
}

/// An input is read as text only where it is text.
pub(crate) fn text(data: &[u8]) -> &str {
    std::str::from_utf8(data).unwrap_or_default()
}

const MOST_LINES: usize = 200;
/// The first second of the year 10000.
const LAST_SECOND: u64 = 253_402_300_800;
