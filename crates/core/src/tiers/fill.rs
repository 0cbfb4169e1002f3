//! Asking the origin, and storing what it brings.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tracing::Instrument;

use super::outcome::{Absence, Duty, Failing, Fetched, Filled, Grounds, land};
use super::state::Tiers;
use crate::entry::{Entry, Stamp, Stored};
use crate::event::{Event, Op};
use crate::flight::{Crew, Lead};
use crate::frame::{self, Header};
use crate::l2::{Refusal, Store, Stored as StoreResult};
use crate::lease::Lease;
use crate::seek::{Fill, Filling, Marker, Origin};
use crate::shard::Shard;
use crate::tag::{Idents, TargetError};

impl<V: Stored> Tiers<V> {
    /// Asks the origin on a task of its own, and waits for as much as the requester needs.
    pub(crate) async fn ask<O: Origin<V>>(
        self: &Arc<Self>,
        duty: Duty<V>,
        grounds: Grounds,
        absence: Absence,
        usable: Option<Arc<Entry<V>>>,
        origin: O,
    ) -> Fetched<V, O> {
        let (reply, answered) = oneshot::channel();
        let crew = duty.lead.as_ref().map(Lead::crew);
        let tiers = Arc::clone(self);
        // A follower may have got what was valid when it arrived and is not any more.
        let usable = usable.filter(|entry| self.is_intact(entry));
        let task = async move {
            let (answer, filling) = origin.ask(usable.clone()).await;
            match filling {
                Filling::Complete(fills) => {
                    let Some(fills) = tiers.unheld(grounds, fills).await else {
                        duty.unshareable();
                        drop(reply.send(answer));
                        return;
                    };
                    let kept = tiers.take_up_all(duty.lead, grounds, usable.as_deref(), fills);
                    drop(reply.send(answer));
                    tiers.store_all(duty.lease, grounds, &kept).await;
                }
                filling => {
                    // A requester that has gone does not stop those who wait for the fill.
                    drop(reply.send(answer));
                    tiers.fill(duty, grounds, usable, filling).await;
                }
            }
        };
        let task = tokio::spawn(task.in_current_span());
        let mut leash = Leash { task: Some(task.abort_handle()), crew };
        let answer = answered.await;
        leash.release();
        match answer {
            Ok(answer) => Fetched::Origin(answer, absence),
            Err(_) => match task.await {
                Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
                // The runtime is shutting down, and this future with it.
                _ => std::future::pending().await,
            },
        }
    }

    /// Answers with what is stale, without having asked the origin.
    pub(crate) fn fall_back<O: Origin<V>>(&self, entry: Arc<Entry<V>>, failing: Failing) -> Fetched<V, O> {
        self.instance.recorder.observe(&Event::Fallback);
        Fetched::Fallback(entry, failing)
    }

    /// What comes in the end of a call for which its requester has not waited.
    pub(super) async fn arrived(
        &self,
        lead: Option<&Lead<Arc<Entry<V>>>>,
        mut filling: Filling<V>,
    ) -> Filling<V> {
        while let Filling::Late(stale, rest) = filling {
            if let (Some(lead), Some(stale)) = (lead, stale) {
                lead.meanwhile(stale);
            }
            filling = timeout(self.instance.settings.max_fill, rest).await.unwrap_or(Filling::Lost);
        }
        filling
    }

    /// Stores what the origin brought and ends the flight. Says whether anything was stored.
    pub(super) async fn fill(
        &self,
        duty: Duty<V>,
        grounds: Grounds,
        usable: Option<Arc<Entry<V>>>,
        filling: Filling<V>,
    ) -> Filled {
        let fills = match self.arrived(duty.lead.as_ref(), filling).await {
            Filling::Storable(filling) => {
                timeout(self.instance.settings.max_fill, filling).await.unwrap_or_default()
            }
            Filling::Complete(fills) => fills,
            other => {
                self.end_without(duty, grounds, other);
                return Filled::Nothing;
            }
        };
        let Some(fills) = self.unheld(grounds, fills).await else {
            duty.unshareable();
            return Filled::Nothing;
        };
        let kept = self.take_up_all(duty.lead, grounds, usable.as_deref(), fills);
        let filled = if kept.is_empty() { Filled::Nothing } else { Filled::Something };
        self.store_all(duty.lease, grounds, &kept).await;
        filled
    }

    /// Ends a flight that has brought nothing to store, and remembers that for those who ask next.
    fn end_without(&self, duty: Duty<V>, grounds: Grounds, filling: Filling<V>) {
        let now = self.now();
        match filling {
            Filling::Failed(entry, until) => {
                self.failed.note(entry.key, now.after(RETRY).min(until), ());
                duty.failed(&entry);
            }
            Filling::Unstorable => {
                if let Some(lead) = &duty.lead {
                    let until = now.after(self.instance.settings.hit_for_miss);
                    self.unstorable.note(lead.key(), until, grounds.stamp);
                }
                duty.unshareable();
            }
            Filling::LookAgain => duty.look_again(),
            _ => duty.unshareable(),
        }
    }

    /// Keeps fills in L1, and ends the flight.
    fn take_up_all(
        &self,
        mut lead: Option<Lead<Arc<Entry<V>>>>,
        grounds: Grounds,
        usable: Option<&Entry<V>>,
        fills: Vec<Fill<V>>,
    ) -> Vec<Arc<Entry<V>>> {
        let mut kept = Vec::with_capacity(2);
        for mut fill in fills {
            // The first is what the flight is about.
            let lead = lead.take();
            let held = fill.held.take();
            match self.take_up(grounds, usable, fill, &mut kept) {
                Ok(entry) => land(lead, &entry),
                Err(_) => self.instance.recorder.observe(&Event::NotStored("too-many-idents")),
            }
            // Not before the flight is over: whoever comes next may have to lead the next one.
            drop(held);
        }
        kept
    }

    /// Offers entries to L2, and ends the lease under which they were fetched: whoever waits for it finds them, or takes its
    /// turn, or, where L2 will not have them, need not wait for anybody's.
    async fn store_all(&self, lease: Option<Lease>, grounds: Grounds, kept: &[Arc<Entry<V>>]) {
        let mut offer = if kept.is_empty() { Offer::Unfit } else { Offer::Made };
        for entry in kept {
            if self.store(grounds, entry).await == Offer::Unfit {
                offer = Offer::Unfit;
            }
        }
        if let Some(lease) = lease.filter(|_| offer == Offer::Unfit) {
            lease.waive();
        }
    }

    /// Makes entries of a fill, and keeps them in L1.
    fn take_up(
        &self,
        grounds: Grounds,
        usable: Option<&Entry<V>>,
        fill: Fill<V>,
        kept: &mut Vec<Arc<Entry<V>>>,
    ) -> Result<Arc<Entry<V>>, TargetError> {
        let Fill { value, canonical, marker, mut idents, span, basis, .. } = fill;
        let stamp = match basis {
            Some(basis) => self.confirm(basis, grounds, usable, &mut idents, &canonical)?,
            None => grounds.stamp,
        };
        // Whatever its key, it is what was looked for, or belongs to that: the log that gave the stamp judges it.
        let key = |canonical: &[u8]| self.key(canonical).beside(grounds.key);
        if let Some(Marker { value, canonical }) = marker {
            let idents = Idents::new(&self.instance.settings.secrets);
            let marker =
                Entry::new(value, key(&canonical), &canonical, idents.as_slice(), grounds.stamp, span);
            kept.push(self.keep(marker));
        }
        let mut entry = Entry::new(value, key(&canonical), &canonical, idents.as_slice(), stamp, span);
        // What the origin has only confirmed is older than that.
        if basis.is_none() {
            entry.asked = grounds.asked;
        }
        let entry = self.keep(entry);
        kept.push(Arc::clone(&entry));
        Ok(entry)
    }

    /// The stamp of a value made from an entry that the origin has confirmed. It is as late as the instance can vouch for:
    /// L2 takes nothing with an old one, and the table forgets what it would have to be compared with.
    fn confirm(
        &self,
        basis: Stamp,
        grounds: Grounds,
        usable: Option<&Entry<V>>,
        idents: &mut Idents,
        canonical: &[u8],
    ) -> Result<Stamp, TargetError> {
        // The origin may have dropped a tag that somebody invalidates, and the message may not be here yet.
        usable.map_or(Ok(()), |usable| idents.extend(&usable.idents))?;
        self.instance.recorder.observe(&Event::Freshened);
        let coherence = &self.instance.shard(grounds.key).coherence;
        Ok(coherence.confirmed(basis, grounds.stamp, idents.as_slice(), canonical))
    }

    /// Offers an entry to L2.
    async fn store(&self, grounds: Grounds, entry: &Entry<V>) -> Offer {
        let settings = &self.instance.settings;
        let Shard { coherence, remote, .. } = self.instance.shard(entry.key);
        let (Some(remote), Some(incarnation)) = (remote, grounds.incarnation) else { return Offer::Unfit };
        let Some(named) = coherence.offers(entry) else {
            self.instance.recorder.observe(&Event::NotStored("invalidated"));
            return Offer::Made;
        };
        let age = entry.age(settings.clock.now());
        let ttl = entry.lifetime.saturating_add(entry.keep).min(settings.max_lifetime).saturating_sub(age);
        let wall = settings.clock.wall();
        let header = Header {
            incarnation,
            stamp: entry.stamp.seq,
            idents: entry.idents.to_vec(),
            born: wall.checked_sub(age).unwrap_or(std::time::UNIX_EPOCH),
            lifetime: entry.lifetime,
            keep: entry.keep,
            early: entry.early,
        };
        let frame = entry.value.encode().map_err(|error| error.0).and_then(|value| {
            frame::encode(&settings.secrets, &entry.canonical, &header, &value, settings.frames)
                .map_err(|error| error.as_str())
        });
        let frame = match frame {
            Ok(frame) if !ttl.is_zero() => frame,
            Ok(_) => return Offer::Unfit,
            Err(why) => {
                self.instance.recorder.observe(&Event::NotStored(why));
                return Offer::Unfit;
            }
        };
        let store = Store { key: entry.key, incarnation, stamp: entry.stamp.seq, ttl, frame, idents: &named };
        let stored =
            remote.guarded(&self.instance.recorder, &settings.clock, Op::Store, || remote.l2.store(store));
        match stored.await {
            Ok(StoreResult::Accepted) => {
                self.instance.recorder.observe(&Event::Stored);
                Offer::Made
            }
            Ok(StoreResult::Refused(refusal)) => {
                self.instance.recorder.observe(&Event::Refused(refusal));
                if refusal == Refusal::TooLarge { Offer::Unfit } else { Offer::Made }
            }
            Err(_) => Offer::Unfit,
        }
    }
}

/// For how long an origin that has failed is not asked again by those who have something stale in its place.
pub(super) const RETRY: Duration = Duration::from_secs(1);
/// What became of an entry that was to go to L2, as those who wait for it on other instances see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offer {
    /// It is there, or another fetch is: this one came at the wrong time.
    Made,
    /// L2 does not take it, and would not take another.
    Unfit,
}

/// Ends the origin's task when the requester goes before there is an answer and nobody else waits for it.
struct Leash {
    task: Option<AbortHandle>,
    crew: Option<Crew>,
}

impl Leash {
    /// The answer is there: from now on the task ends by itself.
    fn release(&mut self) {
        self.task = None;
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        let waited_for = self.crew.as_ref().is_some_and(Crew::has_followers);
        if let Some(task) = self.task.take()
            && !waited_for
        {
            task.abort();
        }
    }
}
