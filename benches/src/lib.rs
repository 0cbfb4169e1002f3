//! The harness in which Forebay is measured beside a hand-written floor and the published caches.
//!
//! How to run it, and what each row is, stands in `main.rs`. From the inside: an [`origin`] answers the requests of a
//! [`workload`]; each of the [`subjects`] stands in front of it and is reached through an [`endpoint`]; a suite lets
//! the [`runner`] drive all of them in turns and prints a [`table`]. [`callgrind`] counts instead of timing. [`outage`]
//! stands apart: it measures what the cache does while something is broken; and [`serving`] measures `forebay serve`.
//!
//! ```
//! use benches::endpoint::endpoint;
//! use benches::origin::{Leaf, Origin};
//! use benches::workload::{Requests, Workload};
//!
//! let origin = Origin::new();
//! let leaf: Leaf = origin.leaf();
//! let mut service = endpoint::<_, (), _>(leaf);
//! let runtime = benches::runner::runtime();
//! runtime.block_on(service.exchange(&mut Requests::new(Workload::SameKey), 10));
//! assert_eq!(origin.calls(), 10);
//! ```

pub mod origin;
pub mod workload;

pub mod endpoint;
pub mod subjects;

pub mod arguments;
pub mod callgrind;
pub mod runner;
pub mod suites;
pub mod table;

pub mod outage;
pub mod serving;
