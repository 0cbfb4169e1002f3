//! The future of a request.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::answer::{Note, passed};
use super::body::ResponseBody;
use crate::hub::Hub;

pin_project! {
    /// The future of a [`CacheService`](super::CacheService): a hit is ready at once and costs no allocation.
    #[must_use = "futures do nothing unless polled"]
    pub struct CacheFuture<F, B: Body, E> {
        #[pin]
        kind: Kind<F, B, E>,
    }
}

pin_project! {
    #[project = KindPinned]
    enum Kind<F, B: Body, E> {
        Ready { response: Option<Response<ResponseBody<B>>> },
        Pass { #[pin] inner: F, hub: Arc<Hub>, note: Note },
        Unseen { #[pin] inner: F },
        Boxed { inner: Boxed<B, E> },
    }
}

pub(super) type Boxed<B, E> = Pin<Box<dyn Future<Output = Result<Response<ResponseBody<B>>, E>> + Send>>;

impl<F, B: Body, E> CacheFuture<F, B, E> {
    pub(super) fn ready(response: Response<ResponseBody<B>>) -> Self {
        Self { kind: Kind::Ready { response: Some(response) } }
    }

    pub(super) fn pass(inner: F, hub: Arc<Hub>, note: Note) -> Self {
        Self { kind: Kind::Pass { inner, hub, note } }
    }

    /// An outer layer of the cache speaks for this one.
    pub(super) fn unseen(inner: F) -> Self {
        Self { kind: Kind::Unseen { inner } }
    }

    pub(super) fn boxed(inner: Boxed<B, E>) -> Self {
        Self { kind: Kind::Boxed { inner } }
    }
}

impl<F, B, E> Future for CacheFuture<F, B, E>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            // Polled again after it was ready: a mistake of the caller, for which there is no answer.
            KindPinned::Ready { response } => {
                response.take().map_or(Poll::Pending, |response| Poll::Ready(Ok(response)))
            }
            KindPinned::Pass { inner, hub, note } => {
                inner.poll(cx).map(|response| response.map(|response| passed(hub, response, *note)))
            }
            KindPinned::Unseen { inner } => {
                inner.poll(cx).map(|response| response.map(|response| response.map(ResponseBody::inner)))
            }
            KindPinned::Boxed { inner } => inner.as_mut().poll(cx),
        }
    }
}

impl<F, B: Body, E> fmt::Debug for CacheFuture<F, B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CacheFuture")
    }
}
