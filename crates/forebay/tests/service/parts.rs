//! Parts that are stored and put together, in the proxy profile (RFC 9111 3.3, 3.4).

use axum::http::Method;
use forebay::{Policy, Tag};

use crate::shop::{Deed, Shop, answer};
use crate::support::{Fields, Reply, field};

const PAGE: Fields<'static> = &[("cache-control", "max-age=60"), ("etag", "\"1\""), ("x-a", "old")];
const BODY: &str = "0123456789";

async fn shop() -> Shop {
    let shop = Shop::proxy().await;
    shop.origin.has(PAGE, BODY);
    shop
}

async fn range(shop: &Shop, range: &str) -> Reply {
    let reply = shop.get("/a", &[("range", range)]).await;
    assert_eq!(reply.status, 206, "{range}");
    assert_eq!(field(&reply.headers, "content-length"), reply.body.len().to_string());
    reply
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3.3
//= type=test
//# A cache MUST NOT use an incomplete response to answer requests unless the response has been made
//# complete, or the request is partial and specifies a range wholly within the incomplete response.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3.3
//= type=test
//# A cache MUST NOT send a partial response to a client without explicitly marking it using the 206
//# (Partial Content) status code.
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2.2
//= type=test
//# partial: The cache was able to select a partial response for the request, but it did not contain all
//# of the requested ranges (or the request was for the complete response).
#[tokio::test]
async fn a_stored_part_answers_what_lies_within_it_and_nothing_else() {
    let shop = shop().await;
    range(&shop, "bytes=2-6").await;
    for (asked, body, content_range) in [
        ("bytes=2-6", "23456", "bytes 2-6/10"),
        ("bytes=3-4", "34", "bytes 3-4/10"),
        ("bytes=6-6", "6", "bytes 6-6/10"),
    ] {
        let reply = range(&shop, asked).await;
        assert_eq!((reply.text(), reply.is_hit()), (body, true), "{asked}");
        assert_eq!(field(&reply.headers, "content-range"), content_range);
    }
    assert_eq!(shop.origin.calls(), 1);
    for method in [Method::HEAD, Method::GET] {
        let whole = shop.send(method.clone(), "/a", &[]).await;
        assert_eq!(whole.status, 200);
        assert!(!whole.is_hit() && !whole.headers.contains_key("content-range"));
        assert!(whole.cache_status().contains("fwd=partial"), "{}", whole.cache_status());
        assert_eq!(whole.body.is_empty(), method == Method::HEAD);
    }
    let calls = shop.origin.calls();
    assert_eq!(shop.get("/a", &[]).await.text(), BODY, "the whole has taken the part's place");
    assert_eq!(shop.origin.calls(), calls);
}

#[tokio::test]
async fn a_range_that_is_not_all_there_is_asked_for() {
    for asked in ["bytes=0-3", "bytes=5-8", "bytes=-2", "bytes=7-", "bytes=2-3,8-9"] {
        let shop = shop().await;
        range(&shop, "bytes=2-6").await;
        let reply = shop.get("/a", &[("range", asked)]).await;
        assert!(!reply.is_hit(), "{asked}");
        assert_eq!(shop.origin.last().headers["range"], asked);
        assert!(reply.cache_status().contains("fwd=partial"), "{}", reply.cache_status());
    }
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.3
//= type=test
//# If the union consists of the entire range of the representation, then the client MUST process the
//# combined response as if it were a complete 200 (OK) response, including a Content-Length header
//# field that reflects the complete length.
#[tokio::test]
async fn parts_that_make_up_the_whole_answer_for_the_whole() {
    let orders: [&[&str]; 4] = [
        &["bytes=0-4", "bytes=5-9"],
        &["bytes=5-9", "bytes=0-4"],
        &["bytes=3-6", "bytes=0-4", "bytes=5-"],
        &["bytes=0-6", "bytes=4-9"],
    ];
    for order in orders {
        let shop = shop().await;
        for asked in order {
            range(&shop, asked).await;
        }
        let whole = shop.get("/a", &[]).await;
        assert_eq!((whole.status.as_u16(), whole.text(), whole.is_hit()), (200, BODY, true), "{order:?}");
        assert_eq!(field(&whole.headers, "content-length"), "10");
        assert!(!whole.headers.contains_key("content-range"));
        assert_eq!(shop.origin.calls(), order.len());
        let head = shop.send(Method::HEAD, "/a", &[]).await;
        assert_eq!((head.is_hit(), field(&head.headers, "content-length").as_str()), (true, "10"));
    }
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.3
//= type=test
//# If all of the matching stored responses are 206 responses, then the stored response with the most
//# recent header fields is used as the source of header fields for the combined response, except that
//# the client MUST use other header fields provided in the new response, aside from Content-Range, to
//# replace all instances of the corresponding header fields in the stored response.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3.4
//= type=test
//# When combining the new response with one or more stored responses, a cache MUST update the stored
//# response header fields using the header fields provided in the new response, as per Section 3.2.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.3
//= type=test
//# Otherwise, the client MUST process the set of continuous ranges as one of the following: an incomplete
//# 200 (OK) response if the combined response is a prefix of the representation, a single 206 (Partial
//# Content) response containing "multipart/byteranges" content, or multiple 206 (Partial Content)
//# responses, each with one continuous range that is indicated by a Content-Range header field.
#[tokio::test]
async fn joined_parts_have_the_newer_fields() {
    let shop = shop().await;
    range(&shop, "bytes=0-3").await;
    shop.origin.has(&[("cache-control", "max-age=600"), ("etag", "\"1\""), ("x-b", "new")], BODY);
    range(&shop, "bytes=4-7").await;
    let reply = range(&shop, "bytes=2-5").await;
    assert_eq!((reply.text(), reply.is_hit()), ("2345", true));
    for (name, value) in [("x-a", "old"), ("x-b", "new"), ("cache-control", "max-age=600")] {
        assert_eq!(field(&reply.headers, name), value);
    }
    assert_eq!(field(&reply.headers, "content-range"), "bytes 2-5/10");
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3.4
//= type=test
//# A cache MAY combine these ranges into a single stored response, and reuse that response to satisfy
//# later requests, if they all share the same strong validator and the cache complies with the client
//# requirements in Section 15.3.7.3 of [HTTP].
#[tokio::test]
async fn parts_of_two_representations_are_never_put_together() {
    let others: [Fields<'_>; 4] = [
        &[("cache-control", "max-age=60"), ("etag", "\"2\"")],
        &[("cache-control", "max-age=60"), ("etag", "W/\"1\"")],
        &[("cache-control", "max-age=60")],
        &[("cache-control", "max-age=60"), ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")],
    ];
    for other in others {
        let shop = shop().await;
        range(&shop, "bytes=0-4").await;
        shop.origin.has(other, "abcdefghij");
        assert_eq!(range(&shop, "bytes=5-9").await.text(), "fghij");
        assert_eq!(range(&shop, "bytes=6-7").await.text(), "gh", "the newer one has taken the place");
        assert_eq!(range(&shop, "bytes=0-4").await.text(), "abcde", "{other:?}");
        assert_eq!(shop.get("/a", &[]).await.text(), "abcdefghij", "{other:?}");
    }
}

#[tokio::test]
async fn weak_validators_join_nothing() {
    let shop = Shop::proxy().await;
    shop.origin.has(&[("cache-control", "max-age=60"), ("etag", "W/\"1\"")], BODY);
    range(&shop, "bytes=0-4").await;
    range(&shop, "bytes=5-9").await;
    let calls = shop.origin.calls();
    assert_eq!(shop.get("/a", &[]).await.text(), BODY);
    assert_eq!(shop.origin.calls(), calls + 1);
}

// An origin that contradicts itself about the length is not believed.
#[tokio::test]
async fn parts_of_different_wholes_are_not_put_together() {
    let part = |content_range: &'static str, body: &'static str| {
        move |_: &crate::shop::Seen| {
            let fields =
                [("cache-control", "max-age=60"), ("etag", "\"1\""), ("content-range", content_range)];
            Deed::Answer(answer(206, &fields, body))
        }
    };
    for (first, second) in [
        (("bytes 0-4/10", "01234"), ("bytes 5-11/12", "567890a")),
        (("bytes 0-4/12", "01234"), ("bytes 5-9/10", "56789")),
        (("bytes 0-9/*", "0123456789"), ("bytes 3-4/5", "34")),
    ] {
        let shop = Shop::proxy().await;
        shop.origin.does(part(first.0, first.1));
        shop.get("/a", &[("range", "bytes=0-4")]).await;
        shop.origin.does(part(second.0, second.1));
        shop.get("/a", &[("range", "bytes=5-11")]).await;
        shop.origin.says(200, PAGE, "the truth");
        assert_eq!(shop.get("/a", &[]).await.text(), "the truth", "{} and {}", first.0, second.0);
    }
}

#[tokio::test]
async fn a_part_that_is_not_as_long_as_it_says_is_not_stored() {
    for (content_range, body) in [
        ("bytes 0-4/10", "0123"),
        ("bytes 0-4/10", "012345"),
        ("bytes 0-4/3", "01234"),
        ("bytes 4-0/10", "01234"),
        ("bytes */10", "01234"),
        ("chars 0-4/10", "01234"),
        ("bytes 0-4/10, bytes 0-4/10", "01234"),
        ("bytes 0-18446744073709551615/*", "01234"),
    ] {
        let shop = Shop::proxy().await;
        let fields = [("cache-control", "max-age=60"), ("etag", "\"1\""), ("content-range", content_range)];
        shop.origin.says(206, &fields, body);
        for calls in 1..3 {
            shop.get("/a", &[("range", "bytes=0-4")]).await;
            assert_eq!(shop.origin.calls(), calls, "{content_range}");
        }
    }
}

// A client that has sent no Range must not have one, nor leave one.
#[tokio::test]
async fn a_part_that_nobody_has_asked_for_is_not_stored() {
    let shop = Shop::proxy().await;
    let fields = [("cache-control", "max-age=60"), ("etag", "\"1\""), ("content-range", "bytes 0-4/10")];
    shop.origin.says(206, &fields, "01234");
    for calls in 1..3 {
        assert_eq!(shop.get("/a", &[]).await.status, 206, "as the origin has it");
        assert_eq!(shop.origin.calls(), calls);
    }
}

#[tokio::test]
async fn a_condition_on_a_stored_part_is_judged_by_its_validator() {
    let shop = shop().await;
    range(&shop, "bytes=0-4").await;
    let known = shop.get("/a", &[("range", "bytes=0-4"), ("if-none-match", "\"1\"")]).await;
    assert!(known.body.is_empty() || known.text() == "01234");
    assert!(known.status == 304 || known.status == 206);
    let changed = shop.get("/a", &[("range", "bytes=0-4"), ("if-range", "\"0\"")]).await;
    assert_eq!((changed.status.as_u16(), changed.text()), (200, BODY));
    let stored = shop.get("/a", &[]).await;
    assert_eq!((stored.text(), stored.is_hit()), (BODY, true));
}

#[tokio::test]
async fn a_stale_part_answers_nothing_unasked() {
    let shop = shop().await;
    range(&shop, "bytes=0-4").await;
    shop.pass(100);
    shop.origin.has(&[("cache-control", "max-age=60"), ("etag", "\"2\"")], "abcdefghij");
    assert_eq!(range(&shop, "bytes=0-4").await.text(), "abcde");
    assert_eq!(range(&shop, "bytes=0-9").await.text(), "abcdefghij");
    assert_eq!(shop.get("/a", &[]).await.text(), "abcdefghij");
}

#[tokio::test]
async fn a_part_never_covers_up_an_error_for_the_whole() {
    let shop = shop().await;
    range(&shop, "bytes=0-4").await;
    shop.origin.does(|_| Deed::Fail);
    assert!(shop.ask(Method::GET, "/a", &[]).await.is_err());
    assert!(shop.ask(Method::GET, "/a", &[("range", "bytes=3-7")]).await.is_err());
    assert_eq!(range(&shop, "bytes=1-2").await.text(), "12");
}

#[tokio::test]
async fn what_names_either_part_invalidates_both() {
    for tag in ["first", "second"] {
        let shop = Shop::proxy().await;
        let fields =
            |tag: &'static str| [("cache-control", "max-age=60"), ("etag", "\"1\""), ("cache-tag", tag)];
        shop.origin.has(&fields("first"), BODY);
        range(&shop, "bytes=0-4").await;
        shop.origin.has(&fields("second"), BODY);
        range(&shop, "bytes=5-9").await;
        assert!(shop.get("/a", &[]).await.is_hit());
        shop.cache.invalidate(Tag(tag)).await.unwrap();
        assert!(!shop.get("/a", &[]).await.is_hit(), "{tag}");
    }
}

// F17 for parts: what was invalidated is not completed.
#[tokio::test]
async fn a_part_invalidated_while_the_rest_comes_is_not_put_together_with_it() {
    let shop = shop().await;
    range(&shop, "bytes=0-4").await;
    shop.origin.hold();
    let rest = {
        let shop = shop.clone();
        tokio::spawn(async move { range(&shop, "bytes=5-9").await })
    };
    crate::support::settle().await;
    shop.cache.invalidate(forebay::Path("/a")).await.unwrap();
    shop.origin.release();
    rest.await.unwrap();
    let calls = shop.origin.calls();
    shop.get("/a", &[]).await;
    assert_eq!(shop.origin.calls(), calls + 1);
}

#[tokio::test]
async fn parts_with_credentials_or_cookies_stay_their_owner_s() {
    let shop = Shop::proxy().await;
    shop.origin.does(|seen| {
        let whose = format!("{:0<10}", field(&seen.headers, "authorization"));
        let fields = [("cache-control", "max-age=60"), ("etag", "\"1\""), ("content-range", "bytes 0-4/10")];
        Deed::Answer(answer(206, &fields, &whose[..5]))
    });
    for user in ["ann00", "ben00", "ann00"] {
        let reply = shop.get("/a", &[("range", "bytes=0-4"), ("authorization", user)]).await;
        assert_eq!(reply.text(), user);
    }
}

#[tokio::test]
async fn parts_vary_as_the_whole_does() {
    let shop = Shop::with(Policy::proxy(), |cache| cache).await;
    shop.origin.does(|seen| {
        let body = field(&seen.headers, "accept").repeat(5);
        let (range, part) = match field(&seen.headers, "range").as_str() {
            "bytes=0-4" => ("bytes 0-4/10", body[..5].to_owned()),
            _ => ("bytes 5-9/10", body[5..].to_owned()),
        };
        let fields = [
            ("cache-control", "max-age=60"),
            ("etag", "\"1\""),
            ("vary", "accept"),
            ("content-range", range),
        ];
        Deed::Answer(answer(206, &fields, &part))
    });
    for part in ["bytes=0-4", "bytes=5-9"] {
        for accept in ["ab", "cd"] {
            shop.get("/a", &[("accept", accept), ("range", part)]).await;
        }
    }
    for (accept, body) in [("ab", "ababababab"), ("cd", "cdcdcdcdcd")] {
        let whole = shop.get("/a", &[("accept", accept)]).await;
        assert_eq!((whole.status.as_u16(), whole.text(), whole.is_hit()), (200, body, true));
    }
}
