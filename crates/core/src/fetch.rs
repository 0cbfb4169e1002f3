//! The path: what happens to a request for a value, in the order in which it happens.
//!
//! [`lookup_l1`] answers what L1 can answer, at once. [`fetch`] does the rest: it joins the flight for the key, asks L2,
//! takes its turn among the instances, then asks the origin with what is stale at hand, and stores what came. Read those two; everything below them is one step each.

use std::sync::Arc;

use crate::entry::{Assurance, Entry, Stored};
use crate::event::Tier;
use crate::key::Key;
use crate::seek::{Next, Origin, Seeker, Usage, Variant};
use crate::tiers::{Absence, Duty, Failing, Fetched, Followed, Looked, Place, Probe, Tiers};
use crate::time::Moment;

/// Looks in L1. Synchronous and without allocation: two look-ups at most, the second where answers vary. `usage` says what
/// the request may do with what is found.
#[inline]
pub fn lookup_l1<V: Stored>(
    tiers: &Tiers<V>,
    canonical: &[u8],
    now: Moment,
    variant: impl FnOnce(&V) -> Variant,
    usage: impl FnOnce(&Entry<V>, Moment) -> Usage,
) -> Probe<V> {
    let key = tiers.key(canonical);
    let found = tiers.probe(canonical, key, now);
    let found = found.and_then(|(entry, synced)| match variant(&entry.value) {
        Variant::Same => Ok((entry, synced)),
        Variant::Of(variant) if variant == entry.canonical => Ok((entry, synced)),
        Variant::Of(variant) => {
            tiers.probe(&variant, tiers.key(&variant).beside(key), now).map_err(Absence::of_variant)
        }
        Variant::Barred => Err(Absence::Barred),
    });
    let (entry, synced) = match found {
        Ok(found) => found,
        Err(absence) => return Probe::Miss(absence),
    };
    match usage(&entry, now) {
        Usage::Answer => Probe::Hit(entry, synced),
        Usage::Early if tiers.is_due(&entry, now) => Probe::Refresh(entry, synced),
        Usage::Early => Probe::Hit(entry, synced),
        Usage::Refresh => Probe::Refresh(entry, synced),
        Usage::Ask => Probe::Miss(Absence::Stale),
        Usage::Barred => Probe::Miss(Absence::Barred),
    }
}

/// Fetches what [`lookup_l1`] did not find: from a flight under way, from L2, or from the origin.
///
/// Never fails because of the cache: whatever goes wrong with it, the origin is asked. The origin runs on a task of its own;
/// dropping this future ends it only while nobody else waits for it and it has not begun to answer.
///
/// At most one round trip to L2 when it holds the entry, a second where answers vary or the log must be asked. One more before
/// the origin is asked, where instances take turns.
pub async fn fetch<V, S, O>(tiers: &Arc<Tiers<V>>, seeker: &S, absence: Absence, origin: O) -> Fetched<V, O>
where
    V: Stored,
    S: Seeker<V>,
    O: Origin<V>,
{
    let arrival = tiers.now();
    let mut canonical: Box<[u8]> = seeker.canonical().into();
    let mut key = tiers.key(&canonical);
    let (mut patience, mut absence) = (PATIENCE, absence);
    for _ in 0..ROUNDS {
        let begun = tiers.begin(key);
        let (entry, tier, duty, grounds) = match tiers.join(key, begun, seeker) {
            Place::Follow(follower) => match tiers.follow(follower, arrival, seeker, &mut patience).await {
                Followed::Slow(entry) => return tiers.fall_back(entry, Failing::Slow),
                Followed::Failed(entry) => return tiers.fall_back(entry, Failing::Now),
                Followed::Shared(entry) => (entry, Tier::Flight, Duty::NONE, tiers.grounds_now(key)),
                Followed::Again => continue,
                Followed::LookAgain => return Fetched::LookAgain(origin),
                Followed::TimedOut => return Fetched::TimedOut,
                Followed::Alone => break,
            },
            Place::Ahead(lead) => {
                let looked = tiers.look(&canonical, key, begun, seeker).await;
                match tiers.take_turn(&canonical, key, seeker, lead, looked).await {
                    (Looked::Found(entry, tier, grounds), duty) => (entry, tier, duty, grounds),
                    (Looked::Nothing(grounds), duty) => {
                        return tiers.ask(duty, grounds, absence, None, origin).await;
                    }
                }
            }
        };
        match Next::of(seeker, &entry, tiers.now()) {
            Next::Ask if tiers.is_failing(&entry) && seeker.settles_for(&entry, tiers.now()) => {
                duty.fail(&entry);
                return tiers.fall_back(entry, Failing::Lately);
            }
            Next::Ask => return tiers.ask(duty, grounds, Absence::Stale, Some(entry), origin).await,
            Next::Look(variant) => {
                duty.land(&entry);
                key = tiers.key(&variant).beside(key);
                canonical = variant;
            }
            next @ (Next::Answer | Next::Early | Next::Refresh) => {
                duty.land(&entry);
                if is_to_be_refreshed(tiers, &entry, &next) {
                    tiers.refresh_beside(seeker, &entry, origin);
                }
                return Fetched::Cached(entry, tier);
            }
            Next::Barred => {
                duty.land(&entry);
                absence = Absence::Barred;
                break;
            }
        }
    }
    let usable = at_hand(tiers, &canonical, key, seeker);
    tiers.ask(Duty::NONE, tiers.grounds_now(key), absence, usable, origin).await
}

/// Whether what answers now is to be fetched anew beside that.
fn is_to_be_refreshed<V: Stored>(tiers: &Tiers<V>, entry: &Entry<V>, next: &Next) -> bool {
    match next {
        Next::Refresh => true,
        Next::Early => tiers.is_due(entry, tiers.now()),
        Next::Answer | Next::Ask | Next::Look(_) | Next::Barred => false,
    }
}

/// What a request that asks by itself has in L1 to be validated, or to fall back on.
fn at_hand<V: Stored>(
    tiers: &Tiers<V>,
    canonical: &[u8],
    key: Key,
    seeker: &impl Seeker<V>,
) -> Option<Arc<Entry<V>>> {
    if seeker.assurance() == Assurance::Strict {
        return None;
    }
    let now = tiers.now();
    let (entry, _) = tiers.probe(canonical, key, now).ok()?;
    matches!(Next::of(seeker, &entry, now), Next::Ask).then_some(entry)
}

/// How often a request looks before it asks the origin by itself: primary key, variant, each once more after an invalidation.
const ROUNDS: usize = 4;
/// How many abandoned flights a follower sits through.
const PATIENCE: u32 = 1;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::entry::{Encoded, Span, Stamp, Undecodable};
    use crate::instance::{Instance, Settings};
    use crate::l1::L1Settings;
    use crate::tiers::Synced;

    struct Text(&'static str);

    impl Stored for Text {
        fn weight(&self) -> usize {
            self.0.len()
        }

        fn encode(&self) -> Result<Encoded, Undecodable> {
            Err(Undecodable("not in this test"))
        }

        fn decode(_: Encoded) -> Result<Self, Undecodable> {
            Err(Undecodable("not in this test"))
        }
    }

    #[tokio::test]
    async fn a_hash_collision_is_a_miss_and_never_another_s_answer() {
        let instance = Instance::start(Settings::new("test", None), None);
        let tiers = Tiers::new(Arc::new(instance), L1Settings::default());
        let now = tiers.instance().settings.clock.now();
        let collided = tiers.instance().settings.secrets.key(b"ben's");
        let entry = |canonical| {
            let span = Span { born: now, lifetime: Duration::from_secs(60), ..Span::default() };
            Entry::new(Text("ann"), collided, canonical, &[], Stamp::default(), span)
        };
        let look =
            |canonical: &[u8]| lookup_l1(&tiers, canonical, now, |_| Variant::Same, |_, _| Usage::Answer);
        assert!(tiers.l1().insert(collided, Arc::new(entry(b"ann's"))));
        assert!(matches!(look(b"ben's"), Probe::Miss(Absence::Unknown)));
        assert!(tiers.l1().insert(collided, Arc::new(entry(b"ben's"))));
        assert!(matches!(look(b"ben's"), Probe::Hit(entry, Synced::Yes) if entry.value.0 == "ann"));
    }
}
