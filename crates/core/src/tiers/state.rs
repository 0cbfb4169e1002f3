//! What the tiers consist of, and the steps that ask nobody else.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::outcome::{Absence, Grounds, Place, Synced, Told};
use super::recent::Recent;
use crate::coherence::{Begun, Serves};
use crate::entry::{Entry, Stamp, Stored};
use crate::event::Event;
use crate::flight::{Flights, Joined, Takeoff};
use crate::instance::{Instance, Settings};
use crate::key::Key;
use crate::l1::{L1, L1Settings};
use crate::seek::{FillLease, Seeker, Sharing};
use crate::time::Moment;

/// L1, flights and the instance they belong to, for one kind of value.
pub struct Tiers<V> {
    pub(super) instance: Arc<Instance>,
    pub(super) l1: L1<V>,
    pub(super) flights: Flights<Arc<Entry<V>>>,
    pub(super) nested: Flights<Arc<Entry<V>>>,
    /// The origin has failed lately, and there is something stale in its place.
    pub(super) failed: Recent<()>,
    /// A refresh has come to nothing lately.
    pub(super) tried: Recent<()>,
    /// The answer was not to be stored, as of this stamp: those who ask for the next one need not wait for each other.
    pub(super) unstorable: Recent<Stamp>,
}

impl<V: Stored> Tiers<V> {
    /// Empty tiers on an instance.
    #[must_use]
    pub fn new(instance: Arc<Instance>, l1: L1Settings) -> Self {
        let recorder = Arc::clone(&instance.recorder);
        let l1 = L1::new(l1, move || recorder.observe(&Event::Evicted));
        let flights = || Flights::with_limits(instance.settings.flights);
        let (flights, nested) = (flights(), flights());
        let (failed, tried, unstorable) = (Recent::new(), Recent::new(), Recent::new());
        Self { instance, l1, flights, nested, failed, tried, unstorable }
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

    /// Whether an entry that is fresh is to be fetched anew ahead of time by a request that comes now.
    #[cold]
    pub(crate) fn is_due(&self, entry: &Entry<V>, now: Moment) -> bool {
        entry.is_due(now, &self.instance.settings.chance)
    }

    /// To be called before a fill looks into L2.
    pub(crate) fn begin(&self, key: Key) -> Begun {
        self.instance.shard(key).coherence.begin()
    }

    /// The hash of a canonical key. A variant's is to stand [beside](Key::beside) that of its primary key.
    #[inline]
    #[must_use]
    pub fn key(&self, canonical: &[u8]) -> Key {
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
            // Asking for it keeps it popular: it would never make room.
            self.l1.remove(&key);
            return Err(Absence::Stale);
        }
        match self.serves(&entry, now) {
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
        matches!(self.serves(entry, self.now()), Serves::Synced | Serves::Unsynced)
    }

    #[inline]
    fn serves(&self, entry: &Entry<V>, now: Moment) -> Serves {
        match self.instance.shard(entry.key).coherence.serves(entry, now) {
            Serves::Lapsed if self.is_bridged(entry, now) => Serves::Unsynced,
            serves => serves,
        }
    }

    /// Whether an entry may be served though the instance has lost touch with L2: the origin was asked for it after that, and
    /// so lately that it is no older than what the grace allows in any case.
    #[cold]
    fn is_bridged(&self, entry: &Entry<V>, now: Moment) -> bool {
        let Settings { coherence, micro_cache, .. } = &self.instance.settings;
        let bridge = coherence.partition_grace.min(*micro_cache);
        entry.asked >= self.instance.shard(entry.key).coherence.served_until()
            && now < entry.asked.after(bridge)
            && self.is_intact(entry)
    }

    /// Whether the origin has failed lately where this entry could stand in for it.
    pub(crate) fn is_failing(&self, entry: &Entry<V>) -> bool {
        self.failed.get(entry.key, self.now()).is_some()
    }

    /// The same without a lease: an entry that L2 has just vouched for needs none.
    pub(super) fn is_intact(&self, entry: &Entry<V>) -> bool {
        self.instance.shard(entry.key).coherence.admits_entry(entry)
    }

    pub(crate) fn join<S: Seeker<V>>(&self, key: Key, begun: Begun, seeker: &S) -> Place<V> {
        let flights = match seeker.sharing() {
            Sharing::Solo => return Place::Ahead(None),
            Sharing::Flight => &self.flights,
            Sharing::Nested => &self.nested,
        };
        let (at, assurance) = (self.now(), seeker.assurance());
        let now = Takeoff { stamp: begun.stamp, at, assurance };
        let holds = |stamp: Stamp| {
            stamp.epoch == begun.stamp.epoch
                || self.instance.shard(key).coherence.admits(stamp, seeker.idents().as_slice())
        };
        if self.unstorable.get(key, at).is_some_and(holds) {
            return Place::Ahead(None);
        }
        let joined = flights.join(key, now, |began| holds(began.stamp));
        match joined {
            Joined::Lead(lead) => Place::Ahead(Some(lead)),
            Joined::Follow(follower) => Place::Follow(follower),
            Joined::Alone(full) => {
                self.instance.recorder.observe(&Event::Full(full.as_str()));
                Place::Ahead(None)
            }
        }
    }

    /// For how long this request's instance would keep the others from fetching the same; `None` if each fetches for itself.
    pub(super) fn term<S: Seeker<V>>(&self, seeker: &S) -> Option<Duration> {
        match seeker.fill_lease() {
            // Whoever is waited for by another layer must not wait for that layer's lease.
            _ if seeker.sharing() == Sharing::Nested => None,
            FillLease::AsSet => self.instance.settings.fill_lease,
            FillLease::For(term) => Some(term),
            FillLease::Off => None,
        }
    }

    /// Puts an entry into L1 unless it has been invalidated meanwhile.
    pub(super) fn keep(&self, entry: Entry<V>) -> Arc<Entry<V>> {
        let entry = Arc::new(entry);
        self.unstorable.forget(entry.key);
        if self.is_intact(&entry) && !self.l1.insert(entry.key, Arc::clone(&entry)) {
            self.instance.recorder.observe(&Event::NotStored("l1-entry-too-large"));
        }
        entry
    }

    /// What a fill rests on when L2 has told nothing: what has been applied here.
    pub(crate) fn local_grounds(&self, key: Key, begun: Begun) -> Grounds {
        let incarnation = self.instance.shard(key).coherence.incarnation();
        let told = Told::ByNobody;
        Grounds { key, stamp: begun.stamp, incarnation, asked: self.now(), told, frame: None }
    }

    /// The same for one that begins now.
    pub(crate) fn grounds_now(&self, key: Key) -> Grounds {
        self.local_grounds(key, self.begin(key))
    }
}

impl<V> fmt::Debug for Tiers<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tiers").field("instance", &self.instance).finish_non_exhaustive()
    }
}
