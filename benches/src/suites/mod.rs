//! The suites: `hit`, `router`, `bypass`, `bypass-options`, `bypass-get`, `miss`, `cores`, `stampede`, `invalidate`, `l2`,
//! `compression`, `policy` and `e2e`.

mod compression;
mod cores;
mod e2e;
mod exchange;
mod invalidate;
mod invalidated;
mod l2;
mod policy;
mod stampede;
mod tools;

use crate::runner::Plan;

pub use exchange::{Exchange, Prepared};
pub use invalidated::{CASES, Invalidated};
pub use policy::{Judgement, judgements};

/// What is measured, how long, and which rows.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How long to measure.
    pub plan: Plan,
    /// Where not empty, only rows whose names contain one of these, beside the reference rows.
    pub only: Vec<String>,
}

impl Options {
    /// Whether the row `name` is wanted.
    pub fn wants(&self, name: &str) -> bool {
        REFERENCES.contains(&name)
            || self.only.is_empty()
            || self.only.iter().any(|part| name.contains(part.as_str()))
    }
}

/// Rows that others are compared with.
const REFERENCES: [&str; 2] = ["bare", "floor"];

/// The names of all suites.
pub const NAMES: [&str; 13] = [
    "hit",
    "router",
    "bypass",
    "bypass-options",
    "bypass-get",
    "miss",
    "cores",
    "stampede",
    "invalidate",
    "l2",
    "compression",
    "policy",
    "e2e",
];

/// Runs the suite `name` and prints its table.
///
/// # Errors
///
/// A sentence for the user, when the suite does not exist or needs something that the machine does not have.
pub fn run(name: &str, options: &Options) -> Result<(), String> {
    match name {
        "cores" => cores::run(options),
        "stampede" => stampede::run(options),
        "invalidate" => invalidate::run(options),
        "l2" => l2::run(options)?,
        "compression" => compression::run(options)?,
        "policy" => policy::run(options),
        "e2e" => e2e::run(options)?,
        _ => {
            let suite = Exchange::named(name)
                .ok_or_else(|| format!("no suite is called {name}; there are {}", NAMES.join(", ")))?;
            suite.run(options)?;
        }
    }
    Ok(())
}
