//! What the tiers consist of, and the steps that ask nobody else.

use std::fmt;
use std::sync::Arc;

use super::outcome::{Absence, Grounds, Place, Synced};
use crate::coherence::{Begun, Serves};
use crate::entry::{Entry, Stored};
use crate::event::Event;
use crate::flight::{Flights, Joined, Takeoff};
use crate::instance::Instance;
use crate::key::Key;
use crate::l1::{L1, L1Settings};
use crate::seek::{Seeker, Sharing};
use crate::time::Moment;

/// L1, flights and the instance they belong to, for one kind of value.
pub struct Tiers<V> {
    pub(super) instance: Arc<Instance>,
    pub(super) l1: L1<V>,
    pub(super) flights: Flights<Arc<Entry<V>>>,
    pub(super) nested: Flights<Arc<Entry<V>>>,
}

impl<V: Stored> Tiers<V> {
    /// Empty tiers on an instance.
    #[must_use]
    pub fn new(instance: Arc<Instance>, l1: L1Settings) -> Self {
        let recorder = Arc::clone(&instance.recorder);
        let l1 = L1::new(l1, move || recorder.observe(&Event::Evicted));
        let flights = || Flights::with_limits(instance.settings.flights);
        Self { l1, flights: flights(), nested: flights(), instance }
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
        match self.instance.shard(key).coherence.serves(&entry, now) {
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
        let serves = self.instance.shard(entry.key).coherence.serves(entry, self.now());
        matches!(serves, Serves::Synced | Serves::Unsynced)
    }

    /// The same without a lease: an entry that L2 has just vouched for needs none.
    pub(super) fn is_intact(&self, entry: &Entry<V>) -> bool {
        self.instance.shard(entry.key).coherence.admits(entry.stamp, &entry.idents)
    }

    pub(crate) fn join<S: Seeker<V>>(&self, key: Key, begun: Begun, seeker: &S) -> Place<V> {
        let flights = match seeker.sharing() {
            Sharing::Solo => return Place::Ahead(None),
            Sharing::Flight => &self.flights,
            Sharing::Nested => &self.nested,
        };
        let (at, assurance) = (self.now(), seeker.assurance());
        let now = Takeoff { stamp: begun.stamp, at, assurance };
        let joined = flights.join(key, now, |began| {
            began.stamp.epoch == begun.stamp.epoch
                || self.instance.shard(key).coherence.admits(began.stamp, seeker.idents().as_slice())
        });
        match joined {
            Joined::Lead(lead) => Place::Ahead(Some(lead)),
            Joined::Follow(follower) => Place::Follow(follower),
            Joined::Alone(full) => {
                self.instance.recorder.observe(&Event::Full(full.as_str()));
                Place::Ahead(None)
            }
        }
    }

    /// Puts an entry into L1 unless it has been invalidated meanwhile.
    pub(super) fn keep(&self, entry: Entry<V>) -> Arc<Entry<V>> {
        let entry = Arc::new(entry);
        if self.is_intact(&entry) && !self.l1.insert(entry.key, Arc::clone(&entry)) {
            self.instance.recorder.observe(&Event::NotStored("l1-entry-too-large"));
        }
        entry
    }

    /// What a fill rests on when L2 has told nothing: what has been applied here.
    pub(crate) fn local_grounds(&self, key: Key, begun: Begun) -> Grounds {
        Grounds { key, stamp: begun.stamp, incarnation: self.instance.shard(key).coherence.incarnation() }
    }
}

impl<V> fmt::Debug for Tiers<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tiers").field("instance", &self.instance).finish_non_exhaustive()
    }
}
