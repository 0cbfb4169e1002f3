//! The tiers of one kind of value, and each step that a request takes through them.
//!
//! The order of the steps is told by [`fetch`](mod@crate::fetch); no step calls the next one's business.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tracing::Instrument;

use crate::coherence::{Begun, FrameVerdict, Serves};
use crate::entry::{Entry, Span, Stamp, Stored};
use crate::event::{Event, Op, Tier};
use crate::flight::{Crew, Flights, Follower, Joined, Landing, Lead, Takeoff};
use crate::frame::{self, Header};
use crate::instance::{Instance, Remote};
use crate::key::Key;
use crate::l1::{L1, L1Settings};
use crate::l2::{Incarnation, Lookup, Position, Store, Stored as StoreResult};
use crate::seek::{Fill, Filling, Marker, Next, Origin, Seeker, Sharing};
use crate::tag::Idents;
use crate::time::Moment;

/// What L1 had.
#[derive(Debug)]
pub enum Probe<V> {
    /// A valid entry that is the answer, and whether the instance is in sync with L2.
    Hit(Arc<Entry<V>>, Synced),
    /// The same, but it is to be fetched anew as well.
    Refresh(Arc<Entry<V>>, Synced),
    /// Nothing to serve.
    Miss(Absence),
}

/// Whether an answer is known to be coherent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synced {
    /// It is.
    Yes,
    /// L2 cannot be reached: it may have been invalidated elsewhere.
    No,
}

/// Why L1 had nothing to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Absence {
    /// There is nothing under the key.
    Unknown,
    /// There is something, but not for these request fields.
    Variant,
    /// It has expired, or the request wants it validated.
    Stale,
    /// It has been invalidated.
    Invalidated,
    /// It may have been invalidated: the instance is not in sync.
    Lapsed,
    /// There is an answer, but not for this request.
    Barred,
}

/// How a request was answered.
pub enum Fetched<V, O: Origin<V>> {
    /// With an entry.
    Cached(Arc<Entry<V>>, Tier),
    /// With an entry that is stale, since the origin failed another request for the same.
    Fallback(Arc<Entry<V>>),
    /// By the origin, because of this.
    Origin(O::Reply, Absence),
    /// Not yet: the request's key is made otherwise than it thought. The origin was not asked.
    LookAgain(O),
}

/// L1, flights and the instance they belong to, for one kind of value.
pub struct Tiers<V> {
    instance: Arc<Instance>,
    l1: L1<V>,
    flights: Flights<Arc<Entry<V>>>,
    nested: Flights<Arc<Entry<V>>>,
}

/// A flight that fetches anew what is being served.
#[derive(Debug)]
pub struct Refreshing<V> {
    lead: Lead<Arc<Entry<V>>>,
    key: Key,
    begun: Begun,
}

/// What a fill rests on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grounds {
    pub(crate) stamp: Stamp,
    /// Without one, the fill is not offered to L2.
    pub(crate) incarnation: Option<Incarnation>,
}

pub(crate) enum Place<V> {
    Ahead(Option<Lead<Arc<Entry<V>>>>),
    Follow(Follower<Arc<Entry<V>>>),
}

pub(crate) enum Followed<V> {
    Shared(Arc<Entry<V>>),
    Failed(Arc<Entry<V>>),
    Again,
    LookAgain,
    Alone,
}

pub(crate) enum Looked<V> {
    Found(Arc<Entry<V>>, Tier, Grounds),
    Nothing(Grounds),
}

impl<V: Stored> Tiers<V> {
    /// Empty tiers on an instance.
    #[must_use]
    pub fn new(instance: Arc<Instance>, l1: L1Settings) -> Self {
        let recorder = Arc::clone(&instance.recorder);
        let l1 = L1::new(l1, move || recorder.observe(&Event::Evicted));
        Self { instance, l1, flights: Flights::new(), nested: Flights::new() }
    }

    /// The instance.
    #[must_use]
    pub fn instance(&self) -> &Arc<Instance> {
        &self.instance
    }

    /// L1.
    #[must_use]
    pub fn l1(&self) -> &L1<V> {
        &self.l1
    }

    /// This moment, on the instance's clock.
    #[inline]
    pub(crate) fn now(&self) -> Moment {
        self.instance.settings.clock.now()
    }

    /// The hash of a canonical key.
    #[inline]
    pub(crate) fn key(&self, canonical: &[u8]) -> Key {
        self.instance.settings.secrets.key(canonical)
    }

    /// One look into L1: a valid entry, fresh or not, or why there is none.
    #[inline]
    pub(crate) fn probe(
        &self,
        canonical: &[u8],
        key: Key,
        now: Moment,
    ) -> Result<(Arc<Entry<V>>, Synced), Absence> {
        let Some(entry) = self.l1.get(&key) else { return Err(Absence::Unknown) };
        if *entry.canonical != *canonical {
            return Err(Absence::Unknown);
        }
        if !entry.is_kept(now) {
            return Err(Absence::Stale);
        }
        match self.instance.coherence.serves(&entry, now) {
            Serves::Synced => Ok((entry, Synced::Yes)),
            Serves::Unsynced => Ok((entry, Synced::No)),
            Serves::Lapsed => Err(Absence::Lapsed),
            Serves::Invalidated => {
                self.l1.remove(&key);
                Err(Absence::Invalidated)
            }
        }
    }

    /// Whether an entry that was found earlier has not been invalidated since, as far as the instance knows.
    #[must_use]
    pub fn is_valid(&self, entry: &Entry<V>) -> bool {
        let now = self.instance.settings.clock.now();
        matches!(self.instance.coherence.serves(entry, now), Serves::Synced | Serves::Unsynced)
    }

    pub(crate) fn join<S: Seeker<V>>(&self, key: Key, begun: Begun, seeker: &S) -> Place<V> {
        let flights = match seeker.sharing() {
            Sharing::Solo => return Place::Ahead(None),
            Sharing::Flight => &self.flights,
            Sharing::Nested => &self.nested,
        };
        let now = Takeoff { stamp: begun.stamp, at: self.instance.settings.clock.now() };
        let joined = flights.join(key, now, |began| {
            began.stamp.epoch == begun.stamp.epoch
                || self.instance.coherence.admits(began.stamp, seeker.idents().as_slice())
        });
        match joined {
            Joined::Lead(lead) => Place::Ahead(Some(lead)),
            Joined::Follow(follower) => Place::Follow(follower),
        }
    }

    /// Waits for the leader, and judges what it brings by when this request arrived: it is good if the leader began
    /// later than that, or if nothing it answers to has been invalidated since the leader began.
    pub(crate) async fn follow(
        &self,
        follower: Follower<Arc<Entry<V>>>,
        arrival: Moment,
        patience: &mut u32,
    ) -> Followed<V> {
        let began = follower.began();
        let landing = tokio::time::timeout(self.instance.settings.flight_wait, follower.landing()).await;
        let now = self.instance.settings.clock.now();
        match landing {
            Ok(Landing::Landed(entry)) => {
                let serves = self.instance.coherence.serves(&entry, now);
                let good = began.at > arrival || matches!(serves, Serves::Synced | Serves::Unsynced);
                if good { Followed::Shared(entry) } else { Followed::Again }
            }
            Ok(Landing::Failed(entry)) if self.is_valid(&entry) => Followed::Failed(entry),
            Ok(Landing::LookAgain) => Followed::LookAgain,
            Ok(Landing::Abandoned) if *patience > 0 => {
                *patience -= 1;
                Followed::Again
            }
            Ok(Landing::Abandoned | Landing::Unshareable | Landing::Failed(_)) | Err(_) => Followed::Alone,
        }
    }

    /// L1 once more, since another flight may just have ended, then L2. Unless L1 has what the request needs, the younger
    /// of what the two have.
    pub(crate) async fn look<S: Seeker<V>>(
        &self,
        canonical: &[u8],
        key: Key,
        begun: Begun,
        seeker: &S,
    ) -> Looked<V> {
        self.look_for(canonical, key, begun, |entry, now| !matches!(Next::of(seeker, entry, now), Next::Ask))
            .await
    }

    async fn look_for(
        &self,
        canonical: &[u8],
        key: Key,
        begun: Begun,
        suffices: impl FnOnce(&Entry<V>, Moment) -> bool,
    ) -> Looked<V> {
        let now = self.now();
        let grounds = self.local_grounds(begun);
        let here = self.probe(canonical, key, now).ok().map(|(entry, _)| entry);
        let here = match here {
            Some(entry) if suffices(&entry, now) => return Looked::Found(entry, Tier::L1, grounds),
            here => here,
        };
        let (grounds, there) = self.look_there(canonical, key, begun).await.unwrap_or((grounds, None));
        match (here, there) {
            (Some(here), Some(there)) if there.born <= here.born => Looked::Found(here, Tier::L1, grounds),
            (_, Some(there)) => Looked::Found(self.keep(key, there), Tier::L2, grounds),
            (Some(here), None) => Looked::Found(here, Tier::L1, grounds),
            (None, None) => Looked::Nothing(grounds),
        }
    }

    /// L2. `None` when it says nothing, or nothing that can be built on.
    async fn look_there(
        &self,
        canonical: &[u8],
        key: Key,
        begun: Begun,
    ) -> Option<(Grounds, Option<Entry<V>>)> {
        let remote = self.instance.remote.as_ref()?;
        let (recorder, clock) = (&self.instance.recorder, &self.instance.settings.clock);
        let found = remote.guarded(recorder, clock, Op::Lookup, || remote.l2.lookup(key)).await.ok()?;
        let position = self.take_in(begun, &found)?;
        let entry = match found.frame {
            Some(frame) => self.promote(remote, canonical, begun, position, &frame).await,
            None => None,
        };
        Some((grounds_at(position, begun), entry))
    }

    /// The position a lookup saw, if it is in the log we follow; else the protocol is told.
    fn take_in(&self, begun: Begun, found: &Lookup) -> Option<Position> {
        let ours = self.instance.coherence.incarnation();
        let position = found.position.filter(|position| Some(position.incarnation) == ours);
        if position.is_none() {
            let event = crate::coherence::Event::LookedUp(begun.ticket, found.position);
            self.instance.coherence.on_event(event, self.instance.settings.clock.now());
        }
        position
    }

    /// Makes an entry of a frame, unless it is unreadable, expired or invalidated.
    async fn promote(
        &self,
        remote: &Remote,
        canonical: &[u8],
        begun: Begun,
        position: Position,
        bytes: &[u8],
    ) -> Option<Entry<V>> {
        let settings = &self.instance.settings;
        let (header, value) = frame::decode(&settings.secrets, canonical, bytes, settings.max_frame)
            .map_err(|error| self.instance.recorder.observe(&Event::Corrupt(error.as_str())))
            .ok()?;
        let age = settings.clock.wall().duration_since(header.born).unwrap_or_default();
        if age >= header.lifetime.saturating_add(header.keep) {
            return None;
        }
        let framed = Position { incarnation: header.incarnation, seq: header.stamp };
        let coherence = &self.instance.coherence;
        let verdict = match coherence.judge_frame(begun.ticket, position, framed, &header.idents) {
            FrameVerdict::AskLog => {
                let (recorder, clock) = (&self.instance.recorder, &settings.clock);
                let asked =
                    remote.guarded(recorder, clock, Op::Lookup, || remote.l2.scores(&header.idents)).await;
                coherence.judge_scores(begun.ticket, framed, &header.idents, &asked.ok()?)
            }
            verdict => verdict,
        };
        let FrameVerdict::Valid(stamp) = verdict else { return None };
        let value = V::decode(value)
            .map_err(|error| self.instance.recorder.observe(&Event::Corrupt(error.0)))
            .ok()?;
        let born = settings.clock.now().before(age);
        let span = Span { born, lifetime: header.lifetime, keep: header.keep };
        Some(Entry::new(value, canonical, &header.idents, stamp, span))
    }

    /// Puts an entry into L1 unless it has been invalidated meanwhile.
    fn keep(&self, key: Key, entry: Entry<V>) -> Arc<Entry<V>> {
        let entry = Arc::new(entry);
        if self.instance.coherence.admits(entry.stamp, &entry.idents)
            && !self.l1.insert(key, Arc::clone(&entry))
        {
            self.instance.recorder.observe(&Event::NotStored("l1-entry-too-large"));
        }
        entry
    }

    /// Asks the origin on a task of its own, and waits for as much as the requester needs.
    pub(crate) async fn ask<O: Origin<V>>(
        self: &Arc<Self>,
        lead: Option<Lead<Arc<Entry<V>>>>,
        grounds: Grounds,
        absence: Absence,
        usable: Option<Arc<Entry<V>>>,
        origin: O,
    ) -> Fetched<V, O> {
        let (reply, answered) = oneshot::channel();
        let crew = lead.as_ref().map(Lead::crew);
        let tiers = Arc::clone(self);
        let task = async move {
            let (answer, filling) = origin.ask(usable).await;
            // A requester that has gone does not stop those who wait for the fill.
            drop(reply.send(answer));
            tiers.fill(lead, grounds, filling).await;
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

    /// Stores what the origin brought and ends the flight.
    pub(crate) async fn fill(
        &self,
        lead: Option<Lead<Arc<Entry<V>>>>,
        grounds: Grounds,
        filling: Filling<V>,
    ) {
        let filling = match filling {
            Filling::Storable(filling) => filling,
            Filling::Failed(entry) => return lead.map_or((), |lead| lead.failed(entry)),
            Filling::Unstorable => return lead.map_or((), Lead::unshareable),
            Filling::LookAgain => return lead.map_or((), Lead::look_again),
        };
        let fills = tokio::time::timeout(self.instance.settings.max_fill, filling).await.unwrap_or_default();
        let mut kept = Vec::with_capacity(2);
        let mut lead = lead;
        for fill in fills {
            let entry = self.take_up(grounds, fill, &mut kept);
            // The first is what the flight is about.
            land(lead.take(), &entry);
        }
        drop(lead);
        for (key, entry) in kept {
            self.store(grounds, key, &entry).await;
        }
    }

    /// Makes entries of a fill, and keeps them in L1.
    fn take_up(
        &self,
        grounds: Grounds,
        fill: Fill<V>,
        kept: &mut Vec<(Key, Arc<Entry<V>>)>,
    ) -> Arc<Entry<V>> {
        let stamp = fill.basis.unwrap_or(grounds.stamp);
        if let Some(Marker { value, canonical }) = fill.marker {
            let idents = Idents::new(&self.instance.settings.secrets);
            let marker = Entry::new(value, &canonical, idents.as_slice(), grounds.stamp, fill.span);
            let key = self.key(&canonical);
            kept.push((key, self.keep(key, marker)));
        }
        let key = self.key(&fill.canonical);
        let entry = Entry::new(fill.value, &fill.canonical, fill.idents.as_slice(), stamp, fill.span);
        let entry = self.keep(key, entry);
        kept.push((key, Arc::clone(&entry)));
        entry
    }

    /// The lead of a flight for an entry that is being served already, unless one is under way. To be given to
    /// [`refresh`](Self::refresh).
    #[must_use]
    pub fn lead_refresh<S: Seeker<V>>(&self, seeker: &S, entry: &Entry<V>) -> Option<Refreshing<V>> {
        let key = self.key(&entry.canonical);
        let flights = if seeker.sharing() == Sharing::Nested { &self.nested } else { &self.flights };
        let begun = self.instance.coherence.begin();
        let now = Takeoff { stamp: begun.stamp, at: self.instance.settings.clock.now() };
        match flights.join(key, now, |_| true) {
            Joined::Lead(lead) => Some(Refreshing { lead, key, begun }),
            Joined::Follow(_) => None,
        }
    }

    /// Fetches an entry anew while it is being served: from L2 if another instance was faster, else from the origin. What the
    /// origin replies is dropped once it is stored.
    ///
    /// # Cancel safety
    /// When dropped, the flight is over and the next request begins another.
    pub async fn refresh<O: Origin<V>>(&self, refreshing: Refreshing<V>, entry: Arc<Entry<V>>, origin: O) {
        let Refreshing { lead, key, begun } = refreshing;
        let looked = self.look_for(&entry.canonical, key, begun, Entry::is_fresh).await;
        let (usable, grounds) = match looked {
            Looked::Found(found, ..) if found.is_fresh(self.now()) => return lead.land(found),
            Looked::Found(found, _, grounds) => (found, grounds),
            Looked::Nothing(grounds) => (entry, grounds),
        };
        // Nobody waits for the reply, so nobody would end a fetch that hangs.
        let asked = tokio::time::timeout(self.instance.settings.max_fill, origin.ask(Some(usable))).await;
        if let Ok((reply, filling)) = asked {
            drop(reply);
            self.fill(Some(lead), grounds, filling).await;
        }
    }

    /// Fetches an entry anew on a task of its own, unless that is under way.
    pub(crate) fn refresh_beside<S, O>(self: &Arc<Self>, seeker: &S, entry: &Arc<Entry<V>>, origin: O)
    where
        S: Seeker<V>,
        O: Origin<V>,
    {
        if let Some(refreshing) = self.lead_refresh(seeker, entry) {
            let (tiers, entry) = (Arc::clone(self), Arc::clone(entry));
            let refresh = async move { tiers.refresh(refreshing, entry, origin).await };
            tokio::spawn(refresh.in_current_span());
        }
    }

    /// Offers an entry to L2.
    async fn store(&self, grounds: Grounds, key: Key, entry: &Entry<V>) {
        let settings = &self.instance.settings;
        let (Some(remote), Some(incarnation)) = (&self.instance.remote, grounds.incarnation) else { return };
        let coherence = &self.instance.coherence;
        if coherence.is_tainted(&entry.idents) || !coherence.admits(entry.stamp, &entry.idents) {
            return self.instance.recorder.observe(&Event::NotStored("invalidated"));
        }
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
        };
        let frame = entry.value.encode().map_err(|error| error.0).and_then(|value| {
            frame::encode(&settings.secrets, &entry.canonical, &header, &value, settings.max_frame)
                .map_err(|error| error.as_str())
        });
        let frame = match frame {
            Ok(frame) if !ttl.is_zero() => frame,
            Ok(_) => return,
            Err(why) => return self.instance.recorder.observe(&Event::NotStored(why)),
        };
        let store = Store { key, incarnation, stamp: entry.stamp.seq, ttl, frame, idents: &entry.idents };
        let stored =
            remote.guarded(&self.instance.recorder, &settings.clock, Op::Store, || remote.l2.store(store));
        match stored.await {
            Ok(StoreResult::Accepted) => self.instance.recorder.observe(&Event::Stored),
            Ok(StoreResult::Refused(refusal)) => self.instance.recorder.observe(&Event::Refused(refusal)),
            Err(_) => {}
        }
    }

    /// What a fill rests on when L2 has told nothing: what has been applied here.
    pub(crate) fn local_grounds(&self, begun: Begun) -> Grounds {
        Grounds { stamp: begun.stamp, incarnation: self.instance.coherence.incarnation() }
    }
}

pub(crate) fn land<V>(lead: Option<Lead<Arc<Entry<V>>>>, entry: &Arc<Entry<V>>) {
    if let Some(lead) = lead {
        lead.land(Arc::clone(entry));
    }
}

fn grounds_at(position: Position, begun: Begun) -> Grounds {
    let stamp = Stamp { seq: position.seq, epoch: begun.stamp.epoch };
    Grounds { stamp, incarnation: Some(position.incarnation) }
}

impl<V> fmt::Debug for Tiers<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tiers").field("instance", &self.instance).finish_non_exhaustive()
    }
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
