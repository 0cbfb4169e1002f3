//! What breaks off, panics, leaves or carries credentials while something stale is at hand (S12, S15, S19, S32; F24).

use axum::body::Body;
use axum::http::{HeaderValue, Method, Response, StatusCode};
use bytes::Bytes;
use forebay::Policy;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;

use crate::shop::{Deed, Down, Shop, answer};
use crate::support::{Fields, settle};

const PAGE: Fields<'static> = &[("cache-control", "max-age=60"), ("etag", "\"1\"")];

async fn stale(fields: Fields<'_>) -> Shop {
    let shop = Shop::proxy().await;
    shop.origin.has(fields, "old");
    shop.get("/a", &[]).await;
    shop.pass(100);
    shop
}

/// A response whose body ends in an error, or before the length it has announced.
fn broken(status: u16, fields: Fields<'_>, announced: Option<&'static str>) -> Response<Body> {
    let mut response = answer(status, fields, "");
    let first = stream::iter([Ok::<_, Down>(Bytes::from_static(b"new"))]);
    *response.body_mut() = match announced {
        Some(length) => {
            response.headers_mut().insert("content-length", HeaderValue::from_static(length));
            Body::from_stream(first)
        }
        None => Body::from_stream(first.chain(stream::iter([Err(Down)]))),
    };
    response
}

#[tokio::test]
async fn an_answer_that_breaks_off_takes_no_stored_one_s_place() {
    let swr: Fields<'_> = &[("cache-control", "max-age=60, stale-while-revalidate=600"), ("etag", "\"1\"")];
    let next: Fields<'_> = &[("cache-control", "max-age=60"), ("etag", "\"2\"")];
    for announced in [None, Some("9")] {
        for fields in [PAGE, swr] {
            let shop = stale(fields).await;
            shop.origin.does(move |_| Deed::Answer(broken(200, next, announced)));
            shop.get("/a", &[]).await;
            shop.origin.has(fields, "old");
            let after = shop.get("/a", &[]).await;
            assert_eq!(after.text(), "old", "{announced:?}");
            assert_eq!(shop.origin.last().headers["if-none-match"], "\"1\"", "the stored one is there still");
        }
        let shop = Shop::proxy().await;
        let part: Fields<'_> =
            &[("cache-control", "max-age=60"), ("etag", "\"1\""), ("content-range", "bytes 0-8/9")];
        shop.origin.does(move |_| Deed::Answer(broken(206, part, announced)));
        for calls in 1..3 {
            shop.get("/a", &[("range", "bytes=0-8")]).await;
            assert_eq!(shop.origin.calls(), calls);
        }
    }
}

#[tokio::test]
async fn a_validation_that_panics_or_is_left_harms_nobody_else() {
    for leaves in [false, true] {
        let shop = stale(PAGE).await;
        shop.origin.hold();
        let asking: Vec<_> = (0..20)
            .map(|_| {
                let shop = shop.clone();
                tokio::spawn(async move { shop.get("/a", &[]).await })
            })
            .collect();
        settle().await;
        if leaves {
            asking[0].abort();
        } else {
            let before = shop.origin.calls();
            let origin = shop.origin.clone();
            shop.origin.does(move |_| match origin.calls() {
                calls if calls <= before => Deed::Panic,
                _ => Deed::Answer(answer(304, PAGE, "")),
            });
        }
        shop.origin.release();
        let replies = join_all(asking).await;
        assert!(replies[0].is_err(), "it has panicked or left");
        for reply in replies.into_iter().skip(1) {
            assert_eq!(reply.unwrap().text(), "old");
        }
        assert!(shop.get("/a", &[]).await.is_hit());
    }
}

// S15: what a route says of freshness does not hold for a request with cookies, stale or not.
#[tokio::test]
async fn a_stale_answer_is_no_more_everybody_s_than_it_was_when_fresh() {
    let shop = Shop::layered(
        Policy::origin(),
        |cache| cache,
        |cache| {
            let rules = cache.rules().at("/a", |r| r.ttl("1m").swr("10m").stale_if_error("10m"));
            rules.layer().unwrap()
        },
    )
    .await;
    shop.origin.says(200, &[("etag", "\"1\"")], "anonymous");
    shop.get("/a", &[]).await;
    for seconds in [0, 100, 10_000] {
        shop.pass(seconds);
        for credentials in [("cookie", "s=ann"), ("authorization", "ann"), ("x-api-key", "ann")] {
            shop.origin.says(200, &[("etag", "\"1\"")], "ann's");
            assert_eq!(shop.get("/a", &[credentials]).await.text(), "ann's", "{seconds}");
            assert!(!shop.origin.last().has("if-none-match"), "what is stored is not what ann would get");
            shop.origin.does(|_| Deed::Fail);
            assert_eq!(shop.ask(Method::GET, "/a", &[credentials]).await.err(), Some(Down));
        }
        shop.origin.says(200, &[("etag", "\"1\"")], "anonymous");
        let anybody = shop.get("/a", &[]).await;
        assert_eq!(anybody.text(), "anonymous", "{seconds}: {}", anybody.cache_status());
    }
}

// S12
#[tokio::test]
async fn an_answer_to_credentials_freshens_nothing_that_is_not_to_be_shared() {
    let shop = stale(PAGE).await;
    shop.origin.says(200, &[("cache-control", "max-age=60"), ("etag", "\"2\"")], "ann's");
    let hers = shop.get("/a", &[("authorization", "ann")]).await;
    assert_eq!(hers.text(), "ann's");
    shop.origin.has(PAGE, "old");
    assert_eq!(shop.get("/a", &[]).await.text(), "old");
    shop.pass(100);
    shop.origin.does(|_| Deed::Fail);
    let failed = shop.ask(Method::GET, "/a", &[("authorization", "ben")]).await;
    assert_eq!(failed.err(), Some(Down), "cut off or not: it may not answer a request with credentials");
}

#[tokio::test]
async fn every_status_that_an_answer_is_given_with_fits_its_body() {
    let shop = stale(PAGE).await;
    for (method, fields) in [
        (Method::GET, &[] as Fields<'_>),
        (Method::HEAD, &[]),
        (Method::GET, &[("range", "bytes=0-0")]),
        (Method::HEAD, &[("range", "bytes=0-0"), ("if-none-match", "\"0\"")]),
        (Method::GET, &[("if-none-match", "*")]),
        (Method::GET, &[("range", "bytes=9-")]),
        (Method::GET, &[("cache-control", "only-if-cached")]),
    ] {
        for seconds in [0, 100] {
            shop.pass(seconds);
            let reply = shop.send(method.clone(), "/a", fields).await;
            let announced =
                reply.headers.get("content-length").map(|length| length.to_str().unwrap().to_owned());
            let empty = method == Method::HEAD || reply.status == StatusCode::NOT_MODIFIED;
            assert!(
                empty || announced.is_none_or(|length| length == reply.body.len().to_string()),
                "{fields:?}"
            );
            assert!(!empty || reply.body.is_empty(), "{fields:?}");
            assert_eq!(reply.headers.get_all("cache-status").iter().count(), 1, "{fields:?}");
        }
    }
}
