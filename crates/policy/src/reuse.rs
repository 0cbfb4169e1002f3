//! Whether the cache may take part in a request, and whether a stored response may answer it.
//!
//! ```
//! use forebay_policy::facts::RequestFacts;
//! use forebay_policy::reason::Reason;
//! use forebay_policy::reuse::{Body, Forward, Gate, Lookup, gate};
//! use http::{HeaderMap, Method};
//!
//! let facts = RequestFacts::scan(&HeaderMap::new());
//! assert_eq!(gate(&Method::GET, facts, Body::Empty), Gate::Lookup(Lookup::Fill));
//! assert_eq!(gate(&Method::HEAD, facts, Body::Empty), Gate::Lookup(Lookup::ReadOnly(Reason::Method)));
//! assert_eq!(gate(&Method::POST, facts, Body::Present), Gate::Bypass(Forward::Method, Reason::Method));
//! ```

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};

use crate::credentials::Credentials;
use crate::directives::{MaxStale, RequestDirectives};
use crate::facts::{Fact, RequestFacts};
use crate::profile::{ClientDirectives, Policy};
use crate::reason::Reason;
use crate::storable::Lifetime;
use crate::windows::{Stale, Windows};

/// Whether the cache takes part in a request.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Look for a stored response.
    Lookup(Lookup),
    /// Hand the request to the origin, store nothing, share nothing.
    Bypass(Forward, Reason),
}

/// What a request that looks for a stored response may leave behind.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Its answer may be stored.
    Fill,
    /// It asks for ranges. A part that comes in answer may be stored where the policy says so, the whole in any case.
    Range,
    /// Its answer is not stored.
    ReadOnly(Reason),
}

/// Whether a request has a body.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// It is known to have none.
    Empty,
    /// It has one, or might have.
    Present,
}

/// Why a request went to the origin: the `fwd` parameter of RFC 9211.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Forward {
    /// The cache was configured not to handle this request.
    Bypass,
    /// The method has to go to the origin.
    Method,
    /// Nothing is stored for the URI.
    UriMiss,
    /// Something is stored for the URI, but no variant of it fits the request.
    VaryMiss,
    /// Nothing that is stored fits; which of the two misses it was is not known.
    Miss,
    /// A fresh response is stored, but the request does not allow its use.
    Request,
    /// The stored response is stale.
    Stale,
    /// The stored response holds only a part of what is asked for.
    Partial,
}

impl Forward {
    /// Returns the token of RFC 9211.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Miss => "miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

/// Judges whether the cache takes part in a request.
///
/// A GET for ranges is answered from what is stored whatever the policy says of parts: [`select`](crate::range::select)
/// says with which bytes. A HEAD for ranges is a HEAD.
#[inline]
#[must_use]
pub fn gate(method: &Method, facts: RequestFacts, body: Body) -> Gate {
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4
    //# A cache MUST write through requests with methods that are unsafe (Section 9.2.1 of [HTTP]) to the
    //# origin server; i.e., a cache is not allowed to generate a reply to such a request before having
    //# forwarded the request and having received a corresponding response.
    if method != Method::GET && method != Method::HEAD {
        return Gate::Bypass(Forward::Method, Reason::Method);
    }
    if let Some(reason) = bypassed(facts, body) {
        return Gate::Bypass(Forward::Bypass, reason);
    }
    if method == Method::HEAD {
        return Gate::Lookup(Lookup::ReadOnly(Reason::Method));
    }
    //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.5
    //# Note that if a request containing this directive is satisfied from a cache, the no-store request
    //# directive does not apply to the already stored response.
    if facts.has(Fact::NoStore) {
        return Gate::Lookup(Lookup::ReadOnly(Reason::RequestNoStore));
    }
    if facts.has(Fact::Range) {
        return Gate::Lookup(Lookup::Range);
    }
    Gate::Lookup(Lookup::Fill)
}

/// What in a GET or HEAD request keeps the cache out of it.
fn bypassed(facts: RequestFacts, body: Body) -> Option<Reason> {
    if body == Body::Present {
        return Some(Reason::RequestBody);
    }
    if !facts.has_any(BYPASSED) {
        return None;
    }
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.2
    //# A cache MUST NOT evaluate conditional header fields that only apply to an origin server, occur in a
    //# request with semantics that cannot be satisfied with a cached response, or occur in a request with
    //# a target resource for which it has no stored responses; such preconditions are likely intended for
    //# some other (inbound) server.
    let reasons = [
        (Fact::DuplicateHost, Reason::DuplicateHost),
        (Fact::MethodOverride, Reason::MethodOverride),
        (Fact::Upgrade, Reason::Upgrade),
        (Fact::Precondition, Reason::Precondition),
    ];
    reasons.into_iter().find_map(|(fact, reason)| facts.has(fact).then_some(reason))
}

const BYPASSED: RequestFacts = RequestFacts::only(Fact::DuplicateHost)
    .and(Fact::MethodOverride)
    .and(Fact::Upgrade)
    .and(Fact::Precondition);

/// Whether a stored response is fresh.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It is.
    Fresh {
        /// For how much longer; never zero.
        remaining: Duration,
    },
    /// It is not.
    Stale {
        /// Since when.
        by: Duration,
    },
}

/// Whether a stored response may answer a request with these credentials.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reusable {
    /// It may.
    Yes,
    /// It may not.
    No(Reason),
}

impl Lifetime {
    /// Returns the age of the response after it has been stored for this long: what its Age field says, in whole
    /// seconds.
    #[must_use]
    pub const fn age(&self, resident: Duration) -> Duration {
        //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.3
        //# The current_age of a stored response can then be calculated by adding the time (in seconds) since
        //# the stored response was last validated by the origin server to the corrected_initial_age.
        self.initial_age.saturating_add(resident)
    }

    /// Compares an age with the freshness lifetime.
    #[inline]
    #[must_use]
    pub const fn freshness_at(&self, age: Duration) -> Freshness {
        //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2
        //# The calculation to determine if a response is fresh is:
        match self.freshness.checked_sub(age) {
            Some(remaining) if !remaining.is_zero() => Freshness::Fresh { remaining },
            _ => Freshness::Stale { by: age.saturating_sub(self.freshness) },
        }
    }

    /// Judges whether the stored response may answer a request with these credentials.
    #[inline]
    #[must_use]
    pub const fn answers(&self, credentials: Credentials) -> Reusable {
        //= https://www.rfc-editor.org/rfc/rfc9111#section-3.5
        //# A shared cache MUST NOT use a cached response to a request with an Authorization header field (
        //# Section 11.6.2 of [HTTP]) to satisfy any subsequent request unless the response contains a
        //# Cache-Control field with a response directive (Section 5.2.2) that allows it to be stored by a
        //# shared cache, and the cache conforms to the requirements of that directive for that response.
        match self.refuses(credentials) {
            None => Reusable::Yes,
            Some(reason) => Reusable::No(reason),
        }
    }
}

/// What a stored response may do for a request that it is the answer to.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Answer: it is fresh.
    Fresh,
    /// Answer, and ask the origin beside that: it is stale by no more than `stale-while-revalidate` says.
    Refresh,
    /// Answer: it is stale, but the client accepts that (`max-stale`).
    Stale,
    /// Ask the origin first, for this reason. Should that fail, [`on_failure`] says whether it may answer after all.
    Validate(Forward),
}

/// Reads what a request asks of the cache, beside not to be stored; nothing where the policy does not hear it.
#[inline]
#[must_use]
pub fn heard(facts: RequestFacts, request: &HeaderMap, policy: &Policy) -> Option<RequestDirectives> {
    let heard = facts.has(Fact::Directives) && policy.client_directives == ClientDirectives::Honour;
    heard.then(|| RequestDirectives::parse(request))
}

/// Judges whether a stored response of this age may answer.
///
/// `client` is what the request asks of the cache, where the policy hears that and the request asks for anything. It
/// is passed by on most requests: then two comparisons are all.
#[inline]
#[must_use]
pub const fn reuse(lifetime: &Lifetime, age: Duration, client: Option<&RequestDirectives>) -> Reuse {
    match (lifetime.freshness_at(age), client) {
        //= https://www.rfc-editor.org/rfc/rfc9111#section-4
        //# fresh (see Section 4.2), or
        //
        //= https://www.rfc-editor.org/rfc/rfc8246#section-2.1
        //# Therefore, proxies SHOULD skip conditionally revalidating fresh responses containing the
        //# immutable extension unless there is a signal from the client that a validation is necessary
        //# (e.g., a no-cache Cache-Control request directive defined in Section 5.2.1.4 of [RFC7234]).
        (Freshness::Fresh { .. }, None) => Reuse::Fresh,
        (Freshness::Fresh { remaining }, Some(client)) => {
            if accepts_fresh(client, age, remaining) {
                Reuse::Fresh
            } else {
                Reuse::Validate(Forward::Request)
            }
        }
        (Freshness::Stale { by }, None) => refreshing(&lifetime.windows, by),
        (Freshness::Stale { by }, Some(client)) => stale(&lifetime.windows, client, age, by),
    }
}

const fn accepts_fresh(client: &RequestDirectives, age: Duration, remaining: Duration) -> bool {
    //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.4
    //# The no-cache request directive indicates that the client prefers a stored response not be used to
    //# satisfy the request without successful validation on the origin server.
    if client.no_cache {
        return false;
    }
    //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.3
    //# The min-fresh request directive indicates that the client prefers a response whose freshness
    //# lifetime is no less than its current age plus the specified time in seconds.
    let fresh_enough = match client.min_fresh {
        Some(asked) => at_most(seconds(asked), remaining),
        None => true,
    };
    fresh_enough && young_enough(client, age)
}

const fn young_enough(client: &RequestDirectives, age: Duration) -> bool {
    //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.1
    //# The max-age request directive indicates that the client prefers a response whose age is less than
    //# or equal to the specified number of seconds.
    match client.max_age {
        Some(asked) => at_most(age, seconds(asked)),
        None => true,
    }
}

/// A stale response, for a client that asks for nothing or accepts it.
const fn refreshing(windows: &Windows, by: Duration) -> Reuse {
    //= https://www.rfc-editor.org/rfc/rfc5861#section-3
    //# When present in an HTTP response, the stale-while-revalidate Cache-Control extension indicates that
    //# caches MAY serve the response it appears in after it becomes stale, up to the indicated number of
    //# seconds.
    //
    //= https://www.rfc-editor.org/rfc/rfc5861#section-3
    //# If delta-seconds passes without the cached entity being revalidated, it SHOULD NOT continue to be
    //# served stale, absent other information.
    //
    //= https://www.rfc-editor.org/rfc/rfc8246#section-2
    //# Stale responses SHOULD be revalidated as they normally would be in the absence of the immutable
    //# extension.
    if lies_in(by, windows.refresh) { Reuse::Refresh } else { Reuse::Validate(Forward::Stale) }
}

/// A stale response, for a client that asks for something.
const fn stale(windows: &Windows, client: &RequestDirectives, age: Duration, by: Duration) -> Reuse {
    let ask = Reuse::Validate(Forward::Stale);
    if client.no_cache || client.min_fresh.is_some() || !young_enough(client, age) {
        return ask;
    }
    let accepted = match client.max_stale {
        //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.2
        //# If no value is assigned to max-stale, then the client will accept a stale response of any age.
        Some(MaxStale::Any) => true,
        //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.2
        //# If a value is present, then the client is willing to accept a response that has exceeded
        //# its freshness lifetime by no more than the specified number of seconds.
        Some(MaxStale::UpTo(asked)) => at_most(by, seconds(asked)),
        //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.1
        //# Unless the max-stale request directive is also present, the client does not wish to receive a stale
        //# response.
        None if client.max_age.is_some() => false,
        None => return refreshing(windows, by),
    };
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.4
    //# A cache MUST NOT generate a stale response if it is prohibited by an explicit in-protocol directive
    //# (e.g., by a no-cache response directive, a must-revalidate response directive, or an applicable
    //# s-maxage or proxy-revalidate response directive; see Section 5.2.2).
    if !accepted || !permit_stale(windows) {
        return ask;
    }
    match refreshing(windows, by) {
        //= https://www.rfc-editor.org/rfc/rfc9111#section-4
        //# allowed to be served stale (see Section 4.2.4), or
        Reuse::Refresh => Reuse::Refresh,
        _ => Reuse::Stale,
    }
}

/// How the origin failed to answer.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It answered with this status code.
    Status(StatusCode),
    /// It gave no answer, or none in time.
    Unreachable,
    /// It broke down over the answer.
    Panicked,
}

/// What answers a request when the origin has failed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// The stored response.
    Stale,
    /// What the origin said, or that it said nothing.
    None,
}

/// Judges whether a stored response of this age may answer in the place of a failure.
#[must_use]
pub const fn on_failure(
    lifetime: &Lifetime,
    age: Duration,
    failure: Failure,
    client: Option<&RequestDirectives>,
) -> Fallback {
    //= https://www.rfc-editor.org/rfc/rfc5861#section-4
    //# The stale-if-error Cache-Control extension indicates that when an error is encountered, a cached
    //# stale response MAY be used to satisfy the request, regardless of other freshness information.
    let windows = &lifetime.windows;
    let Some(window) = stand_in(windows, failure) else { return Fallback::None };
    //= https://www.rfc-editor.org/rfc/rfc5861#section-4
    //# Its value indicates the upper limit to staleness; when the cached response is more stale than the
    //# indicated amount, the cached response SHOULD NOT be used to satisfy the request, absent other
    //# information.
    let by = age.saturating_sub(lifetime.freshness);
    //= https://www.rfc-editor.org/rfc/rfc5861#section-4
    //# When used as a request Cache-Control extension, its scope of application is the request it appears
    //# in; when used as a response Cache-Control extension, its scope is any request applicable to the
    //# cached response it occurs in.
    let accepted = match client {
        Some(RequestDirectives { stale_if_error: Some(asked), .. }) => lies_in(by, seconds(*asked)),
        _ => false,
    };
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.3
    //# However, if a cache receives a 5xx (Server Error) response while attempting to validate a
    //# response, it can either forward this response to the requesting client or act as if the server
    //# failed to respond. In the latter case, the cache can send a previously stored response, subject
    //# to its constraints on doing so (see Section 4.2.4), or retry the validation request.
    if permit_stale(windows) && (accepted || lies_in(by, window)) { Fallback::Stale } else { Fallback::None }
}

/// For how long past its freshness a stored response answers in the place of such a failure; `None` for what is an answer like
/// any other.
#[must_use]
pub const fn stand_in(windows: &Windows, failure: Failure) -> Option<Duration> {
    let window = match failure {
        //= https://www.rfc-editor.org/rfc/rfc5861#section-4
        //# In this context, an error is any situation which would result in a 500, 502, 503 or 504 HTTP
        //# response status code being returned.
        Failure::Status(status) if matches!(status.as_u16(), 500 | 502..=504) => windows.error,
        Failure::Status(_) => return None,
        //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.4
        //# A cache MUST NOT generate a stale response unless it is disconnected or doing so is explicitly
        //# permitted by the client or origin server
        Failure::Unreachable => windows.unreachable,
        Failure::Panicked => windows.error,
    };
    Some(window)
}

const fn permit_stale(windows: &Windows) -> bool {
    matches!(windows.stale, Stale::Permitted)
}

/// Whether a staleness is within a window; a window of zero is none.
const fn lies_in(by: Duration, window: Duration) -> bool {
    !window.is_zero() && at_most(by, window)
}

const fn at_most(duration: Duration, limit: Duration) -> bool {
    limit.checked_sub(duration).is_some()
}

const fn seconds(number: u32) -> Duration {
    Duration::from_secs(number as u64)
}
