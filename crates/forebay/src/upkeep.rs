//! How entries are kept fresh.

use std::ops::RangeInclusive;
use std::time::Duration;

use forebay_core::entry::Early;
use forebay_core::time::Random;
use forebay_policy::freshness::NOT_FOUND_TTL;
use forebay_policy::storable::Lifetime;

use crate::duration::IntoDuration;
use crate::error::RouteError;

/// How entries are kept fresh. For a cache: [`CacheBuilder::upkeep`](crate::CacheBuilder::upkeep). A route says each of
/// these for itself, with a method of the same name. Whatever neither says is not done.
///
/// ```
/// use forebay::{Cache, Upkeep};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// // For all routes, unless one says otherwise.
/// let upkeep = Upkeep::new().refresh_ahead(0.8).jitter(0.1);
/// let cache = Cache::builder("shop").upkeep(upkeep).build().await?;
///
/// let report = cache.route().ttl("10m").refresh_early(1.0).negative_ttl("10s");
/// # drop(report);
///
/// let error = Cache::builder("shop").upkeep(Upkeep::new().jitter(7.0)).build().await.unwrap_err();
/// assert_eq!(error.to_string(), "jitter of 7: 0 to 0.5 is accepted");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "upkeep works as part of a cache or a route"]
pub struct Upkeep {
    ahead: Option<f64>,
    early: Option<f64>,
    jitter: Option<f64>,
    pub(crate) negative_ttl: Option<Duration>,
    soft_timeout: Option<Duration>,
    hard_timeout: Option<Duration>,
    error: Option<RouteError>,
}

impl Upkeep {
    /// Nothing said.
    pub fn new() -> Self {
        Self::default()
    }

    /// A request that comes when this part of an answer's time is over is answered at once, and the answer fetched anew beside
    /// that: 0.8 leaves the last fifth for it. What is asked for that often never expires, and nobody waits for it; what
    /// nobody asks for is left to expire. One fetch at a time, and none for a second after one that has failed.
    ///
    /// The time counts from when the answer arrived. From 0.01 to 1; 1 for not at all.
    pub fn refresh_ahead(mut self, part: f64) -> Self {
        self.ahead = self.within("refresh_ahead", part, 0.01..=1.0, "0.01 to 1 is accepted");
        self
    }

    /// The same by chance, the likelier the nearer the end and the longer the handler took for the answer (XFetch):
    /// instances, and entries that were made together, do not all fetch at the same moment, and what is cheap is left alone for
    /// longer. The number weighs what a fetch costs: 1 for what it took, more to fetch earlier, less to fetch later.
    ///
    /// From 0 to 10; 0 for not at all.
    pub fn refresh_early(mut self, weight: f64) -> Self {
        self.early = self.within("refresh_early", weight, 0.0..=10.0, "0 to 10 is accepted");
        self
    }

    /// Each answer is fresh for a little less than it was said to be, by up to this part of it, so that what was stored together
    /// does not expire together. Never for more. Cache-Status tells the shorter time, on all instances the same.
    ///
    /// From 0 to 0.5; 0 for not at all.
    pub fn jitter(mut self, part: f64) -> Self {
        self.jitter = self.within("jitter", part, 0.0..=0.5, "0 to 0.5 is accepted");
        self
    }

    /// Answers with 404 and 410 that do not say themselves how long they are fresh are fresh for this long, whatever the
    /// route's `ttl`. At most a minute: what is missing now may soon be there.
    pub fn negative_ttl(mut self, ttl: impl IntoDuration) -> Self {
        match ttl.into_duration("negative_ttl") {
            Ok(ttl) if ttl <= NOT_FOUND_TTL => self.negative_ttl = Some(ttl),
            Ok(ttl) => self.note(out_of_range("negative_ttl", ttl, "up to 1m is accepted")),
            Err(error) => self.note(RouteError::Duration(error)),
        }
        self
    }

    /// A handler that takes longer than this is answered for by what is stale, where `stale_if_error` or what stands in for it
    /// permits that. The call goes on, one at a time, and what comes of it is stored. Cache-Status says `detail=origin-slow`.
    ///
    /// At most ten minutes, and less than `hard_timeout`. It counts until the head of the answer, and from when the request began to
    /// wait, for another instance or for the handler.
    pub fn soft_timeout(mut self, timeout: impl IntoDuration) -> Self {
        self.soft_timeout = self.timeout("soft_timeout", timeout);
        self
    }

    /// No request waits for its answer longer than this: it gets what is stale where that is permitted, else a 504 with
    /// `detail=origin-timeout`. The call goes on for as long as any fill may, and what comes of it is stored.
    ///
    /// At most ten minutes. It counts until the head of the answer, and from when the request began to wait; for another's answer it
    /// waits so long in place of the cache's `flight_wait`. Requests that may change something are not timed.
    pub fn hard_timeout(mut self, timeout: impl IntoDuration) -> Self {
        self.hard_timeout = self.timeout("hard_timeout", timeout);
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// The first [`RouteError`].
    pub fn check(&self) -> Result<(), RouteError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        match (self.soft_timeout, self.hard_timeout) {
            (Some(soft), Some(hard)) if soft >= hard => {
                Err(out_of_range("soft_timeout", soft, "less than hard_timeout is accepted"))
            }
            _ => Ok(()),
        }
    }

    /// The soft one and the hard one.
    pub(crate) const fn timeouts(&self) -> (Option<Duration>, Option<Duration>) {
        (self.soft_timeout, self.hard_timeout)
    }

    fn timeout(&mut self, setting: &'static str, timeout: impl IntoDuration) -> Option<Duration> {
        match timeout.into_duration(setting) {
            Ok(timeout) if timeout <= LONGEST_TIMEOUT => return Some(timeout),
            Ok(timeout) => self.note(out_of_range(setting, timeout, "up to 10m is accepted")),
            Err(error) => self.note(RouteError::Duration(error)),
        }
        None
    }

    /// What these leave open is as `others` say.
    pub(crate) fn or(self, others: &Self) -> Self {
        Self {
            ahead: self.ahead.or(others.ahead),
            early: self.early.or(others.early),
            jitter: self.jitter.or(others.jitter),
            negative_ttl: self.negative_ttl.or(others.negative_ttl),
            soft_timeout: self.soft_timeout.or(others.soft_timeout),
            hard_timeout: self.hard_timeout.or(others.hard_timeout),
            error: self.error,
        }
    }

    /// When an answer that has cost this much is fetched anew.
    pub(crate) fn early(&self, lifetime: &Lifetime, cost: Duration) -> Early {
        let ahead = (1.0 - self.ahead.unwrap_or(1.0)).max(0.0);
        Early { ahead: lifetime.remaining().mul_f64(ahead), spread: cost.mul_f64(self.early.unwrap_or(0.0)) }
    }

    /// The lifetime with what chance takes of it.
    pub(crate) fn jittered(&self, lifetime: Lifetime, chance: &Random) -> Lifetime {
        match self.jitter {
            Some(part) if part > 0.0 => lifetime.shortened(part * chance.unit()),
            _ => lifetime,
        }
    }

    fn within(
        &mut self,
        setting: &'static str,
        value: f64,
        range: RangeInclusive<f64>,
        accepted: &'static str,
    ) -> Option<f64> {
        if range.contains(&value) {
            return Some(value);
        }
        self.note(RouteError::Range { setting, value: value.to_string(), accepted });
        None
    }

    fn note(&mut self, error: RouteError) {
        self.error.get_or_insert(error);
    }
}

fn out_of_range(setting: &'static str, value: Duration, accepted: &'static str) -> RouteError {
    RouteError::Range { setting, value: humantime::format_duration(value).to_string(), accepted }
}

const LONGEST_TIMEOUT: Duration = Duration::from_secs(10 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_told_by_its_name() {
        let new = Upkeep::new;
        for (upkeep, expected) in [
            (new().refresh_ahead(0.0), "refresh_ahead of 0: 0.01 to 1 is accepted"),
            (new().refresh_ahead(f64::NAN), "refresh_ahead of NaN: 0.01 to 1 is accepted"),
            (new().refresh_early(-1.0), "refresh_early of -1: 0 to 10 is accepted"),
            (new().jitter(0.6), "jitter of 0.6: 0 to 0.5 is accepted"),
            (new().soft_timeout("11m"), "soft_timeout of 11m: up to 10m is accepted"),
            (
                new().hard_timeout("1s").soft_timeout("2s"),
                "soft_timeout of 2s: less than hard_timeout is accepted",
            ),
            (new().negative_ttl("2m"), "negative_ttl of 2m: up to 1m is accepted"),
        ] {
            assert_eq!(upkeep.check().unwrap_err().to_string(), expected);
        }
        let all = new().refresh_ahead(1.0).refresh_early(10.0).jitter(0.5).negative_ttl("1m");
        assert_eq!(all.check(), Ok(()));
        let soon = new().negative_ttl("soon").check().unwrap_err().to_string();
        assert!(soon.contains("negative_ttl") && soon.contains("soon"));
    }

    #[test]
    fn a_route_outranks_its_cache_one_by_one() {
        let route = Upkeep::new().refresh_ahead(1.0).negative_ttl("5s");
        let merged = route.or(&Upkeep::new().refresh_ahead(0.5).jitter(0.2).negative_ttl("9s"));
        assert_eq!((merged.ahead, merged.jitter), (Some(1.0), Some(0.2)));
        assert_eq!(merged.negative_ttl, Some(Duration::from_secs(5)));
    }
}
