//! Several instances on one L2 in memory, under paused time: what each guarantee says, and what recovers from what.
//!
//! Nothing here takes real time: a test that lets a second pass lets the paused clock run through it, timer by timer.

#![expect(clippy::unwrap_used, reason = "helpers of tests; clippy excuses only the tests themselves")]

/// How many shards L2 has. `tests/sharded` runs most of these tests again with several.
pub(crate) const SHARDS: usize = 1;

mod support;
mod toy;

mod bounds;
mod change;
mod early;
mod everywhere;
mod extremes;
mod failovers;
mod failures;
mod forged;
mod guarantees;
mod holds;
mod leases;
mod limits;
mod losses;
mod patterns;
mod refused;
mod schedules;
mod soft;
mod stale;
mod strict;
mod tiers;
