//! What a 304 changes in what is stored.

use crate::support::{Cache, ok, reply};

const FRESH: &str = "Cache-Control: max-age=60";
const STALE: [&str; 2] = ["Cache-Control: max-age=60", "Age: 100"];

/// What the stored response has of this field after a 304 that had `new`, first in the answer to it and then in the next.
async fn updated(cache: &Cache, old: &[&str], new: &[&str], name: &str) -> Vec<String> {
    let path = cache.path([ok(&[&STALE, old].concat(), "12345"), reply(304, &[&[FRESH], new].concat(), "")]);
    cache.get(&path, &[]).await;
    let (first, second) = (cache.get(&path, &[]).await, cache.get(&path, &[]).await);
    assert_eq!((first.body.as_str(), second.body.as_str()), ("12345", "12345"));
    assert_eq!(cache.asked(&path).len(), 2);
    let values = |answer: &crate::support::Answer| answer.all(name).into_iter().map(str::to_owned).collect();
    let (first, second): (Vec<String>, Vec<String>) = (values(&first), values(&second));
    assert_eq!(first, second, "{name}");
    second
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3.2
//= type=test
//# When doing so, the cache MUST add each header field in the provided response to the stored
//# response, replacing field values that are already present, with the following exceptions:
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.4
//= type=test
//# For each stored response identified, the cache MUST update its header fields with the header
//# fields provided in the 304 (Not Modified) response, as per Section 3.2.
#[tokio::test]
async fn fields_of_a_304_replace_those_that_are_stored() {
    let cache = Cache::start().await;
    let cases = [
        ("X-Test", "1", "2"),
        ("Content-Foo", "1", "2"),
        ("Content-Type", "text/plain", "text/html"),
        ("Content-Language", "en", "de"),
        ("Content-Location", "/a", "/b"),
        ("Content-Security-Policy", "default-src 'self'", "default-src 'none'"),
        ("Content-Disposition", "inline", "attachment"),
        ("Expires", "Sun, 06 Nov 1994 08:49:37 GMT", "Mon, 07 Nov 1994 08:49:37 GMT"),
        ("Clear-Site-Data", "\"cache\"", "\"cookies\""),
        ("Link", "</a>", "</b>"),
        ("X-Frame-Options", "deny", "sameorigin"),
    ];
    for (name, old, new) in cases {
        let (old, new) = (format!("{name}: {old}"), format!("{name}: {new}"));
        let value = new.split_once(": ").unwrap().1;
        assert_eq!(updated(&cache, &["ETag: \"a\"", &old], &["ETag: \"a\"", &new], name).await, [value]);
        assert_eq!(updated(&cache, &["ETag: \"a\""], &["ETag: \"a\"", &new], name).await, [value]);
        let kept = old.split_once(": ").unwrap().1;
        assert_eq!(updated(&cache, &["ETag: \"a\"", &old], &["ETag: \"a\""], name).await, [kept]);
    }
    let several =
        updated(&cache, &["ETag: \"a\"", "X-A: 1", "X-A: 2"], &["ETag: \"a\"", "X-A: 3"], "X-A").await;
    assert_eq!(several, ["3"]);
    let several =
        updated(&cache, &["ETag: \"a\"", "X-A: 1"], &["ETag: \"a\"", "X-A: 3", "X-A: 2"], "X-A").await;
    assert_eq!(several, ["3", "2"]);
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3.2
//= type=test
//# The Content-Length header field.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3.2
//= type=test
//# Header fields that the cache's stored response depends upon, as described below,
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3.2
//= type=test
//# Header fields excepted from storage in Section 3.1,
#[tokio::test]
async fn fields_that_the_body_depends_on_are_not_replaced() {
    let cache = Cache::start().await;
    let (old, tag) = (&["ETag: \"a\""][..], "ETag: \"a\"");
    assert_eq!(updated(&cache, old, &[tag, "Content-Length: 99"], "content-length").await, ["5"]);
    let coded = [tag, "Content-Encoding: gzip"];
    assert_eq!(updated(&cache, &coded, &[tag, "Content-Encoding: br"], "content-encoding").await, ["gzip"]);
    assert!(updated(&cache, old, &[tag, "Content-Range: bytes 0-1/5"], "content-range").await.is_empty());
    assert!(updated(&cache, old, &[tag, "Connection: x-h", "X-H: 1"], "x-h").await.is_empty());
    assert!(updated(&cache, old, &[tag, "Keep-Alive: 1"], "keep-alive").await.is_empty());
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.4
//= type=test
//# If the new response contains one or more strong validators (see Section 8.8.1 of [HTTP]), then
//# each of those strong validators identifies a selected representation for update. All the stored
//# responses in the initial set with one of those same strong validators are identified for
//# update.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.4
//= type=test
//# If none of the initial set contains at least one of the same strong validators, then the cache
//# MUST NOT use the new response to update any stored responses.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.4
//= type=test
//# If the new response contains no strong validators but does contain one or more weak validators,
//# and those validators correspond to one of the initial set's stored responses, then the most
//# recent of those matching stored responses is identified for update.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.4
//= type=test
//# If the new response does not include any form of validator (such as where a client generates an
//# If-Modified-Since request from a source other than the Last-Modified response header field),
//# and there is only one stored response in the initial set, and that stored response also lacks a
//# validator, then that stored response is identified for update.
#[tokio::test]
async fn a_304_freshens_what_has_its_validator_and_nothing_else() {
    let cache = Cache::start().await;
    let cases: &[(&[&str], &[&str], bool)] = &[
        (&["ETag: \"a\""], &["ETag: \"a\""], true),
        (&["ETag: W/\"a\""], &["ETag: W/\"a\""], true),
        (&["ETag: \"a\""], &[], true),
        (
            &["Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"],
            &["Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"],
            true,
        ),
        (&["ETag: \"a\""], &["ETag: \"b\""], false),
        (&["ETag: W/\"a\""], &["ETag: W/\"b\""], false),
        (&["ETag: W/\"a\""], &["ETag: \"a\""], false),
    ];
    for (old, new, freshens) in cases {
        let path = cache.path([
            ok(&[&STALE, *old].concat(), "first"),
            reply(304, &[&[FRESH, "X-New: 1"], *new].concat(), ""),
            ok(&[FRESH], "whole"),
            ok(&[FRESH], "whole"),
        ]);
        cache.get(&path, &[]).await;
        cache.get(&path, &[]).await;
        let answer = cache.get(&path, &[]).await;
        let expected = if *freshens { ("first", "1") } else { ("whole", "") };
        assert_eq!((answer.body.as_str(), answer.field("x-new")), expected, "{old:?} {new:?}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.4
//= type=test
//# The initial set of stored responses to update are those that could have been chosen for that
//# request — i.e., those that meet the requirements in Section 4, except the last requirement to
//# be fresh, able to be served stale, or just validated.
#[tokio::test]
async fn a_304_freshens_every_variant_that_has_its_tag() {
    let cache = Cache::start().await;
    let fields = |tag: &'static str| [STALE[0], STALE[1], "Vary: Foo", tag];
    let (a, b) = ("ETag: \"a\"", "ETag: \"b\"");
    let new: &[&str] = &[FRESH, "Vary: Foo", a, "X-New: 1"];
    let path =
        cache.path([ok(&fields(a), "one"), ok(&fields(b), "two"), reply(304, new, ""), reply(304, new, "")]);
    cache.get(&path, &["Foo: 1"]).await;
    cache.get(&path, &["Foo: 2"]).await;
    let answer = cache.get(&path, &["Foo: 1"]).await;
    assert_eq!((answer.body.as_str(), answer.field("x-new")), ("one", "1"));
    // A third representation's request is answered by the one that the origin says still holds.
    let asked = cache.asked(&path);
    assert!(asked[2].field("if-none-match").contains("\"a\""), "{asked:?}");
}
