//! Holding as users write it.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use forebay_core::hold::{Hold, HoldError};
use forebay_core::instance::{Instance, InvalidateError};
use forebay_core::tag::{Target, Targets};

use crate::duration::IntoDuration;
use crate::error::DurationError;
use crate::invalidate::Reach;

/// A hold that is yet to begin. Made by [`Cache::hold`](crate::Cache::hold); it begins when it is awaited.
///
/// # Cancel safety
///
/// Once polled, it goes through even if the future is dropped: then the hold ends after its time.
#[must_use = "a hold begins when it is awaited"]
pub struct PlaceHold {
    instance: Arc<Instance>,
    targets: Vec<Target>,
    at_most: Result<Duration, DurationError>,
    reach: Reach,
}

impl PlaceHold {
    pub(crate) fn new(instance: &Arc<Instance>, targets: impl Targets, at_most: impl IntoDuration) -> Self {
        let mut all = Vec::new();
        targets.collect(&mut all);
        let at_most = at_most.into_duration("at_most");
        Self { instance: Arc::clone(instance), targets: all, at_most, reach: Reach::Confirmed }
    }

    /// Waits until the hold is on everywhere: until no instance serves from L1 as in sync what is held. Else the others stop when
    /// the message reaches them, mostly within a millisecond. See [`Invalidate::everywhere`](crate::Invalidate::everywhere).
    ///
    /// # Errors
    ///
    /// Those of the hold, and [`HoldError::Unconfirmed`] when Redis falls silent while it is waited for; then the hold ends after
    /// its time.
    pub fn everywhere(mut self) -> Self {
        self.reach = Reach::Everywhere;
        self
    }

    async fn run(self) -> Result<Hold, HoldError> {
        let at_most = self.at_most.map_err(|error| HoldError::Time(error.value().to_owned()))?;
        let (hold, receipt) = self.instance.hold(self.targets, at_most).await?;
        if self.reach == Reach::Confirmed {
            return Ok(hold);
        }
        match self.instance.everywhere(receipt).await {
            Err(InvalidateError::NotEverywhere { source, .. }) => {
                Err(HoldError::Unconfirmed { source, shards: 0 })
            }
            _ => Ok(hold),
        }
    }
}

impl IntoFuture for PlaceHold {
    type Output = Result<Hold, HoldError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for PlaceHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlaceHold").field("targets", &self.targets).finish_non_exhaustive()
    }
}
