//! A bounded map from idents to the number of their last invalidation.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use crate::key::Prehashed;
use crate::tag::Ident;

/// The last number each ident was given.
#[derive(Clone, Default)]
pub(super) struct IdentMap(HashMap<Ident, u64, BuildHasherDefault<Prehashed>>);

impl IdentMap {
    pub(super) fn get(&self, ident: &Ident) -> Option<u64> {
        self.0.get(ident).copied()
    }

    /// Raises the number of `ident` to `number`; a lower one changes nothing.
    pub(super) fn raise(&mut self, ident: Ident, number: u64) {
        let last = self.0.entry(ident).or_insert(number);
        *last = number.max(*last);
    }

    /// Forgets `ident` if its number is at most `number`.
    pub(super) fn settle(&mut self, ident: &Ident, number: u64) {
        if self.get(ident).is_some_and(|last| last <= number) {
            self.0.remove(ident);
        }
    }

    /// Forgets the older half and says the highest number forgotten.
    pub(super) fn cut(&mut self) -> Option<u64> {
        let mut numbers: Vec<u64> = self.0.values().copied().collect();
        let middle = numbers.len().checked_sub(1)? / 2;
        let (_, &mut highest, _) = numbers.select_nth_unstable(middle);
        self.0.retain(|_, number| *number > highest);
        Some(highest)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Ident, u64)> + '_ {
        self.0.iter().map(|(ident, number)| (*ident, *number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutting_forgets_the_older_half_and_says_up_to_where() {
        let mut map = IdentMap::default();
        for n in 0..10u8 {
            map.raise(Ident::from_bytes([n; 16]), u64::from(n));
        }
        assert_eq!(map.cut(), Some(4));
        assert_eq!(map.len(), 5);
        assert_eq!(map.get(&Ident::from_bytes([4; 16])), None);
        assert_eq!(map.get(&Ident::from_bytes([5; 16])), Some(5));
        assert_eq!(IdentMap::default().cut(), None);
    }
}
