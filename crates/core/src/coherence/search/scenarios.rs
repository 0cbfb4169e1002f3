//! The scenarios: each searched exhaustively, none may break a guarantee.

use super::scenario::{Budget, Flaw, Names, Role, Scenario};
use super::search;
use crate::coherence::Failover;

const NONE: Budget = Budget {
    ticks: 0,
    writes: 0,
    others: 0,
    disconnects: 0,
    losses: 0,
    duplicates: 0,
    swaps: 0,
    lags: 0,
    cuts: 0,
    timeouts: 0,
    moves: 0,
    flushes: 0,
    failovers: 0,
    followers: 0,
    lookups: u8::MAX,
    waits: 0,
};

/// One instance fills and invalidates, the other does everything else while the bus breaks.
pub(super) const BASE: Scenario = Scenario::new(
    "base",
    [Role { fills: true, issues: true, ..Role::ABSENT }, Role::READER],
    Budget { ticks: 1, writes: 1, disconnects: 1, lookups: 2, ..NONE },
);

/// The same with time between a look into L2 and the verdict on what it found.
pub(super) const VERDICTS: Scenario = Scenario {
    slow_verdicts: true,
    name: "verdicts",
    budget: Budget { ticks: 0, writes: 1, others: 1, lookups: 2, ..NONE },
    ..BASE
};

/// The bus loses, repeats, reorders and drops single messages.
pub(super) const BUS: Scenario = Scenario {
    issued_elsewhere: true,
    ..Scenario::new(
        "bus",
        [Role::READER, Role::ABSENT],
        Budget {
            ticks: 1,
            writes: 1,
            others: 1,
            losses: 1,
            duplicates: 1,
            swaps: 1,
            lags: 1,
            lookups: 1,
            ..NONE
        },
    )
};

/// The log is cut by size, catch-ups come in pages, the table is small.
pub(super) const CUT: Scenario = Scenario {
    issued_elsewhere: true,
    log_capacity: 1,
    page: 1,
    max_idents: 1,
    ..Scenario::new(
        "cut",
        [Role::READER, Role::ABSENT],
        Budget { ticks: 1, writes: 1, others: 1, losses: 1, lookups: 2, ..NONE },
    )
};

/// The log is cut by age, also while nobody invalidates.
pub(super) const AGE: Scenario = Scenario {
    issued_elsewhere: true,
    retention: 0,
    page: 1,
    ..Scenario::new(
        "age",
        [Role::READER, Role::ABSENT],
        Budget { ticks: 2, writes: 1, losses: 1, moves: 1, lookups: 2, ..NONE },
    )
};

/// L2 is cut off, wholly or in part, polls time out and the process sleeps.
pub(super) const GRACE: Scenario = Scenario {
    issued_elsewhere: true,
    grace: 2,
    ..Scenario::new(
        "grace",
        [Role::READER, Role::ABSENT],
        Budget { ticks: 2, writes: 1, cuts: 1, timeouts: 1, lookups: 1, ..NONE },
    )
};

/// A longer one, where nothing times out that can be reached.
pub(super) const SLEEP: Scenario = Scenario {
    name: "sleep",
    grace: 2,
    slow_polls: false,
    budget: Budget { ticks: 4, writes: 1, cuts: 1, lookups: 1, ..NONE },
    ..GRACE
};

/// What was missed fills several pages, and moves in the log while they are read.
pub(super) const PAGES: Scenario = Scenario {
    name: "pages",
    page: 1,
    slow_actions: true,
    budget: Budget { ticks: 1, writes: 2, others: 1, losses: 2, lookups: 1, ..NONE },
    ..BUS
};

/// Invalidations time out, landed or not; the issuer queues them.
pub(super) const UNCONFIRMED: Scenario = Scenario {
    slow_invalidations: true,
    slow_actions: true,
    ..Scenario::new(
        "unconfirmed",
        [Role { bus: false, ..Role::FULL }, Role::ABSENT],
        Budget { writes: 2, timeouts: 1, lookups: 2, ..NONE },
    )
};

/// The same while L2 cannot be reached.
pub(super) const QUEUED: Scenario = Scenario {
    name: "queued",
    invalidates: Names::XAndY,
    slow_polls: false,
    slow_verdicts: true,
    max_pending: 1,
    budget: Budget { writes: 1, others: 1, cuts: 1, lookups: 2, ..NONE },
    ..UNCONFIRMED
};

/// Followers wait for a flight that began before they came.
pub(super) const FOLLOWERS: Scenario = Scenario::new(
    "followers",
    [Role::FULL, Role::ABSENT],
    Budget { ticks: 1, writes: 1, timeouts: 1, followers: 1, lookups: 2, ..NONE },
);

/// A replica without the last invalidations takes over from the one that the only instance used.
pub(super) const FAILOVER: Scenario = Scenario {
    slow_invalidations: true,
    slow_actions: true,
    ..Scenario::new(
        "failover",
        [Role { driven: true, bus: true, issues: true, ..Role::ABSENT }, Role::ABSENT],
        Budget { writes: 1, others: 1, failovers: 1, timeouts: 1, ..NONE },
    )
};

/// Twice, and late: what was acknowledged is remembered for a tick only.
pub(super) const TWICE: Scenario = Scenario {
    name: "twice",
    slow_invalidations: false,
    slow_polls: false,
    audit_window: 1,
    budget: Budget { ticks: 1, writes: 1, failovers: 2, ..NONE },
    ..FAILOVER
};

/// Once, onto a log that has gone on meanwhile, and heard of late.
pub(super) const LATE: Scenario = Scenario {
    name: "late",
    slow_actions: false,
    budget: Budget { ticks: 2, writes: 1, others: 1, failovers: 1, ..NONE },
    ..TWICE
};

/// Onto a log that is cut at once, with little room for what was acknowledged.
pub(super) const CRAMPED: Scenario = Scenario {
    name: "cramped",
    slow_invalidations: false,
    slow_polls: false,
    log_capacity: 0,
    max_audited: 1,
    budget: Budget { writes: 1, others: 2, failovers: 1, ..NONE },
    ..FAILOVER
};

/// A replica takes over while the instance reads.
pub(super) const TAKEOVER: Scenario = Scenario {
    slow_polls: false,
    ..Scenario::new(
        "takeover",
        [Role::FULL, Role::ABSENT],
        Budget { writes: 1, others: 1, failovers: 1, lookups: 1, ..NONE },
    )
};

/// A replica takes over under two instances, of which one hears nothing.
pub(super) const TWO: Scenario = Scenario {
    name: "two",
    roles: [
        Role { driven: true, bus: true, issues: true, ..Role::ABSENT },
        Role { bus: false, ..Role::READER },
    ],
    budget: Budget { writes: 1, failovers: 1, lookups: 1, ..NONE },
    ..TAKEOVER
};

/// The namespace is flushed.
pub(super) const FLUSH: Scenario = Scenario {
    slow_actions: true,
    ..Scenario::new(
        "flush",
        [Role::FULL, Role::ABSENT],
        Budget { writes: 1, others: 1, flushes: 1, lookups: 2, ..NONE },
    )
};

/// The same with a clock that has been set back: the new life's numbers begin below the old one's.
pub(super) const SET_BACK: Scenario = Scenario { name: "set back", flaw: Some(Flaw::SeqReuse), ..FLUSH };

/// What is softly invalidated is not served as if it were fresh: the same with a bus that breaks,
pub(super) const SOFT: Scenario = Scenario { name: "soft", invalidates: Names::SoftlyX, ..BASE };

/// with a log and a table that are cut,
const SOFT_CUT: Scenario = Scenario { name: "soft, cut", invalidates: Names::SoftlyX, ..CUT };

/// while it stays unconfirmed,
const SOFT_UNCONFIRMED: Scenario =
    Scenario { name: "soft, unconfirmed", invalidates: Names::SoftlyX, ..UNCONFIRMED };

/// for followers,
const SOFT_FOLLOWERS: Scenario =
    Scenario { name: "soft, followers", invalidates: Names::SoftlyX, ..FOLLOWERS };

/// and when a failover has lost it.
const SOFT_FAILOVER: Scenario = Scenario { name: "soft, failover", invalidates: Names::SoftlyX, ..FAILOVER };

/// What a pattern covers is gone: with a bus that breaks,
pub(super) const PATTERNS: Scenario = Scenario { name: "patterns", invalidates: Names::Pattern, ..BASE };

/// with a log and a table that are cut,
const PATTERNS_CUT: Scenario = Scenario { name: "patterns, cut", invalidates: Names::Pattern, ..CUT };

/// while it stays unconfirmed,
const PATTERNS_UNCONFIRMED: Scenario =
    Scenario { name: "patterns, unconfirmed", invalidates: Names::Pattern, ..UNCONFIRMED };

/// and when a failover has lost it.
const PATTERNS_FAILOVER: Scenario =
    Scenario { name: "patterns, failover", invalidates: Names::Pattern, ..TAKEOVER };

/// A replica takes over where failovers flush: who knows of it serves nothing old, whatever was lost.
pub(super) const FLUSHES: Scenario = Scenario {
    name: "flushes",
    failover: Failover::Flush,
    budget: Budget { writes: 1, failovers: 1, lookups: 1, ..NONE },
    ..TAKEOVER
};

/// The same for an instance that only reads, and has not heard of what was lost.
pub(super) const FLUSHES_FOR_OTHERS: Scenario = Scenario {
    name: "flushes for others",
    roles: [Role::READER, Role::ABSENT],
    issued_elsewhere: true,
    budget: Budget { writes: 1, others: 1, failovers: 1, lookups: 2, ..NONE },
    ..FLUSHES
};

/// The same with time for a lease to run out, and with a bus that is lost before the server is.
pub(super) const FLUSHES_LATE: Scenario = Scenario {
    name: "flushes late",
    budget: Budget { ticks: 1, writes: 1, failovers: 1, disconnects: 1, lookups: 1, ..NONE },
    ..FLUSHES_FOR_OTHERS
};

/// An invalidation is waited for until it holds everywhere, while messages are lost.
pub(super) const EVERYWHERE: Scenario = Scenario {
    name: "everywhere",
    budget: Budget { ticks: 2, writes: 1, others: 1, losses: 1, lookups: 1, waits: 1, ..NONE },
    ..BUS
};

/// The same while the namespace is flushed, and with it the roll of who is there.
pub(super) const ROLL_LOST: Scenario = Scenario {
    name: "roll lost",
    budget: Budget { ticks: 1, writes: 1, others: 1, flushes: 1, lookups: 1, waits: 1, ..NONE },
    ..EVERYWHERE
};

/// Searches `scenario` and expects nothing.
fn holds(scenario: &Scenario) {
    let large = std::env::var("FOREBAY_SEARCH").is_ok_and(|bounds| bounds == "large");
    let scenario = if large { scenario.large() } else { *scenario };
    let outcome = search(&scenario).describe(&scenario);
    println!("{outcome}");
    assert!(!outcome.contains("broken"), "{outcome}");
}

#[test]
fn every_guarantee_holds_while_the_bus_breaks() {
    holds(&BASE);
}

#[test]
fn every_guarantee_holds_while_verdicts_take_their_time() {
    holds(&VERDICTS);
}

#[test]
fn every_guarantee_holds_while_messages_are_lost_repeated_and_reordered() {
    holds(&BUS);
}

#[test]
fn every_guarantee_holds_while_what_was_missed_fills_several_pages() {
    holds(&PAGES);
}

#[test]
fn every_guarantee_holds_while_the_log_and_the_table_are_cut() {
    holds(&CUT);
}

#[test]
fn every_guarantee_holds_while_the_log_ages() {
    holds(&AGE);
}

#[test]
fn every_guarantee_holds_while_l2_is_out_of_reach() {
    holds(&GRACE);
}

#[test]
fn every_guarantee_holds_when_the_process_has_slept() {
    holds(&SLEEP);
}

#[test]
fn every_guarantee_holds_while_invalidations_stay_unconfirmed() {
    holds(&UNCONFIRMED);
}

#[test]
fn every_guarantee_holds_while_invalidations_are_queued() {
    holds(&QUEUED);
}

#[test]
fn every_guarantee_holds_for_followers() {
    holds(&FOLLOWERS);
}

#[test]
fn what_a_failover_loses_is_issued_again() {
    holds(&FAILOVER);
}

#[test]
fn what_two_failovers_lose_is_issued_again_however_late() {
    holds(&TWICE);
}

#[test]
fn what_a_failover_loses_is_issued_again_where_room_is_short() {
    holds(&CRAMPED);
}

#[test]
fn every_guarantee_holds_while_a_replica_takes_over() {
    holds(&TAKEOVER);
}

#[test]
fn every_guarantee_holds_while_a_replica_takes_over_under_two() {
    holds(&TWO);
}

#[test]
fn every_guarantee_holds_when_the_namespace_is_flushed() {
    holds(&FLUSH);
}

#[test]
fn every_guarantee_holds_when_the_namespace_is_flushed_and_the_clock_set_back() {
    holds(&SET_BACK);
}

#[test]
fn where_failovers_flush_nothing_that_was_lost_is_served() {
    for scenario in [FLUSHES, FLUSHES_FOR_OTHERS, FLUSHES_LATE] {
        holds(&scenario);
    }
}

#[test]
fn what_was_waited_for_holds_everywhere() {
    for scenario in [EVERYWHERE, ROLL_LOST] {
        holds(&scenario);
    }
}

#[test]
fn what_a_pattern_covers_is_gone_whatever_breaks() {
    for scenario in [PATTERNS, PATTERNS_CUT, PATTERNS_UNCONFIRMED, PATTERNS_FAILOVER] {
        holds(&scenario);
    }
}

#[test]
fn what_is_softly_invalidated_is_expired_whatever_breaks() {
    for scenario in [SOFT, SOFT_CUT, SOFT_UNCONFIRMED, SOFT_FOLLOWERS, SOFT_FAILOVER] {
        holds(&scenario);
    }
}

#[test]
fn what_a_failover_loses_is_issued_again_though_nobody_notices_at_first() {
    holds(&LATE);
}
