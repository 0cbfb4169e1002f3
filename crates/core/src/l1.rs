//! L1: the tier inside the process, bounded by bytes.
//!
//! L1 holds values ready to be served, never encoded ones. It decides nothing: freshness and coherence are judged by
//! whoever reads. What has expired stays until it is replaced or makes room: moka's own expiry would cost every hit three
//! hundred instructions for memory that is bounded anyway.
//!
//! ```
//! use forebay_core::l1::L1Settings;
//!
//! let settings = L1Settings::bytes(64 << 20).max_entry(1 << 20);
//! assert!(settings.validate().is_ok());
//! assert!(L1Settings::bytes(10).validate().unwrap_err().to_string().contains("l1"));
//! ```

use std::fmt;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use moka::notification::RemovalCause;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::entry::{Entry, Stored};
use crate::key::{Key, Prehashed};

/// Which entry goes when L1 is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Eviction {
    /// The least frequently used, with newcomers admitted only when they are asked for more often than what they
    /// displace (W-TinyLFU). One-off requests cannot flush the hot set.
    #[default]
    TinyLfu,
    /// The least recently used.
    Lru,
}

/// How large L1 may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct L1Settings {
    bytes: u64,
    max_entry: u64,
    eviction: Eviction,
}

impl L1Settings {
    /// At most `bytes` bytes: bodies, headers, keys and bookkeeping together. At least 64 KiB.
    pub const fn bytes(bytes: u64) -> Self {
        Self { bytes, max_entry: 1 << 20, eviction: Eviction::TinyLfu }
    }

    /// The largest entry kept, in bytes; a larger response passes through to its client. Default 1 MiB.
    pub const fn max_entry(mut self, bytes: u64) -> Self {
        self.max_entry = bytes;
        self
    }

    /// Which entry goes when L1 is full. Default [`Eviction::TinyLfu`].
    pub const fn eviction(mut self, eviction: Eviction) -> Self {
        self.eviction = eviction;
        self
    }

    /// The largest entry kept, in bytes.
    #[must_use]
    pub const fn largest(&self) -> u64 {
        self.max_entry
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`L1Error`], naming the setting and what it accepts.
    pub fn validate(&self) -> Result<(), L1Error> {
        if !(MIN_BYTES..=MAX_BYTES).contains(&self.bytes) {
            return Err(L1Error::Bytes(self.bytes));
        }
        if self.max_entry == 0 || self.max_entry > self.bytes.min(u64::from(u32::MAX)) {
            return Err(L1Error::MaxEntry(self.max_entry));
        }
        Ok(())
    }
}

impl Default for L1Settings {
    fn default() -> Self {
        Self::bytes(256 << 20)
    }
}

/// A size that L1 cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum L1Error {
    /// The byte budget.
    Bytes(u64),
    /// The largest entry.
    MaxEntry(u64),
}

impl fmt::Display for L1Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(n) => {
                write!(f, "l1 of {n} bytes: the budget is {MIN_BYTES} bytes to {MAX_BYTES} bytes")
            }
            Self::MaxEntry(n) => {
                write!(
                    f,
                    "l1.max_entry of {n} bytes: an entry has at least 1 byte and at most the budget of l1 and 4 GiB"
                )
            }
        }
    }
}

impl std::error::Error for L1Error {}

/// The tier.
pub struct L1<V> {
    cache: Cache<Key, Arc<Entry<V>>, BuildHasherDefault<Prehashed>>,
    max_entry: u64,
}

impl<V: Stored> L1<V> {
    /// An empty L1 that calls `evicted` for each entry dropped for space.
    pub fn new(settings: L1Settings, evicted: impl Fn() + Send + Sync + 'static) -> Self {
        let policy = match settings.eviction {
            Eviction::TinyLfu => EvictionPolicy::tiny_lfu(),
            Eviction::Lru => EvictionPolicy::lru(),
        };
        let cache = Cache::builder()
            .max_capacity(settings.bytes)
            .eviction_policy(policy)
            .weigher(|_, entry: &Arc<Entry<V>>| u32::try_from(entry.weight()).unwrap_or(u32::MAX))
            .eviction_listener(move |_, _, cause| {
                if cause == RemovalCause::Size {
                    evicted();
                }
            })
            .build_with_hasher(BuildHasherDefault::default());
        Self { cache, max_entry: settings.max_entry }
    }

    /// The entry under `key`, whatever its state. No allocation.
    #[inline]
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<Entry<V>>> {
        self.cache.get(key)
    }

    /// Puts an entry in, unless it is too large; says whether it did.
    pub fn insert(&self, key: Key, entry: Arc<Entry<V>>) -> bool {
        // An oversize entry would be visible until the next maintenance.
        let fits = entry.weight() as u64 <= self.max_entry;
        if fits {
            self.cache.insert(key, entry);
        }
        fits
    }

    /// Drops the entry under `key`.
    pub fn remove(&self, key: &Key) {
        self.cache.invalidate(key);
    }

    /// Does the maintenance that would otherwise fall to a request.
    pub fn maintain(&self) {
        self.cache.run_pending_tasks();
    }

    /// How many entries L1 holds, as of the last maintenance.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.cache.entry_count()
    }

    /// The sum of their weights in bytes, as of the last maintenance.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.cache.weighted_size()
    }
}

impl<V> fmt::Debug for L1<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("L1").field("max_entry", &self.max_entry).finish_non_exhaustive()
    }
}

const MIN_BYTES: u64 = 64 << 10;
const MAX_BYTES: u64 = 1 << 44;
