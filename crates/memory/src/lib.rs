//! An L2 in memory for [Forebay](https://docs.rs/forebay): several instances in one process, with faults on demand.
//!
//! For tests: of services, whose caches share one without a Redis, and of Forebay itself. A [`MemoryServer`] stands for the
//! shared server; each [`MemoryL2`] is one instance's client, with faults and counters of its own. Time is tokio's, so a test
//! that pauses it decides when frames expire and the log is cut. Nothing in here sleeps or is random.
//!
//! ```
//! use forebay_core::l2::{L2, L2Error};
//! use forebay_core::tag::Ident;
//! use forebay_memory::{MemoryServer, Op};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), L2Error> {
//! let server = MemoryServer::new();
//! let (here, there) = (server.client(), server.client());
//! let start = here.open().await?;
//!
//! // The invalidation happens, but its issuer never hears of it.
//! here.lose_replies(Op::Invalidate, 1);
//! let article = Ident::from_bytes([42; 16]);
//! assert_eq!(here.invalidate(&[article], 0).await, Err(L2Error::Timeout));
//! assert!(there.scores(&[article]).await?.seqs[0] > Some(start.seq));
//! assert_eq!((here.calls(Op::Invalidate), there.total_calls()), (1, 1));
//! # Ok(())
//! # }
//! ```

mod l2;

pub use self::l2::{MemoryL2, MemoryServer, Op, Settings, Snapshot};
