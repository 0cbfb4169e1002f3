//! Looking in L2, and choosing between what the two tiers have.

use std::sync::Arc;

use super::outcome::{Attestation, FrameEnd, Grounds, Looked, Told};
use super::state::Tiers;
use crate::coherence::{Begun, FrameVerdict, asked};
use crate::entry::{Assurance, Entry, Span, Stamp, Stored};
use crate::event::{Event, Op, Tier};
use crate::frame::{self, Header};
use crate::key::Key;
use crate::l2::{Lookup, Position, Scores};
use crate::pattern::Learned;
use crate::seek::{Next, Seeker};
use crate::shard::Shard;
use crate::tag::Ident;
use crate::time::Moment;

impl<V: Stored> Tiers<V> {
    /// L1 once more, since another flight may just have ended, then L2. Unless L1 has what the request needs, the younger
    /// of what the two have.
    pub(crate) async fn look<S: Seeker<V>>(
        &self,
        canonical: &[u8],
        key: Key,
        begun: Begun,
        seeker: &S,
    ) -> Looked<V> {
        let suffices = |entry: &_, now| !matches!(Next::of(seeker, entry, now), Next::Ask);
        match seeker.assurance() {
            Assurance::Bounded => self.look_for(canonical, key, begun, suffices).await,
            Assurance::Sought | Assurance::Strict => self.look_strictly(canonical, key, begun, seeker).await,
        }
    }

    /// The same for a request that takes nothing from L1 without L2's word on it, and nothing at all where L2 is silent and it has
    /// to be certain.
    async fn look_strictly<S: Seeker<V>>(
        &self,
        canonical: &[u8],
        key: Key,
        begun: Begun,
        seeker: &S,
    ) -> Looked<V> {
        let (now, grounds) = (self.now(), self.local_grounds(key, begun));
        let Ok((entry, _)) = self.probe(canonical, key, now) else {
            return self.look_further(canonical, key, begun, None).await;
        };
        if matches!(Next::of(seeker, &entry, now), Next::Look(_)) {
            // It only says where to look, and what is found there will be asked about.
            return Looked::Found(entry, Tier::L1, grounds);
        }
        let assurance = seeker.assurance();
        match (self.attest(&entry, assurance).await, Next::of(seeker, &entry, self.now())) {
            (Attestation::Silent, _) if assurance == Assurance::Strict => Looked::Nothing(grounds),
            (Attestation::Refuted, _) => self.look_further(canonical, key, begun, None).await,
            (_, Next::Ask) => self.look_further(canonical, key, begun, Some(entry)).await,
            _ => Looked::Found(entry, Tier::L1, grounds),
        }
    }

    pub(super) async fn look_for(
        &self,
        canonical: &[u8],
        key: Key,
        begun: Begun,
        suffices: impl Fn(&Entry<V>, Moment) -> bool,
    ) -> Looked<V> {
        let now = self.now();
        let here = self.probe(canonical, key, now).ok().map(|(entry, _)| entry);
        let here = match here {
            Some(entry) if suffices(&entry, now) => {
                return Looked::Found(entry, Tier::L1, self.local_grounds(key, begun));
            }
            here => here,
        };
        self.look_further(canonical, key, begun, here).await
    }

    /// L2, beside what L1 has and does not suffice.
    async fn look_further(
        &self,
        canonical: &[u8],
        key: Key,
        begun: Begun,
        here: Option<Arc<Entry<V>>>,
    ) -> Looked<V> {
        match self.look_there(canonical, key, begun).await {
            Some((grounds, there)) => self.choose(here, there, grounds),
            None => self.choose(here, None, self.local_grounds(key, begun)),
        }
    }

    /// The younger of what was at hand and what L2 has.
    pub(super) fn choose(
        &self,
        here: Option<Arc<Entry<V>>>,
        there: Option<Entry<V>>,
        grounds: Grounds,
    ) -> Looked<V> {
        // Asking takes time, and an answer may have brought news.
        let here = here.filter(|entry| self.is_intact(entry));
        match (here, there) {
            (Some(here), Some(there)) if there.born <= here.born => Looked::Found(here, Tier::L1, grounds),
            (_, Some(there)) => Looked::Found(self.keep(there), Tier::L2, grounds),
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
        let shard = self.instance.shard(key);
        let remote = shard.remote.as_ref()?;
        let (recorder, clock) = (&self.instance.recorder, &self.instance.settings.clock);
        let found = remote.guarded(recorder, clock, Op::Lookup, || remote.l2.lookup(key)).await.ok()?;
        self.read(canonical, key, begun, found, None).await
    }

    /// Reads what a look into L2, begun then, has brought, but for a frame that was read before. `None` where nothing can be
    /// built on it.
    pub(super) async fn read(
        &self,
        canonical: &[u8],
        key: Key,
        begun: Begun,
        found: Lookup,
        before: Option<FrameEnd>,
    ) -> Option<(Grounds, Option<Entry<V>>)> {
        let position = self.take_in(self.instance.shard(key), begun, &found)?;
        let end = found.frame.as_deref().map(end_of);
        let entry = match found.frame {
            Some(frame) if end != before => self.promote(canonical, key, begun, position, &frame).await,
            _ => None,
        };
        Some((grounds_at((key, position), begun, self.now(), end), entry))
    }

    /// The position a lookup saw, if it is in the log we follow; else the protocol is told.
    fn take_in(&self, shard: &Shard, begun: Begun, found: &Lookup) -> Option<Position> {
        let ours = shard.coherence.incarnation();
        let position = found.position.filter(|position| Some(position.incarnation) == ours);
        if position.is_none() {
            let event = crate::coherence::Event::LookedUp(begun.ticket, found.position);
            shard.coherence.on_event(event, self.instance.settings.clock.now());
        }
        position
    }

    /// Makes an entry of a frame, unless it is unreadable, expired or invalidated.
    async fn promote(
        &self,
        canonical: &[u8],
        key: Key,
        begun: Begun,
        position: Position,
        bytes: &[u8],
    ) -> Option<Entry<V>> {
        let settings = &self.instance.settings;
        let (header, value) = frame::decode(&settings.secrets, canonical, bytes, settings.frames.max_len)
            .map_err(|error| self.instance.recorder.observe(&Event::Corrupt(error.as_str())))
            .ok()?;
        if header.incarnation != position.incarnation {
            self.instance.recorder.observe(&Event::Replayed);
            return None;
        }
        // Both clocks at once: asking the log takes time.
        let (now, wall) = (settings.clock.now(), settings.clock.wall());
        let age = wall.duration_since(header.born).unwrap_or_default();
        if age >= header.lifetime.saturating_add(header.keep) {
            return None;
        }
        let framed = Position { incarnation: header.incarnation, seq: header.stamp };
        let shard = self.instance.shard(key);
        let coherence = &shard.coherence;
        let verdict = match coherence.judge_frame(begun.ticket, position, framed, &header.idents, canonical) {
            FrameVerdict::AskLog => {
                let scores = self.ask_log(shard, &header.idents, canonical).await?;
                coherence.judge_scores(begun.ticket, framed, &header.idents, canonical, &scores)
            }
            verdict => verdict,
        };
        let (stamp, expired) = match verdict {
            FrameVerdict::Valid(stamp) => (stamp, None),
            FrameVerdict::Stale(stamp, since) => (stamp, Some(since)),
            FrameVerdict::AskLog | FrameVerdict::Dead => return None,
        };
        let value = V::decode(value)
            .map_err(|error| self.instance.recorder.observe(&Event::Corrupt(error.0)))
            .ok()?;
        let Header { lifetime, keep, early, idents, .. } = header;
        let span = Span { born: now.before(age), lifetime, keep, early };
        let entry = Entry::new(value, key, canonical, &idents, stamp, span);
        if let Some(since) = expired {
            entry.expire(since);
        }
        Some(entry)
    }

    /// What the log says of all that an entry answers to. Asked a second time when it knows shapes of patterns that were not
    /// known here.
    pub(super) async fn ask_log(&self, shard: &Shard, idents: &[Ident], canonical: &[u8]) -> Option<Scores> {
        let (recorder, clock) = (&self.instance.recorder, &self.instance.settings.clock);
        let Shard { coherence, remote, .. } = shard;
        let remote = remote.as_ref()?;
        let ask = async || {
            let asked = asked(&coherence.named(idents, canonical));
            remote.guarded(recorder, clock, Op::Lookup, || remote.l2.scores(&asked)).await.ok()
        };
        let scores = ask().await?;
        match coherence.learn(&scores.shapes) {
            Learned::Nothing => Some(scores),
            Learned::News => ask().await.filter(|scores| coherence.learn(&scores.shapes) == Learned::Nothing),
        }
    }
}

/// The last bytes of a frame, after zeros where it has too few.
fn end_of(frame: &[u8]) -> FrameEnd {
    let mut end = FrameEnd::default();
    let len = frame.len().min(end.len());
    let at = end.len() - len;
    end[at..].copy_from_slice(&frame[frame.len() - len..]);
    end
}

fn grounds_at(
    (key, position): (Key, Position),
    begun: Begun,
    asked: Moment,
    frame: Option<FrameEnd>,
) -> Grounds {
    let stamp = Stamp { seq: position.seq, epoch: begun.stamp.epoch };
    Grounds { key, stamp, incarnation: Some(position.incarnation), asked, told: Told::ByL2, frame }
}
