//! Ranges of what is stored whole (RFC 9110 14; S10).

use axum::http::Method;
use forebay::Policy;

use crate::shop::{Deed, Shop, answer};
use crate::support::{Fields, Reply, field};

const PAGE: Fields<'static> = &[
    ("cache-control", "max-age=60"),
    ("etag", "\"1\""),
    ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ("content-type", "text/plain"),
    ("x-a", "1"),
    ("x-a", "2"),
];
const BODY: &str = "0123456789";

async fn stored(fields: Fields<'_>) -> Shop {
    let shop = Shop::origin_profile().await;
    shop.origin.has(fields, BODY);
    assert_eq!(shop.get("/a", &[]).await.text(), BODY);
    shop
}

async fn range(shop: &Shop, range: &str) -> Reply {
    shop.get("/a", &[("range", range)]).await
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.1
//= type=test
//# If a single part is being transferred, the server generating the 206 response MUST generate a
//# Content-Range header field, describing what range of the selected representation is enclosed, and a
//# content consisting of the range.
#[tokio::test]
async fn one_range_of_a_stored_answer_is_cut_out_of_it() {
    let shop = stored(PAGE).await;
    let cases = [
        ("bytes=0-0", "0", "bytes 0-0/10"),
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=7-999999999999999999999999", "789", "bytes 7-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=-999", "0123456789", "bytes 0-9/10"),
        ("BYTES=0-9", "0123456789", "bytes 0-9/10"),
    ];
    for (asked, body, content_range) in cases {
        let reply = range(&shop, asked).await;
        assert_eq!((reply.status.as_u16(), reply.text()), (206, body), "{asked}");
        assert_eq!(field(&reply.headers, "content-range"), content_range);
        assert_eq!(field(&reply.headers, "content-length"), body.len().to_string());
        assert_eq!(reply.headers.get_all("x-a").iter().count(), 2);
        for name in ["etag", "last-modified", "content-type", "cache-control", "date", "age"] {
            assert!(reply.headers.contains_key(name), "{asked}: {name}");
        }
        assert!(reply.is_hit());
    }
    assert_eq!(shop.origin.calls(), 1);
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-14.2
//= type=test
//# A server that supports range requests MAY ignore or reject a Range header field that contains an
//# invalid ranges-specifier (Section 14.1.1), a ranges-specifier with more than two overlapping ranges,
//# or a set of many small ranges that are not listed in ascending order, since these are indications of
//# either a broken client or a deliberate denial-of-service attack (Section 17.15).
#[tokio::test]
async fn what_is_no_range_gets_the_whole() {
    let shop = stored(PAGE).await;
    let many = format!("bytes={}", vec!["0-0"; 17].join(","));
    for asked in ["bytes=", "bytes=4-2", "bytes", "chars=0-1", "bytes=a-b", "bytes=--1", "bytes=0-1,x", &many]
    {
        let reply = range(&shop, asked).await;
        assert_eq!((reply.status.as_u16(), reply.text()), (200, BODY), "{asked}");
        assert!(!reply.headers.contains_key("content-range"));
    }
    let overflowing = range(&shop, "bytes=-1,-9223372036854775808").await;
    assert!(overflowing.status == 200 || overflowing.status == 206);
    assert_eq!(shop.origin.calls(), 1);
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-15.5.17
//= type=test
//# A server that generates a 416 response to a byte-range request SHOULD generate a Content-Range header
//# field specifying the current length of the selected representation (Section 14.4).
#[tokio::test]
async fn a_range_behind_the_end_is_refused_with_the_length() {
    let shop = stored(PAGE).await;
    for asked in ["bytes=10-", "bytes=10-20,30-40", "bytes=-0"] {
        let reply = range(&shop, asked).await;
        assert_eq!((reply.status.as_u16(), reply.body.len()), (416, 0), "{asked}");
        assert_eq!(field(&reply.headers, "content-range"), "bytes */10");
        assert_eq!(field(&reply.headers, "content-length"), "0");
        assert!(!reply.headers.contains_key("etag") && !reply.headers.contains_key("content-type"));
    }
    assert_eq!(shop.get("/a", &[]).await.text(), BODY, "it has spoilt nothing");
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.2
//= type=test
//# If multiple parts are being transferred, the server generating the 206 response MUST generate
//# "multipart/byteranges" content, as defined in Section 14.6, and a Content-Type header field
//# containing the "multipart/byteranges" media type and its required boundary parameter.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.2
//= type=test
//# To avoid confusion with single-part responses, a server MUST NOT generate a Content-Range header
//# field in the HTTP header section of a multiple part response (this field will be sent in each part
//# instead).
#[tokio::test]
async fn several_ranges_come_in_parts_that_can_be_taken_apart() {
    let shop = Shop::origin_profile().await;
    let body: String = (0..1000).map(|number| format!("{number:04}")).collect();
    shop.origin.has(PAGE, &body);
    shop.get("/a", &[]).await;
    let reply = range(&shop, "bytes=0-3, 2000-2003,-4").await;
    assert_eq!((reply.status.as_u16(), reply.is_hit()), (206, true));
    assert!(!reply.headers.contains_key("content-range"));
    assert_eq!(field(&reply.headers, "content-length"), reply.body.len().to_string());
    let content_type = field(&reply.headers, "content-type");
    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let parts =
        [("bytes 0-3/4000", "0000"), ("bytes 2000-2003/4000", "0500"), ("bytes 3996-3999/4000", "0999")];
    assert_eq!(taken_apart(reply.text(), boundary), parts);
}

/// The parts of a multipart body: the range and the bytes of each.
fn taken_apart<'a>(body: &'a str, boundary: &str) -> Vec<(&'a str, &'a str)> {
    let (parts, epilogue) = body.split_once(&format!("\r\n--{boundary}--")).unwrap();
    assert_eq!(epilogue.trim(), "");
    let part = |part: &'a str| {
        let (head, body) = part.strip_prefix("\r\n").unwrap().split_once("\r\n\r\n").unwrap();
        assert!(head.contains("content-type: text/plain"));
        (head.lines().find_map(|line| line.strip_prefix("content-range: ")).unwrap(), body)
    };
    let delimiter = format!("\r\n--{boundary}");
    parts.split(&delimiter).filter(|part| !part.is_empty()).map(part).collect()
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5
//= type=test
//# A recipient of an If-Range header field MUST ignore the Range header field if the If-Range condition
//# evaluates to false.
#[tokio::test]
async fn if_range_holds_only_by_the_same_strong_validator() {
    let shop = stored(PAGE).await;
    let weak = stored(&[("cache-control", "max-age=60"), ("etag", "W/\"1\"")]).await;
    let cases = [
        (&shop, "\"1\"", 206),
        (&shop, "\"2\"", 200),
        (&shop, "W/\"1\"", 200),
        (&shop, "Sun, 06 Nov 1994 08:49:37 GMT", 206),
        (&shop, "Sun, 06 Nov 1994 08:49:38 GMT", 200),
        (&shop, "Sat, 05 Nov 1994 08:49:37 GMT", 200),
        (&shop, "rubbish", 200),
        (&weak, "W/\"1\"", 200),
        (&weak, "\"1\"", 200),
    ];
    for (shop, known, status) in cases {
        let reply = shop.get("/a", &[("range", "bytes=0-1"), ("if-range", known)]).await;
        let body = if status == 206 { "01" } else { BODY };
        assert_eq!((reply.status.as_u16(), reply.text()), (status, body), "{known}");
        assert_eq!(shop.origin.calls(), 1);
    }
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-14.2
//= type=test
//# The Range header field is evaluated after evaluating the precondition header fields defined in
//# Section 13.1, and only if the result in absence of the Range header field would be a 200 (OK)
//# response.
#[tokio::test]
async fn conditions_are_evaluated_before_ranges() {
    let shop = stored(PAGE).await;
    let known = shop.get("/a", &[("range", "bytes=0-1"), ("if-none-match", "\"1\"")]).await;
    assert_eq!((known.status.as_u16(), known.body.len()), (304, 0));
    assert!(!known.headers.contains_key("content-range"));
    let unknown = shop.get("/a", &[("range", "bytes=0-1"), ("if-none-match", "\"2\"")]).await;
    assert_eq!((unknown.status.as_u16(), unknown.text()), (206, "01"));

    let missing = Shop::origin_profile().await;
    missing.origin.says(404, &[("cache-control", "max-age=60")], "nothing here");
    missing.get("/a", &[]).await;
    let reply = range(&missing, "bytes=0-1").await;
    assert_eq!((reply.status.as_u16(), reply.text(), reply.is_hit()), (404, "nothing here", true));
}

#[tokio::test]
async fn a_head_for_a_range_is_a_head() {
    let shop = stored(PAGE).await;
    let head = shop.send(Method::HEAD, "/a", &[("range", "bytes=0-1")]).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    assert_eq!(field(&head.headers, "content-length"), "10");
    assert!(!head.headers.contains_key("content-range"));
}

#[tokio::test]
async fn a_range_of_a_stale_answer_is_cut_out_once_that_is_validated() {
    let shop = stored(PAGE).await;
    shop.pass(100);
    let reply = range(&shop, "bytes=2-4").await;
    assert_eq!((reply.status.as_u16(), reply.text()), (206, "234"));
    let seen = shop.origin.last();
    assert_eq!(seen.headers["if-none-match"], "\"1\"");
    assert!(shop.get("/a", &[]).await.is_hit(), "the whole is fresh again");
    shop.pass(100);
    shop.origin.has(&[("cache-control", "max-age=60"), ("etag", "\"2\"")], "abcdefghij");
    let changed = range(&shop, "bytes=2-4").await;
    assert_eq!((changed.status.as_u16(), changed.text()), (206, "cde"));
    assert_eq!(shop.get("/a", &[]).await.text(), "abcdefghij");
}

#[tokio::test]
async fn a_range_with_if_range_on_a_stale_answer_never_mixes_two_versions() {
    for known in ["\"1\"", "\"2\"", "\"0\""] {
        let shop = stored(PAGE).await;
        shop.pass(100);
        shop.origin.has(&[("cache-control", "max-age=60"), ("etag", "\"2\"")], "abcdefghij");
        let reply = shop.get("/a", &[("range", "bytes=2-4"), ("if-range", known)]).await;
        let expected = if known == "\"2\"" { (206, "cde") } else { (200, "abcdefghij") };
        assert_eq!((reply.status.as_u16(), reply.text()), expected, "{known}");
    }
}

#[tokio::test]
async fn ranges_are_those_of_the_client_s_own_variant() {
    let shop = Shop::origin_profile().await;
    shop.origin.does(|seen| {
        let body = field(&seen.headers, "accept").repeat(5);
        Deed::Answer(answer(200, &[("cache-control", "max-age=60"), ("vary", "accept")], &body))
    });
    for accept in ["ab", "cd"] {
        shop.get("/a", &[("accept", accept)]).await;
    }
    for (accept, body) in [("ab", "aba"), ("cd", "cdc")] {
        let reply = shop.get("/a", &[("accept", accept), ("range", "bytes=2-4")]).await;
        assert_eq!((reply.status.as_u16(), reply.text(), reply.is_hit()), (206, body, true));
    }
}

#[tokio::test]
async fn in_the_origin_profile_a_part_passes_and_is_not_stored() {
    let shop = Shop::origin_profile().await;
    shop.origin.has(PAGE, BODY);
    for calls in 1..3 {
        let reply = range(&shop, "bytes=2-4").await;
        assert_eq!((reply.status.as_u16(), reply.text(), shop.origin.calls()), (206, "234", calls));
        assert_eq!(shop.origin.last().headers["range"], "bytes=2-4");
    }
    assert_eq!(shop.get("/a", &[]).await.text(), BODY);
}

#[tokio::test]
async fn a_range_request_that_is_answered_with_the_whole_leaves_the_whole() {
    let shop = Shop::origin_profile().await;
    shop.origin.says(200, PAGE, BODY);
    let reply = range(&shop, "bytes=2-4").await;
    assert_eq!((reply.status.as_u16(), reply.text()), (200, BODY), "as the origin has it");
    let again = range(&shop, "bytes=2-4").await;
    assert_eq!((again.status.as_u16(), again.text(), again.is_hit()), (206, "234", true));
}

#[tokio::test]
async fn an_empty_answer_has_no_ranges() {
    let shop = Shop::with(Policy::proxy(), |cache| cache).await;
    shop.origin.says(200, &[("cache-control", "max-age=60")], "");
    shop.get("/a", &[]).await;
    for asked in ["bytes=0-", "bytes=-1", "bytes=0-0,-1"] {
        let reply = range(&shop, asked).await;
        assert!(reply.status == 416 || reply.status == 200, "{asked}: {}", reply.status);
        assert!(reply.body.is_empty());
    }
}
