//! What HTTP asks of every intermediary, with a cache or without.

use crate::support::{Origin, Proxy, Reply, ok};

#[tokio::test]
async fn unknown_fields_pass_in_their_order_and_as_they_are() {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-5.1
    //= type=test
    //# A proxy MUST forward unrecognized header fields unless the field name is listed in the Connection
    //# header field (Section 7.6.1) or the proxy is specifically configured to block, or otherwise
    //# transform, such fields.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-5.3
    //= type=test
    //# The order in which field lines with the same name are received is therefore significant to the
    //# interpretation of the field value; a proxy MUST NOT change the order of these field line values when
    //# forwarding a message.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-5.5
    //= type=test
    //# A recipient SHOULD treat other allowed octets in field content (i.e., obs-text) as opaque data.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-5.5
    //= type=test
    //# When a specific version of HTTP allows such whitespace to appear in a message, a field parsing
    //# implementation MUST exclude such whitespace prior to evaluating the field value.
    //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2
    //= type=test
    //# A proxy, whether or not it implements a cache, MUST pass cache directives through in forwarded
    //# messages, regardless of their significance to that application, since the directives might apply to
    //# all recipients along the request/response chain.
    let answered =
        "x-b: 2\r\nx-a: 1\r\nx-b: 3\r\nx-c: caf\u{e9}\r\ncache-control: max-age=60, x-new=\"a, b\"\r\n";
    let origin = Origin::start(move |_| ok(answered, "hello")).await;
    let proxy = Proxy::start(origin.address, &[]).await;
    let fields = "x-b: 2\r\nx-a:\t 1 \t\r\nx-b: 3\r\nx-c: caf\u{e9}\r\ncache-control: max-stale, x-own=1\r\npragma: x\r\n";
    for _ in 0..2 {
        let answer = proxy.ask(&format!("GET / HTTP/1.1\r\nhost: a\r\n{fields}\r\n")).await;
        assert_eq!(
            (answer.all("x-b"), answer.field("x-a"), answer.field("x-c")),
            (vec!["2", "3"], "1", "caf\u{e9}")
        );
        assert_eq!(answer.field("cache-control"), "max-age=60, x-new=\"a, b\"");
    }
    let seen = origin.only();
    assert_eq!((seen.all("x-b"), seen.field("x-a"), seen.field("x-c")), (vec!["2", "3"], "1", "caf\u{e9}"));
    assert_eq!((seen.field("cache-control"), seen.field("pragma")), ("max-stale, x-own=1", "x"));
    assert!(seen.head.contains("x-a: 1\r\n"), "{}", seen.head);
}

#[tokio::test]
async fn a_broken_answer_is_mended_or_is_502() {
    //= https://www.rfc-editor.org/rfc/rfc9112#section-5.1
    //= type=test
    //# A proxy MUST remove any such whitespace from a response message before forwarding the message
    //# downstream.
    let reply = "HTTP/1.1 200 OK\r\nx-a : b\r\ncontent-length : 2\r\n\r\nhi";
    let origin = Origin::start(|_| Reply::Text(reply.to_owned())).await;
    let answer = Proxy::start(origin.address, &[]).await.get("/").await;
    assert_eq!((answer.status(), answer.field("x-a"), answer.body.as_str()), (200, "b", "hi"));
    assert!(answer.head.contains("x-a: b\r\n"), "{}", answer.head);

    //= https://www.rfc-editor.org/rfc/rfc9112#section-5.2
    //= type=test
    //# A proxy or gateway that receives an obs-fold in a response message that is not within a
    //# "message/http" container MUST either discard the message and replace it with a 502 (Bad Gateway)
    //# response, preferably with a representation explaining that unacceptable line folding was received,
    //# or replace each received obs-fold with one or more SP octets prior to interpreting the field value
    //# or forwarding the message downstream.
    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
    //= type=test
    //# If it is in a response message received by a proxy, the proxy MUST close the connection to the
    //# server, discard the received response, and send a 502 (Bad Gateway) response to the client.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-8.6
    //= type=test
    //# As a result, a sender MUST NOT forward a message with a Content-Length header field value that is
    //# known to be incorrect.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-8.6
    //= type=test
    //# Likewise, a sender MUST NOT forward a message with a Content-Length header field value that does not
    //# match the ABNF above, with one exception: a recipient of a Content-Length header field value
    //# consisting of the same decimal value repeated as a comma-separated list (e.g, "Content-Length: 42,
    //# 42") MAY either reject the message as invalid or replace that invalid field value with a single
    //# instance of the decimal value, since this likely indicates that a duplicate was generated or
    //# combined by an upstream message processor.
    for fields in [
        "x-a: b\r\n c\r\ncontent-length: 2",
        "content-length: 2, 3",
        "content-length: x",
        "content-length: -2",
    ] {
        let reply = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\nhi");
        let origin = Origin::start(move |_| Reply::Text(reply.clone())).await;
        assert_eq!(Proxy::start(origin.address, &[]).await.get("/").await.status(), 502, "{fields}");
    }
}

#[tokio::test]
async fn what_follows_an_answer_is_nobodys_answer() {
    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
    //= type=test
    //# A client MUST NOT process, cache, or forward such extra data as a separate response, since such
    //# behavior would be vulnerable to cache poisoning.
    //= https://www.rfc-editor.org/rfc/rfc9112#section-9.3
    //= type=test
    //# Likewise, a client MUST read the entire response message body if it intends to reuse the same
    //# connection for a subsequent request.
    let origin = Origin::start(|request| {
        let poison = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
        match request.first_line() {
            "GET /first HTTP/1.1" => {
                Reply::Text(format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi{poison}"))
            }
            _ => ok("", "clean"),
        }
    })
    .await;
    let proxy = Proxy::start(origin.address, &["--origin-idle-timeout", "1h"]).await;
    for _ in 0..3 {
        assert_eq!(proxy.get("/first").await.body, "hi");
        assert_ne!(proxy.get("/second").await.body, "poison");
    }
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_what_it_knows() {
    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.1
    //= type=test
    //# A server MUST NOT send a response containing Transfer-Encoding unless the corresponding request
    //# indicates HTTP/1.1 (or later minor revisions).
    //= https://www.rfc-editor.org/rfc/rfc9112#section-9.3
    //= type=test
    //# A proxy server MUST NOT maintain a persistent connection with an HTTP/1.0 client (see Appendix C.2.2
    //# for information and discussion of the problems with the Keep-Alive header field implemented by many
    //# HTTP/1.0 clients).
    //= https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1
    //= type=test
    //# A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that
    //# expectation.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-15.2
    //= type=test
    //# Since HTTP/1.0 did not define any 1xx status codes, a server MUST NOT send a 1xx response to an
    //# HTTP/1.0 client.
    let reply = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let origin = Origin::start(|_| Reply::Text(reply.to_owned())).await;
    let proxy = Proxy::start(origin.address, &[]).await;
    let mut connection = proxy.connect().await;
    let fields = "host: a\r\nconnection: keep-alive\r\nexpect: 100-continue\r\ncontent-length: 2";
    connection.send(format!("POST / HTTP/1.0\r\n{fields}\r\n\r\nhi")).await;
    let all = connection.rest().await;
    assert!(all.starts_with("HTTP/1.0 200 ") && all.ends_with("\r\n\r\nhello"), "{all}");
    assert!(!all.contains("transfer-encoding") && all.contains("connection: close"), "{all}");
    assert_eq!((origin.only().body.as_str(), origin.only().field("expect")), ("hi", ""));
}

#[tokio::test]
async fn a_connection_lasts_until_one_end_says_close() {
    //= https://www.rfc-editor.org/rfc/rfc9112#section-9.3
    //= type=test
    //# HTTP implementations SHOULD support persistent connections.
    //= https://www.rfc-editor.org/rfc/rfc9112#section-9.6
    //= type=test
    //# A server that receives a "close" connection option MUST initiate closure of the connection (see
    //# below) after it sends the final response to the request that contained the "close" connection
    //# option.
    let origin = Origin::start(|_| ok("", "hello")).await;
    let proxy = Proxy::start(origin.address, &[]).await;
    let mut connection = proxy.connect().await;
    for fields in ["", "", "connection: close\r\n"] {
        connection.send(format!("GET / HTTP/1.1\r\nhost: a\r\n{fields}\r\n")).await;
        let answer = connection.answer().await;
        assert_eq!((answer.status(), answer.field("connection") == "close"), (200, !fields.is_empty()));
    }
    assert_eq!(connection.rest().await, "");
}

#[tokio::test]
async fn what_is_left_of_a_refused_body_is_no_request() {
    //= https://www.rfc-editor.org/rfc/rfc9112#section-9.3
    //= type=test
    //# A server MUST read the entire request message body or close the connection after sending its
    //# response; otherwise, the remaining data on a persistent connection would be misinterpreted as the
    //# next request.
    let origin = Origin::start(|_| ok("", "hello")).await;
    let proxy = Proxy::start(origin.address, &["--max-body", "10"]).await;
    let mut connection = proxy.connect().await;
    let hidden = "GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n";
    connection.send(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999\r\n\r\n{hidden}")).await;
    assert_eq!(connection.answer().await.status(), 413);
    assert_eq!(connection.rest().await, "");
    assert_eq!(origin.seen().len(), 0);
}

#[tokio::test]
async fn interim_answers_of_the_origin_are_read_and_the_final_one_passes() {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-15.2
    //= type=test
    //# A client MUST be able to parse one or more 1xx responses received prior to a final response, even if
    //# the client does not expect one.
    let interim = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n";
    let reply = format!("{interim}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
    let origin = Origin::start(move |_| Reply::Text(reply.clone())).await;
    let answer = Proxy::start(origin.address, &[]).await.get("/").await;
    assert_eq!((answer.status(), answer.body.as_str()), (200, "hi"));
}

#[tokio::test]
async fn a_request_that_has_gone_round_too_often_ends() {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.6
    //= type=test
    //# An intermediary MUST NOT forward a message to itself unless it is protected from an infinite request
    //# loop.
    let origin = Origin::start(|_| ok("", "hello")).await;
    let proxy = Proxy::start(origin.address, &[]).await;
    let ask = async |visits: usize| {
        let via = "via: 1.1 other, 1.1 forebay\r\n".repeat(visits);
        proxy.ask(&format!("GET / HTTP/1.1\r\nhost: a\r\n{via}\r\n")).await.status()
    };
    assert_eq!((ask(9).await, ask(10).await), (200, 508));
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn a_target_that_is_too_long_is_414() {
    //= https://www.rfc-editor.org/rfc/rfc9112#section-3
    //= type=test
    //# A server that receives a request-target longer than any URI it wishes to parse MUST respond with a
    //# 414 (URI Too Long) status code (see Section 15.5.15 of [HTTP]).
    let origin = Origin::start(|_| ok("", "hello")).await;
    let proxy = Proxy::start(origin.address, &[]).await;
    assert_eq!(proxy.get(&format!("/{}", "x".repeat(32 << 10))).await.status(), 414);
    assert_eq!(origin.seen().len(), 0);
    assert_eq!(proxy.get(&format!("/{}", "x".repeat((32 << 10) - 1))).await.status(), 200);
}
