//! The body of a request on its way to the origin.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

/// A request's body: counted, and not waited for longer than its client may pause. The default is an empty one.
#[derive(Default)]
pub(crate) struct RequestBody {
    incoming: Option<Incoming>,
    /// Set where there is a body at all.
    watched: Option<Watched>,
}

struct Watched {
    left: u64,
    pause: Duration,
    silence: Option<Pin<Box<Sleep>>>,
    progress: Arc<Progress>,
}

impl RequestBody {
    /// At most `limit` bytes, and at most `pause` between two pieces.
    pub(super) fn new(incoming: Incoming, limit: u64, pause: Duration) -> Self {
        if incoming.is_end_stream() {
            return Self::default();
        }
        let watched = Watched { left: limit, pause, silence: None, progress: Arc::new(Progress::new()) };
        Self { incoming: Some(incoming), watched: Some(watched) }
    }

    /// How far it has come; `None` for an empty body.
    pub(super) fn progress(&self) -> Option<Arc<Progress>> {
        self.watched.as_ref().map(|watched| Arc::clone(&watched.progress))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = self.get_mut();
        let (Some(incoming), Some(watched)) = (&mut this.incoming, &mut this.watched) else {
            return Poll::Ready(None);
        };
        let frame = match Pin::new(incoming).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                let fault = ready!(watched.poll_silence(cx));
                this.incoming = None;
                return Poll::Ready(Some(Err(fault)));
            }
        };
        let Some(frame) = frame else { return Poll::Ready(None) };
        let judged = watched.judge(frame);
        if judged.is_err() {
            this.incoming = None;
        }
        Poll::Ready(Some(judged))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Watched {
    fn judge(&mut self, frame: Result<Frame<Bytes>, hyper::Error>) -> Result<Frame<Bytes>, Fault> {
        self.silence = None;
        let Ok(frame) = frame else { return Err(self.progress.failed(Fault::Broken)) };
        let len = frame.data_ref().map_or(0, |data| data.len() as u64);
        match self.left.checked_sub(len) {
            Some(left) => {
                self.left = left;
                self.progress.moved();
                Ok(frame)
            }
            None => Err(self.progress.failed(Fault::TooLarge)),
        }
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Fault> {
        let end = Instant::now() + self.pause;
        let silence = self.silence.get_or_insert_with(|| Box::pin(sleep_until(end)));
        ready!(silence.as_mut().poll(cx));
        Poll::Ready(self.progress.failed(Fault::Paused))
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").field("size_hint", &self.size_hint()).finish()
    }
}

/// What is wrong with a request's body. Each is the client's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is larger than is accepted.
    TooLarge,
    /// It breaks off, or its framing cannot be read.
    Broken,
    /// Its client has paused for too long.
    Paused,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the request's body is too large",
            Self::Broken => "the request's body is broken",
            Self::Paused => "the request's body did not arrive in time",
        })
    }
}

impl std::error::Error for Fault {}

/// How far a request's body has come, for those who wait for the answer to it.
#[derive(Debug)]
pub(crate) struct Progress {
    start: Instant,
    /// When a piece of it was last passed on, in milliseconds after `start`.
    moved: AtomicU64,
    fault: AtomicU8,
}

impl Progress {
    fn new() -> Self {
        Self { start: Instant::now(), moved: AtomicU64::new(0), fault: AtomicU8::new(0) }
    }

    fn moved(&self) {
        let elapsed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(elapsed, Ordering::Relaxed);
    }

    fn failed(&self, fault: Fault) -> Fault {
        self.fault.store(fault as u8 + 1, Ordering::Relaxed);
        fault
    }

    /// When a piece was last passed on.
    pub(super) fn last(&self) -> Instant {
        self.start + Duration::from_millis(self.moved.load(Ordering::Relaxed))
    }

    /// What went wrong, if something did.
    pub(super) fn fault(&self) -> Option<Fault> {
        [Fault::TooLarge, Fault::Broken, Fault::Paused]
            .into_iter()
            .find(|fault| *fault as u8 + 1 == self.fault.load(Ordering::Relaxed))
    }
}
