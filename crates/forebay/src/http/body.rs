//! The body of a response that has passed through the cache.

use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use forebay_core::seek::Held;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::sync::mpsc;

use crate::room::{Share, Taken};

pin_project! {
    /// A body that is stored already, is being collected while it is sent, or passes through as it is.
    ///
    /// Its data are [`Bytes`]; its error is the inner body's.
    #[must_use = "bodies do nothing unless polled"]
    pub struct ResponseBody<B: Body> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindPinned]
    enum Kind<B: Body> {
        Stored { bytes: Bytes },
        Inner { #[pin] body: B },
        Tee { pieces: mpsc::UnboundedReceiver<Piece<B>>, hint: SizeHint, _share: Arc<Share> },
        Rest { body: Pin<Box<B>> },
        Over,
    }
}

/// What the collector passes on to the client.
enum Piece<B: Body> {
    Frame(Frame<Bytes>),
    Error(B::Error),
    /// It will not be stored: the client takes the rest directly.
    Rest(Pin<Box<B>>),
    /// That was all.
    End,
    /// The inner body has panicked: what it would say now is not to be trusted.
    Panicked,
}

impl<B: Body> ResponseBody<B> {
    /// A stored body; an empty one for no body at all.
    pub(crate) fn stored(bytes: Bytes) -> Self {
        Self { kind: Kind::Stored { bytes } }
    }

    /// A body that the cache only looks through.
    pub(crate) fn inner(body: B) -> Self {
        Self { kind: Kind::Inner { body } }
    }

    /// Splits `body` in two: what the client gets as it arrives, and a future that resolves to all of it.
    ///
    /// The last that the client gets waits until [`Whole::held`] is dropped: who has seen the end may ask again.
    ///
    /// The future has to be driven for the client to get anything. It resolves to `None` when the body breaks off, grows
    /// beyond `cap` or beyond its `share` of the room; then the client takes over what is left. A client that goes away does not stop it.
    pub(crate) fn tee(body: B, cap: usize, share: Arc<Share>) -> (Self, impl Future<Output = Option<Whole>>)
    where
        B: Send + 'static,
        B::Error: Send,
    {
        let (sender, pieces) = mpsc::unbounded_channel();
        let hint = body.size_hint();
        let source = Source { left: hint.exact(), body: Some(Box::pin(body)), last: None, client: sender };
        let whole = collect(source, cap, Arc::clone(&share));
        (Self { kind: Kind::Tee { pieces, hint, _share: share } }, whole)
    }
}

/// All of a body.
pub(crate) struct Whole {
    pub(crate) bytes: Bytes,
    /// The client's end of it, where there is still a client.
    pub(crate) held: Option<Held>,
}

async fn collect<B>(mut source: Source<B>, cap: usize, share: Arc<Share>) -> Option<Whole>
where
    B: Body<Error: Send> + Send + 'static,
{
    let mut chunks: Vec<Bytes> = Vec::new();
    let mut len = 0;
    while let Some(data) = source.next().await? {
        let chunk = data.len();
        len += chunk;
        chunks.push(data);
        if len > cap || share.take(chunk) == Taken::Full {
            return None;
        }
    }
    // Copied even if it is one chunk: a chunk may be a small slice of a large buffer.
    let mut whole = BytesMut::with_capacity(len);
    chunks.iter().for_each(|chunk| whole.extend_from_slice(chunk));
    Some(Whole { bytes: whole.freeze(), held: Some(Held::new(Ending(source))) })
}

/// The inner body on its way to the client. Whenever collecting stops before the end, whatever the reason, the client gets
/// the rest of it: a body that was cut short must never look complete.
struct Source<B: Body> {
    body: Option<Pin<Box<B>>>,
    /// How much is still to come, where that is known.
    left: Option<u64>,
    /// The data that made it complete, not yet passed on.
    last: Option<Frame<Bytes>>,
    client: mpsc::UnboundedSender<Piece<B>>,
}

impl<B: Body> Source<B> {
    /// The next data, passed on to the client; `Some(None)` at the end, `None` when the body breaks off.
    async fn next(&mut self) -> Option<Option<Bytes>> {
        loop {
            let body = self.body.as_mut()?;
            match std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
                Some(Ok(frame)) => {
                    let frame = whole(frame);
                    let data = frame.data_ref().cloned();
                    self.pass_on_frame(frame, data.as_ref().map_or(0, Bytes::len));
                    if data.is_some() {
                        return Some(data);
                    }
                }
                Some(Err(error)) => {
                    self.body = None;
                    self.release();
                    self.pass_on(Piece::Error(error));
                    return None;
                }
                None => {
                    self.body = None;
                    return Some(None);
                }
            }
        }
    }

    fn pass_on_frame(&mut self, frame: Frame<Bytes>, len: usize) {
        self.release();
        self.left = self.left.and_then(|left| left.checked_sub(len as u64));
        match self.left {
            // A client that counts takes this for the end.
            Some(0) => self.last = Some(frame),
            _ => self.pass_on(Piece::Frame(frame)),
        }
    }

    /// Passes on what was held back.
    fn release(&mut self) {
        if let Some(frame) = self.last.take() {
            self.pass_on(Piece::Frame(frame));
        }
    }

    fn pass_on(&self, piece: Piece<B>) {
        // Whether the client still listens does not matter to those who wait for the whole.
        drop(self.client.send(piece));
    }
}

impl<B: Body> Drop for Source<B> {
    fn drop(&mut self) {
        self.release();
        match self.body.take() {
            Some(_) if std::thread::panicking() => self.pass_on(Piece::Panicked),
            Some(body) => self.pass_on(Piece::Rest(body)),
            None => {}
        }
    }
}

/// A body that has come to its end. When this is dropped its client hears of that.
struct Ending<B: Body>(Source<B>);

impl<B: Body> Drop for Ending<B> {
    fn drop(&mut self) {
        self.0.release();
        self.0.pass_on(Piece::End);
    }
}

/// The frame with its data as one `Bytes`; no copy where they are `Bytes` already.
fn whole<D: Buf>(frame: Frame<D>) -> Frame<Bytes> {
    frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))
}

impl<B: Body> ResponseBody<B> {
    /// The next frame of a body that is not stored. Apart, so that a stored one costs its caller little.
    fn poll_unstored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        loop {
            match this.kind.as_mut().project() {
                KindPinned::Inner { body } => {
                    return body.poll_frame(cx).map(|frame| frame.map(|frame| frame.map(whole)));
                }
                KindPinned::Rest { body } => {
                    return body.as_mut().poll_frame(cx).map(|frame| frame.map(|frame| frame.map(whole)));
                }
                KindPinned::Over | KindPinned::Stored { .. } => return Poll::Ready(None),
                KindPinned::Tee { pieces, .. } => match ready!(pieces.poll_recv(cx)) {
                    Some(Piece::Frame(frame)) => return Poll::Ready(Some(Ok(frame))),
                    Some(Piece::Rest(body)) => this.kind.set(Kind::Rest { body }),
                    Some(Piece::End) => this.kind.set(Kind::Over),
                    // As it would without the cache: the connection breaks off.
                    Some(Piece::Panicked) => resume_unwind(Box::new("the response's body panicked")),
                    Some(Piece::Error(error)) => {
                        this.kind.set(Kind::Over);
                        return Poll::Ready(Some(Err(error)));
                    }
                    // `Source` never goes without a last word.
                    None => this.kind.set(Kind::Over),
                },
            }
        }
    }
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.as_mut().project().kind.project() {
            KindPinned::Stored { bytes } => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            _ => self.poll_unstored(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Stored { bytes } => bytes.is_empty(),
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Rest { body } => body.is_end_stream(),
            Kind::Tee { .. } => false,
            Kind::Over => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Stored { bytes } => SizeHint::with_exact(bytes.len() as u64),
            Kind::Inner { body } => body.size_hint(),
            Kind::Rest { body } => body.size_hint(),
            Kind::Tee { hint, .. } => *hint,
            Kind::Over => SizeHint::with_exact(0),
        }
    }
}

impl<B: Body> std::fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseBody").field("size_hint", &self.size_hint()).finish()
    }
}
