//! A request's way through an instance, as the path goes it: hit, lookup, fetch, L1, L2; and a follower's.

use super::disk::Frame;
use super::model::{Model, Step, Successors, Violation, falls_behind};
use super::scenario::Flaw;
use super::world::{Flight, Freshness, Grounds, Held, Node, Stage, World, moment};
use crate::coherence::{Event, FrameVerdict, asked};
use crate::entry::Stamp;
use crate::l2::{Incarnation, Position, Scores};
use crate::pattern::Learned;

impl Model<'_> {
    /// A hit: what [`Coherence::serves`](crate::coherence::Coherence::serves) does, over a state that can be copied.
    pub(super) fn hit(&self, k: usize, out: &mut Successors) -> Result<(), Violation> {
        let node = &self.world.nodes[k];
        let Some(held) = node.held else { return Ok(()) };
        if !self.within_lease(node) || held.stale {
            return Ok(());
        }
        let mark = if self.flawed(Flaw::CheckedIsApplied) { node.state.applied } else { node.state.epoch };
        if held.checked != Some(mark) {
            if !self.admits(node, held.stamp) {
                return Ok(());
            }
            let stale = node.state.expired_since(held.stamp, &node.named()).is_some();
            self.step(Step::Hit(k), out, |w| {
                w.node(k).held = Some(Held { checked: Some(mark), stale, ..held });
                true
            });
            if stale {
                return Ok(());
            }
        }
        let waited_for = self.world.promised(|promise| promise.everywhere && !promise.lost);
        let in_sync = moment(self.world.now) < node.state.lease_until;
        if in_sync && falls_behind(held.value, waited_for) {
            return Err(Violation::G3(k));
        }
        self.served_locally(k, held.value, self.world.must_here(k))
    }

    /// A fill in flight goes one step on, or one begins.
    pub(super) fn fill(&self, k: usize, out: &mut Successors) -> Result<(), (Step, Violation)> {
        let node = &self.world.nodes[k];
        let Some(flight) = &node.flight else {
            return self.looks_up(k, out);
        };
        let ahead = |step: Step, stage: Option<Stage>, out: &mut Successors| {
            self.step(step, out, |w| {
                go_on(w, k, stage);
                true
            });
        };
        match flight.stage.clone() {
            Stage::Looked(frame) => self.judges(k, frame, flight, out).map_err(|v| (Step::Judges(k), v))?,
            Stage::Asking(frame) => {
                let scores = node.commands_up.then(|| self.world.scores(&asked(&node.named()))).flatten();
                ahead(Step::AsksLog(k), Some(Stage::Scored(frame, scores)), out);
            }
            Stage::Scored(frame, Some(scores)) if learns(node, &scores) => {
                self.step(Step::JudgesByLog(k), out, |w| {
                    let _news = w.node(k).state.learn(&scores.shapes);
                    go_on(w, k, Some(Stage::Asking(frame)));
                    true
                });
            }
            Stage::Scored(frame, scores) => {
                let judged = scores
                    .map(|scores| node.state.judge_scores(flight.ticket, frame.at, &node.named(), &scores));
                let stage = self.after_verdict(k, judged.unwrap_or(FrameVerdict::Dead), frame, flight);
                ahead(Step::JudgesByLog(k), Some(stage.map_err(|v| (Step::JudgesByLog(k), v))?), out);
            }
            Stage::Missed(grounds) => {
                ahead(Step::Fetches(k), Some(Stage::Put(self.world.origin, grounds, Freshness::Fresh)), out);
            }
            Stage::Put(value, grounds, freshness) => {
                self.follower(k, value, (grounds.0, freshness), out)
                    .map_err(|v| (Step::FollowerWakes(k), v))?;
                self.fills_l1(k, value, grounds, freshness, out);
            }
            Stage::Store(value, stamp, life) => self.stores(k, value, stamp, life, out),
        }
        Ok(())
    }

    fn stores(&self, k: usize, value: u8, stamp: Stamp, life: Incarnation, out: &mut Successors) {
        let node = &self.world.nodes[k];
        let state = &node.state;
        let unchecked = self.flawed(Flaw::NoStoreCheck) || self.flawed(Flaw::StampAtStore);
        let offers = unchecked || (!state.is_tainted(&node.named()) && state.admits(stamp, &node.named()));
        let reaches = node.commands_up;
        self.step(Step::StoresInL2(k), out, |w| {
            let seq = if self.flawed(Flaw::StampAtStore) { w.l2.seq } else { stamp.seq };
            let _refused = !(reaches && offers && w.store(value, seq, life, self.scenario));
            go_on(w, k, None);
            true
        });
    }

    fn looks_up(&self, k: usize, out: &mut Successors) -> Result<(), (Step, Violation)> {
        let looked = out.len();
        self.step(Step::LooksUp(k), out, |w| {
            let begins = w.left.lookups > 0;
            w.left.lookups = w.left.lookups.saturating_sub(u8::from(w.left.lookups < u8::MAX));
            let flushed = w.is_flushed(k, self.scenario);
            let must = if flushed { w.promised(|promise| promise.confirmed) } else { w.must() };
            let must_here = w.must_here(k);
            let reaches = w.nodes[k].commands_up;
            let (frame, position) = if reaches { (w.l2.frame, w.position()) } else { (None, None) };
            let node = w.node(k);
            let local = (node.state.local_stamp(), node.state.incarnation());
            let stage = if reaches { Stage::Looked(frame) } else { Stage::Missed(local) };
            let ticket = node.state.ticket(moment(0));
            node.flight = Some(Flight { ticket, local, position, must, must_here, stage });
            begins
        });
        if self.scenario.slow_verdicts || out.len() == looked {
            return Ok(());
        }
        // Nothing happens in between: straight on to what is fetched or served.
        while out.last().is_some_and(|(_, next)| is_undecided(next, k)) {
            let Some((_, world)) = out.pop() else { return Ok(()) };
            let next = Model { world: &world, scenario: self.scenario };
            next.fill(k, out)?;
            out[looked].0 = Step::LooksUp(k);
        }
        Ok(())
    }

    fn judges(
        &self,
        k: usize,
        frame: Option<Frame>,
        flight: &Flight,
        out: &mut Successors,
    ) -> Result<(), Violation> {
        let state = &self.world.nodes[k].state;
        let ours = flight.position.filter(|at| state.incarnation() == Some(at.incarnation));
        let stage = match (frame, ours) {
            (_, None) => Stage::Missed(flight.local),
            (Some(frame), Some(at)) if self.flawed(Flaw::NoReadCheck) => {
                let stamp = Stamp { seq: at.seq, epoch: flight.ticket.epoch };
                self.after_verdict(k, FrameVerdict::Valid(stamp), frame, flight)?
            }
            (Some(frame), Some(at)) => {
                let verdict = state.judge_frame(flight.ticket, at, frame.at, &self.world.nodes[k].named());
                self.after_verdict(k, verdict, frame, flight)?
            }
            (None, Some(_)) => missed(flight),
        };
        self.step(Step::Judges(k), out, |w| {
            let now = w.now;
            if ours.is_none() {
                w.node(k).on_event(Event::LookedUp(flight.ticket, flight.position), now);
            }
            go_on(w, k, Some(stage));
            true
        });
        Ok(())
    }

    /// A valid frame is served at once, to whoever asked.
    fn after_verdict(
        &self,
        k: usize,
        verdict: FrameVerdict,
        frame: Frame,
        flight: &Flight,
    ) -> Result<Stage, Violation> {
        match verdict {
            FrameVerdict::Valid(stamp) => {
                if falls_behind(frame.value, flight.must_here) {
                    return Err(Violation::G0(k));
                }
                // What a failover has taken back meanwhile binds nobody until it is issued again.
                let kept = if self.world.is_flushed(k, self.scenario) { u8::MAX } else { self.world.must() };
                if falls_behind(frame.value, flight.must & kept) {
                    return Err(Violation::G1(k));
                }
                Ok(Stage::Put(frame.value, (stamp, None), Freshness::Fresh))
            }
            FrameVerdict::Stale(stamp, _) => Ok(Stage::Put(frame.value, (stamp, None), Freshness::Stale)),
            FrameVerdict::AskLog => Ok(Stage::Asking(frame)),
            FrameVerdict::Dead => Ok(missed(flight)),
        }
    }

    fn fills_l1(
        &self,
        k: usize,
        value: u8,
        (stamp, life): Grounds,
        freshness: Freshness,
        out: &mut Successors,
    ) {
        self.step(Step::FillsL1(k), out, |w| {
            let node = w.node(k);
            let (applied, epoch) = (node.state.applied, node.state.epoch);
            let stamp = match self.scenario.flaw {
                Some(Flaw::StampAtStore) => Stamp { seq: applied, epoch },
                Some(Flaw::StampWithoutTicket) => Stamp { epoch, ..stamp },
                _ => stamp,
            };
            if self.scenario.roles[k].l1 && self.admits(node, stamp) {
                let stale = freshness == Freshness::Stale;
                node.held = Some(Held { value, stamp, checked: None, stale });
            }
            go_on(w, k, life.map(|life| Stage::Store(value, stamp, life)));
            true
        });
    }

    /// A follower joins the flight, or wakes and judges the leader's result by its own arrival.
    fn follower(
        &self,
        k: usize,
        value: u8,
        (stamp, freshness): (Stamp, Freshness),
        out: &mut Successors,
    ) -> Result<(), Violation> {
        let node = &self.world.nodes[k];
        let Some(must_here) = node.follower else {
            self.step(Step::FollowerJoins(k), out, |w| {
                let joins = w.left.followers > 0;
                w.left.followers = w.left.followers.saturating_sub(1);
                let must_here = w.must_here(k);
                w.node(k).follower = Some(must_here);
                joins
            });
            return Ok(());
        };
        let fresh = freshness == Freshness::Fresh && node.state.expired_since(stamp, &node.named()).is_none();
        let accepts = self.within_lease(node) && self.admits(node, stamp) && fresh;
        if accepts || self.flawed(Flaw::FollowerUnchecked) {
            self.served_locally(k, value, must_here)?;
        }
        Ok(())
    }

    fn within_lease(&self, node: &Node) -> bool {
        moment(self.world.now) < node.state.serve_until() || self.flawed(Flaw::NoLease)
    }

    fn admits(&self, node: &Node, stamp: Stamp) -> bool {
        node.state.admits(stamp, &node.named()) || self.flawed(Flaw::NoEntryCheck)
    }

    /// G0 and G2 for what instance `k` serves without asking L2.
    fn served_locally(&self, k: usize, value: u8, must_here: u8) -> Result<(), Violation> {
        // A promotion in flight when the answer of a server that is gone arrives may carry a stamp of the new one: until
        // the audit, as G5 says.
        let flushed = self.world.is_flushed(k, self.scenario);
        if falls_behind(value, must_here & self.world.promised(|promise| !promise.lost || flushed)) {
            return Err(Violation::G0(k));
        }
        let node = &self.world.nodes[k];
        let (now, settings) = (moment(self.world.now), &node.state.settings);
        let cut_off = !node.bus_up && !node.commands_up;
        let missed = if cut_off { Some(self.world.now) } else { node.out_of_reach };
        let excused = missed.is_some_and(|tick| now < moment(tick).after(settings.lease));
        let bound = if excused { settings.lease + settings.partition_grace } else { settings.lease };
        let overdue = self.world.promised(|promise| {
            // A server that is gone may have given a lease until the instance heard of it.
            let since =
                if promise.lost { node.bus_lost.max(Some(promise.since)) } else { Some(promise.since) };
            let binds = !promise.lost || (flushed && node.bus_lost.is_some());
            promise.confirmed && binds && since.is_some_and(|tick| now >= moment(tick).after(bound))
        });
        if falls_behind(value, overdue) { Err(Violation::G2(k)) } else { Ok(()) }
    }
}

/// What a fill rests on whose lookup, at a position of our log, found no valid frame.
fn missed(flight: &Flight) -> Stage {
    let at = |at: Position| (Stamp { seq: at.seq, epoch: flight.ticket.epoch }, Some(at.incarnation));
    Stage::Missed(flight.position.map_or(flight.local, at))
}

/// Whether the log knows shapes of patterns that the instance does not.
fn learns(node: &Node, scores: &Scores) -> bool {
    node.state.clone().learn(&scores.shapes) == Learned::News
}

fn is_undecided(world: &World, k: usize) -> bool {
    let stage = world.nodes[k].flight.as_ref().map(|flight| &flight.stage);
    matches!(stage, Some(Stage::Looked(_) | Stage::Asking(_) | Stage::Scored(..)))
}

/// The flight goes on to `stage`, or is over; who followed it has been told.
fn go_on(w: &mut World, k: usize, stage: Option<Stage>) {
    let node = w.node(k);
    match (stage, &mut node.flight) {
        (Some(stage), Some(flight)) => {
            if matches!(stage, Stage::Store(..)) {
                node.follower = None;
            }
            flight.stage = stage;
        }
        _ => (node.flight, node.follower) = (None, None),
    }
}
