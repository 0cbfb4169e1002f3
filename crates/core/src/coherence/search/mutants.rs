//! Each mechanism removed once: some scenario must notice.

use super::scenario::{Flaw, Scenario};
use super::scenarios::{
    AGE, BASE, BUS, CRAMPED, CUT, EVERYWHERE, FAILOVER, FLUSHES_FOR_OTHERS, FLUSHES_LATE, FOLLOWERS, GRACE,
    LATE, PAGES, PATTERNS, QUEUED, ROLL_LOST, SET_BACK, SOFT, TAKEOVER, TWICE, TWO, UNCONFIRMED,
};
use super::search;
use crate::coherence::mechanism::Mechanism;

/// What is removed from the state machine, and the scenario that misses it.
const MECHANISMS: [(Mechanism, Scenario); 36] = [
    (Mechanism::ApplyBeforeLease, BASE),
    (Mechanism::Audit, FAILOVER),
    (Mechanism::AuditBelowFloor, CRAMPED),
    (Mechanism::AuditLateAnswer, FAILOVER),
    (Mechanism::AuditOverflow, CRAMPED),
    (Mechanism::AuditRetry, FAILOVER),
    (Mechanism::AuditWindowHeld, LATE),
    (Mechanism::Bump, TAKEOVER),
    (Mechanism::CutRaisesFloor, CUT),
    (Mechanism::EpochFloor, SET_BACK),
    (Mechanism::FloorAtRead, CUT),
    (Mechanism::FlushOnTakeover, FLUSHES_FOR_OTHERS),
    (Mechanism::GapDetection, BUS),
    (Mechanism::GraceFromPoll, GRACE),
    (Mechanism::GraceFromSend, GRACE),
    (Mechanism::LeaseFromSend, BASE),
    (Mechanism::LogFloorAtRead, CUT),
    (Mechanism::PageEnd, PAGES),
    (Mechanism::PageFloor, CUT),
    (Mechanism::PageMoves, PAGES),
    (Mechanism::PendingOverflow, QUEUED),
    (Mechanism::ReachAtRead, BASE),
    (Mechanism::RegressionAtSend, BASE),
    (Mechanism::Resync, BASE),
    (Mechanism::SettleByTicket, UNCONFIRMED),
    (Mechanism::ShapesFromIdents, PATTERNS),
    (Mechanism::ShapesFromLog, PATTERNS),
    (Mechanism::SoftAtHit, SOFT),
    (Mechanism::SoftAtRead, SOFT),
    (Mechanism::SoftInLog, SOFT),
    (Mechanism::SuspectedPolls, FLUSHES_LATE),
    (Mechanism::Suspicion, FLUSHES_FOR_OTHERS),
    (Mechanism::TableAtRead, BASE),
    (Mechanism::TableFloor, CUT),
    (Mechanism::TaintAtRead, UNCONFIRMED),
    (Mechanism::VoidAnswers, TWICE),
];

/// What is wrong around the state machine, and the scenario that notices.
const FLAWS: [(Flaw, Scenario); 13] = [
    (Flaw::StampAtStore, BASE),
    (Flaw::NoReadCheck, BASE),
    (Flaw::NoEntryCheck, BASE),
    (Flaw::NoLease, BASE),
    (Flaw::SeqReuse, TAKEOVER),
    (Flaw::FloorNotRaisedByAge, AGE),
    (Flaw::FloorNotRaisedBySize, CUT),
    (Flaw::CheckedIsApplied, FOLLOWERS),
    (Flaw::FollowerUnchecked, FOLLOWERS),
    (Flaw::StampWithoutTicket, UNCONFIRMED),
    (Flaw::RollAsksNobody, EVERYWHERE),
    (Flaw::RollNotesAhead, EVERYWHERE),
    (Flaw::RollForgetsItsAge, ROLL_LOST),
];

/// Searches the mutants and says how many were noticed; a mutant that survives is named.
fn caught(mutants: impl ExactSizeIterator<Item = (String, Scenario)>) {
    let all = mutants.len();
    let mut survivors = Vec::new();
    for (name, mutant) in mutants {
        let outcome = search(&mutant);
        match &outcome.broken {
            Some(broken) => {
                let steps = broken.way.len();
                println!(
                    "{name}: {} in {} after {steps} steps, {} states",
                    broken.violation, mutant.name, outcome.states
                );
            }
            None => survivors.push(name),
        }
    }
    println!("caught {} of {all}", all - survivors.len());
    assert!(survivors.is_empty(), "not noticed: {survivors:?}");
}

#[test]
fn a_state_machine_without_one_of_its_mechanisms_is_caught() {
    caught(MECHANISMS.into_iter().map(|(removed, scenario)| {
        (format!("{removed:?}"), Scenario { knocked_out: Some(removed), ..scenario })
    }));
}

#[test]
fn a_flaw_around_the_state_machine_is_caught() {
    caught(
        FLAWS
            .into_iter()
            .map(|(flaw, scenario)| (format!("{flaw:?}"), Scenario { flaw: Some(flaw), ..scenario })),
    );
}

/// A second line: a frame that a log in decline shows is also overruled by the table, or lost within the bounds of G5.
#[test]
fn the_check_of_the_lineage_is_not_what_keeps_frames_right() {
    for scenario in [TWO, SET_BACK] {
        let unchecked = Scenario { knocked_out: Some(Mechanism::Lineage), ..scenario };
        let outcome = search(&unchecked);
        assert!(outcome.broken.is_none(), "{}", outcome.describe(&unchecked));
    }
}

#[test]
fn the_check_when_storing_is_economy_and_not_safety() {
    for scenario in [CUT, AGE, FOLLOWERS] {
        let unchecked = Scenario { flaw: Some(Flaw::NoStoreCheck), ..scenario };
        let outcome = search(&unchecked);
        assert!(outcome.broken.is_none(), "{}", outcome.describe(&unchecked));
    }
}
