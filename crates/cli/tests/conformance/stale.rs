//! Stale responses: when they answer, and when they must not.

use crate::support::{Cache, Reply, age, exactly, ok, reply};

const TAG: &str = "ETag: \"a\"";

fn stale(cache_control: &str) -> Reply {
    ok(&[&format!("Cache-Control: {cache_control}"), "Age: 100", TAG], "old")
}

/// What the origin does in the place of an answer.
fn failures() -> Vec<Reply> {
    vec![
        Reply::Close,
        exactly("HTTP/1.1 200 OK\r\nconnection: close\r\nContent-Le"),
        reply(500, &["Cache-Control: no-store"], "bad"),
        reply(502, &["Cache-Control: no-store"], "bad"),
        reply(503, &["Cache-Control: no-store"], "bad"),
        reply(504, &["Cache-Control: no-store"], "bad"),
    ]
}

//= https://www.rfc-editor.org/rfc/rfc5861#section-4
//= type=test
//# The stale-if-error Cache-Control extension indicates that when an error is encountered, a
//# cached stale response MAY be used to satisfy the request, regardless of other freshness
//# information.
//
//= https://www.rfc-editor.org/rfc/rfc5861#section-4
//= type=test
//# In this context, an error is any situation which would result in a 500, 502, 503 or 504 HTTP
//# response status code being returned.
//
//= https://www.rfc-editor.org/rfc/rfc5861#section-4
//= type=test
//# Note that this directive does not affect freshness; stale cached responses that are used SHOULD
//# still be visibly stale when sent (i.e., have a non-zero Age header and a warning header, as per
//# HTTP's requirements.).
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.3
//= type=test
//# However, if a cache receives a 5xx (Server Error) response while attempting to validate a
//# response, it can either forward this response to the requesting client or act as if the server
//# failed to respond.
#[tokio::test]
async fn stale_if_error_covers_up_an_origin_that_fails() {
    let cache = Cache::start().await;
    for failure in failures() {
        let path = cache.path([stale("max-age=60, stale-if-error=600"), failure]);
        cache.get(&path, &[]).await;
        let answer = cache.get(&path, &[]).await;
        assert_eq!((answer.status(), answer.body.as_str(), cache.asked(&path).len()), (200, "old", 2));
        assert!(age(&answer) >= 100, "{answer:?}");
    }
    // These are no errors in this sense.
    for status in [400, 404, 501] {
        let path = cache.path([stale("max-age=60, stale-if-error=600"), reply(status, &[], "new")]);
        cache.get(&path, &[]).await;
        assert_eq!(cache.get(&path, &[]).await.status(), status);
    }
}

//= https://www.rfc-editor.org/rfc/rfc5861#section-4
//= type=test
//# Its value indicates the upper limit to staleness; when the cached response is more stale than
//# the indicated amount, the cached response SHOULD NOT be used to satisfy the request, absent
//# other information.
//
//= https://www.rfc-editor.org/rfc/rfc5861#section-4
//= type=test
//# When used as a request Cache-Control extension, its scope of application is the request it
//# appears in; when used as a response Cache-Control extension, its scope is any request
//# applicable to the cached response it occurs in.
#[tokio::test]
async fn stale_if_error_ends_and_a_client_may_say_it_too() {
    let cache = Cache::start().await;
    let bad = || reply(503, &["Cache-Control: no-store"], "bad");
    for (stored, request, body) in [
        ("max-age=60, stale-if-error=20", &[][..], "bad"),
        ("max-age=60", &[], "bad"),
        ("max-age=60", &["Cache-Control: stale-if-error=600"], "old"),
        ("max-age=60", &["Cache-Control: stale-if-error=20"], "bad"),
        ("max-age=60, must-revalidate", &["Cache-Control: stale-if-error=600"], "bad"),
    ] {
        let path = cache.path([stale(stored), bad()]);
        cache.get(&path, &[]).await;
        assert_eq!(cache.get(&path, request).await.body, body, "{stored} {request:?}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.4
//= type=test
//# A cache MUST NOT generate a stale response unless it is disconnected or doing so is explicitly
//# permitted by the client or origin server (e.g., by the max-stale request directive in Section
//# 5.2.1, extension directives such as those defined in [RFC5861], or configuration in accordance
//# with an out-of-band contract).
//= https://www.rfc-editor.org/rfc/rfc9111#section-4
//= type=test
//# allowed to be served stale (see Section 4.2.4), or
#[tokio::test]
async fn while_the_origin_cannot_be_reached_what_is_stored_answers() {
    let cache = Cache::start().await;
    for failure in failures().into_iter().take(2) {
        let path = cache.path([stale("max-age=60"), failure, stale("max-age=60")]);
        cache.get(&path, &[]).await;
        let answer = cache.get(&path, &[]).await;
        assert_eq!((answer.status(), answer.body.as_str(), cache.asked(&path).len()), (200, "old", 2));
        assert!(age(&answer) >= 100);
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.2
//= type=test
//# The must-revalidate response directive indicates that once the response has become stale, a
//# cache MUST NOT reuse that response to satisfy another request until it has been successfully
//# validated by the origin, as defined by Section 4.3.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.2
//= type=test
//# In all circumstances, a cache MUST NOT ignore the must-revalidate directive; in particular, if
//# a cache is disconnected, the cache MUST generate an error response rather than reuse the stale
//# response.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.2
//= type=test
//# The generated status code SHOULD be 504 (Gateway Timeout) unless another error status code is
//# more applicable.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.8
//= type=test
//# The proxy-revalidate response directive indicates that once the response has become stale, a
//# shared cache MUST NOT reuse that response to satisfy another request until it has been
//# successfully validated by the origin, as defined by Section 4.3.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.10
//= type=test
//# A shared cache MUST NOT reuse a stale response with s-maxage to satisfy another request until
//# it has been successfully validated by the origin, as defined by Section 4.3.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.4
//= type=test
//# A cache MUST NOT generate a stale response if it is prohibited by an explicit in-protocol
//# directive (e.g., by a no-cache response directive, a must-revalidate response directive, or an
//# applicable s-maxage or proxy-revalidate response directive; see Section 5.2.2).
#[tokio::test]
async fn what_must_be_validated_never_answers_unvalidated() {
    let cache = Cache::start().await;
    let forbidding = [
        "max-age=60, must-revalidate",
        "max-age=60, Must-Revalidate, stale-if-error=600, stale-while-revalidate=600",
        "max-age=60, proxy-revalidate, stale-if-error=600",
        "s-maxage=60, stale-if-error=600",
        "max-age=600, no-cache, stale-if-error=600",
    ];
    for cache_control in forbidding {
        for failure in failures() {
            let own = matches!(&failure, Reply::Close)
                || matches!(&failure, Reply::Text(text) if text.ends_with("Le"));
            let path = cache.path([stale(cache_control), failure]);
            cache.get(&path, &[]).await;
            let answer = cache.get(&path, &[]).await;
            assert!(answer.status() >= 500 && answer.body != "old", "{cache_control}: {answer:?}");
            assert_eq!(cache.asked(&path).len(), 2);
            if own {
                assert_eq!(answer.status(), 504, "{cache_control}: {answer:?}");
            }
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc5861#section-3
//= type=test
//# When present in an HTTP response, the stale-while-revalidate Cache-Control extension indicates
//# that caches MAY serve the response it appears in after it becomes stale, up to the indicated
//# number of seconds.
//
//= https://www.rfc-editor.org/rfc/rfc5861#section-3
//= type=test
//# If a cached response is served stale due to the presence of this extension, the cache SHOULD
//# attempt to revalidate it while still serving stale responses (i.e., without blocking).
#[tokio::test]
async fn stale_while_revalidate_answers_at_once_and_asks_beside_that() {
    let cache = Cache::start().await;
    let fresh = reply(304, &["Cache-Control: max-age=600", TAG, "X-New: 1"], "");
    let path = cache.path([stale("max-age=60, stale-while-revalidate=600"), fresh]);
    cache.get(&path, &[]).await;
    let answer = cache.get(&path, &[]).await;
    assert_eq!(answer.body, "old");
    assert!(age(&answer) >= 100);
    cache.asked_times(&path, 2).await;
    assert_eq!(cache.asked(&path)[1].field("if-none-match"), "\"a\"");
    let answer = cache.until(&path, &[], |answer| answer.field("x-new") == "1").await;
    assert_eq!((answer.body.as_str(), cache.asked(&path).len()), ("old", 2));
}

//= https://www.rfc-editor.org/rfc/rfc5861#section-3
//= type=test
//# If delta-seconds passes without the cached entity being revalidated, it SHOULD NOT continue to
//# be served stale, absent other information.
#[tokio::test]
async fn stale_while_revalidate_ends() {
    let cache = Cache::start().await;
    let path = cache.path([stale("max-age=60, stale-while-revalidate=20"), ok(&[], "new")]);
    cache.get(&path, &[]).await;
    assert_eq!(cache.get(&path, &[]).await.body, "new");
}

#[tokio::test]
async fn a_body_that_breaks_off_does_not_take_the_place_of_what_is_stored() {
    let cache = Cache::start().await;
    let cut =
        "HTTP/1.1 200 OK\r\nconnection: close\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\n012";
    let path = cache.path([exactly(cut), ok(&["Cache-Control: max-age=60"], "whole")]);
    cache.get(&path, &[]).await;
    assert_eq!(cache.get(&path, &[]).await.body, "whole");
    assert_eq!(cache.get(&path, &[]).await.body, "whole");
    assert_eq!(cache.asked(&path).len(), 2);
}
