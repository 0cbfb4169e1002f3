//! The layer as a service around real handlers, attacked from outside: every way in which a cache has handed one client's
//! answer to another, kept half of a body or left somebody waiting.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

mod annotations;
mod body;
mod builder;
mod flight;
mod hyper;
mod keys;
mod orders;
mod post;
mod responses;
mod shared;
mod users;
