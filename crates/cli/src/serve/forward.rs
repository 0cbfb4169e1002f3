//! The way to the origin: the service that the cache layer asks for what it cannot answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use forebay::Clock;
use forebay::MustValidate;
use http::header::{CONNECTION, TE, TRANSFER_ENCODING};
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version, request};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, sleep_until};
use tower_service::Service;

use super::body::{Progress, RequestBody};
use super::failure::Failure;
use super::fields::passed_on;
use super::forwarded::add_routing;
use super::tunnel;

/// Sends requests to the origin, each of them once.
#[derive(Clone)]
pub(super) struct Forward {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client<HttpConnector, RequestBody>,
    authority: Authority,
    timeout: Duration,
    clock: Clock,
    complaints: Complaints,
}

impl Forward {
    /// To the origin at `authority`, which has `timeout` to begin its answer. Connections that nobody uses are kept for `idle`.
    pub(super) fn new(authority: Authority, timeout: Duration, idle: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(timeout));
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(idle)
            //= https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2
            //# A proxy MUST NOT automatically retry non-idempotent requests.
            //
            //= https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2
            //# A client SHOULD NOT automatically retry a request with a non-idempotent method unless it has some
            //# means to know that the request semantics are actually idempotent, regardless of the method, or some
            //# means to detect that the original request was never applied.
            //
            //= https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2
            //# A client SHOULD NOT automatically retry a failed automatic retry.
            .retry_canceled_requests(false)
            //= https://www.rfc-editor.org/rfc/rfc9112#section-5.1
            //# A proxy MUST remove any such whitespace from a response message before forwarding the message
            //# downstream.
            .http1_allow_spaces_after_header_name_in_responses(true)
            .build(connector);
        Self {
            shared: Arc::new(Shared {
                client,
                authority,
                timeout,
                clock: Clock::system(),
                complaints: Complaints::default(),
            }),
        }
    }
}

impl Service<Request<RequestBody>> for Forward {
    type Response = Response<Incoming>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let answer = shared.send(request).await;
            if let Err(failure) = &answer {
                shared.complaints.hear(failure);
            }
            answer
        })
    }
}

impl Shared {
    async fn send(&self, request: Request<RequestBody>) -> Result<Response<Incoming>, Failure> {
        let (mut parts, body) = request.into_parts();
        let client_side = parts.extensions.remove::<OnUpgrade>();
        let must_validate = parts.extensions.remove::<MustValidate>().is_some();
        self.address(&mut parts)?;
        let progress = body.progress();
        //= https://www.rfc-editor.org/rfc/rfc9110#section-15.2
        //= type=exception
        //= reason=hyper's server has no way to send them; the client gets the final response, which is what counts.
        //# A proxy MUST forward 1xx responses unless the proxy itself requested the generation of the 1xx
        //# response.
        let answer = self.client.request(Request::from_parts(parts, body));
        let answer = in_time(answer, progress.as_deref(), self.timeout).await?;
        let mut answer = answer.map_err(|error| match progress.and_then(|progress| progress.fault()) {
            Some(fault) => Failure::Request(fault),
            None if must_validate => Failure::Unvalidated(error.into()),
            None => Failure::Unreachable(error.into()),
        })?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            let client_side = client_side.ok_or(Failure::BadAnswer("101 to a request for no upgrade"))?;
            tunnel::join(client_side, hyper::upgrade::on(&mut answer));
        }
        let (mut head, body) = answer.into_parts();
        let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
        if codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
            return Err(Failure::BadAnswer("a transfer coding other than chunked"));
        }
        passed_on(&mut head, || {
            let now = httpdate::fmt_http_date(self.clock.wall());
            HeaderValue::try_from(now).unwrap_or(HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"))
        });
        head.version = Version::default();
        Ok(Response::from_parts(head, body))
    }

    /// Gives the request the origin's address, and what is the proxy's own to say to the origin.
    fn address(&self, parts: &mut request::Parts) -> Result<(), Failure> {
        add_routing(&mut parts.headers);
        //= https://www.rfc-editor.org/rfc/rfc9112#section-7.4
        //# Since the TE header field only applies to the immediate connection, a sender of TE MUST also send a
        //# "TE" connection option within the Connection header field (Section 7.6.1 of [HTTP]) in order to
        //# prevent the TE header field from being forwarded by intermediaries that do not support its
        //# semantics.
        if parts.headers.contains_key(TE) && !parts.headers.contains_key(CONNECTION) {
            parts.headers.insert(CONNECTION, HeaderValue::from_static("te"));
        }
        parts.version = Version::HTTP_11;
        let mut target = std::mem::take(&mut parts.uri).into_parts();
        target.scheme = Some(Scheme::HTTP);
        target.authority = Some(self.authority.clone());
        parts.uri = Uri::from_parts(target).map_err(|error| Failure::Unreachable(error.into()))?;
        Ok(())
    }
}

/// What the log says of an origin that fails, also where the cache covers that up: a line now and then, not one a request.
#[derive(Default)]
struct Complaints {
    last: Mutex<Option<Instant>>,
}

impl Complaints {
    fn hear(&self, failure: &Failure) {
        let error: &dyn std::error::Error = failure;
        if matches!(failure, Failure::Request(_)) || !self.is_due() {
            tracing::debug!(error, "no answer from the origin");
        } else {
            tracing::warn!(error, "no answer from the origin; for 10 s there is no other line like this");
        }
    }

    fn is_due(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| last.elapsed() >= QUIET);
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}

const QUIET: Duration = Duration::from_secs(10);

/// Waits for the head of the answer: `timeout` from the request's last piece on, so that an upload that moves is not cut off.
async fn in_time<F: Future>(
    answer: F,
    progress: Option<&Progress>,
    timeout: Duration,
) -> Result<F::Output, Failure> {
    let mut answer = std::pin::pin!(answer);
    let mut end = Instant::now() + timeout;
    loop {
        tokio::select! {
            answer = &mut answer => return Ok(answer),
            () = sleep_until(end) => {}
        }
        match progress.map(|progress| progress.last() + timeout) {
            Some(later) if later > Instant::now() => end = later,
            _ => return Err(Failure::TimedOut),
        }
    }
}
