//! Freshness that nobody has said, and what is never guessed.

use crate::support::{Cache, date, dated};

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.2
//= type=test
//# Since origin servers do not always provide explicit expiration times, a cache MAY assign a
//# heuristic expiration time when an explicit time is not specified, employing algorithms that use
//# other field values (such as the Last-Modified time) to estimate a plausible expiration time.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.2
//= type=test
//# If the response has a Last-Modified header field (Section 8.8.2 of [HTTP]), caches are
//# encouraged to use a heuristic expiration value that is no more than some fraction of the
//# interval since that time.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-15.1
//= type=test
//# Responses with status codes that are defined as heuristically cacheable (e.g., 200, 203, 204,
//# 206, 300, 301, 308, 404, 405, 410, 414, and 501 in this specification) can be reused by a cache
//# with heuristic expiration unless otherwise indicated by the method definition or explicit cache
//# controls [CACHING]; all other status codes are not heuristically cacheable.
#[tokio::test]
async fn a_response_is_fresh_for_a_tenth_of_the_time_since_it_was_changed() {
    let cache = Cache::start().await;
    let (long, short) = (dated("Last-Modified", -10_000), dated("Last-Modified", -100));
    for status in [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501] {
        let guessed = !matches!(status, 405 | 414);
        assert_eq!(cache.reuses_for(status, &[&long], &[]).await, guessed, "{status}");
    }
    assert!(!cache.reuses(&[&short, "Age: 11"]).await);
    assert!(cache.reuses(&[&long, "Age: 900"]).await);
    assert!(!cache.reuses(&[&long, "Age: 1010"]).await);
    assert!(!cache.reuses(&[]).await);
    assert!(!cache.reuses(&[&dated("Last-Modified", 1000)]).await);
    assert!(!cache.reuses(&["Last-Modified: 1994"]).await);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.2
//= type=test
//# A cache MUST NOT use heuristics to determine freshness when an explicit expiration time is
//# present in the stored response.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.2
//= type=test
//# Because of the requirements in Section 3, heuristics can only be used on responses without
//# explicit freshness whose status codes are defined as heuristically cacheable (e.g., see Section
//# 15.1 of [HTTP]) and on responses without explicit freshness that have been marked as explicitly
//# cacheable (e.g., with a public response directive).
#[tokio::test]
async fn nothing_is_guessed_where_something_is_said_or_may_not_be() {
    let cache = Cache::start().await;
    let modified = dated("Last-Modified", -1_000_000);
    assert!(!cache.reuses(&[&modified, "Cache-Control: max-age=0"]).await);
    assert!(!cache.reuses(&[&modified, &dated("Expires", -5)]).await);
    assert!(!cache.reuses(&[&modified, "Cache-Control: max-age=x"]).await);
    assert!(!cache.reuses(&[&modified, "Cache-Control: no-cache"]).await);
    for status in [201, 202, 302, 303, 307, 400, 401, 402, 403, 406, 409, 500, 502, 503, 504, 599] {
        assert!(!cache.reuses_for(status, &[&modified], &[]).await, "{status}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.9
//= type=test
//# If a response with the public directive has no explicit freshness information, it is
//# heuristically cacheable (Section 4.2.2).
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.9
//= type=test
//# The public response directive indicates that a cache MAY store the response even if it would
//# otherwise be prohibited, subject to the constraints defined in Section 3.
#[tokio::test]
async fn public_lets_any_final_status_be_guessed() {
    let cache = Cache::start().await;
    let modified = dated("Last-Modified", -1_000_000);
    for status in [200, 201, 302, 307, 403, 500, 503, 599] {
        assert!(cache.reuses_for(status, &[&modified, "Cache-Control: public"], &[]).await, "{status}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2
//= type=test
//# A cache recipient MUST NOT allow local time zones to influence the calculation or comparison of
//# an age or expiration time.
#[tokio::test]
async fn no_time_zone_but_gmt_is_known() {
    let cache = Cache::start().await;
    let local = |name: &str| format!("{name}: {}", date(-1_000_000).replace("GMT", "EST"));
    assert!(!cache.reuses(&[&local("Last-Modified")]).await);
    assert!(!cache.reuses(&[&local("Expires")]).await);
}
