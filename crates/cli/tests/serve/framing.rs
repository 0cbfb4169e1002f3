//! Requests that two recipients could read differently.

use crate::support::{Origin, Proxy, ok};

async fn pair(more: &[&str]) -> (Origin, Proxy) {
    let origin = Origin::start(|_| ok("", "hello")).await;
    let proxy = Proxy::start(origin.address, more).await;
    (origin, proxy)
}

#[tokio::test]
async fn broken_heads_are_refused_and_never_reach_the_origin() {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-5.5
    //= type=test
    //# Field values containing CR, LF, or NUL characters are invalid and dangerous, due to the varying ways
    //# that implementations might parse and interpret those characters; a recipient of CR, LF, or NUL
    //# within a field value MUST either reject the message or replace each of those characters with SP
    //# before further processing or forwarding of that message.
    //= https://www.rfc-editor.org/rfc/rfc9112#section-3.2
    //= type=test
    //# A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that
    //# lacks a Host header field and to any request message that contains more than one Host header field
    //# line or a Host header field with an invalid field value.
    //= https://www.rfc-editor.org/rfc/rfc9112#section-5.1
    //= type=test
    //# A server MUST reject, with a response status code of 400 (Bad Request), any received request message
    //# that contains whitespace between a header field name and colon.
    //= https://www.rfc-editor.org/rfc/rfc9112#section-5.2
    //= type=test
    //# A server that receives an obs-fold in a request message that is not within a "message/http"
    //# container MUST either reject the message by sending a 400 (Bad Request), preferably with a
    //# representation explaining that obsolete line folding is unacceptable, or replace each received
    //# obs-fold with one or more SP octets prior to interpreting the field value or forwarding the message
    //# downstream.
    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
    //= type=test
    //# If a Transfer-Encoding header field is present in a request and the chunked transfer coding is not
    //# the final encoding, the message body length cannot be determined reliably; the server MUST respond
    //# with the 400 (Bad Request) status code and then close the connection.
    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
    //= type=test
    //# If the unrecoverable error is in a request message, the server MUST respond with a 400 (Bad Request)
    //# status code and then close the connection.
    let (origin, proxy) = pair(&[]).await;
    let cases: [(&str, &str); 20] = [
        ("two lengths", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nhi!"),
        ("a list of lengths", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2, 3\r\n\r\nhi!"),
        ("a signed length", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +2\r\n\r\nhi"),
        ("an endless length", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999\r\n\r\nhi"),
        ("obs-fold", "GET / HTTP/1.1\r\nhost: a\r\nx-a: b\r\n c\r\n\r\n"),
        (
            "a blank before the colon",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        ),
        ("NUL in a value", "GET / HTTP/1.1\r\nhost: a\r\nx-a: b\0c\r\n\r\n"),
        ("NUL in a name", "GET / HTTP/1.1\r\nhost: a\r\nx\0: b\r\n\r\n"),
        ("NUL in the target", "GET /\0 HTTP/1.1\r\nhost: a\r\n\r\n"),
        ("a bare CR in a value", "GET / HTTP/1.1\r\nhost: a\r\nx-a: b\rc\r\n\r\n"),
        ("a field without a colon", "GET / HTTP/1.1\r\nhost: a\r\nnonsense\r\n\r\n"),
        ("an unknown coding", "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\nhi"),
        (
            "chunked before another",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        ),
        (
            "another before chunked",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "chunked twice",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        ),
        ("no host", "GET / HTTP/1.1\r\n\r\n"),
        ("two hosts", "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n"),
        ("an empty host", "GET / HTTP/1.1\r\nhost: \r\n\r\n"),
        ("a host with a path", "GET / HTTP/1.1\r\nhost: a/b\r\n\r\n"),
        ("a host with a user", "GET / HTTP/1.1\r\nhost: u@a\r\n\r\n"),
    ];
    for (what, request) in cases {
        let mut connection = proxy.connect().await;
        connection.send(request).await;
        let answer = connection.head_or_end().await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(matches!(status, "400" | "501"), "{what}: {answer}");
    }
    assert_eq!(origin.seen().len(), 0, "{:?}", origin.seen());
}

#[tokio::test]
async fn a_length_beside_chunks_does_not_count_and_ends_the_connection() {
    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.1
    //= type=test
    //# Regardless, the server MUST close the connection after responding to such a request to avoid the
    //# potential attacks.
    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.2
    //= type=test
    //# A sender MUST NOT send a Content-Length header field in any message that contains a
    //# Transfer-Encoding header field.
    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
    //= type=test
    //# An intermediary that chooses to forward the message MUST first remove the received Content-Length
    //# field and process the Transfer-Encoding (as described below) prior to forwarding the message
    //# downstream.
    for fields in
        ["content-length: 5\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 5"]
    {
        let (origin, proxy) = pair(&[]).await;
        let mut connection = proxy.connect().await;
        let hidden = "GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n";
        connection.send(format!("POST / HTTP/1.1\r\nhost: a\r\n{fields}\r\n\r\n0\r\n\r\n{hidden}")).await;
        let all = connection.rest().await;
        assert_eq!(all.matches("HTTP/1.1 ").count(), 1, "{all}");
        for seen in origin.seen() {
            assert!(
                seen.first_line() == "POST / HTTP/1.1" && !seen.head.contains("content-length"),
                "{seen:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_broken_chunk_is_no_whole_request_for_the_origin() {
    //= https://www.rfc-editor.org/rfc/rfc9112#section-8
    //= type=test
    //# A message body that uses the chunked transfer coding is incomplete if the zero-sized chunk that
    //# terminates the encoding has not been received.
    for chunks in
        ["zz\r\nhi\r\n0\r\n\r\n", "2\r\nhi0\r\n\r\n", "-1\r\n", "2;x\n\r\nhi", "fffffffffffffffff\r\nhi"]
    {
        let (origin, proxy) = pair(&[]).await;
        let mut connection = proxy.connect().await;
        connection
            .send(format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{chunks}"))
            .await;
        let answer = connection.rest().await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{chunks:?}: {answer}");
        assert!(origin.seen().iter().all(|seen| !seen.body.ends_with("0\r\n\r\n")), "{:?}", origin.seen());
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_431() {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-5.4
    //= type=test
    //# A server that receives a request header field line, field value, or set of fields larger than it
    //# wishes to process MUST respond with an appropriate 4xx (Client Error) status code.
    let (origin, proxy) = pair(&["--max-header-bytes", "8KiB"]).await;
    let large = "x".repeat(9 << 10);
    let answer = proxy.ask(&format!("GET / HTTP/1.1\r\nhost: a\r\nx-large: {large}\r\n\r\n")).await;
    assert_eq!(answer.status(), 431);
    let many: String = (0..200).map(|number| format!("x-{number}: 1\r\n")).collect();
    assert_eq!(proxy.ask(&format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n")).await.status(), 431);
    assert_eq!(origin.seen().len(), 0);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413_announced_or_not() {
    let (origin, proxy) = pair(&["--max-body", "10"]).await;
    let post = "POST / HTTP/1.1\r\nhost: a\r\n";
    let answer = proxy.ask(&format!("{post}content-length: 11\r\n\r\nhello world")).await;
    assert_eq!((answer.status(), answer.field("cache-control")), (413, "no-store"));
    let answer =
        proxy.ask(&format!("{post}transfer-encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n")).await;
    assert_eq!(answer.status(), 413);
    assert_eq!(origin.seen().iter().filter(|seen| seen.body.contains("world")).count(), 0);
    assert_eq!(proxy.ask(&format!("{post}content-length: 10\r\n\r\nhello worl")).await.status(), 200);
}

#[tokio::test]
async fn connect_is_not_served_and_https_needs_a_trusted_proxy() {
    let (origin, proxy) = pair(&[]).await;
    assert_eq!(
        proxy.ask("CONNECT a.example:443 HTTP/1.1\r\nhost: a.example:443\r\n\r\n").await.status(),
        501
    );
    assert_eq!(proxy.ask("GET https://a.example/ HTTP/1.1\r\nhost: a.example\r\n\r\n").await.status(), 421);
    assert_eq!(proxy.ask("GET ftp://a.example/ HTTP/1.1\r\nhost: a.example\r\n\r\n").await.status(), 400);
    assert_eq!(origin.seen().len(), 0);

    let (origin, proxy) = pair(&["--trusted-proxies", "127.0.0.0/8"]).await;
    proxy.ask("GET https://a.example/ HTTP/1.1\r\nhost: a.example\r\n\r\n").await;
    assert_eq!(origin.only().field("x-forwarded-proto"), "https");
}
