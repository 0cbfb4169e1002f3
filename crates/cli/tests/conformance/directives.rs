//! Cache-Control of a response, in every form that it comes in.

use crate::support::{Cache, dated, ok};

async fn all(cases: &[(&[&str], bool)]) {
    let cache = Cache::start().await;
    for (fields, reused) in cases {
        assert_eq!(cache.reuses(fields).await, *reused, "{fields:?}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2
//= type=test
//# Cache directives are identified by a token, to be compared case-insensitively, and have an
//# optional argument that can use both token and quoted-string syntax.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2
//= type=test
//# For the directives defined below that define arguments, recipients ought to accept both forms,
//# even if a specific form is required for generation.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2
//= type=test
//# A cache MUST obey the Cache-Control directives defined in this section.
#[tokio::test]
async fn a_directive_counts_in_any_case_and_form() {
    all(&[
        (&["Cache-Control: max-age=60"], true),
        (&["Cache-Control: MaX-aGe=60"], true),
        (&["cache-control:max-age=60"], true),
        (&["Cache-Control: max-age=\"60\""], true),
        (&["Cache-Control: \t max-age=60 \t "], true),
        (&["Cache-Control: foo,max-age=60"], true),
        (&["Cache-Control: ,, foo ,\t, max-age=60 ,,"], true),
        (&["Cache-Control: foo", "Cache-Control: max-age=60"], true),
        (&["Cache-Control: max-age=60, foo=\"a, no-store, b\""], true),
        (&["Cache-Control: foo=\"a \\\" no-store, b\", max-age=60"], true),
        (&["Cache-Control: max-age=060"], true),
        (&["Cache-Control: max-age=0"], false),
        (&["Cache-Control: max-age=60, No-Store"], false),
        (&["Cache-Control: max-age=60", "Cache-Control: no-store"], false),
        (&["Cache-Control: max-age=60, no-store=\"x\""], false),
        (&["Cache-Control: max-age=60, PRIVATE"], false),
        (&["Cache-Control: max-age=60,\tNO-CACHE"], false),
    ])
    .await;
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.3
//= type=test
//# A cache MUST ignore unrecognized cache directives.
#[tokio::test]
async fn what_only_looks_like_a_directive_is_none() {
    all(&[
        (&["Cache-Control: foomax-age=60"], false),
        (&["Cache-Control: max-agefoo=60"], false),
        (&["Cache-Control: foo=\"max-age=60\""], false),
        (&["Cache-Control: max-age=60, no-store-not"], true),
        (&["Cache-Control: max-age=60, x-no-store"], true),
        (&["Cache-Control: max-age=60, foo=private"], true),
        (&["Cache-Control: max-age=60, community=\"UCI\""], true),
        (&["Cache-Control-X: no-store", "Cache-Control: max-age=60"], true),
    ])
    .await;
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.1
//= type=test
//# When there is more than one value present for a given directive (e.g., two Expires header field
//# lines or multiple Cache-Control: max-age directives), either the first occurrence should be
//# used or the response should be considered stale.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.1
//= type=test
//# Caches are encouraged to consider responses that have invalid freshness information (e.g., a
//# max-age directive with non-integer content) to be stale.
#[tokio::test]
async fn values_that_contradict_each_other_or_are_none_are_not_fresh() {
    let expires = dated("Expires", 600);
    all(&[
        (&["Cache-Control: max-age=0, max-age=60"], false),
        (&["Cache-Control: max-age=60, max-age=0"], false),
        (&["Cache-Control: max-age=60", "Cache-Control: max-age=0"], false),
        (&["Cache-Control: max-age=60, max-age=60"], true),
        (&["Cache-Control: max-age"], false),
        (&["Cache-Control: max-age="], false),
        (&["Cache-Control: max-age=\"\""], false),
        (&["Cache-Control: max-age=-60"], false),
        (&["Cache-Control: max-age=+60"], false),
        (&["Cache-Control: max-age=60.5"], false),
        (&["Cache-Control: max-age=6x"], false),
        (&["Cache-Control: max-age=x6"], false),
        (&["Cache-Control: max-age = 60"], false),
        (&["Cache-Control: max-age= 60"], false),
        (&["Cache-Control: max-age =60"], false),
        (&["Cache-Control: max-age='60'"], false),
        (&["Cache-Control: max-age=\"60"], false),
        (&["Cache-Control: max-age=60;x"], false),
        (&["Cache-Control: max-age=x", &expires], false),
        (&["Cache-Control: s-maxage=x, max-age=60"], false),
        (&["Cache-Control: s-maxage=0, s-maxage=60"], false),
        (&["Cache-Control: s-maxage=60, max-age=0, max-age=1"], true),
    ])
    .await;
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-1.2.2
//= type=test
//# If a cache receives a delta-seconds value greater than the greatest integer it can represent,
//# or if any of its subsequent calculations overflows, the cache MUST consider the value to be
//# 2147483648 (2^31) or the greatest positive integer it can conveniently represent.
#[tokio::test]
async fn a_time_too_long_to_be_counted_is_a_very_long_one() {
    all(&[
        (&["Cache-Control: max-age=2147483647"], true),
        (&["Cache-Control: max-age=2147483648"], true),
        (&["Cache-Control: max-age=4294967296"], true),
        (&["Cache-Control: max-age=18446744073709551616"], true),
        (&["Cache-Control: max-age=99999999999999999999999999999999999999"], true),
        (&["Cache-Control: s-maxage=99999999999999999999999999999999999999"], true),
        (&["Cache-Control: max-age=2147483648", "Age: 2147483648"], false),
        (&["Cache-Control: max-age=60", "Age: 99999999999999999999999999999999999999"], false),
    ])
    .await;
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.10
//= type=test
//# The s-maxage response directive indicates that, for a shared cache, the maximum age specified
//# by this directive overrides the maximum age specified by either the max-age directive or the
//# Expires header field.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.3
//= type=test
//# If a response includes a Cache-Control header field with the max-age directive (Section
//# 5.2.2.1), a recipient MUST ignore the Expires header field.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.3
//= type=test
//# Likewise, if a response includes the s-maxage directive (Section 5.2.2.10), a shared cache
//# recipient MUST ignore the Expires header field.
#[tokio::test]
async fn s_maxage_goes_before_max_age_and_both_before_expires() {
    let (past, future) = (dated("Expires", -600), dated("Expires", 600));
    all(&[
        (&["Cache-Control: s-maxage=60, max-age=0"], true),
        (&["Cache-Control: max-age=0", "Cache-Control: S-MaxAge=60"], true),
        (&["Cache-Control: s-maxage=0, max-age=60"], false),
        (&["Cache-Control: max-age=60", &past], true),
        (&["Cache-Control: max-age=60", "Expires: 0"], true),
        (&["Cache-Control: max-age=0", &future], false),
        (&["Cache-Control: s-maxage=60", &past], true),
        (&["Cache-Control: s-maxage=0", &future], false),
    ])
    .await;
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.7
//= type=test
//# If a qualified private response directive is present, with an argument that lists one or more
//# field names, then only the listed header fields are limited to a single user: a shared cache
//# MUST NOT store the listed header fields if they are present in the original response but MAY
//# store the remainder of the response message without those header fields, subject the
//# constraints defined in Section 3.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.4
//= type=test
//# The qualified form of the no-cache response directive, with an argument that lists one or more
//# field names, indicates that a cache MAY use the response to satisfy a subsequent request,
//# subject to any other restrictions on caching, if the listed header fields are excluded from the
//# subsequent response or the subsequent response has been successfully revalidated with the
//# origin server (updating or removing those fields).
#[tokio::test]
async fn a_directive_for_some_fields_counts_for_the_whole_response() {
    let cache = Cache::start().await;
    assert!(!cache.reuses(&["Cache-Control: max-age=60, private=\"x-a\"", "X-A: 1"]).await);
    assert!(!cache.reuses(&["Cache-Control: max-age=60, private=x-a", "X-A: 1"]).await);
    let fields: &[&str] = &["Cache-Control: max-age=60, no-cache=\"x-a\"", "X-A: 1"];
    let path = cache.path([ok(fields, "first"), ok(fields, "second")]);
    cache.get(&path, &[]).await;
    let answer = cache.get(&path, &[]).await;
    // Without its field it may be reused, with it not.
    assert!(answer.body == "second" || answer.all("x-a").is_empty(), "{answer:?}");
}

//= https://www.rfc-editor.org/rfc/rfc8246#section-2
//= type=test
//# If any arguments are present, they have no meaning and MUST be ignored.
//
//= https://www.rfc-editor.org/rfc/rfc8246#section-2
//= type=test
//# Multiple instances of the immutable extension are equivalent to one instance.
//
//= https://www.rfc-editor.org/rfc/rfc8246#section-2
//= type=test
//# The immutable extension only applies during the freshness lifetime of the stored response.
//
//= https://www.rfc-editor.org/rfc/rfc8246#section-2
//= type=test
//# Stale responses SHOULD be revalidated as they normally would be in the absence of the immutable
//# extension.
#[tokio::test]
async fn immutable_never_makes_a_response_fresh() {
    all(&[
        (&["Cache-Control: max-age=60, immutable"], true),
        (&["Cache-Control: max-age=60, immutable=0, immutable=\"x\""], true),
        (&["Cache-Control: immutable"], false),
        (&["Cache-Control: max-age=60, immutable", "Age: 60"], false),
    ])
    .await;
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2
//= type=test
//# A proxy, whether or not it implements a cache, MUST pass cache directives through in forwarded
//# messages, regardless of their significance to that application, since the directives might
//# apply to all recipients along the request/response chain.
#[tokio::test]
async fn directives_of_both_sides_pass_whatever_they_mean() {
    let cache = Cache::start().await;
    let path =
        cache.path([ok(&["Cache-Control: max-age=60, foo=\"a,b\"", "Cache-Control: BAR, private"], "x")]);
    let answer =
        cache.get(&path, &["Cache-Control: no-transform, x-y=\"1\"", "Cache-Control: max-age=5"]).await;
    assert_eq!(answer.all("cache-control"), ["max-age=60, foo=\"a,b\"", "BAR, private"]);
    let asked = cache.asked(&path);
    assert_eq!(asked[0].all("cache-control"), ["no-transform, x-y=\"1\"", "max-age=5"]);
    let path = cache.path([ok(&["Cache-Control: max-age=60, foo=\"a,b\""], "x")]);
    cache.get(&path, &[]).await;
    assert_eq!(cache.get(&path, &[]).await.field("cache-control"), "max-age=60, foo=\"a,b\"");
}
