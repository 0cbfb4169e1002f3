//! Seals: the last bytes of a frame, which vouch for all others and for the key it stands under.
//!
//! Without a secret a seal is a checksum: it finds damage, and frames that have ended up under another key. With one it is
//! a keyed BLAKE3, which nobody can make who does not have the secret. A reader takes only the kind that it makes itself, so that
//! a forger cannot choose the weaker one.

use twox_hash::XxHash3_128;

use crate::key::{Authenticity, Secrets};

/// The length of a seal.
pub(crate) const SEAL: usize = 16;

/// The seal of these bytes under the key `canonical`. Both kinds hash them in one piece: BLAKE3 is twice as fast over
/// 2 KiB in one piece as over the same bytes in three.
pub(crate) fn seal(secrets: &Secrets, canonical: &[u8], sealed: &[u8]) -> [u8; SEAL] {
    let check = secrets.check(canonical);
    match secrets.authenticity() {
        Authenticity::Secret => {
            let key = blake3::keyed_hash(secrets.frame(), &check);
            let mut half = [0; SEAL];
            half.copy_from_slice(&blake3::keyed_hash(key.as_bytes(), sealed).as_bytes()[..SEAL]);
            half
        }
        Authenticity::None => {
            let [c0, c1, c2, c3, c4, c5, c6, c7, rest @ ..] = check;
            let seed = u64::from_le_bytes([c0, c1, c2, c3, c4, c5, c6, c7]);
            let mut sum = XxHash3_128::oneshot_with_seed(seed, sealed).to_le_bytes();
            sum.iter_mut().zip(rest).for_each(|(byte, check)| *byte ^= check);
            sum
        }
    }
}

/// Compares without telling by its duration where the difference is.
pub(crate) fn same(a: &[u8; SEAL], b: &[u8; SEAL]) -> bool {
    a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}
