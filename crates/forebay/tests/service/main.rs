//! The layer as a service around real handlers, attacked from outside: every way in which a cache has handed one client's
//! answer to another, kept half of a body or left somebody waiting.

#![expect(clippy::unwrap_used, reason = "tests")]

mod shop;
mod support;

mod annotations;
mod body;
mod builder;
mod changes;
mod directives;
mod fallback;
mod flight;
mod harm;
mod head;
mod hyper;
mod invalidation;
mod keys;
mod leases;
mod limits;
mod nested;
mod orders;
mod parts;
mod policy;
mod post;
mod ranges;
mod refresh;
mod responses;
mod seen;
mod shared;
mod strict;
mod timeouts;
mod upkeep;
mod users;
mod validation;
mod validation_beside;
