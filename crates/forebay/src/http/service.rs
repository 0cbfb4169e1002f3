//! The services that the layers make.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use forebay_core::tag::All;
use forebay_policy::invalidate::{Invalidation, invalidation};
use forebay_policy::reuse::Body as Content;
use http::{Request, Response, request};
use http_body::Body;
use tower_service::Service;

use super::body::ResponseBody;
use super::change::after_unsafe;
use super::exchange::{Begun, begin, fetch, refresh};
use super::future::CacheFuture;
use super::said::{Outer, Word};
use super::scope::{Part, Scope};
use super::token;
use crate::axum::params;
use crate::hub::Hub;
use crate::labels::Labels;

/// Answers from the cache what it may, and asks the inner service for the rest.
///
/// Its error is the inner service's. `poll_ready` is the inner service's too, so a saturated inner service delays hits as well.
/// The inner service runs on a task of its own when its answer may be shared: it carries the caller's span, but no task-locals.
#[derive(Clone)]
pub struct CacheService<S> {
    inner: S,
    scope: Scope,
}

impl<S> CacheService<S> {
    pub(super) fn new(inner: S, scope: Scope) -> Self {
        Self { inner, scope }
    }

    /// The service that is ready. Its clone, which nobody has asked to be ready, takes its place.
    fn take_ready(&mut self) -> S
    where
        S: Clone,
    {
        let clone = self.inner.clone();
        mem::replace(&mut self.inner, clone)
    }
}

impl<S, B, R> Service<Request<B>> for CacheService<S>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send + 'static, Error: Send>
        + Clone
        + Send
        + 'static,
    B: Body + Send + 'static,
    R: Body<Data: Send, Error: Send> + Send + 'static,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = CacheFuture<S::Future, R, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        if let Some(outer) = Outer::of(&parts) {
            match self.scope.part_under(outer) {
                Part::HandUp => return self.hand_up(parts, body),
                Part::StepAside => {
                    // Under another annotation: what holds for the route is anybody's guess.
                    outer.say(Word::Twice);
                    return CacheFuture::unseen(self.inner.call(Request::from_parts(parts, body)));
                }
                // What comes of it must not be stored once more.
                Part::Serve => outer.say(Word::Handled),
            }
        }
        self.serve(parts, body)
    }
}

impl<S> CacheService<S> {
    /// A part of its caller, as [`begin`] is of it: what they hand on is large, and every hit comes this way.
    #[inline(always)]
    fn serve<B, R>(&mut self, mut parts: request::Parts, body: B) -> CacheFuture<S::Future, R, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>, Future: Send + 'static, Error: Send>
            + Clone
            + Send
            + 'static,
        B: Body + Send + 'static,
        R: Body<Data: Send, Error: Send> + Send + 'static,
    {
        let content = if body.is_end_stream() { Content::Empty } else { Content::Present };
        match begin(&self.scope, &mut parts, content) {
            Begun::Answer(response) => CacheFuture::ready(response),
            Begun::Pass(note) => {
                let inner = self.inner.call(Request::from_parts(parts, body));
                CacheFuture::pass(inner, Arc::clone(&self.scope.hub), note)
            }
            Begun::Fetch(wanted) => {
                let inner = self.take_ready();
                CacheFuture::boxed(Box::pin(fetch(self.scope.clone(), wanted, parts, body, inner)))
            }
            Begun::Refresh(response, refreshing) => {
                let inner = self.take_ready();
                refresh(self.scope.clone(), *refreshing, parts, body, inner);
                CacheFuture::ready(response)
            }
            Begun::Unsafe(asked) => {
                let hub = Arc::clone(&self.scope.hub);
                let answer = self.inner.call(Request::from_parts(parts, body));
                CacheFuture::boxed(Box::pin(async move {
                    let answer = answer.await?;
                    Ok(after_unsafe(&hub, *asked, answer).await)
                }))
            }
        }
    }

    /// Under an outer layer that does the work: only says what holds for this route.
    fn hand_up<B, R>(&mut self, mut parts: request::Parts, body: B) -> CacheFuture<S::Future, R, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>>,
        R: Body,
    {
        self.scope.hand_up(&mut parts);
        CacheFuture::unseen(self.inner.call(Request::from_parts(parts, body)))
    }
}

impl<S: fmt::Debug> fmt::Debug for CacheService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// Invalidates tags after a successful unsafe request, before its client hears of the success.
#[derive(Clone)]
pub struct InvalidatesService<S> {
    inner: S,
    hub: Arc<Hub>,
    labels: Arc<Labels>,
}

impl<S> InvalidatesService<S> {
    pub(super) fn new(inner: S, hub: Arc<Hub>, labels: Arc<Labels>) -> Self {
        Self { inner, hub, labels }
    }
}

impl<S, B, R> Service<Request<B>> for InvalidatesService<S>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send + 'static, Error: Send>,
    R: Send,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let method = parts.method.clone();
        let targets = self.labels.fill(&params(&parts));
        let hub = Arc::clone(&self.hub);
        let seen = token::seen(&hub, &parts.headers);
        let answer = self.inner.call(Request::from_parts(parts, body));
        Box::pin(async move {
            let mut answer = answer.await?;
            if invalidation(&method, answer.status()) == Invalidation::Required {
                let instance = hub.tiers.instance();
                // Unconfirmed is queued; a name that cannot be made or carried takes the whole namespace with it.
                let mut done = match targets {
                    Ok(targets) => instance.invalidate(targets).await,
                    Err(missing) => {
                        let (template, name) = (missing.template, missing.name);
                        tracing::error!(%template, %name, "no such path parameter: the whole namespace is invalidated");
                        instance.invalidate(All).await
                    }
                };
                if let Err(forebay_core::instance::InvalidateError::Target(error)) = &done {
                    tracing::error!(%error, "the whole namespace is invalidated");
                    done = instance.invalidate(All).await;
                }
                let inside = token::take(&hub, answer.headers_mut());
                token::tell(&hub, answer.headers_mut(), done.ok().as_ref(), inside, seen.as_ref());
            }
            Ok(answer)
        })
    }
}

impl<S: fmt::Debug> fmt::Debug for InvalidatesService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvalidatesService").field("inner", &self.inner).finish_non_exhaustive()
    }
}
