//! Fetching anew what is being served.

use std::sync::Arc;

use tracing::Instrument;

use super::outcome::Looked;
use super::state::Tiers;
use crate::coherence::Begun;
use crate::entry::{Entry, Stored};
use crate::flight::{Joined, Lead, Takeoff};
use crate::key::Key;
use crate::seek::{Origin, Seeker, Sharing};

/// A flight that fetches anew what is being served.
#[derive(Debug)]
pub struct Refreshing<V> {
    lead: Lead<Arc<Entry<V>>>,
    key: Key,
    begun: Begun,
}

impl<V: Stored> Tiers<V> {
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
}
