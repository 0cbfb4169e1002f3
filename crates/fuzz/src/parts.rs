//! Content-Range, and stored parts that grow.

use std::collections::BTreeSet;
use std::ops::Range;

use forebay_policy::partial::{Combined, combine, covers};
use forebay_policy::range::ContentRange;
use http::header::CONTENT_RANGE;

use crate::input::{first_line, message, numbers};

/// Content-Range: never empty, never beyond the whole, and the same when it is written and read again. Two parts join to the
/// union of their bytes, as sets have it.
///
/// # Panics
/// Where that does not hold.
pub fn parts(data: &[u8]) {
    let (ranges, rest) = first_line(data);
    let response = message(rest);
    for value in response.get_all(CONTENT_RANGE) {
        let Some(part) = ContentRange::parse(value) else { continue };
        assert!(part.range.start < part.range.end);
        assert!(part.complete.is_none_or(|complete| part.range.end <= complete));
        assert_eq!(ContentRange::parse(&part.to_header_value()), Some(part));
    }
    if let Some(part) = ContentRange::of(&response) {
        let mut lines = response.get_all(CONTENT_RANGE).iter();
        assert_eq!(lines.next().and_then(ContentRange::parse), Some(part));
        assert!(lines.next().is_none());
    }
    let numbers: Vec<u64> = numbers(ranges).collect();
    if let [a, b, c, d, ..] = numbers[..] {
        check_combine(&(a..b), &(c..d));
        check_small(&(a % 64..b % 64), &(c % 64..d % 64));
    }
}

fn check_combine(known: &Range<u64>, new: &Range<u64>) {
    if known.is_empty() || new.is_empty() {
        return;
    }
    match combine(known, new) {
        Combined::Joined(join) => {
            assert!(covers(&join.whole, known) && covers(&join.whole, new));
            // What is taken from the stored part is in it, and the three stand one behind the other.
            for piece in [&join.before, &join.after] {
                assert!(piece.is_empty() || covers(known, piece));
            }
            assert_eq!((join.before.start, join.before.end), (join.whole.start, new.start));
            assert_eq!((join.after.start, join.after.end), (new.end, join.whole.end));
        }
        Combined::Replaced => assert!(known.end < new.start || new.end < known.start),
        other => panic!("{other:?}"),
    }
}

fn check_small(known: &Range<u64>, new: &Range<u64>) {
    if known.is_empty() || new.is_empty() {
        return;
    }
    let union: BTreeSet<u64> = known.clone().chain(new.clone()).collect();
    let in_one_piece =
        union.last().zip(union.first()).is_some_and(|(last, first)| last - first + 1 == union.len() as u64);
    match combine(known, new) {
        Combined::Joined(join) => assert!(join.whole.eq(union)),
        _ => assert!(!in_one_piece),
    }
}
