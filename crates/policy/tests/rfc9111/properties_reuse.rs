//! Properties of reuse, ranges and updates, each against the plainest model of it.

use std::ops::Range;
use std::time::Duration;

use forebay_policy::directives::RequestDirectives;
use forebay_policy::partial::{
    Combined, Multipart, combine, covers, select_within, single_fields, unsatisfied_fields,
};
use forebay_policy::profile::{Policy, SetCookie};
use forebay_policy::range::{ContentRange, MAX_RANGES, Selection, select};
use forebay_policy::reuse::{Failure, Fallback, Reuse, on_failure, reuse};
use forebay_policy::update::{
    StoredHead, combinable, conditions, freshens, has_validator, head_effect, update,
};
use forebay_policy::variant::write_field;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{Case, fields};

/// Any value that a field can hold, often close to valid.
fn value() -> impl Strategy<Value = HeaderValue> {
    let bytes = vec(any::<u8>(), 0..40);
    let near = "(bytes|=|-|,|/|[*]|W/|\"|q=|;|a|gzip|[0-9]{1,25}|Wed, 31 Dec 2025 23:00:00 GMT| ){0,12}";
    prop_oneof![bytes, near.prop_map(String::into_bytes)]
        .prop_filter_map("a field value", |bytes| HeaderValue::from_bytes(&bytes).ok())
}

const NAMES: [&str; 14] = [
    "range",
    "if-range",
    "content-range",
    "content-length",
    "content-type",
    "etag",
    "last-modified",
    "date",
    "age",
    "connection",
    "set-cookie",
    "accept-encoding",
    "accept",
    "x",
];

fn any_fields() -> impl Strategy<Value = HeaderMap> {
    vec((prop::sample::select(&NAMES[..]), value()), 0..10).prop_map(|lines| {
        lines.into_iter().fold(HeaderMap::new(), |mut fields, (name, value)| {
            fields.append(HeaderName::from_static(name), value);
            fields
        })
    })
}

#[derive(Clone, Copy, Debug)]
enum Spec {
    From(u64),
    Between(u64, u64),
    Last(u64),
}

fn spec() -> impl Strategy<Value = Spec> {
    prop_oneof![
        (0..250_u64).prop_map(Spec::From),
        (0..250_u64, 0..250_u64).prop_map(|(a, b)| Spec::Between(a.min(b), a.max(b))),
        (0..250_u64).prop_map(Spec::Last),
    ]
}

fn written(specs: &[Spec]) -> HeaderMap {
    let members: Vec<_> = specs
        .iter()
        .map(|spec| match spec {
            Spec::From(first) => format!("{first}-"),
            Spec::Between(first, last) => format!("{first}-{last}"),
            Spec::Last(count) => format!("-{count}"),
        })
        .collect();
    fields(&[("range", &format!("bytes={}", members.join(", ")))])
}

/// Whether a byte is asked for, byte by byte.
fn asks_for(specs: &[Spec], length: u64, at: u64) -> bool {
    specs.iter().any(|spec| match *spec {
        Spec::From(first) => at >= first,
        Spec::Between(first, last) => (first..=last).contains(&at),
        Spec::Last(count) => at + count >= length,
    })
}

fn part() -> impl Strategy<Value = Range<u64>> {
    (0..60_u64, 1..30_u64).prop_map(|(start, length)| start..start + length)
}

fn accept_encoding(members: &[(&str, u16)]) -> Vec<u8> {
    let members: Vec<_> = members.iter().map(|(name, weight)| format!("{name};q=0.{weight:03}")).collect();
    let request = fields(&[("accept-encoding", &members.join(","))]);
    let mut out = Vec::new();
    write_field(&request, &HeaderName::from_static("accept-encoding"), &mut |bytes| {
        out.extend_from_slice(bytes)
    });
    out
}

proptest! {
    #[test]
    fn nothing_panics_whatever_the_fields(
        request in any_fields(),
        stored in any_fields(),
        new in any_fields(),
        length in any::<u64>(),
    ) {
        let selection = select(&request, &stored, length);
        let held = ContentRange::of(&new);
        if let Some(held) = &held {
            let _ = select_within(&request, &stored, held);
            prop_assert_eq!(ContentRange::parse(&held.to_header_value()), Some(held.clone()));
        }
        if let Selection::Single(part) = &selection {
            let _ = single_fields(&request, &stored, part, length);
        }
        let multipart = Multipart { boundary: "b", complete: length, stored: &stored };
        let _ = multipart.fields(&request, &[0..1, length / 2..length]);
        let _ = unsatisfied_fields(&stored, length);
        conditions(&stored, &mut request.clone());
        let _ = (freshens(&stored, &new), combinable(&stored, &new), has_validator(&stored));
        let whole = StoredHead { status: StatusCode::OK, fields: &stored, length: Some(length) };
        let _ = head_effect(whole, StatusCode::OK, &new);
        for name in stored.keys() {
            write_field(&stored, name, &mut |_| {});
        }
    }

    #[test]
    fn the_bytes_selected_are_those_asked_for_and_small_gaps(specs in vec(spec(), 1..MAX_RANGES), length in 1..240_u64) {
        let selection = select(&written(&specs), &HeaderMap::new(), length);
        let wanted: Vec<_> = (0..length).filter(|&at| asks_for(&specs, length, at)).collect();
        let parts = match selection {
            Selection::Unsatisfiable => vec![],
            Selection::Single(part) => vec![part],
            Selection::Multiple(parts) => {
                prop_assert!(parts.len() > 1 && specs.len() > 1);
                parts
            }
            Selection::Whole => return Err(TestCaseError::fail("a valid Range is not ignored")),
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        prop_assert_eq!(parts.is_empty(), wanted.is_empty());
        prop_assert!(wanted.iter().all(|at| parts.iter().any(|part| part.contains(at))));
        for part in &parts {
            prop_assert!(part.start < part.end && part.end <= length);
            prop_assert!(wanted.contains(&part.start) && wanted.contains(&(part.end - 1)));
            let apart = |other: &Range<u64>| other == part || other.start > part.end || other.end < part.start;
            prop_assert!(parts.iter().all(apart));
            let gap = wanted.windows(2).filter(|two| part.contains(&two[0]) && part.contains(&two[1]));
            prop_assert!(gap.map(|two| two[1] - two[0] - 1).max().unwrap_or(0) <= 80);
        }
    }

    #[test]
    fn joined_parts_hold_the_bytes_of_both(known in part(), new in part()) {
        let mut bytes = std::collections::BTreeMap::new();
        bytes.extend(known.clone().map(|at| (at, "known")));
        bytes.extend(new.clone().map(|at| (at, "new")));
        let contiguous = bytes.keys().zip(bytes.keys().skip(1)).all(|(a, b)| a + 1 == *b);
        match combine(&known, &new) {
            Combined::Joined(join) => {
                prop_assert!(contiguous);
                let pieces = join.before.clone().chain(join.after.clone()).map(|at| (at, "known"));
                let mut joined: Vec<_> = pieces.chain(new.clone().map(|at| (at, "new"))).collect();
                joined.sort_unstable();
                prop_assert_eq!(&joined, &bytes.into_iter().collect::<Vec<_>>());
                prop_assert_eq!(join.whole.clone().collect::<Vec<_>>(), joined.iter().map(|(at, _)| *at).collect::<Vec<_>>());
                prop_assert!(covers(&join.whole, &known) && covers(&join.whole, &new));
            }
            Combined::Replaced => prop_assert!(!contiguous),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn an_update_keeps_the_order_and_number_of_lines(stored in any_fields(), new in any_fields()) {
        let updated = update(&stored, &new, SetCookie::Refuse);
        for name in updated.keys() {
            let lines: Vec<_> = updated.get_all(name).iter().collect();
            let of = |fields: &HeaderMap| lines == fields.get_all(name).iter().collect::<Vec<_>>();
            prop_assert!(of(&stored) || of(&new), "{name}");
        }
        let old = |fields: &HeaderMap| fields.keys().filter(|name| stored.contains_key(*name)).cloned().collect::<Vec<_>>();
        let kept: Vec<_> = old(&stored).into_iter().filter(|name| updated.contains_key(name)).collect();
        prop_assert_eq!(old(&updated), kept);
        prop_assert_eq!(update(&updated, &new, SetCookie::Refuse), updated, "once is enough");
    }

    #[test]
    fn preferences_in_any_order_are_one_list(
        members in prop::sample::subsequence(vec![("br", 900), ("gzip", 500), ("zstd", 500), ("deflate", 1), ("x", 70)], 0..=5)
            .prop_shuffle(),
        turned in any::<prop::sample::Index>(),
    ) {
        let mut other = members.clone();
        if !other.is_empty() {
            other.rotate_left(turned.index(members.len()));
        }
        prop_assert_eq!(accept_encoding(&members), accept_encoding(&other));
    }

    #[test]
    fn nothing_stale_answers_where_stale_is_forbidden(
        age in 0..1000_u64,
        request in "(no-cache|max-age=[0-9]{1,3}|min-fresh=[0-9]{1,3}|max-stale(=[0-9]{1,3})?|stale-if-error=[0-9]{1,3}|,){0,6}",
        forbidding in prop::sample::select(&["must-revalidate", "proxy-revalidate", "s-maxage=100"][..]),
    ) {
        let response = format!("max-age=100, stale-while-revalidate=500, stale-if-error=500, {forbidding}");
        let lifetime = Case::cache_control(&response).policy(Policy::proxy()).stored();
        let client = RequestDirectives::parse(&fields(&[("cache-control", &request)]));
        let age = Duration::from_secs(age);
        for client in [None, Some(&client)] {
            let answer = reuse(&lifetime, age, client);
            if age >= lifetime.freshness {
                prop_assert!(matches!(answer, Reuse::Validate(_)), "{:?}", answer);
                prop_assert_eq!(on_failure(&lifetime, age, Failure::Unreachable, client), Fallback::None);
            } else {
                prop_assert!(matches!(answer, Reuse::Fresh | Reuse::Validate(_)), "{:?}", answer);
            }
        }
    }
}
