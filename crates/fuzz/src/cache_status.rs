//! Cache-Status as it is written, against a reader of structured fields.

use forebay_policy::reuse::Forward;
use forebay_policy::status::{CACHE_STATUS, CacheName, CacheStatus, Collapsed, Forwarded, Outcome};
use http::header::{HeaderMap, HeaderValue};
use sfv::{BareItem, List, ListEntry, Parser};

use crate::input::{first_line, numbers, text};

/// Whatever name and numbers are given, another reader finds one member with just these, and what upstream has said is
/// still there.
///
/// # Panics
/// Where that does not hold.
pub fn cache_status(data: &[u8]) {
    let (given, rest) = first_line(data);
    let name = text(first_line(rest).0);
    let numbers: Vec<u64> = numbers(given).collect();
    let Ok(named) = CacheName::new(name) else { return };
    let outcome = outcome(numbers.first().copied().unwrap_or(0), numbers.get(1).copied());
    let ttl = numbers.get(2).map(|ttl| i64::from_le_bytes(ttl.to_le_bytes()));
    let status = CacheStatus { name: &named, outcome, ttl, detail: Some("l1") };
    let written = status.to_header_value();
    let list = Parser::new(written.as_bytes()).parse::<List>();
    let Ok([ListEntry::Item(item)]) = list.as_deref() else { panic!("{written:?} is one member") };
    assert_eq!(said(&item.bare_item), name);
    assert_eq!(item.params.get("hit").is_some(), outcome == Outcome::Hit);
    assert_eq!(item.params.get("fwd").is_some(), matches!(outcome, Outcome::Forwarded(_)));
    assert_eq!(item.params.get("detail").map(said), Some("l1"));
    let number = |key: &str| item.params.get(key).and_then(BareItem::as_integer).map(i64::from);
    if let (Some(ttl), Some(said)) = (ttl, number("ttl")) {
        assert!(said == ttl || ttl.unsigned_abs() >= 1_000_000_000_000_000, "{written:?}");
    }
    let mut response = HeaderMap::new();
    response.append(CACHE_STATUS, HeaderValue::from_static("upstream; hit"));
    status.append_to(&mut response);
    assert_eq!(
        response.get_all(CACHE_STATUS).iter().collect::<Vec<_>>(),
        ["upstream; hit".as_bytes(), written.as_bytes()]
    );
}

fn outcome(which: u64, code: Option<u64>) -> Outcome {
    let reasons = [
        Forward::Bypass,
        Forward::Method,
        Forward::UriMiss,
        Forward::VaryMiss,
        Forward::Stale,
        Forward::Partial,
    ];
    let collapsed = [Collapsed::No, Collapsed::Yes, Collapsed::Failed];
    match which {
        0 => Outcome::Hit,
        1 => Outcome::Generated,
        other => Outcome::Forwarded(Forwarded {
            reason: reasons[usize::try_from(other % 6).unwrap_or(0)],
            status: code.and_then(|code| u16::try_from(code).ok()),
            stored: other % 2 == 0,
            collapsed: collapsed[usize::try_from(other % 3).unwrap_or(0)],
        }),
    }
}

/// The text of a String or Token.
fn said(item: &BareItem) -> &str {
    match item {
        BareItem::String(text) => text.as_str(),
        BareItem::Token(text) => text.as_str(),
        other => panic!("{other:?} is no text"),
    }
}
