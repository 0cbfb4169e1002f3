//! Which answers invalidate what is stored for their URI, and for which others.
//!
//! ```
//! use forebay_policy::invalidate::{Invalidation, also_invalidated, invalidation};
//! use forebay_policy::target::Target;
//! use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
//!
//! assert_eq!(invalidation(&Method::PUT, StatusCode::NO_CONTENT), Invalidation::Required);
//! assert_eq!(invalidation(&Method::PUT, StatusCode::CONFLICT), Invalidation::ErrorResponse);
//!
//! let target = Target { scheme: None, authority: "shop.example", path: "/articles" };
//! let mut answer = HeaderMap::new();
//! answer.insert(header::LOCATION, HeaderValue::from_static("articles/43"));
//! assert_eq!(also_invalidated(target, &answer).collect::<Vec<_>>(), ["/articles/43"]);
//! ```

use std::borrow::Cow;

use http::header::{CONTENT_LOCATION, LOCATION};
use http::{HeaderMap, Method, StatusCode};

use crate::target::Target;

/// Whether an answer invalidates the stored responses of its target URI.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invalidation {
    /// It does, before the client gets the answer.
    Required,
    /// It does not: the method is safe.
    SafeMethod,
    /// It does not: the answer is an error, or not final.
    ErrorResponse,
}

impl Invalidation {
    /// Returns the name that logs print.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::SafeMethod => "safe-method",
            Self::ErrorResponse => "error-response",
        }
    }
}

/// Judges whether an answer invalidates the stored responses of its target URI.
#[must_use]
pub fn invalidation(method: &Method, status: StatusCode) -> Invalidation {
    if is_safe(method) {
        return Invalidation::SafeMethod;
    }
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.4
    //# A cache MUST invalidate the target URI (Section 7.1 of [HTTP]) when it receives a non-error status
    //# code in response to an unsafe request method (including methods whose safety is unknown).
    //
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.4
    //# A "non-error response" is one with a 2xx (Successful) or 3xx (Redirection) status code.
    if status.is_success() || status.is_redirection() {
        return Invalidation::Required;
    }
    Invalidation::ErrorResponse
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-9.2.1
//# Of the request methods defined by this specification, the GET, HEAD, OPTIONS, and TRACE methods are
//# defined to be safe.
pub(crate) fn is_safe(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE].contains(method)
}

/// The URIs beside its target that an answer names and that share the target's origin: their paths and queries.
///
/// They are invalidated where [`invalidation`] requires it of the target.
pub fn also_invalidated<'a>(
    target: Target<'a>,
    response: &'a HeaderMap,
) -> impl Iterator<Item = Cow<'a, str>> {
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.4
    //# A cache MAY invalidate other URIs when it receives a non-error status code in response to an unsafe
    //# request method (including methods whose safety is unknown).
    //
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.4
    //# In particular, the URI(s) in the
    //# Location and Content-Location response header fields (if present) are candidates for invalidation;
    //# other URIs might be discovered through mechanisms not specified in this document.
    let lines = response.get_all(LOCATION).iter().chain(response.get_all(CONTENT_LOCATION));
    let named = lines.take(MAX_NAMED).filter_map(move |line| target.resolve(line.to_str().ok()?));
    named.filter(move |path| path != target.path)
}

/// The most field lines that are looked at: one of each field is what an origin sends.
const MAX_NAMED: usize = 8;
