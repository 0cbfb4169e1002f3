//! How much of everything there may be.

use forebay_core::instance::Settings;

use crate::error::BuildError;

/// How large the tables, queues and lists of a cache may grow. Each has a default that a service need not think about; beyond one
/// the cache does less and never fails a request. `docs/limits.md` in the repository has all of them, with those that cannot be set.
///
/// ```
/// use forebay::{Cache, Limits};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let limits = Limits::default().max_flights(1_000).max_variants(8);
/// let cache = Cache::builder("shop").limits(limits).build().await?;
///
/// let error = Cache::builder("shop").limits(Limits::default().max_variants(0)).build().await.unwrap_err();
/// assert_eq!(error.to_string(), "limits.max_variants of 0: 1 to 256 is accepted");
/// # drop(cache);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Limits {
    flights: usize,
    followers: usize,
    pub(crate) variants: usize,
    pub(crate) routes: usize,
    pub(crate) query: usize,
    idents: usize,
    pending: usize,
    audited: usize,
    frame: usize,
    pub(crate) collected: usize,
}

impl Limits {
    /// The most flights at the same time: misses that others may wait for. Beyond it a miss is fetched by itself, and nobody waits for
    /// it. Default 65,536.
    pub const fn max_flights(mut self, flights: usize) -> Self {
        self.flights = flights;
        self
    }

    /// The most requests that wait for one flight. Beyond it they ask the origin themselves. Default 65,536.
    pub const fn max_followers(mut self, followers: usize) -> Self {
        self.followers = followers;
        self
    }

    /// The most variants of one URL that this instance stores. Beyond it they are not stored, until one expires. Default 32.
    pub const fn max_variants(mut self, variants: usize) -> Self {
        self.variants = variants;
        self
    }

    /// The most annotated routes that a layer around a router remembers. Beyond it a route is not cached. Default 10,000.
    pub const fn max_routes(mut self, routes: usize) -> Self {
        self.routes = routes;
        self
    }

    /// The longest query that is part of a key, in bytes. A request with a longer one is passed on. Default 2048.
    pub const fn max_query(mut self, bytes: usize) -> Self {
        self.query = bytes;
        self
    }

    /// How many invalidated idents this instance remembers, about 40 bytes each. Beyond it the older half is forgotten, and entries
    /// from before are asked for in Redis or fetched anew. Default 200,000.
    pub const fn max_idents(mut self, idents: usize) -> Self {
        self.idents = idents;
        self
    }

    /// How many invalidations wait for a Redis that does not answer. Beyond it they become one of the namespace. Default 10,000.
    pub const fn max_pending(mut self, idents: usize) -> Self {
        self.pending = idents;
        self
    }

    /// How many confirmed invalidations are looked for again after a reconnect. Beyond it a reconnect invalidates the namespace.
    /// Default 65,536.
    pub const fn max_audited(mut self, idents: usize) -> Self {
        self.audited = idents;
        self
    }

    /// The largest frame in L2, and the largest body in one, in bytes. A larger response is not stored there. Redis has
    /// a limit of its own, `Redis::max_value`, and the lower one holds. Default 8 MiB.
    pub const fn max_frame(mut self, bytes: usize) -> Self {
        self.frame = bytes;
        self
    }

    /// What all bodies together may take that are on their way into the cache or wait for a slow client behind it, in bytes. Beyond it
    /// a response passes through and is not stored. Default 256 MiB.
    ///
    /// ```
    /// let limits = forebay::Limits::default().max_collected(64 << 20); // in a container with little memory
    /// # drop(limits);
    /// ```
    pub const fn max_collected(mut self, bytes: usize) -> Self {
        self.collected = bytes;
        self
    }

    /// Checks the limits and puts those into force that the tiers keep.
    pub(crate) fn apply(&self, settings: &mut Settings) -> Result<(), BuildError> {
        let million = "1 to 10000000 is accepted";
        check("limits.max_flights", self.flights, 1, 10_000_000, million)?;
        check("limits.max_followers", self.followers, 1, 10_000_000, million)?;
        check("limits.max_variants", self.variants, 1, 256, "1 to 256 is accepted")?;
        check("limits.max_routes", self.routes, 1, 1_000_000, "1 to 1000000 is accepted")?;
        check("limits.max_query", self.query, 0, 4096, "0 to 4096 bytes is accepted")?;
        check("limits.max_idents", self.idents, 16, 10_000_000, "16 to 10000000 is accepted")?;
        check("limits.max_pending", self.pending, 1, 10_000_000, million)?;
        check("limits.max_audited", self.audited, 1, 10_000_000, million)?;
        check("limits.max_frame", self.frame, 1 << 10, 256 << 20, "1024 to 268435456 bytes is accepted")?;
        check("limits.max_collected", self.collected, 1 << 16, 1 << 40, "64 KiB to 1 TiB is accepted")?;
        settings.flights.flights = self.flights;
        settings.flights.followers = self.followers;
        settings.coherence.max_idents = self.idents;
        settings.coherence.max_pending = self.pending;
        settings.coherence.max_audited = self.audited;
        settings.frames.max_len = self.frame;
        Ok(())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            flights: 65_536,
            followers: 65_536,
            variants: 32,
            routes: 10_000,
            query: 2048,
            idents: 200_000,
            pending: 10_000,
            audited: 65_536,
            frame: 8 << 20,
            collected: 256 << 20,
        }
    }
}

fn check(
    setting: &'static str,
    value: usize,
    low: usize,
    high: usize,
    accepted: &'static str,
) -> Result<(), BuildError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(BuildError::Range { setting, value: value.to_string(), accepted })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_tiers() {
        let (mut limited, plain) = (Settings::new("test", None), Settings::new("test", None));
        Limits::default().apply(&mut limited).unwrap();
        assert_eq!(limited.flights, plain.flights);
        assert_eq!(limited.frames, plain.frames);
        let table = |settings: &Settings| {
            let coherence = &settings.coherence;
            (coherence.max_idents, coherence.max_pending, coherence.max_audited)
        };
        assert_eq!(table(&limited), table(&plain));
    }

    #[test]
    fn absurd_limits_are_named() {
        let limits = Limits::default();
        for (limits, setting) in [
            (limits.max_flights(0), "limits.max_flights"),
            (limits.max_followers(0), "limits.max_followers"),
            (limits.max_variants(257), "limits.max_variants"),
            (limits.max_routes(0), "limits.max_routes"),
            (limits.max_query(5000), "limits.max_query"),
            (limits.max_idents(0), "limits.max_idents"),
            (limits.max_pending(0), "limits.max_pending"),
            (limits.max_audited(0), "limits.max_audited"),
            (limits.max_frame(0), "limits.max_frame"),
        ] {
            let error = limits.apply(&mut Settings::new("test", None)).unwrap_err();
            assert!(error.to_string().starts_with(&format!("{setting} of ")), "{error}");
        }
    }
}
