//! A connection of the test's own.

use std::io;
use std::net::SocketAddr;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::resp::{self, Value};

/// A connection that speaks RESP, for tests that need several commands on one connection.
///
/// ```
/// use forebay_testkit::redis::{RedisServer, RespConnection};
/// use forebay_testkit::resp::Value;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let redis = RedisServer::start().await?;
/// let mut subscriber = RespConnection::open(redis.addr()).await?;
/// subscriber.command(["HELLO", "3"]).await?;
/// subscriber.command(["SUBSCRIBE", "news"]).await?;
///
/// redis.command(["PUBLISH", "news", "hello"]).await?;
/// let push = Value::Push(vec![Value::from("message"), Value::from("news"), Value::from("hello")]);
/// assert_eq!(subscriber.receive().await?, push);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RespConnection {
    stream: TcpStream,
    received: BytesMut,
}

impl RespConnection {
    /// Connects.
    ///
    /// # Errors
    ///
    /// When nothing listens there.
    pub async fn open(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: BytesMut::new() })
    }

    /// Sends a command and waits for the next value, which is its reply unless a push stands before it.
    ///
    /// # Errors
    ///
    /// When the connection ends or the answer is not RESP.
    pub async fn command<A: AsRef<[u8]>>(&mut self, args: impl IntoIterator<Item = A>) -> io::Result<Value> {
        self.send(args).await?;
        self.receive().await
    }

    /// Sends a command without waiting for its reply.
    ///
    /// # Errors
    ///
    /// When the connection has ended.
    pub async fn send<A: AsRef<[u8]>>(&mut self, args: impl IntoIterator<Item = A>) -> io::Result<()> {
        self.stream.write_all(&resp::command(args)).await
    }

    /// Waits for the next value, reply or push.
    ///
    /// # Cancel safety
    ///
    /// Safe: what has arrived stays for the next call.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::UnexpectedEof`] when the connection ends first.
    pub async fn receive(&mut self) -> io::Result<Value> {
        loop {
            if let Some((value, _)) = Value::take(&mut self.received)? {
                return Ok(value);
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}
