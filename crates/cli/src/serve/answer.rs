//! Responses on their way to the client, and those of the proxy's own.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use forebay::ResponseBody;
use forebay_policy::reuse::Forward;
use forebay_policy::status::{CacheName, CacheStatus, Forwarded, Outcome};
use http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, COOKIE, HeaderName, PROXY_AUTHORIZATION,
};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::failure::Failure;
use super::refusal::Refusal;

/// The body of a response, and what ends with it.
pub(super) struct AnswerBody<G> {
    kind: Kind,
    /// Held until the body has been sent or given up.
    guard: Option<G>,
}

enum Kind {
    Passed(ResponseBody<Incoming>),
    Own(Bytes),
}

impl<G> AnswerBody<G> {
    pub(super) fn passed(body: ResponseBody<Incoming>, guard: G) -> Self {
        Self { kind: Kind::Passed(body), guard: Some(guard) }
    }

    fn own(text: impl Into<Bytes>) -> Self {
        Self { kind: Kind::Own(text.into()), guard: None }
    }

    pub(super) fn guarded(mut self, guard: G) -> Self {
        self.guard = Some(guard);
        self
    }
}

impl<G: Unpin> Body for AnswerBody<G> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.get_mut().kind {
            Kind::Passed(body) => Pin::new(body).poll_frame(cx),
            Kind::Own(text) if text.is_empty() => Poll::Ready(None),
            Kind::Own(text) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(text))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Passed(body) => body.is_end_stream(),
            Kind::Own(text) => text.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Passed(body) => body.size_hint(),
            Kind::Own(text) => SizeHint::with_exact(text.len() as u64),
        }
    }
}

impl<G> fmt::Debug for AnswerBody<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerBody")
    }
}

/// The response for a request that the origin has not answered, and the cache neither.
pub(super) fn failed<G>(
    failure: &Failure,
    method: &Method,
    name: Option<&CacheName>,
) -> Response<AnswerBody<G>> {
    let reason = if method.is_safe() { Forward::Miss } else { Forward::Method };
    plain(failure.status(), failure.text(), name, reason, failure.detail())
}

/// The response for a request that goes no further.
pub(super) fn refused<G>(refusal: Refusal, name: Option<&CacheName>) -> Response<AnswerBody<G>> {
    plain(refusal.status(), refusal.text(), name, Forward::Bypass, refusal.detail())
}

fn plain<G>(
    status: StatusCode,
    text: &'static str,
    name: Option<&CacheName>,
    reason: Forward,
    detail: &'static str,
) -> Response<AnswerBody<G>> {
    let mut response = Response::new(AnswerBody::own(text));
    *response.status_mut() = status;
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    //= https://www.rfc-editor.org/rfc/rfc9211#section-2
    //= type=exception
    //= reason=Whoever looks for the cause of an error looks here first; `detail` names it.
    //# An intermediary SHOULD NOT append a Cache-Status member to responses that it generates locally, even
    //# if that intermediary contains a cache, unless the generated response is based upon a stored response
    //# (e.g., 304 (Not Modified) and 206 (Partial Content) are both based upon a stored response).
    if let Some(name) = name {
        let outcome = Outcome::Forwarded(Forwarded::because(reason));
        let status = CacheStatus { name, outcome, ttl: None, detail: Some(detail) };
        fields.insert(CACHE_STATUS, status.to_header_value());
    }
    response
}

/// The answer to a TRACE or OPTIONS that came as far as this.
pub(super) fn here<G>(request: &Parts) -> Response<AnswerBody<G>> {
    let mut response = Response::new(AnswerBody::own(Bytes::new()));
    let fields = response.headers_mut();
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if request.method == Method::OPTIONS {
        fields.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE"));
    } else {
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("message/http"));
        response.body_mut().kind = Kind::Own(echo(request).into());
    }
    response
}

/// The request as it was received.
fn echo(request: &Parts) -> Vec<u8> {
    let mut text = format!("{} {} {:?}\r\n", request.method, request.uri, request.version).into_bytes();
    //= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.8
    //# The final recipient of the request SHOULD exclude any request fields that are likely to contain
    //# sensitive data when that recipient generates the response content.
    let shown = request.headers.iter().filter(|(name, _)| !SENSITIVE.contains(name));
    for (name, value) in shown {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    text
}

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

const SENSITIVE: [HeaderName; 6] = [
    AUTHORIZATION,
    PROXY_AUTHORIZATION,
    COOKIE,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-auth-token"),
];
