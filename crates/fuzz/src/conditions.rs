//! Entity tags, If-None-Match and If-Modified-Since.

use forebay_policy::validate::{Precondition, evaluate, not_modified_fields};
use http::header::{ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use http::{Method, StatusCode};

use crate::input::{first_line, message, numbers, time, two};

/// A client's conditions: not modified only where an entity tag or a date says so, always where the stored one is repeated,
/// never for other methods and statuses. A 304 has no fields that the stored response has not.
///
/// # Panics
/// Where that does not hold.
pub fn conditions(data: &[u8]) {
    let (clock, rest) = first_line(data);
    let received = time(numbers(clock).next().unwrap_or(1_767_225_600));
    let (request, stored) = two(rest);
    let (request, stored) = (message(request), message(stored));
    let judge = |request: &HeaderMap| evaluate(&Method::GET, request, StatusCode::OK, &stored, received);

    let verdict = judge(&request);
    assert_eq!(evaluate(&Method::HEAD, &request, StatusCode::OK, &stored, received), verdict);
    assert_eq!(evaluate(&Method::POST, &request, StatusCode::OK, &stored, received), Precondition::Proceed);
    assert_eq!(
        evaluate(&Method::GET, &request, StatusCode::NOT_FOUND, &stored, received),
        Precondition::Proceed
    );
    assert_eq!(judge(&HeaderMap::new()), Precondition::Proceed);
    if verdict == Precondition::NotModified {
        check_cause(&request, &stored);
    }
    check_own_tag(&stored, judge);

    let fields = not_modified_fields(&stored);
    assert!(fields.keys().all(|name| fields.get_all(name).iter().eq(stored.get_all(name))));
    assert_eq!(fields.contains_key(ETAG), stored.contains_key(ETAG));
}

/// If-None-Match holds the stored tag's text, or a star; without it, there is one date.
fn check_cause(request: &HeaderMap, stored: &HeaderMap) {
    if !request.contains_key(IF_NONE_MATCH) {
        assert_eq!(request.get_all(IF_MODIFIED_SINCE).iter().count(), 1);
        assert!(stored.get_all(LAST_MODIFIED).iter().count() <= 1);
        return;
    }
    let lines = || request.get_all(IF_NONE_MATCH).iter();
    let star = lines().any(|line| line.as_bytes().trim_ascii() == b"*");
    let opaque = stored.get(ETAG).and_then(|tag| opaque(tag));
    let held =
        |opaque: &[u8]| lines().any(|line| line.as_bytes().windows(opaque.len()).any(|part| part == opaque));
    assert!(star || opaque.is_some_and(held));
}

/// The tag with its quotes, if it is one.
fn opaque(tag: &HeaderValue) -> Option<&[u8]> {
    let bytes = trimmed(tag.as_bytes());
    let bytes = bytes.strip_prefix(b"W/").unwrap_or(bytes);
    let inner = bytes.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let valid = inner.iter().all(|&byte| byte > b' ' && byte != b'"' && byte != 0x7f);
    valid.then_some(bytes)
}

fn trimmed(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', inner @ ..] | [inner @ .., b' ' | b'\t'] = bytes {
        bytes = inner;
    }
    bytes
}

/// The stored tag, strong or weak, alone or in a list, is always known again; what is no entity tag never is.
fn check_own_tag(stored: &HeaderMap, judge: impl Fn(&HeaderMap) -> Precondition) {
    let mut tags = stored.get_all(ETAG).iter();
    let (Some(tag), None) = (tags.next(), tags.next()) else { return };
    let Some(opaque) = opaque(tag) else { return };
    let lists = [opaque.to_vec(), [b"W/", opaque].concat(), [b"\"other\", ,", opaque, b" ,"].concat()];
    for list in lists {
        let mut request = HeaderMap::new();
        request.insert(IF_NONE_MATCH, HeaderValue::from_bytes(&list).expect("bytes of a field value"));
        assert_eq!(judge(&request), Precondition::NotModified, "{request:?}");
        request.append(IF_NONE_MATCH, HeaderValue::from_static("\"open"));
        assert_eq!(judge(&request), Precondition::Proceed, "{request:?}");
    }
}
