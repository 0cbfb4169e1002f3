//! What the tests in `tests/nodes` say, said again of an L2 of several shards, and what holds only there.
//!
//! A test's faults are those of the shard that its key `x` is in.

#![expect(clippy::unwrap_used, reason = "helpers of tests; clippy excuses only the tests themselves")]

pub(crate) const SHARDS: usize = 4;

#[path = "../nodes/support.rs"]
mod support;
#[path = "../nodes/toy.rs"]
mod toy;

#[path = "../nodes/bounds.rs"]
mod bounds;
#[path = "../nodes/change.rs"]
mod change;
#[path = "../nodes/early.rs"]
mod early;
#[path = "../nodes/everywhere.rs"]
mod everywhere;
#[path = "../nodes/extremes.rs"]
mod extremes;
#[path = "../nodes/failures.rs"]
mod failures;
#[path = "../nodes/guarantees.rs"]
mod guarantees;
#[path = "../nodes/holds.rs"]
mod holds;
#[path = "../nodes/leases.rs"]
mod leases;
#[path = "../nodes/losses.rs"]
mod losses;
mod parts;
#[path = "../nodes/refused.rs"]
mod refused;
#[path = "../nodes/schedules.rs"]
mod schedules;
#[path = "../nodes/soft.rs"]
mod soft;
#[path = "../nodes/stale.rs"]
mod stale;
#[path = "../nodes/strict.rs"]
mod strict;
#[path = "../nodes/tiers.rs"]
mod tiers;
