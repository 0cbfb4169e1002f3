//! Taking turns with other instances to ask the origin.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::outcome::{Duty, Grounds, Looked, Told};
use super::state::Tiers;
use crate::entry::{Entry, Seq, Stored};
use crate::event::{Event, Tier, Turn};
use crate::flight::Lead;
use crate::key::Key;
use crate::lease::Whose;
use crate::seek::{Next, Seeker};
use crate::time::Moment;
use crate::waiters::Waiting;

impl<V: Stored> Tiers<V> {
    /// Takes the turn of a request that found nothing it could use: with it no other instance asks the origin for this key. When
    /// it is another's turn, waits for what that one brings. Never in vain for long: whatever goes wrong, the request asks
    /// without.
    pub(crate) async fn take_turn<S: Seeker<V>>(
        &self,
        canonical: &[u8],
        key: Key,
        seeker: &S,
        lead: Option<Lead<Arc<Entry<V>>>>,
        looked: Looked<V>,
    ) -> (Looked<V>, Duty<V>) {
        // Who leads nobody asks by itself, and nobody waits for what it brings.
        let term = lead.as_ref().and_then(|_| self.term(seeker));
        let suffices = |entry: &Entry<V>, now| {
            // An origin that has failed lately is not asked.
            let spared = || self.is_failing(entry) && seeker.settles_for(entry, now);
            !matches!(Next::of(seeker, entry, now), Next::Ask) || spared()
        };
        let invalidated = || self.instance.shard(key).coherence.last_invalidated(seeker.idents().as_slice());
        let mut duty = Duty { lead, lease: None };
        let wait = seeker.turn_wait();
        let errand = Errand { canonical, key, term, wait };
        let looked = self.take_turn_for(errand, &mut duty, looked, suffices, invalidated).await;
        (looked, duty)
    }

    /// The same for an errand. `invalidated` says when what is wanted was invalidated last: a fetch that began before is not
    /// waited for.
    pub(super) async fn take_turn_for(
        &self,
        Errand { canonical, key, term, wait }: Errand<'_>,
        duty: &mut Duty<V>,
        mut looked: Looked<V>,
        suffices: impl Fn(&Entry<V>, Moment) -> bool,
        invalidated: impl Fn() -> Seq,
    ) -> Looked<V> {
        // An L2 that has just failed is not asked again.
        let Some(term) = term.filter(|_| looked.grounds().told == Told::ByL2) else { return looked };
        if looked.suffices(&suffices, self.now()) {
            return looked;
        }
        let mut patience =
            Patience::new(wait.unwrap_or(Duration::MAX).min(self.instance.settings.flight_wait));
        // Before the first claim, so that no end is missed between a claim and the waiting.
        let waiting = self.instance.shard(key).waiters.register(key);
        let mut after = 0;
        let turn = loop {
            let begun = self.begin(key);
            let Some((whose, found)) = self.instance.claim(key, term, after).await else {
                break Turn::Unavailable;
            };
            let Some((grounds, there)) =
                self.read(canonical, key, begun, found, looked.grounds().frame).await
            else {
                break Turn::Unavailable;
            };
            looked = self.choose(looked.into_entry(), there, grounds);
            if looked.suffices(&suffices, self.now()) {
                break Turn::Elsewhere;
            }
            let left = match whose {
                Whose::Ours(lease) => {
                    duty.lease = Some(lease);
                    break if patience.is_untried() { Turn::Claimed } else { Turn::TakenOver };
                }
                Whose::Everybodys => break Turn::Waived,
                Whose::Anothers(left) => left,
            };
            let last = invalidated();
            if std::mem::replace(&mut after, last) < last {
                continue;
            }
            if let Some(lead) = &duty.lead {
                lead.delay();
            }
            if patience.wait(&waiting, left).await == Waited::Enough {
                break Turn::TimedOut;
            }
        };
        self.instance.recorder.observe(&Event::Turn(turn));
        if patience.is_untried() { looked } else { looked.waited_for() }
    }
}

/// What the origin would be asked for, and for how long at a time the other instances would be kept from it; `None` if not
/// at all.
pub(super) struct Errand<'a> {
    pub(super) canonical: &'a [u8],
    pub(super) key: Key,
    pub(super) term: Option<Duration>,
    /// How long its turn is waited for at most, where that is not as long as may be.
    pub(super) wait: Option<Duration>,
}

impl<V> Looked<V> {
    fn grounds(&self) -> &Grounds {
        match self {
            Self::Found(_, _, grounds) | Self::Nothing(grounds) => grounds,
        }
    }

    fn suffices(&self, suffices: impl Fn(&Entry<V>, Moment) -> bool, now: Moment) -> bool {
        matches!(self, Self::Found(entry, ..) if suffices(entry, now))
    }

    fn into_entry(self) -> Option<Arc<Entry<V>>> {
        match self {
            Self::Found(entry, ..) => Some(entry),
            Self::Nothing(_) => None,
        }
    }

    /// What comes from L2 comes from the instance that was waited for.
    fn waited_for(self) -> Self {
        match self {
            Self::Found(entry, Tier::L2, grounds) => Self::Found(entry, Tier::Lease, grounds),
            looked => looked,
        }
    }
}

/// How a request waits: until it is woken, or its patience tells it to look; not for ever.
struct Patience {
    until: Instant,
    /// When to look for the first time, if nothing is heard.
    pause: Duration,
    /// How often it may still be woken. Anyone who can write to the bus can wake, and each time is a look into L2.
    wakes: u32,
    untried: bool,
}

#[derive(PartialEq, Eq)]
enum Waited {
    /// Something may have happened.
    Look,
    Enough,
}

impl Patience {
    fn new(wait: Duration) -> Self {
        Self { until: Instant::now() + wait, pause: FIRST_PAUSE, wakes: WAKES, untried: true }
    }

    /// Whether nothing was waited for yet.
    fn is_untried(&self) -> bool {
        self.untried
    }

    /// Waits for the end of a lease that runs for `left`: to hear of it, or to see it run out. A message may be lost, so looks
    /// in between, less and less often.
    async fn wait(&mut self, waiting: &Waiting, left: Duration) -> Waited {
        self.untried = false;
        let rest = self.until.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return Waited::Enough;
        }
        let pause = left.max(LEAST_PAUSE).min(self.pause).min(rest);
        self.pause = (2 * self.pause).min(LONGEST_PAUSE);
        if self.wakes == 0 {
            tokio::time::sleep(pause).await;
        } else if timeout(pause, waiting.released()).await.is_ok() {
            self.wakes -= 1;
        }
        Waited::Look
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// What is left of a lease is known to the millisecond.
const LEAST_PAUSE: Duration = Duration::from_millis(1);
const WAKES: u32 = 16;
