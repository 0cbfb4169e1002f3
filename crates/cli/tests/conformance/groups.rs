//! Responses in groups, which are invalidated together (RFC 9875).

use crate::support::{Cache, ok, reply};

const FRESH: &str = "Cache-Control: max-age=600";

/// Whether a response with these groups is gone after an unsafe request that named those.
async fn gone(cache: &Cache, groups: &[&str], named: &[&str]) -> bool {
    let member = cache.path([ok(&[&[FRESH], groups].concat(), "old"), ok(&[FRESH], "new")]);
    cache.get(&member, &[]).await;
    let changed = cache.path([reply(200, named, "")]);
    cache.send("POST", &changed, &[]).await;
    cache.get(&member, &[]).await.body == "new"
}

//= https://www.rfc-editor.org/rfc/rfc9875#section-2
//= type=test
//# The Cache-Groups response header field is a List of Strings (Sections 3.1 and 3.3.3 of
//# [STRUCTURED-FIELDS]).
//
//= https://www.rfc-editor.org/rfc/rfc9875#section-3
//= type=test
//# The Cache-Group-Invalidation response header field is a List of Strings (Sections 3.1 and 3.3.3
//# of [STRUCTURED-FIELDS]).
//= https://www.rfc-editor.org/rfc/rfc9875#section-2.1
//= type=test
//# They both contain a Cache-Groups response header field that contains the same String (in any
//# position in the List), when compared character-by-character (case sensitive).
//
//= https://www.rfc-editor.org/rfc/rfc9875#section-2
//= type=test
//# The ordering of members is not significant. Unrecognised Parameters are to be ignored.
//
//= https://www.rfc-editor.org/rfc/rfc9875#section-3
//= type=test
//# The ordering of members is not significant. Unrecognised Parameters are to be ignored.
//
//= https://www.rfc-editor.org/rfc/rfc9875#section-3
//= type=test
//# A cache that receives a Cache-Group-Invalidation header field on a response to an unsafe
//# request MAY invalidate any stored responses that share groups (per Section 2.1) with any of the
//# listed groups.
#[tokio::test]
async fn a_named_group_goes_whole() {
    let cache = Cache::start().await;
    let cases: &[(&[&str], &[&str], bool)] = &[
        (&["Cache-Groups: \"a\""], &["Cache-Group-Invalidation: \"a\""], true),
        (&["Cache-Groups: \"a\", \"b\""], &["Cache-Group-Invalidation: \"b\""], true),
        (&["Cache-Groups: \"a\"", "Cache-Groups: \"b\""], &["Cache-Group-Invalidation: \"x\", \"b\""], true),
        (&["Cache-Groups: \"a\";x=1"], &["Cache-Group-Invalidation: \"a\";y"], true),
        (&["Cache-Groups: \"a b,c\""], &["Cache-Group-Invalidation: \"a b,c\""], true),
        (
            &["Cache-Groups: \"a\""],
            &["Cache-Group-Invalidation: \"x\"", "Cache-Group-Invalidation: \"a\""],
            true,
        ),
        (&["Cache-Groups: \"a\""], &["Cache-Group-Invalidation: \"A\""], false),
        (&["Cache-Groups: \"a\""], &["Cache-Group-Invalidation: \"b\""], false),
        (&["Cache-Groups: \"a\""], &["Cache-Group-Invalidation: a"], false),
        (&["Cache-Groups: a"], &["Cache-Group-Invalidation: \"a\""], false),
        (&["Cache-Groups: \"a"], &["Cache-Group-Invalidation: \"a\""], false),
        (&[], &["Cache-Group-Invalidation: \"a\""], false),
    ];
    for (groups, named, expected) in cases {
        assert_eq!(gone(&cache, groups, named).await, *expected, "{groups:?} {named:?}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9875#section-2
//= type=test
//# Implementations MUST support at least 32 groups in a field value, with up to at least 32
//# characters in each member.
//
//= https://www.rfc-editor.org/rfc/rfc9875#section-3
//= type=test
//# Implementations MUST support at least 32 groups in a field value, with up to at least 32
//# characters in each member.
#[tokio::test]
async fn thirty_two_groups_of_thirty_two_characters_are_heard() {
    let cache = Cache::start().await;
    let name = |at: usize| format!("\"{at:0>32}\"");
    let all = (0..32).map(name).collect::<Vec<_>>().join(", ");
    let groups = format!("Cache-Groups: {all}");
    let named = format!("Cache-Group-Invalidation: {all}");
    for at in [0, 15, 31] {
        assert!(gone(&cache, &[&groups], &[&format!("Cache-Group-Invalidation: {}", name(at))]).await);
        assert!(gone(&cache, &[&format!("Cache-Groups: {}", name(at))], &[&named]).await);
    }
}

//= https://www.rfc-editor.org/rfc/rfc9875#section-3
//= type=test
//# The Cache-Group-Invalidation header field MUST be ignored on responses to requests that have a
//# safe method (e.g., GET; see Section 9.2.1 of [HTTP]).
//= https://www.rfc-editor.org/rfc/rfc9875#section-2.1
//= type=test
//# They both share the same URI origin (per Section 4.3.1 of [HTTP]).
//
//= https://www.rfc-editor.org/rfc/rfc9875#section-2.2.1
//= type=test
//# Note that further grouped invalidations are not triggered by a grouped invalidation; i.e., this
//# mechanism does not cascade.
#[tokio::test]
async fn no_safe_request_no_other_origin_and_no_other_group() {
    let cache = Cache::start().await;
    let member = cache.path([ok(&[FRESH, "Cache-Groups: \"a\", \"b\""], "old")]);
    cache.get(&member, &[]).await;
    for method in ["GET", "HEAD", "OPTIONS"] {
        let path = cache.path([reply(200, &["Cache-Group-Invalidation: \"a\""], "")]);
        cache.send(method, &path, &[]).await;
        assert_eq!(cache.get(&member, &[]).await.body, "old", "{method}");
    }
    let path = cache.path([reply(200, &["Cache-Group-Invalidation: \"a\""], "")]);
    cache.send("POST", &path, &["Host: b.example"]).await;
    assert_eq!(cache.get(&member, &[]).await.body, "old");
    let both = cache.path([ok(&[FRESH, "Cache-Groups: \"b\", \"c\""], "old"), ok(&[], "new")]);
    cache.get(&both, &[]).await;
    let path = cache.path([reply(200, &["Cache-Group-Invalidation: \"c\""], "")]);
    cache.send("POST", &path, &[]).await;
    assert_eq!(cache.get(&both, &[]).await.body, "new");
    assert_eq!(cache.get(&member, &[]).await.body, "old");
}
