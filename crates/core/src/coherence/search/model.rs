//! What can happen next, and what must not.

use std::fmt;

use super::names::{Y, ident};
use super::scenario::{Flaw, Scenario};
use super::world::{ELSEWHERE, Invalidation, Promise, World, moment};
use crate::coherence::Event;
use crate::l2::Notice;

/// One step; those of an instance say which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Tick,
    OriginChanges,
    InvalidatedElsewhere,
    OtherInvalidated,
    PositionMovesOn,
    Flushed,
    Replicated,
    FailsOver,
    FailsOverDroppingMessages,
    InvalidationBegins(usize),
    InvalidationLands(usize),
    InvalidationConfirmed(usize),
    InvalidationTimesOut(usize),
    Acts(usize),
    Answered(usize),
    AnswerLost(usize),
    Hears(usize),
    MessageLost(usize),
    MessageTwice(usize),
    MessagesSwapped(usize),
    Lags(usize),
    HoldsEverywhere,
    Disconnected(usize),
    DisconnectedDroppingMessages(usize),
    Resubscribes(usize),
    CutOff(usize),
    CommandsCutOff(usize),
    Reachable(usize),
    Hit(usize),
    LooksUp(usize),
    Judges(usize),
    AsksLog(usize),
    JudgesByLog(usize),
    Fetches(usize),
    FillsL1(usize),
    StoresInL2(usize),
    FollowerJoins(usize),
    FollowerWakes(usize),
}

/// A guarantee that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Violation {
    /// An instance served what it had itself invalidated.
    G0(usize),
    /// L2 answered with what had been invalidated before the lookup.
    G1(usize),
    /// L2 holds a frame that an instance which knows nothing would take.
    G1Cold,
    /// L1 of another instance was served too long.
    G2(usize),
    /// An instance in sync served what had been waited for until it was gone everywhere.
    G3(usize),
    /// An instance threw its L1 away though the log has lost nothing.
    NeedlessFlush(usize),
    /// With nothing more going wrong, an instance does not get back into sync.
    NeverSettles(usize),
    /// A lost invalidation was not issued again though everyone is done.
    G5,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

pub(super) type Successors = Vec<(Step, World)>;

/// Takes one from a budget; 255 is without end.
pub(super) fn spend(left: &mut u8) -> bool {
    match *left {
        0 => false,
        u8::MAX => true,
        _ => {
            *left -= 1;
            true
        }
    }
}

/// Whether `value` falls behind one of these versions.
pub(super) fn falls_behind(value: u8, versions: u8) -> bool {
    versions >> (value + 1) != 0
}

/// Everything that can happen in `world`.
pub(super) fn successors(
    world: &World,
    scenario: &Scenario,
    out: &mut Successors,
) -> Result<(), (Step, Violation)> {
    let model = Model { world, scenario };
    model.surroundings(out);
    model.invalidations(out);
    for k in 0..2 {
        if scenario.roles[k].driven {
            model.driver(k, out);
        }
        if scenario.roles[k].bus {
            model.bus(k, out);
        }
        if scenario.roles[k].driven || scenario.roles[k].issues {
            model.links(k, out);
        }
        if scenario.roles[k].l1 {
            model.hit(k, out).map_err(|violation| (Step::Hit(k), violation))?;
        }
        if scenario.roles[k].fills {
            model.fill(k, out)?;
        }
    }
    Ok(())
}

/// What must hold in `world` whatever happens next.
pub(super) fn inspect(world: &World, scenario: &Scenario) -> Result<(), Violation> {
    if let (Some(frame), Some(position)) = (world.l2.frame, world.position()) {
        let alive = frame.at.incarnation == position.incarnation
            && frame.at.seq >= world.l2.floor
            && frame.at.seq >= world.l2.fresh_seq();
        if alive && falls_behind(frame.value, world.must()) {
            return Err(Violation::G1Cold);
        }
    }
    let kept = world.failover.is_none() && scenario.budget.flushes == 0 && !scenario.is_cut();
    let flushed = (0..2).find(|k| world.nodes[*k].state.epoch_floor > World::FIRST_EPOCH);
    if let (true, Some(k)) = (kept, flushed) {
        return Err(Violation::NeedlessFlush(k));
    }
    let done = world.failover.is_some()
        && world.invalidations.iter().all(|invalidation| invalidation.abandoned)
        && (0..2).all(|k| !scenario.roles[k].driven || world.nodes[k].is_quiet());
    if done && world.promised(|promise| promise.lost && promise.by != ELSEWHERE) != 0 {
        return Err(Violation::G5);
    }
    Ok(())
}

pub(super) struct Model<'a> {
    pub(super) world: &'a World,
    pub(super) scenario: &'a Scenario,
}

impl Model<'_> {
    pub(super) fn flawed(&self, flaw: Flaw) -> bool {
        self.scenario.flaw == Some(flaw)
    }

    /// Adds the world that `change` makes, if it makes one.
    pub(super) fn step(&self, step: Step, out: &mut Successors, change: impl FnOnce(&mut World) -> bool) {
        let mut next = self.world.clone();
        if change(&mut next) {
            out.push((step, next));
        }
    }

    fn surroundings(&self, out: &mut Successors) {
        let scenario = self.scenario;
        self.step(Step::Tick, out, |w| {
            let passes = spend(&mut w.left.ticks);
            w.now += 1;
            passes
        });
        self.step(Step::OriginChanges, out, |w| {
            let settled = w.origin == 0 || self.is_begun(w.origin);
            settled && spend(&mut w.left.writes) && {
                w.origin += 1;
                true
            }
        });
        if scenario.issued_elsewhere && self.world.origin > 0 && !self.is_begun(self.world.origin) {
            self.step(Step::InvalidatedElsewhere, out, |w| {
                let issued = w.invalidate(&scenario.invalidates.idents(), 0, scenario);
                w.promise(w.origin, ELSEWHERE, issued.position.seq, true);
                true
            });
        }
        self.waits(out);
        self.step(Step::OtherInvalidated, out, |w| {
            spend(&mut w.left.others) && w.invalidate(&[ident(Y)], 0, scenario).position.seq > 0
        });
        if self.world.l2.life > 0 {
            self.step(Step::PositionMovesOn, out, |w| {
                spend(&mut w.left.moves) && {
                    w.move_on(scenario);
                    true
                }
            });
            self.step(Step::Flushed, out, |w| {
                spend(&mut w.left.flushes) && {
                    w.l2 = super::disk::Disk::EMPTY;
                    true
                }
            });
        }
        if self.world.left.failovers > 0 {
            self.failover(out);
        }
    }

    /// Somebody who has waited for an invalidation is told that it holds everywhere.
    fn waits(&self, out: &mut Successors) {
        for (version, promise) in self.world.promises.iter().enumerate() {
            let Some(promise) = promise.filter(|promise| promise.by == ELSEWHERE && !promise.everywhere)
            else {
                continue;
            };
            self.step(Step::HoldsEverywhere, out, |w| {
                w.promises[version] = Some(Promise { everywhere: true, ..promise });
                spend(&mut w.left.waits) && self.world.holds_everywhere(&promise, self.scenario)
            });
        }
    }

    fn failover(&self, out: &mut Successors) {
        // Only the last copy before a failover counts: one of each is enough.
        if self.world.replica != self.world.l2 && !self.world.copied {
            self.step(Step::Replicated, out, |w| {
                w.replica = w.l2;
                w.copied = true;
                true
            });
        }
        for (step, drops) in [(Step::FailsOver, false), (Step::FailsOverDroppingMessages, true)] {
            if drops && self.world.nodes.iter().all(|node| node.queue.is_empty()) {
                continue;
            }
            self.step(step, out, |w| {
                let (new, old) = (w.replica.seq, w.clock);
                w.left.failovers -= 1;
                w.copied = false;
                w.l2 = w.replica;
                w.failover = Some((new, old));
                for promise in w.promises.iter_mut().flatten() {
                    promise.lost |= promise.confirmed && promise.seq > new;
                    if promise.lost && w.now > promise.since + self.scenario.audit_window {
                        // Too old for anyone to remember: a replica so far behind is beyond the guarantee.
                        promise.by = ELSEWHERE;
                    }
                }
                let kept = w.must();
                for k in 0..2 {
                    let bus = self.scenario.roles[k].bus;
                    let node = w.node(k);
                    if let Some(flight) = &mut node.flight {
                        flight.must &= kept;
                    }
                    if drops {
                        node.queue.retain(|notice| !matches!(notice, Notice::Message(_)));
                    }
                    if bus && node.subscribed {
                        node.subscribed = false;
                        node.queue.push_back(Notice::Lost);
                    }
                }
                true
            });
        }
    }

    fn is_begun(&self, version: u8) -> bool {
        let on_the_way = self.world.invalidations.iter().any(|i| i.version == version);
        on_the_way || self.world.promises[usize::from(version)].is_some()
    }

    fn invalidations(&self, out: &mut Successors) {
        let (world, scenario) = (self.world, self.scenario);
        for k in 0..2 {
            let due = scenario.roles[k].issues && world.origin > 0 && !self.is_begun(world.origin);
            if due && !world.invalidations.is_full() {
                self.step(Step::InvalidationBegins(k), out, |w| {
                    let ticket = w.nodes[k].state.ticket(moment(w.now));
                    let mut begun =
                        Invalidation { by: k, version: w.origin, ticket, issued: None, abandoned: false };
                    if !scenario.slow_invalidations && w.nodes[k].commands_up {
                        begun.issued =
                            Some(w.invalidate(&scenario.invalidates.idents(), ticket.highest, scenario));
                    }
                    w.invalidations.push(begun);
                    true
                });
            }
        }
        for (n, invalidation) in world.invalidations.iter().enumerate() {
            let Invalidation { by, version, ticket, issued, abandoned } = *invalidation;
            let reaches = abandoned || world.nodes[by].commands_up;
            if issued.is_none() && scenario.slow_invalidations && reaches {
                self.step(Step::InvalidationLands(by), out, |w| {
                    let issued = w.invalidate(&scenario.invalidates.idents(), ticket.highest, scenario);
                    w.invalidations[n].issued = Some(issued);
                    if abandoned {
                        w.invalidations.remove(n);
                    }
                    true
                });
            }
            if let Some(issued) = issued {
                self.step(Step::InvalidationConfirmed(by), out, |w| {
                    let now = w.now;
                    w.invalidations.remove(n);
                    w.node(by).on_event(Event::Issued(ticket, scenario.invalidates.idents(), issued), now);
                    w.promise(version, by, issued.position.seq, true);
                    w.confirm_queued(by, Some(issued.position.seq));
                    true
                });
            }
            if !abandoned {
                self.step(Step::InvalidationTimesOut(by), out, |w| {
                    if w.nodes[by].commands_up && !spend(&mut w.left.timeouts) {
                        return false;
                    }
                    let now = w.now;
                    w.invalidations[n].abandoned = true;
                    if issued.is_some() || !scenario.slow_invalidations {
                        w.invalidations.remove(n);
                    }
                    w.node(by).on_event(Event::Unconfirmed(scenario.invalidates.idents()), now);
                    w.promise(version, by, 0, false);
                    true
                });
            }
        }
    }
}
