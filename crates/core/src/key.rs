//! Keys: 128 bits of keyed BLAKE3 over a canonical, length-prefixed encoding.
//!
//! A [`KeyEncoder`] collects the fields of a request in a stack buffer; two different lists of fields never give
//! the same bytes, because each field carries its tag and its length. The [`Secrets`] of a namespace make the hash
//! unpredictable from outside and different in every namespace.
//!
//! ```
//! use forebay_core::key::{KeyEncoder, Secrets};
//!
//! let secrets = Secrets::new("shop", None);
//! let mut key = KeyEncoder::new();
//! key.field(1, b"GET")?;
//! key.field(2, b"/articles/42")?;
//! let hashed = secrets.key(key.bytes());
//! assert_eq!(hashed, secrets.key(key.bytes()));
//! assert_ne!(hashed, Secrets::new("blog", None).key(key.bytes()));
//! # Ok::<(), forebay_core::key::TooLong>(())
//! ```

use std::fmt;
use std::hash::Hasher;

use arrayvec::ArrayVec;

/// The longest canonical key, in bytes. A longer one is not cached at all.
pub const MAX_KEY_LEN: usize = 4096;

/// The version of the encoding, its first byte: another version gives other keys.
const VERSION: u8 = 1;

/// The hash of a canonical key: what L1 and L2 look an entry up by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 16]);

impl Key {
    /// The key with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The key's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The key of something that belongs to `primary`: a variant of it, say. It stands in the same shard, whatever else it is.
    ///
    /// ```
    /// use forebay_core::key::Key;
    ///
    /// let (primary, variant) = (Key::from_bytes([1; 16]), Key::from_bytes([2; 16]));
    /// assert_ne!(variant.beside(primary), primary);
    /// for shards in [1, 2, 64, 256] {
    ///     assert_eq!(variant.beside(primary).shard_of(shards), primary.shard_of(shards));
    /// }
    /// ```
    #[must_use]
    #[inline]
    pub const fn beside(mut self, primary: Self) -> Self {
        self.0[15] = primary.0[15];
        self
    }

    /// In which of so many shards the key stands. `shards` is a power of two and at most 256.
    #[must_use]
    #[inline]
    pub const fn shard_of(&self, shards: usize) -> usize {
        self.0[15] as usize & shards.wrapping_sub(1)
    }

    /// Half of the key, for tables that need only a well-mixed word.
    #[must_use]
    pub const fn word(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The field of a canonical key that holds the path: what patterns are compared with.
pub const PATH: u8 = 2;

/// The path in a canonical key, if there is one.
pub(crate) fn path(canonical: &[u8]) -> Option<&str> {
    let mut rest = canonical.strip_prefix(&[VERSION])?;
    loop {
        let (tag, after) = rest.split_first()?;
        let (len, after) = length(after)?;
        let (bytes, after) = after.split_at_checked(len)?;
        if *tag == PATH {
            return std::str::from_utf8(bytes).ok();
        }
        rest = after;
    }
}

/// A LEB128 length, and what stands behind it.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let end = bytes.iter().take(3).position(|byte| byte & 0x80 == 0)?;
    let (digits, rest) = bytes.split_at_checked(end + 1)?;
    Some((digits.iter().rev().fold(0, |len, digit| len << 7 | usize::from(digit & 0x7f)), rest))
}

/// Builds a canonical key on the stack: a version, then `tag, length, bytes` for each field.
///
/// Lengths are LEB128 varints, so that common keys stay within one 64-byte BLAKE3 block. Absent fields are left
/// out. The order of the calls is part of the key.
#[derive(Clone)]
pub struct KeyEncoder {
    buf: ArrayVec<u8, MAX_KEY_LEN>,
}

/// The canonical key would be longer than [`MAX_KEY_LEN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "canonical key longer than {MAX_KEY_LEN} bytes")
    }
}

impl std::error::Error for TooLong {}

impl KeyEncoder {
    /// An empty key.
    #[must_use]
    #[inline]
    pub fn new() -> Self {
        let mut buf = ArrayVec::new();
        buf.push(VERSION);
        Self { buf }
    }

    /// Continues the canonical key `base`, to make the key of one of its variants.
    ///
    /// # Errors
    /// [`TooLong`] when `base` alone is over the limit.
    pub fn continuing(base: &[u8]) -> Result<Self, TooLong> {
        let mut buf = ArrayVec::new();
        buf.try_extend_from_slice(base).map_err(|_| TooLong)?;
        Ok(Self { buf })
    }

    /// Appends a field.
    ///
    /// # Errors
    /// [`TooLong`]; the encoder must not be used any further.
    #[inline]
    pub fn field(&mut self, tag: u8, bytes: &[u8]) -> Result<(), TooLong> {
        self.push(tag)?;
        let mut len = bytes.len();
        while len >= 0x80 {
            self.push((len as u8 & 0x7f) | 0x80)?;
            len >>= 7;
        }
        self.push(len as u8)?;
        self.buf.try_extend_from_slice(bytes).map_err(|_| TooLong)
    }

    /// Appends a field whose bytes `write` produces piece by piece, without collecting them first.
    ///
    /// # Errors
    /// [`TooLong`]; the encoder must not be used any further.
    pub fn field_with(&mut self, tag: u8, write: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Result<(), TooLong> {
        self.push(tag)?;
        let at = self.buf.len();
        // A varint padded to two bytes holds 14 bits, more than MAX_KEY_LEN.
        self.push(0x80)?;
        self.push(0)?;
        let mut fits = true;
        write(&mut |piece| fits &= self.buf.try_extend_from_slice(piece).is_ok());
        let len = self.buf.len() - at - 2;
        self.buf[at] = (len as u8 & 0x7f) | 0x80;
        self.buf[at + 1] = (len >> 7) as u8;
        if fits { Ok(()) } else { Err(TooLong) }
    }

    /// The canonical bytes so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buf
    }

    #[inline]
    fn push(&mut self, byte: u8) -> Result<(), TooLong> {
        self.buf.try_push(byte).map_err(|_| TooLong)
    }
}

impl Default for KeyEncoder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for KeyEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The bytes hold URLs and partitions: never in a log.
        write!(f, "KeyEncoder({} bytes)", self.buf.len())
    }
}

/// The hash keys of one namespace, one for each purpose, so that no hash serves two.
#[derive(Clone)]
pub struct Secrets {
    key: [u8; 32],
    check: [u8; 32],
    ident: [u8; 32],
    frame: [u8; 32],
    message: [u8; 32],
    authenticity: Authenticity,
}

/// Whether what is hashed with these keys proves who has made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Authenticity {
    /// It does not: the keys follow from the namespace, which is no secret.
    None,
    /// It does: nobody has the keys who does not have the secret.
    Secret,
}

impl Secrets {
    /// Derives the hash keys from the namespace and, when given, the user's secret.
    ///
    /// Without a secret the keys are deterministic: collisions cannot be forced by accident, but somebody who
    /// knows the namespace can compute them. With one, frames in L2 are authenticated as well.
    #[must_use]
    pub fn new(namespace: &str, secret: Option<&[u8]>) -> Self {
        let derive = |purpose: &str| {
            let mut hasher = blake3::Hasher::new_derive_key(purpose);
            hasher.update(&(namespace.len() as u64).to_le_bytes());
            hasher.update(namespace.as_bytes());
            hasher.update(secret.unwrap_or_default());
            *hasher.finalize().as_bytes()
        };
        Self {
            key: derive("forebay 2026 entry key"),
            check: derive("forebay 2026 entry check"),
            ident: derive("forebay 2026 ident"),
            frame: derive("forebay 2026 frame"),
            message: derive("forebay 2026 message"),
            authenticity: if secret.is_some() { Authenticity::Secret } else { Authenticity::None },
        }
    }

    /// Hashes a canonical key. One pass, no allocation; about 60 ns up to 64 bytes.
    #[must_use]
    #[inline]
    pub fn key(&self, canonical: &[u8]) -> Key {
        Key(half(&blake3::keyed_hash(&self.key, canonical)))
    }

    /// A second, 256-bit hash of a canonical key: it stands in the frame in place of the key itself, so that no URL,
    /// cookie or principal reaches L2, and proves that the frame belongs to the key.
    #[must_use]
    pub fn check(&self, canonical: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.check, canonical).as_bytes()
    }

    /// Hashes the name of something that can be invalidated. `kind` separates tags from paths and so on.
    #[must_use]
    pub fn ident(&self, kind: u8, parts: &[&[u8]]) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.ident);
        hasher.update(&[kind]);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        half(&hasher.finalize())
    }

    /// The hash key of frames.
    #[must_use]
    pub fn frame(&self) -> &[u8; 32] {
        &self.frame
    }

    /// The hash key of messages.
    #[must_use]
    pub fn message(&self) -> &[u8; 32] {
        &self.message
    }

    /// Whether there is a secret in the keys.
    #[must_use]
    pub const fn authenticity(&self) -> Authenticity {
        self.authenticity
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

fn half(hash: &blake3::Hash) -> [u8; 16] {
    let mut out = [0; 16];
    out.copy_from_slice(&hash.as_bytes()[..16]);
    out
}

/// The hasher for tables of keys and idents, which are keyed hashes already: half of one is as good a hash as any.
#[derive(Clone, Default)]
pub(crate) struct Prehashed(u64);

impl Hasher for Prehashed {
    fn write(&mut self, bytes: &[u8]) {
        let mut word = [0; 8];
        let n = bytes.len().min(8);
        word[..n].copy_from_slice(&bytes[..n]);
        self.0 ^= u64::from_le_bytes(word);
    }

    // The length prefix of the array adds nothing.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(fields: &[(u8, Vec<u8>)]) -> Vec<u8> {
        let mut key = KeyEncoder::new();
        for (tag, bytes) in fields {
            key.field(*tag, bytes).unwrap();
        }
        key.bytes().to_vec()
    }

    proptest! {
        #[test]
        fn different_fields_never_encode_alike(
            a in prop::collection::vec((0u8..4, prop::collection::vec(any::<u8>(), 0..200)), 0..5),
            b in prop::collection::vec((0u8..4, prop::collection::vec(any::<u8>(), 0..200)), 0..5),
        ) {
            prop_assert_eq!(encode(&a) == encode(&b), a == b);
        }

        #[test]
        fn bytes_moved_between_fields_change_the_key(text in "[a-z&=?/]{2,40}", at in 0usize..40, to in 0usize..40) {
            let (at, to) = (at % text.len(), to % text.len());
            let split = |i: usize| encode(&[(1, text[..i].into()), (2, text[i..].into())]);
            prop_assert_eq!(split(at) == split(to), at == to);
        }

        #[test]
        fn a_streamed_field_is_as_injective_as_a_whole_one(
            a in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..4),
            b in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..4),
        ) {
            let stream = |pieces: &[Vec<u8>]| {
                let mut key = KeyEncoder::new();
                key.field_with(7, |sink| pieces.iter().for_each(|p| sink(p))).unwrap();
                key.field(8, b"end").unwrap();
                key.bytes().to_vec()
            };
            prop_assert_eq!(stream(&a) == stream(&b), a.concat() == b.concat());
        }
    }

    #[test]
    fn the_path_is_read_back_wherever_it_stands() {
        let long = "/x".repeat(200);
        let mut key = KeyEncoder::new();
        key.field(1, &[b'h'; 300]).unwrap();
        key.field_with(7, |sink| sink(b"streamed")).unwrap();
        assert_eq!(path(key.bytes()), None);
        key.field(PATH, long.as_bytes()).unwrap();
        key.field(3, b"q").unwrap();
        assert_eq!(path(key.bytes()), Some(long.as_str()));
        for cut in 0..key.bytes().len() {
            let _ = path(&key.bytes()[..cut]);
        }
        assert_eq!(path(b"other"), None);
    }

    #[test]
    fn an_overlong_key_is_refused() {
        let mut key = KeyEncoder::new();
        assert_eq!(key.field(1, &[0; MAX_KEY_LEN]), Err(TooLong));
        let mut key = KeyEncoder::new();
        assert_eq!(key.field_with(1, |sink| (0..1000).for_each(|_| sink(b"12345"))), Err(TooLong));
        assert_eq!(KeyEncoder::continuing(&[0; MAX_KEY_LEN + 1]).map(|_| ()), Err(TooLong));
    }

    #[test]
    fn keys_are_stable_and_bound_to_their_secret() {
        let mut key = KeyEncoder::new();
        key.field(1, b"/articles/42").unwrap();
        let plain = Secrets::new("shop", None);
        assert_eq!(plain.key(key.bytes()).to_string(), "539fc288dd68b7607a356f3b9c62261b");
        assert_ne!(plain.key(key.bytes()), Secrets::new("shop", Some(b"s3cret")).key(key.bytes()));
        assert_ne!(plain.check(key.bytes())[..16], plain.key(key.bytes()).as_bytes()[..]);
    }

    #[test]
    fn keys_spread_evenly_over_the_shards() {
        let secrets = Secrets::new("shop", None);
        let mut counts = [0; 16];
        for n in 0..16_000_u32 {
            counts[secrets.key(&n.to_le_bytes()).shard_of(16)] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn idents_of_different_kinds_and_splits_differ() {
        let s = Secrets::new("shop", None);
        assert_ne!(s.ident(1, &[b"a"]), s.ident(2, &[b"a"]));
        assert_ne!(s.ident(1, &[b"ab", b"c"]), s.ident(1, &[b"a", b"bc"]));
    }
}
