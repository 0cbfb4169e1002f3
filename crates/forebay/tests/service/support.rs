//! What the tests share: asking, settling, counting, listening to the log.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use bytes::Bytes;
use forebay::Cache;
use http_body_util::BodyExt;
use tower::{Service, ServiceExt};

pub(crate) type Fields<'a> = &'a [(&'a str, &'a str)];

pub(crate) async fn cache() -> Cache {
    Cache::builder("test").build().await.unwrap()
}

/// An answer that has arrived in full.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn cache_status(&self) -> &str {
        self.headers.get("cache-status").map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn is_hit(&self) -> bool {
        self.cache_status().starts_with("forebay; hit")
    }
}

pub(crate) fn request(method: Method, uri: &str, fields: Fields<'_>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(uri);
    if uri.starts_with('/') && !fields.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "shop");
    }
    fields
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value))
        .body(Body::empty())
        .unwrap()
}

/// Sends a request, takes the whole answer and lets the detached fill run to its end.
pub(crate) async fn send<S, B>(app: &S, request: Request<Body>) -> Reply
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone,
    B: http_body::Body<Data = Bytes, Error: std::fmt::Debug>,
{
    let (head, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    settle().await;
    Reply { status: head.status, headers: head.headers, body }
}

pub(crate) async fn get(app: &Router, uri: &str, fields: Fields<'_>) -> Reply {
    send(app, request(Method::GET, uri, fields)).await
}

/// Lets every task that can go on go on.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// How often something happened.
#[derive(Clone, Default)]
pub(crate) struct Count(Arc<AtomicUsize>);

impl Count {
    /// Counts once more, and says how often it has been by then.
    pub(crate) fn up(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// The value of a request field, or `-`.
pub(crate) fn field(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map_or("-".into(), |value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// Collects the errors that this thread logs while it is alive.
pub(crate) struct Errors {
    lines: Arc<Mutex<Vec<String>>>,
    _guard: tracing::subscriber::DefaultGuard,
}

impl Errors {
    pub(crate) fn collect() -> Self {
        let lines = Arc::default();
        let guard = tracing::subscriber::set_default(Log(Arc::clone(&lines)));
        Self { lines, _guard: guard }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

struct Log(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::ERROR
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

struct Line(String);

impl tracing::field::Visit for Line {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0 += &format!("{field}={value:?} ");
    }
}
