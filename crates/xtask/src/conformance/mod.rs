//! `cargo xtask conformance`: which sentences of the RFCs the sources implement and test, and which they do not.
//!
//! The sentences stand in `crates/xtask/spec`, one file for each RFC, copied from its text; the sources say under
//! which sentence they stand by marks. From both comes `docs/conformance.md`.

mod spec;
mod marks;
mod verdict;
mod report;
mod task;

pub(crate) use task::{Options, check, run};
