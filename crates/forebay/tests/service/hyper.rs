//! The layer on bare hyper, over real sockets.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use forebay::Cache;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer, service_fn};

use crate::support::{Count, settle};

/// Serves connections until the test ends.
async fn serve(cache: &Cache) -> (SocketAddr, Count) {
    let count = Count::default();
    let counting = count.clone();
    let origin = service_fn(move |request: Request<Incoming>| {
        let counting = counting.clone();
        async move {
            let target = request.uri().to_string();
            let got = request.into_body().collect().await.map_or(0, |body| body.to_bytes().len());
            let body = Full::new(Bytes::from(format!("{}:{target}:{got}", counting.up())));
            let mut response = Response::new(body);
            response
                .headers_mut()
                .insert("cache-control", hyper::header::HeaderValue::from_static("max-age=60"));
            Ok::<_, Infallible>(response)
        }
    });
    let service = TowerToHyperService::new(cache.layer().layer(origin));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone()));
        }
    });
    (address, count)
}

/// Sends these bytes on one connection and reads until the server closes it.
async fn raw(address: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    settle().await;
    answer
}

async fn serving() -> (SocketAddr, Count) {
    let cache = Cache::builder("test").build().await.unwrap();
    serve(&cache).await
}

fn body(answer: &str) -> &str {
    answer.split("\r\n\r\n").nth(1).unwrap()
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.2
//= type=test
//# The HEAD method is identical to GET except that the server MUST NOT send content in the response.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-8.6
//= type=test
//# A server MAY send a Content-Length header field in a response to a HEAD request (Section 9.3.2); a
//# server MUST NOT send Content-Length in such a response unless its field value equals the decimal
//# number of octets that would have been sent in the content of a response if the same request had used
//# the GET method.
#[tokio::test]
async fn get_and_head_over_one_connection_and_the_next() {
    let (address, count) = serving().await;
    let get = "GET /a HTTP/1.1\r\nhost: h\r\n\r\n";
    let close = "GET /a HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(get.as_bytes()).await.unwrap();
    let mut buffer = vec![0; 4096];
    let mut first = String::new();
    while !first.ends_with("1:/a:0") {
        let read = stream.read(&mut buffer).await.unwrap();
        assert_ne!(read, 0, "{first}");
        first += std::str::from_utf8(&buffer[..read]).unwrap();
    }
    assert!(first.contains("fwd=uri-miss; stored"), "{first}");
    settle().await;
    let head = format!("HEAD /a HTTP/1.1\r\nhost: h\r\n\r\n{get}{close}");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest.matches("HTTP/1.1 200 OK").count(), 3, "{rest}");
    assert_eq!(rest.matches("forebay; hit").count(), 3, "{rest}");
    assert_eq!(rest.matches("content-length: 6").count(), 3, "{rest}");
    assert_eq!(rest.matches("1:/a:0").count(), 2, "{rest}");
    let next = raw(address, close).await;
    assert_eq!(body(&next), "1:/a:0");
    assert_eq!(count.get(), 1);
}

// S5, S6, S8: what reaches a service over a socket in ways that no client library sends.
#[tokio::test]
async fn odd_requests_leave_nothing_for_even_ones() {
    let (address, count) = serving().await;
    let odd = [
        "GET /a HTTP/1.0\r\n\r\n",
        "GET /a HTTP/1.1\r\nconnection: close\r\n\r\n",
        "GET /a HTTP/1.1\r\nhost: h\r\nhost: h\r\nconnection: close\r\n\r\n",
        "GET /a HTTP/1.1\r\nhost: h\r\nhost: evil\r\nconnection: close\r\n\r\n",
        "GET http://h/a HTTP/1.1\r\nhost: evil\r\nconnection: close\r\n\r\n",
        "GET /a HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\nconnection: close\r\n\r\nevil",
        "GET /a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n4\r\nevil\r\n0\r\n\r\n",
        "GET /a HTTP/1.1\r\nhost: h\r\nx-http-method-override: DELETE\r\nconnection: close\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
    ];
    for request in odd {
        let answer = raw(address, request).await;
        assert!(!answer.contains("stored") && !answer.contains("; hit"), "{request:?}: {answer}");
    }
    let calls = count.get();
    let close = "connection: close\r\n\r\n";
    for target in [
        "/a",
        "//a",
        "/a/../b",
        "/a/..;/b",
        "/a%00",
        "/a;x.css",
        "/a?",
        "http://h/a",
        "http://h//a",
        "http://h",
    ] {
        for answer in 0..2 {
            let answer =
                (answer, raw(address, &format!("GET {target} HTTP/1.1\r\nhost: h\r\n{close}")).await);
            assert_eq!(answer.1.contains("forebay; hit"), answer.0 == 1, "{target}: {}", answer.1);
        }
    }
    assert_eq!(count.get(), calls + 10);
}
