//! Requests that the proxy answers by itself.

use http::StatusCode;

/// Why a request goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It has no Host, more than one, or one that cannot be read.
    Host,
    /// Its target names no resource of an origin.
    Target,
    /// Its target is longer than any that is accepted.
    TargetLength,
    /// It has been here too often.
    Loop,
    /// It asks for `https` on a connection that nothing secures.
    Misdirected,
    /// CONNECT: this is no tunnel.
    Connect,
    /// Its body is coded in a way that only the next hop could undo.
    Coding,
    /// It says beforehand that its body is too large.
    TooLarge,
    /// It expects what is not known here.
    Expectation,
}

impl Refusal {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Host | Self::Target => StatusCode::BAD_REQUEST,
            Self::TargetLength => StatusCode::URI_TOO_LONG,
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::Connect | Self::Coding => StatusCode::NOT_IMPLEMENTED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
        }
    }

    /// The word in Cache-Status.
    pub(super) const fn detail(self) -> &'static str {
        match self {
            Self::Host => "request-host",
            Self::Target => "request-target",
            Self::TargetLength => "target-too-long",
            Self::Loop => "loop",
            Self::Misdirected => "request-scheme",
            Self::Connect => "connect",
            Self::Coding => "transfer-coding",
            Self::TooLarge => "request-too-large",
            Self::Expectation => "expectation",
        }
    }

    /// What the client is told.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Host => "one Host field with the name of a host is needed\n",
            Self::Target => "the request's target is not accepted\n",
            Self::TargetLength => "the request's target is too long\n",
            Self::Loop => "the request goes round in a loop\n",
            Self::Misdirected => "https is not served on this connection\n",
            Self::Connect => "CONNECT is not served\n",
            Self::Coding => "of transfer codings only chunked is accepted\n",
            Self::TooLarge => "the request's body is too large\n",
            Self::Expectation => "of expectations only 100-continue is met\n",
        }
    }
}
