//! Cache-Control and the fields targeted at this cache, read for what restricts most.
//!
//! ```
//! use forebay_policy::directives::{CacheControl, MaxStale, RequestDirectives};
//! use http::{HeaderMap, HeaderName, HeaderValue, header};
//!
//! let mut response = HeaderMap::new();
//! response.append(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=\"60\""));
//! response.append(header::CACHE_CONTROL, HeaderValue::from_static("MAX-AGE=30"));
//! let directives = CacheControl::parse(&response);
//! assert!(directives.public);
//! assert_eq!(directives.max_age, Some(30));
//!
//! // A field that speaks to this cache in particular takes the place of both Cache-Control and Expires.
//! let targeted = HeaderName::from_static("cdn-cache-control");
//! response.append(&targeted, HeaderValue::from_static("max-age=600"));
//! assert_eq!(CacheControl::of_response(&response, &[targeted]).max_age, Some(600));
//!
//! let mut request = HeaderMap::new();
//! request.append(header::CACHE_CONTROL, HeaderValue::from_static("max-age=10, max-stale"));
//! let asked = RequestDirectives::parse(&request);
//! assert_eq!((asked.max_age, asked.max_stale), (Some(10), Some(MaxStale::Any)));
//! ```

use http::header::HeaderName;
use http::{HeaderMap, header};

use crate::structured::{Item, Member, dictionary};
use crate::syntax::{MAX_SECONDS, delta_seconds, is_token, members, trim_ows};

/// The directives of a response that a cache acts on.
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
    /// `stale-while-revalidate`, in seconds.
    pub stale_while_revalidate: Option<u32>,
    /// `stale-if-error`, in seconds.
    pub stale_if_error: Option<u32>,
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
    /// Something in the field is not Cache-Control: a quoted string without end, a name that is no token. What it was
    /// meant to say is unknown, so it is read as forbidding.
    pub malformed: bool,
    /// The directives come from a targeted field, so neither Cache-Control nor Expires counts.
    pub targeted: bool,
}

impl CacheControl {
    /// Reads all Cache-Control lines of a response.
    #[must_use]
    pub fn parse(response: &HeaderMap) -> Self {
        let mut directives = Self::default();
        for line in response.get_all(header::CACHE_CONTROL) {
            read(line.as_bytes(), |directive| directives.add(directive));
        }
        directives
    }

    /// Reads the first of the `targeted` fields that says something, else Cache-Control.
    #[must_use]
    pub fn of_response(response: &HeaderMap, targeted: &[HeaderName]) -> Self {
        //= https://www.rfc-editor.org/rfc/rfc9213#section-2.2
        //# When a cache that implements this specification receives a response with one or more of the header
        //# field names on its target list, the cache MUST select the first (in target-list order) field with a
        //# valid, non-empty value and use its value to determine the caching policy for the response, and it
        //# MUST ignore the Cache-Control and Expires header fields in that response, unless no valid,
        //# non-empty value is available from the listed header fields.
        let chosen = targeted.iter().find_map(|name| Self::targeted(response, name));
        chosen.unwrap_or_else(|| Self::parse(response))
    }

    //= https://www.rfc-editor.org/rfc/rfc9213#section-2.1
    //# Targeted fields are Dictionary Structured Fields (Section 3.2 of [STRUCTURED-FIELDS]).
    //
    //= https://www.rfc-editor.org/rfc/rfc9213#section-2.1
    //# If a targeted field in a given response is empty, or a parsing error is encountered, that field
    //# MUST be ignored by the cache (i.e., it behaves as if the field were not present, likely falling
    //# back to other cache-control mechanisms present).
    fn targeted(response: &HeaderMap, name: &HeaderName) -> Option<Self> {
        let mut directives = Self { targeted: true, ..Self::default() };
        //= https://www.rfc-editor.org/rfc/rfc9213#section-2.1
        //# Targeted fields are Dictionary Structured Fields (Section 3.2 of [STRUCTURED-FIELDS]).
        let members = dictionary(response.get_all(name), |member| directives.set(&member)).ok()?;
        (members > 0).then_some(directives)
    }

    fn add(&mut self, directive: Option<&Directive<'_>>) {
        let Some(directive) = directive else {
            self.malformed = true;
            return;
        };
        match self.slot(&directive.name()) {
            //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.1
            //# If directives conflict (e.g., both max-age and no-cache are present), the most restrictive
            //# directive should be honored.
            Some(Slot::Flag(flag) | Slot::Permission(flag)) => *flag = true,
            Some(Slot::Seconds(slot)) => shorten(slot, directive),
            //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.3
            //# A cache MUST ignore unrecognized cache directives.
            None => {}
        }
    }

    /// Sets what a member of a targeted field says; a later one with the same key takes its place.
    fn set(&mut self, member: &Member<'_>) {
        //= https://www.rfc-editor.org/rfc/rfc9213#section-2.1
        //# Implementations SHOULD NOT consume values that violate these inferred constraints.
        //
        //= https://www.rfc-editor.org/rfc/rfc9213#section-2.2
        //# Caches that use a targeted field MUST implement the semantics of the following cache directives:
        //# max-age must-revalidate no-store no-cache private
        //
        //= https://www.rfc-editor.org/rfc/rfc9213#section-2.2
        //# Furthermore, they SHOULD implement other cache directives (including extension cache
        //# directives) that they support in the Cache-Control response header field.
        match self.slot(&Name::of(member.key)) {
            // A permission has to be said rightly, while what forbids is heard in any form but `?0`.
            Some(Slot::Permission(flag)) => *flag = member.item == Item::Boolean(true),
            Some(Slot::Flag(flag)) => *flag = member.item != Item::Boolean(false),
            Some(Slot::Seconds(slot)) => *slot = Some(item_seconds(member.item)),
            None => {}
        }
    }

    fn slot(&mut self, name: &Name<'_>) -> Option<Slot<'_>> {
        Some(match name.bytes.len() {
            6 if name.is("public") => Slot::Permission(&mut self.public),
            7 if name.is("max-age") => Slot::Seconds(&mut self.max_age),
            //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.7
            //= type=exception
            //= reason=Like most caches, the qualified form is treated as the unqualified one, which restricts more.
            //# If a qualified private response directive is present, with an argument that lists one or
            //# more field names, then only the listed header fields are limited to a single user
            //
            //= https://www.rfc-editor.org/rfc/rfc9111#section-3.1
            //= type=exception
            //= reason=Like most caches, the qualified form is treated as the unqualified one, which restricts more.
            //# The no-cache (Section 5.2.2.4) and private (Section 5.2.2.7) cache directives can have
            //# arguments that prevent storage of header fields by all caches and shared caches, respectively.
            7 if name.is("private") => Slot::Flag(&mut self.private),
            8 if name.is("s-maxage") => Slot::Seconds(&mut self.s_maxage),
            8 if name.is("no-store") => Slot::Flag(&mut self.no_store),
            //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.4
            //# Note: The qualified form of the directive is often handled by caches as if an unqualified
            //# no-cache directive was received
            //
            //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.4
            //= type=exception
            //= reason=Like most caches, the qualified form is treated as the unqualified one, which restricts more.
            //# The qualified form of the no-cache response directive, with an argument that lists one or more
            //# field names, indicates that a cache MAY use the response to satisfy a subsequent request, subject
            //# to any other restrictions on caching, if the listed header fields are excluded from the subsequent
            //# response or the subsequent response has been successfully revalidated with the origin server
            //# (updating or removing those fields).
            8 if name.is("no-cache") => Slot::Flag(&mut self.no_cache),
            //= https://www.rfc-editor.org/rfc/rfc8246#section-2
            //# If any arguments are present, they have no meaning and MUST be ignored.
            //
            //= https://www.rfc-editor.org/rfc/rfc8246#section-2
            //# Multiple instances of the immutable extension are equivalent to one instance.
            9 if name.is("immutable") => Slot::Permission(&mut self.immutable),
            14 if name.is("stale-if-error") => Slot::Seconds(&mut self.stale_if_error),
            15 if name.is("must-revalidate") => Slot::Flag(&mut self.must_revalidate),
            15 if name.is("must-understand") => Slot::Permission(&mut self.must_understand),
            16 if name.is("proxy-revalidate") => Slot::Flag(&mut self.proxy_revalidate),
            22 if name.is("stale-while-revalidate") => Slot::Seconds(&mut self.stale_while_revalidate),
            _ => return None,
        })
    }
}

/// Where a directive's value goes.
enum Slot<'a> {
    /// Something that restricts.
    Flag(&'a mut bool),
    /// Something that permits.
    Permission(&'a mut bool),
    /// A time, the shorter the more it restricts.
    Seconds(&'a mut Option<u32>),
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1
//# They are advisory; caches MAY implement them, but are not required to.
/// What a request asks of a cache.
///
/// Whether it is heard is the [`Policy`](crate::profile::Policy)'s matter, `no-store` excepted. What cannot be read
/// asks for the most.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestDirectives {
    /// `max-age`: not older than this, in seconds.
    pub max_age: Option<u32>,
    /// `min-fresh`: fresh for at least this much longer, in seconds.
    pub min_fresh: Option<u32>,
    /// `max-stale`: stale is good enough.
    pub max_stale: Option<MaxStale>,
    /// `stale-if-error`: stale by no more than this is better than an error, in seconds.
    pub stale_if_error: Option<u32>,
    /// `no-cache`: not without validation.
    pub no_cache: bool,
    /// `no-store`: nothing of this exchange is stored.
    pub no_store: bool,
    /// `only-if-cached`: not from the origin.
    pub only_if_cached: bool,
    /// Something in the field is not Cache-Control.
    pub malformed: bool,
}

/// How stale a response may be for a client.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxStale {
    /// Stale by no more than these seconds.
    UpTo(u32),
    /// As stale as it is.
    Any,
}

impl RequestDirectives {
    /// Reads all Cache-Control lines of a request.
    #[must_use]
    pub fn parse(request: &HeaderMap) -> Self {
        let mut directives = Self::default();
        for line in request.get_all(header::CACHE_CONTROL) {
            directives.read(line.as_bytes());
        }
        directives
    }

    /// Reads one more line into what is already known.
    pub(crate) fn read(&mut self, line: &[u8]) {
        read(line, |directive| self.add(directive));
    }

    /// Whether nothing in the request may be stored.
    pub(crate) const fn forbids_storing(&self) -> bool {
        self.no_store || self.malformed
    }

    /// Whether it asks for anything beside `no-store`.
    pub(crate) fn asks(&self) -> bool {
        *self != Self { no_store: self.no_store, ..Self::default() }
    }

    fn add(&mut self, directive: Option<&Directive<'_>>) {
        let Some(directive) = directive else {
            // What it was meant to ask for is unknown.
            (self.malformed, self.no_cache) = (true, true);
            return;
        };
        let name = directive.name();
        match name.bytes.len() {
            //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.1
            //# The max-age request directive indicates that the client prefers a response whose age is less than or
            //# equal to the specified number of seconds.
            7 if name.is("max-age") => shorten(&mut self.max_age, directive),
            //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.4
            //# The no-cache request directive indicates that the client prefers a stored response not be used to
            //# satisfy the request without successful validation on the origin server.
            8 if name.is("no-cache") => self.no_cache = true,
            8 if name.is("no-store") => self.no_store = true,
            //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.3
            //# The min-fresh request directive indicates that the client prefers a response whose freshness
            //# lifetime is no less than its current age plus the specified time in seconds.
            9 if name.is("min-fresh") => {
                let asked = directive.seconds().unwrap_or(MAX_SECONDS);
                self.min_fresh = Some(self.min_fresh.map_or(asked, |known| known.max(asked)));
            }
            9 if name.is("max-stale") => self.add_max_stale(directive),
            //= https://www.rfc-editor.org/rfc/rfc5861#section-4
            //# When used as a request Cache-Control extension, its scope of application is the request it appears
            //# in; when used as a response Cache-Control extension, its scope is any request applicable to the
            //# cached response it occurs in.
            14 if name.is("stale-if-error") => shorten(&mut self.stale_if_error, directive),
            14 if name.is("only-if-cached") => self.only_if_cached = true,
            //= https://www.rfc-editor.org/rfc/rfc8246#section-2
            //# The presence of an immutable Cache-Control extension in a request has no effect.
            _ => {}
        }
    }

    fn add_max_stale(&mut self, directive: &Directive<'_>) {
        //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.2
        //# If no value is assigned to max-stale, then the client will accept a stale response of any age.
        //
        //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.2
        //# If a value is present, then the client is willing to accept a response that has exceeded its
        //# freshness lifetime by no more than the specified number of seconds.
        let accepted = match directive.argument {
            Argument::None => MaxStale::Any,
            Argument::Invalid | Argument::Text(_) => MaxStale::UpTo(directive.seconds().unwrap_or(0)),
        };
        self.max_stale = Some(match (self.max_stale, accepted) {
            (None | Some(MaxStale::Any), accepted) => accepted,
            (Some(known), MaxStale::Any) => known,
            (Some(MaxStale::UpTo(known)), MaxStale::UpTo(accepted)) => MaxStale::UpTo(known.min(accepted)),
        });
    }
}

/// Hands each directive of a line on, and `None` for a member that is none.
fn read(line: &[u8], mut add: impl FnMut(Option<&Directive<'_>>)) {
    for member in members(line).filter(|member| !member.is_empty()) {
        add(Directive::parse(member).as_ref());
    }
}

fn shorten(seconds: &mut Option<u32>, directive: &Directive<'_>) {
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.1
    //# Caches are encouraged to consider responses that have invalid freshness information (e.g., a
    //# max-age directive with non-integer content) to be stale.
    let value = directive.seconds().unwrap_or(0);
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.1
    //# When there is more than one value present for a given directive (e.g., two Expires header field
    //# lines or multiple Cache-Control: max-age directives), either the first occurrence should be used
    //# or the response should be considered stale.
    //
    // The shortest is the first one, or makes the response stale before the first one would.
    *seconds = Some(seconds.map_or(value, |known| known.min(value)));
}

/// A time in a targeted field: zero for what is no integer, as in Cache-Control.
fn item_seconds(item: Item<'_>) -> u32 {
    let Item::Integer(seconds) = item else { return 0 };
    if seconds < 0 { 0 } else { u32::try_from(seconds).unwrap_or(MAX_SECONDS).min(MAX_SECONDS) }
}

/// A directive's name, which has no case.
struct Name<'a> {
    bytes: &'a [u8],
}

impl<'a> Name<'a> {
    const fn of(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    fn is(&self, name: &str) -> bool {
        self.bytes.eq_ignore_ascii_case(name.as_bytes())
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2
//# Cache directives are identified by a token, to be compared case-insensitively, and have an optional
//# argument that can use both token and quoted-string syntax.
struct Directive<'a> {
    name: &'a [u8],
    argument: Argument<'a>,
}

enum Argument<'a> {
    /// There is none.
    None,
    /// It cannot be read: it is empty, or whitespace stands around the "=".
    Invalid,
    /// Without its quotes.
    Text(&'a [u8]),
}

impl<'a> Directive<'a> {
    /// `None` for what is no directive.
    fn parse(member: &'a [u8]) -> Option<Self> {
        let Some(equals) = member.iter().position(|&byte| byte == b'=') else {
            return is_token(member).then_some(Self { name: member, argument: Argument::None });
        };
        let (name, argument) = (member.get(..equals)?, argument(member.get(equals + 1..)?)?);
        // Whitespace before "=" is no valid syntax. The name still says what is forbidden, the argument says nothing.
        let trimmed = trim_ows(name);
        let argument = if trimmed.len() == name.len() { argument } else { Argument::Invalid };
        is_token(trimmed).then_some(Self { name: trimmed, argument })
    }

    const fn name(&self) -> Name<'a> {
        Name::of(self.name)
    }

    /// The argument as a time.
    fn seconds(&self) -> Option<u32> {
        match self.argument {
            Argument::Text(text) => delta_seconds(text),
            Argument::None | Argument::Invalid => None,
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2
//# For the directives defined below that define arguments, recipients ought to accept both forms, even
//# if a specific form is required for generation.
/// What stands behind a "="; `None` for what is neither a token nor a quoted string.
fn argument(bytes: &[u8]) -> Option<Argument<'_>> {
    let trimmed = trim_ows(bytes);
    let text = match trimmed {
        [] => return Some(Argument::Invalid),
        [b'"', quoted @ ..] => closed(quoted)?,
        token => is_token(token).then_some(token)?,
    };
    Some(if trimmed.len() == bytes.len() { Argument::Text(text) } else { Argument::Invalid })
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
