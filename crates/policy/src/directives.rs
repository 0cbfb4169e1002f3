//! Cache-Control, read for what restricts most.
//!
//! ```
//! use forebay_policy::directives::CacheControl;
//! use http::{HeaderMap, HeaderValue, header};
//!
//! let mut fields = HeaderMap::new();
//! fields.append(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=\"60\""));
//! fields.append(header::CACHE_CONTROL, HeaderValue::from_static("MAX-AGE=30"));
//!
//! let directives = CacheControl::parse(&fields);
//! assert!(directives.public);
//! assert_eq!(directives.max_age, Some(30));
//! ```

use http::{HeaderMap, header};

use crate::syntax::{delta_seconds, is_token, members, trim_ows};

/// The directives of a Cache-Control field that a cache acts on, of a request or a response.
///
/// Duplicates and conflicts keep the most restrictive reading: the shortest time wins, a flag stays set. A freshness
/// time that is missing or no number is zero, one that overflows is 2^31 seconds.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheControl {
    /// `max-age`, in seconds.
    pub max_age: Option<u32>,
    /// `s-maxage`, in seconds.
    pub s_maxage: Option<u32>,
    /// `no-store`.
    pub no_store: bool,
    /// `no-cache`, with or without field names.
    pub no_cache: bool,
    /// `private`, with or without field names.
    pub private: bool,
    /// `public`.
    pub public: bool,
    /// `must-revalidate`.
    pub must_revalidate: bool,
    /// `proxy-revalidate`.
    pub proxy_revalidate: bool,
    /// `must-understand`.
    pub must_understand: bool,
    /// `immutable`.
    pub immutable: bool,
    /// `only-if-cached`.
    pub only_if_cached: bool,
    /// Something in the field is not Cache-Control: a quoted string without end, a name that is no token. What it was
    /// meant to say is unknown, so it is read as forbidding.
    pub malformed: bool,
}

impl CacheControl {
    /// Reads all Cache-Control lines of a message.
    #[must_use]
    pub fn parse(fields: &HeaderMap) -> Self {
        let mut directives = Self::default();
        for line in fields.get_all(header::CACHE_CONTROL) {
            directives.read(line.as_bytes());
        }
        directives
    }

    /// Reads one more line into what is already known.
    pub(crate) fn read(&mut self, line: &[u8]) {
        for member in members(line).filter(|member| !member.is_empty()) {
            match Directive::parse(member) {
                Some(directive) => self.add(&directive),
                None => self.malformed = true,
            }
        }
    }

    fn add(&mut self, directive: &Directive<'_>) {
        let is = |name: &str| directive.name.eq_ignore_ascii_case(name.as_bytes());
        match directive.name.len() {
            6 if is("public") => self.public = true,
            7 if is("max-age") => shorten(&mut self.max_age, directive),
            //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.7
            //= type=exception
            //= reason=Like most caches, the qualified form is treated as the unqualified one, which restricts more.
            //# If a qualified private response directive is present, with an argument that lists one or
            //# more field names, then only the listed header fields are limited to a single user
            7 if is("private") => self.private = true,
            8 if is("s-maxage") => shorten(&mut self.s_maxage, directive),
            8 if is("no-store") => self.no_store = true,
            //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.4
            //# Note: The qualified form of the directive is often handled by caches as if an unqualified
            //# no-cache directive was received
            8 if is("no-cache") => self.no_cache = true,
            9 if is("immutable") => self.immutable = true,
            14 if is("only-if-cached") => self.only_if_cached = true,
            15 if is("must-revalidate") => self.must_revalidate = true,
            15 if is("must-understand") => self.must_understand = true,
            16 if is("proxy-revalidate") => self.proxy_revalidate = true,
            //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.3
            //# A cache MUST ignore unrecognized cache directives.
            _ => {}
        }
    }
}

fn shorten(seconds: &mut Option<u32>, directive: &Directive<'_>) {
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.1
    //# Caches are encouraged to consider responses that have invalid freshness information (e.g., a
    //# max-age directive with non-integer content) to be stale.
    let value = directive.argument.and_then(delta_seconds).unwrap_or(0);
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.1
    //# When there is more than one value present for a given directive (e.g., two Expires header field
    //# lines or multiple Cache-Control: max-age directives), either the first occurrence should be used
    //# or the response should be considered stale. If directives conflict (e.g., both max-age and
    //# no-cache are present), the most restrictive directive should be honored.
    *seconds = Some(seconds.map_or(value, |known| known.min(value)));
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2
//# Cache directives are identified by a token, to be compared case-insensitively, and have an optional
//# argument that can use both token and quoted-string syntax.
struct Directive<'a> {
    name: &'a [u8],
    argument: Option<&'a [u8]>,
}

impl<'a> Directive<'a> {
    fn parse(member: &'a [u8]) -> Option<Self> {
        let equals = member.iter().position(|&byte| byte == b'=');
        let (name, argument) = match equals {
            Some(at) => (member.get(..at)?, argument(member.get(at + 1..)?)?),
            None => (member, None),
        };
        // Whitespace before "=" is no valid syntax. The name still says what is forbidden, the argument says nothing.
        let trimmed = trim_ows(name);
        let argument = argument.filter(|_| trimmed.len() == name.len());
        is_token(trimmed).then_some(Self { name: trimmed, argument })
    }
}

/// The argument without its quotes; nothing for an empty one or one after whitespace. The outer `None` is for what is
/// neither a token nor a quoted string.
fn argument(bytes: &[u8]) -> Option<Option<&[u8]>> {
    let trimmed = trim_ows(bytes);
    let argument = match trimmed {
        [] => return Some(None),
        [b'"', quoted @ ..] => closed(quoted)?,
        token => is_token(token).then_some(token)?,
    };
    Some((trimmed.len() == bytes.len()).then_some(argument))
}

/// What stands before the closing quote, if that quote is the last byte.
fn closed(quoted: &[u8]) -> Option<&[u8]> {
    let mut escaped = false;
    let end = quoted.iter().position(|&byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })?;
    (end + 1 == quoted.len()).then(|| quoted.get(..end)).flatten()
}
