//! Invalidation as users write it: at once, or collected and fired after a commit.

use std::collections::HashSet;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use forebay_core::instance::{Instance, InvalidateError, Receipt};
use forebay_core::tag::{Target, TargetError, Targets};

/// An invalidation. Made by [`Cache::invalidate`](crate::Cache::invalidate) and [`Pending::fire`]; it happens when it is awaited.
///
/// # Cancel safety
///
/// Once polled, it goes through even if the future is dropped.
#[must_use = "an invalidation happens when it is awaited"]
pub struct Invalidate {
    instance: Arc<Instance>,
    targets: Vec<Target>,
    /// A name that no entry can carry, of which the caller hears when the others are done.
    refused: Option<TargetError>,
    reach: Reach,
}

/// What an invalidation waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Until it is confirmed.
    Confirmed,
    /// Until it holds on every instance.
    Everywhere,
}

impl Invalidate {
    pub(crate) fn new(instance: &Arc<Instance>, targets: impl Targets) -> Self {
        let mut all = Vec::new();
        targets.collect(&mut all);
        Self { instance: Arc::clone(instance), targets: all, refused: None, reach: Reach::Confirmed }
    }

    /// Waits until no instance serves from L1 as in sync what has been invalidated: each that is live has applied it, or its
    /// lease has run out. Mostly a millisecond or two beyond the confirmation; with an instance that does not answer, a `lease`.
    ///
    /// An instance that cannot reach Redis may serve L1 out of sync for as long as its `partition_grace` permits: see
    /// [`partition_grace`](crate::CacheBuilder::partition_grace), and zero for not at all.
    ///
    /// ```
    /// # use forebay::{Cache, Tag};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # let cache = Cache::builder("shop").build().await?;
    /// cache.invalidate(Tag("article:42")).everywhere().await?; // whoever is told now finds it changed on any instance
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the invalidation, which is not waited for then; and [`InvalidateError::NotEverywhere`] when Redis falls silent
    /// while it is waited for.
    pub fn everywhere(mut self) -> Self {
        self.reach = Reach::Everywhere;
        self
    }

    async fn run(self) -> Result<Receipt, InvalidateError> {
        let Self { instance, targets, refused, reach } = self;
        if let (Some(error), true) = (&refused, targets.is_empty()) {
            return Err(InvalidateError::Target(error.clone()));
        }
        let mut done = instance.invalidate(targets).await?;
        if reach == Reach::Everywhere {
            done = instance.everywhere(done).await?;
        }
        refused.map_or(Ok(done), |error| Err(InvalidateError::Target(error)))
    }
}

impl IntoFuture for Invalidate {
    type Output = Result<Receipt, InvalidateError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Invalidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invalidate").field("targets", &self.targets).finish_non_exhaustive()
    }
}

/// Invalidations that wait for a commit. Made by [`Cache::pending`](crate::Cache::pending).
///
/// What is invalidated before a transaction commits may be stored again, as it was, by a request that comes in between. So collect
/// what changes on the way, and [`fire`](Self::fire) it after the commit: all of it in one round trip, however much it is (one
/// for each 1000 names). Dropped without that, as when the transaction fails, it does nothing.
///
/// ```
/// use forebay::{Cache, Event, Tag};
///
/// # struct Transaction;
/// # impl Transaction { async fn commit(self) -> std::io::Result<()> { Ok(()) } }
/// async fn rename(cache: &Cache, transaction: Transaction) -> Result<(), Box<dyn std::error::Error>> {
///     let mut changes = cache.pending();
///     changes.add(Tag("article:42")).add(Event("author.renamed.7"));
///     // .. more of the transaction, which may fail ..
///     transaction.commit().await?;
///     changes.fire().await?;
///     Ok(())
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let cache = Cache::builder("shop").build().await?;
/// rename(&cache, Transaction).await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "what is pending is invalidated by `fire`, and dropped it does nothing"]
pub struct Pending {
    instance: Arc<Instance>,
    targets: HashSet<Target>,
    refused: Option<TargetError>,
}

impl Pending {
    pub(crate) fn new(instance: &Arc<Instance>) -> Self {
        Self { instance: Arc::clone(instance), targets: HashSet::new(), refused: None }
    }

    /// Adds one target or several. What is there already counts once.
    pub fn add(&mut self, targets: impl Targets) -> &mut Self {
        let mut added = Vec::new();
        targets.collect(&mut added);
        for target in added {
            match target.ident(&self.instance.settings().secrets) {
                Ok(_) => drop(self.targets.insert(target)),
                Err(error) => drop(self.refused.get_or_insert(error)),
            }
        }
        self
    }

    /// How many targets wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Whether none does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Whether entries can carry all the names that were added, for those who want to know before they commit.
    ///
    /// # Errors
    /// The first name that no entry can carry.
    pub fn check(&self) -> Result<(), TargetError> {
        self.refused.clone().map_or(Ok(()), Err)
    }

    /// Invalidates everything that was added, as [`Cache::invalidate`](crate::Cache::invalidate) does. To be called after the
    /// commit, which a name that no entry can carry does not undo: the others are invalidated, and then that is the error.
    pub fn fire(self) -> Invalidate {
        let Self { instance, targets, refused } = self;
        let targets = targets.into_iter().collect();
        Invalidate { instance, targets, refused, reach: Reach::Confirmed }
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("targets", &self.targets).finish_non_exhaustive()
    }
}
