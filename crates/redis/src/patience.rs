//! Waiting for answers, by a process that may be stopped meanwhile.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};

pin_project! {
    /// What is answered within some patience. A process that was stopped in the meantime finds the end of its patience and the
    /// answer at once, and must not take its own pause for the server's silence: then it waits as long again, once.
    #[must_use = "futures do nothing unless polled"]
    pub(crate) struct Answered<F> {
        #[pin]
        asking: F,
        #[pin]
        end: Sleep,
        asked: Instant,
        patience: Duration,
        stopped: bool,
    }
}

/// There was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Silence;

/// No `async fn`: it would hold `asking`, which may be large, twice.
pub(crate) fn answered<F: Future>(patience: Duration, asking: F) -> Answered<F> {
    Answered { asking, end: sleep(patience), asked: Instant::now(), patience, stopped: false }
}

impl<F: Future> Future for Answered<F> {
    type Output = Result<F::Output, Silence>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Poll::Ready(answer) = this.asking.poll(cx) {
            return Poll::Ready(Ok(answer));
        }
        ready!(this.end.as_mut().poll(cx));
        if *this.stopped || this.asked.elapsed() <= *this.patience + *this.patience / 4 {
            return Poll::Ready(Err(Silence));
        }
        *this.stopped = true;
        this.end.as_mut().reset(Instant::now() + *this.patience);
        this.end.poll(cx).map(|()| Err(Silence))
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use tokio::time::advance;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_process_that_was_stopped_looks_for_the_answer_before_it_gives_up() {
        let (answer, arrives) = oneshot::channel();
        let waiting = tokio::spawn(answered(PATIENCE, arrives));
        tokio::task::yield_now().await;
        advance(5 * PATIENCE).await;
        tokio::task::yield_now().await;
        answer.send(()).unwrap();
        assert_eq!(waiting.await.unwrap(), Ok(Ok(())));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_does_not_answer_after_that_either_is_waited_for_once_more_and_no_longer() {
        let (_answer, arrives) = oneshot::channel::<()>();
        let waiting = tokio::spawn(answered(PATIENCE, arrives));
        tokio::task::yield_now().await;
        advance(5 * PATIENCE).await;
        let woken = Instant::now();
        assert_eq!(waiting.await.unwrap(), Err(Silence));
        assert!(woken.elapsed() < PATIENCE + PATIENCE / 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_does_not_answer_is_waited_for_no_longer_than_that() {
        let (_answer, arrives) = oneshot::channel::<()>();
        let begun = Instant::now();
        assert_eq!(answered(PATIENCE, arrives).await, Err(Silence));
        assert!(begun.elapsed() < PATIENCE + PATIENCE / 4);
    }
}
