//! Redis (7 or later) and Valkey as [Forebay](https://docs.rs/forebay)'s L2: the store of frames, the log of
//! invalidations and the bus that carries them, through fred.
//!
//! [`Redis`] is plain configuration; [`Redis::connect`] makes the [`L2`](forebay_core::l2::L2) out of it. That never
//! fails because Redis is down: connections are made in the background, again and again, and end with the
//! [`RedisL2`].
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use forebay_core::key::Secrets;
//! use forebay_core::l2::L2;
//! use forebay_redis::Redis;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let redis = Redis::url("redis://localhost:6379")?.timeout(Duration::from_millis(50));
//! let l2 = redis.connect("shop", &Secrets::new("shop", None))?;
//! let mut notices = l2.subscribe();
//! let position = l2.open().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What a Redis user needs to be allowed
//!
//! The keys and channels of the namespace, and these commands. `info`, `role` and `client|id` may be left out: then a
//! server that has become a replica is noticed by its refusing writes. `select` is for URLs that name a database.
//!
//! ```text
//! ACL SETUSER shop on >secret resetkeys resetchannels ~{shop:* &{shop:* -@all
//!   +hello +select +ping +info +role +client|id +subscribe +mget +eval +evalsha
//!   +time +get +set +pttl +unlink +getrange +zadd +zrem +zcard +zcount +zrange +zrangebyscore +zrevrangebyscore
//!   +zremrangebyscore +zremrangebyrank +zscore +zmscore +publish
//! ```
//!
//! With `Redis::wait` it needs `+wait` as well. In a cluster it needs `+ssubscribe +spublish +cluster|nodes` in the place of `+subscribe +publish`, and `info`.
//!
//! Where sentinels ask for a user, it needs `+ping +info +client|id +sentinel|master`, without keys and channels.
//!
//! # Features
//!
//! * `tls`: `rediss://` URLs, `Redis::ca_file` and `Redis::client_certificate`.
//!
//! Modules import only what stands above them in this list.

mod url;
mod login;
#[cfg(feature = "tls")]
mod tls;
mod digest;
mod config;
mod schema;
mod scripts;
mod client;
mod sentinel;
mod cluster;
mod gate;
mod home;
mod patience;
mod connection;
mod census;
mod subscribe;
mod heartbeat;
mod reply;
mod l2;
mod change;
mod connect;

pub use config::{ConfigError, Redis};
pub use l2::RedisL2;
