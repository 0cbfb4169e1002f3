//! A client of HTTP/1.1: one connection, one request at a time.

use std::io;
use std::net::SocketAddr;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection that is opened when it is needed, and again after a failure.
#[derive(Debug)]
pub struct Client {
    to: SocketAddr,
    stream: Option<TcpStream>,
    received: BytesMut,
}

/// A response, as far as the measurements look at it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The last member of Cache-Status, or nothing.
    pub cache_status: String,
    /// The body.
    pub body: Bytes,
}

impl Client {
    /// A client of the server at this address.
    #[must_use]
    pub fn new(to: SocketAddr) -> Self {
        Self { to, stream: None, received: BytesMut::new() }
    }

    /// Sends a request without a body and reads its answer.
    ///
    /// # Errors
    /// When the connection breaks, or the answer has no Content-Length.
    pub async fn send(&mut self, method: &str, target: &str) -> io::Result<Answer> {
        let answer = self.exchange(method, target).await;
        if answer.is_err() {
            self.stream = None;
            self.received.clear();
        }
        answer
    }

    async fn exchange(&mut self, method: &str, target: &str) -> io::Result<Answer> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect(self.to).await?;
                stream.set_nodelay(true)?;
                none.insert(stream)
            }
        };
        let request = format!("{method} {target} HTTP/1.1\r\nhost: outage\r\ncontent-length: 0\r\n\r\n");
        // A GET with an empty body is one whose response may be cached like any other.
        let request = if method == "GET" { request.replace("content-length: 0\r\n", "") } else { request };
        stream.write_all(request.as_bytes()).await?;
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
    let head = std::str::from_utf8(&received[..end]).map_err(|_| malformed())?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).ok_or_else(malformed)?;
    let (mut length, mut cache_status) = (None, String::new());
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse::<usize>().ok();
        } else if name.eq_ignore_ascii_case("cache-status") {
            value.clone_into(&mut cache_status);
        }
    }
    let length = length.ok_or_else(malformed)?;
    if received.len() < end + 4 + length {
        return Ok(None);
    }
    received.advance(end + 4);
    Ok(Some(Answer { status, cache_status, body: received.split_to(length).freeze() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_taken_when_it_is_whole() {
        let whole = b"HTTP/1.1 200 OK\r\ncache-status: f; hit\r\nContent-Length: 2\r\n\r\nhi";
        for cut in 0..whole.len() {
            assert!(take(&mut BytesMut::from(&whole[..cut])).unwrap().is_none());
        }
        let answer = take(&mut BytesMut::from(&whole[..])).unwrap().unwrap();
        assert_eq!(
            (answer.status, answer.cache_status.as_str(), &answer.body[..]),
            (200, "f; hit", &b"hi"[..])
        );
        assert!(take(&mut BytesMut::from(&b"HTTP/1.1 200 OK\r\n\r\n"[..])).is_err());
    }
}
