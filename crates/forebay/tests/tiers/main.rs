//! Two caches on one real Redis: what they share, what happens when Redis is broken, and what stands in it.

#![cfg(feature = "redis")]
#![expect(clippy::unwrap_used, reason = "helpers of tests; clippy excuses only the tests themselves")]

mod support;
mod validation;

mod broken;
mod cluster;
mod configurations;
mod hidden;
mod outages;
mod shared;
