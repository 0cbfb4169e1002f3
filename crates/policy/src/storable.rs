//! Whether a response may be stored, and what is kept of it.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//! use forebay_policy::age::Times;
//! use forebay_policy::credentials::Credentials;
//! use forebay_policy::freshness::Granted;
//! use forebay_policy::profile::Policy;
//! use forebay_policy::reason::Reason;
//! use forebay_policy::storable::{Exchange, Storability, storability};
//! use forebay_policy::target::Target;
//! use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
//!
//! let request = HeaderMap::new();
//! let mut response = HeaderMap::new();
//! response.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
//! response.insert(header::SET_COOKIE, HeaderValue::from_static("session=1"));
//! let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
//! let exchange = Exchange {
//!     method: &Method::GET,
//!     request: &request,
//!     status: StatusCode::OK,
//!     response: &response,
//!     times: Times { requested: now, received: now },
//!     target: Target { scheme: None, authority: "shop.example", path: "/login" },
//! };
//! assert_eq!(
//!     storability(&exchange, Granted::default(), Credentials::default(), &Policy::origin()),
//!     Storability::Unstorable(Reason::SetCookie),
//! );
//! ```

use std::time::Duration;

use http::header::{CONTENT_LOCATION, LAST_MODIFIED, RANGE, SET_COOKIE};
use http::{HeaderMap, Method, StatusCode};

use crate::age::{Times, initial_age};
use crate::credentials::Credentials;
use crate::date::comparable_date;
use crate::directives::{CacheControl, RequestDirectives};
use crate::freshness::{Assigned, Explicit, Granted, Source, assign, guess, is_heuristically_cacheable};
use crate::profile::{Partial, Policy, Post, SetCookie, Validated};
use crate::range::ContentRange;
use crate::reason::Reason;
use crate::syntax::entity_tag;
use crate::target::Target;
use crate::windows::{Validator, Windows};

/// One request and its answer, as the origin gave it: fields of the connection still in place.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// The request's method.
    pub method: &'a Method,
    /// The request's fields, as the origin saw them.
    pub request: &'a HeaderMap,
    /// The response's status code.
    pub status: StatusCode,
    /// The response's fields.
    pub response: &'a HeaderMap,
    /// When the exchange happened.
    pub times: Times,
    /// What the request was for.
    pub target: Target<'a>,
}

/// Whether a response may be stored.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storability {
    /// It may, and this is how long and for whom it is good.
    Storable(Lifetime),
    /// It may, as a part of a representation (206): it answers only what it holds, and can be combined with other parts.
    Partial(Lifetime),
    /// It may not.
    Unstorable(Reason),
}

/// How long a stored response is good, and for whom: computed once when it is stored, compared on every hit.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// How long the response is fresh, counted from its generation.
    pub freshness: Duration,
    /// How old it was when it arrived.
    pub initial_age: Duration,
    /// Who said how long it is fresh.
    pub source: Source,
    /// Whose requests it may answer.
    pub audience: Audience,
    /// What it is good for when it is no longer fresh.
    pub windows: Windows,
}

impl Lifetime {
    /// Puts a lifetime together again from what L2 kept of it, without [`windows`](Self::windows).
    #[must_use]
    pub const fn new(freshness: Duration, initial_age: Duration, source: Source, audience: Audience) -> Self {
        let windows = Windows::NONE;
        Self { freshness, initial_age, source, audience, windows }
    }

    /// With these windows.
    #[must_use]
    pub const fn with_windows(self, windows: Windows) -> Self {
        Self { windows, ..self }
    }

    /// How long the response was still fresh when it arrived.
    #[must_use]
    pub const fn remaining(&self) -> Duration {
        self.freshness.saturating_sub(self.initial_age)
    }

    /// With this part less of the time that is left of its freshness. What is fresh stays so, and nothing is fresh for longer
    /// than it was said to be.
    #[must_use]
    pub fn shortened(self, part: f64) -> Self {
        let taken = self.remaining().mul_f64(part.clamp(0.0, 0.99));
        Self { freshness: self.freshness.saturating_sub(taken), ..self }
    }

    /// Since when the response was stale when it arrived; `None` when it was fresh.
    const fn stale_on_arrival(&self) -> Option<Duration> {
        self.initial_age.checked_sub(self.freshness)
    }

    /// The credential that keeps this response from answering a request, if one does.
    #[inline]
    pub(crate) const fn refuses(&self, credentials: Credentials) -> Option<Reason> {
        let (authorized, cookies) = match self.audience {
            Audience::Anyone => (true, true),
            Audience::Unauthorized => (false, true),
            Audience::WithoutCookies => (true, false),
            Audience::Anonymous => (false, false),
        };
        if credentials.authorization() && !authorized {
            return Some(Reason::Authorization);
        }
        if credentials.cookie() && !cookies {
            return Some(Reason::Cookie);
        }
        None
    }
}

/// Whose requests a stored response may answer.
///
/// The numbers are stable: entries in L2 carry them.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Requests without credentials only.
    Anonymous = 0,
    /// Requests without Authorization and its kin; cookies do not matter.
    Unauthorized = 1,
    /// Requests without cookies; Authorization does not matter.
    WithoutCookies = 2,
    /// All requests.
    Anyone = 3,
}

impl Audience {
    /// Returns the number of this audience.
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        self as u8
    }

    /// Returns the audience with this number, if there is one.
    #[must_use]
    pub const fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Anonymous),
            1 => Some(Self::Unauthorized),
            2 => Some(Self::WithoutCookies),
            3 => Some(Self::Anyone),
            _ => None,
        }
    }

    fn of(directives: &CacheControl, source: Source) -> Self {
        //= https://www.rfc-editor.org/rfc/rfc9111#section-3.5
        //# In this specification, the following response directives have such an effect: must-revalidate (
        //# Section 5.2.2.2), public (Section 5.2.2.9), and s-maxage (Section 5.2.2.10).
        //
        // Under a route's TTL the response has said nothing about time, so must-revalidate alone permits nothing.
        let authorized = directives.public
            || directives.s_maxage.is_some()
            || (directives.must_revalidate && source != Source::Route);
        // A route cannot know which cookies its handlers read; a response that speaks for itself can.
        let cookies = source != Source::Route;
        match (authorized, cookies) {
            (true, true) => Self::Anyone,
            (false, true) => Self::Unauthorized,
            (true, false) => Self::WithoutCookies,
            (false, false) => Self::Anonymous,
        }
    }
}

/// Judges whether a response may be stored.
///
/// Vary is judged apart, by [`Vary::parse`](crate::variant::Vary::parse). An answer to POST that may be stored is stored
/// for GET. A response that sets a cookie goes through [`strip_set_cookie`](crate::fields::strip_set_cookie) first.
#[must_use]
pub fn storability(
    exchange: &Exchange<'_>,
    granted: Granted,
    credentials: Credentials,
    policy: &Policy,
) -> Storability {
    match judge(exchange, granted, credentials, policy) {
        Ok(lifetime) if exchange.status == StatusCode::PARTIAL_CONTENT => Storability::Partial(lifetime),
        Ok(lifetime) => Storability::Storable(lifetime),
        Err(reason) => Storability::Unstorable(reason),
    }
}

fn judge(
    exchange: &Exchange<'_>,
    granted: Granted,
    credentials: Credentials,
    policy: &Policy,
) -> Result<Lifetime, Reason> {
    let directives = CacheControl::of_response(exchange.response, &policy.targeted);
    let explicit = Explicit::of(&directives, exchange.response, exchange.times.received);
    request_permits(exchange, explicit, policy)?;
    status_permits(exchange, &directives, policy)?;
    response_permits(exchange, &directives, policy)?;

    let Assigned { freshness, source } = freshness(exchange, &directives, explicit, granted, policy)?;
    let validator = validator(exchange.response);
    let windows = Windows::of(&directives, granted, source, policy, validator);
    let initial_age = initial_age(exchange.response, exchange.times);
    let audience = Audience::of(&directives, source);
    let lifetime = Lifetime { freshness, initial_age, source, audience, windows };

    //= https://www.rfc-editor.org/rfc/rfc9111#section-3
    //# if the cache is shared: the Authorization header field is not present in the request (see
    //# Section 11.6.2 of [HTTP]) or a response directive is present that explicitly allows shared
    //# caching (see Section 3.5); and
    if let Some(reason) = lifetime.refuses(credentials) {
        return Err(reason);
    }
    match lifetime.stale_on_arrival() {
        Some(by) if !is_of_use(&lifetime, by, exchange.status, policy, validator) => Err(Reason::Expired),
        _ => Ok(lifetime),
    }
}

/// Whether a response that is stale from the start is worth being stored: it can be validated, or answers while it is stale.
fn is_of_use(
    lifetime: &Lifetime,
    stale_by: Duration,
    status: StatusCode,
    policy: &Policy,
    validator: Validator,
) -> bool {
    let validated = policy.validated == Validated::Store && validator == Validator::Present;
    let windows = &lifetime.windows;
    status != StatusCode::PARTIAL_CONTENT && (validated || stale_by < windows.refresh.max(windows.error))
}

fn freshness(
    exchange: &Exchange<'_>,
    directives: &CacheControl,
    explicit: Option<Explicit>,
    granted: Granted,
    policy: &Policy,
) -> Result<Assigned, Reason> {
    let Exchange { status, response, .. } = *exchange;
    let heuristic = policy.heuristic.filter(|_| explicit.is_none());
    let received = exchange.times.received;
    let guessed = heuristic.and_then(|how| guess(how, directives, status, response, received));
    //= https://www.rfc-editor.org/rfc/rfc9111#section-3
    //# a public response directive (see Section 5.2.2.9);
    //
    //= https://www.rfc-editor.org/rfc/rfc9111#section-3
    //# an Expires header field (see Section 5.3);
    //
    //= https://www.rfc-editor.org/rfc/rfc9111#section-3
    //# a max-age response directive (see Section 5.2.2.1);
    //
    //= https://www.rfc-editor.org/rfc/rfc9111#section-3
    //# if the cache is shared: an s-maxage response directive (see Section 5.2.2.10);
    //
    //= https://www.rfc-editor.org/rfc/rfc9111#section-3
    //# a cache extension that allows it to be cached (see Section 5.2.3); or
    //
    // Alone, `public` and the status code permit a guess; an extension is a targeted field, or what the service grants.
    match assign(explicit, granted, guessed, status) {
        //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.4
        //# The no-cache response directive, in its unqualified form (without an argument), indicates that the
        //# response MUST NOT be used to satisfy any other request without forwarding it for validation and
        //# receiving a successful response; see Section 4.3.
        Ok(assigned) if directives.no_cache => Ok(Assigned { freshness: Duration::ZERO, ..assigned }),
        //= https://www.rfc-editor.org/rfc/rfc9111#section-3
        //# a status code that is defined as heuristically cacheable (see Section 4.2.2).
        //
        // That it is validated each time is all that has to be known of its freshness.
        Err(Reason::NoFreshness) if directives.no_cache && is_heuristically_cacheable(status) => {
            Ok(Assigned { freshness: Duration::ZERO, source: Source::CacheControl })
        }
        assigned => assigned,
    }
}

fn validator(response: &HeaderMap) -> Validator {
    let valid = entity_tag(response).is_some() || comparable_date(response, &LAST_MODIFIED).is_some();
    if valid { Validator::Present } else { Validator::Absent }
}

fn request_permits(
    exchange: &Exchange<'_>,
    explicit: Option<Explicit>,
    policy: &Policy,
) -> Result<(), Reason> {
    //= https://www.rfc-editor.org/rfc/rfc9111#section-3
    //# the request method is understood by the cache;
    //
    //= https://www.rfc-editor.org/rfc/rfc9110#section-9.2.3
    //# For a cache to store and use a response, the associated method needs to explicitly allow caching and
    //# to detail under what conditions a response can be used to satisfy subsequent requests; a method
    //# definition that does not do so cannot be cached.
    let understood = *exchange.method == Method::GET
        || (*exchange.method == Method::POST
            && policy.post == Post::Store
            && is_post_for_get(exchange, explicit));
    if !understood {
        return Err(Reason::Method);
    }
    //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.5
    //# The no-store request directive indicates that a cache MUST NOT store any part of either this
    //# request or any response to it.
    if RequestDirectives::parse(exchange.request).forbids_storing() {
        return Err(Reason::RequestNoStore);
    }
    Ok(())
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.3
//# Responses to POST requests are only cacheable when they include explicit freshness information (see
//# Section 4.2.1 of [CACHING]) and a Content-Location header field that has the same value as the
//# POST's target URI (Section 8.7).
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.3
//# A cached POST response can be reused to satisfy a later GET or HEAD request.
//
// With another status code the answer is not what a GET would have got.
fn is_post_for_get(exchange: &Exchange<'_>, explicit: Option<Explicit>) -> bool {
    let mut lines = exchange.response.get_all(CONTENT_LOCATION).iter();
    let location = lines.next().filter(|_| lines.next().is_none()).and_then(|line| line.to_str().ok());
    let location = location.and_then(|reference| exchange.target.resolve(reference));
    exchange.status == StatusCode::OK
        && explicit.is_some()
        && location.is_some_and(|location| location == exchange.target.path)
}

fn status_permits(exchange: &Exchange<'_>, directives: &CacheControl, policy: &Policy) -> Result<(), Reason> {
    match exchange.status.as_u16() {
        206 => partial_permits(exchange, policy),
        //= https://www.rfc-editor.org/rfc/rfc9111#section-3
        //# the response status code is final (see Section 15 of [HTTP]);
        ..200 | 304 | 600.. => Err(Reason::Status),
        400 | 405 | 408 | 411..=417 | 421 | 426 | 428 | 429 | 431 if !policy.store_request_errors => {
            Err(Reason::RequestError)
        }
        //= https://www.rfc-editor.org/rfc/rfc9111#section-3
        //# if the response status code is 206 or 304, or the must-understand cache directive (see Section
        //# 5.2.2.3) is present: the cache understands the response status code;
        code if directives.must_understand && !is_understood(code) => Err(Reason::MustUnderstand),
        _ => Ok(()),
    }
}

fn partial_permits(exchange: &Exchange<'_>, policy: &Policy) -> Result<(), Reason> {
    //= https://www.rfc-editor.org/rfc/rfc9111#section-3.3
    //# However, a cache MUST NOT store incomplete or partial-content responses if it does not support
    //# the Range and Content-Range header fields or if it does not understand the range units used in
    //# those fields.
    //
    //= https://www.rfc-editor.org/rfc/rfc9111#section-3.3
    //# Likewise, a 206 (Partial Content) response MAY be stored as if it were an incomplete 200 (OK)
    //# response.
    //
    // A part that nobody has asked for, or that does not say which one it is, is of no use.
    let asked = exchange.method == Method::GET && exchange.request.contains_key(RANGE);
    let understood =
        policy.partial == Partial::Combine && asked && ContentRange::of(exchange.response).is_some();
    if understood { Ok(()) } else { Err(Reason::PartialContent) }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3
//# In this context, a cache has "understood" a request method or a response status code if it
//# recognizes it and implements all specified caching-related behavior.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.3
//# The must-understand response directive limits caching of the response to a cache that understands
//# and conforms to the requirements for that response's status code.
/// The final status codes of RFC 9110 whose caching needs nothing that is missing here.
fn is_understood(code: u16) -> bool {
    matches!(code, 200..=206 | 300..=303 | 307 | 308 | 400..=417 | 421 | 422 | 426 | 500..=505)
}

fn response_permits(
    exchange: &Exchange<'_>,
    directives: &CacheControl,
    policy: &Policy,
) -> Result<(), Reason> {
    if directives.malformed {
        return Err(Reason::MalformedCacheControl);
    }
    //= https://www.rfc-editor.org/rfc/rfc9111#section-3
    //# the no-store cache directive is not present in the response (see Section 5.2.2.5);
    //
    //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.3
    //# When a cache that implements the must-understand directive receives a response that includes it,
    //# the cache SHOULD ignore the no-store directive if it understands and implements the status code's
    //# caching requirements.
    //
    // A status code that is not understood has been refused before.
    if directives.no_store && !directives.must_understand {
        return Err(Reason::NoStore);
    }
    //= https://www.rfc-editor.org/rfc/rfc9111#section-3
    //# if the cache is shared: the private response directive is either not present or allows a shared
    //# cache to store a modified response; see Section 5.2.2.7);
    if directives.private {
        return Err(Reason::Private);
    }
    // RFC 9111, 7.3: Set-Cookie does not inhibit caching. A cookie handed to everyone is a session handed to everyone,
    // so here it does, unless the policy has it otherwise.
    if policy.set_cookie == SetCookie::Refuse && exchange.response.contains_key(SET_COOKIE) {
        return Err(Reason::SetCookie);
    }
    // Without a validator, or where the policy stores nothing that has to be validated, there would be no use for it.
    let validated =
        policy.validated == Validated::Store && validator(exchange.response) == Validator::Present;
    if directives.no_cache && !validated {
        return Err(Reason::NoCache);
    }
    Ok(())
}
