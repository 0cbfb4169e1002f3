//! Conditional requests of clients, answered from what is stored.

use crate::support::{Cache, date, dated, ok, reply};

async fn status(cache: &Cache, stored: &[&str], request: &[&str]) -> u16 {
    let fields = [&["Cache-Control: max-age=600"], stored].concat();
    let path = cache.path([ok(&fields, "x")]);
    cache.get(&path, &[]).await;
    let answer = cache.get(&path, request).await;
    assert_eq!(cache.asked(&path).len(), 1, "{stored:?} {request:?}");
    assert_eq!(answer.body, if answer.status() == 304 { "" } else { "x" });
    answer.status()
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
//= type=test
//# A recipient MUST use the weak comparison function when comparing entity tags for If-None-Match
//# (Section 8.8.3.2), since weak entity tags can be used for cache validation even if there have
//# been changes to the representation data.
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
//= type=test
//# If the field value is "*", the condition is false if the origin server has a current
//# representation for the target resource.
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
//= type=test
//# If the field value is a list of entity tags, the condition is false if one of the listed tags
//# matches the entity tag of the selected representation.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
//= type=test
//# Otherwise, the condition is true.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3.2
//= type=test
//# two entity tags are equivalent if their opaque-tags match character-by-character, regardless of
//# either or both being tagged as "weak".
#[tokio::test]
async fn if_none_match_is_answered_by_weak_comparison() {
    let cache = Cache::start().await;
    let cases: &[(&[&str], &[&str], u16)] = &[
        (&["ETag: \"a\""], &["If-None-Match: \"a\""], 304),
        (&["ETag: \"a\""], &["If-None-Match: W/\"a\""], 304),
        (&["ETag: W/\"a\""], &["If-None-Match: \"a\""], 304),
        (&["ETag: W/\"a\""], &["If-None-Match: W/\"a\""], 304),
        (&["ETag: \"a\""], &["If-None-Match: \"b\""], 200),
        (&["ETag: \"a\""], &["If-None-Match: \"A\""], 200),
        (&["ETag: \"a\""], &["If-None-Match: \"b\", \"a\", \"c\""], 304),
        (&["ETag: \"a\""], &["If-None-Match: \"b\",W/\"a\""], 304),
        (&["ETag: \"a\""], &["If-None-Match: \"b\"", "If-None-Match: \"a\""], 304),
        (&["ETag: \"a,b\""], &["If-None-Match: \"x\", \"a,b\""], 304),
        (&["ETag: \"a\""], &["If-None-Match: \"x, a\", \"b\""], 200),
        (&["ETag: \"\""], &["If-None-Match: \"\""], 304),
        (&["ETag: \"a\""], &["If-None-Match: *"], 304),
        (&[], &["If-None-Match: *"], 304),
        (&[], &["If-None-Match: \"a\""], 200),
        (&["ETag: \"a\""], &["If-None-Match: a"], 200),
        (&["ETag: \"a\""], &["If-None-Match: w/\"a\""], 200),
        (&["ETag: \"a\""], &["If-None-Match: \"*\""], 200),
    ];
    for (stored, request, expected) in cases {
        assert_eq!(status(&cache, stored, request).await, *expected, "{stored:?} {request:?}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.3
//= type=test
//# A recipient MUST ignore If-Modified-Since if the request contains an If-None-Match header
//# field; the condition in If-None-Match is considered to be a more accurate replacement for the
//# condition in If-Modified-Since, and the two are only combined for the sake of interoperating
//# with older intermediaries that might not implement If-None-Match.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.3
//= type=test
//# A recipient MUST ignore the If-Modified-Since header field if the received field value is not a
//# valid HTTP-date, the field value has more than one member, or if the request method is neither
//# GET nor HEAD.
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.3
//= type=test
//# If the selected representation's last modification date is earlier or equal to the date
//# provided in the field value, the condition is false.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.2
//= type=test
//# If a request contains an If-Modified-Since header field and the Last-Modified header field is
//# not present in a stored response, a cache SHOULD use the stored response's Date field value
//# (or, if no Date field is present, the time that the stored response was received) to evaluate
//# the conditional.
#[tokio::test]
async fn if_modified_since_is_answered_by_last_modified_or_date() {
    let cache = Cache::start().await;
    let (early, at, late) = (date(-2000), date(-1000), date(-500));
    let since = |date: &str| format!("If-Modified-Since: {date}");
    let modified = format!("Last-Modified: {at}");
    let old = dated("Date", -100);
    let cases: &[(&[&str], &[&str], u16)] = &[
        (&[&modified], &[&since(&at)], 304),
        (&[&modified], &[&since(&late)], 304),
        (&[&modified], &[&since(&early)], 200),
        (&[&modified], &["If-Modified-Since: 0"], 200),
        (&[&modified], &[&since(&at.replace("GMT", "EST"))], 200),
        (&[&modified], &["If-Modified-Since: Friday, 01-Jan-38 00:00:00 GMT"], 304),
        (&[&old], &[&since(&date(-50))], 304),
        (&[&old], &[&since(&date(-150))], 200),
        (&[&modified, "ETag: \"a\""], &["If-None-Match: \"b\"", &since(&late)], 200),
        (&[&modified, "ETag: \"a\""], &["If-None-Match: \"a\"", &since(&early)], 304),
        (&[&modified], &["If-None-Match: \"a\"", &since(&late)], 200),
    ];
    for (stored, request, expected) in cases {
        assert_eq!(status(&cache, stored, request).await, *expected, "{stored:?} {request:?}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1
//= type=test
//# A cache or intermediary MAY ignore If-Match because its interoperability features are only
//# necessary for an origin server.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.4
//= type=test
//# A cache or intermediary MAY ignore If-Unmodified-Since because its interoperability features
//# are only necessary for an origin server.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.2
//= type=test
//# A cache MUST NOT evaluate conditional header fields that only apply to an origin server, occur
//# in a request with semantics that cannot be satisfied with a cached response, or occur in a
//# request with a target resource for which it has no stored responses; such preconditions are
//# likely intended for some other (inbound) server.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.2.1
//= type=test
//# A server MUST ignore all received preconditions if its response to the same request without
//# those conditions, prior to processing the request content, would have been a status code other
//# than a 2xx (Successful) or 412 (Precondition Failed).
#[tokio::test]
async fn conditions_that_are_the_origins_are_not_evaluated_here() {
    let cache = Cache::start().await;
    let fields: &[&str] = &["Cache-Control: max-age=600", "ETag: \"a\""];
    for request in ["If-Match: \"b\"", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT"] {
        let path = cache.path([ok(fields, "x"), reply(412, &[], "")]);
        cache.get(&path, &[]).await;
        let answer = cache.get(&path, &[request]).await;
        assert!(
            answer.body == "x"
                || cache.asked(&path)[1].head.to_ascii_lowercase().contains(&request.to_ascii_lowercase()),
            "{answer:?}"
        );
    }
    // A 404 would have been said without the condition, too.
    let path = cache.path([reply(404, fields, "none")]);
    cache.get(&path, &[]).await;
    let answer = cache.get(&path, &["If-None-Match: \"a\""]).await;
    assert_eq!((answer.status(), answer.body.as_str()), (404, "none"));
    // Nor does a condition keep a PUT from the origin.
    let path = cache.path([ok(fields, "x"), reply(204, &[], "")]);
    cache.get(&path, &[]).await;
    assert_eq!(cache.send("PUT", &path, &["If-None-Match: *"]).await.status(), 204);
    assert_eq!(cache.asked(&path)[1].field("if-none-match"), "*");
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-15.4.5
//= type=test
//# The server generating a 304 response MUST generate any of the following header fields that
//# would have been sent in a 200 (OK) response to the same request:
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-15.4.5
//= type=test
//# Since the goal of a 304 response is to minimize information transfer when the recipient already
//# has one or more cached representations, a sender SHOULD NOT generate representation metadata
//# other than the above listed fields unless said metadata exists for the purpose of guiding cache
//# updates (e.g., Last-Modified might be useful if the response does not have an ETag field).
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4
//= type=test
//# When a stored response is used to satisfy a request without validation, a cache MUST generate
//# an Age header field (Section 5.1), replacing any present in the response with a value equal to
//# the stored response's current_age; see Section 4.2.3.
#[tokio::test]
async fn a_304_of_the_cache_says_what_a_client_needs_to_freshen() {
    let cache = Cache::start().await;
    let fields = [
        "Cache-Control: max-age=600",
        "ETag: \"a\"",
        "Content-Location: /x",
        &dated("Date", -30),
        &dated("Expires", 600),
        "Vary: Foo",
        "Content-Type: text/plain",
    ];
    let path = cache.path([ok(&fields, "x")]);
    cache.get(&path, &[]).await;
    let answer = cache.get(&path, &["If-None-Match: \"a\""]).await;
    assert_eq!((answer.status(), answer.body.as_str()), (304, ""));
    for field in &fields[..6] {
        let (name, value) = field.split_once(": ").unwrap();
        assert_eq!(answer.field(name), value);
    }
    assert!(crate::support::age(&answer) >= 30);
    assert_eq!(answer.all("content-type"), Vec::<&str>::new());
    let head = cache.send("HEAD", &path, &["If-None-Match: \"a\""]).await;
    assert_eq!((head.status(), cache.asked(&path).len()), (304, 1));
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-13.2.2
//= type=test
//# When If-None-Match is present, evaluate the If-None-Match precondition:
#[tokio::test]
async fn a_condition_that_meets_nothing_stored_does_not_leave_the_cache_empty() {
    let cache = Cache::start().await;
    let fields: &[&str] = &["Cache-Control: max-age=600", "ETag: \"a\""];
    let path = cache.path([ok(fields, "x"), ok(fields, "y")]);
    assert_eq!(cache.get(&path, &["If-None-Match: \"a\""]).await.status(), 304);
    assert_eq!(cache.get(&path, &[]).await.body, "x");
    assert_eq!(cache.asked(&path).len(), 1);
}
