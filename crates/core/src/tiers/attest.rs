//! Asking L2 about what is held in memory, for requests that do not trust in the lease.
//!
//! A position that L2 gives after a request has come is at or beyond every invalidation that was confirmed before. Where the
//! instance has applied the log up to there, its table knows them all; where it has not, the log is asked for the entry's idents.

use super::outcome::Attestation;
use super::state::Tiers;
use crate::coherence::{Event, FrameVerdict, asked};
use crate::entry::{Assurance, Entry, Stored};
use crate::event::Op;
use crate::l2::Link;
use crate::shard::Shard;

impl<V: Stored> Tiers<V> {
    /// Asks L2 now. One round trip; a second where the log is ahead of what has been applied here, unless that was to be
    /// expected. None without an L2: then the instance itself is the one that knows.
    pub(crate) async fn attest(&self, entry: &Entry<V>, assurance: Assurance) -> Attestation {
        let Shard { coherence, remote, .. } = self.instance.shard(entry.key);
        let Some(remote) = remote else {
            return if self.is_intact(entry) { Attestation::Valid } else { Attestation::Refuted };
        };
        let (recorder, clock) = (&self.instance.recorder, &self.instance.settings.clock);
        let ticket = self.begin(entry.key).ticket;
        let ask_log = async || {
            let asked = asked(&entry.idents);
            remote.guarded(recorder, clock, Op::Attest, || remote.l2.scores(&asked)).await
        };
        // Where the client has seen more than this instance, a position would only say that the log is ahead.
        let (polled, scores) = match assurance {
            Assurance::Sought => {
                let Ok(scores) = ask_log().await else { return Attestation::Silent };
                (Some(scores.position), Some(scores))
            }
            Assurance::Bounded | Assurance::Strict => {
                let polled = remote.guarded(recorder, clock, Op::Attest, || remote.l2.poll(Link::Commands));
                let Ok(polled) = polled.await else { return Attestation::Silent };
                (polled, None)
            }
        };
        let followed = polled.filter(|position| Some(position.incarnation) == coherence.incarnation());
        let Some(position) = followed else {
            coherence.on_event(Event::LookedUp(ticket, polled), clock.now());
            return Attestation::Refuted;
        };
        let mut verdict = coherence.judge_held(ticket, position, entry.stamp, &entry.idents);
        if verdict == FrameVerdict::AskLog {
            let scores = match scores {
                Some(scores) => scores,
                None => match ask_log().await {
                    Ok(scores) => scores,
                    Err(_) => return Attestation::Silent,
                },
            };
            verdict = coherence.judge_held_scores(ticket, entry.stamp, &entry.idents, &scores);
        }
        match verdict {
            FrameVerdict::Valid(_) => Attestation::Valid,
            FrameVerdict::Stale(_, since) => {
                entry.expire(since);
                Attestation::Valid
            }
            FrameVerdict::AskLog | FrameVerdict::Dead => Attestation::Refuted,
        }
    }
}
