//! The task that keeps an instance in sync: it carries out what [`Coherence`] asks for.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::breaker::{Breaker, Permit, Transition};
use crate::coherence::{Action, Coherence, Event, Reply};
use crate::event::{self, Op, Recorder};
use crate::l2::{Census, L2, L2Error, Link, Notice, Notices, Presence};
use crate::time::{Clock, Moment};
use crate::waiters::Waiters;

/// What the task works on.
pub(crate) struct SyncTask {
    /// Which of L2's shards it is.
    pub(crate) shard: usize,
    pub(crate) instance: [u8; 16],
    pub(crate) lease: Duration,
    pub(crate) coherence: Arc<Coherence>,
    pub(crate) l2: Arc<dyn L2>,
    pub(crate) breaker: Arc<Breaker>,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) clock: Clock,
    pub(crate) patience: Patience,
}

/// Keeps garbage on the bus from making work: one piece in a while may have been a message that was damaged, and is worth a look
/// into the log; that many more come says nothing new.
pub(crate) struct Patience {
    pause: Duration,
    /// Until when, in nanoseconds of the clock.
    until: AtomicU64,
}

impl Patience {
    /// At most one look in each `pause`.
    pub(crate) fn new(pause: Duration) -> Self {
        Self { pause, until: AtomicU64::new(0) }
    }

    fn is_over(&self, now: Moment) -> bool {
        let over = now.as_nanos() >= self.until.load(Relaxed);
        if over {
            self.until.store(now.after(self.pause).as_nanos(), Relaxed);
        }
        over
    }
}

impl SyncTask {
    /// Runs until it is aborted by its owner.
    pub(crate) async fn run(self) {
        let mut notices = self.l2.subscribe();
        let (mut reached, mut census) = (None, None);
        loop {
            let Some(action) = self.coherence.next_action(self.clock.now()) else {
                self.wait(&mut notices).await;
                continue;
            };
            let outcome = self.carry_out(action, &mut notices).await;
            self.look_around(&mut census);
            if reached.replace(outcome.is_ok()) != Some(outcome.is_ok()) {
                self.tell(&outcome);
            }
        }
    }

    /// Tells of other configurations in the namespace when that changes. One shard does it for all.
    fn look_around(&self, known: &mut Option<Arc<Census>>) {
        let census = if self.shard == 0 { self.l2.census() } else { None };
        if let Some(census) = census.filter(|census| known.as_ref() != Some(census)) {
            self.recorder.observe(&event::Event::Census(Arc::clone(&census)));
            *known = Some(census);
        }
    }

    /// Says once that L2 cannot be reached, and once that it can again.
    fn tell(&self, outcome: &Result<(), L2Error>) {
        let (l2, shard) = (self.l2.name(), self.shard);
        match outcome {
            Ok(()) => tracing::info!(l2, shard, "L2 is reached: the tiers work together"),
            Err(error) => tracing::warn!(l2, shard, %error, "L1 works alone, and joins when L2 comes"),
        }
    }

    /// Does one action while the bus is listened to.
    async fn carry_out(&self, action: Action, notices: &mut Notices) -> Result<(), L2Error> {
        let mut done = pin!(self.ask(action));
        loop {
            tokio::select! {
                biased;
                notice = notices.recv() => self.hear(notice, notices),
                reply = &mut done => {
                    let (reply, outcome) = match reply {
                        Ok(reply) => (reply, Ok(())),
                        Err(error) => {
                            self.recorder.observe(&event::Event::Failed(Op::Sync, error.clone()));
                            let refused = matches!(error, L2Error::Refused(_));
                            (if refused { Reply::Refused } else { Reply::Failed }, Err(error))
                        }
                    };
                    self.coherence.on_event(Event::Done(reply), self.clock.now());
                    return outcome;
                }
            }
        }
    }

    async fn ask(&self, action: Action) -> Result<Reply, L2Error> {
        match action {
            Action::Open => self.open().await,
            Action::Poll => self.poll().await,
            Action::CatchUp(after) => self.l2.catch_up(after).await.map(Reply::Page),
            Action::Audit(asked) => {
                let idents: Vec<_> = asked.iter().map(|(ident, _)| *ident).collect();
                self.l2.scores(&idents).await.map(Reply::Scores)
            }
            Action::Reissue(idents, at_least) => {
                self.l2.invalidate(&idents, at_least).await.map(Reply::Issued)
            }
        }
    }

    /// Opens the namespace and joins at a position that L2 gives in the same step in which it notes that this instance is there.
    async fn open(&self) -> Result<Reply, L2Error> {
        self.probe(self.l2.open().await)?;
        let noted = self.probe(self.l2.attend(Link::Commands, self.presence()).await)?;
        noted.map(Reply::Opened).ok_or_else(|| L2Error::Protocol("the namespace is gone again".into()))
    }

    fn presence(&self) -> Presence {
        Presence { instance: self.instance, applied: self.coherence.applied(), lease: self.lease }
    }

    /// Polls over the bus' own connection, so that a dead one is noticed, and over the other when that fails. While the
    /// breaker is open the other comes first: it is the one that requests need.
    async fn poll(&self) -> Result<Reply, L2Error> {
        let links = match self.breaker.permits() {
            Permit::Yes => [Link::Bus, Link::Commands],
            Permit::Open => [Link::Commands, Link::Bus],
        };
        let mut failure = L2Error::Timeout;
        for link in links {
            let polled = self.l2.attend(link, self.presence()).await;
            let polled = if link == Link::Commands { self.probe(polled) } else { polled };
            match polled {
                Ok(position) => return Ok(Reply::Polled(position)),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// An answer over the commands' connection lets requests use it again.
    fn probe<T>(&self, answer: Result<T, L2Error>) -> Result<T, L2Error> {
        if answer.is_ok() && self.breaker.close() == Transition::Closed {
            self.recorder.observe(&event::Event::BreakerClosed);
        }
        answer
    }

    async fn wait(&self, notices: &mut Notices) {
        let pause = self.coherence.deadline().since(self.clock.now());
        tokio::select! {
            biased;
            notice = notices.recv() => self.hear(notice, notices),
            () = self.coherence.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }

    fn hear(&self, notice: Option<Notice>, notices: &mut Notices) {
        match notice {
            Some(Notice::Malformed) => {
                self.recorder.observe(&event::Event::Malformed);
                let now = self.clock.now();
                if self.patience.is_over(now) {
                    self.coherence.on_event(Event::Notice(Notice::Malformed), now);
                }
            }
            Some(Notice::Released(key)) => self.waiters.wake(key),
            Some(notice) => self.coherence.on_event(Event::Notice(notice), self.clock.now()),
            // The subscription has died altogether; polls keep us safe until there is a new one.
            None => *notices = self.l2.subscribe(),
        }
    }
}
