//! Holds as an L2 in memory keeps them, and an instance that has no L2.
//!
//! A hold keeps what answers to its idents out of the cache until it ends, and it ends in an invalidation: what was fetched
//! before is dead from then on. See [`L2::hold`](crate::l2::L2::hold).
//!
//! ```
//! use forebay_core::holds::Holds;
//! use forebay_core::l2::{Tenure, Token};
//! use forebay_core::tag::Ident;
//!
//! let (token, ident) = (Token([7; 16]), Ident::from_bytes([1; 16]));
//! let mut holds = Holds::default();
//! assert!(holds.begin(token, &[ident], 1_000));
//! assert!(holds.cover(&ident));
//! assert_eq!(holds.due(999), []);
//! assert_eq!(holds.end(token), Tenure::Ours);
//! assert_eq!(holds.end(token), Tenure::Lost);
//! ```

use std::collections::BTreeMap;

use crate::entry::Seq;
use crate::l2::{Tenure, Token};
use crate::tag::Ident;

/// What is held, by whom, and until when on the clock of whoever keeps it.
#[derive(Clone, Debug, Default)]
pub struct Holds(BTreeMap<([u8; 16], Ident), u64>);

impl Holds {
    /// Holds `idents` under `token` until then. `false`, and nothing has changed, where that would be more than
    /// [`MAX_HELD`] in all.
    #[must_use]
    pub fn begin(&mut self, token: Token, idents: &[Ident], until: u64) -> bool {
        let fits = self.0.len() + idents.len() <= MAX_HELD;
        if fits {
            self.0.extend(idents.iter().map(|ident| ((token.0, *ident), until)));
        }
        fits
    }

    /// Ends the hold of this token.
    pub fn end(&mut self, token: Token) -> Tenure {
        let before = self.0.len();
        self.0.retain(|(holder, _), _| *holder != token.0);
        if self.0.len() < before { Tenure::Ours } else { Tenure::Lost }
    }

    /// Ends what has run out by `now`, and says which idents that were. They are to be invalidated.
    pub fn due(&mut self, now: u64) -> Vec<Ident> {
        let mut due: Vec<Ident> = Vec::new();
        self.0.retain(|(_, ident), until| {
            if *until <= now {
                due.push(*ident);
            }
            *until > now
        });
        due.sort_unstable();
        due.dedup();
        due
    }

    /// Whether anybody holds `ident`.
    #[must_use]
    pub fn cover(&self, ident: &Ident) -> bool {
        self.0.keys().any(|(_, held)| held == ident)
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first number from `least` on that says whether anything is held: see [`tells_of_holds`].
    #[must_use]
    pub fn number(&self, least: Seq) -> Seq {
        least.saturating_add(u64::from(tells_of_holds(least) == self.is_empty()))
    }
}

/// Whether something may be held at the position with this number: an odd one. So whatever rests on a position knows it, and
/// where nothing is held nobody asks.
#[must_use]
pub const fn tells_of_holds(seq: Seq) -> bool {
    seq % 2 == 1
}

/// The most idents that are held at a time in one shard, each counted once for each hold.
pub const MAX_HELD: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    const A: Token = Token([1; 16]);
    const B: Token = Token([2; 16]);

    fn ident(n: u8) -> Ident {
        Ident::from_bytes([n; 16])
    }

    #[test]
    fn an_ident_that_two_hold_is_held_until_both_have_ended() {
        let mut holds = Holds::default();
        assert!(holds.begin(A, &[ident(1), ident(2)], 10) && holds.begin(B, &[ident(1)], 20));
        assert_eq!(holds.end(A), Tenure::Ours);
        assert!(holds.cover(&ident(1)) && !holds.cover(&ident(2)));
        assert_eq!(holds.due(20), [ident(1)]);
        assert!(holds.is_empty());
    }

    #[test]
    fn what_runs_out_is_named_once() {
        let mut holds = Holds::default();
        assert!(holds.begin(A, &[ident(1), ident(2)], 10) && holds.begin(B, &[ident(1)], 10));
        assert_eq!(holds.due(9), []);
        assert_eq!(holds.due(10), [ident(1), ident(2)]);
    }

    #[test]
    fn a_number_tells_whether_something_is_held() {
        let mut holds = Holds::default();
        assert_eq!((holds.number(8), holds.number(9)), (8, 10));
        assert_eq!(holds.number(Seq::MAX), Seq::MAX, "beyond all numbers there is none");
        assert!(holds.begin(A, &[ident(1)], 10));
        assert_eq!((holds.number(8), holds.number(9)), (9, 9));
    }

    #[test]
    fn there_are_no_more_than_fit() {
        let mut holds = Holds::default();
        let many: Vec<Ident> = (0..MAX_HELD as u64)
            .map(|n| {
                let mut bytes = [0; 16];
                bytes[..8].copy_from_slice(&n.to_le_bytes());
                Ident::from_bytes(bytes)
            })
            .collect();
        assert!(holds.begin(A, &many, 10));
        assert!(!holds.begin(B, &many[..1], 10));
        assert_eq!(holds.end(B), Tenure::Lost);
    }
}
