//! Fetching anew what is being served.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tracing::Instrument;

use super::fill::RETRY;
use super::outcome::{Duty, Filled, Looked};
use super::state::Tiers;
use super::turn::Errand;
use crate::coherence::Begun;
use crate::entry::{Assurance, Entry, Stored};
use crate::event::{Event, Refresh};
use crate::flight::{Joined, Lead, Takeoff};
use crate::key::Key;
use crate::seek::{Filling, Origin, Seeker, Sharing};
use crate::time::Moment;

/// A flight that fetches anew what is being served.
#[derive(Debug)]
pub struct Refreshing<V> {
    lead: Lead<Arc<Entry<V>>>,
    key: Key,
    begun: Begun,
    /// Of the lease, so that one instance of all refreshes.
    term: Option<Duration>,
}

impl<V: Stored> Tiers<V> {
    /// The lead of a flight for an entry that is being served already, unless one is under way, or has come to nothing less
    /// than a second ago. To be given to [`refresh`](Self::refresh).
    #[must_use]
    pub fn lead_refresh<S: Seeker<V>>(&self, seeker: &S, entry: &Entry<V>) -> Option<Refreshing<V>> {
        let key = entry.key;
        // Whoever asks by itself refreshes for all: nobody waits for a refresh, and one is enough.
        let flights = if seeker.sharing() == Sharing::Nested { &self.nested } else { &self.flights };
        let (begun, at) = (self.begin(key), self.now());
        if self.tried.get(key, at).is_some() {
            return None;
        }
        let now = Takeoff { stamp: begun.stamp, at, assurance: Assurance::Bounded };
        match flights.join(key, now, |_| true) {
            Joined::Lead(lead) => Some(Refreshing { lead, key, begun, term: self.term(seeker) }),
            Joined::Follow(_) => None,
            // What is served goes on being served: a later request may have room.
            Joined::Alone(full) => {
                self.instance.recorder.observe(&Event::Full(full.as_str()));
                None
            }
        }
    }

    /// Fetches an entry anew while it is being served: from L2 if another instance was or is faster, else from the origin. What the
    /// origin replies is dropped once it is stored. Ends by itself: an origin that hangs is given up after `max_fill`.
    ///
    /// # Cancel safety
    /// When dropped, the flight is over and the next request after a second begins another.
    pub async fn refresh<O: Origin<V>>(&self, refreshing: Refreshing<V>, entry: Arc<Entry<V>>, origin: O) {
        let Refreshing { lead, key, begun, term } = refreshing;
        let mut ending = Ending { tiers: self, key, refresh: Refresh::Abandoned };
        let replaces = |found: &Entry<V>, now| replaces(found, &entry, now);
        let looked = self.look_for(&entry.canonical, key, begun, replaces).await;
        let mut duty = Duty { lead: Some(lead), lease: None };
        let errand = Errand { canonical: &entry.canonical, key, term, wait: None };
        let invalidated = || self.instance.shard(key).coherence.last_invalidated(&entry.idents);
        let looked = self.take_turn_for(errand, &mut duty, looked, replaces, invalidated).await;
        let (usable, grounds) = match looked {
            Looked::Found(found, ..) if replaces(&found, self.now()) => {
                ending.refresh = Refresh::Elsewhere;
                return duty.land(&found);
            }
            Looked::Found(found, _, grounds) => (Some(found), grounds),
            Looked::Nothing(grounds) => (Some(entry).filter(|entry| self.is_intact(entry)), grounds),
        };
        // Nobody waits for the reply, so nobody would end a fetch that hangs.
        let asked = timeout(self.instance.settings.max_fill, origin.ask(usable.clone())).await;
        let Ok((reply, filling)) = asked else {
            ending.refresh = Refresh::TimedOut;
            return;
        };
        drop(reply);
        let filling = self.arrived(duty.lead.as_ref(), filling).await;
        let refresh = Refresh::by(&filling);
        match (self.fill(duty, grounds, usable, filling).await, refresh) {
            // Its body has broken off.
            (Filled::Nothing, Refresh::Origin) => {}
            _ => ending.refresh = refresh,
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
}

/// Whether `found` makes it needless to ask the origin for what `served` is to be replaced by. An entry that is still fresh
/// is only replaced by a younger one: the same from L2 may look a little younger than it is.
fn replaces<V>(found: &Entry<V>, served: &Entry<V>, now: Moment) -> bool {
    found.is_fresh(now) && (!served.is_fresh(now) || found.born > served.born.after(CLOCK_ERROR))
}

impl Refresh {
    fn by<V>(filling: &Filling<V>) -> Self {
        match filling {
            Filling::Storable(_) | Filling::Complete(_) => Self::Origin,
            Filling::Failed(..) | Filling::Lost | Filling::Late(..) => Self::Failed,
            Filling::Unstorable | Filling::LookAgain => Self::Unstorable,
        }
    }
}

/// Counts a refresh when it ends, however it does, and keeps the next one off for a while if it has come to nothing.
struct Ending<'a, V: Stored> {
    tiers: &'a Tiers<V>,
    key: Key,
    refresh: Refresh,
}

impl<V: Stored> Drop for Ending<'_, V> {
    fn drop(&mut self) {
        let Self { tiers, key, refresh } = self;
        if !matches!(refresh, Refresh::Origin | Refresh::Elsewhere) {
            tiers.tried.note(*key, tiers.now().after(RETRY), ());
        }
        tiers.instance.recorder.observe(&Event::Refreshed(*refresh));
    }
}

/// By how much the wall clocks that ages of frames rest on may differ.
const CLOCK_ERROR: Duration = Duration::from_secs(1);
