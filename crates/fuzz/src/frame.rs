//! Frames, as L2 may hold them.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use forebay_core::entry::{Early, Encoded};
use forebay_core::frame::{FrameError, Header, VERSION, decode, encode};
use forebay_core::key::Secrets;
use forebay_core::l2::Incarnation;
use forebay_core::tag::{Ident, MAX_IDENTS};

/// Frames: any bytes are refused; a description under a checksum of its own is refused or gives a frame that reads the same
/// when written again; what is written is read back, and refused with any byte changed, cut off or under another key.
///
/// The first byte of an input says which of the three is made of the rest.
///
/// # Panics
/// Where that does not hold.
pub fn frame(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let secrets = Secrets::new("golden", None);
    match kind % 3 {
        0 => check_any(&secrets, rest),
        1 => check_sealed(&secrets, rest),
        _ => check_round_trip(&secrets, rest),
    }
}

const KEY: &[u8] = b"the canonical key";
const MAX_LEN: usize = 1 << 20;

/// Nobody guesses a checksum.
fn check_any(secrets: &Secrets, bytes: &[u8]) {
    let behind_the_magic = [b"FBAY", &[VERSION, 0][..], bytes].concat();
    for bytes in [bytes, &behind_the_magic] {
        assert!(decode(secrets, KEY, bytes, MAX_LEN).is_err());
        assert_eq!(decode(secrets, KEY, bytes, bytes.len().saturating_sub(1)).err(), too_large(bytes));
    }
}

fn too_large(bytes: &[u8]) -> Option<FrameError> {
    Some(if bytes.is_empty() { FrameError::TooShort } else { FrameError::TooLarge })
}

/// A description from somebody who knows how to seal it, as docs/wire.md says.
fn check_sealed(secrets: &Secrets, meta: &[u8]) {
    let length = u32::try_from(meta.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = [b"FBAY", &[VERSION, 0][..], &length, meta, b"body"].concat();
    let key = blake3::keyed_hash(secrets.frame(), &secrets.check(KEY));
    let seal = blake3::keyed_hash(key.as_bytes(), &bytes);
    bytes.extend_from_slice(&seal.as_bytes()[..16]);
    match decode(secrets, KEY, &bytes, MAX_LEN) {
        Ok((header, value)) => {
            assert!(header.idents.len() <= MAX_IDENTS && value.meta.len() <= meta.len());
            assert_eq!(&value.body[..], b"body");
            let again = encode(secrets, KEY, &header, &value, MAX_LEN).expect("it was one before");
            assert_eq!(decode(secrets, KEY, &again, MAX_LEN), Ok((header, value)));
        }
        Err(error) => assert!(matches!(error, FrameError::Meta | FrameError::Idents), "{error}"),
    }
}

fn check_round_trip(secrets: &Secrets, data: &[u8]) {
    let (header, value, change) = made(data);
    let written = encode(secrets, KEY, &header, &value, MAX_LEN).expect("it is small");
    assert_eq!(decode(secrets, KEY, &written, MAX_LEN).as_ref(), Ok(&(header.clone(), value.clone())));
    assert_eq!(encode(secrets, KEY, &header, &value, written.len() - 1), Err(FrameError::TooLarge));
    assert_eq!(decode(secrets, b"another key", &written, MAX_LEN), Err(FrameError::Checksum));

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
    let value = Encoded { meta: Bytes::copy_from_slice(meta), body: Bytes::copy_from_slice(body) };
    (header, value, (mixed >> 8) as u16)
}
