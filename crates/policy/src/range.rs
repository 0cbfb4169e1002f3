//! Range and Content-Range: which bytes a request asks for, and which ones a response carries.
//!
//! ```
//! use forebay_policy::range::{ContentRange, Selection, select};
//! use http::{HeaderMap, HeaderValue, header};
//!
//! let mut request = HeaderMap::new();
//! request.insert(header::RANGE, HeaderValue::from_static("bytes=-500"));
//! let stored = HeaderMap::new();
//! let Selection::Single(range) = select(&request, &stored, 10_000) else { panic!("one range, in bounds") };
//! assert_eq!(range, 9_500..10_000);
//!
//! let part = ContentRange { range, complete: Some(10_000) };
//! assert_eq!(part.to_header_value(), "bytes 9500-9999/10000");
//! assert_eq!(ContentRange::parse(&part.to_header_value()), Some(part));
//! ```

use std::ops::Range;

use http::header::{CONTENT_RANGE, CONTENT_TYPE, IF_RANGE, LAST_MODIFIED, RANGE};
use http::{HeaderMap, HeaderValue};

use crate::date::{comparable_date, is_strong_date};
use crate::syntax::{EntityTag, digits, entity_tag, members, single, trim_ows};

/// The most ranges that a request gets; one that asks for more gets the whole.
pub const MAX_RANGES: usize = 16;

/// What a GET request asks of the bytes of a representation.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All of them: answer as if there were no Range.
    Whole,
    /// These: answer 206.
    Single(Range<u64>),
    /// These parts, at least two: answer 206 with `multipart/byteranges`. They neither overlap nor touch.
    Multiple(Vec<Range<u64>>),
    /// None that exist: answer 416.
    Unsatisfiable,
}

/// Selects the bytes that a GET request asks for, of a stored 200 with these fields and this many bytes.
///
/// The client's If-Range is judged here; its other conditions come first, see [`evaluate`](crate::validate::evaluate).
/// For a stored part there is [`select_within`](crate::partial::select_within).
#[must_use]
pub fn select(request: &HeaderMap, stored: &HeaderMap, length: u64) -> Selection {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-14.2
    //# A server that supports range requests MAY ignore a Range header field when the selected
    //# representation has no content (i.e., the selected representation's data is of zero length).
    //= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5
    //# A server MUST ignore an If-Range header field received in a request that does not contain a Range
    //# header field.
    let Some(range) = single(request, &RANGE).filter(|_| length > 0) else { return Selection::Whole };
    //= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5
    //# A recipient of an If-Range header field MUST ignore the Range header field if the If-Range
    //# condition evaluates to false. Otherwise, the recipient SHOULD process the Range header field as
    //# requested.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5
    //# A server that receives an If-Range header field on a Range request MUST evaluate the condition per
    //# Section 13.2 prior to performing the method.
    //
    //= https://www.rfc-editor.org/rfc/rfc9110#section-13.2.2
    //# When the method is GET and both Range and If-Range are present, evaluate the If-Range precondition:
    //
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.2
    //# A cache that implements partial responses to range requests, as defined in Section 14.2 of [HTTP],
    //# also needs to evaluate a received If-Range header field (Section 13.1.5 of [HTTP]) with respect to
    //# the cache's chosen response.
    if request.contains_key(IF_RANGE) && !if_range_holds(request, stored) {
        return Selection::Whole;
    }
    //= https://www.rfc-editor.org/rfc/rfc9110#section-14.2
    //# A server that supports range requests MAY ignore or reject a Range header field that contains an
    //# invalid ranges-specifier (Section 14.1.1), a ranges-specifier with more than two overlapping
    //# ranges, or a set of many small ranges that are not listed in ascending order, since these are
    //# indications of either a broken client or a deliberate denial-of-service attack (Section 17.15).
    let Some(asked) = byte_ranges(range.as_bytes()) else { return Selection::Whole };
    //= https://www.rfc-editor.org/rfc/rfc9110#section-14.1.1
    //# A valid ranges-specifier is satisfiable if it contains at least one range-spec that is satisfiable,
    //# as defined by the indicated range-unit. Otherwise, the ranges-specifier is unsatisfiable.
    let mut parts: Vec<_> = asked.iter().filter_map(|spec| spec.within(length)).collect();
    //= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.2
    //# A server MUST NOT generate a multipart response to a request for a single range, since a client that
    //# does not request multiple parts might not support multipart responses.
    if asked.len() > 1 {
        parts = coalesced(parts);
    }
    match parts.as_slice() {
        //= https://www.rfc-editor.org/rfc/rfc9110#section-14.2
        //# If all of the preconditions are true, the server supports the Range header field for the target
        //# resource, the received Range field-value contains a valid ranges-specifier, and either the
        //# range-unit is not supported for that target resource or the ranges-specifier is unsatisfiable with
        //# respect to the selected representation, the server SHOULD send a 416 (Range Not Satisfiable)
        //# response.
        [] => Selection::Unsatisfiable,
        //= https://www.rfc-editor.org/rfc/rfc9110#section-14.2
        //# If all of the preconditions are true, the server supports the Range header field for the target
        //# resource, the received Range field-value contains a valid ranges-specifier with a range-unit
        //# supported for that target resource, and that ranges-specifier is satisfiable with respect to the
        //# selected representation, the server SHOULD send a 206 (Partial Content) response with content
        //# containing one or more partial representations that correspond to the satisfiable range-spec(s)
        //# requested.
        [only] => Selection::Single(only.clone()),
        _ => Selection::Multiple(parts),
    }
}

fn if_range_holds(request: &HeaderMap, stored: &HeaderMap) -> bool {
    let Some(value) = single(request, &IF_RANGE) else { return false };
    let bytes = trim_ows(value.as_bytes());
    //= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5
    //# A valid entity-tag can be distinguished from a valid HTTP-date by examining the first three
    //# characters for a DQUOTE.
    if bytes.iter().take(3).any(|&byte| byte == b'"') {
        //= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5
        //# If the entity-tag validator provided exactly matches the ETag field value for the selected
        //# representation using the strong comparison function (Section 8.8.3.2), the condition is true.
        let (asked, own) = (EntityTag::parse(bytes), entity_tag(stored));
        return asked.zip(own).is_some_and(|(asked, own)| asked.strongly_equals(own));
    }
    //= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5
    //# If the HTTP-date validator provided is not a strong validator in the sense defined by Section
    //# 8.8.2.2, the condition is false.
    if !is_strong_date(stored) {
        return false;
    }
    //= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5
    //# If the HTTP-date validator provided exactly matches the Last-Modified field value for the
    //# selected representation, the condition is true.
    let asked = comparable_date(request, &IF_RANGE);
    asked.is_some() && asked == comparable_date(stored, &LAST_MODIFIED)
}

/// One member of a Range field. Positions that are too large for a number are as good as the largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spec {
    From(u64),
    /// Both inclusive, as they are written.
    Between(u64, u64),
    Last(u64),
}

/// Reads a Range value; nothing where it is invalid, in another unit, or asks for too many ranges.
fn byte_ranges(value: &[u8]) -> Option<Vec<Spec>> {
    let value = trim_ows(value);
    let (unit, set) = value.split_at_checked(value.iter().position(|&byte| byte == b'=')?)?;
    //= https://www.rfc-editor.org/rfc/rfc9110#section-14.1
    //# All range unit names are case-insensitive
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    let mut specs = Vec::new();
    for member in members(set.get(1..)?).filter(|member| !member.is_empty()) {
        //= https://www.rfc-editor.org/rfc/rfc9110#section-14.1.1
        //# A ranges-specifier is invalid if it contains any range-spec that is invalid or undefined for the
        //# indicated range-unit.
        specs.push(Spec::parse(member)?);
        //= https://www.rfc-editor.org/rfc/rfc9110#section-14.2
        //# A server MAY ignore the Range header field.
        if specs.len() > MAX_RANGES {
            return None;
        }
    }
    (!specs.is_empty()).then_some(specs)
}

impl Spec {
    fn parse(member: &[u8]) -> Option<Self> {
        let (first, last) = member.split_at_checked(member.iter().position(|&byte| byte == b'-')?)?;
        match (first, last.get(1..)?) {
            ([], length) => Some(Self::Last(position(length)?)),
            (first, []) => Some(Self::From(position(first)?)),
            (first, last) => {
                //= https://www.rfc-editor.org/rfc/rfc9110#section-14.1.1
                //# An int-range is invalid if the last-pos value is present and less than the first-pos.
                let (first, last) = (position(first)?, position(last)?);
                (first <= last).then_some(Self::Between(first, last))
            }
        }
    }

    /// The bytes it means in a representation that has any; nothing when it has none of them.
    fn within(self, length: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::From(first) => first..length,
            //= https://www.rfc-editor.org/rfc/rfc9110#section-14.1.2
            //# If the last-pos value is absent, or if the value is greater than or equal to the
            //# current length of the representation data, the byte range is interpreted as the remainder of the
            //# representation
            Self::Between(first, last) => first..last.saturating_add(1).min(length),
            //= https://www.rfc-editor.org/rfc/rfc9110#section-14.1.2
            //# If the selected representation is shorter than the specified suffix-length, the entire
            //# representation is used.
            Self::Last(count) => length.saturating_sub(count)..length,
        };
        //= https://www.rfc-editor.org/rfc/rfc9110#section-14.1.2
        //# an int-range with a first-pos that is less than the current length of the selected
        //# representation or
        //= https://www.rfc-editor.org/rfc/rfc9110#section-14.1.2
        //# a suffix-range with a non-zero suffix-length.
        (!range.is_empty()).then_some(range)
    }
}

/// Reads a position of any size.
fn position(bytes: &[u8]) -> Option<u64> {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-14.1.2
    //# Since there is no predefined limit to the length of content, recipients MUST anticipate
    //# potentially large decimal numerals and prevent parsing errors due to integer conversion overflows.
    let all_digits = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    all_digits.then(|| digits(bytes).unwrap_or(u64::MAX))
}

/// Joins what overlaps or nearly touches. A part stands where the first range that went into it was asked for.
fn coalesced(asked: Vec<Range<u64>>) -> Vec<Range<u64>> {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.2
    //# When multiple ranges are requested, a server MAY coalesce any of the ranges that overlap, or that
    //# are separated by a gap that is smaller than the overhead of sending multiple parts, regardless of
    //# the order in which the corresponding range-spec appeared in the received Range header field.
    let mut sorted: Vec<_> = asked.into_iter().enumerate().collect();
    sorted.sort_by_key(|(_, range)| range.start);
    let mut parts: Vec<(usize, Range<u64>)> = Vec::with_capacity(sorted.len());
    for (place, range) in sorted {
        match parts.last_mut() {
            Some((first, part)) if range.start <= part.end.saturating_add(PART_OVERHEAD) => {
                part.end = part.end.max(range.end);
                *first = place.min(*first);
            }
            _ => parts.push((place, range)),
        }
    }
    //= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.2
    //# A server that generates a multipart response SHOULD send the parts in the same order that the
    //# corresponding range-spec appeared in the received Range header field, excluding those ranges that
    //# were deemed unsatisfiable or that were coalesced into other ranges.
    parts.sort_by_key(|(place, _)| *place);
    parts.into_iter().map(|(_, range)| range).collect()
}

/// What a part costs beside its bytes, about.
const PART_OVERHEAD: u64 = 80;

/// Which bytes of which representation a 206 carries: a Content-Range with positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// The bytes; never none.
    pub range: Range<u64>,
    /// How many there are in the whole, if that is known.
    pub complete: Option<u64>,
}

impl ContentRange {
    /// Reads a field value; `None` for another unit than bytes, for the form of a 416, and for what is invalid.
    #[must_use]
    pub fn parse(value: &HeaderValue) -> Option<Self> {
        //= https://www.rfc-editor.org/rfc/rfc9110#section-14.4
        //# If a 206 (Partial Content) response contains a Content-Range header field with a range unit (
        //# Section 14.1) that the recipient does not understand, the recipient MUST NOT attempt to recombine
        //# it with a stored representation.
        let (unit, rest) = trim_ows(value.as_bytes()).split_at_checked(6)?;
        if !unit.eq_ignore_ascii_case(b"bytes ") {
            return None;
        }
        let (positions, complete) = rest.split_at_checked(rest.iter().position(|&byte| byte == b'/')?)?;
        let (first, last) = positions.split_at_checked(positions.iter().position(|&byte| byte == b'-')?)?;
        let range = digits(first)?..digits(last.get(1..)?)?.checked_add(1)?;
        let complete = match complete.get(1..)? {
            b"*" => None,
            length => Some(digits(length)?),
        };
        //= https://www.rfc-editor.org/rfc/rfc9110#section-14.4
        //# A Content-Range field value is invalid if it contains a range-resp that has a last-pos value less
        //# than its first-pos value, or a complete-length value less than or equal to its last-pos value. The
        //# recipient of an invalid Content-Range MUST NOT attempt to recombine the received content with a
        //# stored representation.
        let valid = !range.is_empty() && complete.is_none_or(|complete| range.end <= complete);
        valid.then_some(Self { range, complete })
    }

    /// The part that a 206 with these fields carries, if it carries a single one.
    ///
    /// A response with several parts has none of its own: it is not stored.
    #[must_use]
    pub fn of(response: &HeaderMap) -> Option<Self> {
        //= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7
        //# A client MUST inspect a 206 response's Content-Type and Content-Range field(s) to determine what
        //# parts are enclosed and whether additional requests are needed.
        let content_type = response.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let multipart = content_type.get(..MULTIPART.len());
        if multipart.is_some_and(|start| start.eq_ignore_ascii_case(MULTIPART)) {
            return None;
        }
        Self::parse(single(response, &CONTENT_RANGE)?)
    }

    /// Returns the value that a 206 carries.
    #[must_use]
    pub fn to_header_value(&self) -> HeaderValue {
        let complete = self.complete.map_or("*".to_owned(), |length| length.to_string());
        let (first, last) = (self.range.start, self.range.end.saturating_sub(1));
        from_text(&format!("bytes {first}-{last}/{complete}"))
    }
}

const MULTIPART: &[u8] = b"multipart/byteranges";

/// Text made of digits and what stands around them is always a field value.
pub(crate) fn from_text(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
