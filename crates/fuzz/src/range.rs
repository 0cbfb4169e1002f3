//! Range and If-Range.

use std::ops::Range;

use forebay_policy::partial::{Multipart, covers, select_within, single_fields};
use forebay_policy::range::{ContentRange, MAX_RANGES, Selection, select};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, RANGE};

use crate::input::{first_line, message, numbers, two};

/// Selected ranges: within the representation, never empty, apart from each other, at most sixteen, and all the bytes that a
/// naive reading finds to be asked for. A stored part answers only with what it holds.
///
/// # Panics
/// Where that does not hold.
pub fn range(data: &[u8]) {
    let (sizes, rest) = first_line(data);
    let mut sizes = numbers(sizes);
    let length = sizes.next().unwrap_or(1000);
    let (request, stored) = two(rest);
    let (request, stored) = (message(request), message(stored));
    let selection = select(&request, &stored, length);
    match &selection {
        Selection::Single(part) => check_parts(std::slice::from_ref(part), length),
        Selection::Multiple(parts) => {
            assert!((2..=MAX_RANGES).contains(&parts.len()));
            check_parts(parts, length);
            check_multipart(parts, length, &request, &stored);
        }
        Selection::Unsatisfiable => assert!(length > 0),
        Selection::Whole => {}
        other => panic!("{other:?}"),
    }
    if let Some(asked) = naive(&request, length) {
        check_naive(&selection, &asked);
    }
    check_held(&request, &stored, length, sizes.next().unwrap_or(0), sizes.next().unwrap_or(length));
    check_if_range(&request, &stored, length);
}

fn check_parts(parts: &[Range<u64>], length: u64) {
    assert!(parts.iter().all(|part| part.start < part.end && part.end <= length));
    for (at, part) in parts.iter().enumerate() {
        assert!(parts[at + 1..].iter().all(|other| part.end < other.start || other.end < part.start));
        let stored = HeaderMap::new();
        let fields = single_fields(&stored, &stored, part, length);
        let written = ContentRange { range: part.clone(), complete: Some(length) };
        assert_eq!(ContentRange::parse(&fields[CONTENT_RANGE]), Some(written));
        assert_eq!(fields[CONTENT_LENGTH], (part.end - part.start).to_string());
    }
}

/// The announced length is that of what is sent.
fn check_multipart(parts: &[Range<u64>], complete: u64, request: &HeaderMap, stored: &HeaderMap) {
    // Beyond that no sum of parts can be counted, nor can a body be held.
    if complete > 1 << 60 {
        return;
    }
    let multipart = Multipart { boundary: "THIS_SEPARATES", complete, stored };
    let framed: u64 =
        parts.iter().map(|part| multipart.head(part).len() as u64 + part.end - part.start).sum();
    let fields = multipart.fields(request, parts);
    assert_eq!(fields[CONTENT_LENGTH], (framed + multipart.end().len() as u64).to_string());
    assert!(!fields.contains_key(CONTENT_RANGE));
}

/// The ranges that are asked for and exist, where the value is plain; nothing where it is not, or depends on If-Range.
fn naive(request: &HeaderMap, length: u64) -> Option<Vec<Range<u64>>> {
    let mut lines = request.get_all(RANGE).iter();
    let value = lines.next()?.to_str().ok()?.to_lowercase();
    if lines.next().is_some() || request.contains_key(IF_RANGE) || length == 0 {
        return None;
    }
    let mut out = Vec::new();
    let members: Vec<&str> =
        value.strip_prefix("bytes=")?.split(',').map(|member| member.trim_matches([' ', '\t'])).collect();
    if members.len() > MAX_RANGES || members.iter().any(|member| member.is_empty()) {
        return None;
    }
    for member in members {
        let (first, last) = member.split_once('-')?;
        if !first.bytes().chain(last.bytes()).all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let range = match (first.parse::<u128>().ok(), last.parse::<u128>().ok()) {
            (Some(first), Some(last)) if first <= last => first..(last + 1).min(length.into()),
            (Some(first), None) if last.is_empty() => first..length.into(),
            (None, Some(last)) if first.is_empty() => u128::from(length).saturating_sub(last)..length.into(),
            _ => return None,
        };
        if !range.is_empty() {
            out.push(u64::try_from(range.start).ok()?..u64::try_from(range.end).ok()?);
        }
    }
    Some(out)
}

fn check_naive(selection: &Selection, asked: &[Range<u64>]) {
    let parts: &[Range<u64>] = match selection {
        Selection::Single(part) => std::slice::from_ref(part),
        Selection::Multiple(parts) => parts,
        Selection::Unsatisfiable => return assert!(asked.is_empty()),
        _ => panic!("a plain value is not ignored"),
    };
    assert!(asked.iter().all(|wanted| parts.iter().any(|part| covers(part, wanted))));
    // Each part begins and ends where something asked for does.
    for part in parts {
        assert!(asked.iter().any(|wanted| wanted.start == part.start));
        assert!(asked.iter().any(|wanted| wanted.end == part.end));
    }
}

fn check_held(request: &HeaderMap, stored: &HeaderMap, length: u64, first: u64, end: u64) {
    let held = ContentRange { range: first..end.min(length), complete: Some(length) };
    match select_within(request, stored, &held) {
        Some(Selection::Single(part)) => assert!(covers(&held.range, &part)),
        Some(Selection::Multiple(parts)) => assert!(parts.iter().all(|part| covers(&held.range, part))),
        Some(Selection::Whole) => assert!(covers(&held.range, &(0..length))),
        _ => {}
    }
    assert_eq!(select_within(request, stored, &ContentRange { complete: None, ..held }), None);
}

/// An If-Range that is false gives the whole, and a weak entity tag is never true.
fn check_if_range(request: &HeaderMap, stored: &HeaderMap, length: u64) {
    let mut conditional = request.clone();
    let Some(tag) = stored.get(ETAG) else { return };
    conditional.insert(IF_RANGE, tag.clone());
    let selection = select(&conditional, stored, length);
    let mut plain = request.clone();
    plain.remove(IF_RANGE);
    if tag.as_bytes().starts_with(b"W/") {
        assert_eq!(selection, Selection::Whole);
    } else {
        assert!(selection == Selection::Whole || selection == select(&plain, stored, length));
    }
}
