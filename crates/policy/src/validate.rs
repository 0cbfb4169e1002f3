//! The client's own conditions, answered from a stored response.
//!
//! ```
//! use std::time::SystemTime;
//! use forebay_policy::validate::{Precondition, evaluate, not_modified_fields};
//! use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
//!
//! let mut stored = HeaderMap::new();
//! stored.insert(header::ETAG, HeaderValue::from_static("\"v7\""));
//! stored.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
//! let mut request = HeaderMap::new();
//! request.insert(header::IF_NONE_MATCH, HeaderValue::from_static("W/\"v7\", \"v6\""));
//!
//! let verdict = evaluate(&Method::GET, &request, StatusCode::OK, &stored, SystemTime::UNIX_EPOCH);
//! assert_eq!(verdict, Precondition::NotModified);
//! let fields = not_modified_fields(&stored);
//! assert!(fields.contains_key(header::ETAG) && !fields.contains_key(header::CONTENT_TYPE));
//! ```

use std::time::SystemTime;

use http::header::{
    CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName,
    HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED,
};
use http::{HeaderMap, Method, StatusCode};

use crate::date::{date, single_date};
use crate::syntax::{EntityTag, entity_tag, trim_ows};

/// The client's conditions that the cache answers itself, to be taken out of a fetch whose answer may be stored: a 304
/// from the origin would leave nothing to store.
pub const CONDITIONAL_FIELDS: [HeaderName; 3] = [IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_RANGE];

/// What the client's conditions come to.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// The client already has this response: answer 304.
    NotModified,
    /// Answer with the stored response.
    Proceed,
}

/// Evaluates the client's conditions against a stored response that may answer the request.
///
/// `received` is when the stored response arrived.
#[must_use]
pub fn evaluate(
    method: &Method,
    request: &HeaderMap,
    status: StatusCode,
    stored: &HeaderMap,
    received: SystemTime,
) -> Precondition {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-13.2.1
    //# A server MUST ignore all received preconditions if its response to the same request without
    //# those conditions, prior to processing the request content, would have been a status code other than
    //# a 2xx (Successful) or 412 (Precondition Failed).
    //= https://www.rfc-editor.org/rfc/rfc9110#section-13.2.1
    //# Likewise, a server MUST ignore the conditional request header fields defined by this specification
    //# when received with a request method that does not involve the selection or modification of a
    //# selected representation, such as CONNECT, OPTIONS, or TRACE.
    if status != StatusCode::OK || (method != Method::GET && method != Method::HEAD) {
        return Precondition::Proceed;
    }
    //= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.3
    //# A recipient MUST ignore If-Modified-Since if the request contains an If-None-Match header field;
    //# the condition in If-None-Match is considered to be a more accurate replacement for the condition in
    //# If-Modified-Since, and the two are only combined for the sake of interoperating with older
    //# intermediaries that might not implement If-None-Match.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-13.2.2
    //# When If-None-Match is present, evaluate the If-None-Match precondition:
    //
    //= https://www.rfc-editor.org/rfc/rfc9110#section-13.2.2
    //# When the method is GET or HEAD, If-None-Match is not present, and If-Modified-Since is present,
    //# evaluate the If-Modified-Since precondition:
    //
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.2
    //# If a cache receives a request that can be satisfied by reusing a stored 200 (OK) or 206 (Partial
    //# Content) response, as per Section 4, the cache SHOULD evaluate any applicable conditional header
    //# field preconditions received in that request with respect to the corresponding validators contained
    //# within the stored response.
    let not_modified = if request.contains_key(IF_NONE_MATCH) {
        any_tag_matches(request, stored)
    } else {
        not_modified_since(request, stored, received)
    };
    if not_modified { Precondition::NotModified } else { Precondition::Proceed }
}

/// Whether If-None-Match is false, that is, names what is stored. A list with an error in it names nothing.
fn any_tag_matches(request: &HeaderMap, stored: &HeaderMap) -> bool {
    let lines = || request.get_all(IF_NONE_MATCH).iter().map(HeaderValue::as_bytes);
    //= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
    //# If the field value is "*", the condition is false if the origin server has a current
    //# representation for the target resource.
    if lines().all(|line| trim_ows(line) == b"*") {
        return lines().count() == 1;
    }
    //= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
    //# If the field value is a list of entity tags, the condition is false if one of the listed tags
    //# matches the entity tag of the selected representation.
    let Some(own) = entity_tag(stored) else { return false };
    let mut found = false;
    for tag in lines().flat_map(tags) {
        match tag {
            //= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
            //# A recipient MUST use the weak comparison function when comparing entity tags for If-None-Match (
            //# Section 8.8.3.2), since weak entity tags can be used for cache validation even if there have been
            //# changes to the representation data.
            Some(tag) => found |= tag.weakly_equals(own),
            None => return false,
        }
    }
    found
}

/// Iterates over a list of entity tags; `None` where the list is broken, which ends it.
fn tags(line: &[u8]) -> impl Iterator<Item = Option<EntityTag<'_>>> {
    let mut rest = line;
    std::iter::from_fn(move || {
        while let [b',' | b' ' | b'\t', tail @ ..] = rest {
            rest = tail;
        }
        if rest.is_empty() {
            return None;
        }
        let split = EntityTag::split(rest).and_then(|(tag, tail)| {
            let tail = trim_ows(tail);
            (tail.is_empty() || tail.starts_with(b",")).then_some((tag, tail))
        });
        rest = split.map_or(&[], |(_, tail)| tail);
        Some(split.map(|(tag, _)| tag))
    })
}

fn not_modified_since(request: &HeaderMap, stored: &HeaderMap, received: SystemTime) -> bool {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.3
    //# A recipient MUST ignore the If-Modified-Since header field if the received field value is not a
    //# valid HTTP-date, the field value has more than one member, or if the request method is neither GET
    //# nor HEAD.
    let Some(since) = single_date(request, &IF_MODIFIED_SINCE, received) else { return false };
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.2
    //# If a request contains an If-Modified-Since header field and the Last-Modified header field is not
    //# present in a stored response, a cache SHOULD use the stored response's Date field value (or, if no
    //# Date field is present, the time that the stored response was received) to evaluate the conditional.
    let modified = if stored.contains_key(LAST_MODIFIED) {
        single_date(stored, &LAST_MODIFIED, received)
    } else {
        Some(date(stored, received).unwrap_or(received))
    };
    //= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.3
    //# If the selected representation's last modification date is earlier or equal to the date
    //# provided in the field value, the condition is false.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.3
    //# A recipient MUST interpret an If-Modified-Since field value's timestamp in terms of the origin
    //# server's clock.
    modified.is_some_and(|modified| modified <= since)
}

/// Returns the fields of a stored response that a 304 carries.
///
/// Only what describes the representation is left out. What speaks to the client about the exchange stays, such as
/// Access-Control-Allow-Origin: without it a browser hides the 304 from the page that asked.
#[must_use]
pub fn not_modified_fields(stored: &HeaderMap) -> HeaderMap {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-15.4.5
    //# The server generating a 304 response MUST generate any of the following header fields that would
    //# have been sent in a 200 (OK) response to the same request:
    //
    //= https://www.rfc-editor.org/rfc/rfc9110#section-15.4.5
    //# Since the goal of a 304 response is to minimize information transfer when the recipient already has
    //# one or more cached representations, a sender SHOULD NOT generate representation metadata other than
    //# the above listed fields unless said metadata exists for the purpose of guiding cache updates (e.g.,
    //# Last-Modified might be useful if the response does not have an ETag field).
    let has_tag = stored.contains_key(ETAG);
    let mut fields = HeaderMap::with_capacity(stored.keys_len());
    for (name, value) in stored {
        let left_out = REPRESENTATION_METADATA.contains(name) || (has_tag && *name == LAST_MODIFIED);
        if !left_out {
            fields.append(name, value.clone());
        }
    }
    fields
}

const REPRESENTATION_METADATA: [HeaderName; 7] = [
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];
