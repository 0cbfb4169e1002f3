//! A client of HTTP/1.1 for asking a server under test: one connection, one request at a time, and never a request sent twice.
//!
//! ```
//! use forebay_testkit::http::Client;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tokio::net::TcpListener;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let addr = listener.local_addr()?;
//! let server = async {
//!     let (mut stream, _) = listener.accept().await?;
//!     let read = stream.read(&mut [0; 1024]).await?;
//!     stream.write_all(b"HTTP/1.1 200 OK\r\ncache-status: f; hit\r\ncontent-length: 2\r\n\r\nhi").await?;
//!     std::io::Result::Ok(read)
//! };
//! let mut client = Client::new(addr);
//! let (read, answer) = tokio::try_join!(server, client.get("/a"))?;
//! assert!(read > 0);
//! assert_eq!((answer.status, answer.field("Cache-Status"), &answer.body[..]), (200, "f; hit", &b"hi"[..]));
//! # Ok(())
//! # }
//! ```

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A connection that is opened when it is needed, and again after a failure.
#[derive(Debug)]
pub struct Client {
    to: SocketAddr,
    stream: Option<TcpStream>,
    received: BytesMut,
    patience: Duration,
}

/// A response.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    head: String,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The value of the last line of a field, or nothing.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        let fields = self.head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        let named = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        named.last().map_or("", |(_, value)| value.trim())
    }
}

impl Client {
    /// A client of the server at this address. It waits a minute and a half for an answer.
    #[must_use]
    pub fn new(to: SocketAddr) -> Self {
        Self { to, stream: None, received: BytesMut::new(), patience: PATIENCE }
    }

    /// One that waits no longer than this.
    #[must_use]
    pub fn with_patience(to: SocketAddr, patience: Duration) -> Self {
        Self { patience, ..Self::new(to) }
    }

    /// Reads a resource.
    ///
    /// # Errors
    ///
    /// As [`Client::send`].
    pub async fn get(&mut self, target: &str) -> io::Result<Answer> {
        self.send("GET", target, &[], None).await
    }

    /// Sends an empty body.
    ///
    /// # Errors
    ///
    /// As [`Client::send`].
    pub async fn post(&mut self, target: &str) -> io::Result<Answer> {
        self.send("POST", target, &[], Some("")).await
    }

    /// Sends a request with these field lines, and a body if there is one. With none a GET is one whose response may be cached
    /// like any other.
    ///
    /// # Errors
    ///
    /// When the connection breaks, when the answer has no Content-Length, and [`io::ErrorKind::TimedOut`] when there is none in time. The
    /// next request goes over a new connection then.
    pub async fn send(
        &mut self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        body: Option<&str>,
    ) -> io::Result<Answer> {
        let mut request = format!("{method} {target} HTTP/1.1\r\nhost: test\r\n");
        for (name, value) in fields {
            request.push_str(&[name, ": ", value, "\r\n"].concat());
        }
        match body {
            Some(body) => request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len())),
            None => request.push_str("\r\n"),
        }
        let answer = timeout(self.patience, self.exchange(request.as_bytes())).await;
        let answer = answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if answer.is_err() {
            self.stream = None;
            self.received.clear();
        }
        answer
    }

    async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect(self.to).await?;
                stream.set_nodelay(true)?;
                none.insert(stream)
            }
        };
        stream.write_all(request).await?;
        loop {
            if let Some(answer) = take(&mut self.received)? {
                return Ok(answer);
            }
            if stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// Takes a whole response from the front, if it is there.
fn take(received: &mut BytesMut) -> io::Result<Option<Answer>> {
    let Some(end) = received.windows(4).position(|part| part == b"\r\n\r\n") else { return Ok(None) };
    let malformed = || io::Error::other("no HTTP/1.1 response with a Content-Length");
    let head = std::str::from_utf8(&received[..end]).map_err(|_| malformed())?.to_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(malformed)?;
    let mut answer = Answer { status, head, body: Bytes::new() };
    let length: usize = answer.field("content-length").parse().map_err(|_| malformed())?;
    if received.len() < end + 4 + length {
        return Ok(None);
    }
    received.advance(end + 4);
    answer.body = received.split_to(length).freeze();
    Ok(Some(answer))
}

/// Longer than anything that a cache waits for, and than any test freezes one.
const PATIENCE: Duration = Duration::from_secs(90);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_taken_when_it_is_whole() {
        let whole =
            b"HTTP/1.1 200 OK\r\ncache-status: a\r\nCache-Status: f; hit\r\nContent-Length: 2\r\n\r\nhi";
        for cut in 0..whole.len() {
            assert!(take(&mut BytesMut::from(&whole[..cut])).unwrap().is_none());
        }
        let answer = take(&mut BytesMut::from(&whole[..])).unwrap().unwrap();
        assert_eq!(
            (answer.status, answer.field("cache-status"), &answer.body[..]),
            (200, "f; hit", &b"hi"[..])
        );
        assert!(take(&mut BytesMut::from(&b"HTTP/1.1 200 OK\r\n\r\n"[..])).is_err());
    }
}
