//! Cache-Status (RFC 9211): what the cache did with a request, for people and tools to read.
//!
//! ```
//! use forebay_policy::reuse::Forward;
//! use forebay_policy::status::{CacheName, CacheStatus, Collapsed, Forwarded, Outcome};
//!
//! let name = CacheName::new("forebay")?;
//! let hit = CacheStatus { name: &name, outcome: Outcome::Hit, ttl: Some(42), detail: Some("l1") };
//! assert_eq!(hit.to_header_value(), "forebay; hit; ttl=42; detail=l1");
//!
//! let forwarded = Forwarded { stored: true, ..Forwarded::because(Forward::UriMiss) };
//! let miss = CacheStatus { name: &name, outcome: Outcome::Forwarded(forwarded), ttl: Some(60), detail: None };
//! assert_eq!(miss.to_header_value(), "forebay; fwd=uri-miss; stored; ttl=60");
//! # let _ = Collapsed::No;
//! # Ok::<(), forebay_policy::status::InvalidName>(())
//! ```

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::reuse::Forward;
use crate::syntax::is_tchar;

/// The field that all this is for.
pub const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// The longest name that a cache can have.
pub const MAX_NAME: usize = 64;

/// How this cache calls itself in Cache-Status: a token where it can be, else a quoted string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheName {
    /// As it stands in the field.
    written: HeaderValue,
}

impl CacheName {
    /// Takes a name of 1 to [`MAX_NAME`] printable ASCII characters.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] for any other.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(InvalidName);
        }
        //= https://www.rfc-editor.org/rfc/rfc9211#section-2
        //# Each List member identifies the cache that inserted it, and this identifier MUST be a String or
        //# Token.
        let mut line = Line::default();
        if !line.push_item(name) {
            return Err(InvalidName);
        }
        HeaderValue::from_bytes(line.written()).map(|written| Self { written }).map_err(|_| InvalidName)
    }
}

/// A cache's name is empty, too long, or holds a character that Cache-Status cannot carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidName;

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a cache's name takes 1 to {MAX_NAME} printable ASCII characters")
    }
}

impl std::error::Error for InvalidName {}

/// What the cache did with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheStatus<'a> {
    /// Which cache it was.
    pub name: &'a CacheName,
    /// Whether the cache answered.
    pub outcome: Outcome,
    /// The remaining freshness lifetime in seconds, negative when stale.
    pub ttl: Option<i64>,
    /// The tier, or the reason. Left out when it is not printable ASCII or too long for the field.
    pub detail: Option<&'static str>,
}

/// Whether the cache answered.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// From what is stored, without going to the origin.
    Hit,
    /// By the origin.
    Forwarded(Forwarded),
    /// Neither: it made the answer up, as a 504 for `only-if-cached`.
    Generated,
}

/// How a request went to the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// Why it did.
    pub reason: Forward,
    /// What the origin answered, where the client sees another status code.
    pub status: Option<u16>,
    /// Whether the answer was stored.
    pub stored: bool,
    /// Whether it shared another request's fetch.
    pub collapsed: Collapsed,
}

impl Forwarded {
    /// A request that went to the origin on its own, its answer not stored.
    #[must_use]
    pub const fn because(reason: Forward) -> Self {
        Self { reason, status: None, stored: false, collapsed: Collapsed::No }
    }
}

/// Whether a request shared another request's fetch.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collapsed {
    /// It was not tried.
    No,
    /// It did.
    Yes,
    /// It waited for one, but could not use the answer.
    Failed,
}

impl CacheStatus<'_> {
    /// Puts the member for this cache behind what the caches upstream have said.
    ///
    /// ```
    /// use forebay_policy::status::{CACHE_STATUS, CacheName, CacheStatus, Outcome};
    /// use http::{HeaderMap, HeaderValue};
    ///
    /// let mut response = HeaderMap::new();
    /// response.insert(CACHE_STATUS, HeaderValue::from_static("Upstream; fwd=uri-miss"));
    /// let name = CacheName::new("forebay")?;
    /// CacheStatus { name: &name, outcome: Outcome::Hit, ttl: None, detail: None }.append_to(&mut response);
    /// let members: Vec<_> = response.get_all(CACHE_STATUS).iter().collect();
    /// assert_eq!(members, ["Upstream; fwd=uri-miss", "forebay; hit"]);
    /// # Ok::<(), forebay_policy::status::InvalidName>(())
    /// ```
    pub fn append_to(&self, response: &mut HeaderMap) {
        //= https://www.rfc-editor.org/rfc/rfc9211#section-2
        //# When adding a value to the Cache-Status header field, caches SHOULD preserve the existing field
        //# value, to allow debugging of the entire chain of caches handling the request.
        response.append(CACHE_STATUS, self.to_header_value());
    }

    /// Returns the member for this cache, to be appended to what upstream sent. Takes one allocation.
    #[must_use]
    pub fn to_header_value(&self) -> HeaderValue {
        let mut line = Line::default();
        self.write(&mut line);
        self.finish(&line)
    }

    fn finish(&self, line: &Line) -> HeaderValue {
        // The line holds nothing but ASCII that was checked on its way in; the bare name is what is left to say
        // should that ever break.
        HeaderValue::from_bytes(line.written()).unwrap_or_else(|_| self.name.written.clone())
    }

    fn write(&self, line: &mut Line) {
        line.push(self.name.written.as_bytes());
        match self.outcome {
            //= https://www.rfc-editor.org/rfc/rfc9211#section-2.1
            //# "hit" and "fwd" are exclusive; only one of them should appear on each list member.
            Outcome::Hit => line.push(b"; hit"),
            Outcome::Forwarded(forwarded) => forwarded.write(line),
            Outcome::Generated => {}
        }
        if let Some(ttl) = self.ttl {
            //= https://www.rfc-editor.org/rfc/rfc9211#section-2.4
            //# The value of "ttl" is an Integer that indicates the response's remaining
            //# freshness lifetime (see [HTTP-CACHING], Section 4.2.1) as calculated by the
            //# cache, as an integer number of seconds, measured as closely as possible to
            //# when the response header section is sent by the cache.
            line.push(b"; ttl=");
            //= https://www.rfc-editor.org/rfc/rfc9211#section-2.4
            //# It may be negative, to indicate staleness.
            line.push_integer(ttl);
        }
        if let Some(detail) = self.detail {
            line.push_parameter(b"; detail=", |line| line.push_item(detail));
        }
    }
}

impl Forwarded {
    fn write(self, line: &mut Line) {
        //= https://www.rfc-editor.org/rfc/rfc9211#section-2.2
        //# "fwd", when present, indicates that the request went forward towards the origin; its
        //# value is a Token that indicates why.
        line.push(b"; fwd=");
        line.push(self.reason.as_str().as_bytes());
        if let Some(status) = self.status {
            //= https://www.rfc-editor.org/rfc/rfc9211#section-2.3
            //# The value of "fwd-status" is an Integer that indicates which status code (see
            //# [HTTP], Section 15) the next-hop server returned in response to the forwarded
            //# request.
            line.push(b"; fwd-status=");
            line.push_integer(i64::from(status));
        }
        if self.stored {
            //= https://www.rfc-editor.org/rfc/rfc9211#section-2.5
            //# The value of "stored" is a Boolean that indicates whether the cache stored the
            //# response (see [HTTP-CACHING], Section 3); a true value indicates that it did.
            line.push(b"; stored");
        }
        //= https://www.rfc-editor.org/rfc/rfc9211#section-2.6
        //# If true, the response was successfully reused; if not, a new request had to be made. If not
        //# present, the request was not collapsed with others.
        match self.collapsed {
            Collapsed::No => {}
            Collapsed::Yes => line.push(b"; collapsed"),
            Collapsed::Failed => line.push(b"; collapsed=?0"),
        }
    }
}

/// A line of text on the stack, written without the machinery of formatting: this is on the way of every hit.
///
/// It has room for the longest name and all parameters at their longest; what does not fit is left out whole.
struct Line {
    bytes: [u8; 256],
    length: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self { bytes: [0; 256], length: 0 }
    }
}

impl Line {
    fn written(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn push(&mut self, part: &[u8]) {
        let end = self.length + part.len();
        if let Some(room) = self.bytes.get_mut(self.length..end) {
            room.copy_from_slice(part);
            self.length = end;
        }
    }

    fn push_integer(&mut self, number: i64) {
        //= https://www.rfc-editor.org/rfc/rfc9651#section-3.3.1
        //# Integers have a range of -999,999,999,999,999 to 999,999,999,999,999 inclusive (i.e., up to
        //# fifteen digits, signed), for IEEE 754 compatibility [IEEE754].
        let number = number.clamp(-MAX_INTEGER, MAX_INTEGER);
        if number < 0 {
            self.push(b"-");
        }
        let mut digits = [0; 15];
        let mut rest = number.unsigned_abs();
        let mut start = digits.len();
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
            start -= 1;
            if rest == 0 {
                break;
            }
        }
        self.push(digits.get(start..).unwrap_or_default());
    }

    //= https://www.rfc-editor.org/rfc/rfc9211#section-2.8
    //# The value of "detail" is either a String or a Token that allows implementations to convey
    //# additional information not captured in other parameters, such as implementation-specific
    //# states or other caching-related metrics.
    /// Writes a parameter whose value may not fit or not be writable: then nothing of it.
    fn push_parameter(&mut self, name: &[u8], value: impl FnOnce(&mut Self) -> bool) {
        let before = self.length;
        self.push(name);
        if !value(self) {
            self.length = before;
        }
    }

    /// Writes a token, or a string where the text is no token; `false` when it is neither or does not fit.
    fn push_item(&mut self, text: &str) -> bool {
        let bytes = text.as_bytes();
        if is_sf_token(bytes) {
            let before = self.length;
            self.push(bytes);
            return self.length > before;
        }
        self.push_string(text)
    }

    /// Writes a string; `false` when it is not printable ASCII or does not fit.
    fn push_string(&mut self, text: &str) -> bool {
        let bytes = text.as_bytes();
        let escapes = bytes.iter().filter(|&&byte| needs_escape(byte)).count();
        let room = self.bytes.len() - self.length;
        let printable = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
        if !printable || bytes.len() + escapes + 2 > room {
            return false;
        }
        self.push(b"\"");
        for &byte in bytes {
            if needs_escape(byte) {
                self.push(b"\\");
            }
            self.push(&[byte]);
        }
        self.push(b"\"");
        true
    }
}

const MAX_INTEGER: i64 = 999_999_999_999_999;

fn needs_escape(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\')
}

fn is_sf_token(bytes: &[u8]) -> bool {
    let starts = bytes.first().is_some_and(|&byte| byte.is_ascii_alphabetic() || byte == b'*');
    starts && bytes.iter().all(|&byte| is_tchar(byte) || matches!(byte, b':' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_line_fits_whole() {
        let name = CacheName::new(&"\"".repeat(MAX_NAME)).expect("quotes are printable");
        let forwarded = Forwarded {
            reason: Forward::VaryMiss,
            status: Some(u16::MAX),
            stored: true,
            collapsed: Collapsed::Failed,
        };
        let status = CacheStatus {
            name: &name,
            outcome: Outcome::Forwarded(forwarded),
            ttl: Some(i64::MIN),
            detail: Some("malformed-cache-control"),
        };
        let written = status.to_header_value();
        let parameters = "; fwd=vary-miss; fwd-status=65535; stored; collapsed=?0; ttl=-999999999999999; \
                          detail=malformed-cache-control";
        assert!(written.as_bytes().ends_with(parameters.as_bytes()), "{written:?}");
    }
}
