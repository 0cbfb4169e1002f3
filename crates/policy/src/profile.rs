//! Where the RFCs leave a choice: one value with every option, and two presets of it.
//!
//! [`Policy::origin`] is for a cache inside the service, which serves its own origin and knows its routes.
//! [`Policy::proxy`] is for a cache in front of services that it knows nothing of, and takes up what RFC 9111 offers to
//! such a cache. Both may be adjusted field by field.
//!
//! ```
//! use std::time::Duration;
//! use forebay_policy::profile::{ClientDirectives, Policy};
//!
//! let mut policy = Policy::proxy();
//! assert!(policy.heuristic.is_some());
//! policy.heuristic = None;
//! policy.client_directives = ClientDirectives::Ignore;
//! policy.keep_stale = Duration::from_secs(600);
//! ```

use std::time::Duration;

use http::HeaderName;

/// What a cache does where HTTP leaves it a choice.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Freshness for responses that say nothing of it (RFC 9111 4.2.2). `None`: such responses are not stored.
    pub heuristic: Option<Heuristic>,
    /// Whether a client's `no-cache`, `max-age`, `min-fresh`, `max-stale` and `only-if-cached` count. Its `no-store` always does.
    pub client_directives: ClientDirectives,
    /// Stores errors that a field outside the key can provoke (400, 405, 431, ..) when the response gives them
    /// freshness. Off by default: one client's broken request must not be everybody's answer.
    pub store_request_errors: bool,
    /// What becomes of a response that sets a cookie.
    pub set_cookie: SetCookie,
    /// The targeted fields (RFC 9213) that speak to this cache, the most specific first.
    pub targeted: Vec<HeaderName>,
    /// Whether those fields, and the ones that carry tags, reach the client.
    pub surrogate_fields: SurrogateFields,
    /// What happens to partial responses.
    pub partial: Partial,
    /// Whether answers to POST are stored (RFC 9110 9.3.3).
    pub post: Post,
    /// Whether responses are stored that cannot be reused without validation: `no-cache`, `max-age=0`, with a validator.
    pub validated: Validated,
    /// For how long past its freshness a response is served when the origin cannot be reached at all, though the response does
    /// not say `stale-if-error`. Zero: not at all. Whatever forbids stale answers forbids these.
    pub stale_when_unreachable: Duration,
    /// For how long past its freshness a response with a validator is kept, to be validated.
    pub keep_stale: Duration,
    /// Which request fields a response may vary on.
    pub vary: VaryNames,
}

impl Policy {
    /// For a cache inside the service: explicit freshness only, and what clients ask for does not reach the handlers more often.
    #[must_use]
    pub fn origin() -> Self {
        Self {
            heuristic: None,
            client_directives: ClientDirectives::Ignore,
            store_request_errors: false,
            set_cookie: SetCookie::Refuse,
            targeted: vec![CDN_CACHE_CONTROL],
            surrogate_fields: SurrogateFields::Keep,
            partial: Partial::Pass,
            post: Post::Pass,
            validated: Validated::Pass,
            stale_when_unreachable: Duration::ZERO,
            keep_stale: Duration::from_secs(60 * 60),
            vary: VaryNames::Listed,
        }
    }

    /// For a cache in front of any service: all that RFC 9111 offers to a shared cache.
    #[must_use]
    pub fn proxy() -> Self {
        Self {
            heuristic: Some(Heuristic::default()),
            client_directives: ClientDirectives::Honour,
            surrogate_fields: SurrogateFields::Strip,
            partial: Partial::Combine,
            post: Post::Store,
            validated: Validated::Store,
            stale_when_unreachable: DAY,
            keep_stale: DAY,
            vary: VaryNames::Any,
            ..Self::origin()
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::origin()
    }
}

/// How long a response is fresh that does not say so itself: a part of the time since Last-Modified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heuristic {
    /// The part, in percent.
    pub percent: u8,
    /// The longest it can be.
    pub cap: Duration,
}

impl Default for Heuristic {
    /// 10 %, at most a day.
    fn default() -> Self {
        Self { percent: 10, cap: DAY }
    }
}

/// What a client's Cache-Control may ask of the cache.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientDirectives {
    /// Only `no-store`: the others let anyone drive load to the origin.
    Ignore,
    /// All of RFC 9111 5.2.1.
    Honour,
}

/// What becomes of a response with Set-Cookie.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetCookie {
    /// It is not stored.
    Refuse,
    /// It is stored without the cookie; the client that asked gets it.
    Strip,
    /// It is stored as it is, and everybody gets the cookie.
    Store,
}

/// What happens to targeted fields and to Surrogate-Key, Cache-Tag and Surrogate-Control on the way to the client.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SurrogateFields {
    /// They stay: a CDN may stand in front.
    Keep,
    /// They are taken out.
    Strip,
}

/// What happens to partial responses (206).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partial {
    /// They pass and are not stored.
    Pass,
    /// They are stored, combined with what is stored already, and answer requests for what they hold (RFC 9111 3.3, 3.4).
    Combine,
}

/// What happens to answers to POST.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Post {
    /// They pass and are not stored.
    Pass,
    /// One with explicit freshness and a Content-Location that is the target URI is stored for GET (RFC 9110 9.3.3).
    Store,
}

/// What happens to responses that need validation on every use.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validated {
    /// They pass and are not stored.
    Pass,
    /// They are stored when they have a validator.
    Store,
}

/// Which request fields a response may vary on to be stored.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VaryNames {
    /// Accept, Accept-*, Origin, Access-Control-Request-*, and what the route declares.
    Listed,
    /// Any.
    Any,
}

const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
