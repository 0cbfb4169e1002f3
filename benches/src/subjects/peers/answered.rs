//! Lets a cache that fails with a boxed error stand in an axum router.
//!
//! axum's own `HandleErrorLayer` would box the future of each request; this adapter does not.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::BoxError;
use axum::body::Body as AxumBody;
use axum::response::{IntoResponse, Response as AxumResponse};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

/// Turns errors into responses of status 500.
#[derive(Clone, Copy)]
pub(super) struct Answered;

impl<S> Layer<S> for Answered {
    type Service = AnsweredService<S>;

    fn layer(&self, inner: S) -> AnsweredService<S> {
        AnsweredService { inner }
    }
}

#[derive(Clone)]
pub(super) struct AnsweredService<S> {
    inner: S,
}

impl<S, Q, B> Service<Request<Q>> for AnsweredService<S>
where
    S: Service<Request<Q>, Response = Response<B>, Error = BoxError>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = AxumResponse;
    type Error = Infallible;
    type Future = AnsweredFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A service that cannot get ready says so again when it is called.
        self.inner.poll_ready(context).map(|_| Ok(()))
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        AnsweredFuture { inner: self.inner.call(request) }
    }
}

pin_project! {
    pub(super) struct AnsweredFuture<F> {
        #[pin]
        inner: F,
    }
}

impl<F, B> Future for AnsweredFuture<F>
where
    F: Future<Output = Result<Response<B>, BoxError>>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Output = Result<AxumResponse, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(match ready!(self.project().inner.poll(context)) {
            Ok(response) => response.map(AxumBody::new),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }))
    }
}
