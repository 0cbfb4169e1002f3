//! How a stored response is validated, and what its answers do.

use crate::support::{Cache, Reply, date, ok, reply};

const STALE: [&str; 2] = ["Cache-Control: max-age=60", "Age: 100"];
const FRESH: &str = "Cache-Control: max-age=60";

fn stale(more: &[&str], body: &str) -> Reply {
    ok(&[&STALE, more].concat(), body)
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.1
//= type=test
//# MUST send the relevant entity tags (using If-Match, If-None-Match, or If-Range) if the entity
//# tags were provided in the stored response(s) being validated.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.1
//= type=test
//# SHOULD send the Last-Modified value (using If-Modified-Since) if the request is not for a
//# subrange, a single stored response is being validated, and that response contains a
//# Last-Modified value.
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
//= type=test
//# When a client desires to update one or more stored responses that have entity tags, the client
//# SHOULD generate an If-None-Match header field containing a list of those entity tags when
//# making a GET request; this allows recipient servers to send a 304 (Not Modified) response to
//# indicate when one of those stored responses matches the selected representation.
#[tokio::test]
async fn a_stale_response_is_validated_by_all_that_it_has() {
    let cache = Cache::start().await;
    let modified = format!("Last-Modified: {}", date(-1000));
    let since = date(-1000);
    for (validators, tag, since) in [
        (&["ETag: \"a\""][..], "\"a\"", ""),
        (&["ETag: W/\"a\""], "W/\"a\"", ""),
        (&[&modified], "", since.as_str()),
        (&["ETag: \"a\"", &modified], "\"a\"", since.as_str()),
        (&["ETag: a\"b"], "", ""),
    ] {
        let path = cache.path([stale(validators, "first"), ok(&[FRESH], "second")]);
        cache.get(&path, &[]).await;
        assert_eq!(cache.get(&path, &[]).await.body, "second");
        let asked = &cache.asked(&path)[1];
        let near = |text: &str| text == since || text == modified.strip_prefix("Last-Modified: ").unwrap();
        assert_eq!(asked.field("if-none-match"), tag, "{validators:?}");
        assert!(near(asked.field("if-modified-since")) || since.is_empty(), "{validators:?} {asked:?}");
        assert!(asked.all("if-modified-since").is_empty() == since.is_empty(), "{asked:?}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.3
//= type=test
//# A 304 (Not Modified) response status code indicates that the stored response can be updated and
//# reused; see Section 4.3.4.
//= https://www.rfc-editor.org/rfc/rfc9111#section-4
//= type=test
//# successfully validated (see Section 4.3).
#[tokio::test]
async fn a_304_lets_the_stored_response_answer_and_be_fresh_again() {
    let cache = Cache::start().await;
    let path = cache.path([stale(&["ETag: \"a\""], "first"), reply(304, &[FRESH, "ETag: \"a\""], "")]);
    cache.get(&path, &[]).await;
    for _ in 0..3 {
        let answer = cache.get(&path, &[]).await;
        assert_eq!((answer.status(), answer.body.as_str()), (200, "first"));
    }
    assert_eq!(cache.asked(&path).len(), 2);
    // One that says nothing of freshness leaves what was said, and is counted from its own Date.
    let path = cache.path([stale(&["ETag: \"a\""], "first"), reply(304, &["ETag: \"a\""], "")]);
    for _ in 0..3 {
        cache.get(&path, &[]).await;
    }
    assert_eq!(cache.asked(&path).len(), 2);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.3
//= type=test
//# Instead, the cache MUST use the full response to satisfy the request.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.3
//= type=test
//# The cache MAY store such a full response, subject to its constraints (see Section 3).
#[tokio::test]
async fn a_full_response_answers_and_takes_the_place_of_the_stored_one() {
    let cache = Cache::start().await;
    for status in [200, 404, 410] {
        let path =
            cache.path([stale(&["ETag: \"a\"", "X-Old: 1"], "first"), reply(status, &[FRESH], "second")]);
        cache.get(&path, &[]).await;
        for _ in 0..2 {
            let answer = cache.get(&path, &[]).await;
            assert_eq!(
                (answer.status(), answer.body.as_str(), answer.field("x-old")),
                (status, "second", "")
            );
        }
        assert_eq!(cache.asked(&path).len(), 2);
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.2
//= type=test
//# If the response to the forwarded request is 304 (Not Modified) and has an ETag field value with
//# an entity tag that is not in the client's list, the cache MUST generate a 200 (OK) response for
//# the client by reusing its corresponding stored response, as updated by the 304 response
//# metadata (Section 4.3.4).
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-15.4.5
//= type=test
//# If the conditional request originated with an outbound client, such as a user agent with its
//# own cache sending a conditional GET to a shared proxy, then the proxy SHOULD forward the 304
//# response to that client.
#[tokio::test]
async fn a_304_for_the_stored_tag_becomes_a_200_for_a_client_with_another() {
    let cache = Cache::start().await;
    let replies = || [stale(&["ETag: \"a\""], "first"), reply(304, &[FRESH, "ETag: \"a\""], "")];
    let path = cache.path(replies());
    cache.get(&path, &[]).await;
    let answer = cache.get(&path, &["If-None-Match: \"b\""]).await;
    assert_eq!((answer.status(), answer.body.as_str()), (200, "first"));
    let path = cache.path(replies());
    cache.get(&path, &[]).await;
    assert_eq!(cache.get(&path, &["If-None-Match: \"b\", \"a\""]).await.status(), 304);
    // A client's own tag that the cache does not know is not the cache's business where nothing can be stored.
    let path = cache.path([reply(304, &["Cache-Control: no-store", "ETag: \"z\""], ""), ok(&[], "whole")]);
    let answer = cache.get(&path, &["If-None-Match: \"z\"", "Cache-Control: no-store"]).await;
    assert!(answer.status() == 304 || answer.status() == 200, "{answer:?}");
}

#[tokio::test]
async fn a_range_or_condition_of_a_client_is_taken_from_the_validated_response() {
    let cache = Cache::start().await;
    let path = cache.path([stale(&["ETag: \"a\""], "0123456789"), reply(304, &[FRESH, "ETag: \"a\""], "")]);
    cache.get(&path, &[]).await;
    let answer = cache.get(&path, &["Range: bytes=2-4"]).await;
    assert_eq!((answer.status(), answer.body.as_str()), (206, "234"));
    assert_eq!(cache.asked(&path).len(), 2);
}

//= https://www.rfc-editor.org/rfc/rfc8246#section-2.1
//= type=test
//# Therefore, proxies SHOULD skip conditionally revalidating fresh responses containing the
//# immutable extension unless there is a signal from the client that a validation is necessary
//# (e.g., a no-cache Cache-Control request directive defined in Section 5.2.1.4 of [RFC7234]).
#[tokio::test]
async fn a_fresh_response_is_not_validated() {
    let cache = Cache::start().await;
    let path = cache.path([ok(&["Cache-Control: max-age=60, immutable", "ETag: \"a\""], "first")]);
    for request in [&[][..], &["If-None-Match: \"z\""], &["Cache-Control: max-age=30"], &["Range: bytes=0-"]]
    {
        assert_eq!(cache.get(&path, request).await.body, "first");
    }
    assert_eq!(cache.asked(&path).len(), 1);
}
