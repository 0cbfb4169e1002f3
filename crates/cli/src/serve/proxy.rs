//! One request and its answer, from top to bottom.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use forebay::CacheService;
use forebay_policy::status::CacheName;
use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderValue, Request, Response, Version};
use hyper::body::Incoming;
use tower_service::Service;

use super::answer::{AnswerBody, failed, here, refused};
use super::body::RequestBody;
use super::fields::{Arrival, Peer, arrive};
use super::forward::Forward;
use super::refusal::Refusal;
use super::usage::Busy;

/// What all connections share.
#[derive(Clone)]
pub(super) struct Proxy {
    pub(super) cache: CacheService<Forward>,
    pub(super) name: Option<Arc<CacheName>>,
    pub(super) max_body: u64,
    pub(super) pause: Duration,
}

impl Proxy {
    /// Answers a request of this peer. The connection is busy until the answer's body has been sent.
    pub(super) fn answer(&self, busy: Busy, request: Request<Incoming>, peer: &Peer) -> Answering {
        let (mut parts, body) = request.into_parts();
        let name = self.name.as_deref();
        let version = parts.version;
        match arrive(&mut parts, peer) {
            Arrival::Goes => {}
            Arrival::Here => return now(last_of(version, here(&parts)), busy),
            Arrival::Refused(refusal) => return now(last_of(version, refused(refusal, name)), busy),
        }
        let announced =
            parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > self.max_body) {
            return now(last_of(version, refused(Refusal::TooLarge, name)), busy);
        }
        let body = RequestBody::new(body, self.max_body, self.pause);
        let (method, name) = (parts.method.clone(), self.name.clone());
        let answer = self.cache.clone().call(Request::from_parts(parts, body));
        Box::pin(async move {
            let answer = match answer.await {
                Ok(answer) => answer.map(|body| AnswerBody::passed(body, busy)),
                Err(failure) => failed(&failure, &method, name.as_deref()).map(|body| body.guarded(busy)),
            };
            Ok(last_of(version, answer))
        })
    }
}

/// The answer as the last one on its connection, where the version has no others.
fn last_of<B>(version: Version, mut answer: Response<B>) -> Response<B> {
    //= https://www.rfc-editor.org/rfc/rfc9112#section-9.3
    //# A proxy server MUST NOT maintain a persistent connection with an HTTP/1.0 client (see Appendix C.2.2
    //# for information and discussion of the problems with the Keep-Alive header field implemented by many
    //# HTTP/1.0 clients).
    if version < Version::HTTP_11 {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

fn now(response: Response<AnswerBody<Busy>>, busy: Busy) -> Answering {
    Box::pin(ready(Ok(response.map(|body| body.guarded(busy)))))
}

/// An answer under way. It never fails: what goes wrong is an answer too.
pub(super) type Answering =
    Pin<Box<dyn Future<Output = Result<Response<AnswerBody<Busy>>, std::convert::Infallible>> + Send>>;
