//! What a request's fields say about caching, found in one pass.
//!
//! Every request takes this pass, hit or not, so it compares names by length first and reads only the few values it
//! must.
//!
//! ```
//! use forebay_policy::facts::{Fact, RequestFacts};
//! use http::{HeaderMap, HeaderValue, header};
//!
//! let mut request = HeaderMap::new();
//! request.insert(header::COOKIE, HeaderValue::from_static("session=1"));
//! request.insert("x-forwarded-host", HeaderValue::from_static("evil.example"));
//!
//! let facts = RequestFacts::scan(&request);
//! assert!(facts.has(Fact::Cookie));
//! assert!(facts.has(Fact::Routing));
//! assert!(!facts.has(Fact::Range));
//! ```

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

use crate::directives::RequestDirectives;
use crate::syntax::members;

/// One thing that a request's fields can say.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Fact {
    /// Authorization is present.
    Authorization = 1 << 0,
    /// Another field that carries credentials is present: Proxy-Authorization, X-Api-Key, Api-Key, X-Auth-Token.
    ApiKey = 1 << 1,
    /// Cookie is present.
    Cookie = 1 << 2,
    /// Range is present.
    Range = 1 << 3,
    /// A condition that a cache answers is present: If-None-Match, If-Modified-Since.
    Conditional = 1 << 4,
    /// A condition that only an origin answers is present: If-Match, If-Unmodified-Since.
    Precondition = 1 << 5,
    /// Cache-Control says `no-store`, or cannot be read.
    NoStore = 1 << 6,
    /// A field asks for another method than the request line: X-HTTP-Method-Override and its kin.
    MethodOverride = 1 << 7,
    /// Upgrade is present, or Connection names it.
    Upgrade = 1 << 8,
    /// A field that changes routing or rendering is present, see [`is_routing_field`].
    Routing = 1 << 9,
    /// Host is present.
    Host = 1 << 10,
    /// Host is present more than once.
    DuplicateHost = 1 << 11,
    /// If-Range is present.
    IfRange = 1 << 12,
    /// Cache-Control asks for something beside `no-store`: worth a reading by
    /// [`RequestDirectives::parse`], where the policy hears it.
    Directives = 1 << 13,
}

/// The facts of one request, as a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RequestFacts(u16);

impl RequestFacts {
    /// Reads a request's fields, once.
    #[must_use]
    pub fn scan(request: &HeaderMap) -> Self {
        Self::scan_with_host(request).0
    }

    /// The same, and what Host says: it is passed on the way, and every key needs it.
    #[must_use]
    pub fn scan_with_host(request: &HeaderMap) -> (Self, Option<&HeaderValue>) {
        let (mut facts, mut host) = (Self::default(), None);
        for (name, value) in request {
            let name = name.as_str().as_bytes();
            if !may_matter(name) {
                continue;
            }
            match classify(name) {
                Class::Plain => {}
                Class::Says(fact) => facts.add(fact),
                Class::Host => {
                    facts.add_host();
                    host = host.or(Some(value));
                }
                Class::CacheControl => facts.read_cache_control(value),
                Class::Connection => facts.read_connection(value),
            }
        }
        (facts, host)
    }

    /// Whether the request says this.
    #[must_use]
    pub const fn has(self, fact: Fact) -> bool {
        self.0 & fact as u16 != 0
    }

    /// Whether the request says any of these.
    pub(crate) const fn has_any(self, facts: Self) -> bool {
        self.0 & facts.0 != 0
    }

    /// Adds one to the set.
    pub(crate) const fn and(self, fact: Fact) -> Self {
        Self(self.0 | fact as u16)
    }

    /// A set of one.
    pub(crate) const fn only(fact: Fact) -> Self {
        Self(fact as u16)
    }

    fn add(&mut self, fact: Fact) {
        *self = self.and(fact);
    }

    fn add_host(&mut self) {
        if self.has(Fact::Host) {
            self.add(Fact::DuplicateHost);
        }
        self.add(Fact::Host);
    }

    #[cold]
    fn read_cache_control(&mut self, line: &HeaderValue) {
        let mut directives = RequestDirectives::default();
        directives.read(line.as_bytes());
        if directives.forbids_storing() {
            self.add(Fact::NoStore);
        }
        if directives.asks() {
            self.add(Fact::Directives);
        }
    }

    fn read_connection(&mut self, line: &HeaderValue) {
        if line != "keep-alive"
            && members(line.as_bytes()).any(|option| option.eq_ignore_ascii_case(b"upgrade"))
        {
            self.add(Fact::Upgrade);
        }
    }
}

/// Request fields that change which service answers, or how it writes its links: an attacker who can set one must not
/// be able to choose what others are served. Where one is present it belongs to the key.
///
/// Fields whose name starts with `x-middleware-`, `x-invoke-` or `next-router-` count as well. Fields that name the
/// client's address (X-Forwarded-For, X-Real-IP, ..) do not: keyed, they would give each client a cache of its own.
pub const ROUTING_FIELDS: [&str; 31] = [
    "forwarded",
    "front-end-https",
    "next-action",
    "next-hmr-refresh",
    "next-url",
    "rsc",
    "x-envoy-original-path",
    "x-forwarded-host",
    "x-forwarded-path",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-protocol",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-forwarded-uri",
    "x-forwarded-url",
    "x-host",
    "x-http-host-override",
    "x-matched-path",
    "x-nextjs-data",
    "x-now-route-matches",
    "x-original-host",
    "x-original-uri",
    "x-original-url",
    "x-prerender-revalidate",
    "x-rewrite-url",
    "x-scheme",
    "x-script-name",
    "x-url-scheme",
];

/// Whether this request field is one of [`ROUTING_FIELDS`] or starts like one.
#[must_use]
pub fn is_routing_field(name: &HeaderName) -> bool {
    matches!(classify(name.as_str().as_bytes()), Class::Says(Fact::Routing))
}

/// The other names that [`classify`] knows.
const WATCHED_FIELDS: [&str; 19] = [
    "api-key",
    "authorization",
    "cache-control",
    "connection",
    "cookie",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "proxy-authorization",
    "range",
    "upgrade",
    "x-api-key",
    "x-auth-token",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
];

/// Whether a name of this length and first letter can be one that matters. Most are not, and leave here at the price
/// of a load and a test; [`classify`] costs several times that.
fn may_matter(name: &[u8]) -> bool {
    match (FIRST_LETTERS.get(name.len()), name.first()) {
        (Some(letters), Some(first)) => letters & letter(*first) != 0,
        _ => true,
    }
}

/// The first letters of the names of each length that matter, a bit a letter.
static FIRST_LETTERS: [u32; 32] = {
    // Names with a prefix that matters may have any length.
    let mut letters = [letter(b'x') | letter(b'n'); 32];
    let mut at = 0;
    while at < ROUTING_FIELDS.len() {
        let name = ROUTING_FIELDS[at].as_bytes();
        letters[name.len()] |= letter(name[0]);
        at += 1;
    }
    at = 0;
    while at < WATCHED_FIELDS.len() {
        let name = WATCHED_FIELDS[at].as_bytes();
        letters[name.len()] |= letter(name[0]);
        at += 1;
    }
    letters
};

const fn letter(byte: u8) -> u32 {
    1 << (byte & 31)
}

/// What a field's name alone tells.
enum Class {
    Plain,
    Says(Fact),
    Host,
    CacheControl,
    Connection,
}

/// Patterns of byte strings compile to a jump on the length and then on single bytes.
fn classify(name: &[u8]) -> Class {
    let fact = match name {
        b"host" => return Class::Host,
        b"connection" => return Class::Connection,
        b"cache-control" => return Class::CacheControl,
        b"cookie" => Fact::Cookie,
        b"authorization" => Fact::Authorization,
        b"proxy-authorization" | b"x-api-key" | b"api-key" | b"x-auth-token" => Fact::ApiKey,
        b"range" => Fact::Range,
        b"if-range" => Fact::IfRange,
        b"if-none-match" | b"if-modified-since" => Fact::Conditional,
        b"if-match" | b"if-unmodified-since" => Fact::Precondition,
        b"upgrade" => Fact::Upgrade,
        b"x-http-method-override" | b"x-http-method" | b"x-method-override" => Fact::MethodOverride,
        b"forwarded"
        | b"front-end-https"
        | b"next-action"
        | b"next-hmr-refresh"
        | b"next-url"
        | b"rsc"
        | b"x-envoy-original-path"
        | b"x-forwarded-host"
        | b"x-forwarded-path"
        | b"x-forwarded-port"
        | b"x-forwarded-prefix"
        | b"x-forwarded-proto"
        | b"x-forwarded-protocol"
        | b"x-forwarded-scheme"
        | b"x-forwarded-server"
        | b"x-forwarded-ssl"
        | b"x-forwarded-uri"
        | b"x-forwarded-url"
        | b"x-host"
        | b"x-http-host-override"
        | b"x-matched-path"
        | b"x-nextjs-data"
        | b"x-now-route-matches"
        | b"x-original-host"
        | b"x-original-uri"
        | b"x-original-url"
        | b"x-prerender-revalidate"
        | b"x-rewrite-url"
        | b"x-scheme"
        | b"x-script-name"
        | b"x-url-scheme" => Fact::Routing,
        [b'x', b'-', b'm', rest @ ..] if rest.starts_with(b"iddleware-") => Fact::Routing,
        [b'x', b'-', b'i', rest @ ..] if rest.starts_with(b"nvoke-") => Fact::Routing,
        [b'n', b'e', b'x', b't', rest @ ..] if rest.starts_with(b"-router-") => Fact::Routing,
        _ => return Class::Plain,
    };
    Class::Says(fact)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_lets_every_name_through_that_means_something() {
        for name in WATCHED_FIELDS.into_iter().chain(ROUTING_FIELDS) {
            assert!(may_matter(name.as_bytes()), "{name}");
            assert!(!matches!(classify(name.as_bytes()), Class::Plain), "{name}");
        }
    }

    #[test]
    fn each_name_says_its_own_fact_and_no_other() {
        let cases = [
            ("authorization", Fact::Authorization),
            ("proxy-authorization", Fact::ApiKey),
            ("x-api-key", Fact::ApiKey),
            ("api-key", Fact::ApiKey),
            ("x-auth-token", Fact::ApiKey),
            ("cookie", Fact::Cookie),
            ("range", Fact::Range),
            ("if-range", Fact::IfRange),
            ("if-none-match", Fact::Conditional),
            ("if-modified-since", Fact::Conditional),
            ("if-match", Fact::Precondition),
            ("if-unmodified-since", Fact::Precondition),
            ("x-http-method-override", Fact::MethodOverride),
            ("x-http-method", Fact::MethodOverride),
            ("x-method-override", Fact::MethodOverride),
            ("upgrade", Fact::Upgrade),
            ("host", Fact::Host),
            ("x-middleware-subrequest", Fact::Routing),
            ("x-invoke-status", Fact::Routing),
            ("next-router-segment-prefetch-of-any-length", Fact::Routing),
        ];
        for (name, fact) in cases {
            let mut request = HeaderMap::new();
            request.insert(name, HeaderValue::from_static("x"));
            assert_eq!(RequestFacts::scan(&request), RequestFacts::only(fact), "{name}");
        }
        for name in ["accept", "x-forwarded-for", "x-request-id", "hosts", "cookie2", "rang", "x-middlewar"] {
            let mut request = HeaderMap::new();
            request.insert(name, HeaderValue::from_static("upgrade, no-store"));
            assert_eq!(RequestFacts::scan(&request), RequestFacts::default(), "{name}");
        }
    }

    #[test]
    fn every_listed_routing_field_is_recognised() {
        for name in ROUTING_FIELDS {
            assert!(is_routing_field(&HeaderName::from_static(name)), "{name}");
        }
    }
}
