//! A service whose answers the test writes, and whose clock it moves.

use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use bytes::Bytes;
use forebay::{Cache, CacheBuilder, CacheLayer, Clock, Policy};
use forebay_testkit::clock::ManualClock;
use http_body_util::BodyExt;
use tokio::sync::watch;
use tower::util::BoxCloneService;
use tower::{Layer, ServiceExt, service_fn};

use crate::support::{Fields, Reply, request, settle};

/// A cache around an origin.
#[derive(Clone)]
pub(crate) struct Shop {
    pub(crate) cache: Cache,
    pub(crate) origin: Origin,
    pub(crate) clock: ManualClock,
    service: Arc<Mutex<Service>>,
}

type Service = BoxCloneService<Request<Body>, Response<Body>, Down>;

/// The origin gives no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Down;

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the origin is down")
    }
}

impl std::error::Error for Down {}

impl Shop {
    pub(crate) async fn origin_profile() -> Self {
        Self::with(Policy::origin(), |cache| cache).await
    }

    pub(crate) async fn proxy() -> Self {
        Self::with(Policy::proxy(), |cache| cache).await
    }

    pub(crate) async fn with(policy: Policy, change: impl FnOnce(CacheBuilder) -> CacheBuilder) -> Self {
        Self::layered(policy, change, Cache::layer).await
    }

    pub(crate) async fn layered(
        policy: Policy,
        change: impl FnOnce(CacheBuilder) -> CacheBuilder,
        layer: impl FnOnce(&Cache) -> CacheLayer,
    ) -> Self {
        let clock = ManualClock::default();
        let cache = Cache::builder("test").policy(policy).clock(Clock::new(clock.clone()));
        let cache = change(cache).build().await.unwrap();
        let origin = Origin::default();
        let service = boxed(layer(&cache), &origin);
        Self { cache, origin, clock, service: Arc::new(Mutex::new(service)) }
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub(crate) async fn get(&self, uri: &str, fields: Fields<'_>) -> Reply {
        self.send(Method::GET, uri, fields).await
    }

    pub(crate) async fn send(&self, method: Method, uri: &str, fields: Fields<'_>) -> Reply {
        self.ask(method, uri, fields).await.unwrap()
    }

    /// Asks, takes the whole answer, and lets what it leaves behind come to an end.
    pub(crate) async fn ask(&self, method: Method, uri: &str, fields: Fields<'_>) -> Result<Reply, Down> {
        let service = self.service.lock().unwrap().clone();
        let answer = service.oneshot(request(method, uri, fields)).await;
        let reply = match answer {
            Ok(response) => {
                let (head, body) = response.into_parts();
                let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                Ok(Reply { status: head.status, headers: head.headers, body })
            }
            Err(down) => Err(down),
        };
        settle().await;
        reply
    }
}

fn boxed(layer: CacheLayer, origin: &Origin) -> Service {
    let origin = origin.clone();
    let inner = service_fn(move |request: Request<Body>| origin.clone().serve(request));
    BoxCloneService::new(layer.layer(inner).map_response(|response| response.map(Body::new)))
}

/// What the origin does with a request.
pub(crate) enum Deed {
    Answer(Response<Body>),
    /// It gives no answer.
    Fail,
    /// It never gives one.
    Hang,
    Panic,
}

/// A request as it has reached the origin.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
}

impl Seen {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }
}

type Script = Arc<dyn Fn(&Seen) -> Deed + Send + Sync>;

/// An origin that does what the test says, and tells what it was asked.
#[derive(Clone)]
pub(crate) struct Origin {
    script: Arc<Mutex<Script>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    open: watch::Sender<bool>,
}

impl Default for Origin {
    fn default() -> Self {
        let script: Script = Arc::new(|_| Deed::Answer(answer(404, &[], "")));
        Self { script: Arc::new(Mutex::new(script)), seen: Arc::default(), open: watch::Sender::new(true) }
    }
}

impl Origin {
    /// From now on it does this.
    pub(crate) fn does(&self, script: impl Fn(&Seen) -> Deed + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }

    /// From now on it answers everything like this.
    pub(crate) fn says(&self, status: u16, fields: Fields<'_>, body: &str) {
        let (fields, body) = (owned(fields), Bytes::copy_from_slice(body.as_bytes()));
        self.does(move |seen| {
            let body = if seen.method == Method::HEAD { Bytes::new() } else { body.clone() };
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            *response.headers_mut() = fields.clone();
            Deed::Answer(response)
        });
    }

    /// From now on it has this representation, and knows conditions and ranges.
    pub(crate) fn has(&self, fields: Fields<'_>, body: &str) {
        let (fields, body) = (owned(fields), body.to_owned());
        self.does(move |seen| Deed::Answer(represent(seen, &fields, &body)));
    }

    /// How often it has been asked.
    pub(crate) fn calls(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// What it was asked last.
    pub(crate) fn last(&self) -> Seen {
        self.seen.lock().unwrap().last().unwrap().clone()
    }

    /// Requests that arrive from now on wait.
    pub(crate) fn hold(&self) {
        self.open.send_replace(false);
    }

    /// And go on.
    pub(crate) fn release(&self) {
        self.open.send_replace(true);
    }

    async fn serve(self, request: Request<Body>) -> Result<Response<Body>, Down> {
        let (head, _) = request.into_parts();
        let seen = Seen { method: head.method, headers: head.headers };
        self.seen.lock().unwrap().push(seen.clone());
        self.open.subscribe().wait_for(|open| *open).await.map_err(|_| Down)?;
        let script = Arc::clone(&*self.script.lock().unwrap());
        match script(&seen) {
            Deed::Answer(response) => Ok(response),
            Deed::Fail => Err(Down),
            Deed::Hang => pending().await,
            Deed::Panic => panic!("the origin panics"),
        }
    }
}

/// A response.
pub(crate) fn answer(status: u16, fields: Fields<'_>, body: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    *response.headers_mut() = owned(fields);
    response
}

fn owned(fields: Fields<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

/// What an origin with this representation answers: 304, 206 or 200.
fn represent(seen: &Seen, fields: &HeaderMap, body: &str) -> Response<Body> {
    let unchanged = match seen.headers.get(header::IF_NONE_MATCH) {
        Some(known) => fields.get(header::ETAG) == Some(known),
        None => {
            let since = seen.headers.get(header::IF_MODIFIED_SINCE);
            since.is_some() && since == fields.get(header::LAST_MODIFIED)
        }
    };
    let mut response = Response::new(Body::empty());
    *response.headers_mut() = fields.clone();
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    let same = seen.headers.get(header::IF_RANGE).is_none_or(|known| fields.get(header::ETAG) == Some(known));
    let wanted = seen.headers.get(header::RANGE).filter(|_| same && seen.method == Method::GET);
    let body = match wanted.and_then(|range| one_range(range.to_str().ok()?, body.len())) {
        Some((first, last)) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let range = format!("bytes {first}-{last}/{}", body.len());
            response.headers_mut().insert(header::CONTENT_RANGE, range.parse().unwrap());
            &body[first..=last]
        }
        None => body,
    };
    response.headers_mut().insert(header::CONTENT_LENGTH, body.len().into());
    if seen.method != Method::HEAD {
        *response.body_mut() = Body::from(body.to_owned());
    }
    response
}

fn one_range(range: &str, length: usize) -> Option<(usize, usize)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let first = first.parse().ok()?;
    let last = if last.is_empty() { length - 1 } else { last.parse::<usize>().ok()?.min(length - 1) };
    (first <= last).then_some((first, last))
}
