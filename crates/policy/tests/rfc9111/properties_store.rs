//! Properties of storing that hold for whatever arrives.

use forebay_policy::directives::{CacheControl, MaxStale, RequestDirectives};
use forebay_policy::groups::{MAX_GROUPS, groups, invalidated_groups, tags};
use forebay_policy::invalidate::also_invalidated;
use forebay_policy::profile::{Policy, SetCookie};
use forebay_policy::storable::Storability;
use forebay_policy::target::Target;
use forebay_policy::windows::{Stale, Windows};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::support::{Case, fields};

const TARGET: Target<'_> = Target { scheme: None, authority: "shop.example", path: "/a/b?c" };

/// Any value that a field can hold, often close to a structured field, to directives or to a reference.
fn value() -> impl Strategy<Value = HeaderValue> {
    let bytes = vec(prop_oneof![b' '..=b'~', 0x80..=0xff_u8, Just(b'\t')], 0..40);
    let near = "(max-age|s-maxage|no-store|private|no-cache|stale-if-error|must-understand|=|, |;a|\"|\\\\|[0-9]{1,20}|\
                \\?[01]|:[A-Za-z=]{0,5}:|@-?[0-9]{0,3}|%\"|[()*.]|bytes [0-9]-[0-9]/[0-9*]|[a-z-]){0,12}";
    let reference = "(https?:|//|shop\\.example|:80|/|\\.|\\.\\.|[?#]|[a-z]){0,10}";
    let text = prop_oneof![near, reference].prop_map(String::into_bytes);
    prop_oneof![bytes, text].prop_filter_map("a field value", |bytes| HeaderValue::from_bytes(&bytes).ok())
}

const NAMES: [&str; 16] = [
    "cache-control",
    "cdn-cache-control",
    "cache-groups",
    "cache-group-invalidation",
    "surrogate-key",
    "cache-tag",
    "location",
    "content-location",
    "content-range",
    "expires",
    "date",
    "age",
    "last-modified",
    "etag",
    "range",
    "set-cookie",
];

fn any_fields() -> impl Strategy<Value = HeaderMap> {
    vec((select(&NAMES[..]), value()), 0..8).prop_map(|lines| {
        lines.into_iter().fold(HeaderMap::new(), |mut fields, (name, value)| {
            fields.append(HeaderName::from_static(name), value);
            fields
        })
    })
}

fn max_stale(asked: RequestDirectives) -> u64 {
    match asked.max_stale {
        None | Some(MaxStale::Any) => u64::MAX,
        Some(MaxStale::UpTo(seconds)) => seconds.into(),
        Some(_) => 0,
    }
}

proptest! {
    #[test]
    fn nothing_that_is_read_when_storing_panics(
        request in any_fields(),
        response in any_fields(),
        method in select(vec![Method::GET, Method::HEAD, Method::POST, Method::PUT]),
        status in 100..1000_u16,
    ) {
        let mut policy = Policy::proxy();
        policy.set_cookie = SetCookie::Store;
        policy.store_request_errors = true;
        let mut case = Case::response(&[]).status(status).method(method.clone()).policy(policy);
        (case.request, case.response) = (request, response.clone());
        if let Storability::Storable(lifetime) | Storability::Partial(lifetime) = case.judge() {
            let windows = lifetime.windows;
            prop_assert_eq!(Windows::from_numbers(windows.to_numbers()), Some(windows));
        }
        let _ = RequestDirectives::parse(&response);
        let _ = (tags(&response), groups(&response), invalidated_groups(&method, &response));
        for path in also_invalidated(TARGET, &response) {
            prop_assert!(path.starts_with('/'), "{path}");
        }
    }

    #[test]
    fn whatever_the_policy_what_is_forbidden_is_not_stored(
        before in "[a-z0-9=, -]{0,20}",
        forbidding in select(vec!["no-store", "private"]),
        after in "[a-z0-9=, -]{0,20}",
    ) {
        let value = format!("{before},{forbidding},{after}");
        let case = Case::cache_control(&value).handler(60).policy(Policy::proxy());
        prop_assert!(matches!(case.judge(), Storability::Unstorable(_)), "{}", value);
    }

    #[test]
    fn what_may_be_served_stale_says_so_and_nothing_forbids_it(value in value(), etag in any::<bool>()) {
        let mut case = Case::response(if etag { &[("etag", "\"1\"")] } else { &[] }).policy(Policy::proxy());
        case.response.insert("cache-control", value);
        let said = CacheControl::parse(&case.response);
        if let Storability::Storable(lifetime) = case.judge() {
            let forbidden =
                said.must_revalidate || said.proxy_revalidate || said.no_cache || said.s_maxage.is_some();
            prop_assert_eq!(lifetime.windows.stale == Stale::Forbidden, forbidden);
            prop_assert!(lifetime.windows.refresh.is_zero() || said.stale_while_revalidate.is_some());
            prop_assert!(lifetime.windows.error.is_zero() || said.stale_if_error.is_some());
        }
    }

    #[test]
    fn one_more_line_never_loosens_what_a_client_asks_for(before in vec(value(), 0..4), line in value()) {
        let mut request = HeaderMap::new();
        for line in before {
            request.append("cache-control", line);
        }
        let less = RequestDirectives::parse(&request);
        request.append("cache-control", line);
        let more = RequestDirectives::parse(&request);
        prop_assert!(more.no_cache >= less.no_cache && more.no_store >= less.no_store);
        prop_assert!(more.min_fresh >= less.min_fresh);
        prop_assert!(less.max_age.is_none_or(|less| more.max_age.is_some_and(|more| more <= less)));
        prop_assert!(less.max_stale.is_none() || max_stale(more) <= max_stale(less));
    }

    #[test]
    fn a_resolved_reference_has_no_dots_and_resolves_to_itself(reference in "[a-z/.?#:]{0,20}") {
        if let Some(path) = TARGET.resolve(&reference) {
            let segments = path.split('?').next().unwrap_or_default();
            prop_assert!(path.starts_with('/') && !segments.split('/').any(|part| part == "." || part == ".."));
            let itself = format!("//shop.example{path}");
            prop_assert_eq!(TARGET.resolve(&itself), Some(path));
        }
    }
}

#[test]
fn lists_of_ten_thousand_members_are_read_to_their_end() {
    let list = |member: &str, last: &str| format!("{}{last}", format!("{member}, ").repeat(10_000));
    Case::cache_control(&list("x", "max-age=60")).stored_for(60);
    Case::cache_control(&list("x=\"a,b\"", "max-age=60")).stored_for(60);
    let targeted = list("x;a=1;b=\"c\"", "max-age=60");
    Case::response(&[("cdn-cache-control", &targeted), ("cache-control", "no-store")]).stored_for(60);
    let lines = vec![("cdn-cache-control", "x=(1 2 3)"); 10_000];
    Case::response(&[&lines[..], &[("cdn-cache-control", "max-age=60")]].concat()).stored_for(60);
    assert_eq!(groups(&fields(&[("cache-groups", &list("\"a\"", "\"b\""))])).len(), MAX_GROUPS);
    let segments = format!("{}x", "../".repeat(10_000));
    assert_eq!(TARGET.resolve(&segments).as_deref(), Some("/x"));
}
