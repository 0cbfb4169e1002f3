//! Answers of the proxy's own, when the origin has none.

use crate::support::{Origin, Proxy, Reply, ok};

#[tokio::test]
async fn an_origin_that_cannot_be_reached_is_502() {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-15.6.3
    //= type=test
    //# The 502 (Bad Gateway) status code indicates that the server, while acting as a gateway or proxy,
    //# received an invalid response from an inbound server it accessed while attempting to fulfill the
    //# request.
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = Proxy::start(nobody, &[]).await;
    let answer = proxy.get("/").await;
    assert_eq!(answer.status(), 502);
    assert_eq!(answer.field("cache-status"), "forebay; fwd=miss; detail=origin-unreachable");
    assert_eq!(answer.field("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.field("cache-control"), "no-store");
    assert_eq!(answer.body, "the origin cannot be reached\n");
    let answer = proxy.ask("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(answer.field("cache-status"), "forebay; fwd=method; detail=origin-unreachable");
    assert_eq!(proxy.ask("HEAD / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.body, "");
}

#[tokio::test]
async fn the_log_names_what_is_wrong_with_the_origin_once_and_not_for_each_request() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = Proxy::start(nobody, &[]).await;
    for _ in 0..5 {
        proxy.get("/").await;
    }
    let log = proxy.log_with("no answer from the origin").await;
    assert!(log.contains("WARN") && log.contains("refused"), "{log}");
    assert_eq!(log.matches("no answer").count(), 1, "{log}");
}

#[tokio::test]
async fn an_origin_that_does_not_answer_in_time_is_504() {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-15.6.5
    //= type=test
    //# The 504 (Gateway Timeout) status code indicates that the server, while acting as a gateway or proxy,
    //# did not receive a timely response from an upstream server it needed to access in order to complete
    //# the request.
    let origin = Origin::start(|_| Reply::Silence).await;
    let proxy = Proxy::start(origin.address, &["--origin-timeout", "50ms", "--cache-status", "edge"]).await;
    let answer = proxy.get("/").await;
    assert_eq!(answer.status(), 504);
    assert_eq!(answer.field("cache-status"), "edge; fwd=miss; detail=origin-timeout");
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_502() {
    for reply in [
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\nconnection: close\r\n\r\nab",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    ] {
        let origin = Origin::start(|_| Reply::Text(reply.to_owned())).await;
        let proxy = Proxy::start(origin.address, &["--cache-status", "off"]).await;
        let answer = proxy.get("/").await;
        assert_eq!((answer.status(), answer.field("cache-status")), (502, ""), "{reply:?}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2
//= type=test
//# A client SHOULD NOT automatically retry a request with a non-idempotent method unless it has some means
//# to know that the request semantics are actually idempotent, regardless of the method, or some means to
//# detect that the original request was never applied.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2
//= type=test
//# A client SHOULD NOT automatically retry a failed automatic retry.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2
//= type=test
//# A proxy MUST NOT automatically retry non-idempotent requests.
#[tokio::test]
async fn no_request_is_sent_twice() {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2
    //= type=test
    //# A proxy MUST NOT automatically retry non-idempotent requests.
    let origin = Origin::start(|request| match request.first_line() {
        "GET /first HTTP/1.1" => ok("", ""),
        _ => Reply::Close,
    })
    .await;
    let proxy = Proxy::start(origin.address, &["--origin-idle-timeout", "1h"]).await;
    for (number, method) in ["POST", "PUT", "GET", "DELETE"].into_iter().enumerate() {
        // A connection that is kept, and breaks off under the next request.
        assert_eq!(proxy.get("/first").await.status(), 200);
        let answer = proxy.ask(&format!("{method} / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n")).await;
        assert_eq!((answer.status(), origin.seen().len()), (502, 2 * (number + 1)), "{method}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_breaks_off_for_the_client() {
    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
    //= type=test
    //# If the sender closes the connection or the recipient times out before the indicated number of octets
    //# are received, the recipient MUST consider the message to be incomplete and close the connection.
    let reply = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 10\r\nconnection: close\r\n\r\nhello";
    let origin = Origin::start(move |_| Reply::Text(reply.to_owned())).await;
    let proxy = Proxy::start(origin.address, &[]).await;
    for number in 1..=2 {
        let mut connection = proxy.connect().await;
        connection.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let all = connection.rest().await;
        // What has come so far may be lost with the connection; that it ends tells that this was not all.
        assert!(all.is_empty() || all.contains("content-length: 10") && !all.contains("502"), "{all}");
        assert_eq!(origin.seen().len(), number);
    }
}
