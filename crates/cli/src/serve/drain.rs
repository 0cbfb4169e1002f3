//! The end: what was begun is finished, for as long as it may take.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;

use super::connection::Phase;

/// SIGTERM and SIGINT, listened to from the start.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next of them.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// How the end went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drained {
    /// Every connection has ended, or the time was over.
    Yes,
    /// A second signal came first.
    Interrupted,
}

/// Tells all connections to end, and waits for them.
pub(super) async fn drain(phase: watch::Sender<Phase>, longest: Duration, signals: &mut Signals) -> Drained {
    phase.send_replace(Phase::Draining);
    tokio::select! {
        in_time = timeout(longest, phase.closed()) => {
            if in_time.is_err() {
                tracing::warn!(connections = phase.receiver_count(), "requests are cut off: the time to drain is over");
            }
            Drained::Yes
        }
        () = signals.next() => Drained::Interrupted,
    }
}
