//! Frames: the form in which an entry stands in L2.
//!
//! ```text
//! offset  bytes  content
//!      0      4  magic "FBAY"
//!      4      1  version, 2
//!      5      1  flags, 0
//!      6      4  length of the description, little-endian
//!     10         the description: a MessagePack map with named fields
//!                the body, raw
//!    -16     16  checksum
//! ```
//!
//! The checksum is half of a keyed BLAKE3 over everything before it. Its key is made from [`Secrets::frame`] and the
//! [`Secrets::check`] of the entry's key. A frame that was damaged, cut, lengthened or moved to another key therefore
//! does not decode, and when the namespace has a secret, nobody without it can make one. What is hashed is one piece:
//! BLAKE3 is twice as fast over 2 KiB in one piece as over the same bytes in three.
//!
//! **Invariant:** nothing is parsed before the checksum has passed, nothing is allocated by a length that stands in the
//! frame, and a decoded value keeps no part of the frame's buffer.
//!
//! ```
//! use std::time::{Duration, UNIX_EPOCH};
//!
//! use bytes::Bytes;
//! use forebay_core::entry::{Early, Encoded};
//! use forebay_core::frame::{self, FrameError, Header};
//! use forebay_core::key::Secrets;
//! use forebay_core::l2::Incarnation;
//! use forebay_core::tag::Ident;
//!
//! let secrets = Secrets::new("shop", None);
//! let header = Header {
//!     incarnation: Incarnation([7; 16]),
//!     stamp: 1_700_000_000_000_000,
//!     idents: vec![Ident::namespace(&secrets)],
//!     born: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
//!     lifetime: Duration::from_secs(60),
//!     keep: Duration::from_secs(3600),
//!     early: Early::default(),
//! };
//! let value = Encoded { meta: Bytes::from_static(b"status and headers"), body: Bytes::from_static(b"hello") };
//!
//! let frame = frame::encode(&secrets, b"key", &header, &value, 8 << 20)?;
//! assert_eq!(frame::decode(&secrets, b"key", &frame, 8 << 20)?, (header, value));
//! assert_eq!(frame::decode(&secrets, b"other key", &frame, 8 << 20), Err(FrameError::Checksum));
//! # Ok::<(), FrameError>(())
//! ```

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrayvec::ArrayVec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use crate::entry::{Early, Encoded, Seq};
use crate::key::Secrets;
use crate::l2::Incarnation;
use crate::tag::{Ident, MAX_IDENTS};

/// The version that is written, and the only one that is read: a frame of another one is a miss, left where it is.
pub const VERSION: u8 = 2;

/// What a frame says of its entry, beside the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The incarnation in which the entry was filled.
    pub incarnation: Incarnation,
    /// The log's position before the origin was asked.
    pub stamp: Seq,
    /// What invalidates the entry; at most [`MAX_IDENTS`].
    pub idents: Vec<Ident>,
    /// When the value's age was zero, by the wall clock; kept to the millisecond.
    pub born: SystemTime,
    /// How long the value is fresh from then on; kept to the millisecond.
    pub lifetime: Duration,
    /// How long it is kept beyond that; kept to the millisecond.
    pub keep: Duration,
    /// When it is fetched anew though it is fresh; kept to the millisecond.
    pub early: Early,
}

/// Why bytes are no frame, or a value makes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FrameError {
    /// Longer than permitted.
    TooLarge,
    /// Shorter than the fixed part.
    TooShort,
    /// Something else's data.
    Magic,
    /// Written by another version, this one.
    Version(u8),
    /// A flag is set; this version knows none.
    Flags,
    /// The description would reach beyond the end.
    Length,
    /// Damaged, forged, or the frame of another key.
    Checksum,
    /// The description is no description.
    Meta,
    /// More idents than an entry may carry.
    Idents,
}

impl FrameError {
    /// The reason as a word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::TooShort => "too-short",
            Self::Magic => "magic",
            Self::Version(_) => "version",
            Self::Flags => "flags",
            Self::Length => "length",
            Self::Checksum => "checksum",
            Self::Meta => "meta",
            Self::Idents => "idents",
        }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "invalid frame: version {version}"),
            _ => write!(f, "invalid frame: {}", self.as_str()),
        }
    }
}

impl std::error::Error for FrameError {}

/// Makes the frame of a value under the key `canonical`. One buffer; the body is copied once.
///
/// # Errors
/// [`FrameError::TooLarge`] when the frame would be longer than `max_len`, [`FrameError::Idents`] when there are more
/// than [`MAX_IDENTS`].
pub fn encode(
    secrets: &Secrets,
    canonical: &[u8],
    header: &Header,
    value: &Encoded,
    max_len: usize,
) -> Result<Bytes, FrameError> {
    let mut idents = ArrayVec::<u8, { MAX_IDENTS * IDENT }>::new();
    for ident in &header.idents {
        idents.try_extend_from_slice(ident.as_bytes()).map_err(|_| FrameError::Idents)?;
    }
    let meta = Meta {
        incarnation: ByteArray::new(header.incarnation.0),
        stamp: header.stamp,
        idents: serde_bytes::Bytes::new(&idents),
        born: millis(header.born.duration_since(UNIX_EPOCH).unwrap_or_default()),
        lifetime: millis(header.lifetime),
        keep: millis(header.keep),
        ahead: millis(header.early.ahead),
        spread: millis(header.early.spread),
        value: serde_bytes::Bytes::new(&value.meta),
    };
    let most = HEAD + META_ROOM + idents.len() + value.meta.len() + CHECKSUM;
    let mut frame = Vec::with_capacity(most.saturating_add(value.body.len()).min(max_len));
    frame.extend_from_slice(&MAGIC);
    frame.extend_from_slice(&[VERSION, 0]);
    frame.resize(HEAD, 0);
    rmp_serde::encode::write_named(&mut frame, &meta).map_err(|_| FrameError::Meta)?;
    let meta_len = u32::try_from(frame.len() - HEAD).map_err(|_| FrameError::TooLarge)?;
    frame[META_LEN..HEAD].copy_from_slice(&meta_len.to_le_bytes());
    if frame.len() + CHECKSUM + value.body.len() > max_len {
        return Err(FrameError::TooLarge);
    }
    frame.extend_from_slice(&value.body);
    let checksum = checksum(secrets, canonical, &frame);
    frame.extend_from_slice(&checksum);
    Ok(frame.into())
}

/// Reads the frame found under the key `canonical`. The value is copied out, so that the frame's buffer, which may be
/// a slice of something much larger, can go.
///
/// # Errors
/// [`FrameError`]: the frame is worth nothing to this reader. Cheap checks come first, then the checksum; what it has
/// not vouched for is not parsed.
pub fn decode(
    secrets: &Secrets,
    canonical: &[u8],
    frame: &[u8],
    max_len: usize,
) -> Result<(Header, Encoded), FrameError> {
    let Parts { sealed, meta, body, seal } = split(frame, max_len)?;
    if !same(&checksum(secrets, canonical, sealed), seal) {
        return Err(FrameError::Checksum);
    }
    let meta = Meta::parse(meta)?;
    let value = Encoded { meta: Bytes::copy_from_slice(meta.value), body: Bytes::copy_from_slice(body) };
    Ok((meta.header()?, value))
}

/// A frame by its lengths, nothing of it vouched for.
struct Parts<'a> {
    /// What the checksum is over.
    sealed: &'a [u8],
    meta: &'a [u8],
    body: &'a [u8],
    seal: &'a [u8; CHECKSUM],
}

fn split(frame: &[u8], max_len: usize) -> Result<Parts<'_>, FrameError> {
    if frame.len() > max_len {
        return Err(FrameError::TooLarge);
    }
    let parts = frame.split_last_chunk::<CHECKSUM>();
    let parts = parts.and_then(|(sealed, seal)| Some((sealed, seal, sealed.split_first_chunk::<HEAD>()?)));
    let Some((sealed, seal, (head, rest))) = parts else {
        return Err(FrameError::TooShort);
    };
    let &[m0, m1, m2, m3, version, flags, l0, l1, l2, l3] = head;
    if [m0, m1, m2, m3] != MAGIC {
        return Err(FrameError::Magic);
    }
    if version != VERSION {
        return Err(FrameError::Version(version));
    }
    if flags != 0 {
        return Err(FrameError::Flags);
    }
    let meta_len = u32::from_le_bytes([l0, l1, l2, l3]);
    let split = usize::try_from(meta_len).ok().and_then(|len| rest.split_at_checked(len));
    let (meta, body) = split.ok_or(FrameError::Length)?;
    Ok(Parts { sealed, meta, body, seal })
}

fn checksum(secrets: &Secrets, canonical: &[u8], sealed: &[u8]) -> [u8; CHECKSUM] {
    let key = blake3::keyed_hash(secrets.frame(), &secrets.check(canonical));
    let hash = blake3::keyed_hash(key.as_bytes(), sealed);
    let mut half = [0; CHECKSUM];
    half.copy_from_slice(&hash.as_bytes()[..CHECKSUM]);
    half
}

/// Compares without telling by its duration where the difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

/// The description as it is written. A field that is unknown is passed over, one that is missing is an error.
#[derive(Serialize, Deserialize)]
struct Meta<'a> {
    incarnation: ByteArray<16>,
    stamp: Seq,
    /// One after the other, without separators.
    #[serde(borrow)]
    idents: &'a serde_bytes::Bytes,
    /// Milliseconds since 1970.
    born: u64,
    /// Milliseconds.
    lifetime: u64,
    /// Milliseconds.
    keep: u64,
    /// Milliseconds; left out where it is zero.
    #[serde(default, skip_serializing_if = "is_zero")]
    ahead: u64,
    /// Milliseconds; left out where it is zero.
    #[serde(default, skip_serializing_if = "is_zero")]
    spread: u64,
    #[serde(borrow)]
    value: &'a serde_bytes::Bytes,
}

impl<'a> Meta<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let mut decoder = rmp_serde::Deserializer::from_read_ref(bytes);
        decoder.set_max_depth(MAX_DEPTH);
        let meta = Self::deserialize(&mut decoder).map_err(|_| FrameError::Meta)?;
        match <()>::deserialize(&mut decoder) {
            // The decoder does not say where it stands; that it finds no further marker means the end.
            Err(rmp_serde::decode::Error::InvalidMarkerRead(_)) => Ok(meta),
            _ => Err(FrameError::Meta),
        }
    }

    fn header(&self) -> Result<Header, FrameError> {
        let (idents, rest) = self.idents.as_chunks::<IDENT>();
        if idents.len() > MAX_IDENTS || !rest.is_empty() {
            return Err(FrameError::Idents);
        }
        let born = UNIX_EPOCH.checked_add(Duration::from_millis(self.born)).ok_or(FrameError::Meta)?;
        Ok(Header {
            incarnation: Incarnation(*self.incarnation),
            stamp: self.stamp,
            idents: idents.iter().copied().map(Ident::from_bytes).collect(),
            born,
            lifetime: Duration::from_millis(self.lifetime),
            keep: Duration::from_millis(self.keep),
            early: Early {
                ahead: Duration::from_millis(self.ahead),
                spread: Duration::from_millis(self.spread),
            },
        })
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

const MAGIC: [u8; 4] = *b"FBAY";
/// Where the description's length stands.
const META_LEN: usize = 6;
/// The length of what stands before the description.
const HEAD: usize = 10;
/// The length of the checksum.
const CHECKSUM: usize = 16;
const IDENT: usize = 16;
/// The description without idents and value: names, markers and numbers take at most 146 bytes.
const META_ROOM: usize = 160;
/// The description is one map deep; what a later version adds may be a little deeper.
const MAX_DEPTH: usize = 8;
