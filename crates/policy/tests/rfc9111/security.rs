//! What keeps one client's answer from another, and one client's trick from everybody.

use forebay_policy::facts::{Fact, ROUTING_FIELDS, RequestFacts, is_routing_field};
use forebay_policy::fields::strip_hop_by_hop;
use forebay_policy::reason::Reason;
use forebay_policy::reuse::Reusable;
use forebay_policy::storable::Storability;
use forebay_policy::variant::{Vary, VaryAllow};
use http::HeaderName;

use crate::support::{Case, Fields, credentials, fields};

const REQUEST_ERRORS: [u16; 15] = [400, 405, 408, 411, 412, 413, 414, 415, 416, 417, 421, 426, 428, 429, 431];

#[test]
fn s4_fields_that_change_routing_are_seen_and_client_addresses_are_not() {
    for name in
        ROUTING_FIELDS.into_iter().chain(["x-middleware-rewrite", "x-invoke-path", "next-router-prefetch"])
    {
        assert!(is_routing_field(&HeaderName::from_static(name)), "{name}");
        assert!(RequestFacts::scan(&fields(&[(name, "x")])).has(Fact::Routing), "{name}");
    }
    for name in ["x-forwarded-for", "x-real-ip", "cf-connecting-ip", "host", "accept", "x-middlewar", "next-"]
    {
        assert!(!is_routing_field(&HeaderName::from_static(name)), "{name}");
    }
}

#[test]
fn s7_no_content_type_makes_a_silent_response_storable() {
    for content_type in ["text/css", "application/javascript", "image/png", "font/woff2", "text/html"] {
        Case::response(&[("content-type", content_type)]).refused(Reason::NoFreshness);
    }
}

#[test]
fn s11_a_request_with_no_store_is_not_stored() {
    for value in ["no-store", "max-age=0, NO-STORE", "x=\"unended"] {
        let case = Case::cache_control("max-age=60").route(60).handler(60);
        case.request(&[("cache-control", value)]).refused(Reason::RequestNoStore);
    }
    let case = Case::cache_control("max-age=60");
    case.request(&[("cache-control", "no-cache, max-age=0, only-if-cached")]).stored_for(60);
}

#[test]
fn s12_two_users_share_an_answer_only_by_an_explicit_directive() {
    let directives =
        ["public", "s-maxage=60", "must-revalidate", "max-age=60", "proxy-revalidate", "immutable"];
    for set in 0_u32..1 << directives.len() {
        let chosen = (0..directives.len()).filter(|bit| set & 1 << bit != 0).map(|bit| directives[bit]);
        let value = chosen.collect::<Vec<_>>().join(", ");
        for (alice, bob) in [("authorization", "authorization"), ("x-api-key", "authorization")] {
            let (alice, bob) = (fields(&[(alice, "alice")]), fields(&[(bob, "bob")]));
            let permits = ["public", "s-maxage", "must-revalidate"].iter().any(|name| value.contains(name));
            let mut case = Case::cache_control(&value).handler(60);
            case.credentials = credentials(&alice);
            match case.judge() {
                Storability::Storable(lifetime) => {
                    assert!(permits, "{value}");
                    assert_eq!(lifetime.answers(credentials(&bob)), Reusable::Yes, "{value}");
                }
                refused => {
                    assert!(!permits, "{value}");
                    assert_eq!(refused, Storability::Unstorable(Reason::Authorization), "{value}");
                }
            }
        }
    }
}

#[test]
fn s12_a_partition_lifts_credentials_and_nothing_else() {
    let request: Fields<'_> = &[("authorization", "alice"), ("cookie", "a=1")];
    let partitioned = |lines: Fields<'_>| {
        let mut case = Case::response(lines).route(60).request(request);
        case.credentials = case.credentials.partitioned();
        case
    };
    partitioned(&[]).stored_for(60);
    partitioned(&[("cache-control", "private")]).refused(Reason::Private);
    partitioned(&[("cache-control", "no-store")]).refused(Reason::NoStore);
    partitioned(&[("set-cookie", "a=1")]).refused(Reason::SetCookie);
}

#[test]
fn s13_what_sets_a_cookie_or_is_private_is_never_stored() {
    for value in ["public, s-maxage=60, max-age=60", "public", "must-revalidate, max-age=60"] {
        let lines: Fields<'_> = &[("cache-control", value), ("set-cookie", "session=canary")];
        Case::response(lines).route(60).handler(60).refused(Reason::SetCookie);
        for forbidding in ["private", "private=\"x\"", "no-store"] {
            let reason = if forbidding == "no-store" { Reason::NoStore } else { Reason::Private };
            let lines: Fields<'_> = &[("cache-control", value), ("cache-control", forbidding)];
            Case::response(lines).route(60).handler(60).refused(reason);
        }
    }
}

#[test]
fn s14_vary_on_credentials_or_undeclared_fields_is_refused() {
    let refused = |value: &str| Vary::parse(&fields(&[("vary", value)]), &VaryAllow::default()).err();
    assert_eq!(refused("*"), Some(Reason::VaryStar));
    for value in ["cookie", "accept, authorization", "proxy-authorization", "user-agent", "x-forwarded-host"]
    {
        assert_eq!(refused(value), Some(Reason::VaryUnkeyed), "{value}");
    }
    for value in ["accept", "accept-encoding, accept-language", "origin", "access-control-request-method"] {
        assert_eq!(refused(value), None, "{value}");
    }
}

#[test]
fn s15_cookies_keep_a_routes_freshness_away_and_the_responses_own_not() {
    let cookie: Fields<'_> = &[("cookie", "a=1")];
    Case::response(&[]).route(60).request(cookie).refused(Reason::Cookie);
    Case::cache_control("public").route(60).request(cookie).refused(Reason::Cookie);
    Case::cache_control("max-age=60").route(60).request(cookie).stored_for(60);
    Case::response(&[("expires", "Thu, 01 Jan 2026 00:01:00 GMT")]).request(cookie).stored_for(60);
    Case::response(&[]).handler(60).request(cookie).stored_for(60);
    let mut ignored = Case::response(&[]).route(60).request(cookie);
    ignored.credentials = ignored.credentials.cookies_ignored();
    ignored.stored_for(60);
    assert_eq!(ignored.stored().answers(credentials(&fields(cookie))), Reusable::No(Reason::Cookie));
}

#[test]
fn s16_an_error_that_a_client_can_provoke_is_nobody_elses() {
    for status in REQUEST_ERRORS {
        for case in [Case::cache_control("public, s-maxage=60"), Case::response(&[]).handler(60)] {
            case.status(status).refused(Reason::RequestError);
        }
        let mut case = Case::cache_control("max-age=60").status(status);
        case.policy.store_request_errors = true;
        case.stored_for(60);
    }
}

#[test]
fn s16_a_route_stores_no_error_no_empty_answer_and_no_status_it_does_not_name() {
    for status in (200..600).filter(|status| ![200, 203, 301, 308, 404, 410].contains(status)) {
        let judged = Case::response(&[]).status(status).route(60).judge();
        assert!(matches!(judged, Storability::Unstorable(_)), "{status}");
    }
}

#[test]
fn s17_connection_hides_nothing_from_the_judgement_and_keeps_what_caching_rests_on() {
    let lines: Fields<'_> = &[
        (
            "connection",
            "content-length, Cache-Control, set-cookie, vary, host, date, expires, age, etag, x-hop",
        ),
        ("content-length", "5"),
        ("vary", "*"),
        ("date", "Thu, 01 Jan 2026 00:00:00 GMT"),
        ("expires", "0"),
        ("age", "1"),
        ("etag", "\"1\""),
        ("x-hop", "1"),
    ];
    let with = |name, value| Case::response(&[lines, &[(name, value)]].concat()).route(60).handler(60);
    with("set-cookie", "session=1").refused(Reason::SetCookie);
    with("cache-control", "no-store").refused(Reason::NoStore);

    let mut response = fields(lines);
    strip_hop_by_hop(&mut response);
    for name in ["content-length", "vary", "date", "expires", "age", "etag"] {
        assert!(response.contains_key(name), "{name}");
    }
    assert!(!response.contains_key("x-hop") && !response.contains_key("connection"));
}
