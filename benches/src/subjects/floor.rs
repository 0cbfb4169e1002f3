//! The least that a cache can do: hash a key, look it up, clone the response.
//!
//! No freshness, no coherence, no metrics, no flight. What a real cache takes beyond these rows is the price of its
//! features.

use std::future::Future;
use std::hash::{BuildHasher, Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrayvec::ArrayVec;
use axum::Router;
use axum::body::Body as AxumBody;
use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, Method, Request, Response, StatusCode, response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::Collect;
use http_body_util::{BodyExt, Full};
use moka::sync::Cache;
use pin_project_lite::pin_project;
use tokio::runtime::Runtime;
use tower_layer::Layer;
use tower_service::Service;

use crate::endpoint::{Endpoint, endpoint};
use crate::origin::{Leaf, Origin};
use crate::subjects::{CAPACITY, Subject, TagStore};

mod tags;

pub(super) struct Floor;

impl Subject for Floor {
    fn name(&self) -> &'static str {
        "floor"
    }

    fn service(&self, _: &Runtime, origin: &Origin) -> Option<Box<dyn Endpoint>> {
        let leaf: Leaf<Full<Bytes>> = origin.leaf();
        Some(endpoint::<_, AxumBody, _>(FloorLayer::new().layer(leaf)))
    }

    fn router(&self, _: &Runtime, app: Router) -> Option<Router> {
        Some(app.layer(FloorLayer::new()))
    }

    fn tag_stores(&self, _: &Runtime) -> Vec<Box<dyn TagStore>> {
        tags::all()
    }
}

type Store = Cache<Key, Arc<Stored>, Prehashed>;

#[derive(Clone)]
struct FloorLayer {
    store: Store,
}

impl FloorLayer {
    fn new() -> Self {
        Self { store: Cache::builder().max_capacity(CAPACITY).build_with_hasher(Prehashed) }
    }
}

impl<S> Layer<S> for FloorLayer {
    type Service = FloorService<S>;

    fn layer(&self, inner: S) -> FloorService<S> {
        FloorService { inner, store: self.store.clone() }
    }
}

#[derive(Clone)]
struct FloorService<S> {
    inner: S,
    store: Store,
}

impl<S, Q, B> Service<Request<Q>> for FloorService<S>
where
    S: Service<Request<Q>, Response = Response<B>>,
    B: Body<Data = Bytes>,
{
    type Response = Response<FloorBody<B>>;
    type Error = S::Error;
    type Future = FloorFuture<S::Future, B>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let Some(key) = Key::of(&request) else {
            return FloorFuture::Inner { inner: self.inner.call(request), slot: None };
        };
        if let Some(stored) = self.store.get(&key) {
            return FloorFuture::Hit { response: Some(stored.response()) };
        }
        let slot = Some(Slot { store: self.store.clone(), key });
        FloorFuture::Inner { inner: self.inner.call(request), slot }
    }
}

pin_project! {
    #[project = FloorProjection]
    enum FloorFuture<F, B: Body> {
        Hit { response: Option<Response<FloorBody<B>>> },
        Inner { #[pin] inner: F, slot: Option<Slot> },
        Collect { #[pin] body: Collect<B>, head: Option<(Slot, response::Parts)> },
    }
}

impl<F, B, E> Future for FloorFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Data = Bytes>,
{
    type Output = Result<Response<FloorBody<B>>, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match self.as_mut().project() {
                FloorProjection::Hit { response } => {
                    return Poll::Ready(Ok(response.take().expect("a hit is polled once")));
                }
                FloorProjection::Inner { inner, slot } => {
                    let (head, body) = ready!(inner.poll(context))?.into_parts();
                    let Some(slot) = slot.take().filter(|_| head.headers.contains_key(CACHE_CONTROL)) else {
                        return Poll::Ready(Ok(Response::from_parts(head, FloorBody::Inner { body })));
                    };
                    self.set(FloorFuture::Collect { body: body.collect(), head: Some((slot, head)) });
                }
                FloorProjection::Collect { body, head } => {
                    let body = match ready!(body.poll(context)) {
                        Ok(body) => body.to_bytes(),
                        Err(_) => panic!("the origin's body does not fail"),
                    };
                    let (slot, head) = head.take().expect("a miss is polled to completion once");
                    let stored = Arc::new(Stored { status: head.status, headers: head.headers, body });
                    let response = stored.response();
                    slot.store.insert(slot.key, stored);
                    return Poll::Ready(Ok(response));
                }
            }
        }
    }
}

struct Slot {
    store: Store,
    key: Key,
}

struct Stored {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Stored {
    fn response<B>(&self) -> Response<FloorBody<B>> {
        let mut response = Response::new(FloorBody::Stored { bytes: self.body.clone() });
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response
    }
}

pin_project! {
    #[project = FloorBodyProjection]
    enum FloorBody<B> {
        Stored { bytes: Bytes },
        Inner { #[pin] body: B },
    }
}

impl<B: Body<Data = Bytes>> Body for FloorBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project() {
            FloorBodyProjection::Stored { bytes } if bytes.is_empty() => Poll::Ready(None),
            FloorBodyProjection::Stored { bytes } => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))))
            }
            FloorBodyProjection::Inner { body } => body.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Stored { bytes } => bytes.is_empty(),
            Self::Inner { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Stored { bytes } => SizeHint::with_exact(bytes.len() as u64),
            Self::Inner { body } => body.size_hint(),
        }
    }
}

/// 128 bits of a keyed hash over method, host and target.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key([u8; 16]);

impl Key {
    /// `None` for what the floor does not handle: other methods, and targets longer than its buffer.
    fn of<Q>(request: &Request<Q>) -> Option<Self> {
        if request.method() != Method::GET {
            return None;
        }
        let mut encoded = ArrayVec::<u8, 512>::new();
        push(&mut encoded, b"G")?;
        push(&mut encoded, request.headers().get(http::header::HOST)?.as_bytes())?;
        push(&mut encoded, request.uri().path().as_bytes())?;
        push(&mut encoded, request.uri().query().unwrap_or_default().as_bytes())?;
        let hash = blake3::keyed_hash(&SECRET, &encoded);
        let mut key = [0; 16];
        key.copy_from_slice(&hash.as_bytes()[..16]);
        Some(Self(key))
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut low = [0; 8];
        low.copy_from_slice(&self.0[..8]);
        state.write_u64(u64::from_le_bytes(low));
    }
}

/// Adds a part behind its length; `None` when the buffer is full.
fn push(encoded: &mut ArrayVec<u8, 512>, part: &[u8]) -> Option<()> {
    let length = u16::try_from(part.len()).ok()?;
    encoded.try_extend_from_slice(&length.to_le_bytes()).ok()?;
    encoded.try_extend_from_slice(part).ok()
}

/// The key is a hash already.
#[derive(Clone, Copy, Default)]
struct Prehashed;

impl BuildHasher for Prehashed {
    type Hasher = Taken;

    fn build_hasher(&self) -> Taken {
        Taken(0)
    }
}

struct Taken(u64);

impl Hasher for Taken {
    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are written as one integer")
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

const SECRET: [u8; 32] = [7; 32];
