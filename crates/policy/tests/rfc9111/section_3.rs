//! Section 3: what may be stored.

use forebay_policy::fields::{strip_hop_by_hop, strip_set_cookie};
use forebay_policy::profile::{Policy, SetCookie};
use forebay_policy::reason::Reason;
use forebay_policy::storable::{Audience, Storability};
use http::Method;

use crate::support::{Case, Fields, fields, seconds};

//= https://www.rfc-editor.org/rfc/rfc9111#section-3
//= type=test
//# the request method is understood by the cache;
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-9.2.3
//= type=test
//# For a cache to store and use a response, the associated method needs to explicitly allow caching and
//# to detail under what conditions a response can be used to satisfy subsequent requests; a method
//# definition that does not do so cannot be cached.
#[test]
fn only_answers_to_get_are_stored() {
    Case::cache_control("max-age=60").stored_for(60);
    for method in
        [Method::HEAD, Method::POST, Method::PUT, Method::OPTIONS, Method::from_bytes(b"PURGE").unwrap()]
    {
        Case::cache_control("max-age=60").method(method).refused(Reason::Method);
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3
//= type=test
//# the response status code is final (see Section 15 of [HTTP]);
#[test]
fn interim_and_unknown_classes_of_status_are_not_stored() {
    for status in [100, 101, 103, 199, 600, 999] {
        Case::cache_control("max-age=60").status(status).refused(Reason::Status);
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3
//= type=test
//# if the response status code is 206 or 304, or the must-understand cache directive (see Section
//# 5.2.2.3) is present: the cache understands the response status code;
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.3
//= type=test
//# The must-understand response directive limits caching of the response to a cache that understands and
//# conforms to the requirements for that response's status code.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3
//= type=test
//# In this context, a cache has "understood" a request method or a response status code if it recognizes
//# it and implements all specified caching-related behavior.
#[test]
fn a_status_that_must_be_understood_and_is_not_is_refused() {
    Case::cache_control("max-age=60").status(304).refused(Reason::Status);
    Case::cache_control("max-age=60").status(299).stored_for(60);
    Case::cache_control("max-age=60, must-understand").status(299).refused(Reason::MustUnderstand);
    Case::cache_control("max-age=60, must-understand").status(200).stored_for(60);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3
//= type=test
//# the no-store cache directive is not present in the response (see Section 5.2.2.5);
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.1
//= type=test
//# If directives conflict (e.g., both max-age and no-cache are present), the most restrictive directive
//# should be honored.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.5
//= type=test
//# The no-store response directive indicates that a cache MUST NOT store any part of either the immediate
//# request or the response and MUST NOT use the response to satisfy any other request.
#[test]
fn no_store_wins_over_all_freshness() {
    for value in [
        "no-store",
        "No-Store, max-age=60",
        "public, s-maxage=60, no-store",
        "no-store=x",
        "no-store=\"a,b\"",
    ] {
        Case::cache_control(value).route(60).handler(60).refused(Reason::NoStore);
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.3
//= type=test
//# When a cache that implements the must-understand directive receives a response that includes it,
//# the cache SHOULD ignore the no-store directive if it understands and implements the status code's
//# caching requirements.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.3
//= type=test
//# The must-understand response directive limits caching of the response to a cache that understands
//# and conforms to the requirements for that response's status code.
#[test]
fn no_store_is_for_caches_that_do_not_understand_the_status() {
    let case = |status| Case::cache_control("must-understand, no-store, max-age=60").status(status);
    case(200).stored_for(60);
    case(404).stored_for(60);
    for status in [299, 499, 599] {
        case(status).refused(Reason::MustUnderstand);
    }
    case(304).refused(Reason::Status);
    Case::cache_control("must-understand, no-store").refused(Reason::NoFreshness);
    Case::cache_control("must-understand, no-store, private, max-age=60").refused(Reason::Private);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3
//= type=test
//# if the cache is shared: the private response directive is either not present or allows a shared
//# cache to store a modified response; see Section 5.2.2.7);
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.7
//= type=test
//# The unqualified private response directive indicates that a shared cache MUST NOT store the response
//# (i.e., the response is intended for a single user).
#[test]
fn private_wins_over_all_freshness() {
    for value in
        ["private", "PRIVATE, s-maxage=60", "private=\"set-cookie\", max-age=60", "private=x-user, public"]
    {
        Case::cache_control(value).route(60).handler(60).refused(Reason::Private);
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3
//= type=test
//# the response contains at least one of the following:
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3
//= type=test
//# a public response directive (see Section 5.2.2.9);
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3
//= type=test
//# an Expires header field (see Section 5.3);
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3
//= type=test
//# a max-age response directive (see Section 5.2.2.1);
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3
//= type=test
//# if the cache is shared: an s-maxage response directive (see Section 5.2.2.10);
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3
//= type=test
//# a cache extension that allows it to be cached (see Section 5.2.3); or
#[test]
fn a_response_without_explicit_freshness_needs_the_route_to_grant_it() {
    Case::response(&[]).refused(Reason::NoFreshness);
    Case::cache_control("public").refused(Reason::NoFreshness);
    Case::response(&[("last-modified", "Mon, 01 Dec 2025 00:00:00 GMT")]).refused(Reason::NoFreshness);
    Case::response(&[]).route(30).stored_for(30);
    Case::cache_control("public").route(30).stored_for(30);
    Case::cache_control("max-age=30").stored_for(30);
    Case::cache_control("s-maxage=30").stored_for(30);
    Case::response(&[("expires", "Thu, 01 Jan 2026 00:00:30 GMT")]).stored_for(30);
    Case::response(&[("cdn-cache-control", "max-age=30")]).stored_for(30);
    Case::response(&[("cache-control", "public"), ("last-modified", "Wed, 31 Dec 2025 23:55:00 GMT")])
        .policy(Policy::proxy())
        .stored_for(30);
}

#[test]
fn a_route_grants_freshness_to_good_answers_and_little_to_missing_ones() {
    for status in [200, 203, 301, 308] {
        Case::response(&[]).status(status).route(300).stored_for(300);
    }
    for status in [404, 410] {
        Case::response(&[]).status(status).route(300).stored_for(60);
        Case::response(&[]).status(status).route(20).stored_for(20);
    }
    for status in [201, 204, 300, 302, 303, 307, 401, 403, 451, 500, 501, 502, 503, 504] {
        Case::response(&[]).status(status).route(300).refused(Reason::Status);
        Case::cache_control("max-age=300").status(status).stored_for(300);
        Case::response(&[]).status(status).handler(300).stored_for(300);
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3.1
//= type=test
//# Caches MUST include all received response header fields — including unrecognized ones — when
//# storing a response; this assures that new HTTP header fields can be successfully deployed.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
//= type=test
//# Intermediaries MUST parse a received Connection header field before a message is forwarded and, for
//# each connection-option in this field, remove any header or trailer field(s) from the message with the
//# same name as the connection-option, and then remove the Connection header field itself (or replace it
//# with the intermediary's own control options for the forwarded message).
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
//= type=test
//# Furthermore, intermediaries SHOULD remove or replace fields that are known to require removal before
//# forwarding, whether or not they appear as a connection-option, after applying those fields' semantics.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3.1
//= type=test
//# Header fields that are specific to the proxy that a cache uses when forwarding a request MUST NOT be
//# stored, unless the cache incorporates the identity of the proxy into the cache key.
#[test]
fn fields_of_the_connection_are_taken_out_and_all_others_stay() {
    let mut response = fields(&[
        ("connection", "close, X-Hop"),
        ("connection", "keep-alive,, x-other"),
        ("keep-alive", "timeout=5"),
        ("proxy-authenticate", "Basic"),
        ("proxy-authentication-info", "x"),
        ("proxy-authorization", "x"),
        ("proxy-connection", "close"),
        ("te", "trailers"),
        ("trailer", "etag"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("x-hop", "1"),
        ("x-other", "2"),
        ("x-unknown", "first"),
        ("x-unknown", "second"),
    ]);
    strip_hop_by_hop(&mut response);
    assert_eq!(response, fields(&[("x-unknown", "first"), ("x-unknown", "second")]));
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3.3
//= type=test
//# However, a cache MUST NOT store incomplete or partial-content responses if it does not support
//# the Range and Content-Range header fields or if it does not understand the range units used in
//# those fields.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3.3
//= type=test
//# Likewise, a 206 (Partial Content) response MAY be stored as if it were an incomplete 200 (OK)
//# response.
#[test]
fn a_part_is_stored_as_one_where_the_policy_combines_them_and_a_range_was_asked_for() {
    const PART: (&str, &str) = ("content-range", "bytes 0-9/100");
    let case = |lines: Fields<'_>, request: Fields<'_>| {
        Case::response(lines).status(206).request(request).policy(Policy::proxy())
    };
    let (fresh, range) = (("cache-control", "max-age=60"), [("range", "bytes=0-9")]);
    match case(&[fresh, PART], &range).judge() {
        Storability::Partial(lifetime) => assert_eq!(lifetime.freshness, seconds(60)),
        refused => panic!("{refused:?}"),
    }
    case(&[fresh, PART], &range).policy(Policy::origin()).refused(Reason::PartialContent);
    case(&[fresh, PART], &[]).refused(Reason::PartialContent);
    case(&[fresh], &range).refused(Reason::PartialContent);
    for invalid in ["bytes 9-0/100", "bytes 0-9/9", "items 0-9/100", "bytes */100", "bytes 0-9", ""] {
        case(&[fresh, ("content-range", invalid)], &range).refused(Reason::PartialContent);
    }
    case(&[fresh, PART, ("content-type", "multipart/byteranges; boundary=x")], &range)
        .refused(Reason::PartialContent);
    case(&[("cache-control", "max-age=0"), PART, ("etag", "\"1\"")], &range).refused(Reason::Expired);
    case(&[("cache-control", "must-understand, no-store, max-age=60"), PART], &[])
        .refused(Reason::PartialContent);
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-14.4
//= type=test
//# The Content-Range header field has no meaning for status codes that do not explicitly describe its
//# semantic.
#[test]
fn a_whole_response_with_content_range_is_a_whole_response() {
    let lines = &[("cache-control", "max-age=60"), ("content-range", "bytes 0-9/100")];
    Case::response(lines).policy(Policy::proxy()).stored_for(60);
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.3
//= type=test
//# Responses to POST requests are only cacheable when they include explicit freshness information (see
//# Section 4.2.1 of [CACHING]) and a Content-Location header field that has the same value as the
//# POST's target URI (Section 8.7).
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.3
//= type=test
//# A cached POST response can be reused to satisfy a later GET or HEAD request.
#[test]
fn an_answer_to_post_is_stored_for_get_if_it_is_what_get_would_have_got() {
    let (fresh, here) = (("cache-control", "max-age=60"), ("content-location", "/articles/42?page=2"));
    let post = |lines: Fields<'_>| Case::response(lines).method(Method::POST).policy(Policy::proxy());
    post(&[fresh, here]).stored_for(60);
    post(&[fresh, ("content-location", "http://Shop.example/articles/42?page=2")]).stored_for(60);
    post(&[fresh, ("content-location", "?page=2")]).stored_for(60);
    post(&[("expires", "Thu, 01 Jan 2026 00:01:00 GMT"), here]).stored_for(60);
    post(&[fresh, here]).policy(Policy::origin()).refused(Reason::Method);
    post(&[fresh]).refused(Reason::Method);
    post(&[fresh, here, here]).refused(Reason::Method);
    post(&[fresh, here]).status(201).refused(Reason::Method);
    post(&[here, ("last-modified", "Mon, 01 Dec 2025 00:00:00 GMT")]).refused(Reason::Method);
    post(&[here]).route(60).handler(60).refused(Reason::Method);
    post(&[fresh, here]).request(&[("cache-control", "no-store")]).refused(Reason::RequestNoStore);
    for elsewhere in ["/articles/43", "/articles/42", "http://other.example/articles/42?page=2", "", "#x"] {
        let expected = post(&[fresh, ("content-location", elsewhere)]);
        if ["", "#x"].contains(&elsewhere) {
            expected.stored_for(60)
        } else {
            expected.refused(Reason::Method)
        }
    }
    Case::response(&[fresh, here]).method(Method::PUT).policy(Policy::proxy()).refused(Reason::Method);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3
//= type=test
//# In this context, a cache has "understood" a request method or a response status code if it
//# recognizes it and implements all specified caching-related behavior.
#[test]
fn every_final_status_is_stored_with_explicit_freshness_and_no_interim_one() {
    for status in (200..600).filter(|status| ![206, 304].contains(status)) {
        let mut policy = Policy::proxy();
        policy.store_request_errors = true;
        Case::cache_control("max-age=60").status(status).policy(policy).stored_for(60);
    }
}

#[test]
fn a_cookie_is_the_policys_matter() {
    let case = |set_cookie| {
        let mut case = Case::response(&[("cache-control", "max-age=60"), ("set-cookie", "a=1")]);
        case.policy.set_cookie = set_cookie;
        case
    };
    case(SetCookie::Refuse).refused(Reason::SetCookie);
    for (set_cookie, stays) in [(SetCookie::Strip, false), (SetCookie::Store, true)] {
        let mut case = case(set_cookie);
        case.stored_for(60);
        strip_set_cookie(&mut case.response, &case.policy);
        assert_eq!(case.response.contains_key("set-cookie"), stays);
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3.5
//= type=test
//# In this specification, the following response directives have such an effect: must-revalidate (
//# Section 5.2.2.2), public (Section 5.2.2.9), and s-maxage (Section 5.2.2.10).
#[test]
fn an_answer_to_an_authenticated_request_needs_the_response_to_permit_sharing() {
    let bearer: &[(&str, &str)] = &[("authorization", "Bearer abc")];
    for value in ["max-age=60, public", "s-maxage=60", "max-age=60, must-revalidate"] {
        assert_eq!(Case::cache_control(value).request(bearer).stored().audience, Audience::Anyone, "{value}");
    }
    for value in ["max-age=60", "max-age=60, proxy-revalidate", "max-age=60, immutable"] {
        Case::cache_control(value).request(bearer).refused(Reason::Authorization);
    }
    Case::response(&[]).request(bearer).route(60).refused(Reason::Authorization);
    Case::response(&[]).request(bearer).handler(60).refused(Reason::Authorization);
    Case::cache_control("must-revalidate").request(bearer).route(60).refused(Reason::Authorization);
    Case::cache_control("public").request(bearer).route(60).stored_for(60);
}
