//! Frames: the form in which an entry stands in L2.
//!
//! ```text
//! offset  bytes  content
//!      0      4  magic "FBAY"
//!      4      1  version, 3
//!      5      1  flags: 1 the seal is a MAC, 2 the body is LZ4, 4 the body is Zstandard
//!      6      4  length of the description, little-endian
//!     10         the description: a MessagePack map with named fields
//!                the body, raw or compressed
//!    -16     16  seal: a MAC where there is a secret, else a checksum
//! ```
//!
//! The seal is over everything before it and over the [`Secrets::check`] of the entry's key. A frame that was damaged, cut,
//! lengthened or moved to another key therefore does not decode, and when the namespace has a secret, nobody without it can
//! make one. The incarnation is in the description, so that a frame from before a flush is known for what it is.
//!
//! **Invariant:** nothing is parsed or unpacked before the seal has passed, nothing is allocated by a length that stands in the
//! frame unless it is within the reader's limit, and a decoded value keeps no part of the frame's buffer.
//!
//! ```
//! use std::time::{Duration, UNIX_EPOCH};
//!
//! use bytes::Bytes;
//! use forebay_core::entry::{Density, Early, Encoded};
//! use forebay_core::frame::{self, FrameError, Header, Shape};
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
//! let (meta, body) = (Bytes::from_static(b"status and headers"), Bytes::from_static(b"hello"));
//! let value = Encoded { meta, body, density: Density::Loose };
//!
//! let frame = frame::encode(&secrets, b"key", &header, &value, Shape::default())?;
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

use crate::compress::{self, Codec, Compression, LZ4, ZSTD};
use crate::entry::{Density, Early, Encoded, Seq};
use crate::key::{Authenticity, Secrets};
use crate::l2::Incarnation;
use crate::seal::{SEAL, same, seal};
use crate::tag::{Ident, MAX_IDENTS};

/// The version that is written, and the only one that is read: a frame of another one is a miss, left where it is.
pub const VERSION: u8 = 3;

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

/// What frames may look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How bodies are compressed. Default not at all.
    pub compression: Compression,
    /// The most bytes that a frame may have, and its body without compression. Default 8 MiB.
    pub max_len: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self { compression: Compression::none(), max_len: 8 << 20 }
    }
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
    /// A flag is set that this version does not know, or two that exclude each other.
    Flags,
    /// The description would reach beyond the end.
    Length,
    /// Damaged, or the frame of another key.
    Checksum,
    /// Not made with this namespace's secret and for this key: damaged, forged, or moved.
    Mac,
    /// The description is no description.
    Meta,
    /// More idents than an entry may carry.
    Idents,
    /// The body is compressed in a way that this build does not know.
    Codec,
    /// The body is compressed, and is not what it says it is or would be larger than permitted.
    Body,
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
            Self::Mac => "mac",
            Self::Meta => "meta",
            Self::Idents => "idents",
            Self::Codec => "codec",
            Self::Body => "body",
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
/// [`FrameError::TooLarge`] when the frame, or the body alone, would be longer than `shape` permits, [`FrameError::Idents`] when
/// there are more than [`MAX_IDENTS`].
pub fn encode(
    secrets: &Secrets,
    canonical: &[u8],
    header: &Header,
    value: &Encoded,
    shape: Shape,
) -> Result<Bytes, FrameError> {
    if value.body.len() > shape.max_len {
        return Err(FrameError::TooLarge);
    }
    let mut idents = ArrayVec::<u8, { MAX_IDENTS * IDENT }>::new();
    for ident in &header.idents {
        idents.try_extend_from_slice(ident.as_bytes()).map_err(|_| FrameError::Idents)?;
    }
    let packed = shape.compression.pack(&value.body, value.density);
    let (codec, body) = match &packed {
        Some((codec, packed)) => (Some(*codec), &packed[..]),
        None => (None, &value.body[..]),
    };
    let meta = Meta {
        incarnation: ByteArray::new(header.incarnation.0),
        stamp: header.stamp,
        idents: serde_bytes::Bytes::new(&idents),
        born: millis(header.born.duration_since(UNIX_EPOCH).unwrap_or_default()),
        lifetime: millis(header.lifetime),
        keep: millis(header.keep),
        ahead: millis(header.early.ahead),
        spread: millis(header.early.spread),
        unpacked: codec.map_or(0, |_| value.body.len() as u64),
        value: serde_bytes::Bytes::new(&value.meta),
    };
    let most = HEAD + META_ROOM + idents.len() + value.meta.len() + SEAL;
    let mut frame = Vec::with_capacity(most.saturating_add(body.len()).min(shape.max_len));
    frame.extend_from_slice(&MAGIC);
    frame.extend_from_slice(&[VERSION, flags(secrets, codec)]);
    frame.resize(HEAD, 0);
    rmp_serde::encode::write_named(&mut frame, &meta).map_err(|_| FrameError::Meta)?;
    let meta_len = u32::try_from(frame.len() - HEAD).map_err(|_| FrameError::TooLarge)?;
    frame[META_LEN..HEAD].copy_from_slice(&meta_len.to_le_bytes());
    if frame.len() + SEAL + body.len() > shape.max_len {
        return Err(FrameError::TooLarge);
    }
    frame.extend_from_slice(body);
    let seal = seal(secrets, canonical, &frame);
    frame.extend_from_slice(&seal);
    Ok(frame.into())
}

/// Reads the frame found under the key `canonical`, however it was compressed. The value is copied out, so that the frame's
/// buffer, which may be a slice of something much larger, can go.
///
/// # Errors
/// [`FrameError`]: the frame is worth nothing to this reader. Cheap checks come first, then the seal; what it has
/// not vouched for is neither parsed nor unpacked.
pub fn decode(
    secrets: &Secrets,
    canonical: &[u8],
    frame: &[u8],
    max_len: usize,
) -> Result<(Header, Encoded), FrameError> {
    let Parts { flags, sealed, meta, body, seal: found } = split(frame, max_len)?;
    let codec = codec(secrets, flags)?;
    if !same(&seal(secrets, canonical, sealed), found) {
        return Err(unsealed(secrets));
    }
    let meta = Meta::parse(meta)?;
    let header = meta.header()?;
    let body = match codec {
        None => Bytes::copy_from_slice(body),
        Some(codec) => {
            compress::unpack(codec, body, meta.unpacked, max_len).map_err(|_| FrameError::Body)?.into()
        }
    };
    let density = Density::default();
    Ok((header, Encoded { meta: Bytes::copy_from_slice(meta.value), body, density }))
}

/// A frame by its lengths, nothing of it vouched for.
struct Parts<'a> {
    flags: u8,
    /// What the seal is over.
    sealed: &'a [u8],
    meta: &'a [u8],
    body: &'a [u8],
    seal: &'a [u8; SEAL],
}

fn split(frame: &[u8], max_len: usize) -> Result<Parts<'_>, FrameError> {
    if frame.len() > max_len {
        return Err(FrameError::TooLarge);
    }
    let parts = frame.split_last_chunk::<SEAL>();
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
    let meta_len = u32::from_le_bytes([l0, l1, l2, l3]);
    let split = usize::try_from(meta_len).ok().and_then(|len| rest.split_at_checked(len));
    let (meta, body) = split.ok_or(FrameError::Length)?;
    Ok(Parts { flags, sealed, meta, body, seal })
}

fn flags(secrets: &Secrets, codec: Option<Codec>) -> u8 {
    let sealed = match secrets.authenticity() {
        Authenticity::Secret => MAC,
        Authenticity::None => 0,
    };
    sealed | codec.map_or(0, Codec::flag)
}

/// How the body is compressed, if the frame is sealed as this reader's own are: a forger must not choose the weaker seal.
fn codec(secrets: &Secrets, given: u8) -> Result<Option<Codec>, FrameError> {
    let codec = match given & !MAC {
        0 => None,
        LZ4 => Some(Codec::Lz4),
        ZSTD => Some(Codec::zstd().ok_or(FrameError::Codec)?),
        _ => return Err(FrameError::Flags),
    };
    if given & MAC != flags(secrets, None) {
        return Err(FrameError::Mac);
    }
    Ok(codec)
}

fn unsealed(secrets: &Secrets) -> FrameError {
    match secrets.authenticity() {
        Authenticity::Secret => FrameError::Mac,
        Authenticity::None => FrameError::Checksum,
    }
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
    /// How many bytes the body had before it was compressed; 0 and left out where it was not.
    #[serde(default, skip_serializing_if = "is_zero")]
    unpacked: u64,
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
/// The flag of frames that are sealed with a MAC.
const MAC: u8 = 1;
const IDENT: usize = 16;
/// The description without idents and value: names, markers and numbers take at most 164 bytes.
const META_ROOM: usize = 176;
/// The description is one map deep; what a later version adds may be a little deeper.
const MAX_DEPTH: usize = 8;
