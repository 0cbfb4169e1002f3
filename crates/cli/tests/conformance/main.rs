//! `forebay serve` against the RFCs, from outside: a raw client on one side, a scripted origin on the other, and between
//! them the process as it ships, in the `proxy` profile. Nothing here knows how the cache works.
//!
//! Responses become stale by what they say of their age, not by waiting.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../serve/support.rs"]
#[expect(dead_code, reason = "the tests of serve use more of it")]
mod process;
mod support;

mod ages;
mod cache_status;
mod conditions;
mod directives;
mod fields;
mod freshness;
mod groups;
mod heads;
mod invalidation;
mod messages;
mod partial;
mod permission;
mod ranges;
mod requests;
mod stale;
mod statuses;
mod targeted;
mod updates;
mod validation;
mod vary;
