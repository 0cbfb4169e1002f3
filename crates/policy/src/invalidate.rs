//! Which answers invalidate what is stored for their URI.
//!
//! ```
//! use forebay_policy::invalidate::{Invalidation, invalidation};
//! use http::{Method, StatusCode};
//!
//! assert_eq!(invalidation(&Method::PUT, StatusCode::NO_CONTENT), Invalidation::Required);
//! assert_eq!(invalidation(&Method::PUT, StatusCode::CONFLICT), Invalidation::ErrorResponse);
//! ```

use http::{Method, StatusCode};

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
    //= https://www.rfc-editor.org/rfc/rfc9110#section-9.2.1
    //# Of the request methods defined by this specification, the GET, HEAD, OPTIONS, and TRACE methods are
    //# defined to be safe.
    if [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE].contains(method) {
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
