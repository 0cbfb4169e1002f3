//! A TCP proxy that breaks things on demand, to stand between a client and Redis.
//!
//! It can hold, swallow, delay, slow down, cut and corrupt what passes, refuse and reset connections, and take
//! single pub/sub messages out of a RESP3 stream while the connection lives on. Every fault is for the connections
//! the test names, by their order or by what they have sent. A test waits for what it caused by
//! [`FaultProxy::wait_until`], never by sleeping.
//!
//! ```
//! use forebay_testkit::proxy::{Connections, Fault, FaultProxy, Pushes};
//! use forebay_testkit::redis::{RedisServer, RespConnection};
//! use forebay_testkit::resp::Value;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let redis = RedisServer::start().await?;
//! let proxy = FaultProxy::start(redis.addr()).await?;
//! let mut subscriber = RespConnection::open(proxy.addr()).await?;
//! subscriber.command(["HELLO", "3"]).await?;
//! subscriber.command(["SUBSCRIBE", "news"]).await?;
//!
//! proxy.inject(Connections::subscribers(), Fault::DropPushes(Pushes::Next(1)));
//! redis.command(["PUBLISH", "news", "lost"]).await?;
//! redis.command(["PUBLISH", "news", "heard"]).await?;
//!
//! let push = Value::Push(vec![Value::from("message"), Value::from("news"), Value::from("heard")]);
//! assert_eq!(subscriber.receive().await?, push);
//! assert_eq!(proxy.counters().pushes_dropped, 1);
//! # Ok(())
//! # }
//! ```

mod fault;
mod pump;
mod server;

pub use fault::{Connections, Direction, Fault, Pushes};
pub use pump::{Counters, Ending};
pub use server::FaultProxy;
