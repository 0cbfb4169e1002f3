//! Beginning and end of the process, and of connections that lie still.

use std::sync::Arc;

use rustix::process::Signal;
use tokio::sync::Notify;

use crate::support::{Connection, Origin, Proxy, Reply, command, ok, within};

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// An origin that answers when it is told to.
async fn slow() -> (Origin, Arc<Notify>) {
    let told = Arc::new(Notify::new());
    let tell = Arc::clone(&told);
    (Origin::start(move |_| Reply::Later(Arc::clone(&told), ANSWER.to_owned())).await, tell)
}

#[tokio::test]
async fn it_introduces_itself_on_one_line() {
    let origin = Origin::start(|_| ok("", "")).await;
    let proxy = Proxy::start(origin.address, &["--profile", "origin"]).await;
    let expected = format!(
        "forebay {}: listening on http://{}, origin http://{}, profile origin, redis no",
        env!("CARGO_PKG_VERSION"),
        proxy.address,
        origin.address
    );
    assert_eq!(proxy.introduction, expected);
}

#[tokio::test]
async fn a_signal_ends_it_when_what_was_begun_is_answered() {
    for signal in [Signal::TERM, Signal::INT] {
        let (origin, tell) = slow().await;
        let mut proxy = Proxy::start(origin.address, &[]).await;
        let mut idle = proxy.connect().await;
        let mut busy = proxy.connect().await;
        busy.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        origin.arrived(1).await;
        proxy.signal(signal);
        assert_eq!(idle.rest().await, "");
        assert!(Connection::to(proxy.address).await.is_err());
        tell.notify_one();
        let answer = busy.answer().await;
        assert_eq!((answer.status(), answer.body.as_str()), (200, "hello"));
        assert_eq!(busy.rest().await, "");
        assert_eq!(proxy.exit_code().await, Some(0));
    }
}

#[tokio::test]
async fn draining_ends_when_its_time_is_over() {
    let (origin, _tell) = slow().await;
    let mut proxy = Proxy::start(origin.address, &["--drain-timeout", "50ms"]).await;
    let mut busy = proxy.connect().await;
    busy.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    origin.arrived(1).await;
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.exit_code().await, Some(0));
    assert_eq!(busy.rest().await, "");
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let (origin, _tell) = slow().await;
    let mut proxy = Proxy::start(origin.address, &[]).await;
    let mut idle = proxy.connect().await;
    let mut busy = proxy.connect().await;
    busy.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    origin.arrived(1).await;
    proxy.signal(Signal::TERM);
    // Once this connection has ended, the first signal was heard.
    assert_eq!(idle.rest().await, "");
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.exit_code().await, Some(1));
}

#[tokio::test]
async fn an_address_that_is_taken_is_exit_code_1() {
    let origin = Origin::start(|_| ok("", "")).await;
    let (address, url) = (origin.address.to_string(), format!("http://{}", origin.address));
    let output = within(command(&["serve", "--listen", &address, "--origin", &url]).output()).await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, format!("error: --listen {address}: Address already in use (os error 98)\n"));
}

#[tokio::test]
async fn a_head_that_does_not_end_ends_the_connection() {
    let origin = Origin::start(|_| ok("", "hello")).await;
    let proxy = Proxy::start(origin.address, &["--header-read-timeout", "50ms"]).await;
    for begun in ["", "GET / HT", "GET / HTTP/1.1\r\nhost: a\r\n", "PRI * HTTP/2.0\r\n"] {
        let mut connection = proxy.connect().await;
        connection.send(begun).await;
        connection.rest().await;
    }
    // The second head on a connection has no longer.
    let mut connection = proxy.connect().await;
    connection.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(connection.answer().await.status(), 200);
    connection.send("GET / HTTP/1.1\r\n").await;
    connection.rest().await;
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn an_idle_connection_ends_and_so_does_a_body_that_pauses() {
    let origin = Origin::start(|_| ok("", "hello")).await;
    let proxy = Proxy::start(origin.address, &["--idle-timeout", "100ms"]).await;
    let mut connection = proxy.connect().await;
    connection.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(connection.answer().await.status(), 200);
    assert_eq!(connection.rest().await, "");

    let answer = proxy.ask("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhe").await;
    assert_eq!((answer.status(), answer.body.as_str()), (408, "the request's body did not arrive in time\n"));
    assert_eq!(
        origin
            .seen()
            .iter()
            .filter(|seen| seen.first_line().starts_with("POST") && !seen.body.is_empty())
            .count(),
        0
    );
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_request_to_the_origin() {
    let origin = Origin::start(|_| Reply::Silence).await;
    let proxy = Proxy::start(origin.address, &[]).await;
    for (number, method) in ["POST", "GET"].into_iter().enumerate() {
        let mut connection = proxy.connect().await;
        connection.send(format!("{method} / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n")).await;
        origin.arrived(number + 1).await;
        drop(connection);
        origin.given_up(number + 1).await;
    }
}
