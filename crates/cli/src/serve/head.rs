//! The time that the head of a request may take.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::time::{Sleep, sleep};

use super::usage::Usage;

/// A connection that breaks off when a head takes too long: counted from the first byte that was not enough, or from the
/// beginning of the connection.
///
/// hyper's own timer also runs between two requests, where a client may be silent for longer; and it is set for each head,
/// this one only for those that do not arrive in one piece.
#[derive(Debug)]
pub(super) struct HeadTimeout<T> {
    inner: T,
    usage: Arc<Usage>,
    longest: Duration,
    /// The number of the request of whose head a part has arrived.
    begun: Option<u64>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<T> HeadTimeout<T> {
    pub(super) fn new(inner: T, usage: Arc<Usage>, longest: Duration) -> Self {
        Self { inner, usage, longest, begun: Some(0), timer: None }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let awaited = self.usage.awaited();
        if awaited.is_none() || awaited != self.begun {
            self.timer = None;
            return Poll::Pending;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.longest)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the head of a request took too long")))
    }
}

impl<T: Read + Unpin> Read for HeadTimeout<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_read(cx, buf) {
            Poll::Ready(read) => {
                if let Some(awaited) = this.usage.awaited() {
                    this.begun = Some(awaited);
                }
                Poll::Ready(read)
            }
            Poll::Pending => this.poll_timer(cx),
        }
    }
}

impl<T: Write + Unpin> Write for HeadTimeout<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, bufs)
    }
}
