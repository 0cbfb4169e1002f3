//! What files hold that must not be shown: the bearer token of the admin API, and the secret that instances share.

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

/// The secret that instances share.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Vec<u8>);

impl Secret {
    /// A secret as a file holds it: what stands around it as white space does not count.
    ///
    /// # Errors
    /// What a secret has to be.
    pub(crate) fn new(text: &[u8]) -> Result<Self, &'static str> {
        let secret = text.trim_ascii();
        if secret.len() < MIN_SECRET {
            return Err("a secret of 16 bytes or more is accepted");
        }
        Ok(Self(secret.to_vec()))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

const MIN_LEN: usize = 32;
const MIN_SECRET: usize = 16;
