//! What is known of keys for a short while.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::key::Key;
use crate::time::Moment;

/// A table of a fixed size. Each key has one place in it, and takes it from whichever key had it before: nothing has to be swept,
/// and what is forgotten too early costs no more than not to have known it.
pub(super) struct Recent<T>(Box<[Mutex<Option<Known<T>>>]>);

struct Known<T> {
    key: Key,
    until: Moment,
    what: T,
}

impl<T: Copy> Recent<T> {
    pub(super) fn new() -> Self {
        Self((0..PLACES).map(|_| Mutex::new(None)).collect())
    }

    /// Notes something of a key, until then.
    pub(super) fn note(&self, key: Key, until: Moment, what: T) {
        *self.place(key) = Some(Known { key, until, what });
    }

    /// What is known of a key.
    pub(super) fn get(&self, key: Key, now: Moment) -> Option<T> {
        self.place(key).as_ref().filter(|known| known.key == key && now < known.until).map(|known| known.what)
    }

    /// Forgets a key.
    pub(super) fn forget(&self, key: Key) {
        self.place(key).take_if(|known| known.key == key);
    }

    fn place(&self, key: Key) -> MutexGuard<'_, Option<Known<T>>> {
        let place = (key.word() >> 32) as usize % PLACES;
        // No code that can panic runs under the lock.
        self.0[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const PLACES: usize = 1024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::default().after(Duration::from_secs(seconds))
    }

    #[test]
    fn what_is_known_of_a_key_holds_until_then_and_for_no_other() {
        let (recent, key, other) = (Recent::new(), Key::from_bytes([1; 16]), Key::from_bytes([2; 16]));
        recent.note(key, at(5), "noted");
        assert_eq!((recent.get(key, at(4)), recent.get(other, at(4))), (Some("noted"), None));
        assert_eq!(recent.get(key, at(5)), None);
        recent.note(key, at(9), "again");
        recent.forget(other);
        assert_eq!(recent.get(key, at(5)), Some("again"));
        recent.forget(key);
        assert_eq!(recent.get(key, at(5)), None);
    }

    #[test]
    fn ever_new_keys_take_no_more_room() {
        let recent = Recent::new();
        let keys: Vec<_> = (0..100_000_u32)
            .map(|n| {
                Key::from_bytes(*blake3::hash(&n.to_be_bytes()).as_bytes().first_chunk().unwrap_or(&[0; 16]))
            })
            .collect();
        keys.iter().for_each(|key| recent.note(*key, at(1), ()));
        let known = keys.iter().filter(|key| recent.get(**key, at(0)).is_some()).count();
        assert!((PLACES / 2..=PLACES).contains(&known), "{known}");
    }
}
