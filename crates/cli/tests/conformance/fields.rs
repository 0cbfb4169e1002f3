//! Which fields of a response are stored, and come back.

use crate::support::{Cache, ok};

const FRESH: &str = "Cache-Control: max-age=60";

//= https://www.rfc-editor.org/rfc/rfc9111#section-3.1
//= type=test
//# Caches MUST include all received response header fields — including unrecognized ones — when
//# storing a response; this assures that new HTTP header fields can be successfully deployed.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-5.3
//= type=test
//# The order in which field lines with the same name are received is therefore significant to the
//# interpretation of the field value; a proxy MUST NOT change the order of these field line values
//# when forwarding a message.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-5.1
//= type=test
//# A proxy MUST forward unrecognized header fields unless the field name is listed in the
//# Connection header field (Section 7.6.1) or the proxy is specifically configured to block, or
//# otherwise transform, such fields.
#[tokio::test]
async fn every_field_comes_back_as_it_was_in_order_and_number() {
    let cache = Cache::start().await;
    let fields = [
        FRESH,
        "X-One: 1",
        "X-Many: c, d",
        "X-Many: a",
        "X-Many: b",
        "X-Empty:",
        "X-Quoted: \"a,  b\"  ; c",
        "Content-Type: text/plain",
        "Content-Language: en",
        "Content-Encoding: identity",
        "Content-Location: /x",
        "Content-Disposition: inline",
        "Content-MD5: x",
        "Content-Security-Policy: default-src 'self'",
        "Clear-Site-Data: \"cookies\"",
        "ETag: W/\"a\"",
        "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT",
        "Expires: Sun, 06 Nov 1994 08:49:37 GMT",
        "Link: </a>; rel=next",
        "Link: </b>; rel=prev",
        "Vary: Foo",
        "Retry-After: 3",
        "Server: origin",
        "Allow: GET",
        "Accept-Ranges: none",
        "WWW-Authenticate: Basic realm=\"x\"",
        "Warning: 199 - \"w\"",
        "Pragma: foo",
        "Strict-Transport-Security: max-age=1",
        "Public-Key-Pins: x",
        "X-Frame-Options: deny",
        "Surrogate-Control-Not: x",
    ];
    let path = cache.path([ok(&fields, "x")]);
    let (first, second) = (cache.get(&path, &[]).await, cache.get(&path, &[]).await);
    assert_eq!(cache.asked(&path).len(), 1);
    for field in fields {
        let (name, _) = field.split_once(':').unwrap();
        let sent: Vec<&str> = fields
            .iter()
            .filter_map(|field| field.split_once(':'))
            .filter(|(other, _)| *other == name)
            .map(|(_, value)| value.trim())
            .collect();
        assert_eq!((first.all(name), second.all(name)), (sent.clone(), sent), "{name}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3.1
//= type=test
//# The Connection header field and fields whose names are listed in it are required by Section
//# 7.6.1 of [HTTP] to be removed before forwarding the message. This MAY be implemented by doing
//# so before storage.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3.1
//= type=test
//# Header fields that are specific to the proxy that a cache uses when forwarding a request MUST
//# NOT be stored, unless the cache incorporates the identity of the proxy into the cache key.
#[tokio::test]
async fn what_was_meant_for_one_connection_is_not_stored() {
    let cache = Cache::start().await;
    let fields = [
        FRESH,
        "Connection: X-Hop, x-other",
        "X-Hop: 1",
        "X-Other: 2",
        "X-Stays: 3",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "Proxy-Authenticate: Basic",
        "Proxy-Authentication-Info: x",
        "Upgrade: foo/1",
        "TE: trailers",
    ];
    let path = cache.path([ok(&fields, "x")]);
    for _ in 0..2 {
        let answer = cache.get(&path, &[]).await;
        for gone in ["x-hop", "x-other", "keep-alive", "proxy-connection", "upgrade", "te"] {
            assert_eq!(answer.all(gone), Vec::<&str>::new(), "{gone}");
        }
        assert_eq!((answer.field("x-stays"), answer.field("connection")), ("3", "close"));
    }
    let second = cache.get(&path, &[]).await;
    for gone in ["proxy-authenticate", "proxy-authentication-info"] {
        assert_eq!(second.all(gone), Vec::<&str>::new(), "{gone}");
    }
    assert_eq!(cache.asked(&path).len(), 1);
}

#[tokio::test]
async fn naming_a_field_in_connection_does_not_take_away_what_it_says_of_storing() {
    let cache = Cache::start().await;
    assert!(!cache.reuses(&["Connection: cache-control", "Cache-Control: no-store", FRESH]).await);
    assert!(!cache.reuses(&["Connection: set-cookie", "Set-Cookie: a=1", FRESH]).await);
    assert!(!cache.reuses(&["Connection: vary", "Vary: *", FRESH]).await);
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-14.4
//= type=test
//# A proxy that receives such a message SHOULD forward it downstream.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-14.4
//= type=test
//# If a 206 (Partial Content) response contains a Content-Range header field with a range unit
//# (Section 14.1) that the recipient does not understand, the recipient MUST NOT attempt to
//# recombine it with a stored representation.
#[tokio::test]
async fn content_range_means_nothing_outside_of_a_part() {
    let cache = Cache::start().await;
    let path = cache.path([ok(&[FRESH, "Content-Range: bytes 0-4/5"], "hello"), ok(&[FRESH], "again")]);
    for _ in 0..2 {
        let answer = cache.get(&path, &[]).await;
        assert_eq!((answer.status(), answer.body.as_str()), (200, "hello"));
    }
    let unknown = [FRESH, "Content-Range: lines 1-2/9"];
    let path =
        cache.path([crate::support::reply(206, &unknown, "a"), crate::support::reply(206, &unknown, "b")]);
    for body in ["a", "b"] {
        let answer = cache.get(&path, &["Range: lines=1-2"]).await;
        assert_eq!((answer.status(), answer.body.as_str()), (206, body));
    }
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-5.5
//= type=test
//# A recipient SHOULD treat other allowed octets in field content (i.e., obs-text) as opaque data.
#[tokio::test]
async fn octets_beyond_ascii_are_passed_and_stored_as_they_are() {
    let cache = Cache::start().await;
    let path = cache.path([ok(&[FRESH, "X-Text: caf\u{e9} \u{2603}", "ETag: \"\u{e9}\""], "x")]);
    for _ in 0..2 {
        let answer = cache.get(&path, &[]).await;
        assert_eq!((answer.field("x-text"), answer.field("etag")), ("caf\u{e9} \u{2603}", "\"\u{e9}\""));
    }
    assert_eq!(cache.get(&path, &["If-None-Match: \"\u{e9}\""]).await.status(), 304);
    assert_eq!(cache.asked(&path).len(), 1);
}
