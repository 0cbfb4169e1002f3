//! What may be stored, and whom it may answer.

use crate::support::{Cache, dated, ok};

const FRESH: &str = "Cache-Control: max-age=60";
const KEY: &str = "Authorization: Basic eA==";

//= https://www.rfc-editor.org/rfc/rfc9111#section-3.5
//= type=test
//# A shared cache MUST NOT use a cached response to a request with an Authorization header field
//# (Section 11.6.2 of [HTTP]) to satisfy any subsequent request unless the response contains a
//# Cache-Control field with a response directive (Section 5.2.2) that allows it to be stored by a
//# shared cache, and the cache conforms to the requirements of that directive for that response.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3.5
//= type=test
//# In this specification, the following response directives have such an effect: must-revalidate
//# (Section 5.2.2.2), public (Section 5.2.2.9), and s-maxage (Section 5.2.2.10).
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.2
//= type=test
//# The must-revalidate directive also permits a shared cache to reuse a response to a request
//# containing an Authorization header field (Section 11.6.2 of [HTTP]), subject to the above
//# requirement on revalidation (Section 3.5).
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.9
//= type=test
//# For example, public permits a shared cache to reuse a response to a request containing an
//# Authorization header field (Section 3.5).
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.10
//= type=test
//# This directive also permits a shared cache to reuse a response to a request containing an
//# Authorization header field, subject to the above requirements on maximum age and revalidation
//# (Section 3.5).
#[tokio::test]
async fn an_answer_to_authorization_is_shared_only_by_permission() {
    let cache = Cache::start().await;
    let expires = dated("Expires", 600);
    let cases: &[(&[&str], bool)] = &[
        (&[FRESH], false),
        (&[&expires], false),
        (&["Cache-Control: max-age=60, proxy-revalidate"], false),
        (&["Cache-Control: max-age=60, immutable"], false),
        (&["Cache-Control: max-age=60, public"], true),
        (&["Cache-Control: public", &expires], true),
        (&["Cache-Control: max-age=60, must-revalidate"], true),
        (&["Cache-Control: s-maxage=60"], true),
    ];
    for (fields, shared) in cases {
        assert_eq!(cache.reuses_between(200, &[KEY], fields, &[]).await, *shared, "{fields:?}");
        assert_eq!(cache.reuses_between(200, &[KEY], fields, &[KEY]).await, *shared, "{fields:?}");
        assert_eq!(cache.reuses_between(200, &[], fields, &[KEY]).await, *shared, "{fields:?}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3
//= type=test
//# the no-store cache directive is not present in the response (see Section 5.2.2.5);
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3
//= type=test
//# if the cache is shared: the private response directive is either not present or allows a shared
//# cache to store a modified response; see Section 5.2.2.7);
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.5
//= type=test
//# The no-store response directive indicates that a cache MUST NOT store any part of either the
//# immediate request or the response and MUST NOT use the response to satisfy any other request.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.7
//= type=test
//# The unqualified private response directive indicates that a shared cache MUST NOT store the
//# response (i.e., the response is intended for a single user).
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.1
//= type=test
//# If directives conflict (e.g., both max-age and no-cache are present), the most restrictive
//# directive should be honored.
#[tokio::test]
async fn what_forbids_storing_outweighs_what_permits_it() {
    let cache = Cache::start().await;
    let expires = dated("Expires", 600);
    for forbidding in
        ["no-store", "private", "no-store, public", "private, s-maxage=60", "no-store, immutable"]
    {
        let field = format!("Cache-Control: max-age=60, {forbidding}");
        assert!(!cache.reuses(&[&field]).await, "{forbidding}");
        assert!(!cache.reuses(&[&field, &expires]).await, "{forbidding}");
    }
    // A forbidding answer does not take away what is stored for good reasons, nor is it stored.
    let path = cache.path([ok(&["Cache-Control: no-store"], "first"), ok(&[FRESH], "second")]);
    assert_eq!(cache.get(&path, &[]).await.body, "first");
    assert_eq!(cache.get(&path, &[]).await.body, "second");
    assert_eq!(cache.get(&path, &[]).await.body, "second");
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.4
//= type=test
//# The no-cache response directive, in its unqualified form (without an argument), indicates that
//# the response MUST NOT be used to satisfy any other request without forwarding it for validation
//# and receiving a successful response; see Section 4.3.
//= https://www.rfc-editor.org/rfc/rfc9111#section-4
//= type=test
//# the stored response does not contain the no-cache directive (Section 5.2.2.4), unless it is
//# successfully validated (Section 4.3), and
#[tokio::test]
async fn what_says_no_cache_is_validated_each_time() {
    let cache = Cache::start().await;
    let fields: &[&str] = &["Cache-Control: max-age=60, no-cache", "ETag: \"a\""];
    let path =
        cache.path([ok(fields, "first"), crate::support::reply(304, fields, ""), ok(fields, "second")]);
    for body in ["first", "first", "second"] {
        assert_eq!(cache.get(&path, &[]).await.body, body);
    }
    let asked = cache.asked(&path);
    assert_eq!((asked.len(), asked[1].field("if-none-match")), (3, "\"a\""));
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3
//= type=test
//# the request method is understood by the cache;
//= https://www.rfc-editor.org/rfc/rfc9110#section-9.2.3
//= type=test
//# For a cache to store and use a response, the associated method needs to explicitly allow
//# caching and to detail under what conditions a response can be used to satisfy subsequent
//# requests; a method definition that does not do so cannot be cached.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4
//= type=test
//# A cache MUST write through requests with methods that are unsafe (Section 9.2.1 of [HTTP]) to
//# the origin server; i.e., a cache is not allowed to generate a reply to such a request before
//# having forwarded the request and having received a corresponding response.
#[tokio::test]
async fn only_answers_to_get_are_stored() {
    let cache = Cache::start().await;
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "QUERY", "FOO"] {
        let path = cache.path([ok(&[FRESH], "first"), ok(&[FRESH], "second"), ok(&[FRESH], "third")]);
        assert_eq!(cache.send(method, &path, &[]).await.body, "first", "{method}");
        assert_eq!(cache.get(&path, &[]).await.body, "second", "{method}");
        // And the stored answer to the GET does not answer it.
        assert_eq!(cache.send(method, &path, &[]).await.body, "third", "{method}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.3
//= type=test
//# Responses to POST requests are only cacheable when they include explicit freshness information
//# (see Section 4.2.1 of [CACHING]) and a Content-Location header field that has the same value as
//# the POST's target URI (Section 8.7).
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.3
//= type=test
//# A cached POST response can be reused to satisfy a later GET or HEAD request.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.3
//= type=test
//# In contrast, a POST request cannot be satisfied by a cached POST response because POST is
//# potentially unsafe; see Section 4 of [CACHING].
#[tokio::test]
async fn an_answer_to_post_that_is_what_get_would_have_got_answers_get() {
    let cache = Cache::start().await;
    let here = |location: &str| format!("Content-Location: {location}");
    let cases: [(&str, &[&str], bool); 6] = [
        ("same", &[FRESH], true),
        ("http://a.example/same", &[FRESH], true),
        ("/other", &[FRESH], false),
        ("http://b.example/same", &[FRESH], false),
        ("same", &[], false),
        ("same", &["Cache-Control: max-age=60, no-store"], false),
    ];
    for (at, (location, fields, stored)) in cases.into_iter().enumerate() {
        let path = format!("/post/{at}/same");
        let location = here(&location.replace("example/same", &format!("example{path}")));
        let fields = [&[location.as_str()], fields].concat();
        cache.script(&path, [ok(&fields, "posted"), ok(&fields, "posted again"), ok(&[], "got")]);
        assert_eq!(cache.send("POST", &path, &[]).await.body, "posted");
        assert_eq!(cache.send("POST", &path, &[]).await.body, "posted again");
        let answer = cache.get(&path, &[]).await;
        assert_eq!(answer.body, if stored { "posted again" } else { "got" }, "{fields:?}");
    }
}

#[tokio::test]
async fn a_response_that_sets_a_cookie_is_shared_as_far_as_is_set() {
    let fields: &[&str] = &[FRESH, "Set-Cookie: a=1"];
    for (flags, stored, cookies) in
        [(&[][..], false, 1), (&["--set-cookie", "strip"], true, 0), (&["--set-cookie", "store"], true, 1)]
    {
        let cache = Cache::with(flags).await;
        assert_eq!(cache.reuses(fields).await, stored, "{flags:?}");
        let path = cache.path([ok(fields, "x"), ok(fields, "x")]);
        assert_eq!(cache.get(&path, &[]).await.all("set-cookie").len(), 1);
        assert_eq!(cache.get(&path, &[]).await.all("set-cookie").len(), cookies, "{flags:?}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4
//= type=test
//# the presented target URI (Section 7.1 of [HTTP]) and that of the stored response match, and
#[tokio::test]
async fn another_query_path_or_host_is_another_resource() {
    let cache = Cache::start().await;
    let paths = ["/t", "/t?", "/t?a", "/t?a=1", "/t?a=2", "/t?A=1", "/t/", "//t", "/%74", "/t;a", "/T"];
    for path in paths {
        cache.script(path, [ok(&[FRESH], path), ok(&[FRESH], "b.example")]);
    }
    for _ in 0..2 {
        for path in paths {
            assert_eq!(cache.get(path, &[]).await.body, path);
        }
    }
    assert_eq!(cache.get("/t", &["Host: b.example"]).await.body, "b.example");
    assert_eq!(cache.get("/t", &["Cookie: a=1"]).await.body, "/t");
}
