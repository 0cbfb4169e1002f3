//! Validation from the cache's side: what it asks with, and what the answer changes.
//!
//! ```
//! use forebay_policy::profile::SetCookie;
//! use forebay_policy::update::{Freshens, conditions, freshens, update};
//! use http::{HeaderMap, HeaderValue, header};
//!
//! let mut stored = HeaderMap::new();
//! stored.insert(header::ETAG, HeaderValue::from_static("\"v7\""));
//! stored.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
//! stored.insert(header::CONTENT_LENGTH, HeaderValue::from_static("1024"));
//!
//! // The stored response is stale: ask whether it still holds.
//! let mut request = HeaderMap::new();
//! conditions(&stored, &mut request);
//! assert_eq!(request[header::IF_NONE_MATCH], "\"v7\"");
//!
//! // 304: it does, and for longer.
//! let mut answer = HeaderMap::new();
//! answer.insert(header::ETAG, HeaderValue::from_static("\"v7\""));
//! answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=600"));
//! assert_eq!(freshens(&stored, &answer), Freshens::Yes);
//! let fields = update(&stored, &answer, SetCookie::Refuse);
//! assert_eq!(fields[header::CACHE_CONTROL], "max-age=600");
//! assert_eq!(fields[header::CONTENT_LENGTH], "1024");
//! ```

use http::header::{
    AGE, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, DATE, ETAG, HeaderName, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LAST_MODIFIED, SET_COOKIE,
};
use http::{HeaderMap, StatusCode};

use crate::date::{comparable_date, is_strong_date};
use crate::fields::strip_hop_by_hop;
use crate::profile::SetCookie;
use crate::syntax::{digits, entity_tag, single};

/// Whether a stored response can be validated: it has an entity tag or a date of modification.
#[must_use]
pub fn has_validator(stored: &HeaderMap) -> bool {
    entity_tag(stored).is_some() || comparable_date(stored, &LAST_MODIFIED).is_some()
}

/// Makes a request one that validates a stored response, in the place of the conditions the client may have set.
///
/// A request without conditions goes out when the stored response has no validator.
pub fn conditions(stored: &HeaderMap, request: &mut HeaderMap) {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
    //# When a client desires to update one or more stored responses that have entity tags, the client
    //# SHOULD generate an If-None-Match header field containing a list of those entity tags when making a
    //# GET request; this allows recipient servers to send a 304 (Not Modified) response to indicate when
    //# one of those stored responses matches the selected representation.
    request.remove(IF_NONE_MATCH);
    request.remove(IF_MODIFIED_SINCE);
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.1
    //# MUST send the relevant entity tags (using If-Match, If-None-Match, or If-Range) if the entity
    //# tags were provided in the stored response(s) being validated.
    if entity_tag(stored).is_some()
        && let Some(tag) = stored.get(ETAG)
    {
        request.insert(IF_NONE_MATCH, tag.clone());
    }
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.1
    //# SHOULD send the Last-Modified value (using If-Modified-Since) if the request is not for a
    //# subrange, a single stored response is being validated, and that response contains a
    //# Last-Modified value.
    if comparable_date(stored, &LAST_MODIFIED).is_some()
        && let Some(modified) = stored.get(LAST_MODIFIED)
    {
        request.insert(IF_MODIFIED_SINCE, modified.clone());
    }
}

/// Whether a 304 is about a stored response.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshens {
    /// It is: [`update`] its fields.
    Yes,
    /// It is about another one: it must not change this one.
    No(Mismatch),
}

/// Which validator tells two responses apart.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mismatch {
    /// The entity tag.
    EntityTag,
    /// The date of modification.
    LastModified,
    /// The length of the content.
    Length,
    /// The status code.
    Status,
}

impl Mismatch {
    /// Returns the name that logs and Cache-Status print.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EntityTag => "etag-mismatch",
            Self::LastModified => "last-modified-mismatch",
            Self::Length => "length-mismatch",
            Self::Status => "status-mismatch",
        }
    }
}

/// Judges whether a 304 is about this stored response, whose validators the request carried.
#[must_use]
pub fn freshens(stored: &HeaderMap, not_modified: &HeaderMap) -> Freshens {
    let same_tag = match (entity_tag(not_modified), entity_tag(stored)) {
        //= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.4
        //# If the new response contains one or more strong validators (see Section 8.8.1 of [HTTP]), then
        //# each of those strong validators identifies a selected representation for update.
        (Some(new), Some(own)) if new.is_strong() && own.is_strong() => new.strongly_equals(own),
        //= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.4
        //# If none of the initial set contains at least one of the same strong validators, then
        //# the cache MUST NOT use the new response to update any stored responses.
        (Some(new), _) if new.is_strong() => same_strong_date(stored, not_modified),
        //= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.4
        //# If the new response contains no strong validators but does contain one or more weak validators,
        //# and those validators correspond to one of the initial set's stored responses, then the most
        //# recent of those matching stored responses is identified for update.
        (Some(new), Some(own)) => new.weakly_equals(own),
        (Some(_), None) => same_date(stored, not_modified),
        (None, _) => return freshens_by_date(stored, not_modified),
    };
    if same_tag { Freshens::Yes } else { Freshens::No(Mismatch::EntityTag) }
}

fn freshens_by_date(stored: &HeaderMap, not_modified: &HeaderMap) -> Freshens {
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.4
    //= type=exception
    //= reason=The request named this response alone, so that a 304 without validators cannot be about another.
    //# If the new response does not include any form of validator (such as where a client generates an
    //# If-Modified-Since request from a source other than the Last-Modified response header field),
    //# and there is only one stored response in the initial set, and that stored response also lacks a
    //# validator, then that stored response is identified for update.
    if !not_modified.contains_key(LAST_MODIFIED) || same_date(stored, not_modified) {
        return Freshens::Yes;
    }
    Freshens::No(Mismatch::LastModified)
}

fn same_date(stored: &HeaderMap, new: &HeaderMap) -> bool {
    let modified = comparable_date(new, &LAST_MODIFIED);
    modified.is_some() && modified == comparable_date(stored, &LAST_MODIFIED)
}

fn same_strong_date(stored: &HeaderMap, new: &HeaderMap) -> bool {
    is_strong_date(stored) && same_date(stored, new)
}

/// Whether two partial responses are parts of one representation, so that their bytes may stand side by side.
///
/// Fields: those of the stored response, and those of the new one.
#[must_use]
pub fn combinable(stored: &HeaderMap, new: &HeaderMap) -> bool {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.3
    //# These ranges can only be safely combined if they all have in common the same strong validator
    //# (Section 8.8.1).
    //= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.3
    //# A client that has received multiple partial responses to GET requests on a target resource MAY
    //# combine those responses into a larger continuous range if they share the same strong validator.
    //
    //= https://www.rfc-editor.org/rfc/rfc9111#section-3.4
    //# A cache MAY combine these ranges into a single stored response, and reuse that response to satisfy
    //# later requests, if they all share the same strong validator and the cache complies with the client
    //# requirements in Section 15.3.7.3 of [HTTP].
    match (entity_tag(stored), entity_tag(new)) {
        (Some(own), Some(new)) => own.strongly_equals(new),
        (None, None) => is_strong_date(new) && same_strong_date(stored, new),
        _ => false,
    }
}

/// Returns the fields of a stored response as another response to the same request updates them: a 304, a HEAD, a part.
///
/// Each name keeps its place, new names come last; the lines of a name are replaced together and keep their order and
/// number. Hop-by-hop fields are taken out of the new ones here. `cookies` says whether Set-Cookie may enter the store.
#[must_use]
pub fn update(stored: &HeaderMap, from: &HeaderMap, cookies: SetCookie) -> HeaderMap {
    //= https://www.rfc-editor.org/rfc/rfc9111#section-3.2
    //# When doing so, the cache MUST add each header field in the provided response to the stored
    //# response, replacing field values that are already present, with the following exceptions:
    //
    //= https://www.rfc-editor.org/rfc/rfc9111#section-3.2
    //# Header fields excepted from storage in Section 3.1,
    //= https://www.rfc-editor.org/rfc/rfc9111#section-3.4
    //# When combining the new response with one or more stored responses, a cache MUST update the stored
    //# response header fields using the header fields provided in the new response, as per Section 3.2.
    //
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.4
    //# For each stored response identified, the cache MUST update its header fields with the header fields
    //# provided in the 304 (Not Modified) response, as per Section 3.2.
    //
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.5
    //# If a cache updates a stored response with the metadata provided in a HEAD response, the cache MUST
    //# use the header fields provided in the HEAD response to update the stored response (see Section 3.2
    //# ).
    let mut new = from.clone();
    strip_hop_by_hop(&mut new);
    //= https://www.rfc-editor.org/rfc/rfc9111#section-3.2
    //# The Content-Length header field.
    new.remove(CONTENT_LENGTH);
    for name in KEPT {
        new.remove(name);
    }
    if cookies != SetCookie::Store {
        new.remove(SET_COOKIE);
    }
    let mut fields = HeaderMap::with_capacity(stored.keys_len() + new.keys_len());
    for name in stored.keys().filter(|name| new.contains_key(*name) || !OF_ONE_MESSAGE.contains(name)) {
        let source = if new.contains_key(name) { &new } else { stored };
        copy(source, name, &mut fields);
    }
    for name in new.keys().filter(|name| !stored.contains_key(*name)) {
        copy(&new, name, &mut fields);
    }
    fields
}

fn copy(from: &HeaderMap, name: &HeaderName, to: &mut HeaderMap) {
    for value in from.get_all(name) {
        to.append(name, value.clone());
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3.2
//# Caches in this situation MAY omit these header fields from updating stored responses on an exceptional
//# basis but SHOULD limit such omission to those fields necessary to assure integrity of the stored
//# response.
//
// The stored bytes are in the coding they came in, whatever a 304 without bytes says of it. Content-Type is updated: it
// changes nothing about them.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3.2
//# Furthermore, some fields are automatically processed and removed by the HTTP implementation, such
//# as the Content-Range header field. Implementations MAY automatically omit such header fields from
//# updates, even when the processing does not actually occur.
const KEPT: [HeaderName; 2] = [CONTENT_ENCODING, CONTENT_RANGE];

/// Fields that tell when a message was made: those of the old one would be wrong about the new.
const OF_ONE_MESSAGE: [HeaderName; 2] = [AGE, DATE];

/// What a HEAD response means for a stored GET response that could have answered the request.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadEffect {
    /// It is the head of the stored one: [`update`] its fields.
    Freshen,
    /// It is the head of another one: the stored one is stale from now on.
    Stale(Mismatch),
    /// It tells nothing.
    Nothing,
}

/// A stored GET response, as far as a HEAD response is compared with it.
#[derive(Clone, Copy, Debug)]
pub struct StoredHead<'a> {
    /// Its status code; 200 for a part of one.
    pub status: StatusCode,
    /// Its fields.
    pub fields: &'a HeaderMap,
    /// How many bytes the whole content has, if that is known.
    pub length: Option<u64>,
}

/// Judges what a HEAD response means for a stored GET response.
#[must_use]
pub fn head_effect(stored: StoredHead<'_>, status: StatusCode, head: &HeaderMap) -> HeadEffect {
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.5
    //# When a cache makes an inbound HEAD request for a target URI and receives a 200 (OK) response, the
    //# cache SHOULD update or invalidate each of its stored GET responses that could have been chosen for
    //# that request (see Section 4.1).
    if status != StatusCode::OK {
        return HeadEffect::Nothing;
    }
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.5
    //# For each of the stored responses that could have been chosen, if the stored response and HEAD
    //# response have matching values for any received validator fields (ETag and Last-Modified) and, if
    //# the HEAD response has a Content-Length header field, the value of Content-Length matches that of
    //# the stored response, the cache SHOULD update the stored response as described below; otherwise, the
    //# cache SHOULD consider the stored response to be stale.
    let differs = |name: &HeaderName| {
        head.contains_key(name) && !head.get_all(name).iter().eq(stored.fields.get_all(name).iter())
    };
    // A GET would have been answered with 200 as well.
    if stored.status != StatusCode::OK {
        return HeadEffect::Stale(Mismatch::Status);
    }
    if differs(&ETAG) {
        return HeadEffect::Stale(Mismatch::EntityTag);
    }
    if differs(&LAST_MODIFIED) {
        return HeadEffect::Stale(Mismatch::LastModified);
    }
    let unlike = |length| content_length(head) != Some(length);
    if head.contains_key(CONTENT_LENGTH) && stored.length.is_some_and(unlike) {
        return HeadEffect::Stale(Mismatch::Length);
    }
    HeadEffect::Freshen
}

fn content_length(fields: &HeaderMap) -> Option<u64> {
    digits(single(fields, &CONTENT_LENGTH)?.as_bytes())
}
