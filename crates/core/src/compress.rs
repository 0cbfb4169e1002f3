//! Bodies made smaller on their way to L2.
//!
//! A [`Compression`] says how the bodies are compressed that this instance writes. What others have written is read
//! whatever the setting: each frame says how its body was compressed.
//!
//! ```
//! use forebay_core::compress::Compression;
//!
//! let compression = Compression::lz4().at_least(4096);
//! assert_ne!(compression, Compression::none());
//! ```
//!
//! **Invariant:** what is unpacked is bounded before it is: by the largest body that may stand in L2, and by
//! [`MAX_RATIO`] times what it was packed to, so that no few bytes in L2 cost a reader much memory.

use crate::entry::Density;

/// The most that a body beyond the first MiB may have been shrunk by; one that claims more is not unpacked.
pub const MAX_RATIO: usize = 200;

/// How bodies are compressed on their way to L2.
///
/// A body is compressed when it is long enough and not compressed already, by its Content-Encoding or Content-Type; it stays as
/// it was unless that makes it smaller by a tenth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Compression {
    method: Method,
    at_least: usize,
}

impl Compression {
    /// Bodies go to L2 as they are.
    pub const fn none() -> Self {
        Self { method: Method::None, at_least: AT_LEAST }
    }

    /// LZ4: fast, and about half of what text had.
    pub const fn lz4() -> Self {
        Self { method: Method::Lz4, at_least: AT_LEAST }
    }

    /// Zstandard at this level: about a quarter of what text had. 1 is fast, 3 is zstd's own default, 19 takes its time; other
    /// numbers count as the nearest. Instances that are built without the feature `zstd` cannot read what it writes, and count misses.
    #[cfg(feature = "zstd")]
    pub const fn zstd(level: i32) -> Self {
        let level = match level {
            ..1 => 1,
            20.. => 19,
            level => level,
        };
        Self { method: Method::Zstd(level), at_least: AT_LEAST }
    }

    /// The shortest body that is compressed, in bytes. Default 1024.
    pub const fn at_least(mut self, bytes: usize) -> Self {
        self.at_least = bytes;
        self
    }

    /// The body, smaller, and how that was done; nothing where it stays as it is.
    pub(crate) fn pack(self, body: &[u8], density: Density) -> Option<(Codec, Vec<u8>)> {
        if body.len() < self.at_least || density == Density::Dense {
            return None;
        }
        let (codec, packed) = match self.method {
            Method::None => return None,
            Method::Lz4 => (Codec::Lz4, lz4_flex::block::compress(body)),
            #[cfg(feature = "zstd")]
            Method::Zstd(level) => (Codec::Zstd, zstd::pack(body, level)?),
        };
        (packed.len() <= body.len() - body.len() / 10).then_some((codec, packed))
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self::none()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    None,
    Lz4,
    #[cfg(feature = "zstd")]
    Zstd(i32),
}

/// How a body was compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Lz4,
    #[cfg(feature = "zstd")]
    Zstd,
}

impl Codec {
    /// The flag that says so in a frame.
    pub(crate) const fn flag(self) -> u8 {
        match self {
            Self::Lz4 => LZ4,
            #[cfg(feature = "zstd")]
            Self::Zstd => ZSTD,
        }
    }

    /// Zstandard, where this build has it.
    pub(crate) const fn zstd() -> Option<Self> {
        #[cfg(feature = "zstd")]
        return Some(Self::Zstd);
        #[cfg(not(feature = "zstd"))]
        return None;
    }
}

/// Why a body cannot be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packed {
    /// It would be larger than permitted.
    TooLarge,
    /// It is not what it says it is.
    Damaged,
}

/// The body as it was, which had `len` bytes and may have at most `max`.
pub(crate) fn unpack(codec: Codec, packed: &[u8], len: u64, max: usize) -> Result<Vec<u8>, Packed> {
    let most = max.min(packed.len().saturating_mul(MAX_RATIO).max(FREE));
    let len = usize::try_from(len).ok().filter(|len| *len <= most).ok_or(Packed::TooLarge)?;
    let body = match codec {
        Codec::Lz4 => lz4_flex::block::decompress(packed, len).map_err(|_| Packed::Damaged)?,
        #[cfg(feature = "zstd")]
        Codec::Zstd => zstd::unpack(packed, len).ok_or(Packed::Damaged)?,
    };
    if body.len() == len { Ok(body) } else { Err(Packed::Damaged) }
}

/// Zstandard with contexts that are used again: making them costs ten times what a small body does.
#[cfg(feature = "zstd")]
mod zstd {
    use std::cell::RefCell;

    use zstd::bulk::{Compressor, Decompressor};

    thread_local! {
        static PACKING: RefCell<Option<(i32, Compressor<'static>)>> = const { RefCell::new(None) };
        static UNPACKING: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    }

    pub(super) fn pack(body: &[u8], level: i32) -> Option<Vec<u8>> {
        PACKING.with_borrow_mut(|slot| {
            if slot.as_ref().is_none_or(|(own, _)| *own != level) {
                *slot = Some((level, Compressor::new(level).ok()?));
            }
            slot.as_mut()?.1.compress(body).ok()
        })
    }

    pub(super) fn unpack(packed: &[u8], len: usize) -> Option<Vec<u8>> {
        UNPACKING.with_borrow_mut(|slot| {
            if slot.is_none() {
                *slot = Some(Decompressor::new().ok()?);
            }
            slot.as_mut()?.decompress(packed, len).ok()
        })
    }
}

/// The flags of frames whose body is compressed.
pub(crate) const LZ4: u8 = 2;
pub(crate) const ZSTD: u8 = 4;
/// The shortest body that is worth it, unless the user says otherwise.
const AT_LEAST: usize = 1024;
/// Up to here the ratio does not matter.
const FREE: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 8 << 20;

    fn text(len: usize) -> Vec<u8> {
        b"the intake of a turbine, ".iter().copied().cycle().take(len).collect()
    }

    fn noise(len: usize) -> Vec<u8> {
        blake3::Hasher::new().finalize_xof().fill_vec(len)
    }

    trait FillVec {
        fn fill_vec(self, len: usize) -> Vec<u8>;
    }

    impl FillVec for blake3::OutputReader {
        fn fill_vec(mut self, len: usize) -> Vec<u8> {
            let mut bytes = vec![0; len];
            self.fill(&mut bytes);
            bytes
        }
    }

    fn all() -> Vec<Compression> {
        let all = [Compression::lz4()].into_iter();
        #[cfg(feature = "zstd")]
        let all = all.chain([1, 3, i32::MIN].map(Compression::zstd));
        all.collect()
    }

    #[test]
    fn what_shrinks_is_packed_and_comes_back() {
        for compression in all() {
            for len in [1024, 4095, 1 << 16, 1 << 20] {
                let (codec, packed) = compression.pack(&text(len), Density::Loose).unwrap();
                assert!(packed.len() < len / 4);
                assert_eq!(unpack(codec, &packed, len as u64, MAX), Ok(text(len)));
            }
        }
    }

    #[test]
    fn what_is_short_dense_or_does_not_shrink_stays_as_it_is() {
        for compression in all() {
            assert_eq!(compression.pack(&text(1023), Density::Loose), None);
            assert_eq!(compression.pack(&text(4096), Density::Dense), None);
            assert_eq!(compression.pack(&noise(4096), Density::Loose), None);
            let mixed = [noise(3800), text(400)].concat();
            assert_eq!(compression.pack(&mixed, Density::Loose), None, "a tenth is not reached");
            assert!(compression.at_least(100).pack(&text(1023), Density::Loose).is_some());
        }
        assert_eq!(Compression::none().pack(&text(4096), Density::Loose), None);
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_unpacked() {
        for compression in all() {
            let zeros = vec![0; 4 << 20];
            let (codec, packed) = compression.pack(&zeros, Density::Loose).unwrap();
            assert!(packed.len() * MAX_RATIO < zeros.len(), "{}", packed.len());
            assert_eq!(unpack(codec, &packed, zeros.len() as u64, MAX), Err(Packed::TooLarge));
            for claim in [u64::MAX, u64::from(u32::MAX), MAX as u64 + 1] {
                assert_eq!(unpack(codec, &packed, claim, MAX), Err(Packed::TooLarge));
            }
        }
    }

    #[test]
    fn a_length_that_is_not_the_body_s_is_damage() {
        for compression in all() {
            let body = text(4096);
            let (codec, packed) = compression.pack(&body, Density::Loose).unwrap();
            for claim in [0, 1, 4095, 4097, 1 << 20] {
                assert_eq!(unpack(codec, &packed, claim, MAX), Err(Packed::Damaged), "{claim}");
            }
            assert_eq!(unpack(codec, &packed, 4096, 4095), Err(Packed::TooLarge));
        }
    }

    #[test]
    fn damage_is_never_a_panic() {
        for compression in all() {
            let body = [text(700), noise(700)].concat();
            let (codec, packed) = compression.pack(&body, Density::Loose).unwrap();
            for bit in 0..packed.len() * 8 {
                let mut damaged = packed.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                let _ = unpack(codec, &damaged, body.len() as u64, MAX);
                let _ = unpack(codec, &packed[..bit / 8], body.len() as u64, MAX);
            }
        }
    }
}
