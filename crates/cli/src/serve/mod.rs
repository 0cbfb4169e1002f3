//! `forebay serve`: an intermediary around the cache layer.
//!
//! ```text
//! listen ── connection ── proxy ── fields ──> cache layer ──> forward ──> origin
//!           limits, idle  errors   what comes  what may be     what goes
//!           drain         of ours  in          answered here   out
//! ```
//!
//! What a client says that is not meant for the origin, or is not to be believed, is taken out in front of the layer, so
//! that the layer keys what the origin will see. What the proxy says itself is put in behind it, or is the same for all.

mod body;
mod failure;
mod refusal;
mod target;
mod forwarded;
mod fields;
mod answer;
mod tunnel;
mod forward;
mod usage;
mod proxy;
mod head;
mod connection;
mod drain;
mod backstage;
mod run;

pub(crate) use self::run::{Error, log_to_stderr, serve};
