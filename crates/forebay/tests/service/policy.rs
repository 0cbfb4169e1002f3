//! The choices of a policy, as they show at the service (RFC 9213; S13, S16, S21).

use axum::http::Method;
use forebay::{Heuristic, Policy, SetCookie, SurrogateFields};

use crate::shop::Shop;
use crate::support::{Fields, field};

//= https://www.rfc-editor.org/rfc/rfc9213#section-2.2
//= type=test
//# When a cache that implements this specification receives a response with one or more of the header
//# field names on its target list, the cache MUST select the first (in target-list order) field with a
//# valid, non-empty value and use its value to determine the caching policy for the response, and it
//# MUST ignore the Cache-Control and Expires header fields in that response, unless no valid, non-empty
//# value is available from the listed header fields.
#[tokio::test]
async fn the_field_that_speaks_to_this_cache_outranks_the_others() {
    let cases: [(Fields<'_>, bool); 5] = [
        (&[("cache-control", "no-store"), ("cdn-cache-control", "max-age=60")], true),
        (&[("cache-control", "max-age=60"), ("cdn-cache-control", "no-store")], false),
        (&[("cache-control", "max-age=60"), ("cdn-cache-control", "")], true),
        (&[("cache-control", "max-age=60"), ("cdn-cache-control", "&?!")], true),
        (&[("cache-control", "max-age=60"), ("cdn-cache-control", "private")], false),
    ];
    for (fields, kept) in cases {
        for policy in [Policy::origin(), Policy::proxy()] {
            let shop = Shop::with(policy, |cache| cache).await;
            shop.origin.says(200, fields, "x");
            shop.get("/a", &[]).await;
            assert_eq!(shop.get("/a", &[]).await.is_hit(), kept, "{fields:?}");
        }
    }
}

#[tokio::test]
async fn a_list_of_targets_is_read_in_its_order() {
    let mut policy = Policy::proxy();
    policy.targeted = vec!["shop-cache-control".parse().unwrap(), "cdn-cache-control".parse().unwrap()];
    let shop = Shop::with(policy, |cache| cache).await;
    let fields = [("cdn-cache-control", "no-store"), ("shop-cache-control", "max-age=60")];
    shop.origin.says(200, &fields, "x");
    shop.get("/a", &[]).await;
    let hit = shop.get("/a", &[]).await;
    assert!(hit.is_hit());
    assert!(
        !hit.headers.contains_key("shop-cache-control") && !hit.headers.contains_key("cdn-cache-control")
    );
}

// S21
#[tokio::test]
async fn fields_that_speak_to_caches_are_kept_or_stripped_as_the_policy_says() {
    const SPEAKING: [&str; 4] = ["cdn-cache-control", "surrogate-key", "cache-tag", "surrogate-control"];
    for (surrogate_fields, shown) in [(SurrogateFields::Keep, true), (SurrogateFields::Strip, false)] {
        let mut policy = Policy::proxy();
        policy.surrogate_fields = surrogate_fields;
        let shop = Shop::with(policy, |cache| cache).await;
        let mut fields: Vec<_> = SPEAKING.iter().map(|name| (*name, "max-age=60")).collect();
        fields.push(("etag", "\"1\""));
        shop.origin.has(&fields, "x");
        let passed = shop.send(Method::POST, "/b", &[]).await;
        let missed = shop.get("/a", &[]).await;
        let hit = shop.get("/a", &[]).await;
        let not_modified = shop.get("/a", &[("if-none-match", "\"1\"")]).await;
        let part = shop.get("/a", &[("range", "bytes=0-0")]).await;
        shop.pass(100);
        let validated = shop.get("/a", &[]).await;
        assert!(validated.cache_status().contains("fwd-status=304; stored"), "{}", validated.cache_status());
        assert!(hit.is_hit());
        assert_eq!((not_modified.status.as_u16(), part.status.as_u16()), (304, 206));
        for reply in [passed, missed, hit, not_modified, part, validated, shop.get("/a", &[]).await] {
            for name in SPEAKING {
                assert_eq!(reply.headers.contains_key(name), shown, "{name}: {}", reply.cache_status());
            }
        }
    }
}

// S13
#[tokio::test]
async fn cookies_that_answers_set_are_refused_stripped_or_stored() {
    for (mode, kept, shown) in
        [(SetCookie::Refuse, false, true), (SetCookie::Strip, true, false), (SetCookie::Store, true, true)]
    {
        let mut policy = Policy::proxy();
        policy.set_cookie = mode;
        let shop = Shop::with(policy, |cache| cache).await;
        let fields = [
            ("cache-control", "max-age=60"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("etag", "\"1\""),
        ];
        shop.origin.has(&fields, "x");
        let first = shop.get("/a", &[]).await;
        assert_eq!(first.headers.get_all("set-cookie").iter().count(), 2, "it is the asking client's own");
        let second = shop.get("/a", &[]).await;
        assert_eq!((second.is_hit(), second.headers.contains_key("set-cookie")), (kept, shown), "{mode:?}");
        shop.pass(100);
        shop.get("/a", &[]).await;
        let freshened = shop.get("/a", &[]).await;
        assert_eq!(
            (freshened.is_hit(), freshened.headers.contains_key("set-cookie")),
            (kept, shown),
            "{mode:?}"
        );
    }
}

// S16
#[tokio::test]
async fn errors_that_a_broken_request_provokes_are_stored_only_where_the_policy_says_so() {
    for store in [false, true] {
        let mut policy = Policy::proxy();
        policy.store_request_errors = store;
        for status in [400, 405, 414, 431] {
            let shop = Shop::with(policy.clone(), |cache| cache).await;
            shop.origin.says(status, &[("cache-control", "max-age=60")], "x");
            shop.get("/a", &[]).await;
            assert_eq!(shop.get("/a", &[]).await.is_hit(), store, "{status}");
        }
    }
}

#[tokio::test]
async fn a_proxy_guesses_how_long_an_answer_is_fresh_and_a_service_s_own_cache_does_not() {
    let fields: Fields<'_> = &[("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"), ("etag", "\"1\"")];
    for (heuristic, kept) in [(Some(Heuristic::default()), true), (None, false)] {
        let mut policy = Policy::origin();
        policy.heuristic = heuristic;
        let shop = Shop::with(policy, |cache| cache).await;
        shop.origin.has(fields, "x");
        shop.get("/a", &[]).await;
        let reply = shop.get("/a", &[]).await;
        assert_eq!(reply.is_hit(), kept);
        if kept {
            assert_eq!(reply.cache_status(), "forebay; hit; ttl=86400; detail=l1", "a day at most");
        }
    }
}

#[tokio::test]
async fn the_layer_tells_age_and_date_that_fit_together() {
    let shop = Shop::proxy().await;
    shop.origin.says(200, &[("cache-control", "max-age=60"), ("age", "15")], "x");
    shop.get("/a", &[]).await;
    let date = field(&shop.get("/a", &[]).await.headers, "date");
    shop.pass(10);
    let reply = shop.get("/a", &[]).await;
    assert_eq!((field(&reply.headers, "date"), field(&reply.headers, "age").as_str()), (date, "25"));
    assert_eq!(reply.cache_status(), "forebay; hit; ttl=35; detail=l1");
    assert_eq!(reply.headers.get_all("age").iter().count(), 1);
    assert_eq!(reply.headers.get_all("date").iter().count(), 1);
}
