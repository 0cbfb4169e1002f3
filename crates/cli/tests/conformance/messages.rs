//! Bodies, trailers and heads on their way through the cache: what of them is stored.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::support::{Cache, Reply, exactly, ok};

const NONE: Vec<&str> = Vec::new();

fn chunked(fields: &str, chunks: &str) -> Reply {
    exactly(&format!(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n{fields}Transfer-Encoding: chunked\r\n\r\n{chunks}"
    ))
}

//= https://www.rfc-editor.org/rfc/rfc9112#section-8
//= type=test
//# A message body that uses the chunked transfer coding is incomplete if the zero-sized chunk that
//# terminates the encoding has not been received.
//
//= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
//= type=test
//# If the sender closes the connection or the recipient times out before the indicated number of
//# octets are received, the recipient MUST consider the message to be incomplete and close the
//# connection.
#[tokio::test]
async fn a_body_that_is_not_whole_is_never_stored() {
    let cache = Cache::start().await;
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\nCache-Control: max-age=60\r\n";
    let broken = [
        exactly(&format!("{head}Content-Length: 10\r\n\r\n012")),
        exactly(&format!("{head}Content-Length: 10\r\n\r\n")),
        chunked("connection: close\r\n", "3\r\n012\r\n"),
        chunked("connection: close\r\n", "9\r\n012"),
        chunked("connection: close\r\n", "3\r\n012\r\n0\r\n"),
        chunked("connection: close\r\n", "z\r\n012\r\n0\r\n\r\n"),
    ];
    for reply in broken {
        let path = cache.path([reply, ok(&["Cache-Control: max-age=60"], "whole")]);
        cache.get(&path, &[]).await;
        assert_eq!(cache.get(&path, &[]).await.body, "whole");
        assert_eq!(cache.asked(&path).len(), 2);
    }
}

#[tokio::test]
async fn whole_bodies_are_stored_however_they_came() {
    let cache = Cache::start().await;
    for reply in [
        chunked("", "3\r\n012\r\n2;x=y\r\n34\r\n0\r\n\r\n"),
        exactly("HTTP/1.0 200 OK\r\nCache-Control: max-age=60\r\nconnection: close\r\n\r\n01234"),
        exactly("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 5\r\n\r\n01234"),
    ] {
        let path = cache.path([reply]);
        for _ in 0..2 {
            assert_eq!(cache.get(&path, &[]).await.body, "01234");
        }
        assert_eq!(cache.asked(&path).len(), 1);
    }
    let path = cache.path([ok(&["Cache-Control: max-age=60"], "")]);
    for _ in 0..2 {
        let answer = cache.get(&path, &[]).await;
        assert_eq!((answer.field("content-length"), answer.body.as_str()), ("0", ""));
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3.1
//= type=test
//# Caches MUST NOT combine trailer fields with header fields.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3.1
//= type=test
//# Caches MAY either store trailer fields separate from header fields or discard them.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-6.5.1
//= type=test
//# A recipient MUST NOT merge a trailer field into a header section unless the recipient
//# understands the corresponding header field definition and that definition explicitly permits
//# and defines how trailer field values can be safely merged.
#[tokio::test]
async fn a_trailer_never_becomes_a_field_of_the_head() {
    let cache = Cache::start().await;
    let trailers = "3\r\n012\r\n0\r\nX-Sum: 7\r\nCache-Control: no-store\r\nETag: \"t\"\r\n\r\n";
    let path = cache.path([chunked("Trailer: X-Sum\r\n", trailers)]);
    for _ in 0..2 {
        let answer = cache.get(&path, &["TE: trailers"]).await;
        assert_eq!((answer.all("x-sum"), answer.all("etag")), (NONE, NONE));
        assert_eq!((answer.field("cache-control"), answer.body.as_str()), ("max-age=60", "012"));
    }
}

#[tokio::test]
async fn events_arrive_as_they_are_sent() {
    let cache = Cache::start().await;
    let go = Arc::new(Notify::new());
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\nb\r\ndata: one\n\n\r\n";
    let rest = "b\r\ndata: two\n\n\r\n0\r\n\r\n";
    let path = cache.path([Reply::Pieces(head.to_owned(), Arc::clone(&go), rest.to_owned())]);
    let mut connection = cache.proxy.connect().await;
    connection.send(format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n")).await;
    assert!(connection.head().await.contains("text/event-stream"));
    assert_eq!(connection.bytes(16).await.to_lowercase(), "b\r\ndata: one\n\n\r\n");
    go.notify_one();
    assert_eq!(connection.bytes(16).await.to_lowercase(), "b\r\ndata: two\n\n\r\n");
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-15.2
//= type=test
//# A client MUST be able to parse one or more 1xx responses received prior to a final response,
//# even if the client does not expect one.
#[tokio::test]
async fn the_final_response_behind_interim_ones_is_stored() {
    let cache = Cache::start().await;
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nCache-Control: no-store\r\n\r\n";
    let last = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 1\r\n\r\nx";
    let path = cache.path([exactly(&format!("HTTP/1.1 102 Processing\r\n\r\n{hints}{last}"))]);
    cache.get(&path, &[]).await;
    let answer = cache.until(&path, &[], |answer| answer.status() == 200).await;
    assert_eq!((answer.body.as_str(), answer.all("link"), cache.asked(&path).len()), ("x", vec![], 1));
}

#[tokio::test]
async fn requests_at_once_for_one_thing_are_one_request_to_the_origin() {
    let cache = Cache::start().await;
    let go = Arc::new(Notify::new());
    let fresh = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 5\r\n\r\nhello";
    let path = cache.path([Reply::Later(Arc::clone(&go), fresh.to_owned())]);
    let both = async { tokio::join!(cache.get(&path, &[]), cache.get(&path, &[]), cache.get(&path, &[])) };
    let told = async {
        cache.asked_times(&path, 1).await;
        go.notify_one();
    };
    let ((a, b, c), ()) = tokio::join!(both, told);
    assert_eq!([a.body, b.body, c.body], ["hello", "hello", "hello"]);
    assert_eq!(cache.asked(&path).len(), 1);
}

//= https://www.rfc-editor.org/rfc/rfc9112#section-6.1
//= type=test
//# A server MUST NOT send a Transfer-Encoding header field in any response with a status code of
//# 1xx (Informational) or 204 (No Content).
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-8.6
//= type=test
//# A server MUST NOT send a Content-Length header field in any response with a status code of 1xx
//# (Informational) or 204 (No Content).
#[tokio::test]
async fn a_204_has_no_framing_whatever_the_origin_says() {
    let cache = Cache::start().await;
    for framing in ["Content-Length: 0", "Transfer-Encoding: chunked", "X-None: 1"] {
        let path = cache.path([exactly(&format!(
            "HTTP/1.1 204 No Content\r\nconnection: close\r\nCache-Control: max-age=60\r\n{framing}\r\n\r\n"
        ))]);
        for _ in 0..2 {
            let answer = cache.get(&path, &[]).await;
            assert_eq!(answer.status(), 204, "{framing}: {answer:?}");
            assert_eq!((answer.all("content-length"), answer.all("transfer-encoding")), (NONE, NONE));
        }
        assert_eq!(cache.asked(&path).len(), 1, "{framing}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9112#section-3.2
//= type=test
//# A client MUST send a Host header field (Section 7.2 of [HTTP]) in all HTTP/1.1 request
//# messages.
//
//= https://www.rfc-editor.org/rfc/rfc9112#section-9.6
//= type=test
//# A client that receives a "close" connection option MUST cease sending requests on that
//# connection and close the connection after reading the response message containing the "close"
//# connection option; if additional pipelined requests had been sent on the connection, the client
//# SHOULD NOT assume that they will be processed by the server.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7
//= type=test
//# A sender MUST NOT generate additional whitespace in an HTTP-date beyond that specifically
//# included as SP in the grammar.
#[tokio::test]
async fn every_request_names_its_host_and_none_follows_a_close() {
    let cache = Cache::start().await;
    let last = "HTTP/1.1 200 OK\r\nconnection: close\r\nContent-Length: 1\r\n\r\nx";
    for _ in 0..3 {
        let path = cache.path([exactly(last)]);
        let before = crate::support::date(0);
        let answer = cache.get(&path, &[]).await;
        assert_eq!((answer.status(), cache.asked(&path)[0].field("host")), (200, "a.example"));
        assert!([before, crate::support::date(0)].contains(&answer.field("date").to_owned()), "{answer:?}");
    }
}
