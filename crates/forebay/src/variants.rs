//! How many answers one URL may have.

use std::sync::{Arc, Mutex, PoisonError};

use forebay_core::key::Key;
use forebay_core::time::Moment;

/// The variants of one primary key that this process has stored and that have not expired. Clones are the same list, so that
/// it outlives the marker it hangs on when that is written anew.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variants(Arc<Mutex<Vec<(Key, Moment)>>>);

/// Whether one more variant may be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It may, and has its place until it expires.
    Admitted,
    /// There are as many as there may be: who sends ever new field values must not fill the cache with one URL.
    Full,
}

impl Variants {
    /// Takes one of at most `most` places for a variant that expires at `until`.
    pub(crate) fn admit(&self, variant: Key, now: Moment, until: Moment, most: usize) -> Admission {
        let mut variants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        variants.retain(|(known, until)| *until > now && *known != variant);
        if variants.len() >= most {
            return Admission::Full;
        }
        variants.push((variant, until));
        Admission::Admitted
    }

    /// The keys of the variants that have not expired.
    pub(crate) fn keys(&self, now: Moment) -> Vec<Key> {
        let variants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        variants.iter().filter(|(_, until)| *until > now).map(|(key, _)| *key).collect()
    }

    /// The bytes that the list takes, or will soon: the marker around it is weighed anew with each variant.
    pub(crate) fn weight(&self) -> usize {
        let variants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        variants.len().max(USUAL) * size_of::<(Key, Moment)>()
    }
}

/// How many variants are weighed before they are there.
const USUAL: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_list_admits_what_it_holds_and_what_follows_the_expired() {
        let variants = Variants::default();
        let key = |n: u8| Key::from_bytes([n; 16]);
        let at = Moment::from_nanos;
        for n in 0..32 {
            assert_eq!(variants.admit(key(n), at(0), at(10 + u64::from(n)), 32), Admission::Admitted);
        }
        assert_eq!(variants.admit(key(32), at(9), at(99), 32), Admission::Full);
        assert_eq!(variants.clone().admit(key(7), at(9), at(99), 32), Admission::Admitted, "it has a place");
        assert_eq!(variants.admit(key(32), at(9), at(99), 32), Admission::Full);
        assert_eq!(variants.admit(key(32), at(10), at(99), 32), Admission::Admitted, "the first has expired");
    }
}
