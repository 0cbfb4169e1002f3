//! Section 4: which requests a stored response may answer.

use forebay_policy::credentials::{CredentialFields, Credentials};
use forebay_policy::facts::RequestFacts;
use forebay_policy::reason::Reason;
use forebay_policy::reuse::{Body, Forward, Freshness, Gate, Lookup, Reusable, gate};
use http::{HeaderName, Method};

use crate::support::{Case, Fields, credentials, fields, seconds};

fn gate_of(method: &Method, lines: Fields<'_>) -> Gate {
    gate(method, RequestFacts::scan(&fields(lines)), Body::Empty)
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4
//= type=test
//# A cache MUST write through requests with methods that are unsafe (Section 9.2.1 of [HTTP]) to the
//# origin server; i.e., a cache is not allowed to generate a reply to such a request before having
//# forwarded the request and having received a corresponding response.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.3
//= type=test
//# In contrast, a POST request cannot be satisfied by a cached POST response because POST is potentially
//# unsafe; see Section 4 of [CACHING].
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-9.2.3
//= type=test
//# For a cache to store and use a response, the associated method needs to explicitly allow caching and
//# to detail under what conditions a response can be used to satisfy subsequent requests; a method
//# definition that does not do so cannot be cached.
#[test]
fn every_method_but_get_and_head_goes_to_the_origin() {
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS, Method::TRACE] {
        assert_eq!(gate_of(&method, &[]), Gate::Bypass(Forward::Method, Reason::Method), "{method}");
    }
    assert_eq!(gate_of(&Method::GET, &[]), Gate::Lookup(Lookup::Fill));
    assert_eq!(gate_of(&Method::HEAD, &[]), Gate::Lookup(Lookup::ReadOnly(Reason::Method)));
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.5
//= type=test
//# Note that if a request containing this directive is satisfied from a cache, the no-store request
//# directive does not apply to the already stored response.
#[test]
fn a_request_with_no_store_may_be_answered_but_leaves_nothing_behind() {
    for value in ["no-store", "max-age=0, No-Store", "x=\"unended"] {
        let answer = gate_of(&Method::GET, &[("cache-control", value)]);
        assert_eq!(answer, Gate::Lookup(Lookup::ReadOnly(Reason::RequestNoStore)), "{value}");
    }
    assert_eq!(gate_of(&Method::GET, &[("cache-control", "no-cache")]), Gate::Lookup(Lookup::Fill));
    assert_eq!(gate_of(&Method::GET, &[("pragma", "no-cache")]), Gate::Lookup(Lookup::Fill));
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.2
//= type=test
//# A cache MUST NOT evaluate conditional header fields that only apply to an origin server, occur in a
//# request with semantics that cannot be satisfied with a cached response, or occur in a request with a
//# target resource for which it has no stored responses; such preconditions are likely intended for some
//# other (inbound) server.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1
//= type=test
//# A cache or intermediary MAY ignore If-Match because its interoperability features are only necessary
//# for an origin server.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.4
//= type=test
//# A cache or intermediary MAY ignore If-Unmodified-Since because its interoperability features are only
//# necessary for an origin server.
#[test]
fn what_the_cache_does_not_handle_passes_it_by() {
    let cases: [(Fields<'_>, Reason); 11] = [
        (&[("upgrade", "websocket")], Reason::Upgrade),
        (&[("connection", "keep-alive, Upgrade")], Reason::Upgrade),
        (&[("connection", "close"), ("connection", "UPGRADE")], Reason::Upgrade),
        (&[("x-http-method-override", "DELETE")], Reason::MethodOverride),
        (&[("X-HTTP-Method", "DELETE")], Reason::MethodOverride),
        (&[("x-method-override", "DELETE")], Reason::MethodOverride),
        (&[("host", "a"), ("host", "b")], Reason::DuplicateHost),
        (&[("host", "a"), ("host", "a")], Reason::DuplicateHost),
        (&[("if-match", "\"a\"")], Reason::Precondition),
        (&[("if-unmodified-since", "Thu, 01 Jan 2026 00:00:00 GMT")], Reason::Precondition),
        (&[("range", "bytes=0-1"), ("if-match", "\"a\"")], Reason::Precondition),
    ];
    for (lines, reason) in cases {
        for method in [Method::GET, Method::HEAD] {
            assert_eq!(gate_of(&method, lines), Gate::Bypass(Forward::Bypass, reason), "{lines:?}");
        }
    }
    let harmless: [Fields<'_>; 4] = [
        &[("connection", "keep-alive")],
        &[("connection", "close, x-upgrade")],
        &[("host", "a"), ("upgrade-insecure-requests", "1")],
        &[("if-none-match", "\"a\""), ("if-modified-since", "x"), ("if-range", "\"a\"")],
    ];
    for lines in harmless {
        assert_eq!(gate_of(&Method::GET, lines), Gate::Lookup(Lookup::Fill), "{lines:?}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-14.2
//= type=test
//# A server MUST ignore a Range header field received with a request method that is unrecognized or
//# for which range handling is not defined. For this specification, GET is the only method for which
//# range handling is defined.
#[test]
fn a_get_for_ranges_looks_for_them_and_leaves_parts_where_parts_are_stored() {
    let ranges: Fields<'_> = &[("range", "bytes=0-1"), ("cookie", "a=1")];
    assert_eq!(gate_of(&Method::GET, ranges), Gate::Lookup(Lookup::Range));
    assert_eq!(gate_of(&Method::HEAD, ranges), Gate::Lookup(Lookup::ReadOnly(Reason::Method)));
    let unstored = gate_of(&Method::GET, &[("range", "bytes=0-1"), ("cache-control", "no-store")]);
    assert_eq!(unstored, Gate::Lookup(Lookup::ReadOnly(Reason::RequestNoStore)));
}

#[test]
fn a_get_with_a_body_passes_by() {
    let facts = RequestFacts::default();
    for method in [Method::GET, Method::HEAD] {
        let answer = gate(&method, facts, Body::Present);
        assert_eq!(answer, Gate::Bypass(Forward::Bypass, Reason::RequestBody));
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3.5
//= type=test
//# A shared cache MUST NOT use a cached response to a request with an Authorization header field (
//# Section 11.6.2 of [HTTP]) to satisfy any subsequent request unless the response contains a
//# Cache-Control field with a response directive (Section 5.2.2) that allows it to be stored by a
//# shared cache, and the cache conforms to the requirements of that directive for that response.
#[test]
fn a_stored_response_answers_credentials_only_where_it_permits_them() {
    let bearer = credentials(&fields(&[("authorization", "Bearer abc")]));
    let key = credentials(&fields(&[("x-api-key", "abc")]));
    let cookie = credentials(&fields(&[("cookie", "a=1")]));
    let own = Case::cache_control("max-age=60").stored();
    assert_eq!(own.answers(bearer), Reusable::No(Reason::Authorization));
    assert_eq!(own.answers(key), Reusable::No(Reason::Authorization));
    assert_eq!(own.answers(cookie), Reusable::Yes);
    let routed = Case::response(&[]).route(60).stored();
    assert_eq!(routed.answers(bearer), Reusable::No(Reason::Authorization));
    assert_eq!(routed.answers(cookie), Reusable::No(Reason::Cookie));
    assert_eq!(routed.answers(cookie.cookies_ignored()), Reusable::Yes);
    assert_eq!(routed.answers(bearer.partitioned()), Reusable::Yes);
    let shared = Case::cache_control("s-maxage=60").stored();
    assert_eq!(shared.answers(bearer), Reusable::Yes);
}

#[test]
fn a_list_of_credential_fields_replaces_the_default_but_for_authorization() {
    let only = CredentialFields::only([HeaderName::from_static("x-tenant-token")]);
    let carries = |lines: Fields<'_>| {
        let request = fields(lines);
        Credentials::of(RequestFacts::scan(&request), &request, &only).authorization()
    };
    assert!(carries(&[("x-tenant-token", "1")]));
    assert!(carries(&[("authorization", "1")]));
    assert!(!carries(&[("x-api-key", "1")]));
    for name in ["authorization", "proxy-authorization", "x-api-key", "api-key", "x-auth-token"] {
        assert!(credentials(&fields(&[(name, "1")])).authorization(), "{name}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2
//= type=test
//# The calculation to determine if a response is fresh is:
#[test]
fn a_response_is_fresh_until_its_age_reaches_its_lifetime() {
    let lifetime = Case::response(&[("cache-control", "max-age=60"), ("age", "10")]).stored();
    let after = |resident| lifetime.freshness_at(lifetime.age(resident));
    assert_eq!(after(seconds(0)), Freshness::Fresh { remaining: seconds(50) });
    assert_eq!(after(seconds(49)), Freshness::Fresh { remaining: seconds(1) });
    assert_eq!(after(seconds(50)), Freshness::Stale { by: seconds(0) });
    assert_eq!(after(seconds(55)), Freshness::Stale { by: seconds(5) });
}
