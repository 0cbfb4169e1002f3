//! What a client has seen: where the log stood when a change of its own was confirmed, as a token that it sends with its next
//! requests.
//!
//! Such a token comes from outside and may be anything. It is never more than a reason to ask L2 once.

use std::fmt;

use crate::instance::{Instance, Receipt};
use crate::l2::{Incarnation, Issued};
use crate::shard::Proof;

/// Where the log of each shard stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen(Box<[Place]>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// What the incarnation begins with.
    life: [u8; 4],
    seq: u64,
}

/// Whether an instance's L1 reflects what a client has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reflects {
    /// As far as can be told without asking.
    Yes,
    /// Not that it knew: L2 has to be asked.
    Unknown,
}

impl Seen {
    /// What the receipt of an invalidation proves; nothing without an L2.
    #[must_use]
    pub fn of(receipt: &Receipt) -> Option<Self> {
        let place = |proof: &Proof| match proof {
            Proof::Log(Issued { position, .. }) => {
                let [a, b, c, d, ..] = position.incarnation.0;
                Some(Place { life: [a, b, c, d], seq: position.seq })
            }
            Proof::Local(_) => None,
        };
        receipt.proofs().iter().map(place).collect::<Option<_>>().map(Self)
    }

    /// Reads a token. `None` for anything that is none.
    #[must_use]
    pub fn parse(token: &[u8]) -> Option<Self> {
        let (places, rest) = token.as_chunks::<PLACE>();
        let read = rest.is_empty() && (1..=MAX_SHARDS).contains(&places.len());
        read.then(|| places.iter().map(Place::parse).collect::<Option<_>>().map(Self))?
    }

    /// The same, or what `earlier` says where that is later: the newest token of a client covers all of its changes.
    #[must_use]
    pub fn with(mut self, earlier: &Self) -> Self {
        if self.0.len() == earlier.0.len() {
            let pairs = self.0.iter_mut().zip(&earlier.0).filter(|(own, other)| own.life == other.life);
            pairs.for_each(|(own, other)| own.seq = own.seq.max(other.seq));
        }
        self
    }
}

impl Place {
    fn parse(text: &[u8; PLACE]) -> Option<Self> {
        let text = text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).then_some(text)?;
        let (life, seq) = std::str::from_utf8(text).ok()?.split_at(LIFE);
        let life = u32::from_str_radix(life, 16).ok()?.to_be_bytes();
        Some(Self { life, seq: u64::from_str_radix(seq, 16).ok()? })
    }

    fn is_of(self, incarnation: Incarnation) -> bool {
        incarnation.0.starts_with(&self.life)
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|Place { life, seq }| write!(f, "{:08x}{seq:014x}", u32::from_be_bytes(*life)))
    }
}

impl Instance {
    /// Whether this instance has applied what the client has seen. What is no token of this L2 asks for nothing.
    #[must_use]
    pub fn reflects(&self, seen: &Seen) -> Reflects {
        if seen.0.len() != self.shards().len() || self.shards()[0].remote.is_none() {
            return Reflects::Yes;
        }
        let applied = |(shard, place): (&crate::shard::Shard, &Place)| {
            let at = shard.coherence.applied();
            at.is_some_and(|at| place.is_of(at.incarnation) && at.seq >= place.seq)
        };
        if self.shards().iter().zip(&seen.0).all(applied) { Reflects::Yes } else { Reflects::Unknown }
    }
}

/// The digits of an incarnation's beginning, and with those of a number.
const LIFE: usize = 8;
const PLACE: usize = LIFE + 14;
/// A token has 1408 characters at most.
const MAX_SHARDS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(places: &[(u8, u64)]) -> Seen {
        Seen(places.iter().map(|(life, seq)| Place { life: [*life; 4], seq: *seq }).collect())
    }

    #[test]
    fn a_token_is_read_as_it_was_written() {
        for seen in [seen(&[(0, 1)]), seen(&[(255, 1 << 53), (7, 0), (8, 1_795_267_162_232_356)])] {
            let token = seen.to_string();
            assert_eq!(Seen::parse(token.as_bytes()), Some(seen), "{token}");
            assert!(token.bytes().all(|byte| byte.is_ascii_hexdigit()));
        }
    }

    #[test]
    fn what_is_no_token_is_none() {
        let token = seen(&[(7, 9)]).to_string();
        for cut in 0..token.len() {
            assert_eq!(Seen::parse(&token.as_bytes()[..cut]), None, "cut at {cut}");
        }
        let (large, plus) = (token.repeat(MAX_SHARDS + 1), token.replace('9', "+"));
        for other in [
            "",
            &large,
            &plus,
            &token.to_uppercase().replace('7', "F"),
            "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
        ] {
            assert_eq!(Seen::parse(other.as_bytes()), None, "{other}");
        }
        assert!(Seen::parse(token.repeat(MAX_SHARDS).as_bytes()).is_some());
    }

    #[test]
    fn a_later_token_covers_what_an_earlier_one_saw_in_the_same_life() {
        let newer = seen(&[(1, 10), (2, 10), (3, 10)]);
        assert_eq!(
            newer.clone().with(&seen(&[(1, 20), (2, 5), (9, 99)])),
            seen(&[(1, 20), (2, 10), (3, 10)])
        );
        assert_eq!(newer.clone().with(&seen(&[(1, 20)])), newer);
    }
}
