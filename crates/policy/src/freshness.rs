//! How long a response is fresh, and who said so.
//!
//! The order is: the handler's annotation, the response's own fields, the route's TTL, and a guess where the policy has
//! the cache make one. A cache that is told nothing stores nothing.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//! use forebay_policy::directives::CacheControl;
//! use forebay_policy::freshness::{Explicit, Granted, Source, assign};
//! use http::{HeaderMap, HeaderValue, StatusCode, header};
//!
//! let mut response = HeaderMap::new();
//! response.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=600, s-maxage=60"));
//! let directives = CacheControl::parse(&response);
//! let explicit = Explicit::of(&directives, &response, SystemTime::UNIX_EPOCH);
//!
//! // The route grants five minutes, but the response speaks for itself.
//! let granted = Granted { route: Some(Duration::from_secs(300)), ..Granted::default() };
//! let assigned = assign(explicit, granted, None, StatusCode::OK)?;
//! assert_eq!(assigned.source, Source::CacheControl);
//! assert_eq!(assigned.freshness, Duration::from_secs(60));
//! # Ok::<(), forebay_policy::reason::Reason>(())
//! ```

use std::time::{Duration, SystemTime};

use http::header::{EXPIRES, LAST_MODIFIED};
use http::{HeaderMap, StatusCode};

use crate::date::{date, http_date, single_date};
use crate::directives::CacheControl;
use crate::profile::Heuristic;
use crate::reason::Reason;
use crate::syntax::MAX_SECONDS;

/// The longest that a route keeps a 404 or 410: what is missing now may soon be there.
pub const NOT_FOUND_TTL: Duration = Duration::from_secs(60);

/// Where a freshness lifetime came from.
///
/// The numbers are stable: entries in L2 carry them.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The handler annotated this very response.
    Handler = 0,
    /// `s-maxage` or `max-age` in the response.
    CacheControl = 1,
    /// Expires in the response.
    Expires = 2,
    /// The route's TTL, or the default.
    Route = 3,
    /// Nobody: it is a part of the time since Last-Modified.
    Heuristic = 4,
}

impl Source {
    /// Returns the name that logs print.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::CacheControl => "cache-control",
            Self::Expires => "expires",
            Self::Route => "route",
            Self::Heuristic => "heuristic",
        }
    }

    /// Returns the number of this source.
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        self as u8
    }

    /// Returns the source with this number, if there is one.
    #[must_use]
    pub const fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Handler),
            1 => Some(Self::CacheControl),
            2 => Some(Self::Expires),
            3 => Some(Self::Route),
            4 => Some(Self::Heuristic),
            _ => None,
        }
    }
}

/// Freshness granted by the service's own configuration and code, beside what the response's fields say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// What the handler said about this response. Outranks the response's fields.
    pub handler: Option<Duration>,
    /// What the route, or the default, says about all of its responses. Applies where nothing else does.
    pub route: Option<Duration>,
    /// The same, about answers that say there is nothing (404, 410). At most [`NOT_FOUND_TTL`].
    pub negative: Option<Duration>,
    /// For how long past its freshness a response may answer while it is refreshed, says the handler or else the route.
    pub stale_while_revalidate: Option<Duration>,
    /// For how long past its freshness a response may answer instead of an error, says the handler or else the route.
    pub stale_if_error: Option<Duration>,
}

/// The freshness lifetime that the response's own fields give.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Explicit {
    /// From `s-maxage` or `max-age`.
    CacheControl(Duration),
    /// From Expires.
    Expires(Duration),
}

impl Explicit {
    /// Reads the freshness lifetime for a shared cache; `None` when the response gives none.
    #[must_use]
    pub fn of(directives: &CacheControl, response: &HeaderMap, received: SystemTime) -> Option<Self> {
        //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.10
        //# The s-maxage response directive indicates that, for a shared cache, the maximum age specified by
        //# this directive overrides the maximum age specified by either the max-age directive or the Expires
        //# header field.
        //
        //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.1
        //# If the cache is shared and the s-maxage response directive (Section 5.2.2.10) is present, use
        //# its value, or
        //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.1
        //# If the max-age response directive (Section 5.2.2.1) is present, use its value, or
        //
        //= https://www.rfc-editor.org/rfc/rfc9111#section-3
        //# a max-age response directive (see Section 5.2.2.1);
        //
        //= https://www.rfc-editor.org/rfc/rfc9111#section-3
        //# if the cache is shared: an s-maxage response directive (see Section 5.2.2.10);
        //
        //= https://www.rfc-editor.org/rfc/rfc9111#section-5.3
        //# If a response includes a Cache-Control header field with the max-age directive (Section
        //# 5.2.2.1), a recipient MUST ignore the Expires header field.
        //
        //= https://www.rfc-editor.org/rfc/rfc9111#section-5.3
        //# Likewise, if a response includes the s-maxage directive (Section 5.2.2.10), a shared cache
        //# recipient MUST ignore the Expires header field.
        if let Some(seconds) = directives.s_maxage.or(directives.max_age) {
            return Some(Self::CacheControl(Duration::from_secs(u64::from(seconds))));
        }
        //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.1
        //# If the Expires response header field (Section 5.3) is present, use its value minus the value of
        //# the Date response header field (using the time the message was received if it is not present,
        //# as per Section 6.6.1 of [HTTP]), or
        if directives.targeted {
            return None;
        }
        //= https://www.rfc-editor.org/rfc/rfc9111#section-3
        //# an Expires header field (see Section 5.3);
        let expires = expires(response, received)?;
        let from = date(response, received).unwrap_or(received);
        Some(Self::Expires(expires.and_then(|at| at.duration_since(from).ok()).unwrap_or(Duration::ZERO)))
    }
}

/// Expires, if present; `Some(None)` for one that is no date or has several values, which means expired.
fn expires(response: &HeaderMap, now: SystemTime) -> Option<Option<SystemTime>> {
    let mut lines = response.get_all(EXPIRES).iter();
    //= https://www.rfc-editor.org/rfc/rfc9111#section-5.3
    //# A cache recipient MUST interpret invalid date formats, especially the value "0", as representing a
    //# time in the past (i.e., "already expired").
    let first = http_date(lines.next()?, now);
    let agreed = lines.all(|line| http_date(line, now) == first);
    Some(first.filter(|_| agreed))
}

/// A freshness lifetime and where it came from.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// How long the response is fresh, counted from its generation.
    pub freshness: Duration,
    /// Who said so.
    pub source: Source,
}

/// Guesses how long a response is fresh that does not say so itself; `None` where there is nothing to guess by.
#[must_use]
pub fn guess(
    how: Heuristic,
    directives: &CacheControl,
    status: StatusCode,
    response: &HeaderMap,
    received: SystemTime,
) -> Option<Duration> {
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.2
    //# Because of the requirements in Section 3, heuristics can only be used on
    //# responses without explicit freshness whose status codes are defined as heuristically cacheable
    //# (e.g., see Section 15.1 of [HTTP]) and on responses without explicit freshness that have been
    //# marked as explicitly cacheable (e.g., with a public response directive).
    //
    //= https://www.rfc-editor.org/rfc/rfc9111#section-3
    //# a public response directive (see Section 5.2.2.9);
    //
    //= https://www.rfc-editor.org/rfc/rfc9111#section-3
    //# a status code that is defined as heuristically cacheable (see Section 4.2.2).
    //
    //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.9
    //# If a response with the public directive has no explicit freshness information, it is heuristically
    //# cacheable (Section 4.2.2).
    if !directives.public && !is_heuristically_cacheable(status) {
        return None;
    }
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.2
    //# If the response has a Last-Modified header field (Section 8.8.2 of [HTTP]), caches are encouraged
    //# to use a heuristic expiration value that is no more than some fraction of the interval since that
    //# time. A typical setting of this fraction might be 10%.
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.2
    //# Since origin servers do not always provide explicit expiration times, a cache MAY assign a heuristic
    //# expiration time when an explicit time is not specified, employing algorithms that use other field
    //# values (such as the Last-Modified time) to estimate a plausible expiration time.
    let modified = single_date(response, &LAST_MODIFIED, received)?;
    let unchanged = date(response, received).unwrap_or(received).duration_since(modified).ok()?;
    let part = u32::from(how.percent.min(100));
    Some(unchanged.checked_mul(part).map_or(how.cap, |part| part / 100).min(how.cap))
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-15.1
//# Responses with status codes that are defined as heuristically cacheable (e.g., 200, 203, 204, 206,
//# 300, 301, 308, 404, 405, 410, 414, and 501 in this specification) can be reused by a cache with
//# heuristic expiration unless otherwise indicated by the method definition or explicit cache controls
//# [CACHING]; all other status codes are not heuristically cacheable.
pub(crate) fn is_heuristically_cacheable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// Decides which freshness lifetime holds; `guessed` comes from [`guess`].
///
/// # Errors
///
/// [`Reason::NoFreshness`] when nobody gives one, [`Reason::Status`] when only the route does and the status code is
/// not one that a route's TTL covers.
pub fn assign(
    explicit: Option<Explicit>,
    granted: Granted,
    guessed: Option<Duration>,
    status: StatusCode,
) -> Result<Assigned, Reason> {
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.2
    //# A cache MUST NOT use heuristics to determine freshness when an explicit expiration time is present
    //# in the stored response.
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.1
    //# Otherwise, no explicit expiration time is present in the response. A heuristic freshness lifetime
    //# might be applicable; see Section 4.2.2.
    let (freshness, source) = match (granted.handler, explicit, granted.by_route(status), guessed) {
        (Some(ttl), ..) => (ttl, Source::Handler),
        (None, Some(Explicit::CacheControl(lifetime)), ..) => (lifetime, Source::CacheControl),
        (None, Some(Explicit::Expires(lifetime)), ..) => (lifetime, Source::Expires),
        (None, None, Some(Ok(ttl)), _) => (ttl, Source::Route),
        (None, None, Some(Err(reason)), None) => return Err(reason),
        //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.1
        //# Otherwise, no explicit expiration time is present in the response. A heuristic freshness
        //# lifetime might be applicable; see Section 4.2.2.
        //
        //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.2
        //# Since origin servers do not always provide explicit expiration times, a cache MAY assign a
        //# heuristic expiration time when an explicit time is not specified, employing algorithms that
        //# use other field values (such as the Last-Modified time) to estimate a plausible expiration
        //# time.
        (None, None, _, Some(guessed)) => (guessed, Source::Heuristic),
        (None, None, None, None) => return Err(Reason::NoFreshness),
    };
    Ok(Assigned { freshness: freshness.min(Duration::from_secs(u64::from(MAX_SECONDS))), source })
}

impl Granted {
    /// What the route gives to answers with this status code. A route means its good answers; errors and empty answers are
    /// stored only where the response itself says so.
    fn by_route(&self, status: StatusCode) -> Option<Result<Duration, Reason>> {
        match status.as_u16() {
            404 | 410 => self.negative.or(self.route).map(|ttl| Ok(ttl.min(NOT_FOUND_TTL))),
            200 | 203 | 301 | 308 => self.route.map(Ok),
            _ => self.route.map(|_| Err(Reason::Status)),
        }
    }
}
