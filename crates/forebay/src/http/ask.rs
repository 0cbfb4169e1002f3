//! The way to the origin: the inner service, and what becomes of its answer.

use std::future::ready;
use std::panic::resume_unwind;
use std::sync::Arc;

use bytes::Bytes;
use forebay_core::entry::Entry;
use forebay_core::event::Event;
use forebay_core::seek::{Fill, Filling, Origin};
use forebay_policy::reuse::Failure;
use forebay_policy::status::Forwarded;
use http::{Request, Response, request};
use http_body::Body;
use tokio::time::Instant;
use tower_service::Service;

use super::answer::{instead, instead_of_slow, only_if_cached, timed_out};
use super::body::{ResponseBody, Whole};
use super::judge::Judge;
use super::patience::{Called, TooSlow, caught, in_time};
use super::scope::Scope;
use super::verdict::Verdict;
use super::wanted::Wanted;
use crate::stored::Kept;

/// A request on its way to the inner service.
pub(super) struct Ask<S, B> {
    wanted: Arc<Wanted>,
    scope: Scope,
    parts: request::Parts,
    body: B,
    inner: S,
    /// Since when an answer is waited for, whoever is asked for it.
    since: Instant,
}

impl<S, B> Ask<S, B> {
    pub(super) fn new(wanted: Arc<Wanted>, scope: Scope, parts: request::Parts, body: B, inner: S) -> Self {
        Self { wanted, scope, parts, body, inner, since: Instant::now() }
    }

    /// The request and the service, for a request that has to start over.
    pub(super) fn into_parts(self) -> (Arc<Wanted>, Scope, request::Parts, B, S) {
        (self.wanted, self.scope, self.parts, self.body, self.inner)
    }
}

impl<S, B, R> Origin<Kept> for Ask<S, B>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send, Error: Send> + Send + 'static,
    B: Body + Send + 'static,
    R: Body<Data: Send, Error: Send> + Send + 'static,
{
    type Reply = Result<Response<ResponseBody<R>>, S::Error>;

    /// The stale entry at hand is validated, and falls in for an origin that fails.
    async fn ask(self, usable: Option<Arc<Entry<Kept>>>) -> (Self::Reply, Filling<Kept>) {
        let Self { wanted, scope, mut parts, body, mut inner, since } = self;
        if wanted.only_if_cached() {
            return (Ok(only_if_cached(&wanted)), Filling::Lost);
        }
        let judge = Judge::before(wanted, scope, &mut parts, usable);
        let call = async move { inner.call(Request::from_parts(parts, body)).await };
        let mut call = Box::pin(caught(call));
        let slow = match in_time(&judge, since, &mut call).await {
            Ok(answer) => return conclude(&judge, answer).await,
            Err(slow) => slow,
        };
        let (reply, stale) = match slow {
            TooSlow::Stale(stale) => {
                judge.wanted.hub.tiers.instance().recorder().observe(&Event::Fallback);
                let reply = instead_of_slow(&judge.wanted, &stale, judge.why_forwarded());
                (reply, Some(stale).filter(|stale| judge.fallback_is_shared(stale, Failure::Unreachable)))
            }
            TooSlow::Over => (timed_out(&judge.wanted, Forwarded::because(judge.why_forwarded())), None),
        };
        // Whoever asks next finds what comes of it.
        let rest = async move {
            let answer = call.await;
            conclude::<R, S::Error>(&judge, answer).await.1
        };
        (Ok(reply), Filling::Late(stale, Box::pin(rest)))
    }
}

/// What the requester gets, and what becomes of the answer beside that.
type Concluded<R, E> = (Result<Response<ResponseBody<R>>, E>, Filling<Kept>);

/// What comes of an answer, or of none.
async fn conclude<R, E>(judge: &Judge, answer: Called<Result<Response<R>, E>>) -> Concluded<R, E>
where
    R: Body<Data: Send, Error: Send> + Send + 'static,
{
    let failure = match &answer {
        Ok(Ok(answer)) => Failure::Status(answer.status()),
        Ok(Err(_)) => Failure::Unreachable,
        Err(_) => Failure::Panicked,
    };
    if let Some(stale) = judge.fallback(failure) {
        judge.wanted.hub.tiers.instance().recorder().observe(&Event::Fallback);
        let reply = instead(&judge.wanted, &stale, (judge.why_forwarded(), failure));
        return (Ok(reply), judge.failed(stale, failure));
    }
    let answer = match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return (Err(error), Filling::Lost),
        Err(panic) => resume_unwind(panic),
    };
    let is_error = answer.status().is_server_error();
    let (mut head, body) = answer.into_parts();
    match judge.verdict(&mut head, body.size_hint().lower()) {
        Verdict::Freshened(freshened) => {
            let (reply, fills) = freshened.into_reply(judge);
            (Ok(reply), at_once(fills))
        }
        Verdict::Store(plan) => {
            if body.is_end_stream() {
                let (lifetime, source) = (plan.lifetime, plan.lifetime.source.as_str());
                let empty = Whole { bytes: Bytes::new(), held: None };
                let fills = plan.carry_out(ready(Some(empty))).await;
                let reply = judge.reply(head, ResponseBody::inner(body), Some(lifetime), source);
                return (Ok(reply), Filling::Complete(fills));
            }
            let hub = &judge.wanted.hub;
            let (body, whole) = ResponseBody::tee(body, hub.max_body, hub.room.share());
            let reply = judge.reply(head, body, Some(plan.lifetime), plan.lifetime.source.as_str());
            (Ok(reply), Filling::Storable(Box::pin(plan.carry_out(whole))))
        }
        Verdict::Head(fills) => {
            let reply = judge.reply(head, ResponseBody::inner(body), None, "method");
            (Ok(reply), at_once(fills))
        }
        Verdict::Pass(reason) => {
            let reply = judge.reply(head, ResponseBody::inner(body), None, reason);
            (Ok(reply), if is_error { Filling::Lost } else { Filling::Unstorable })
        }
        Verdict::LookAgain => {
            let reply = judge.reply(head, ResponseBody::inner(body), None, "learning");
            (Ok(reply), Filling::LookAgain)
        }
    }
}

/// Nothing has to be waited for.
fn at_once(fills: Vec<Fill<Kept>>) -> Filling<Kept> {
    if fills.is_empty() { Filling::Unstorable } else { Filling::Complete(fills) }
}
