//! Section 4.4: which answers invalidate.

use forebay_policy::invalidate::{Invalidation, also_invalidated, invalidation};
use forebay_policy::target::Target;
use http::{Method, StatusCode};

use crate::support::fields;

fn check(method: &[u8], status: u16, expected: Invalidation) {
    let method = Method::from_bytes(method).expect("a method");
    let status = StatusCode::from_u16(status).expect("a status code");
    assert_eq!(invalidation(&method, status), expected, "{method} {status}");
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.4
//= type=test
//# A cache MUST invalidate the target URI (Section 7.1 of [HTTP]) when it receives a non-error status
//# code in response to an unsafe request method (including methods whose safety is unknown).
#[test]
fn a_successful_unsafe_request_invalidates() {
    for method in [&b"POST"[..], b"PUT", b"DELETE", b"PATCH", b"PROPPATCH", b"M-SEARCH", b"get"] {
        for status in [200, 201, 204, 299, 300, 303, 308, 399] {
            check(method, status, Invalidation::Required);
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.4
//= type=test
//# A "non-error response" is one with a 2xx (Successful) or 3xx (Redirection) status code.
#[test]
fn an_error_or_interim_answer_does_not() {
    for status in [100, 199, 400, 404, 409, 500, 503, 600, 999] {
        check(b"PUT", status, Invalidation::ErrorResponse);
    }
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-9.2.1
//= type=test
//# Of the request methods defined by this specification, the GET, HEAD, OPTIONS, and TRACE methods are
//# defined to be safe.
#[test]
fn a_safe_request_never_invalidates() {
    for method in [&b"GET"[..], b"HEAD", b"OPTIONS", b"TRACE"] {
        for status in [200, 301, 404, 500] {
            check(method, status, Invalidation::SafeMethod);
        }
    }
}

const TARGET: Target<'_> =
    Target { scheme: None, authority: "shop.example", path: "/articles/42/edit?draft" };

fn named(target: Target<'_>, name: &str, value: &str) -> Vec<String> {
    let response = fields(&[(name, value)]);
    also_invalidated(target, &response).map(std::borrow::Cow::into_owned).collect()
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.4
//= type=test
//# In particular, the URI(s) in the
//# Location and Content-Location response header fields (if present) are candidates for invalidation;
//# other URIs might be discovered through mechanisms not specified in this document.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.4
//= type=test
//# A cache MAY invalidate other URIs when it receives a non-error status code in response to an unsafe
//# request method (including methods whose safety is unknown).
#[test]
fn location_and_content_location_are_resolved_against_the_target() {
    for (value, expected) in [
        ("/feed", "/feed"),
        ("/feed?page=2#top", "/feed?page=2"),
        ("view", "/articles/42/view"),
        ("./view", "/articles/42/view"),
        ("../43", "/articles/43"),
        ("..", "/articles/"),
        (".", "/articles/42/"),
        ("../../../..", "/"),
        ("/a/./b/../c", "/a/c"),
        ("/a/..", "/"),
        ("/a/b/.", "/a/b/"),
        ("/a//b", "/a//b"),
        ("?published", "/articles/42/edit?published"),
        ("view?to=../x", "/articles/42/view?to=../x"),
        ("a:b/../c", ""),
        ("./a:b", "/articles/42/a:b"),
        ("//shop.example/x", "/x"),
        ("http://shop.example/x", "/x"),
        ("HTTPS://Shop.Example:443/x?y", "/x?y"),
        ("http://shop.example:80", "/"),
        ("http://shop.example:?q", "/?q"),
        ("/%2e%2e/x", "/%2e%2e/x"),
    ] {
        let expected: Vec<_> = (!expected.is_empty()).then(|| expected.to_owned()).into_iter().collect();
        for name in ["location", "content-location"] {
            assert_eq!(named(TARGET, name, value), expected, "{name}: {value}");
        }
    }
    for itself in
        ["", "#top", "edit?draft", "/articles/42/edit?draft", "//shop.example/articles/42/edit?draft"]
    {
        assert_eq!(named(TARGET, "location", itself), <[String; 0]>::default(), "{itself}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.4
//= type=test
//# However, a cache MUST NOT trigger an invalidation under these conditions if the origin (Section
//# 4.3.1 of [HTTP]) of the URI to be invalidated differs from that of the target URI (Section 7.1 of
//# [HTTP]).
#[test]
fn uris_of_other_origins_and_what_is_no_uri_are_left_alone() {
    for value in [
        "http://other.example/x",
        "http://shop.example.other/x",
        "http://shop.example:8080/x",
        "http://user@shop.example/x",
        "ftp://shop.example/x",
        "http:/x",
        "http:x",
        "mailto:a@b",
        "//other.example/x",
        "/with space",
    ] {
        assert_eq!(named(TARGET, "location", value), <[String; 0]>::default(), "{value}");
    }
    let mut response = http::HeaderMap::new();
    response.insert("location", http::HeaderValue::from_bytes(b"/\xff").unwrap());
    assert_eq!(also_invalidated(TARGET, &response).count(), 0);

    let https = Target { scheme: Some("https"), authority: "shop.example:443", ..TARGET };
    assert_eq!(named(https, "location", "https://shop.example/x"), ["/x"]);
    assert_eq!(named(https, "location", "//shop.example/x"), ["/x"]);
    assert_eq!(named(https, "location", "http://shop.example/x"), <[String; 0]>::default());
    let v6 = Target { authority: "[::1]:8080", ..TARGET };
    assert_eq!(named(v6, "location", "http://[::1]:8080/x"), ["/x"]);
    assert_eq!(named(v6, "location", "http://[::1]/x"), <[String; 0]>::default());
    let star = Target { path: "*", ..TARGET };
    assert_eq!(named(star, "location", "/x"), <[String; 0]>::default());
}
