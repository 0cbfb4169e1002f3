//! A soak: random faults for a long time. Does anything grow, and is anything stale?

mod fault;
mod usage;
mod run;

pub(crate) use self::run::run;
