//! Calling the inner service: how long its answer is waited for, and what becomes of a panic.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use forebay_core::entry::Entry;
use forebay_policy::reuse::Failure;
use tokio::time::{Instant, timeout_at};

use super::judge::Judge;
use crate::stored::Kept;

/// An answer, or the panic in its place.
pub(super) type Called<T> = Result<T, Box<dyn Any + Send>>;

/// Calls, and brings a panic back instead of passing it on: something stale may stand in for it.
pub(super) async fn caught<T>(call: impl Future<Output = T>) -> Called<T> {
    let mut call = pin!(call);
    // What a panic has left half done goes with the call.
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(answer)) => Poll::Ready(Ok(answer)),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// Why a call is not waited for any longer.
pub(super) enum TooSlow {
    /// There is something stale to answer with.
    Stale(Arc<Entry<Kept>>),
    /// There is nothing, and its time is over.
    Over,
}

/// Waits for an answer as long as the route says, counted from `since`: who has waited for another instance before has so much
/// less left. The call is left as it is, but is begun in any case.
pub(super) async fn in_time<T>(
    judge: &Judge,
    since: Instant,
    call: &mut Pin<Box<impl Future<Output = T> + ?Sized>>,
) -> Result<T, TooSlow> {
    let (soft, hard) = judge.wanted.route.upkeep.timeouts();
    if let Some(soft) = soft
        && judge.fallback(Failure::Unreachable).is_some()
    {
        if let Ok(answer) = timeout_at(since + soft, &mut *call).await {
            return Ok(answer);
        }
        // It may have been invalidated meanwhile.
        if let Some(stale) = judge.fallback(Failure::Unreachable) {
            return Err(TooSlow::Stale(stale));
        }
    }
    let Some(hard) = hard else { return Ok(call.await) };
    timeout_at(since + hard, call)
        .await
        .map_err(|_| judge.fallback(Failure::Unreachable).map_or(TooSlow::Over, TooSlow::Stale))
}
