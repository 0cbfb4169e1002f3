//! Section 4.4: which answers invalidate.

use forebay_policy::invalidate::{Invalidation, invalidation};
use http::{Method, StatusCode};

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
