//! The origin: resources with versions, as slow and as faulty as a scenario wants it.
//!
//! `/k/N` is a resource that is written to; it carries the tag `t(N mod 8)`. Every other path is a resource that never
//! changes; [`SPOKEN`] has a variant for each language. A body begins with its path and its version, and the rest follows from these two, so that a reader sees
//! whether a byte of it is another's.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, StatusCode, Uri};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::error::Error;
use crate::random::Random;

/// How many resources are written to.
pub(crate) const KEYS: usize = 64;
/// How many tags they share.
pub(crate) const TAGS: usize = 8;

/// The resource that varies.
pub(crate) const SPOKEN: &str = "/spoken";

/// How the origin answers.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// Its answers take up to this long. The version is read first: that is when a write can overtake the answer.
    pub(crate) takes: Duration,
    pub(crate) cache_control: &'static str,
    /// The length of a body.
    pub(crate) length: usize,
    pub(crate) validates: Validates,
    /// One in so many requests of [`KEYS`] goes wrong in one of three ways; none with 0.
    pub(crate) wrong_one_in: usize,
}

/// Whether answers have an ETag, and conditions are honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validates {
    Yes,
    No,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            takes: Duration::from_millis(4),
            cache_control: "public, max-age=600",
            length: 512,
            validates: Validates::No,
            wrong_one_in: 0,
        }
    }
}

/// The resources and the server that tells their versions. Dropping it ends the server.
#[derive(Debug)]
pub(crate) struct Origin {
    data: Arc<Data>,
    addr: SocketAddr,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Data {
    versions: [AtomicU64; KEYS],
    calls: AtomicU64,
    wrong: AtomicU64,
    manner: Mutex<(Manner, Random)>,
}

impl Origin {
    pub(crate) async fn start(manner: Manner, seed: u64) -> Result<Self, Error> {
        let data = Arc::new(Data {
            versions: [const { AtomicU64::new(0) }; KEYS],
            calls: AtomicU64::new(0),
            wrong: AtomicU64::new(0),
            manner: Mutex::new((manner, Random::new(seed, "origin"))),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&data));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        // It never fails: a connection that breaks is its own affair.
        let server = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { data, addr, server })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What is written to, for whoever writes.
    pub(crate) fn writable(&self) -> Writable {
        Writable(Arc::clone(&self.data))
    }

    /// How often it was asked.
    pub(crate) fn calls(&self) -> u64 {
        self.data.calls.load(Ordering::Relaxed)
    }

    /// How often it went wrong on purpose.
    pub(crate) fn wrong(&self) -> u64 {
        self.data.wrong.load(Ordering::Relaxed)
    }

    /// Answers in another way from now on.
    pub(crate) fn behave(&self, manner: Manner) {
        self.data.manner.lock().unwrap_or_else(PoisonError::into_inner).0 = manner;
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The resources, for writing.
#[derive(Clone, Debug)]
pub(crate) struct Writable(Arc<Data>);

impl Writable {
    /// Changes a resource and returns its new version.
    pub(crate) fn write(&self, key: usize) -> u64 {
        self.0.versions[key].fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The version that a resource has now.
    pub(crate) fn version(&self, key: usize) -> u64 {
        self.0.versions[key].load(Ordering::SeqCst)
    }
}

/// The path of a resource that is written to.
pub(crate) fn path(key: usize) -> String {
    format!("/k/{key}")
}

/// The tag of a resource that is written to.
pub(crate) fn tag(key: usize) -> String {
    format!("t{}", key % TAGS)
}

/// The resources with a tag.
pub(crate) fn keys_of(tag: usize) -> impl Iterator<Item = usize> {
    (tag..KEYS).step_by(TAGS)
}

/// The version in a body, if every byte of it is what this path and that version make.
pub(crate) fn version_in(path: &str, body: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(body).ok()?;
    let version = text.strip_prefix(path)?.strip_prefix(' ')?.split(' ').next()?.parse().ok()?;
    (body_of(path, version, body.len()) == text).then_some(version)
}

fn body_of(path: &str, version: u64, length: usize) -> String {
    let mut body = format!("{path} {version} ");
    let first = path.bytes().map(u64::from).sum::<u64>() + version;
    let filler =
        (0..length.saturating_sub(body.len()) as u64).map(|at| LETTERS[((first + at) % 26) as usize]);
    body.extend(filler.map(char::from));
    body
}

async fn answer(State(data): State<Arc<Data>>, uri: Uri, fields: HeaderMap) -> Response {
    data.calls.fetch_add(1, Ordering::Relaxed);
    let path = uri.path();
    let key = path.strip_prefix("/k/").and_then(|key| key.parse::<usize>().ok()).filter(|key| *key < KEYS);
    let version = key.map_or(0, |key| data.versions[key].load(Ordering::SeqCst));
    let (manner, takes, wrong) = data.decide(key.is_some());
    tokio::time::sleep(takes).await;
    match wrong {
        Some(wrong) => wrong.answer(&body_of(path, version, manner.length)).await,
        None => well(&manner, key, version, path, &fields),
    }
}

impl Data {
    /// How to answer, how long that takes, and what goes wrong with it.
    fn decide(&self, may_go_wrong: bool) -> (Manner, Duration, Option<Wrong>) {
        let mut guard = self.manner.lock().unwrap_or_else(PoisonError::into_inner);
        let (manner, random) = &mut *guard;
        let takes = random.up_to(manner.takes);
        let wrong = may_go_wrong && manner.wrong_one_in > 0 && random.one_in(manner.wrong_one_in);
        let wrong = wrong.then(|| [Wrong::Error, Wrong::Cut, Wrong::Hangs][random.below(3)]);
        self.wrong.fetch_add(u64::from(wrong.is_some()), Ordering::Relaxed);
        (manner.clone(), takes, wrong)
    }
}

fn well(manner: &Manner, key: Option<usize>, version: u64, path: &str, fields: &HeaderMap) -> Response {
    let mut response = Response::builder().header(CACHE_CONTROL, manner.cache_control);
    if let Some(key) = key {
        response = response.header("cache-tag", tag(key));
    }
    if path == SPOKEN {
        response = response.header(VARY, "accept-language");
    }
    let mut body = body_of(path, version, manner.length);
    if manner.validates == Validates::Yes {
        let entity = format!("\"{version}\"");
        if fields.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == entity.as_bytes()) {
            response = response.status(StatusCode::NOT_MODIFIED);
            body.clear();
        }
        response = response.header(ETAG, entity);
    }
    response.body(Body::from(body)).unwrap_or_default()
}

/// What goes wrong with an answer.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    /// It is a 500.
    Error,
    /// Its body ends early.
    Cut,
    /// It never begins.
    Hangs,
}

impl Wrong {
    async fn answer(self, body: &str) -> Response {
        let error = || {
            let mut response = Response::new(Body::from("wrong"));
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        };
        match self {
            Self::Error => error(),
            Self::Cut => {
                let half = body[..body.len() / 2].to_owned();
                let cut = Response::builder()
                    .header(CACHE_CONTROL, "public, max-age=600")
                    .header("content-length", body.len());
                cut.body(Body::from_stream(Halves(Some(half)))).unwrap_or_default()
            }
            Self::Hangs => {
                tokio::time::sleep(HANG).await;
                error()
            }
        }
    }
}

/// A body that breaks off after its first half.
struct Halves(Option<String>);

impl futures_util::Stream for Halves {
    type Item = Result<String, std::io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let next = self.0.take().ok_or_else(|| std::io::ErrorKind::ConnectionReset.into());
        std::task::Poll::Ready(Some(next))
    }
}

/// Longer than an instance waits for the origin in the scenario that lets it hang.
const HANG: Duration = Duration::from_secs(30);
const LETTERS: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_says_whose_and_which_version_it_is_and_any_other_byte_is_noticed() {
        let body = body_of("/k/3", 17, 200).into_bytes();
        assert_eq!((body.len(), version_in("/k/3", &body)), (200, Some(17)));
        assert_eq!(version_in("/k/4", &body), None);
        for at in 0..body.len() {
            let mut other = body.clone();
            other[at] ^= 1;
            assert_eq!(version_in("/k/3", &other), None, "byte {at}");
        }
    }
}
