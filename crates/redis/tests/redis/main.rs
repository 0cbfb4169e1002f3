//! The L2 against a real Redis: what it does, what it does when Redis loses something, and when Redis is lost.

#![expect(clippy::unwrap_used, reason = "helpers that fail are the test failing")]

mod support;

mod bus;
mod configurations;
mod conformance;
mod forged;
mod leases;
mod losses;
mod operations;
mod outages;
mod replicas;
mod topologies;
