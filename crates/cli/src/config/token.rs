//! The bearer token of the admin API.

use std::fmt;

/// The hash of a token; the token itself is not kept.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(blake3::Hash);

impl Token {
    /// A token as a file holds it: what stands around it as white space does not count.
    ///
    /// # Errors
    /// What a token has to be.
    pub(crate) fn new(text: &[u8]) -> Result<Self, &'static str> {
        let token = text.trim_ascii();
        if token.len() < MIN_LEN {
            return Err("a token of 32 bytes or more is accepted");
        }
        if !token.iter().all(u8::is_ascii_graphic) {
            return Err("a token on one line, of printable ASCII characters without blanks, is accepted");
        }
        Ok(Self(blake3::hash(token)))
    }

    /// Whether this is the token. How long that takes depends on the length of `offered` alone: hashes are compared, in
    /// constant time.
    pub(crate) fn is(&self, offered: &[u8]) -> bool {
        self.0 == blake3::hash(offered)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

const MIN_LEN: usize = 32;
