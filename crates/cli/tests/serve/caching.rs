//! The cache between the two sides: one entry for all who ask for the same, in whatever way they ask.

use std::sync::Arc;

use bytes::Bytes;
use forebay_testkit::redis::RedisServer;
use http::{Request, Version};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::support::{Origin, Proxy, Reply, Scrap, ok, within};

const FRESH: &str = "cache-control: max-age=60\r\n";

#[tokio::test]
async fn every_version_and_form_of_a_request_finds_the_same_entry() {
    let origin = Origin::start(|_| ok(FRESH, "hello")).await;
    let proxy = Proxy::start(origin.address, &[]).await;
    assert_eq!(
        proxy.get("/x").await.field("cache-status"),
        "forebay; fwd=uri-miss; stored; ttl=60; detail=cache-control"
    );
    let requests = [
        "GET /x HTTP/1.1\r\nhost: a.example\r\n\r\n",
        "GET http://a.example/x HTTP/1.1\r\nhost: b.example\r\n\r\n",
        "GET /x HTTP/1.0\r\nhost: a.example\r\n\r\n",
        "GET /x HTTP/1.1\r\nhost: a.example\r\nconnection: x-y\r\nx-forwarded-host: evil\r\nx-y: 1\r\n\r\n",
    ];
    for request in requests {
        let answer = proxy.ask(request).await;
        assert_eq!((answer.body.as_str(), answer.all("via")), ("hello", vec!["1.1 forebay"]));
    }

    let stream = TokioIo::new(TcpStream::connect(proxy.address).await.unwrap());
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://a.example/x").body(Empty::<Bytes>::new()).unwrap();
    let answer = within(client.send_request(request)).await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_2);
    assert_eq!(within(answer.into_body().collect()).await.unwrap().to_bytes(), "hello");
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn http_2_reaches_the_origin_as_http_1() {
    let origin = Origin::start(|_| ok("connection: x-a\r\nx-a: 1\r\n", "hello")).await;
    let proxy = Proxy::start(origin.address, &[]).await;
    let stream = TokioIo::new(TcpStream::connect(proxy.address).await.unwrap());
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://a.example//x?y").header("cookie", "a=1").header("cookie", "b=2");
    let answer = within(client.send_request(request.body(Empty::<Bytes>::new()).unwrap())).await.unwrap();
    assert!(!answer.headers().contains_key("x-a"));
    let seen = origin.only();
    assert_eq!(seen.first_line(), "GET //x?y HTTP/1.1");
    assert_eq!(
        (seen.field("host"), seen.field("cookie"), seen.field("via")),
        ("a.example", "a=1; b=2", "2 forebay")
    );
}

#[tokio::test]
async fn two_hosts_are_two_sets_of_entries() {
    let origin = Origin::start(|request| ok(FRESH, request.field("host"))).await;
    let proxy = Proxy::start(origin.address, &[]).await;
    for _ in 0..2 {
        for host in ["a.example", "b.example"] {
            assert_eq!(proxy.ask(&format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n")).await.body, host);
        }
    }
    assert_eq!(origin.seen().len(), 2);
}

#[tokio::test]
async fn what_trusted_proxies_say_of_routing_keeps_entries_apart() {
    let origin = Origin::start(|request| ok(FRESH, request.field("x-forwarded-proto"))).await;
    let proxy = Proxy::start(origin.address, &["--trusted-proxies", "127.0.0.1"]).await;
    for proto in ["https", "http", "https"] {
        let answer =
            proxy.ask(&format!("GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-proto: {proto}\r\n\r\n")).await;
        assert_eq!(answer.body, proto);
    }
    assert_eq!(origin.seen().len(), 2);
}

#[tokio::test]
async fn the_first_piece_of_a_body_does_not_wait_for_the_second() {
    for fields in ["cache-control: max-age=60\r\n", "content-type: text/event-stream\r\n"] {
        let told = Arc::new(Notify::new());
        let tell = Arc::clone(&told);
        let first = format!("HTTP/1.1 200 OK\r\n{fields}content-length: 6\r\n\r\none");
        let origin =
            Origin::start(move |_| Reply::Pieces(first.clone(), Arc::clone(&told), "two".to_owned())).await;
        let proxy = Proxy::start(origin.address, &[]).await;
        let mut connection = proxy.connect().await;
        connection.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert!(connection.head().await.starts_with("HTTP/1.1 200 "));
        assert_eq!(connection.bytes(3).await, "one");
        tell.notify_one();
        assert_eq!(connection.bytes(3).await, "two");
    }
}

#[tokio::test]
async fn instances_share_a_redis_and_start_without_it() {
    let redis = RedisServer::start().await.unwrap();
    let origin = Origin::start(|_| ok(FRESH, "hello")).await;
    redis.kill().unwrap();
    let url = redis.url();
    let more = ["--redis", url.as_str(), "--log", "info"];
    let first = Proxy::start(origin.address, &more).await;
    assert!(first.introduction.ends_with(", redis yes"), "{}", first.introduction);
    assert_eq!(first.get("/alone").await.status(), 200);

    redis.restart().await.unwrap();
    let second = Proxy::start(origin.address, &more).await;
    let asking = async {
        for number in 0.. {
            let path = format!("/shared/{number}");
            first.get(&path).await;
            if second.get(&path).await.field("cache-status").contains("detail=l2") {
                return;
            }
        }
    };
    within(asking).await;
}

#[tokio::test]
async fn instances_with_the_same_secret_share_compressed_entries_and_others_do_not() {
    let redis = RedisServer::start().await.unwrap();
    let long = "a turbine, and its intake; ".repeat(100);
    let body = long.clone();
    let origin = Origin::start(move |_| ok(FRESH, &body)).await;
    let url = redis.url();
    let secret = Scrap::new("secret", "sixteen bytes and a few\n");
    let open = ["--redis", url.as_str(), "--l2-compression", "lz4"];
    let sealed = [&open[..], &["--secret-file", secret.path()]].concat();
    let first = Proxy::start(origin.address, &sealed).await;
    let second = Proxy::start(origin.address, &sealed).await;
    let other = Proxy::start(origin.address, &open).await;
    let asking = async {
        for number in 0.. {
            let path = format!("/shared/{number}");
            first.get(&path).await;
            let answer = second.get(&path).await;
            assert_eq!(answer.body, long);
            assert!(!other.get(&path).await.field("cache-status").contains("detail=l2"));
            if answer.field("cache-status").contains("detail=l2") {
                return;
            }
        }
    };
    within(asking).await;
}
