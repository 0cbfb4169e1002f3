//! The names under which responses can be invalidated together, as the origin gives them.
//!
//! A group is one of its origin's: two responses of different authorities that name the same group have nothing in common.
//! Whoever makes a tag of it puts the authority in front.
//!
//! ```
//! use forebay_policy::groups::{groups, invalidated_groups, tags};
//! use http::{HeaderMap, HeaderValue, Method};
//!
//! let mut response = HeaderMap::new();
//! response.insert("cache-groups", HeaderValue::from_static("\"articles\", \"authors\";v=2"));
//! response.insert("surrogate-key", HeaderValue::from_static("article-42 front"));
//! assert_eq!(groups(&response), ["articles", "authors"]);
//! assert_eq!(tags(&response), ["article-42", "front"]);
//!
//! let mut answer = HeaderMap::new();
//! answer.insert("cache-group-invalidation", HeaderValue::from_static("\"articles\""));
//! assert_eq!(invalidated_groups(&Method::POST, &answer), ["articles"]);
//! assert!(invalidated_groups(&Method::GET, &answer).is_empty());
//! ```

use std::borrow::Cow;

use http::header::HeaderName;
use http::{HeaderMap, Method};

use crate::invalidate::is_safe;
use crate::structured::{Item, list, unescaped};
use crate::syntax::members;

/// The most names that one field gives. What comes after them is not read.
pub const MAX_GROUPS: usize = 128;

/// The longest name. Longer ones are not read.
pub const MAX_GROUP_BYTES: usize = 256;

/// Reads the groups that a response belongs to (Cache-Groups).
#[must_use]
pub fn groups(response: &HeaderMap) -> Vec<Cow<'_, str>> {
    strings(response, &CACHE_GROUPS)
}

/// Reads the groups that an answer invalidates (Cache-Group-Invalidation).
///
/// Like any invalidation, it takes effect only where [`invalidation`](crate::invalidate::invalidation) requires one.
#[must_use]
pub fn invalidated_groups<'a>(method: &Method, response: &'a HeaderMap) -> Vec<Cow<'a, str>> {
    //= https://www.rfc-editor.org/rfc/rfc9875#section-3
    //# The Cache-Group-Invalidation header field MUST be ignored on responses to requests that have a safe
    //# method (e.g., GET; see Section 9.2.1 of [HTTP]).
    if is_safe(method) {
        return Vec::new();
    }
    strings(response, &CACHE_GROUP_INVALIDATION)
}

/// Reads the tags of a response that CDNs know: Surrogate-Key, separated by spaces, and Cache-Tag, separated by commas.
#[must_use]
pub fn tags(response: &HeaderMap) -> Vec<&str> {
    let keys = response.get_all(&SURROGATE_KEY).iter();
    let keys = keys.flat_map(|line| line.as_bytes().split(|byte| matches!(byte, b' ' | b'\t')));
    let tags = response.get_all(&CACHE_TAG).iter().flat_map(|line| members(line.as_bytes()));
    let (keys, tags) = (keys.filter(|key| !key.is_empty()), tags.filter(|tag| !tag.is_empty()));
    let read = keys.take(MAX_GROUPS).chain(tags.take(MAX_GROUPS));
    read.filter(|tag| tag.len() <= MAX_GROUP_BYTES).filter_map(|tag| std::str::from_utf8(tag).ok()).collect()
}

/// A List of Strings. A member of another type makes the field void, as a malformed one does.
//= https://www.rfc-editor.org/rfc/rfc9875#section-2
//# The Cache-Groups response header field is a List of Strings (Sections 3.1 and 3.3.3 of [STRUCTURED-
//# FIELDS]).
//
//= https://www.rfc-editor.org/rfc/rfc9875#section-3
//# The Cache-Group-Invalidation response header field is a List of Strings (Sections 3.1 and 3.3.3 of
//# [STRUCTURED-FIELDS]).
//
//= https://www.rfc-editor.org/rfc/rfc9875#section-2
//# The ordering of members is not significant. Unrecognised Parameters are to be ignored.
//
//= https://www.rfc-editor.org/rfc/rfc9875#section-3
//# The ordering of members is not significant. Unrecognised Parameters are to be ignored.
//
//= https://www.rfc-editor.org/rfc/rfc9875#section-3
//# Implementations MUST support at least 32 groups in a field value, with up to at least 32 characters
//# in each member.
//
//= https://www.rfc-editor.org/rfc/rfc9875#section-2
//# Implementations MUST support at least 32 groups in a field value, with up to at least 32 characters
//# in each member.
fn strings<'a>(response: &'a HeaderMap, name: &HeaderName) -> Vec<Cow<'a, str>> {
    let (mut found, mut only_strings) = (Vec::new(), true);
    let members = list(response.get_all(name), |item| match item {
        //= https://www.rfc-editor.org/rfc/rfc9875#section-2.1
        //# They both contain a Cache-Groups response header field that contains the same String (in any
        //# position in the List), when compared character-by-character (case sensitive).
        Item::String(raw) if raw.len() <= MAX_GROUP_BYTES && found.len() < MAX_GROUPS => {
            found.push(unescaped(raw));
        }
        Item::String(_) => {}
        _ => only_strings = false,
    });
    if members.is_err() || !only_strings {
        found.clear();
    }
    found
}

const CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");
const CACHE_GROUP_INVALIDATION: HeaderName = HeaderName::from_static("cache-group-invalidation");
const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");
const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");
