//! Seals: the last bytes of a frame or message, which vouch for all others, and for where they belong.
//!
//! A frame's seal also vouches for the key it stands under, a message's for its channel. Messages are sealed where there is a
//! secret, by an L2 whose bus others can write to:
//!
//! ```
//! use forebay_core::key::Secrets;
//! use forebay_core::seal::MessageSeal;
//!
//! let secrets = Secrets::new("shop", Some(b"sixteen bytes or more"));
//! let seal = MessageSeal::new(&secrets, b"the channel").ok_or("there is a secret")?;
//! let sealed = seal.sealed(b"message".to_vec());
//! assert_eq!(seal.open(&sealed), Some(&b"message"[..]));
//! assert_eq!(seal.open(b"message"), None);
//! assert!(MessageSeal::new(&Secrets::new("shop", None), b"the channel").is_none());
//! # Ok::<(), &str>(())
//! ```
//!
//! Without a secret a frame's seal is a checksum: it finds damage, and frames that have ended up under another key. With one it is
//! a keyed BLAKE3, which nobody can make who does not have the secret. A reader takes only the kind that it makes itself, so that
//! a forger cannot choose the weaker one.

use std::fmt;

use twox_hash::XxHash3_128;

use crate::key::{Authenticity, Secrets};

/// The length of a seal.
pub const SEAL: usize = 16;

/// The seal of these bytes under the key `canonical`. Both kinds hash them in one piece: BLAKE3 is twice as fast over
/// 2 KiB in one piece as over the same bytes in three.
pub(crate) fn seal(secrets: &Secrets, canonical: &[u8], sealed: &[u8]) -> [u8; SEAL] {
    let check = secrets.check(canonical);
    match secrets.authenticity() {
        Authenticity::Secret => mac(blake3::keyed_hash(secrets.frame(), &check).as_bytes(), sealed),
        Authenticity::None => {
            let [c0, c1, c2, c3, c4, c5, c6, c7, rest @ ..] = check;
            let seed = u64::from_le_bytes([c0, c1, c2, c3, c4, c5, c6, c7]);
            let mut sum = XxHash3_128::oneshot_with_seed(seed, sealed).to_le_bytes();
            sum.iter_mut().zip(rest).for_each(|(byte, check)| *byte ^= check);
            sum
        }
    }
}

/// Seals the messages of one channel.
#[derive(Clone)]
pub struct MessageSeal([u8; 32]);

impl MessageSeal {
    /// The seal of a channel, whose name says all that a message belongs to; none without a secret.
    #[must_use]
    pub fn new(secrets: &Secrets, channel: &[u8]) -> Option<Self> {
        let key = || Self(*blake3::keyed_hash(secrets.message(), channel).as_bytes());
        (secrets.authenticity() == Authenticity::Secret).then(key)
    }

    /// The message with its seal behind it.
    #[must_use]
    pub fn sealed(&self, mut message: Vec<u8>) -> Vec<u8> {
        message.extend_from_slice(&mac(&self.0, &message));
        message
    }

    /// The message, if somebody has sealed it who has the secret.
    #[must_use]
    pub fn open<'a>(&self, sealed: &'a [u8]) -> Option<&'a [u8]> {
        let (message, seal) = sealed.split_last_chunk()?;
        same(&mac(&self.0, message), seal).then_some(message)
    }
}

impl fmt::Debug for MessageSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MessageSeal(..)")
    }
}

fn mac(key: &[u8; 32], bytes: &[u8]) -> [u8; SEAL] {
    let mut half = [0; SEAL];
    half.copy_from_slice(&blake3::keyed_hash(key, bytes).as_bytes()[..SEAL]);
    half
}

/// Compares without telling by its duration where the difference is.
pub(crate) fn same(a: &[u8; SEAL], b: &[u8; SEAL]) -> bool {
    a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_opened_by_the_secret_and_channel_it_was_sealed_with_and_whole() {
        let seal =
            |secret: &[u8], channel| MessageSeal::new(&Secrets::new("shop", Some(secret)), channel).unwrap();
        let own = seal(b"secret", b"{shop:0}:c");
        let sealed = own.sealed(b"message".to_vec());
        assert_eq!(own.open(&sealed), Some(&b"message"[..]));
        assert_eq!(seal(b"another", b"{shop:0}:c").open(&sealed), None);
        assert_eq!(seal(b"secret", b"{shop:1}:c").open(&sealed), None);
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(own.open(&damaged), None, "bit {bit}");
            assert_eq!(own.open(&sealed[..bit / 8]), None);
        }
    }
}
