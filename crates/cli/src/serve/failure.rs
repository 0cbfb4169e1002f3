//! Why there is no answer from the origin.

use std::error::Error;
use std::fmt;

use http::StatusCode;

use super::body::Fault;

/// Why the origin has not answered. The cache layer may have something better to say than this; where it has not, this
/// becomes the response.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No connection, or one that broke off before the answer's head.
    Unreachable(Box<dyn Error + Send + Sync>),
    /// The same, where what is stored must not answer without the origin's word.
    Unvalidated(Box<dyn Error + Send + Sync>),
    /// No answer in time.
    TimedOut,
    /// An answer that cannot be passed on.
    BadAnswer(&'static str),
    /// The request's body has failed, so that there is no whole request.
    Request(Fault),
}

impl Failure {
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            //= https://www.rfc-editor.org/rfc/rfc9110#section-15.6.3
            //# The 502 (Bad Gateway) status code indicates that the server, while acting as a gateway or proxy,
            //# received an invalid response from an inbound server it accessed while attempting to fulfill the
            //# request.
            Self::Unreachable(_) | Self::BadAnswer(_) => StatusCode::BAD_GATEWAY,
            //= https://www.rfc-editor.org/rfc/rfc9110#section-15.6.5
            //# The 504 (Gateway Timeout) status code indicates that the server, while acting as a gateway or proxy,
            //# did not receive a timely response from an upstream server it needed to access in order to complete
            //# the request.
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.2
            //# In all circumstances, a cache MUST NOT ignore the must-revalidate directive; in particular, if a cache is
            //# disconnected, the cache MUST generate an error response rather than reuse the stale response.
            //
            //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.2
            //# The generated status code SHOULD be 504 (Gateway Timeout) unless another error status code is more
            //# applicable.
            Self::Unvalidated(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Request(Fault::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Request(Fault::Broken) => StatusCode::BAD_REQUEST,
            Self::Request(Fault::Paused) => StatusCode::REQUEST_TIMEOUT,
        }
    }

    /// The word in Cache-Status.
    pub(super) const fn detail(&self) -> &'static str {
        match self {
            Self::Unreachable(_) | Self::Unvalidated(_) => "origin-unreachable",
            Self::BadAnswer(_) => "origin-bad-answer",
            Self::TimedOut => "origin-timeout",
            Self::Request(Fault::TooLarge) => "request-too-large",
            Self::Request(Fault::Broken) => "request-broken",
            Self::Request(Fault::Paused) => "request-timeout",
        }
    }

    /// What the client is told.
    pub(super) const fn text(&self) -> &'static str {
        match self {
            Self::Unreachable(_) | Self::Unvalidated(_) => "the origin cannot be reached\n",
            Self::BadAnswer(_) => "the origin's answer cannot be passed on\n",
            Self::TimedOut => "the origin did not answer in time\n",
            Self::Request(Fault::TooLarge) => "the request's body is too large\n",
            Self::Request(Fault::Broken) => "the request's body is broken\n",
            Self::Request(Fault::Paused) => "the request's body did not arrive in time\n",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(_) | Self::Unvalidated(_) => f.write_str("the origin cannot be reached"),
            Self::BadAnswer(why) => write!(f, "the origin's answer cannot be passed on: {why}"),
            Self::TimedOut => f.write_str("the origin did not answer in time"),
            Self::Request(fault) => fault.fmt(f),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreachable(source) | Self::Unvalidated(source) => Some(&**source),
            Self::Request(fault) => Some(fault),
            Self::BadAnswer(_) | Self::TimedOut => None,
        }
    }
}
