//! The targeted fields of RFC 9213, which are Dictionaries, against another reader of structured fields.

use forebay_policy::directives::CacheControl;
use http::header::{CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use crate::input::{lines_of, two, values};

/// A targeted field takes the place of Cache-Control where it is a Dictionary that is not empty, and then says what another
/// reader finds in it; else it is as good as absent.
///
/// # Panics
/// Where that does not hold.
pub fn targeted(data: &[u8]) {
    let (targeted, plain) = two(data);
    let mut response = lines_of(&CACHE_CONTROL, plain);
    let fallback = CacheControl::of_response(&response, &[CDN]);
    assert_eq!(fallback, CacheControl::parse(&response));
    for value in values(targeted).take(200) {
        response.append(CDN, value);
    }
    let read = CacheControl::of_response(&response, &[CDN]);
    match expected(&response) {
        Some(dictionary) => check(&read, &dictionary),
        None => assert_eq!(read, fallback),
    }
    // A field in front that cannot be read changes nothing, and one behind is not looked at.
    response.append(OTHER, HeaderValue::from_static("no-store, max-age="));
    assert_eq!(CacheControl::of_response(&response, &[OTHER, CDN]), read);
    response.insert(OTHER, HeaderValue::from_static("no-store"));
    if read.targeted {
        assert_eq!(CacheControl::of_response(&response, &[CDN, OTHER]), read);
    }
}

const CDN: HeaderName = HeaderName::from_static("cdn-cache-control");
const OTHER: HeaderName = HeaderName::from_static("other-cache-control");

/// The members of all lines. Each of them has to parse alone, which RFC 9651 4.2 allows to ask for.
fn expected(response: &HeaderMap) -> Option<Dictionary> {
    let lines: Vec<_> = response.get_all(CDN).iter().map(HeaderValue::as_bytes).collect();
    let parsed =
        lines.iter().map(|line| Parser::new(*line).parse::<Dictionary>().ok()).collect::<Option<Vec<_>>>();
    if parsed.is_some_and(|parsed| parsed.len() > 1 && parsed.iter().any(Dictionary::is_empty)) {
        let all_empty = lines.iter().all(|line| line.iter().all(|byte| *byte == b' '));
        assert!(all_empty || Parser::new(&joined(&lines)).parse::<Dictionary>().is_err());
        return None;
    }
    lines.iter().try_for_each(|line| Parser::new(*line).parse::<Dictionary>().map(drop)).ok()?;
    Parser::new(&joined(&lines)).parse().ok().filter(|members: &Dictionary| !members.is_empty())
}

fn joined(lines: &[&[u8]]) -> Vec<u8> {
    lines.join(&b","[..])
}

fn check(read: &CacheControl, dictionary: &Dictionary) {
    assert!(read.targeted && !read.malformed);
    let item = |name: &str| {
        dictionary.get(name).map(|entry| match entry {
            ListEntry::Item(item) => Some(&item.bare_item),
            ListEntry::InnerList(_) => None,
        })
    };
    let seconds = |name| item(name).map(|item| item.map_or(0, naive_seconds));
    assert_eq!(read.max_age, seconds("max-age"));
    assert_eq!(read.s_maxage, seconds("s-maxage"));
    assert_eq!(read.stale_if_error, seconds("stale-if-error"));
    assert_eq!(read.stale_while_revalidate, seconds("stale-while-revalidate"));
    let boolean = |name| item(name).map(|item| item.and_then(BareItem::as_boolean));
    let forbids = |name| boolean(name).is_some_and(|value| value != Some(false));
    assert_eq!((read.no_store, read.no_cache), (forbids("no-store"), forbids("no-cache")));
    assert_eq!((read.private, read.must_revalidate), (forbids("private"), forbids("must-revalidate")));
    let permits = |name| boolean(name) == Some(Some(true));
    assert_eq!((read.public, read.immutable), (permits("public"), permits("immutable")));
}

fn naive_seconds(item: &BareItem) -> u32 {
    let seconds = item.as_integer().map_or(0, i64::from);
    u32::try_from(seconds.clamp(0, 1 << 31)).unwrap_or(0)
}
