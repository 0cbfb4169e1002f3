//! Field values that the hits of one second have in common.
//!
//! Formatting Age and Cache-Status took more instructions than all else that a hit does beyond copying the response. Each
//! thread keeps the values it has made, so hits on two cores do not share their counters.

use std::cell::RefCell;

use http::HeaderValue;

/// The values of each field by number, the newest for each slot.
pub(super) struct Memo {
    pub(super) ages: Values,
    pub(super) statuses: Values,
}

impl Memo {
    pub(super) const fn new() -> RefCell<Self> {
        const EMPTY: Values = Values([const { None }; SLOTS]);
        RefCell::new(Self { ages: EMPTY, statuses: EMPTY })
    }
}

/// The values of one field.
pub(super) struct Values([Option<Made>; SLOTS]);

struct Made {
    owner: u64,
    number: u64,
    value: HeaderValue,
}

impl Values {
    /// The value that `make` makes of `number` for `owner`: a clone of the last one, where there is one.
    #[inline]
    pub(super) fn recall(
        &mut self,
        owner: u64,
        number: u64,
        make: impl FnOnce() -> HeaderValue,
    ) -> HeaderValue {
        let slot = &mut self.0[(number % SLOTS as u64) as usize];
        match slot {
            Some(made) if made.number == number && made.owner == owner => made.value.clone(),
            _ => slot.insert(Made { owner, number, value: make() }).value.clone(),
        }
    }
}

/// Enough for the lifetimes of most routes in seconds.
const SLOTS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_made_once_for_each_owner_and_number() {
        let mut memo = Memo::new().into_inner();
        let mut made = 0;
        let mut recall = |owner, number| {
            let value = memo.ages.recall(owner, number, || {
                made += 1;
                HeaderValue::from(number + owner * 1000)
            });
            (value, made)
        };
        assert_eq!(recall(1, 7), (HeaderValue::from(1007), 1));
        assert_eq!(recall(1, 7), (HeaderValue::from(1007), 1));
        assert_eq!(recall(2, 7), (HeaderValue::from(2007), 2), "another cache has another name");
        assert_eq!(recall(2, 7 + 256), (HeaderValue::from(2263), 3), "the same slot");
        assert_eq!(recall(2, 7), (HeaderValue::from(2007), 4));
    }
}
