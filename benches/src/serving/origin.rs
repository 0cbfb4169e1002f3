//! An origin on hyper, in a process of its own, whose answers are made for what is measured.
//!
//! | path | answer |
//! |---|---|
//! | `/fixed/{bytes}/{name}` | so many bytes, fresh for an hour, eight fields |
//! | `/short/{name}` | after half a second; fresh for a second, may then be served while it is fetched anew, for an hour |
//! | `/erring/{name}` | fresh for a second, may then be served for an hour if the origin fails |
//! | `/plain/{name}` | fresh for a second, and says nothing of what may be done then |
//! | `/drip/{bytes}/{rate}/{name}` | so many bytes, after a moment, at so many bytes a second; fresh for an hour |
//! | `/cut/{bytes}/{name}` | says it has so many bytes, and breaks off after half of them |
//! | `/events` | an event every 50 ms, each with the time at which it was sent |
//! | `/calls` | how many requests came before, itself and its like left out |

use std::net::SocketAddr;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use forebay::Clock;
use forebay_testkit::http::Client;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http_body::Frame;
use tokio::net::TcpListener;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::Error;
use super::process::Program;

/// The origin's process. Dropping it ends it.
#[derive(Debug)]
pub struct Origin {
    program: Program,
    addr: SocketAddr,
}

impl Origin {
    /// Starts this program once more, as an origin on a free port.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn start() -> Result<Self, Error> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// The same, at this address.
    ///
    /// # Errors
    /// When the process cannot be started, or the address is taken.
    pub fn start_at(addr: SocketAddr) -> Result<Self, Error> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([COMMAND, &addr.to_string()]).stdout(Stdio::piped());
        let mut program = Program::start(command, "this one")?;
        let addr = program.first_line()?.trim().parse()?;
        Ok(Self { program, addr })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Kills it.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn kill(self) -> Result<(), Error> {
        self.program.kill()
    }

    /// How many requests have come to it.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn calls(&self) -> Result<u64, Error> {
        let answer = Client::new(self.addr).get("/calls").await?;
        Ok(std::str::from_utf8(&answer.body)?.parse()?)
    }
}

type Calls = Arc<AtomicU64>;

/// What a process that was started with [`COMMAND`] does, until it is killed.
///
/// # Errors
/// When its arguments are none, or the address is taken.
pub async fn run(arguments: &[String]) -> Result<(), Error> {
    let [addr] = arguments else { return Err("an origin has one argument".into()) };
    let listener = TcpListener::bind(addr.parse::<SocketAddr>()?).await?;
    println!("{}", listener.local_addr()?);
    let calls = Calls::default();
    let router = Router::new()
        .route("/fixed/{bytes}/{name}", get(fixed))
        .route("/short/{name}", get(short))
        .route("/erring/{name}", get(async |State(calls)| at_once(&calls, "max-age=1, stale-if-error=3600")))
        .route("/plain/{name}", get(async |State(calls)| at_once(&calls, "max-age=1")))
        .route("/drip/{bytes}/{rate}/{name}", get(drip))
        .route("/cut/{bytes}/{name}", get(cut))
        .route("/events", get(events))
        .route("/calls", get(async |State(calls): State<Calls>| calls.load(Ordering::Relaxed).to_string()))
        .with_state(calls);
    Ok(axum::serve(listener, router).await?)
}

async fn fixed(State(calls): State<Calls>, Path((bytes, _)): Path<(usize, String)>) -> Response {
    calls.fetch_add(1, Ordering::Relaxed);
    (FIELDS, vec![b'x'; bytes]).into_response()
}

async fn short(State(calls): State<Calls>) -> Response {
    calls.fetch_add(1, Ordering::Relaxed);
    sleep(TAKES).await;
    ([(CACHE_CONTROL, "max-age=1, stale-while-revalidate=3600")], vec![b'x'; 2048]).into_response()
}

fn at_once(calls: &Calls, cache_control: &'static str) -> Response {
    calls.fetch_add(1, Ordering::Relaxed);
    ([(CACHE_CONTROL, cache_control)], vec![b'x'; 2048]).into_response()
}

async fn drip(State(calls): State<Calls>, Path((bytes, rate, _)): Path<(u64, u64, String)>) -> Response {
    calls.fetch_add(1, Ordering::Relaxed);
    sleep(FIRST_BYTE).await;
    let fields = [(CACHE_CONTROL, "max-age=3600".to_owned()), (CONTENT_LENGTH, bytes.to_string())];
    let piece = Bytes::from(vec![b'x'; PIECE as usize]);
    let pause = Duration::from_secs_f64(PIECE as f64 / rate as f64);
    let pieces = bytes / PIECE;
    (fields, Body::new(Timed::new(pieces, pause, move |_| piece.clone()))).into_response()
}

async fn cut(State(calls): State<Calls>, Path((bytes, _)): Path<(u64, String)>) -> Response {
    calls.fetch_add(1, Ordering::Relaxed);
    let fields = [(CACHE_CONTROL, "max-age=3600".to_owned()), (CONTENT_LENGTH, bytes.to_string())];
    let piece = Bytes::from(vec![b'x'; PIECE as usize]);
    let half = bytes / PIECE / 2;
    (fields, Body::new(Timed::new(half, Duration::from_millis(1), move |_| piece.clone()))).into_response()
}

async fn events(State(calls): State<Calls>) -> Response {
    calls.fetch_add(1, Ordering::Relaxed);
    let clock = Clock::system();
    let event = move |number| Bytes::from(format!("id: {number}\ndata: {}\n\n", clock.now().as_nanos()));
    let body = Timed::new(EVENTS, Duration::from_millis(50), event);
    ([(CONTENT_TYPE, "text/event-stream")], Body::new(body)).into_response()
}

/// A body of pieces that come one after another, the first at once.
struct Timed<F> {
    number: u64,
    pieces: u64,
    pause: Duration,
    next: Pin<Box<Sleep>>,
    make: F,
}

impl<F> Timed<F> {
    fn new(pieces: u64, pause: Duration, make: F) -> Self {
        Self { number: 0, pieces, pause, next: Box::pin(sleep(Duration::ZERO)), make }
    }
}

impl<F: FnMut(u64) -> Bytes + Unpin> http_body::Body for Timed<F> {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        if this.number == this.pieces {
            return Poll::Ready(None);
        }
        ready!(this.next.as_mut().poll(cx));
        let due = this.next.deadline() + this.pause;
        // The system's timer is coarser than some pauses: what is due together comes together.
        this.next = Box::pin(sleep_until(due.max(Instant::now() - LATE)));
        let piece = (this.make)(this.number);
        this.number += 1;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

/// Eight fields, Content-Length and Date among them.
const FIELDS: [(&str, &str); 6] = [
    ("content-type", "application/json"),
    ("cache-control", "public, max-age=3600"),
    ("etag", "\"5f3c8a1b2d4e6f70\""),
    ("last-modified", "Fri, 21 Nov 2025 08:00:00 GMT"),
    ("x-content-type-options", "nosniff"),
    ("x-request-id", "0f8fad5b-d9cd-469f-a165-70867728950e"),
];
/// How long `/short` takes.
pub const TAKES: Duration = Duration::from_millis(500);
/// How long `/drip` takes before its head.
pub const FIRST_BYTE: Duration = Duration::from_millis(20);
/// How many events there are.
pub const EVENTS: u64 = 100;
/// How many bytes `/drip` sends at a time.
const PIECE: u64 = 16 << 10;
const LATE: Duration = Duration::from_millis(100);
/// The first argument of an origin's process.
pub const COMMAND: &str = "origin";
