//! Field values that the hits of one second have in common.
//!
//! Formatting Age and Cache-Status took more instructions than all else that a hit does beyond copying the response. Each
//! thread keeps the values it has made, so hits on two cores do not share their counters.

use std::cell::RefCell;
use std::thread::LocalKey;

use http::HeaderValue;

/// Values by number, the newest for each slot.
pub(super) struct Memo([Option<Made>; SLOTS]);

struct Made {
    owner: u64,
    number: u64,
    value: HeaderValue,
}

impl Memo {
    pub(super) const fn new() -> RefCell<Self> {
        RefCell::new(Self([const { None }; SLOTS]))
    }
}

/// The value that `make` makes of `number` for `owner`: a clone of the last one, where there is one.
#[inline]
pub(super) fn recall(
    memo: &'static LocalKey<RefCell<Memo>>,
    owner: u64,
    number: u64,
    make: impl FnOnce() -> HeaderValue,
) -> HeaderValue {
    memo.with_borrow_mut(|memo| {
        let slot = &mut memo.0[(number % SLOTS as u64) as usize];
        match slot {
            Some(made) if made.number == number && made.owner == owner => made.value.clone(),
            _ => slot.insert(Made { owner, number, value: make() }).value.clone(),
        }
    })
}

/// Enough for the lifetimes of most routes in seconds.
const SLOTS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_made_once_for_each_owner_and_number() {
        thread_local!(static MEMO: RefCell<Memo> = const { Memo::new() });
        let mut made = 0;
        let mut recall = |owner, number| {
            let value = recall(&MEMO, owner, number, || {
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
