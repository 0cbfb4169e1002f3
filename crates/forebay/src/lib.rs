//! A two-tier HTTP response cache for Rust web services.
//!
//! One [tower] layer answers from a local L1 what it may, fills it from a Redis L2 that all replicas share, and keeps every
//! instance coherent: an entry that is cleared on one is gone on all of them.
//!
//! [tower]: https://docs.rs/tower
//!
//! ```
//! use axum::{Router, extract::Path, routing::get};
//! use forebay::{Cache, Tag};
//!
//! async fn show(Path(id): Path<u32>) -> String {
//!     format!("article {id}")
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let cache = Cache::builder("shop").build().await?; // .l2(Redis::url("redis://localhost")?) for two tiers
//! let app: Router = Router::new()
//!     .route("/articles/{id}", get(show).layer(cache.route().ttl("5m").tags(["article:{id}"])))
//!     .layer(cache.layer());
//!
//! cache.invalidate(Tag("article:42")).await?; // on every instance
//! # drop(app);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is not clearly shareable is not stored: without a word from the response, its route or the default, nothing is; with
//! `Set-Cookie`, `private` or `no-store`, nothing is either. No request fails because of the cache: what Redis does or
//! does not do is a miss.
//!
//! # What HTTP says is done
//!
//! The layer is a shared cache by RFC 9111. Answers are validated by their `ETag` or `Last-Modified`, clients' own conditions and
//! ranges are answered from what is stored, variants are told apart by `Vary`, and a successful PUT, POST or DELETE clears its
//! URL. What is past its time is given at once while it is fetched anew (`stale-while-revalidate`, [`RouteOptions::swr`]),
//! or in place of an error (`stale-if-error`, [`RouteOptions::stale_if_error`]). Where HTTP leaves a choice, [`Policy`]
//! makes it: [`Policy::origin`] unless [`CacheBuilder::policy`] gets another.
//!
//! ```
//! use std::time::Duration;
//!
//! use axum::{Router, body::Body, http::Request, routing::get};
//! use forebay::{Cache, Cached, Partial, Policy, Validated};
//! use tower::ServiceExt;
//!
//! async fn rates() -> (Cached, &'static str) {
//!     // Good for a minute; for ten more given at once, and refreshed beside that; for a day if this handler fails.
//!     (Cached::ttl("1m").swr("10m").stale_if_error("1d"), "EUR 0.94")
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let mut policy = Policy::origin();
//! policy.partial = Partial::Combine; // parts are stored, and joined
//! policy.validated = Validated::Store; // what says `no-cache` is stored, and validated each time
//! policy.keep_stale = Duration::from_secs(600); // for so long after its time there is something to validate
//! let cache = Cache::builder("shop").policy(policy).build().await?;
//! let app: Router = Router::new().route("/rates", get(rates)).layer(cache.layer());
//!
//! let answer = app.oneshot(Request::get("/rates").header("host", "shop.example").body(Body::empty())?).await?;
//! assert_eq!(answer.headers()["cache-status"], "forebay; fwd=uri-miss; stored; ttl=60; detail=handler");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `docs/http.md` in the repository says for every answer whether it is stored, why not, and what to change.
//!
//! # Where to begin
//!
//! * [`Cache`]: the handle. [`CacheBuilder`]: its settings.
//! * [`CacheLayer`], [`RouteLayer`], [`InvalidatesLayer`]: what services and routes are wrapped in.
//! * [`MustValidate`]: what a request to the origin must not be answered without.
//! * [`Cached`]: what a handler says about one response.
//! * [`Upkeep`]: refreshing ahead of time, and what else keeps answers fresh.
//! * [`Tag`], [`Event`], [`Key`], [`Path`], [`Prefix`], [`Pattern`], [`All`]: what can be invalidated, and [`Soft`]: what is to be fetched anew.
//! * [`Coherence`]: how sure a route's answers have to be.
//! * [`Policy`]: every choice that HTTP leaves a cache.
//!
//! # Order of layers
//!
//! | layer | where | why |
//! |---|---|---|
//! | authentication | outside of the cache | the cache must see whom the handler sees |
//! | compression | outside of the cache | one entry serves every client |
//! | body limits, timeouts of the handler | inside | a hit needs neither |
//! | tracing | outside | a hit is a request too |
//!
//! Under [`Cache::layer`] an annotated route is looked up by the outer layer, so authentication that stands between the two
//! comes too late: it guards misses, not hits. Where the two layers see different principals, nothing is stored and the
//! log says so. Two annotations on one route, or a rule and an annotation that tell requests apart differently, cache
//! nothing either.
//!
//! # Features
//!
//! * `axum` (default): templates are filled from axum's path parameters, and [`Cached`] is a response part.
//! * `redis` (default): Redis as L2.
//! * `tls`: Redis over TLS, `rediss://`.
//! * `zstd`: [`Compression::zstd`] for bodies in L2.
//! * `memory`: an L2 in memory, for tests, with faults on demand (`forebay::memory`).
//! * `chaos`: faults by chance, for tests (`forebay::chaos`).

mod error;
mod duration;
mod upkeep;
mod limits;
mod template;
mod labels;
mod cached;
mod variants;
mod stored;
mod route;
mod room;
mod hub;
mod rules;
mod axum;
mod http;
#[cfg(feature = "chaos")]
pub mod chaos;
mod invalidate;
mod hold;
mod cache;

pub use forebay_core::coherence::{Bookkeeping, Failover, Standing};
pub use forebay_core::compress::Compression;
pub use forebay_core::hold::{Hold, Released};
pub use forebay_core::instance::Receipt;
pub use forebay_core::l1::{Eviction, L1Settings as L1};
pub use forebay_core::l2::{Admission, Census, L2, L2Error, Shards};
pub use forebay_core::tag::{
    All, Event, Key, Path, Pattern, Prefix, Soft, Tag, Target, TargetError, Targets,
};
pub use forebay_core::time::{Clock, Random, TimeSource};
#[cfg(feature = "memory")]
pub use forebay_memory as memory;
pub use forebay_policy::profile::{
    ClientDirectives, Heuristic, Partial, Policy, Post, SetCookie, SurrogateFields, Validated, VaryNames,
};
#[cfg(feature = "redis")]
pub use forebay_redis::Redis;

pub use self::cache::{Cache, CacheBuilder, RulesBuilder, Shared};
pub use self::cached::Cached;
pub use self::duration::IntoDuration;
pub use self::error::{BuildError, DurationError, HoldError, InvalidateError, RouteError};
pub use self::hold::PlaceHold;
pub use self::http::{
    CacheFuture, CacheLayer, CacheService, InvalidatesLayer, InvalidatesService, MustValidate, ResponseBody,
    RouteLayer,
};
pub use self::hub::Authority;
pub use self::invalidate::{Invalidate, Pending};
pub use self::limits::Limits;
pub use self::route::{Coherence, Cookies, RouteOptions};
pub use self::upkeep::Upkeep;
