//! The origin behind every subject: 2 KiB of body and eight headers.
//!
//! Body and header values are static, so that an origin costs as little as it can and no ratio to it flatters a cache.

use std::convert::Infallible;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Request, Response};
use http_body_util::Full;
use tokio::time::Sleep;
use tower_service::Service;

/// Bytes in the body of every response.
pub const BODY_BYTES: usize = 2048;

/// Where responses come from; clones count together.
#[derive(Clone, Debug)]
pub struct Origin {
    kind: Kind,
    delay: Option<Duration>,
}

#[derive(Clone, Debug)]
enum Kind {
    Counted(Arc<AtomicU64>),
    Apart,
}

impl Origin {
    /// An origin that answers at once.
    pub fn new() -> Self {
        Self { kind: Kind::Counted(Arc::default()), delay: None }
    }

    /// An origin that answers after `delay`.
    pub fn slow(delay: Duration) -> Self {
        Self { delay: Some(delay), ..Self::new() }
    }

    /// An origin that does not count and makes body and ETag anew for each response: those who ask it share nothing, while
    /// those who are answered with one stored response share what it is made of, as they would outside of a benchmark.
    pub fn apart() -> Self {
        Self { kind: Kind::Apart, delay: None }
    }

    /// How many requests have reached the origin, as far as it counts.
    pub fn calls(&self) -> u64 {
        match &self.kind {
            Kind::Counted(calls) => calls.load(Ordering::Relaxed),
            Kind::Apart => 0,
        }
    }

    /// The origin as a plain tower service.
    pub fn leaf<B>(&self) -> Leaf<B> {
        Leaf { origin: self.clone(), body: PhantomData }
    }

    /// The origin as an axum application: `/articles/{id}` with freshness, `/drafts/{id}` without.
    pub fn app(&self) -> Router {
        Router::new()
            .route("/articles/{id}", get(article).post(article))
            .route("/drafts/{id}", get(draft))
            .with_state(self.clone())
    }

    fn respond<B: From<Bytes>>(&self, freshness: Freshness) -> Response<B> {
        let (body, etag) = match &self.kind {
            Kind::Counted(calls) => {
                calls.fetch_add(1, Ordering::Relaxed);
                (Bytes::from_static(&BODY), HeaderValue::from_static(ETAG))
            }
            Kind::Apart => {
                let etag = HeaderValue::from_str(ETAG).expect("an ETag is a valid value");
                (Bytes::copy_from_slice(&BODY), etag)
            }
        };
        let mut response = Response::new(B::from(body));
        *response.headers_mut() = headers(freshness, etag);
        response
    }
}

impl Default for Origin {
    fn default() -> Self {
        Self::new()
    }
}

/// The origin as a tower service whose future is ready at once, unless the origin is slow.
#[derive(Debug)]
pub struct Leaf<B = Full<Bytes>> {
    origin: Origin,
    body: PhantomData<fn() -> B>,
}

impl<B> Clone for Leaf<B> {
    fn clone(&self) -> Self {
        Self { origin: self.origin.clone(), body: PhantomData }
    }
}

impl<Q, B: From<Bytes>> Service<Request<Q>> for Leaf<B> {
    type Response = Response<B>;
    type Error = Infallible;
    type Future = LeafFuture<B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Q>) -> LeafFuture<B> {
        let drafts = request.uri().path().starts_with("/drafts");
        LeafFuture {
            origin: self.origin.clone(),
            freshness: if drafts { Freshness::Unstated } else { Freshness::Hour },
            delay: self.origin.delay.map(|delay| Box::pin(tokio::time::sleep(delay))),
            body: PhantomData,
        }
    }
}

/// The future of [`Leaf`]. It makes the response when it is polled, as an `async fn` would: some caches call the origin
/// on a hit as well and drop its future.
#[derive(Debug)]
pub struct LeafFuture<B> {
    origin: Origin,
    freshness: Freshness,
    delay: Option<Pin<Box<Sleep>>>,
    body: PhantomData<fn() -> B>,
}

impl<B: From<Bytes>> Future for LeafFuture<B> {
    type Output = Result<Response<B>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(delay) = &mut self.delay {
            std::task::ready!(delay.as_mut().poll(context));
        }
        Poll::Ready(Ok(self.origin.respond(self.freshness)))
    }
}

#[derive(Clone, Copy, Debug)]
enum Freshness {
    Hour,
    Unstated,
}

async fn article(State(origin): State<Origin>, Path(_id): Path<u64>) -> axum::response::Response {
    wait(&origin).await;
    origin.respond(Freshness::Hour)
}

async fn draft(State(origin): State<Origin>, Path(_id): Path<u64>) -> axum::response::Response {
    wait(&origin).await;
    origin.respond(Freshness::Unstated)
}

async fn wait(origin: &Origin) {
    if let Some(delay) = origin.delay {
        tokio::time::sleep(delay).await;
    }
}

/// Eight headers either way, so that only the freshness differs.
fn headers(freshness: Freshness, etag: HeaderValue) -> HeaderMap {
    let (name, value) = match freshness {
        Freshness::Hour => (header::CACHE_CONTROL, "public, max-age=3600"),
        Freshness::Unstated => (header::ALLOW, "GET, HEAD"),
    };
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(name, HeaderValue::from_static(value));
    headers.insert(header::ETAG, etag);
    headers.insert(header::LAST_MODIFIED, HeaderValue::from_static("Tue, 01 Jul 2025 10:00:00 GMT"));
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static("en"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::SERVER, HeaderValue::from_static("origin"));
    headers
}

const ETAG: &str = "\"5f3a9c2e71b84d06\"";
static BODY: [u8; BODY_BYTES] = [b'x'; BODY_BYTES];
