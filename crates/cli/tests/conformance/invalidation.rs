//! What a request that changes something takes out of the cache.

use crate::support::{Cache, ok, reply};

const FRESH: &str = "Cache-Control: max-age=600";

/// Whether the stored response for a path is still there after a request to it that was answered so.
async fn survives(cache: &Cache, method: &str, status: u16) -> bool {
    let path = cache.path([ok(&[FRESH], "old"), reply(status, &[], ""), ok(&[FRESH], "new")]);
    cache.get(&path, &[]).await;
    assert_eq!(cache.send(method, &path, &[]).await.status(), status);
    cache.get(&path, &[]).await.body == "old"
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.4
//= type=test
//# A cache MUST invalidate the target URI (Section 7.1 of [HTTP]) when it receives a non-error
//# status code in response to an unsafe request method (including methods whose safety is
//# unknown).
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.4
//= type=test
//# A "non-error response" is one with a 2xx (Successful) or 3xx (Redirection) status code.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.4
//= type=test
//# Invalidate means that the cache will either remove all stored responses whose target URI
//# matches the given URI or mark them as "invalid" and in need of a mandatory validation before
//# they can be sent in response to a subsequent request.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-9.2.1
//= type=test
//# Of the request methods defined by this specification, the GET, HEAD, OPTIONS, and TRACE methods
//# are defined to be safe.
#[tokio::test]
async fn a_success_of_an_unsafe_method_invalidates_its_target() {
    let cache = Cache::start().await;
    for method in ["POST", "PUT", "PATCH", "DELETE", "M-SEARCH", "FOO"] {
        for status in [200, 201, 204, 299, 302, 303] {
            assert!(!survives(&cache, method, status).await, "{method} {status}");
        }
        for status in [400, 404, 409, 500, 503] {
            assert!(survives(&cache, method, status).await, "{method} {status}");
        }
    }
    for method in ["OPTIONS", "TRACE"] {
        assert!(survives(&cache, method, 200).await, "{method}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.4
//= type=test
//# A cache MAY invalidate other URIs when it receives a non-error status code in response to an
//# unsafe request method (including methods whose safety is unknown).
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.4
//= type=test
//# However, a cache MUST NOT trigger an invalidation under these conditions if the origin (Section
//# 4.3.1 of [HTTP]) of the URI to be invalidated differs from that of the target URI (Section 7.1
//# of [HTTP]).
#[tokio::test]
async fn location_and_content_location_are_invalidated_on_the_same_origin_only() {
    let cache = Cache::start().await;
    for name in ["Location", "Content-Location"] {
        for (location, gone) in [
            ("{}", true),
            ("http://a.example{}", true),
            ("http://A.EXAMPLE:80{}", true),
            ("//a.example{}", true),
            ("http://b.example{}", false),
            ("http://a.example:8080{}", false),
            ("https://a.example{}", false),
            ("//b.example{}", false),
            ("http://[broken{}", false),
        ] {
            let target = cache.path([ok(&[FRESH], "old"), ok(&[FRESH], "new")]);
            cache.get(&target, &[]).await;
            let field = format!("{name}: {}", location.replace("{}", &target));
            let changed = cache.path([reply(201, &[&field], ""), reply(400, &[&field], "")]);
            cache.send("POST", &changed, &[]).await;
            assert_eq!(cache.get(&target, &[]).await.body == "new", gone, "{field}");
        }
        let target = cache.path([ok(&[FRESH], "old"), ok(&[FRESH], "new")]);
        cache.get(&target, &[]).await;
        let changed = cache.path([reply(400, &[&format!("{name}: {target}")], "")]);
        cache.send("POST", &changed, &[]).await;
        assert_eq!(cache.get(&target, &[]).await.body, "old", "{name}");
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_origin_has_the_scheme_that_the_proxy_names() {
    let cache = Cache::with(&["--trusted-proxies", "127.0.0.0/8"]).await;
    for (location, gone) in [("https://a.example{}", true), ("http://a.example{}", false)] {
        let target = cache.path([ok(&[FRESH], "old"), ok(&[FRESH], "new")]);
        let https: &[&str] = &["X-Forwarded-Proto: https"];
        cache.get(&target, https).await;
        let field = format!("Location: {}", location.replace("{}", &target));
        let changed = cache.path([reply(201, &[&field], "")]);
        cache.send("POST", &changed, https).await;
        assert_eq!(cache.get(&target, https).await.body == "new", gone, "{field}");
    }
}

#[tokio::test]
async fn every_variant_goes_and_so_do_parts() {
    let cache = Cache::start().await;
    let fields: &[&str] = &[FRESH, "Vary: Foo"];
    let path =
        cache.path([ok(fields, "1"), ok(fields, "2"), reply(204, &[], ""), ok(&[], "3"), ok(&[], "4")]);
    for foo in ["Foo: 1", "Foo: 2"] {
        cache.get(&path, &[foo]).await;
    }
    cache.send("DELETE", &path, &[]).await;
    assert_eq!(cache.get(&path, &["Foo: 1"]).await.body, "3");
    assert_eq!(cache.get(&path, &["Foo: 2"]).await.body, "4");
    let part = reply(206, &[FRESH, "ETag: \"a\"", "Content-Range: bytes 0-1/9"], "01");
    let path = cache.path([part, reply(204, &[], ""), ok(&[], "whole")]);
    cache.get(&path, &["Range: bytes=0-1"]).await;
    cache.send("DELETE", &path, &[]).await;
    assert_eq!(cache.get(&path, &["Range: bytes=0-1"]).await.body, "whole");
}

#[tokio::test]
async fn what_is_invalidated_is_not_brought_back_by_an_origin_that_fails() {
    let cache = Cache::start().await;
    let path = cache.path([
        ok(&["Cache-Control: max-age=600, stale-if-error=600", "ETag: \"a\""], "old"),
        reply(204, &[], ""),
        reply(503, &["Cache-Control: no-store"], "down"),
    ]);
    cache.get(&path, &[]).await;
    cache.send("DELETE", &path, &[]).await;
    let answer = cache.get(&path, &["Cache-Control: max-stale"]).await;
    assert_eq!((answer.status(), answer.body.as_str()), (503, "down"));
}
