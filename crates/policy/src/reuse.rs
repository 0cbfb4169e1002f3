//! Whether the cache may take part in a request, and whether a stored response may answer it.
//!
//! ```
//! use forebay_policy::facts::RequestFacts;
//! use forebay_policy::profile::Policy;
//! use forebay_policy::reason::Reason;
//! use forebay_policy::reuse::{Body, Forward, Gate, Lookup, gate};
//! use http::{HeaderMap, Method};
//!
//! let (facts, policy) = (RequestFacts::scan(&HeaderMap::new()), Policy::origin());
//! assert_eq!(gate(&Method::GET, facts, Body::Empty, &policy), Gate::Lookup(Lookup::Fill));
//! assert_eq!(gate(&Method::HEAD, facts, Body::Empty, &policy), Gate::Lookup(Lookup::ReadOnly(Reason::Method)));
//! assert_eq!(gate(&Method::POST, facts, Body::Present, &policy), Gate::Bypass(Forward::Method, Reason::Method));
//! ```

use std::time::Duration;

use http::Method;

use crate::credentials::Credentials;
use crate::facts::{Fact, RequestFacts};
use crate::profile::{Partial, Policy};
use crate::reason::Reason;
use crate::storable::Lifetime;

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
    /// It asks for ranges: a part that comes in answer may be stored.
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
#[must_use]
pub fn gate(method: &Method, facts: RequestFacts, body: Body, policy: &Policy) -> Gate {
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
        return Gate::Lookup(match policy.partial {
            Partial::Combine => Lookup::Range,
            Partial::Pass => Lookup::ReadOnly(Reason::Range),
        });
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
