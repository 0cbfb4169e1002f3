//! That the instances get back into sync once nothing more goes wrong.

use super::model::Violation;
use super::node::{answer, answered};
use super::scenario::Scenario;
use super::world::{ELSEWHERE, World, moment};
use crate::coherence::Event;

/// Lets everything that is under way arrive and every driver run for a while, then looks whether all is well.
pub(super) fn settles(mut w: World, scenario: &Scenario) -> Result<(), Violation> {
    let driven: Vec<usize> = (0..2).filter(|k| scenario.roles[*k].driven).collect();
    for k in &driven {
        mend(&mut w, *k, scenario);
    }
    confirm(&mut w, scenario);
    for _ in 0..ROUNDS {
        driven.iter().for_each(|k| run(&mut w, *k, scenario));
    }
    let in_sync = |k: usize| {
        let node = &w.nodes[k];
        let known = node.state.applied == w.l2.seq && node.state.highest <= w.l2.seq;
        known && node.is_quiet() && moment(w.now) < node.state.lease_until
    };
    match driven.into_iter().find(|k| !in_sync(*k)) {
        Some(k) => Err(Violation::NeverSettles(k)),
        None if w.promised(|promise| promise.lost && promise.by != ELSEWHERE) != 0 => Err(Violation::G5),
        None => Ok(()),
    }
}

fn mend(w: &mut World, k: usize, scenario: &Scenario) {
    let node = w.node(k);
    (node.bus_up, node.commands_up) = (true, true);
    if !node.subscribed {
        w.resubscribe(k, scenario);
    }
}

/// Every invalidation whose caller still waits lands and is confirmed.
fn confirm(w: &mut World, scenario: &Scenario) {
    let now = w.now;
    for invalidation in std::mem::take(&mut w.invalidations) {
        if !invalidation.abandoned {
            let (by, ticket) = (invalidation.by, invalidation.ticket);
            let issued = invalidation
                .issued
                .unwrap_or_else(|| w.invalidate(&scenario.invalidates.idents(), ticket.highest, scenario));
            w.node(by).on_event(Event::Issued(ticket, scenario.invalidates.idents(), issued), now);
            w.promise(invalidation.version, by, issued.position.seq, true);
            w.confirm_queued(by, Some(issued.position.seq));
        }
    }
}

/// Instance `k` hears what there is to hear and does one thing.
fn run(w: &mut World, k: usize, scenario: &Scenario) {
    let now = w.now;
    while let Some(notice) = w.node(k).queue.pop_front() {
        w.node(k).on_event(Event::Notice(notice), now);
    }
    if w.nodes[k].state.in_flight.is_none() {
        let Some(action) = w.node(k).state.next_action(moment(now)) else { return };
        w.node(k).reply = Some(answer(w, k, action, scenario));
    }
    answered(w, k);
    while let Some(notice) = w.node(k).queue.pop_front() {
        w.node(k).on_event(Event::Notice(notice), now);
    }
}

/// Enough for a poll, an audit, a re-issue, a catch-up in pages and a poll, twice over.
const ROUNDS: usize = 24;
