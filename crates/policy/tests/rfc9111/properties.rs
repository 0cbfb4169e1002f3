//! Properties that hold for whatever arrives.

use std::time::{Duration, SystemTime};

use forebay_policy::age::{Times, initial_age};
use forebay_policy::directives::CacheControl;
use forebay_policy::facts::RequestFacts;
use forebay_policy::fields::strip_hop_by_hop;
use forebay_policy::freshness::{Explicit, Source};
use forebay_policy::reuse::{Body, Freshness, gate};
use forebay_policy::storable::{Audience, Lifetime, Storability};
use forebay_policy::validate::{evaluate, not_modified_fields};
use forebay_policy::variant::{Vary, VaryAllow, write_field};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{Case, now};

/// Any value that a field can hold, often close to valid.
fn value() -> impl Strategy<Value = HeaderValue> {
    let bytes =
        vec(prop_oneof![Just(b'"'), Just(b','), Just(b'='), Just(b'\\'), b' '..=b'~', 0x80..=0xff_u8], 0..40);
    let near = "(max-age|s-maxage|no-store|private|W/|\"|\\*|[0-9]{1,30}|[ ,=;\"\\\\a-z-]){0,12}";
    prop_oneof![bytes, near.prop_map(String::into_bytes)]
        .prop_filter_map("a field value", |bytes| HeaderValue::from_bytes(&bytes).ok())
}

const NAMES: [&str; 16] = [
    "cache-control",
    "age",
    "date",
    "expires",
    "vary",
    "etag",
    "last-modified",
    "connection",
    "if-none-match",
    "if-modified-since",
    "accept",
    "accept-encoding",
    "accept-language",
    "host",
    "cookie",
    "set-cookie",
];

fn any_fields() -> impl Strategy<Value = HeaderMap> {
    vec((prop::sample::select(&NAMES[..]), value()), 0..8).prop_map(|lines| {
        lines.into_iter().fold(HeaderMap::new(), |mut fields, (name, value)| {
            fields.append(HeaderName::from_static(name), value);
            fields
        })
    })
}

/// Any time the platform can hold around the epoch, far past and far future included.
fn time() -> impl Strategy<Value = SystemTime> {
    (any::<bool>(), any::<u64>(), 0..1_000_000_000_u32).prop_filter_map(
        "a time",
        |(after, seconds, nanos)| {
            let distance = Duration::new(seconds, nanos);
            let epoch = SystemTime::UNIX_EPOCH;
            if after { epoch.checked_add(distance) } else { epoch.checked_sub(distance) }
        },
    )
}

/// Durations at all scales: most `u64` are too large to tell anything.
fn duration() -> impl Strategy<Value = Duration> {
    (0..=63_u32, any::<u64>(), 0..1_000_000_000_u32)
        .prop_map(|(shift, seconds, nanos)| Duration::new(seconds >> shift, nanos))
}

fn written(fields: &HeaderMap, name: &'static str) -> Vec<u8> {
    let mut out = Vec::new();
    write_field(fields, &HeaderName::from_static(name), &mut |bytes| out.extend_from_slice(bytes));
    out
}

proptest! {
    #[test]
    fn nothing_panics_whatever_the_fields_and_times(
        request in any_fields(),
        response in any_fields(),
        status in 100..1000_u16,
        requested in time(),
        received in time(),
    ) {
        let mut case = Case::response(&[]).status(status);
        (case.request, case.response) = (request.clone(), response.clone());
        let _ = case.judge();
        let _ = initial_age(&response, Times { requested, received });
        let _ = Explicit::of(&CacheControl::parse(&response), &response, received);
        let _ = Vary::parse(&response, &VaryAllow::default());
        let _ = gate(&Method::GET, RequestFacts::scan(&request), Body::Empty);
        let _ = evaluate(&Method::GET, &request, StatusCode::OK, &response, received);
        let _ = not_modified_fields(&response);
        strip_hop_by_hop(&mut response.clone());
    }

    #[test]
    fn one_more_line_never_loosens_what_cache_control_says(before in vec(value(), 0..4), line in value()) {
        let mut fields = HeaderMap::new();
        for line in before {
            fields.append("cache-control", line);
        }
        let less = CacheControl::parse(&fields);
        fields.append("cache-control", line);
        let more = CacheControl::parse(&fields);
        prop_assert!(more.no_store >= less.no_store && more.private >= less.private);
        prop_assert!(more.no_cache >= less.no_cache && more.malformed >= less.malformed);
        for (less, more) in [(less.max_age, more.max_age), (less.s_maxage, more.s_maxage)] {
            if let Some(less) = less {
                prop_assert!(more.is_some_and(|more| more <= less));
            }
        }
    }

    #[test]
    fn a_directive_anywhere_in_the_line_forbids(before in "[a-z0-9=, -]{0,20}", after in "[a-z0-9=, -]{0,20}") {
        for forbidding in ["no-store", "private", "no-cache"] {
            let case = Case::cache_control(&format!("{before},{forbidding},{after}")).handler(60);
            prop_assert!(matches!(case.judge(), Storability::Unstorable(_)));
        }
    }

    #[test]
    fn ages_and_lifetimes_add_up_at_any_size(freshness in duration(), initial in duration(), resident in duration()) {
        let lifetime = Lifetime::new(freshness, initial, Source::Route, Audience::Anyone);
        let age = lifetime.age(resident);
        prop_assert!(age >= initial && age >= resident);
        match lifetime.freshness_at(age) {
            Freshness::Fresh { remaining } => {
                prop_assert!(!remaining.is_zero());
                prop_assert_eq!(age.checked_add(remaining), Some(freshness));
            }
            Freshness::Stale { by } => prop_assert_eq!(freshness.checked_add(by), Some(age)),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn age_follows_the_formula_of_the_rfc(age in 0..100_000_u64, apparent in 0..100_000_u64, delay in 0..1_000_u64) {
        let mut response = HeaderMap::new();
        response.insert("age", age.into());
        let (date, received) = (now() - Duration::from_secs(apparent), now());
        response.insert("date", HeaderValue::from_str(&httpdate::fmt_http_date(date)).unwrap());
        let times = Times { requested: received - Duration::from_secs(delay), received };
        prop_assert_eq!(initial_age(&response, times).as_secs(), apparent.max(age + delay));
    }

    #[test]
    fn values_that_differ_in_more_than_commas_and_space_are_written_differently(
        a in vec("[a-z0-9;=\"]{1,6}", 1..4),
        b in vec("[a-z0-9;=\"]{1,6}", 1..4),
    ) {
        let fields = |members: &[String]| {
            let mut fields = HeaderMap::new();
            fields.insert("accept", HeaderValue::from_str(&members.join(",")).unwrap());
            fields
        };
        prop_assert_eq!(a.join(",") == b.join(","), written(&fields(&a), "accept") == written(&fields(&b), "accept"));
    }

    #[test]
    fn a_present_field_is_never_written_as_an_absent_one(fields in any_fields()) {
        for name in ["accept", "accept-encoding", "accept-language"] {
            let bytes = written(&fields, name);
            prop_assert_eq!(bytes == [0], !fields.contains_key(name));
            prop_assert!(!bytes.is_empty());
        }
    }
}
