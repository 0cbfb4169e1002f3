//! What the cache does while something is broken, as figures: real processes, real sockets, a real Redis.
//!
//! How to run it stands in `bin/outage.rs`. From the inside: [`instance`] is a child process that serves through the cache;
//! [`versions`] is the origin behind it, whose answers say which version of the data they saw; . The
//! other modules are one measurement each.
//!
//! ```
//! use std::time::Duration;
//!
//! let mut waits: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
//! assert_eq!(benches::outage::quantile(&mut waits, 0.99), Duration::from_millis(99));
//! ```

pub mod versions;

pub mod instance;
pub mod traffic;

pub mod coherence;
pub mod leases;
pub mod memory;
pub mod propagation;
pub mod redis_gone;
pub mod stampede;

use std::time::Duration;

/// What goes wrong with a measurement itself.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// How a measurement ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// Every bound held.
    Held,
    /// One did not.
    Broken,
}

impl Outcome {
    /// [`Outcome::Held`] if `condition` holds.
    pub fn of(condition: bool) -> Self {
        if condition { Self::Held } else { Self::Broken }
    }

    /// The worse of the two.
    pub fn and(self, other: Self) -> Self {
        if self == Self::Held { other } else { self }
    }
}

/// The value below which `share` of the values lie; sorts them. Zero where there are none.
pub fn quantile(values: &mut [Duration], share: f64) -> Duration {
    values.sort_unstable();
    let index = (values.len() as f64 * share).ceil() as usize;
    values.get(index.clamp(1, values.len().max(1)) - 1).copied().unwrap_or_default()
}

/// Milliseconds for a table.
pub(crate) fn ms(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1e3)
}
