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
//! * [`Cache`]: the handle. [`CacheBuilder`]: its settings.
//! * [`CacheLayer`], [`RouteLayer`], [`InvalidatesLayer`]: what services and routes are wrapped in.
//! * [`MustValidate`]: what a request to the origin must not be answered without.
//! * [`Cached`]: what a handler says about one response.
//! * [`Tag`], [`Key`], [`Path`], [`Prefix`], [`All`]: what can be invalidated.
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

mod error;
mod duration;
mod template;
mod cached;
mod variants;
mod stored;
mod route;
mod hub;
mod rules;
mod axum;
mod http;
mod cache;

pub use forebay_core::coherence::Standing;
pub use forebay_core::instance::Receipt;
pub use forebay_core::l1::{Eviction, L1Settings as L1};
pub use forebay_core::l2::L2;
pub use forebay_core::tag::{All, Key, Path, Prefix, Tag, Target, Targets};
pub use forebay_core::time::{Clock, TimeSource};
pub use forebay_policy::profile::{
    ClientDirectives, Heuristic, Partial, Policy, Post, SetCookie, SurrogateFields, Validated, VaryNames,
};
#[cfg(feature = "redis")]
pub use forebay_redis::Redis;

pub use self::cache::{Cache, CacheBuilder, RulesBuilder, Shared};
pub use self::cached::Cached;
pub use self::duration::IntoDuration;
pub use self::error::{BuildError, DurationError, InvalidateError, RouteError};
pub use self::http::{
    CacheFuture, CacheLayer, CacheService, InvalidatesLayer, InvalidatesService, MustValidate, ResponseBody,
    RouteLayer,
};
pub use self::hub::Authority;
pub use self::route::{Cookies, RouteOptions};
