//! Why the cache did not store or reuse: one bounded list for logs, metrics and Cache-Status.
//!
//! ```
//! use forebay_policy::reason::Reason;
//!
//! assert_eq!(Reason::SetCookie.as_str(), "set-cookie");
//! ```

use std::fmt;

/// Why a request passed by the cache, or why a response was not stored or not reused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The method is not one whose answers the cache stores or gives.
    Method,
    /// A GET or HEAD request carries a body, which is no part of the key.
    RequestBody,
    /// A field asks the service to treat the request as another method.
    MethodOverride,
    /// The request asks to switch protocols.
    Upgrade,
    /// The request names its host more than once.
    DuplicateHost,
    /// The request carries a condition that only an origin may judge (If-Match, If-Unmodified-Since).
    Precondition,
    /// The request says `no-store`, or its Cache-Control cannot be read.
    RequestNoStore,
    /// The request carries credentials, and nothing lets a shared cache reuse the response for them.
    Authorization,
    /// The request carries cookies, and the freshness was not the response's own.
    Cookie,
    /// The response says `no-store`.
    NoStore,
    /// The response says `private`.
    Private,
    /// The response says `no-cache`: it would have to be validated on every use.
    NoCache,
    /// The response sets a cookie.
    SetCookie,
    /// The response's Cache-Control does not follow the grammar.
    MalformedCacheControl,
    /// The response says `must-understand` and its status code is not one this cache understands.
    MustUnderstand,
    /// The status code is not stored at all, or not with freshness from this source.
    Status,
    /// The status code is an error that a field outside the key can provoke.
    RequestError,
    /// The response is only part of a representation.
    PartialContent,
    /// Neither the response nor the route says how long the response is fresh.
    NoFreshness,
    /// The response is no longer fresh when it arrives.
    Expired,
    /// The response varies on more than request fields (`Vary: *`).
    VaryStar,
    /// The response varies on a request field that the key must not hold.
    VaryUnkeyed,
    /// The response varies on more request fields than the key holds.
    VaryTooMany,
}

impl Reason {
    /// Returns the name that logs, metrics and Cache-Status print.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::RequestBody => "request-body",
            Self::MethodOverride => "method-override",
            Self::Upgrade => "upgrade",
            Self::DuplicateHost => "duplicate-host",
            Self::Precondition => "precondition",
            Self::RequestNoStore => "request-no-store",
            Self::Authorization => "authorization",
            Self::Cookie => "cookie",
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::NoCache => "no-cache",
            Self::SetCookie => "set-cookie",
            Self::MalformedCacheControl => "malformed-cache-control",
            Self::MustUnderstand => "must-understand",
            Self::Status => "status",
            Self::RequestError => "request-error",
            Self::PartialContent => "partial-content",
            Self::NoFreshness => "no-freshness",
            Self::Expired => "expired",
            Self::VaryStar => "vary-star",
            Self::VaryUnkeyed => "vary-unkeyed",
            Self::VaryTooMany => "vary-too-many",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
