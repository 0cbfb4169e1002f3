//! One connection of a client: its limits, its idle time, and its end.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::fields::Peer;
use super::proxy::Proxy;

/// What a client may take its time with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) header_bytes: usize,
    pub(super) header_read: Duration,
    pub(super) idle: Duration,
}

/// Whether the server is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Serving,
    Draining,
}

/// Serves a connection to its end. When the server drains, it ends with the request under way.
pub(super) async fn serve(
    stream: TcpStream,
    peer: Peer,
    proxy: Arc<Proxy>,
    limits: Limits,
    mut phase: watch::Receiver<Phase>,
) {
    let use_ = Arc::new(Use::new());
    let service = service_fn(|request| proxy.answer(request, &peer, Busy::new(&use_)));
    let builder = builder(limits);
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let mut idle = pin!(use_.idle(limits));
    let mut ends = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection broke off");
                }
                return;
            }
            () = &mut idle, if !ends => {}
            _ = phase.wait_for(|phase| *phase == Phase::Draining), if !ends => {}
        }
        ends = true;
        connection.as_mut().graceful_shutdown();
    }
}

fn builder(limits: Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .max_buf_size(limits.header_bytes)
        // hyper's timer runs while a connection is idle as well, so that the longer of the two is all it can be told.
        // How long a head takes once it has begun is for `HeadReader`.
        .header_read_timeout(limits.header_read.max(limits.idle));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX));
    builder
}

/// What a connection is used for.
#[derive(Debug)]
struct Use {
    start: Instant,
    requests: AtomicUsize,
    /// When the last answer ended, in milliseconds after `start`; 0 before the first.
    ended: AtomicU64,
}

impl Use {
    fn new() -> Self {
        Self { start: Instant::now(), requests: AtomicUsize::new(0), ended: AtomicU64::new(0) }
    }

    /// Resolves once the connection has been without a request for too long: from its beginning a head is waited for, later the
    /// next request.
    async fn idle(&self, limits: Limits) {
        let mut end = self.start + limits.header_read;
        loop {
            sleep_until(end).await;
            end = match (self.requests.load(Ordering::Acquire), self.ended.load(Ordering::Acquire)) {
                (0, 0) => return,
                (0, ended) => self.start + Duration::from_millis(ended) + limits.idle,
                _ => Instant::now() + limits.idle,
            };
            if end <= Instant::now() {
                return;
            }
        }
    }
}

/// A request under way. Dropped when its answer has been sent.
#[derive(Debug)]
pub(super) struct Busy(Arc<Use>);

impl Busy {
    fn new(used: &Arc<Use>) -> Self {
        used.requests.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(used))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let elapsed = u64::try_from(self.0.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.ended.store(elapsed.max(1), Ordering::Release);
        self.0.requests.fetch_sub(1, Ordering::AcqRel);
    }
}
