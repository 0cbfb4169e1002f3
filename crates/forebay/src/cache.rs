//! The cache's handle and its builder.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use forebay_core::coherence::{Bookkeeping, Failover, Standing};
use forebay_core::compress::Compression;
use forebay_core::event::{Event, Names};
use forebay_core::instance::{Instance, Settings};
use forebay_core::l1::L1Settings;
use forebay_core::l2::{Census, L2, MAX_TERM, Shards};
use forebay_core::seek::FillLease;
use forebay_core::tag::Targets;
use forebay_core::tiers::Tiers;
use forebay_core::time::{Clock, Random};
use forebay_policy::profile::Policy;
use forebay_policy::status::CacheName;

#[cfg(feature = "chaos")]
use crate::chaos::{Chaos, ChaosL2};
use crate::duration::IntoDuration;
use crate::error::{BuildError, DurationError, RouteError};
use crate::hold::PlaceHold;
use crate::http::{CacheLayer, InvalidatesLayer, RouteLayer};
use crate::hub::{Authority, Bounds, Hub, Tokens};
use crate::invalidate::{Invalidate, Pending};
use crate::limits::Limits;
use crate::route::{LEAST_LEASE, RouteOptions};
use crate::rules::Rules;
use crate::stored::Kept;
use crate::upkeep::Upkeep;

/// A handle to a cache: layers, annotations and invalidation hang off it. Cheap to clone; made once.
///
/// ```
/// use axum::{Router, routing::get};
/// use forebay::{Cache, Tag};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let cache = Cache::builder("shop").build().await?;
/// let app: Router = Router::new()
///     .route(
///         "/articles/{id}",
///         get(async || "an article").layer(cache.route().ttl("5m").tags(["article:{id}", "articles"])),
///     )
///     .layer(cache.layer());
///
/// cache.invalidate(Tag("article:42")).await?;
/// # drop(app);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Cache {
    hub: Arc<Hub>,
}

impl Cache {
    /// Starts the configuration of a cache. Instances with the same namespace on the same L2 share their entries; the name has
    /// 1 to 64 characters out of `a-z`, `0-9`, `_`, `.` and `-`.
    pub fn builder(namespace: impl Into<String>) -> CacheBuilder {
        CacheBuilder::new(namespace.into())
    }

    /// A layer that caches what its responses, or annotated routes inside of it, say may be cached.
    ///
    /// Put it inside of whatever authenticates and outside of whatever compresses: the cache has to see whom the handler
    /// sees, and what leaves it should be what every client can read.
    pub fn layer(&self) -> CacheLayer {
        CacheLayer::new(Arc::clone(&self.hub), None)
    }

    /// A layer for one route, which says how its responses are cached.
    pub fn route(&self) -> RouteLayer {
        RouteLayer::new(Arc::clone(&self.hub))
    }

    /// A table of rules, for saying in one place what [`route`](Self::route) says at each route.
    ///
    /// ```
    /// # use forebay::Cache;
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # let cache = Cache::builder("shop").build().await?;
    /// let layer = cache
    ///     .rules()
    ///     .at("/api/search", |route| route.ttl("30s").query(["q", "page"]))
    ///     .at("/articles/{id}", |route| route.ttl("5m").tags(["article:{id}"]))
    ///     .at("/admin/*", |route| route.off())
    ///     .layer()?;
    /// # drop(layer);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rules(&self) -> RulesBuilder {
        RulesBuilder { hub: Arc::clone(&self.hub), rules: Vec::new() }
    }

    /// A layer for a mutating route: when a POST, PUT, PATCH or DELETE through it succeeds (2xx or 3xx), these tags are
    /// invalidated before the client hears of it. `{name}` stands for a parameter of the path.
    ///
    /// A template whose parameter the path does not have invalidates the namespace, rather than nothing.
    ///
    /// ```
    /// # use forebay::Cache;
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # let cache = Cache::builder("shop").build().await?;
    /// use axum::{Router, routing::{get, put}};
    ///
    /// let show = get(async || "a deployment").layer(cache.route().ttl("5m").on(["deployment.update.{id}"]));
    /// let update = put(async || "updated")
    ///     .layer(cache.invalidates(["deployments"]).events(["deployment.update.{id}"]));
    /// let app: Router = Router::new().route("/deployments/{id}", show.merge(update));
    /// # drop(app);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// When a template cannot be read, as [`try_invalidates`](Self::try_invalidates) would tell.
    #[track_caller]
    pub fn invalidates<T: AsRef<str>>(&self, tags: impl IntoIterator<Item = T>) -> InvalidatesLayer {
        match self.try_invalidates(tags) {
            Ok(layer) => layer,
            Err(error) => panic!("{error}"),
        }
    }

    /// The same, for templates that are not known to be well-formed.
    ///
    /// # Errors
    /// [`RouteError::Template`].
    pub fn try_invalidates<T: AsRef<str>>(
        &self,
        tags: impl IntoIterator<Item = T>,
    ) -> Result<InvalidatesLayer, RouteError> {
        InvalidatesLayer::new(Arc::clone(&self.hub), tags)
    }

    /// Invalidates one target or several, on every instance.
    ///
    /// Once it is `Ok`, this instance serves nothing that was fetched before, and no instance finds such a response in L2;
    /// other instances drop theirs when the message reaches them, at the latest after the lease. One round trip to Redis,
    /// however many entries there are.
    ///
    /// ```
    /// use forebay::{All, Cache, Event, Path, Pattern, Prefix, Tag};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # let cache = Cache::builder("shop").build().await?;
    /// cache.invalidate(Tag("article:42")).await?;
    /// cache.invalidate([Path("/articles"), Path("/feed")]).await?;
    /// cache.invalidate((Prefix("/articles"), Tag("authors"))).await?;
    /// cache.invalidate(Event("deployment.update.42")).await?; // for whoever is `.on(["deployment.update.{id}"])`
    /// cache.invalidate(Pattern("/articles/*/comments")).await?;
    /// cache.invalidate(All).await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// With [`Soft`](crate::Soft) the entries are not gone but expired from now on: they may be served while they are fetched
    /// anew, or in place of an error, where the response or its route allows that, and a 304 makes them fresh again. Where
    /// nothing is allowed the next request fetches, as after any invalidation.
    ///
    /// ```
    /// use forebay::{Cache, Soft, Tag};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # let cache = Cache::builder("shop").build().await?;
    /// cache.invalidate(Soft([Tag("rates"), Tag("feed")])).await?; // old rates beat no rates
    /// cache.invalidate((Tag("article:42"), Soft(Tag("articles")))).await?; // the article at once, the lists soon
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidateError::Target`](crate::InvalidateError::Target) for a name that no entry can carry. In that case nothing has happened.
    /// [`InvalidateError::Unconfirmed`](crate::InvalidateError::Unconfirmed) when Redis did not confirm: it has taken effect on this instance, and is sent again until Redis has it.
    ///
    /// # Cancel safety
    ///
    /// Once polled, it goes through even if the future is dropped.
    pub fn invalidate(&self, targets: impl Targets) -> Invalidate {
        Invalidate::new(self.hub.tiers.instance(), targets)
    }

    /// Collects what a transaction changes, to be invalidated when it has committed. See [`Pending`].
    pub fn pending(&self) -> Pending {
        Pending::new(self.hub.tiers.instance())
    }

    /// Invalidates one target or several, and keeps what answers to them out of the cache, on every instance, until the hold is
    /// released, which invalidates them again. For as long as requests ask the origin, each for itself.
    ///
    /// [`pending`](Self::pending) is enough for most changes: after a commit, it clears what was stored before. Between the commit
    /// and that moment other instances may answer with what was, and if this process dies in between, they go on. A hold around the
    /// transaction leaves neither: nothing is cached that was read before its end, and it ends by itself `at_most` after it
    /// began (5 minutes at most) should nobody release it, with the same invalidation. So it does, too, for a database whose
    /// replicas lag.
    ///
    /// One round trip to Redis to begin it and one to end it, however many entries there are. While anything is held, each miss on
    /// any instance costs one round trip more.
    ///
    /// ```
    /// use forebay::{Cache, Released, Tag};
    ///
    /// # struct Transaction;
    /// # impl Transaction { async fn commit(self) -> std::io::Result<()> { Ok(()) } }
    /// async fn reprice(cache: &Cache, transaction: Transaction) -> Result<(), Box<dyn std::error::Error>> {
    ///     let hold = cache.hold([Tag("prices"), Tag("article:42")], "10s").everywhere().await?;
    ///     // .. more of the transaction ..
    ///     transaction.commit().await?;
    ///     if let Released::TooLate(_) = hold.release().await? {
    ///         eprintln!("the transaction took longer than 10 s: old prices may have been served in between");
    ///     }
    ///     Ok(())
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let cache = Cache::builder("shop").build().await?;
    /// reprice(&cache, Transaction).await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`HoldError`](crate::HoldError). Nothing is held then; when it is that Redis did not confirm, the targets are invalidated as
    /// far as that was possible.
    ///
    /// # Cancel safety
    ///
    /// Once polled, it goes through even if the future is dropped: then the hold ends `at_most` later.
    pub fn hold(&self, targets: impl Targets, at_most: impl IntoDuration) -> PlaceHold {
        PlaceHold::new(self.hub.tiers.instance(), targets, at_most)
    }

    /// What L1 holds: entries, and the sum of their weights in bytes. As of the last maintenance, at most a second ago.
    #[must_use]
    pub fn l1_size(&self) -> (u64, u64) {
        (self.hub.tiers.l1().entries(), self.hub.tiers.l1().weight())
    }

    /// How much this instance remembers of invalidations. All of it is bounded.
    ///
    /// ```
    /// use forebay::{Cache, Tag};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let cache = Cache::builder("shop").build().await?;
    /// cache.invalidate(Tag("article:42")).await?;
    /// assert_eq!(cache.bookkeeping().unconfirmed, 1); // without Redis there is nobody to confirm it
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn bookkeeping(&self) -> Bookkeeping {
        self.hub.tiers.instance().bookkeeping()
    }

    /// Which configurations there are in the namespace; `None` without Redis.
    ///
    /// Instances with another secret, another number of shards, or of a version that stores otherwise, share nothing with these. Whoever comes
    /// second is refused until the others have gone: its Redis is off, and since it cannot hear what they invalidate it asks the origin.
    /// [`Redis::compat_namespaces`](crate::Redis::compat_namespaces) lets two versions go together.
    ///
    /// ```
    /// use forebay::{Admission, Cache};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let cache = Cache::builder("shop").build().await?;
    /// if cache.census().is_some_and(|census| census.admission == Admission::Refused) {
    ///     eprintln!("this instance has another configuration than the others");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn census(&self) -> Option<Arc<Census>> {
        self.hub.tiers.instance().census()
    }

    /// Whether this instance knows what has been invalidated elsewhere.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let instance = self.hub.tiers.instance();
        instance.standing(instance.settings().clock.now())
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("instance", self.hub.tiers.instance()).finish_non_exhaustive()
    }
}

/// A table of rules. The first rule whose pattern matches the path holds; without one, the response's own fields decide.
#[must_use = "rules work as part of a layer"]
pub struct RulesBuilder {
    hub: Arc<Hub>,
    rules: Vec<(String, RouteOptions)>,
}

impl RulesBuilder {
    /// Adds a rule. In a pattern `{name}` stands for one segment of the path, and `*` at the end for the rest of it.
    pub fn at(
        mut self,
        pattern: impl Into<String>,
        options: impl FnOnce(RouteOptions) -> RouteOptions,
    ) -> Self {
        self.rules.push((pattern.into(), options(RouteOptions::new())));
        self
    }

    /// The layer.
    ///
    /// # Errors
    /// The first [`RouteError`]: a pattern, a setting, or a template that names what its pattern does not have.
    pub fn layer(self) -> Result<CacheLayer, RouteError> {
        let rules = Rules::new(&self.hub, &self.rules)?;
        Ok(CacheLayer::new(self.hub, Some(Arc::new(rules))))
    }
}

impl fmt::Debug for RulesBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.rules.iter().map(|(pattern, options)| (pattern, options))).finish()
    }
}

/// The shared tier of a cache: Redis' settings, or an [`L2`] of one's own, whole or in [`Shards`].
#[non_exhaustive]
pub enum Shared {
    /// Redis.
    #[cfg(feature = "redis")]
    Redis(Box<forebay_redis::Redis>),
    /// Another one.
    Custom(Shards),
}

#[cfg(feature = "redis")]
impl From<forebay_redis::Redis> for Shared {
    fn from(redis: forebay_redis::Redis) -> Self {
        Self::Redis(Box::new(redis))
    }
}

#[cfg(feature = "memory")]
impl From<forebay_memory::MemoryL2> for Shared {
    fn from(l2: forebay_memory::MemoryL2) -> Self {
        let l2: Arc<dyn L2> = Arc::new(l2);
        l2.into()
    }
}

impl From<Arc<dyn L2>> for Shared {
    fn from(l2: Arc<dyn L2>) -> Self {
        Self::Custom(l2.into())
    }
}

impl From<Shards> for Shared {
    fn from(shards: Shards) -> Self {
        Self::Custom(shards)
    }
}

impl Shared {
    fn connect(self, _namespace: &str, _settings: &Settings) -> Result<Shards, BuildError> {
        match self {
            #[cfg(feature = "redis")]
            Self::Redis(redis) => {
                let (timeout, lease) = (redis.operation_timeout(), _settings.coherence.lease);
                if timeout.saturating_mul(4) > lease {
                    return Err(BuildError::RedisTimeout { timeout, lease });
                }
                redis.connect_shards(_namespace, &_settings.secrets).map_err(BuildError::Redis)
            }
            Self::Custom(l2) => Ok(l2),
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.fmt(f),
            Self::Custom(l2) => f.write_str(l2.name()),
        }
    }
}

/// The configuration of a [`Cache`]. Nothing is checked before [`build`](Self::build).
///
/// ```
/// use forebay::{Cache, L1};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let cache = Cache::builder("shop")
///     .l1(L1::bytes(64 << 20).max_entry(256 << 10))
///     .default_ttl("10s")
///     .lease("1s")
///     .build()
///     .await?;
///
/// let error = Cache::builder("My Shop").build().await.unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "namespace \"My Shop\": 1 to 64 characters out of a-z, 0-9, `_`, `.` and `-` are accepted"
/// );
/// # drop(cache);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// With Redis:
///
/// ```
/// # #[cfg(feature = "redis")]
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use forebay::{Cache, Redis};
/// use std::time::Duration;
///
/// let redis = Redis::url("redis://localhost:6379")?.timeout(Duration::from_millis(100));
/// let cache = Cache::builder("shop").l2(redis).build().await?; // also while Redis is down
/// # drop(cache);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a builder makes a cache with `build`"]
pub struct CacheBuilder {
    namespace: String,
    l1: L1Settings,
    l2: Option<Shared>,
    secret: Option<Vec<u8>>,
    compression: Compression,
    limits: Limits,
    default_ttl: Option<Duration>,
    upkeep: Upkeep,
    policy: Policy,
    authority: Authority,
    name: Option<String>,
    metrics_prefix: String,
    lease: Option<Duration>,
    partition_grace: Option<Duration>,
    flight_wait: Option<Duration>,
    hit_for_miss: Option<Duration>,
    micro_cache: Option<Duration>,
    failover: Failover,
    fill_lease: FillLease,
    clock: Clock,
    chance: Random,
    #[cfg(feature = "chaos")]
    chaos: Option<Chaos>,
    tokens: Tokens,
    error: Option<DurationError>,
}

impl CacheBuilder {
    fn new(namespace: String) -> Self {
        Self {
            namespace,
            l1: L1Settings::default(),
            l2: None,
            secret: None,
            compression: Compression::default(),
            limits: Limits::default(),
            default_ttl: None,
            upkeep: Upkeep::new(),
            policy: Policy::default(),
            authority: Authority::default(),
            name: Some("forebay".into()),
            metrics_prefix: "cache".into(),
            lease: None,
            partition_grace: None,
            flight_wait: None,
            hit_for_miss: None,
            micro_cache: None,
            failover: Failover::Reissue,
            fill_lease: FillLease::AsSet,
            clock: Clock::system(),
            chance: Random::system(),
            #[cfg(feature = "chaos")]
            chaos: None,
            tokens: Tokens::Ignored,
            error: None,
        }
    }

    /// The size of L1. Default 256 MiB, entries up to 1 MiB.
    pub fn l1(mut self, l1: L1Settings) -> Self {
        self.l1 = l1;
        self
    }

    /// The tier that instances share. Without one, the cache is this process' own.
    pub fn l2(mut self, l2: impl Into<Shared>) -> Self {
        self.l2 = Some(l2.into());
        self
    }

    /// A secret of the service. With it, nobody who can write to Redis can forge an entry, and nobody who can read it can
    /// tell which URL an entry belongs to. All instances need the same one.
    pub fn secret(mut self, secret: impl Into<Vec<u8>>) -> Self {
        self.secret = Some(secret.into());
        self
    }

    /// How bodies are compressed on their way to L2. Default not at all: it costs every hit in L2 more than a fast network
    /// gives back. [`Compression::lz4`] halves what text takes of Redis' memory and of the network.
    ///
    /// Bodies are read however others have written them, so instances may differ in this.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// How large the cache's tables, queues and lists may grow. Default [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long responses are fresh that neither say so themselves nor belong to a route that does. Default: they are
    /// not cached.
    pub fn default_ttl(mut self, ttl: impl IntoDuration) -> Self {
        self.default_ttl = self.duration("default_ttl", ttl);
        self
    }

    /// How entries are kept fresh on routes that do not say it themselves. Default: nothing of it is done.
    pub fn upkeep(mut self, upkeep: Upkeep) -> Self {
        self.upkeep = upkeep;
        self
    }

    /// What the cache does where HTTP leaves it a choice. Default [`Policy::origin`], which stores what says itself, or is
    /// said by its route, to be fresh, and nothing that has to be validated on every use; [`Policy::proxy`] takes all that
    /// RFC 9111 offers to a shared cache. `docs/http.md` in the repository has the table of all choices and what each costs.
    ///
    /// ```
    /// use forebay::{Cache, ClientDirectives, Policy};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let mut policy = Policy::origin();
    /// policy.client_directives = ClientDirectives::Honour;
    /// let cache = Cache::builder("shop").policy(policy).build().await?;
    /// # drop(cache);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Where the authority in keys comes from. Default [`Authority::FromRequest`].
    pub fn authority(mut self, authority: Authority) -> Self {
        self.authority = authority;
        self
    }

    /// The cache's name in Cache-Status (RFC 9211). Default `forebay`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sends no Cache-Status.
    pub fn without_cache_status(mut self) -> Self {
        self.name = None;
        self
    }

    /// What the names of all metrics begin with. Default `cache`.
    pub fn metrics_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.metrics_prefix = prefix.into();
        self
    }

    /// How long L1 may be served without news from Redis: the bound on staleness when messages are lost. Four times
    /// Redis' timeout at least. From 100 ms to
    /// 5 minutes, default 2 s. Polls go out four times as often.
    pub fn lease(mut self, lease: impl IntoDuration) -> Self {
        self.lease = self.duration("lease", lease);
        self
    }

    /// How long L1 is served beyond the lease while Redis cannot be reached. At most a day, default 30 s; zero for not at all.
    pub fn partition_grace(mut self, grace: Duration) -> Self {
        self.partition_grace = Some(grace);
        self
    }

    /// What happens when another Redis has taken over, or the same has been started again, and may have lost invalidations that were
    /// confirmed. Default [`Failover::Reissue`].
    ///
    /// ```
    /// use forebay::{Cache, Failover};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// // Rather fetch everything anew than serve one old price.
    /// let cache = Cache::builder("prices").failover(Failover::Flush).build().await?;
    /// # drop(cache);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn failover(mut self, failover: Failover) -> Self {
        self.failover = failover;
        self
    }

    /// How long a request waits for another that fetches the same, on this instance or on another one, before it asks the
    /// origin itself. From 1 ms to 10 minutes, default 10 s. Who waits for a request of this instance that has to wait for
    /// another instance waits at most twice as long.
    pub fn flight_wait(mut self, wait: impl IntoDuration) -> Self {
        self.flight_wait = self.duration("flight_wait", wait);
        self
    }

    /// For how long after an answer that was not to be stored those who ask for the next one do not wait for each other, but
    /// all ask the origin: that one will most likely not be stored either. One that is ends it. At most 10 minutes, default
    /// 10 s; zero for not at all.
    pub fn hit_for_miss(mut self, time: Duration) -> Self {
        self.hit_for_miss = Some(time);
        self
    }

    /// How long an answer is served from L1 that was fetched while Redis could not be reached for longer than lease and grace,
    /// counted from when the origin was asked: it keeps a busy page from asking the origin for each request. At most a
    /// second, the default, and never longer than the grace; zero for not at all.
    pub fn micro_cache(mut self, time: Duration) -> Self {
        self.micro_cache = Some(time);
        self
    }

    /// Of all instances, one asks the origin for a key that is missing or past its time, and the others wait for what it
    /// brings, for `flight_wait` at most. It holds a lease in Redis of this term, which it renews while it fetches: should it
    /// die, another takes over when the term is over. From 100 ms to a minute, default 2 s.
    ///
    /// It costs one round trip to Redis before the origin is asked. It spares the origin and promises nothing: when Redis fails,
    /// or the answer turns out not to be shareable, everybody asks. Routes may say otherwise.
    ///
    /// ```
    /// use forebay::Cache;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let cache = Cache::builder("shop").fill_lease("5s").build().await?;
    /// let cheap = cache.route().ttl("1m").without_fill_lease();
    /// # drop((cache, cheap));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fill_lease(mut self, term: impl IntoDuration) -> Self {
        self.fill_lease = self.duration("fill_lease", term).map_or(FillLease::AsSet, FillLease::For);
        self
    }

    /// Each instance asks the origin for itself, but for routes that set [`fill_lease`](Self::fill_lease).
    pub fn without_fill_lease(mut self) -> Self {
        self.fill_lease = FillLease::Off;
        self
    }

    /// Lets clients see their own changes on every instance: the answer to a POST, PUT, PATCH or DELETE that has invalidated
    /// something carries `Cache-Seq`, a token, and a request that carries it is not answered with anything from before that
    /// change. Where the instance has not heard of it yet, that costs the request one round trip to Redis. Off by default.
    ///
    /// A token is no secret, and no command: whatever a client sends, its requests cost one round trip at most and no call of the
    /// handler that others would not cost. So while Redis does not answer they are answered as all others are.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// use forebay::Cache;
    ///
    /// let cache = Cache::builder("shop").read_your_writes().build().await?; // .l2(..): alone there is nothing to tell
    /// # drop(cache);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_your_writes(mut self) -> Self {
        self.tokens = Tokens::Honoured;
        self
    }

    /// Where the cache reads time. For tests; default the system's clock.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Where the cache takes chance from. For tests; default one that nobody can foretell.
    pub fn chance(mut self, chance: Random) -> Self {
        self.chance = chance;
        self
    }

    /// Puts these faults between the cache and its L2. For tests of services.
    #[cfg(feature = "chaos")]
    pub fn chaos(mut self, chaos: &Chaos) -> Self {
        self.chaos = Some(chaos.clone());
        self
    }

    /// Checks the settings and starts the cache. Does not wait for Redis: until it is reached, L1 works alone.
    ///
    /// # Errors
    /// [`BuildError`], which names the setting, its value and what is accepted.
    pub async fn build(mut self) -> Result<Cache, BuildError> {
        tokio::runtime::Handle::try_current().map_err(|_| BuildError::Runtime)?;
        let settings = self.settings()?;
        let name = self.name.as_deref().map(CacheName::new).transpose();
        let name = name.map_err(|_| BuildError::Name(self.name.clone().unwrap_or_default()))?;
        let l2 = self.l2.take().map(|l2| l2.connect(&self.namespace, &settings)).transpose()?;
        #[cfg(feature = "chaos")]
        let l2 = match &self.chaos {
            Some(chaos) => l2.map(|l2| l2.wrapped(|shard| Arc::new(ChaosL2::new(shard, chaos)))),
            None => l2,
        };
        let largest = if l2.is_some() { settings.frames.max_len as u64 } else { 0 };
        let max_body = usize::try_from(largest.max(self.l1.largest())).unwrap_or(usize::MAX);
        let tiers = Arc::new(Tiers::new(Arc::new(Instance::start_over(settings, l2)), self.l1));
        tokio::spawn(keep_house(Arc::downgrade(&tiers)));
        let bounds = Bounds { limits: self.limits, max_body };
        let hub = Hub::new(tiers, name, self.authority, self.default_ttl, self.upkeep, self.policy, bounds);
        Ok(Cache { hub: Arc::new(hub.with_tokens(self.tokens)) })
    }

    fn settings(&mut self) -> Result<Settings, BuildError> {
        if let Some(error) = self.error.take() {
            return Err(BuildError::Duration(error));
        }
        self.upkeep.check().map_err(BuildError::Upkeep)?;
        self.check_names()?;
        self.l1.validate().map_err(BuildError::L1)?;
        let mut settings = Settings::new(&self.namespace, self.secret.as_deref());
        settings.names = Names::new(&self.metrics_prefix, &self.namespace);
        settings.clock = self.clock.clone();
        settings.chance = self.chance.clone();
        settings.frames.compression = self.compression;
        settings.coherence.failover = self.failover;
        self.limits.apply(&mut settings)?;
        self.set_times(&mut settings)?;
        Ok(settings)
    }

    /// What the cache is called, and what it must not be called.
    fn check_names(&self) -> Result<(), BuildError> {
        let word = |text: &str, more: &[u8]| {
            let is = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || more.contains(byte);
            (1..=64).contains(&text.len()) && text.as_bytes().iter().all(is)
        };
        if !word(&self.namespace, b"_.-") {
            return Err(BuildError::Namespace(self.namespace.clone()));
        }
        if !word(&self.metrics_prefix, b"_") {
            return Err(BuildError::MetricsPrefix(self.metrics_prefix.clone()));
        }
        let out_of_range = |setting, value: &str, accepted| {
            Err(BuildError::Range { setting, value: value.to_owned(), accepted })
        };
        if matches!(&self.secret, Some(secret) if secret.len() < 16) {
            return out_of_range("secret", "fewer than 16 bytes", "16 bytes or more are accepted");
        }
        if matches!(&self.authority, Authority::Fixed(name) if name.is_empty()) {
            return out_of_range("authority", "\"\"", "a name such as `shop.example` is accepted");
        }
        Ok(())
    }

    /// Puts the times into force that were given.
    fn set_times(&self, settings: &mut Settings) -> Result<(), BuildError> {
        let within = |setting, value: Option<Duration>, low, high, accepted| match value {
            Some(value) if !(low..=high).contains(&value) => Err(BuildError::Range {
                setting,
                value: humantime::format_duration(value).to_string(),
                accepted,
            }),
            value => Ok(value),
        };
        let (ms, secs) = (Duration::from_millis, Duration::from_secs);
        let coherence = &mut settings.coherence;
        let lease = within("lease", self.lease, ms(100), secs(300), "100ms to 5m is accepted")?;
        coherence.lease = lease.unwrap_or(coherence.lease);
        let day = secs(24 * 60 * 60);
        let grace = within("partition_grace", self.partition_grace, secs(0), day, "0s to 1day is accepted")?;
        coherence.partition_grace = grace.unwrap_or(coherence.partition_grace);
        let wait = within("flight_wait", self.flight_wait, ms(1), secs(600), "1ms to 10m is accepted")?;
        settings.flight_wait = wait.unwrap_or(settings.flight_wait);
        let pass = within("hit_for_miss", self.hit_for_miss, secs(0), secs(600), "0s to 10m is accepted")?;
        settings.hit_for_miss = pass.unwrap_or(settings.hit_for_miss);
        let micro = within("micro_cache", self.micro_cache, secs(0), secs(1), "0s to 1s is accepted")?;
        settings.micro_cache = micro.unwrap_or(settings.micro_cache);
        settings.fill_lease = match self.fill_lease {
            FillLease::For(term) => {
                within("fill_lease", Some(term), LEAST_LEASE, MAX_TERM, "100ms to 1m is accepted")?
            }
            FillLease::Off => None,
            _ => settings.fill_lease,
        };
        Ok(())
    }

    fn duration(&mut self, setting: &'static str, value: impl IntoDuration) -> Option<Duration> {
        match value.into_duration(setting) {
            Ok(value) => Some(value),
            Err(error) => {
                self.error.get_or_insert(error);
                None
            }
        }
    }
}

/// L1's maintenance, which would otherwise fall to requests, and its gauges. Ends with the cache.
async fn keep_house(tiers: Weak<Tiers<Kept>>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let Some(tiers) = tiers.upgrade() else { return };
        tiers.l1().maintain();
        let event = Event::Holds { entries: tiers.l1().entries(), bytes: tiers.l1().weight() };
        tiers.instance().recorder().observe(&event);
    }
}
