//! `forebay serve` as its users run it: a process with sockets on both sides.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

mod admin;
mod caching;
mod errors;
mod everywhere;
mod fields;
mod framing;
mod lifecycle;
mod rules;
mod settings;
mod sidecars;
mod upgrades;
