//! A client of HTTP/1.1: one connection, one request at a time, and never a request sent twice.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A connection that is opened when it is needed, and again after a failure.
#[derive(Debug)]
pub(crate) struct Client {
    to: SocketAddr,
    stream: Option<TcpStream>,
    received: BytesMut,
    patience: Duration,
}

/// A response.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The value of the last line of a field, or nothing.
    pub(crate) fn field(&self, name: &str) -> &str {
        let fields = self.head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        let named = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        named.last().map_or("", |(_, value)| value.trim())
    }
}

impl Client {
    /// A client of the server at this address.
    pub(crate) fn new(to: SocketAddr) -> Self {
        Self { to, stream: None, received: BytesMut::new(), patience: PATIENCE }
    }

    /// One that waits no longer than this for an answer.
    pub(crate) fn with_patience(to: SocketAddr, patience: Duration) -> Self {
        Self { patience, ..Self::new(to) }
    }

    /// Reads a resource.
    pub(crate) async fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: faults\r\n\r\n").as_bytes()).await
    }

    /// Reads a resource, with one more field line.
    pub(crate) async fn get_with(&mut self, path: &str, line: &str) -> io::Result<Answer> {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: faults\r\n{line}\r\n\r\n").as_bytes()).await
    }

    /// Reads a resource of the admin API.
    pub(crate) async fn admin_get(&mut self, path: &str, token: &str) -> io::Result<Answer> {
        let head = format!("GET {path} HTTP/1.1\r\nhost: faults\r\nauthorization: Bearer {token}\r\n\r\n");
        self.send(head.as_bytes()).await
    }

    /// Sends JSON to the admin API.
    pub(crate) async fn admin_post(&mut self, path: &str, token: &str, json: &str) -> io::Result<Answer> {
        let length = json.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: faults\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{json}"
        );
        self.send(request.as_bytes()).await
    }

    async fn send(&mut self, request: &[u8]) -> io::Result<Answer> {
        let patience = self.patience;
        let answer = timeout(patience, self.exchange(request)).await;
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

/// Longer than anything that an instance waits for, and than any scenario freezes one.
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
