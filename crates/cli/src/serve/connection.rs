//! One connection of a client: its limits, its idle time, and its end.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::fields::Peer;
use super::head::HeadTimeout;
use super::proxy::Proxy;
use super::usage::Usage;

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

/// Serves a connection to its end. When it has been idle for too long, or the server drains, it ends with the requests under
/// way.
pub(super) async fn serve(
    stream: TcpStream,
    peer: Peer,
    proxy: Arc<Proxy>,
    limits: Limits,
    mut phase: watch::Receiver<Phase>,
) {
    let usage = Arc::new(Usage::new());
    let service =
        service_fn(|request: Request<Incoming>| proxy.answer(usage.begin(request.version()), request, &peer));
    let stream = HeadTimeout::new(TokioIo::new(stream), Arc::clone(&usage), limits.header_read);
    let builder = builder(limits);
    let mut connection = pin!(builder.serve_connection_with_upgrades(stream, service));
    let mut idle = pin!(usage.idle(limits.idle));
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
    builder.http1().max_buf_size(limits.header_bytes).header_read_timeout(None);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX));
    builder
}
