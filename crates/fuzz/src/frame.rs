//! Frames, as L2 may hold them.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use forebay_core::compress::Compression;
use forebay_core::entry::{Density, Early, Encoded};
use forebay_core::frame::{FrameError, Header, Shape, VERSION, decode, encode};
use forebay_core::key::{Authenticity, Secrets};
use forebay_core::l2::Incarnation;
use forebay_core::tag::{Ident, MAX_IDENTS};
use twox_hash::XxHash3_128;

/// Frames: any bytes are refused; a description under a seal of its own is refused or gives a frame that reads the same
/// when written again; so is a body that claims to be compressed; what is written, compressed or not, is read back, and refused
/// with any byte changed, cut off, under another key, or with the other kind of seal.
///
/// The first byte of an input says which of the four is made of the rest, and whether there is a secret.
///
/// # Panics
/// Where that does not hold.
pub fn frame(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let secret = (kind & 0x80 != 0).then_some(&b"a secret of the target's own"[..]);
    let secrets = Secrets::new("golden", secret);
    match (kind & 0x7f) % 4 {
        0 => check_any(&secrets, rest),
        1 => check_sealed(&secrets, rest),
        2 => check_round_trip(&secrets, rest),
        _ => check_packed(&secrets, rest),
    }
}

const KEY: &[u8] = b"the canonical key";
const MAX_LEN: usize = 1 << 20;
/// The flags of compressed bodies.
const LZ4: u8 = 2;
const ZSTD: u8 = 4;

/// Nobody guesses a checksum.
fn check_any(secrets: &Secrets, bytes: &[u8]) {
    let behind_the_magic = [b"FBAY", &[VERSION, kind(secrets)][..], bytes].concat();
    for bytes in [bytes, &behind_the_magic] {
        assert!(decode(secrets, KEY, bytes, MAX_LEN).is_err());
        assert_eq!(decode(secrets, KEY, bytes, bytes.len().saturating_sub(1)).err(), too_large(bytes));
    }
}

fn too_large(bytes: &[u8]) -> Option<FrameError> {
    Some(if bytes.is_empty() { FrameError::TooShort } else { FrameError::TooLarge })
}

/// A description from somebody who knows how to seal it.
fn check_sealed(secrets: &Secrets, meta: &[u8]) {
    match decode(secrets, KEY, &sealed(secrets, kind(secrets), meta, b"body"), MAX_LEN) {
        Ok((header, value)) => {
            assert!(header.idents.len() <= MAX_IDENTS && value.meta.len() <= meta.len());
            assert_eq!(&value.body[..], b"body");
            let again = encode(secrets, KEY, &header, &value, shape(MAX_LEN)).expect("it was one before");
            assert_eq!(decode(secrets, KEY, &again, MAX_LEN), Ok((header, value)));
        }
        Err(error) => assert!(matches!(error, FrameError::Meta | FrameError::Idents), "{error}"),
    }
}

/// A body that claims to be compressed and to have had a length, from somebody who knows how to seal it.
fn check_packed(secrets: &Secrets, data: &[u8]) {
    let Some((claim, body)) = data.split_first_chunk::<4>() else { return };
    let claim = u32::from_le_bytes(*claim);
    let (header, value, _) = made(b"");
    let plain = encode(secrets, KEY, &header, &value, shape(MAX_LEN)).expect("it is small");
    let meta_len = usize::from(plain[6]) | usize::from(plain[7]) << 8;
    let mut meta = plain[10..10 + meta_len].to_vec();
    // One more field in the map.
    meta[0] += 1;
    meta.extend_from_slice(b"\xa8unpacked\xce");
    meta.extend_from_slice(&claim.to_be_bytes());
    for codec in [LZ4, ZSTD] {
        match decode(secrets, KEY, &sealed(secrets, kind(secrets) | codec, &meta, body), MAX_LEN) {
            Ok((_, value)) => {
                assert_eq!(value.body.len() as u64, u64::from(claim));
                assert!(value.body.len() <= MAX_LEN);
            }
            Err(error) => assert!(matches!(error, FrameError::Body | FrameError::Codec), "{error}"),
        }
    }
}

/// A frame, sealed as docs/wire.md says.
fn sealed(secrets: &Secrets, flags: u8, meta: &[u8], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(meta.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = [b"FBAY", &[VERSION, flags][..], &length, meta, body].concat();
    let check = secrets.check(KEY);
    let seal: Vec<u8> = match secrets.authenticity() {
        Authenticity::Secret => {
            let key = blake3::keyed_hash(secrets.frame(), &check);
            blake3::keyed_hash(key.as_bytes(), &bytes).as_bytes()[..16].to_vec()
        }
        Authenticity::None => {
            let seed = check[..8].iter().rev().fold(0, |seed, byte| seed << 8 | u64::from(*byte));
            let sum = XxHash3_128::oneshot_with_seed(seed, &bytes).to_le_bytes();
            sum.iter().zip(&check[8..24]).map(|(sum, check)| sum ^ check).collect()
        }
    };
    bytes.extend_from_slice(&seal);
    bytes
}

/// The flag for the kind of seal.
fn kind(secrets: &Secrets) -> u8 {
    u8::from(secrets.authenticity() == Authenticity::Secret)
}

fn shape(max_len: usize) -> Shape {
    Shape { compression: Compression::lz4().at_least(64), max_len }
}

fn check_round_trip(secrets: &Secrets, data: &[u8]) {
    let (header, value, change) = made(data);
    let written = encode(secrets, KEY, &header, &value, shape(MAX_LEN)).expect("it is small");
    assert_eq!(decode(secrets, KEY, &written, MAX_LEN).as_ref(), Ok(&(header.clone(), value.clone())));
    let plain = Shape { compression: Compression::none(), max_len: MAX_LEN };
    let plain = encode(secrets, KEY, &header, &value, plain).expect("it is small");
    assert_eq!(decode(secrets, KEY, &plain, MAX_LEN).as_ref(), Ok(&(header.clone(), value.clone())));
    assert!(written.len() <= plain.len());
    let short = Shape { compression: Compression::none(), max_len: plain.len() - 1 };
    assert_eq!(encode(secrets, KEY, &header, &value, short), Err(FrameError::TooLarge));
    let other_key = decode(secrets, b"another key", &written, MAX_LEN);
    assert!(matches!(other_key, Err(FrameError::Checksum | FrameError::Mac)), "{other_key:?}");
    let other_secret = Secrets::new("golden", Some(b"another secret"));
    assert_eq!(decode(&other_secret, KEY, &written, MAX_LEN), Err(FrameError::Mac));

    let at = usize::from(change) % written.len();
    assert!(decode(secrets, KEY, &written[..at], MAX_LEN).is_err());
    let mut damaged = written.to_vec();
    damaged[at] ^= (change >> 8) as u8 | 1;
    assert!(decode(secrets, KEY, &damaged, MAX_LEN).is_err());
}

/// A header and a value from an input, and where to damage their frame.
fn made(data: &[u8]) -> (Header, Encoded, u16) {
    let mut rest = data;
    let mut number = || {
        let (bytes, tail) = rest.split_at(rest.len().min(8));
        rest = tail;
        bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    let (stamp, born, lifetime, keep, mixed) = (number(), number(), number(), number(), number());
    let idents = usize::try_from(mixed % 65).unwrap_or(0);
    let ident = |at: usize| Ident::from_bytes([(at as u8) ^ (stamp as u8); 16]);
    let header = Header {
        incarnation: Incarnation([stamp as u8; 16]),
        stamp,
        idents: (0..idents).map(ident).collect(),
        // Milliseconds that any platform's clock can hold.
        born: UNIX_EPOCH + Duration::from_millis(born >> 10),
        lifetime: Duration::from_millis(lifetime),
        keep: Duration::from_millis(keep),
        early: Early {
            ahead: Duration::from_millis(mixed >> 24 & 0xffff),
            spread: Duration::from_millis(mixed >> 40),
        },
    };
    let (meta, body) = rest.split_at(rest.len() / 2);
    let (meta, body) = (Bytes::copy_from_slice(meta), Bytes::copy_from_slice(body));
    let value = Encoded { meta, body, density: Density::Loose };
    (header, value, (mixed >> 8) as u16)
}
