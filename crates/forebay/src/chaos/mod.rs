//! Faults on purpose, for the tests of services: an L2 that fails, answers late or not at all, gives damaged frames, and a bus
//! that loses, repeats and reorders.
//!
//! A [`Chaos`] is a switch with a seed: the same seed gives the same faults in the same order of operations. It stands
//! between a cache and its L2, and begins without any faults.
//!
//! ```
//! # #[cfg(all(feature = "axum", feature = "memory"))]
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use axum::{Router, body::Body, http::Request, routing::get};
//! use forebay::{Cache, Tag};
//! use forebay::chaos::{Chaos, Faults};
//! use forebay::memory::MemoryServer;
//! use tower::ServiceExt;
//!
//! let chaos = Chaos::seeded(42);
//! let server = MemoryServer::new(); // or Redis
//! let cache = Cache::builder("shop").l2(server.client()).chaos(&chaos).build().await?;
//! let app: Router = Router::new().route("/", get(async || "hello").layer(cache.route().ttl("5m").tags(["home"])));
//!
//! chaos.set(Faults::none().fail(0.5).corrupt(0.2).lose_messages(0.5));
//! for _ in 0..100 {
//!     let request = Request::get("/").header("host", "shop.example").body(Body::empty())?;
//!     assert_eq!(app.clone().oneshot(request).await?.status(), 200); // whatever L2 does
//!     let _ = cache.invalidate(Tag("home")).await; // confirmed or queued
//! }
//! assert!(chaos.counts().failed > 0);
//!
//! chaos.off();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod dice;
mod faults;
mod switch;
mod bus;
mod l2;

pub use self::faults::{Counts, Faults};
pub use self::l2::ChaosL2;
pub use self::switch::Chaos;
