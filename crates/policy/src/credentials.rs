//! Which credentials a request carries, and what a route may say about them.
//!
//! ```
//! use forebay_policy::credentials::{CredentialFields, Credentials};
//! use forebay_policy::facts::RequestFacts;
//! use http::{HeaderMap, HeaderValue, header};
//!
//! let mut request = HeaderMap::new();
//! request.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer abc"));
//! request.insert(header::COOKIE, HeaderValue::from_static("theme=dark"));
//! let facts = RequestFacts::scan(&request);
//!
//! let credentials = Credentials::of(facts, &request, &CredentialFields::default());
//! assert!(credentials.authorization() && credentials.cookie());
//!
//! // A route whose answers no cookie changes, and one that keys by user.
//! assert!(!credentials.cookies_ignored().cookie());
//! assert_eq!(credentials.partitioned(), Credentials::default());
//! ```

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName};

use crate::facts::{Fact, RequestFacts};

/// What a request carries that might make its answer one user's own.
///
/// No credentials is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Credentials {
    authorization: bool,
    cookie: bool,
}

impl Credentials {
    /// Reads which credentials a request carries.
    #[must_use]
    pub fn of(facts: RequestFacts, request: &HeaderMap, fields: &CredentialFields) -> Self {
        let authorization = match &fields.names {
            None => facts.has_any(DEFAULT_FIELDS),
            Some(names) => names.iter().any(|name| request.contains_key(name)),
        };
        Self { authorization, cookie: facts.has(Fact::Cookie) }
    }

    /// Whether the request carries a field like Authorization.
    #[must_use]
    pub const fn authorization(self) -> bool {
        self.authorization
    }

    /// Whether the request carries cookies that count.
    #[must_use]
    pub const fn cookie(self) -> bool {
        self.cookie
    }

    /// For a key that holds the principal: within the principal's own partition no credential tells anyone apart.
    ///
    /// Lifts the refusals for Authorization and Cookie; `private`, `no-store` and Set-Cookie go on being refused.
    #[must_use]
    pub const fn partitioned(self) -> Self {
        Self { authorization: false, cookie: false }
    }

    /// For a route that says cookies do not change its answers, or that keys the ones that do.
    #[must_use]
    pub const fn cookies_ignored(self) -> Self {
        Self { cookie: false, ..self }
    }
}

const DEFAULT_FIELDS: RequestFacts = RequestFacts::only(Fact::Authorization).and(Fact::ApiKey);

/// The request fields that count as credentials beside Cookie.
///
/// By default Authorization, Proxy-Authorization, X-Api-Key, Api-Key and X-Auth-Token.
///
/// ```
/// use forebay_policy::credentials::CredentialFields;
/// use http::header::HeaderName;
///
/// let fields = CredentialFields::only([HeaderName::from_static("x-tenant-token")]);
/// # let _ = fields;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialFields {
    /// `None` is the default list, which the scan of the request has already looked for.
    names: Option<Vec<HeaderName>>,
}

impl CredentialFields {
    /// Makes these the credential fields, and Authorization, which always is one.
    #[must_use]
    pub fn only(names: impl IntoIterator<Item = HeaderName>) -> Self {
        Self { names: Some(std::iter::once(AUTHORIZATION).chain(names).collect()) }
    }
}
