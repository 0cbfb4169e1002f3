//! Answers with parts of a representation: their fields, what stands between the parts, and how stored parts grow.
//!
//! ```
//! use forebay_policy::partial::{Combined, Multipart, combine, covers, single_fields};
//! use http::{HeaderMap, HeaderValue, header};
//!
//! // One part.
//! let mut stored = HeaderMap::new();
//! stored.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
//! let request = HeaderMap::new();
//! let fields = single_fields(&request, &stored, &(9_500..10_000), 10_000);
//! assert_eq!(fields[header::CONTENT_RANGE], "bytes 9500-9999/10000");
//! assert_eq!(fields[header::CONTENT_LENGTH], "500");
//!
//! // Several: the head of each, its bytes, and the end.
//! let parts = [0..2, 5_000..5_001];
//! let multipart = Multipart { boundary: "THIS_SEPARATES", complete: 10_000, stored: &stored };
//! let mut body = Vec::new();
//! for (part, bytes) in parts.iter().zip(["ab", "c"]) {
//!     body.extend_from_slice(&multipart.head(part));
//!     body.extend_from_slice(bytes.as_bytes());
//! }
//! body.extend_from_slice(&multipart.end());
//! assert_eq!(multipart.fields(&request, &parts)[header::CONTENT_LENGTH], body.len().to_string());
//!
//! // A stored part and one that has just arrived.
//! let Combined::Joined(join) = combine(&(0..500), &(400..900)) else { panic!("they overlap") };
//! assert_eq!((join.before, join.after), (0..400, 900..900));
//! assert!(covers(&join.whole, &(100..700)));
//! ```

use std::ops::Range;

use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE,
    ETAG, HeaderName, IF_RANGE, LAST_MODIFIED, VARY,
};
use http::{HeaderMap, HeaderValue};

use crate::range::{ContentRange, Selection, from_text, select};

/// Returns the fields of a 206 with one part of a stored response of `complete` bytes.
#[must_use]
pub fn single_fields(request: &HeaderMap, stored: &HeaderMap, part: &Range<u64>, complete: u64) -> HeaderMap {
    let mut fields = fields(request, stored);
    //= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.1
    //# If a single part is being transferred, the server generating the 206 response MUST generate a
    //# Content-Range header field, describing what range of the selected representation is enclosed, and a
    //# content consisting of the range.
    fields.insert(CONTENT_RANGE, content_range(part, complete));
    fields.insert(CONTENT_LENGTH, HeaderValue::from(length(part)));
    fields
}

/// The fields of a stored response that any 206 carries.
fn fields(request: &HeaderMap, stored: &HeaderMap) -> HeaderMap {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7
    //# A sender that generates a 206 response to a request with an If-Range header field SHOULD NOT
    //# generate other representation header fields beyond those required because the client already has a
    //# prior response containing those header fields. Otherwise, a sender MUST generate all of the
    //# representation header fields that would have been sent in a 200 (OK) response to the same request.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7
    //# A server that generates a 206 response MUST generate the following header fields, in addition to
    //# those required in the subsections below, if the field would have been sent in a 200 (OK) response to
    //# the same request: Date, Cache-Control, ETag, Expires, Content-Location, and Vary.
    let known = request.contains_key(IF_RANGE);
    let has_tag = stored.contains_key(ETAG);
    let mut fields = HeaderMap::with_capacity(stored.keys_len() + 2);
    for (name, value) in stored {
        let left_out = known && (DESCRIPTIVE.contains(name) || (has_tag && *name == LAST_MODIFIED));
        if !left_out {
            fields.append(name, value.clone());
        }
    }
    fields
}

/// Representation fields that a client with a part of the representation has already.
const DESCRIPTIVE: [HeaderName; 4] =
    [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, HeaderName::from_static("repr-digest")];

fn content_range(part: &Range<u64>, complete: u64) -> HeaderValue {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-14.4
    //# For byte ranges, a sender SHOULD indicate the complete length of the representation from which the
    //# range has been extracted, unless the complete length is unknown or difficult to determine.
    ContentRange { range: part.clone(), complete: Some(complete) }.to_header_value()
}

fn length(part: &Range<u64>) -> u64 {
    part.end.saturating_sub(part.start)
}

/// Returns the fields of a 416 for a stored response of `complete` bytes.
///
/// It says nothing of the representation but its length, and nothing that would let it be stored. What a browser needs
/// to hand it to the page that asked stays.
#[must_use]
pub fn unsatisfied_fields(stored: &HeaderMap, complete: u64) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for (name, value) in stored {
        let kept = [DATE, VARY, ACCEPT_RANGES].contains(name) || name.as_str().starts_with("access-control-");
        if kept {
            fields.append(name, value.clone());
        }
    }
    //= https://www.rfc-editor.org/rfc/rfc9110#section-15.5.17
    //# A server that generates a 416 response to a byte-range request SHOULD generate a Content-Range
    //# header field specifying the current length of the selected representation (Section 14.4).
    //= https://www.rfc-editor.org/rfc/rfc9110#section-14.4
    //# A server generating a 416 (Range Not Satisfiable) response to a byte-range request SHOULD send a
    //# Content-Range header field with an unsatisfied-range value, as in the following example:
    fields.insert(CONTENT_RANGE, from_text(&format!("bytes */{complete}")));
    fields.insert(CONTENT_LENGTH, HeaderValue::from(0));
    fields
}

/// The frame around the parts of a `multipart/byteranges` body.
#[derive(Clone, Copy, Debug)]
pub struct Multipart<'a> {
    /// What separates the parts: a token that does not occur in them.
    pub boundary: &'a str,
    /// How many bytes the whole representation has.
    pub complete: u64,
    /// The fields of the stored response.
    pub stored: &'a HeaderMap,
}

impl Multipart<'_> {
    /// Returns the fields of a 206 with these parts.
    #[must_use]
    pub fn fields(&self, request: &HeaderMap, parts: &[Range<u64>]) -> HeaderMap {
        let mut fields = fields(request, self.stored);
        //= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.2
        //# If multiple parts are being transferred, the server generating the 206 response MUST generate
        //# "multipart/byteranges" content, as defined in Section 14.6, and a Content-Type header field
        //# containing the "multipart/byteranges" media type and its required boundary parameter.
        fields.insert(CONTENT_TYPE, from_text(&format!("multipart/byteranges; boundary={}", self.boundary)));
        //= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.2
        //# To avoid confusion with single-part responses, a server MUST NOT generate a Content-Range header
        //# field in the HTTP header section of a multiple part response (this field will be sent in each part
        //# instead).
        fields.remove(CONTENT_RANGE);
        fields.insert(CONTENT_LENGTH, HeaderValue::from(self.length(parts)));
        fields
    }

    /// Returns what stands in front of the bytes of a part.
    #[must_use]
    pub fn head(&self, part: &Range<u64>) -> Vec<u8> {
        let mut head = format!("\r\n--{}\r\n", self.boundary).into_bytes();
        //= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.2
        //# If the selected representation would have had a Content-Type header field in a 200 (OK) response,
        //# the server SHOULD generate that same Content-Type header field in the header area of each body
        //# part.
        if let Some(content_type) = self.stored.get(CONTENT_TYPE) {
            head.extend_from_slice(b"content-type: ");
            head.extend_from_slice(content_type.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        //= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.2
        //# Within the header area of each body part in the multipart content, the server MUST generate a
        //# Content-Range header field corresponding to the range being enclosed in that body part.
        head.extend_from_slice(b"content-range: ");
        head.extend_from_slice(content_range(part, self.complete).as_bytes());
        head.extend_from_slice(b"\r\n\r\n");
        head
    }

    /// Returns what stands behind the last part.
    #[must_use]
    pub fn end(&self) -> Vec<u8> {
        format!("\r\n--{}--\r\n", self.boundary).into_bytes()
    }

    fn length(&self, parts: &[Range<u64>]) -> u64 {
        let framed = |part| length(part) + self.head(part).len() as u64;
        parts.iter().map(framed).sum::<u64>() + self.end().len() as u64
    }
}

/// Whether a stored part holds all of the bytes that are wanted.
///
/// ```
/// use forebay_policy::partial::covers;
///
/// assert!(covers(&(100..200), &(100..150)));
/// assert!(!covers(&(100..200), &(150..201)));
/// ```
#[must_use]
pub const fn covers(known: &Range<u64>, wanted: &Range<u64>) -> bool {
    //= https://www.rfc-editor.org/rfc/rfc9111#section-3.3
    //# A cache MUST NOT use an incomplete response to answer requests unless the response has
    //# been made complete, or the request is partial and specifies a range wholly within the incomplete
    //# response.
    known.start <= wanted.start && wanted.end <= known.end
}

/// Selects the bytes that a GET request asks for, of a stored part; `None` when the part does not have them all, so that
/// the request goes to the origin.
///
/// ```
/// use forebay_policy::partial::select_within;
/// use forebay_policy::range::{ContentRange, Selection};
/// use http::{HeaderMap, HeaderValue, header};
///
/// let held = ContentRange { range: 500..1000, complete: Some(1000) };
/// let asked = |value| {
///     let mut request = HeaderMap::new();
///     request.insert(header::RANGE, HeaderValue::from_static(value));
///     select_within(&request, &HeaderMap::new(), &held)
/// };
/// assert_eq!(asked("bytes=-100"), Some(Selection::Single(900..1000)));
/// assert_eq!(asked("bytes=0-100"), None);
/// assert_eq!(asked("bytes=1000-"), Some(Selection::Unsatisfiable));
/// ```
#[must_use]
pub fn select_within(request: &HeaderMap, stored: &HeaderMap, held: &ContentRange) -> Option<Selection> {
    let complete = held.complete?;
    let selection = select(request, stored, complete);
    let has_all = match &selection {
        Selection::Whole => covers(&held.range, &(0..complete)),
        Selection::Single(wanted) => covers(&held.range, wanted),
        Selection::Multiple(parts) => parts.iter().all(|wanted| covers(&held.range, wanted)),
        Selection::Unsatisfiable => true,
    };
    has_all.then_some(selection)
}

/// What becomes of a stored part when another one of the same representation arrives.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Combined {
    /// They make one part together.
    Joined(Join),
    /// They do not touch: the new one takes the stored one's place.
    Replaced,
}

/// How two parts make one: a piece of the stored one, all of the new one, and another piece of the stored one.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// The bytes of the two together.
    pub whole: Range<u64>,
    /// What the stored part has in front of the new one, counted in the representation; may be empty.
    pub before: Range<u64>,
    /// What the stored part has behind the new one, counted in the representation; may be empty.
    pub after: Range<u64>,
}

/// Puts a stored part and a new one together, after [`combinable`](crate::update::combinable) has said that it may be.
#[must_use]
pub fn combine(known: &Range<u64>, new: &Range<u64>) -> Combined {
    if new.start > known.end || known.start > new.end {
        return Combined::Replaced;
    }
    //= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.3
    //# The combined response content consists of the union of partial content ranges within the new
    //# response and all of the matching stored responses.
    Combined::Joined(Join {
        whole: known.start.min(new.start)..known.end.max(new.end),
        before: known.start.min(new.start)..new.start,
        after: new.end..known.end.max(new.end),
    })
}
