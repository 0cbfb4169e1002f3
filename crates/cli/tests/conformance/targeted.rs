//! Targeted Cache-Control (RFC 9213).

use crate::support::{Cache, dated, ok};

async fn all(cache: &Cache, cases: &[(&[&str], bool)]) {
    for (fields, reused) in cases {
        assert_eq!(cache.reuses(fields).await, *reused, "{fields:?}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9213#section-2.2
//= type=test
//# When a cache that implements this specification receives a response with one or more of the
//# header field names on its target list, the cache MUST select the first (in target-list order)
//# field with a valid, non-empty value and use its value to determine the caching policy for the
//# response, and it MUST ignore the Cache-Control and Expires header fields in that response,
//# unless no valid, non-empty value is available from the listed header fields.
//= https://www.rfc-editor.org/rfc/rfc9213#section-2.2
//= type=test
//# max-age
//
//= https://www.rfc-editor.org/rfc/rfc9213#section-2.2
//= type=test
//# must-revalidate
//
//= https://www.rfc-editor.org/rfc/rfc9213#section-2.2
//= type=test
//# no-store
//
//= https://www.rfc-editor.org/rfc/rfc9213#section-2.2
//= type=test
//# no-cache
//
//= https://www.rfc-editor.org/rfc/rfc9213#section-2.2
//= type=test
//# private
//
//= https://www.rfc-editor.org/rfc/rfc9213#section-2.2
//= type=test
//# Furthermore, they SHOULD implement other cache directives (including extension cache
//# directives) that they support in the Cache-Control response header field.
//
//= https://www.rfc-editor.org/rfc/rfc9213#section-2.2
//= type=test
//# In particular, no-store and no-cache make max-age inoperative, and unrecognized extension
//# directives are ignored.
#[tokio::test]
async fn a_targeted_field_speaks_in_the_place_of_cache_control() {
    let cache = Cache::start().await;
    let (past, future) = (dated("Expires", -600), dated("Expires", 600));
    let (fresh, none) = ("Cache-Control: max-age=600", "Cache-Control: no-store");
    all(
        &cache,
        &[
            (&["CDN-Cache-Control: max-age=600"], true),
            (&["CDN-Cache-Control: max-age=600", none], true),
            (&["CDN-Cache-Control: max-age=600", "Cache-Control: private"], true),
            (&["CDN-Cache-Control: max-age=600", "Cache-Control: max-age=0"], true),
            (&["CDN-Cache-Control: max-age=600", &past], true),
            (&["CDN-Cache-Control: max-age=600", "Expires: 0"], true),
            (&["CDN-Cache-Control: max-age=600", "Pragma: no-cache"], true),
            (&["CDN-Cache-Control: max-age=0", fresh], false),
            (&["CDN-Cache-Control: max-age=0", &future], false),
            (&["CDN-Cache-Control: max-age=600", "Age: 700", fresh], false),
            (&["CDN-Cache-Control: no-store", fresh], false),
            (&["CDN-Cache-Control: private", fresh], false),
            (&["CDN-Cache-Control: no-cache", fresh], false),
            (&["CDN-Cache-Control: max-age=600, no-store"], false),
            (&["CDN-Cache-Control: max-age=600, no-cache"], false),
            (&["CDN-Cache-Control: max-age=0, s-maxage=600"], true),
            (&["CDN-Cache-Control: foo, max-age=600, bar=(a b)"], true),
            (&["CDN-Cache-Control: max-age=2147483648"], true),
            (&["CDN-Cache-Control: max-age=600", "CDN-Cache-Control: no-store"], false),
            (&["CDN-Cache-Control: max-age=0, max-age=600"], true),
            // Nothing of Cache-Control is left over beside it, not even a time.
            (&["CDN-Cache-Control: must-revalidate", fresh], false),
        ],
    )
    .await;
    let private = "Authorization: Basic eA==";
    assert!(
        cache.reuses_between(200, &[private], &["CDN-Cache-Control: max-age=60, public"], &[private]).await
    );
    assert!(
        !cache
            .reuses_between(
                200,
                &[private],
                &["CDN-Cache-Control: max-age=60", "Cache-Control: public"],
                &[private]
            )
            .await
    );
}

//= https://www.rfc-editor.org/rfc/rfc9213#section-2.1
//= type=test
//# Targeted fields are Dictionary Structured Fields (Section 3.2 of [STRUCTURED-FIELDS]).
//
//= https://www.rfc-editor.org/rfc/rfc9213#section-2.1
//= type=test
//# If a targeted field in a given response is empty, or a parsing error is encountered, that field
//# MUST be ignored by the cache (i.e., it behaves as if the field were not present, likely falling
//# back to other cache-control mechanisms present).
//
//= https://www.rfc-editor.org/rfc/rfc9213#section-2.1
//= type=test
//# Implementations SHOULD NOT consume values that violate these inferred constraints.
//
//= https://www.rfc-editor.org/rfc/rfc9213#section-2.1
//= type=test
//# Parameters received on cache directives are to be ignored, unless other handling is explicitly
//# specified.
#[tokio::test]
async fn a_targeted_field_that_cannot_be_parsed_is_not_there() {
    let cache = Cache::start().await;
    let (fresh, none) = ("Cache-Control: max-age=600", "Cache-Control: no-store");
    let broken = [
        "CDN-Cache-Control:",
        "CDN-Cache-Control: max-age=600, &&&&",
        "CDN-Cache-Control: max-age =600",
        "CDN-Cache-Control: max-age= 600",
        "CDN-Cache-Control: MAX-AGE=600",
        "CDN-Cache-Control: max-age=600,",
        "CDN-Cache-Control: max-age=99999999999999999",
        "CDN-Cache-Control: \"max-age=600\"",
    ];
    for field in broken {
        assert!(cache.reuses(&[field, fresh]).await, "{field}");
        assert!(!cache.reuses(&[field, none]).await, "{field}");
    }
    for field in [
        "CDN-Cache-Control: max-age=\"600\"",
        "CDN-Cache-Control: max-age=600.0",
        "CDN-Cache-Control: max-age",
    ] {
        assert!(!cache.reuses(&[field, none]).await, "{field}");
        assert!(!cache.reuses(&[field]).await, "{field}");
    }
    assert!(cache.reuses(&["CDN-Cache-Control: max-age=600;x=1;y", none]).await);
}

//= https://www.rfc-editor.org/rfc/rfc9213#section-2.2
//= type=test
//# Targeted fields that are not on a cache's target list MUST NOT change that cache's behavior and
//# MUST be passed through.
//
//= https://www.rfc-editor.org/rfc/rfc9213#section-2.4
//= type=test
//# However, this suffix MUST NOT be used on its own to identify targeted fields; it is only a
//# convention.
//
//= https://www.rfc-editor.org/rfc/rfc9213#section-3
//= type=test
//# However, they MAY remove it when this is undesirable (for example, when configured to do so
//# because it is known not to be used downstream).
#[tokio::test]
async fn only_fields_on_the_list_speak_and_the_first_of_them_wins() {
    let (fresh, none) = ("Cache-Control: max-age=600", "Cache-Control: no-store");
    let cache = Cache::start().await;
    let other = "Example-CDN-Cache-Control: max-age=600";
    all(&cache, &[(&[other], false), (&[other, none], false), (&[fresh, "X-Cache-Control: no-store"], true)])
        .await;
    let path = cache.path([ok(&[fresh, other, "CDN-Cache-Control: max-age=600"], "x")]);
    for _ in 0..2 {
        let answer = cache.get(&path, &[]).await;
        assert_eq!(answer.field("example-cdn-cache-control"), "max-age=600");
        assert_eq!(answer.all("cdn-cache-control"), Vec::<&str>::new());
        assert_eq!(answer.field("cache-control"), "max-age=600");
    }
    let cache = Cache::with(&["--targeted", "Example-CDN-Cache-Control,CDN-Cache-Control"]).await;
    let (own, cdn) = ("Example-CDN-Cache-Control: max-age=600", "CDN-Cache-Control: no-store");
    all(
        &cache,
        &[
            (&[own, cdn], true),
            (&[cdn, own], true),
            (&["Example-CDN-Cache-Control: no-store", "CDN-Cache-Control: max-age=600"], false),
            (&["Example-CDN-Cache-Control: &", "CDN-Cache-Control: max-age=600"], true),
            (&["CDN-Cache-Control: max-age=600", none], true),
        ],
    )
    .await;
}
