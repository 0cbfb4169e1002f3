//! The two-tier cache under [Forebay](https://docs.rs/forebay): keys, entries, L1, flight,
//! coherence and the path that a request takes through them. It knows neither HTTP nor Redis.
//!
//! Most users want the `forebay` crate. This one is for writing another L2 ([`l2::L2`]) or another
//! kind of stored value ([`entry::Stored`]).
//!
//! Modules import only what stands above them in this list; `cargo xtask check` enforces it.

pub mod time;
pub mod key;
pub mod pattern;
pub mod tag;
pub mod entry;
pub mod l2;
pub mod holds;
pub mod compress;
pub mod seal;
pub mod frame;
pub mod event;
pub mod l1;
pub mod flight;
pub mod coherence;
pub mod breaker;
mod waiters;
mod sync_task;
pub mod shard;
pub mod instance;
mod everywhere;
pub mod hold;
pub mod seen;
mod lease;
pub mod seek;
pub mod tiers;
pub mod fetch;
