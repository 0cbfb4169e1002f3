//! Every class of status codes, with freshness of its own.

use crate::support::{Cache, ok, reply};

const FRESH: &[&str] = &["Cache-Control: max-age=60"];

//= https://www.rfc-editor.org/rfc/rfc9111#section-3
//= type=test
//# the response status code is final (see Section 15 of [HTTP]);
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3
//= type=test
//# a max-age response directive (see Section 5.2.2.1);
#[tokio::test]
async fn what_says_how_long_it_is_fresh_is_stored_whatever_its_status() {
    let cache = Cache::start().await;
    let known = [
        200, 201, 202, 203, 204, 205, 207, 208, 226, 300, 301, 302, 303, 305, 307, 308, 401, 402, 403, 404,
        406, 407, 409, 410, 418, 422, 423, 424, 425, 451, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510,
        511,
    ];
    for status in known.into_iter().chain([299, 399, 499, 599]) {
        assert!(cache.reuses_for(status, FRESH, &[]).await, "{status}");
    }
    for status in [304, 600, 799] {
        let path = cache.path([reply(status, FRESH, "first"), reply(status, FRESH, "second")]);
        cache.get(&path, &[]).await;
        cache.get(&path, &[]).await;
        assert_eq!(cache.asked(&path).len(), 2, "{status}");
    }
}

#[tokio::test]
async fn errors_that_a_request_can_provoke_are_stored_only_where_that_is_set() {
    let provoked = [400, 405, 408, 411, 412, 413, 414, 415, 417, 421, 426, 428, 429, 431];
    let (cautious, cache) = (Cache::start().await, Cache::with(&["--store-request-errors"]).await);
    for status in provoked {
        assert!(!cautious.reuses_for(status, FRESH, &[]).await, "{status}");
        assert!(cache.reuses_for(status, FRESH, &[]).await, "{status}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.3
//= type=test
//# The must-understand response directive limits caching of the response to a cache that
//# understands and conforms to the requirements for that response's status code.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.3
//= type=test
//# When a cache that implements the must-understand directive receives a response that includes
//# it, the cache SHOULD ignore the no-store directive if it understands and implements the status
//# code's caching requirements.
//= https://www.rfc-editor.org/rfc/rfc9111#section-3
//= type=test
//# if the response status code is 206 or 304, or the must-understand cache directive (see Section
//# 5.2.2.3) is present: the cache understands the response status code;
#[tokio::test]
async fn must_understand_keeps_out_what_is_not_understood_and_overrides_no_store() {
    let cache = Cache::start().await;
    let only: &[&str] = &["Cache-Control: max-age=60, must-understand"];
    let guarded: &[&str] = &["Cache-Control: max-age=60, no-store, must-understand"];
    for status in [200, 203, 301, 404, 410] {
        assert!(cache.reuses_for(status, only, &[]).await, "{status}");
        assert!(cache.reuses_for(status, guarded, &[]).await, "{status}");
    }
    for status in [299, 399, 499, 599] {
        assert!(!cache.reuses_for(status, only, &[]).await, "{status}");
        assert!(!cache.reuses_for(status, guarded, &[]).await, "{status}");
    }
    assert!(!cache.reuses(&["Cache-Control: max-age=60, no-store"]).await);
    assert!(!cache.reuses(&["Cache-Control: max-age=60, private, must-understand"]).await);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4
//= type=test
//# When presented with a request, a cache MUST NOT reuse a stored response unless: the stored
//# response is one of the following:
#[tokio::test]
async fn a_status_that_is_reused_is_the_one_that_was_stored() {
    let cache = Cache::start().await;
    let path = cache.path([reply(404, FRESH, "gone"), ok(FRESH, "back")]);
    for _ in 0..2 {
        let answer = cache.get(&path, &[]).await;
        assert_eq!((answer.status(), answer.body.as_str()), (404, "gone"));
    }
    let path = cache.path([reply(302, &[FRESH[0], "Location: /elsewhere"], "")]);
    for _ in 0..2 {
        let answer = cache.get(&path, &[]).await;
        assert_eq!((answer.status(), answer.field("location")), (302, "/elsewhere"));
    }
}
