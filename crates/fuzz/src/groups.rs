//! Cache-Groups, Cache-Group-Invalidation, and the tags of CDNs.

use forebay_policy::groups::{MAX_GROUP_BYTES, MAX_GROUPS, groups as groups_of, invalidated_groups, tags};
use http::Method;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use sfv::{BareItem, List, ListEntry, Parser};

use crate::input::{message, values};

/// Groups: those that another reader of structured fields finds, nothing from what is no List of Strings, and nothing on the
/// answer to a safe method. Tags: pieces of the fields. Neither are there more, nor longer ones, than is allowed.
///
/// # Panics
/// Where that does not hold.
pub fn groups(data: &[u8]) {
    let mut response = message(data);
    for value in values(data).take(200) {
        response.append(CACHE_GROUPS, value);
    }
    let read = groups_of(&response);
    assert!(read.len() <= MAX_GROUPS && read.iter().all(|group| group.len() <= MAX_GROUP_BYTES));
    assert_eq!(read, expected(&response));

    let mut answer = HeaderMap::new();
    for value in response.get_all(CACHE_GROUPS) {
        answer.append(INVALIDATION, value.clone());
    }
    assert_eq!(invalidated_groups(&Method::POST, &answer), read);
    assert!(invalidated_groups(&Method::GET, &answer).is_empty());
    check_tags(&response);
}

const CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");
const INVALIDATION: HeaderName = HeaderName::from_static("cache-group-invalidation");

fn expected(response: &HeaderMap) -> Vec<String> {
    let lines: Vec<_> = response.get_all(CACHE_GROUPS).iter().map(HeaderValue::as_bytes).collect();
    let mut found = Vec::new();
    for line in &lines {
        let blank = line.iter().all(|&byte| byte == b' ');
        let Ok(list) = Parser::new(*line).parse::<List>() else { return Vec::new() };
        // An empty line among others leaves a comma with nothing on one side of it.
        if blank && !lines.iter().all(|line| line.iter().all(|&byte| byte == b' ')) {
            return Vec::new();
        }
        for entry in &list {
            let ListEntry::Item(item) = entry else { return Vec::new() };
            let BareItem::String(text) = &item.bare_item else { return Vec::new() };
            found.push(text.as_str().to_owned());
        }
    }
    // The limit of the reader counts what stands between the quotes, escapes included.
    let escapes = |text: &str| text.bytes().filter(|byte| b"\"\\".contains(byte)).count();
    found.retain(|text| text.len() + escapes(text) <= MAX_GROUP_BYTES);
    found.truncate(MAX_GROUPS);
    found
}

fn check_tags(response: &HeaderMap) {
    let read = tags(response);
    assert!(read.len() <= 2 * MAX_GROUPS);
    for tag in read {
        assert!(!tag.is_empty() && tag.len() <= MAX_GROUP_BYTES);
        let mut lines = response.get_all("surrogate-key").iter().chain(response.get_all("cache-tag"));
        let holds =
            |line: &HeaderValue| line.as_bytes().windows(tag.len()).any(|piece| piece == tag.as_bytes());
        assert!(lines.any(holds), "{tag}");
    }
}
