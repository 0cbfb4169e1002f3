//! Just enough of Redis' wire protocol, RESP2 and RESP3, for tests: a [`Value`], a parser that says when it needs
//! more bytes, and the encoding of a command.
//!
//! ```
//! use bytes::BytesMut;
//! use forebay_testkit::resp::Value;
//!
//! let mut received = BytesMut::from(&b"+PONG\r\n:41"[..]);
//! let (reply, as_sent) = Value::take(&mut received).unwrap().expect("a whole value");
//! assert_eq!((reply, &as_sent[..]), (Value::from("PONG"), &b"+PONG\r\n"[..]));
//! assert_eq!(Value::take(&mut received).unwrap(), None, "the integer is not complete yet");
//! ```

use std::io;

use bytes::{Bytes, BytesMut};

/// One value as Redis sends it. RESP3's kinds that tests have no use for are folded into their RESP2 relatives:
/// doubles, big numbers and verbatim strings into [`Value::Bulk`], booleans into [`Value::Integer`], maps and
/// sets into [`Value::Array`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A null of any kind.
    Nil,
    /// An integer.
    Integer(i64),
    /// A string: simple or bulk.
    Bulk(Bytes),
    /// An error reply, code included: `WRONGTYPE Operation against ...`.
    Error(String),
    /// An array, a set, or a map as key, value, key, value.
    Array(Vec<Value>),
    /// A RESP3 push: the server says something that nobody asked for just now.
    Push(Vec<Value>),
}

impl Value {
    /// Takes the first whole value off `received` together with the bytes it was sent as, or leaves `received`
    /// alone and returns `None` when the value is not complete.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidData`] when the bytes are not RESP.
    pub fn take(received: &mut BytesMut) -> io::Result<Option<(Self, Bytes)>> {
        let mut parser = Parser { input: received, at: 0 };
        let Some(value) = parser.value(MAX_DEPTH)? else { return Ok(None) };
        let length = parser.at;
        Ok(Some((value, received.split_to(length).freeze())))
    }

    /// The bytes of a string value, or nothing for any other kind.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bulk(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The text of a string value, or nothing for any other kind or for bytes that are not UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        self.as_bytes().and_then(|bytes| std::str::from_utf8(bytes).ok())
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Bulk(Bytes::from_static(text.as_bytes()))
    }
}

/// Encodes a command as the array of bulk strings that Redis reads.
///
/// ```
/// use forebay_testkit::resp::command;
///
/// assert_eq!(&command(["DEL", "k"])[..], b"*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n");
/// ```
pub fn command<A: AsRef<[u8]>>(args: impl IntoIterator<Item = A>) -> Bytes {
    let mut body = BytesMut::new();
    let mut count = 0;
    for arg in args {
        let arg = arg.as_ref();
        body.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        body.extend_from_slice(arg);
        body.extend_from_slice(b"\r\n");
        count += 1;
    }
    let mut out = BytesMut::from(format!("*{count}\r\n").as_bytes());
    out.unsplit(body);
    out.freeze()
}

/// Where the parser stands in what was received. Its functions return `None` for "more bytes are needed".
struct Parser<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    fn value(&mut self, depth: usize) -> io::Result<Option<Value>> {
        // Judged before the line is whole, so that what is not RESP is not waited for.
        let Some(&kind) = self.input.get(self.at) else { return Ok(None) };
        if !KINDS.contains(&kind) {
            return Err(malformed("unknown type byte"));
        }
        self.at += 1;
        let Some(rest) = self.line() else { return Ok(None) };
        match kind {
            b'+' | b',' | b'(' => Ok(Some(Value::Bulk(Bytes::copy_from_slice(rest)))),
            b'-' => Ok(Some(Value::Error(String::from_utf8_lossy(rest).into_owned()))),
            b':' => Ok(Some(Value::Integer(number(rest)?))),
            b'#' => Ok(Some(Value::Integer(i64::from(rest == b"t")))),
            b'_' => Ok(Some(Value::Nil)),
            b'$' | b'=' => self.bulk(rest, Value::Bulk),
            b'!' => self.bulk(rest, |text| Value::Error(String::from_utf8_lossy(&text).into_owned())),
            b'*' | b'~' => self.items(rest, 1, depth, Value::Array),
            b'%' | b'|' => self.items(rest, 2, depth, Value::Array),
            _ => self.items(rest, 1, depth, Value::Push),
        }
    }

    /// The rest of the line at the cursor, without its end.
    fn line(&mut self) -> Option<&'a [u8]> {
        let rest = &self.input[self.at..];
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        self.at += end + 2;
        Some(&rest[..end])
    }

    fn bulk(&mut self, length: &[u8], wrap: fn(Bytes) -> Value) -> io::Result<Option<Value>> {
        let Ok(length) = usize::try_from(number(length)?) else { return Ok(Some(Value::Nil)) };
        let Some(text) = self.input[self.at..].get(..length) else { return Ok(None) };
        let end = self.at + length + 2;
        if end > self.input.len() {
            return Ok(None);
        }
        let text = Bytes::copy_from_slice(text);
        self.at = end;
        Ok(Some(wrap(text)))
    }

    fn items(
        &mut self,
        count: &[u8],
        values_each: usize,
        depth: usize,
        wrap: fn(Vec<Value>) -> Value,
    ) -> io::Result<Option<Value>> {
        let depth = depth.checked_sub(1).ok_or_else(|| malformed("nested too deeply"))?;
        let Ok(count) = usize::try_from(number(count)?) else { return Ok(Some(Value::Nil)) };
        let mut items = Vec::new();
        for _ in 0..count.saturating_mul(values_each) {
            let Some(item) = self.value(depth)? else { return Ok(None) };
            items.push(item);
        }
        Ok(Some(wrap(items)))
    }
}

fn number(digits: &[u8]) -> io::Result<i64> {
    let digits = std::str::from_utf8(digits).map_err(|_| malformed("a number is not text"))?;
    digits.parse().map_err(|_| malformed("a number is not a number"))
}

fn malformed(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not RESP: {why}"))
}

const KINDS: &[u8] = b"+,(-:#_$=!*~%|>";
const MAX_DEPTH: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(input: &[u8]) -> Value {
        let mut received = BytesMut::from(input);
        let (value, as_sent) = Value::take(&mut received).unwrap().expect("a whole value");
        assert_eq!((&as_sent[..], received.len()), (input, 0));
        value
    }

    #[test]
    fn every_kind_is_read() {
        assert_eq!(whole(b":-7\r\n"), Value::Integer(-7));
        assert_eq!(whole(b"$-1\r\n"), Value::Nil);
        assert_eq!(whole(b"_\r\n"), Value::Nil);
        assert_eq!(whole(b"$4\r\na\r\nb\r\n"), Value::from("a\r\nb"));
        assert_eq!(whole(b"-ERR no\r\n"), Value::Error("ERR no".into()));
        assert_eq!(whole(b"*0\r\n"), Value::Array(vec![]));
        assert_eq!(whole(b"%1\r\n+k\r\n#t\r\n"), Value::Array(vec![Value::from("k"), Value::Integer(1)]));
        let push = Value::Push(vec![Value::from("message"), Value::from("c"), Value::from("x")]);
        assert_eq!(whole(b">3\r\n+message\r\n$1\r\nc\r\n$1\r\nx\r\n"), push);
    }

    #[test]
    fn a_value_cut_anywhere_waits_for_the_rest_and_takes_nothing() {
        let value = b"*3\r\n$5\r\nhello\r\n:12\r\n%1\r\n+k\r\n$2\r\nvv\r\n";
        for cut in 0..value.len() {
            let mut received = BytesMut::from(&value[..cut]);
            assert_eq!(Value::take(&mut received).unwrap(), None, "cut at {cut}");
            assert_eq!(received.len(), cut);
        }
        whole(value);
    }

    #[test]
    fn what_is_not_resp_is_refused() {
        for input in [&b"HTTP"[..], b"$x\r\n", b"\r\n", &b"*1\r\n".repeat(64)] {
            assert!(Value::take(&mut BytesMut::from(input)).is_err(), "{input:?}");
        }
    }
}
