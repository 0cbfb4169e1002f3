//! Connections that leave HTTP.

use crate::support::{Origin, Proxy, Reply, ok};

const WEBSOCKET: &str = "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: k\r\n\r\n";

#[tokio::test]
async fn an_upgraded_connection_is_a_tunnel() {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-15.2.2
    //= type=test
    //# The server MUST generate an Upgrade header field in the response that indicates which protocol(s)
    //# will be in effect after this response.
    let head = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let origin = Origin::start(move |_| Reply::Echo(head.to_owned())).await;
    let proxy = Proxy::start(origin.address, &[]).await;
    let mut connection = proxy.connect().await;
    connection.send(WEBSOCKET).await;
    let head = connection.answer().await;
    assert_eq!(
        (head.status(), head.field("upgrade"), head.field("connection")),
        (101, "websocket", "upgrade")
    );
    let seen = origin.only();
    assert_eq!((seen.field("upgrade"), seen.field("connection")), ("websocket", "upgrade"));
    assert_eq!(seen.field("sec-websocket-key"), "k");
    for text in ["ping", "\u{1}\u{0}pong"] {
        connection.send(text).await;
        assert_eq!(connection.bytes(text.len()).await, text);
    }
}

#[tokio::test]
async fn an_origin_that_does_not_switch_answers_as_usual() {
    let origin = Origin::start(|_| ok("cache-control: max-age=60\r\n", "no")).await;
    let proxy = Proxy::start(origin.address, &[]).await;
    for number in 1..=2 {
        let answer = proxy.ask(WEBSOCKET).await;
        assert_eq!((answer.status(), answer.body.as_str(), origin.seen().len()), (200, "no", number));
    }
}

#[tokio::test]
async fn nobody_is_upgraded_around_the_cache() {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.8
    //= type=test
    //# A server MAY ignore a received Upgrade header field if it wishes to continue using the current
    //# protocol on that connection.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.8
    //= type=test
    //# A server that receives an Upgrade header field in an HTTP/1.0 request MUST ignore that Upgrade field.
    let origin = Origin::start(|_| ok("", "")).await;
    let proxy = Proxy::start(origin.address, &[]).await;
    for request in [
        "GET / HTTP/1.0\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x",
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAA",
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket, H2C",
        "POST / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\ncontent-length: 0",
        "GET / HTTP/1.1\r\nhost: a\r\nupgrade: x",
    ] {
        assert_eq!(proxy.ask(&format!("{request}\r\n\r\n")).await.status(), 200, "{request}");
        let seen = origin.seen().pop().unwrap();
        assert_eq!(
            (seen.field("upgrade"), seen.field("connection"), seen.field("http2-settings")),
            ("", "", "")
        );
    }
}
