//! Which requests a response with Vary answers.

use crate::support::{Cache, dated, ok};

/// Lines of fields.
type Fields = &'static [&'static str];

async fn answers(cache: &Cache, vary: &[&str], first: &[&str], second: &[&str]) -> bool {
    let fields = [&["Cache-Control: max-age=60"], vary].concat();
    cache.reuses_between(200, first, &fields, second).await
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.1
//= type=test
//# When a cache receives a request that can be satisfied by a stored response and that stored
//# response contains a Vary header field (Section 12.5.5 of [HTTP]), the cache MUST NOT use that
//# stored response without revalidation unless all the presented request header fields nominated
//# by that Vary field value match those fields in the original request (i.e., the request that
//# caused the cached response to be stored).
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.1
//= type=test
//# The header fields from two requests are defined to match if and only if those in the first
//# request can be transformed to those in the second request by applying any of the following:
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.1
//= type=test
//# If (after any normalization that might take place) a header field is absent from a request, it
//# can only match another request if it is also absent there.
//= https://www.rfc-editor.org/rfc/rfc9110#section-12.5.5
//= type=test
//# To inform cache recipients that they MUST NOT use this response to satisfy a later request
//# unless the later request has the same values for the listed header fields as the original
//# request (Section 4.1 of [CACHING]) or reuse of the response has been validated by the origin
//# server.
#[tokio::test]
async fn a_response_answers_requests_with_the_same_nominated_fields() {
    let cache = Cache::start().await;
    let cases: &[(Fields, Fields, Fields, bool)] = &[
        (&["Vary: Foo"], &["Foo: 1"], &["Foo: 1"], true),
        (&["Vary: Foo"], &["Foo: 1"], &["foo: 1"], true),
        (&["Vary: Foo"], &["Foo: 1"], &["Foo: 2"], false),
        (&["Vary: Foo"], &["Foo: a"], &["Foo: A"], false),
        (&["Vary: Foo"], &["Foo: 1"], &[], false),
        (&["Vary: Foo"], &[], &["Foo: 1"], false),
        (&["Vary: Foo"], &[], &[], true),
        (&["Vary: Foo"], &["Bar: 1"], &["Bar: 2"], true),
        (&["Vary: FOO"], &["Foo: 1"], &["Foo: 2"], false),
        (&["Vary: Foo, Bar"], &["Foo: 1", "Bar: 1"], &["Bar: 1", "Foo: 1"], true),
        (&["Vary: Foo, Bar"], &["Foo: 1", "Bar: 1"], &["Foo: 1", "Bar: 2"], false),
        (&["Vary: Foo, Bar"], &["Foo: 1", "Bar: 1"], &["Foo: 2", "Bar: 1"], false),
        (&["Vary: Foo", "Vary: Bar"], &["Foo: 1", "Bar: 1"], &["Foo: 1", "Bar: 2"], false),
        (&["Vary: ,, Foo ,"], &["Foo: 1"], &["Foo: 2"], false),
        (&["Vary:"], &["Foo: 1"], &["Foo: 2"], true),
        (&["Vary: Cookie"], &["Cookie: a=1"], &["Cookie: a=2"], false),
        (&["Vary: Cookie"], &["Cookie: a=1"], &["Cookie: a=1"], true),
        (&["Vary: User-Agent"], &["User-Agent: a"], &["User-Agent: b"], false),
    ];
    for (vary, first, second, answered) in cases {
        assert_eq!(answers(&cache, vary, first, second).await, *answered, "{vary:?} {first:?} {second:?}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.1
//= type=test
//# A stored response with a Vary header field value containing a member "*" always fails to match.
#[tokio::test]
async fn what_varies_on_everything_answers_nobody() {
    let cache = Cache::start().await;
    let stars: [&[&str]; 6] = [
        &["Vary: *"],
        &["Vary: Foo, *"],
        &["Vary: *, Foo"],
        &["Vary: Foo", "Vary: *"],
        &["Vary: ,*,"],
        &["Vary: *, *"],
    ];
    for vary in stars {
        assert!(!answers(&cache, vary, &[], &[]).await, "{vary:?}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.1
//= type=test
//# adding or removing whitespace, where allowed in the header field's syntax
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.1
//= type=test
//# combining multiple header field lines with the same field name (see Section 5.2 of [HTTP])
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.1
//= type=test
//# normalizing both header field values in a way that is known to have identical semantics,
//# according to the header field's specification (e.g., reordering field values when order is not
//# significant; case-normalization, where values are defined to be case-insensitive)
#[tokio::test]
async fn the_same_said_otherwise_is_the_same() {
    let cache = Cache::start().await;
    let cases: &[(&str, &[&str], &[&str], bool)] = &[
        ("Vary: Foo", &["Foo: 1,2"], &["Foo: 1", "Foo: 2"], true),
        ("Vary: Foo", &["Foo: 1, 2"], &["Foo:  1, 2  "], true),
        ("Vary: Foo", &["Foo: 1", "Foo: 2"], &["Foo: 2", "Foo: 1"], false),
        ("Vary: Accept-Encoding", &["Accept-Encoding: gzip, br"], &["Accept-Encoding: gzip,br"], true),
        (
            "Vary: Accept-Encoding",
            &["Accept-Encoding: gzip, br"],
            &["Accept-Encoding: GZIP;q=1.0 , br;q=1"],
            true,
        ),
        ("Vary: Accept-Encoding", &["Accept-Encoding: gzip"], &["Accept-Encoding: br"], false),
        ("Vary: Accept-Encoding", &["Accept-Encoding: gzip"], &[], false),
        ("Vary: Accept-Encoding", &["Accept-Encoding: gzip;q=0"], &["Accept-Encoding: gzip"], false),
        ("Vary: Accept-Language", &["Accept-Language: en, de"], &["Accept-Language: en,de"], true),
        ("Vary: Accept-Language", &["Accept-Language: en"], &["Accept-Language: EN"], true),
        (
            "Vary: Accept-Language",
            &["Accept-Language: en, de;q=0.5"],
            &["Accept-Language: de;q=0.5, en"],
            true,
        ),
        (
            "Vary: Accept-Language",
            &["Accept-Language: en, de;q=0.5"],
            &["Accept-Language: de, en;q=0.5"],
            false,
        ),
    ];
    for (vary, first, second, answered) in cases {
        assert_eq!(answers(&cache, &[vary], first, second).await, *answered, "{vary:?} {first:?} {second:?}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4
//= type=test
//# request header fields nominated by the stored response (if any) match those presented (see
//# Section 4.1), and
#[tokio::test]
async fn variants_stand_side_by_side() {
    let cache = Cache::start().await;
    let fields: &[&str] = &["Cache-Control: max-age=60", "Vary: Foo"];
    let path = cache.path([ok(fields, "a"), ok(fields, "b"), ok(fields, "none")]);
    for _ in 0..2 {
        for (request, body) in [(&["Foo: a"][..], "a"), (&["Foo: b"], "b"), (&[], "none")] {
            assert_eq!(cache.get(&path, request).await.body, body);
        }
    }
    assert_eq!(cache.asked(&path).len(), 3);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4
//= type=test
//# When more than one suitable response is stored, a cache MUST use the most recent one (as
//# determined by the Date header field).
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.1
//= type=test
//# If such a mechanism is not available, or leads to equally preferred responses, the most recent
//# response (as determined by the Date header field) is chosen, as per Section 4.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.1
//= type=test
//# When a cache has multiple stored responses for a target URI and one or more omits the Vary
//# header field, the cache SHOULD choose the most recent (see Section 4.2.3) stored response with
//# a valid Vary field value.
#[tokio::test]
async fn of_two_responses_that_fit_the_most_recent_one_answers() {
    let cache = Cache::start().await;
    let long = "Cache-Control: max-age=6000";
    let old = dated("Date", -100);
    let path = cache.path([ok(&[long, &old, "Vary: Foo"], "by foo"), ok(&[long, "Vary: Bar"], "by bar")]);
    cache.get(&path, &["Foo: 1", "Bar: 1"]).await;
    cache.get(&path, &["Foo: 2", "Bar: 2"]).await;
    // Fits both, by Foo the older and by Bar the newer.
    let answer = cache.get(&path, &["Foo: 1", "Bar: 2"]).await;
    assert_eq!(answer.body, "by bar");
    let path = cache.path([ok(&[long, &old], "for all"), ok(&[long, "Vary: Foo"], "for one")]);
    cache.get(&path, &["Foo: 1"]).await;
    cache.get(&path, &["Foo: 1", "Cache-Control: no-cache"]).await;
    assert_eq!(cache.get(&path, &["Foo: 1"]).await.body, "for one");
}
