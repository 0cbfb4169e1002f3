//! Real Redis servers of a test's own: on free ports of 127.0.0.1, in directories of their own, gone when dropped.
//!
//! One server, with whatever it is to demand of its clients:
//!
//! ```
//! use forebay_testkit::redis::RedisServer;
//! use forebay_testkit::resp::Value;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let redis = RedisServer::start().await?;
//! redis.command(["SET", "k", "1"]).await?;
//! assert_eq!(redis.command(["INCR", "k"]).await?, Value::Integer(2));
//!
//! redis.restart().await?; // the same port, empty
//! assert_eq!(redis.command(["EXISTS", "k"]).await?, Value::Integer(0));
//!
//! let redis = RedisServer::builder().user("shop", "secret", "~shop:* +get +set").tls().start().await?;
//! assert!(redis.url().starts_with("rediss://shop:secret@127.0.0.1:"));
//! assert!(redis.ca_file().unwrap().exists());
//! # Ok(())
//! # }
//! ```
//!
//! Several that belong together: a [`SentinelGroup`] with its failover, a [`RedisCluster`] with its slots.
//!
//! The server is the `redis-server` on the `PATH`, or what the variable `FOREBAY_REDIS_SERVER` names: a Valkey, say.
//! A machine without one is a failed test that says how to get one, never a skipped one.

mod process;
mod connection;
mod certificates;
mod builder;
mod server;
mod sentinel;
mod cluster;

pub use builder::RedisBuilder;
pub use cluster::{ClusterBuilder, RedisCluster};
pub use connection::RespConnection;
pub use sentinel::{SentinelBuilder, SentinelGroup};
pub use server::RedisServer;
