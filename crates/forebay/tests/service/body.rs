//! Bodies on their way through the cache: as they come, all of them, and kept only when whole (S19).

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use axum::routing;
use bytes::Bytes;
use forebay::{Cache, L1, Limits};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::mpsc;
use tower::{Layer, ServiceExt, service_fn};

use crate::support::{Count, Fields, cache, field, get, request, send, settle};

/// A body that a test writes while it is read.
struct Written {
    frames: mpsc::UnboundedReceiver<Result<Frame<Bytes>, &'static str>>,
    hint: SizeHint,
}

type Pen = mpsc::UnboundedSender<Result<Frame<Bytes>, &'static str>>;

impl http_body::Body for Written {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.frames.poll_recv(cx)
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

fn written(hint: SizeHint) -> (Pen, Written) {
    let (pen, frames) = mpsc::unbounded_channel();
    (pen, Written { frames, hint })
}

fn data(text: &'static str) -> Result<Frame<Bytes>, &'static str> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

/// An origin whose answers a test hands in: the head's fields, and the body.
type Answers = mpsc::UnboundedSender<(Fields<'static>, Written)>;

type Served =
    tower::util::BoxCloneSyncService<Request<Body>, Response<forebay::ResponseBody<Written>>, Infallible>;

fn served(cache: &Cache) -> (Answers, Count, Served) {
    let (answers, queue) = mpsc::unbounded_channel::<(Fields<'static>, Written)>();
    let queue = std::sync::Arc::new(tokio::sync::Mutex::new(queue));
    let count = Count::default();
    let counting = count.clone();
    let origin = service_fn(move |_: Request<Body>| {
        let queue = std::sync::Arc::clone(&queue);
        counting.up();
        async move {
            let (fields, body) = queue.lock().await.recv().await.unwrap();
            let mut response = Response::new(body);
            for (name, value) in fields {
                response.headers_mut().append(*name, HeaderValue::from_static(value));
            }
            Ok::<_, Infallible>(response)
        }
    });
    (answers, count, tower::util::BoxCloneSyncService::new(cache.layer().layer(origin)))
}

async fn ask(service: &Served) -> Response<forebay::ResponseBody<Written>> {
    service.clone().oneshot(request(Method::GET, "/a", &[])).await.unwrap()
}

const FRESH: Fields<'static> = &[("cache-control", "max-age=60")];

//= https://www.rfc-editor.org/rfc/rfc9111#section-3.1
//= type=test
//# Caches MAY either store trailer fields separate from header fields or discard them.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3.1
//= type=test
//# Caches MUST NOT combine trailer fields with header fields.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-6.5.1
//= type=test
//# A recipient MUST NOT merge a trailer field into a header section unless the recipient understands the
//# corresponding header field definition and that definition explicitly permits and defines how trailer
//# field values can be safely merged.
//
//= https://www.rfc-editor.org/rfc/rfc9112#section-7.1.2
//= type=test
//# A recipient that retains a received trailer field MUST either store/forward the trailer field
//# separately from the received header fields or merge the received trailer field into the header
//# section.
#[tokio::test]
async fn the_client_reads_what_is_there_before_the_rest_is_written() {
    let cache = cache().await;
    let (answers, count, service) = served(&cache);
    let (pen, body) = written(SizeHint::default());
    answers.send((FRESH, body)).unwrap();
    let mut first = ask(&service).await.into_body();
    for text in ["one ", "two ", "three"] {
        pen.send(data(text)).unwrap();
        assert_eq!(first.frame().await.unwrap().unwrap().into_data().unwrap(), text);
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("7"));
    pen.send(Ok(Frame::trailers(trailers.clone()))).unwrap();
    assert_eq!(first.frame().await.unwrap().unwrap().into_trailers().unwrap(), trailers);
    drop(pen);
    assert!(first.frame().await.is_none());
    settle().await;
    let hit = ask(&service).await;
    assert_eq!(field(hit.headers(), "x-sum"), "-", "a trailer field is no header field");
    assert_eq!(hit.body().size_hint().exact(), Some(13), "what a server makes Content-Length of");
    assert_eq!(hit.into_body().collect().await.unwrap().to_bytes(), "one two three");
    assert_eq!(count.get(), 1);
}

#[tokio::test]
async fn events_arrive_as_they_are_sent_and_are_not_collected() {
    let cache = cache().await;
    let (answers, count, service) = served(&cache);
    for round in 1..3 {
        let (pen, body) = written(SizeHint::default());
        answers
            .send((
                &[("cache-control", "max-age=60"), ("content-type", "Text/Event-Stream; charset=utf-8")],
                body,
            ))
            .unwrap();
        let response = ask(&service).await;
        assert!(field(response.headers(), "cache-status").contains("detail=event-stream"));
        let mut body = response.into_body();
        pen.send(data("data: 1\n\n")).unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "data: 1\n\n");
        drop(body);
        assert!(pen.is_closed(), "nobody goes on listening when the client has left");
        assert_eq!(count.get(), round);
    }
}

#[tokio::test]
async fn what_is_too_large_passes_in_full_whether_it_says_so_or_not() {
    const SIZE: usize = 5000;
    for known in [true, false] {
        let l1 = L1::bytes(1 << 20).max_entry(4096);
        let cache = Cache::builder("test").l1(l1).build().await.unwrap();
        let (answers, count, service) = served(&cache);
        for round in 1..3 {
            let hint = if known { SizeHint::with_exact(SIZE as u64) } else { SizeHint::default() };
            let (pen, body) = written(hint);
            for _ in 0..SIZE / 10 {
                pen.send(data("0123456789")).unwrap();
            }
            drop(pen);
            answers.send((FRESH, body)).unwrap();
            let response = ask(&service).await;
            assert_eq!(http_body::Body::size_hint(response.body()).exact(), known.then_some(SIZE as u64));
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, "0123456789".repeat(SIZE / 10));
            settle().await;
            assert_eq!(count.get(), round, "known: {known}");
        }
    }
}

// S19
//= https://www.rfc-editor.org/rfc/rfc9111#section-3.3
//= type=test
//# A cache MUST NOT use an incomplete response to answer requests unless the response has been made
//# complete, or the request is partial and specifies a range wholly within the incomplete response.
//
//= https://www.rfc-editor.org/rfc/rfc9112#section-8
//= type=test
//# A client that receives an incomplete response message, which can occur when a connection is closed
//# prematurely or when decoding a supposedly chunked transfer coding fails, MUST record the message as
//# incomplete.
//
//= https://www.rfc-editor.org/rfc/rfc9112#section-8
//= type=test
//# A message that uses a valid Content-Length is incomplete if the size of the message body received (in
//# octets) is less than the value given by Content-Length.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-8.6
//= type=test
//# Since there is no predefined limit to the length of content, a recipient MUST anticipate potentially
//# large decimal numerals and prevent parsing errors due to integer conversion overflows or precision
//# loss due to integer conversion (Section 17.5).
#[tokio::test]
async fn half_a_body_is_never_kept() {
    enum End {
        Error,
        Short,
        Long,
    }
    for end in [End::Error, End::Short, End::Long] {
        let cache = cache().await;
        let (answers, count, service) = served(&cache);
        for round in 1..3 {
            let (pen, body) = written(SizeHint::default());
            pen.send(data("01234")).unwrap();
            match end {
                // All that was announced has come, but the origin says that something went wrong.
                End::Error => {
                    pen.send(data("56789")).unwrap();
                    pen.send(Err("the database is gone")).unwrap();
                }
                End::Short => {}
                End::Long => pen.send(data("0123456789")).unwrap(),
            }
            drop(pen);
            answers.send((&[("cache-control", "max-age=60"), ("content-length", "10")], body)).unwrap();
            let got = ask(&service).await.into_body().collect().await;
            assert_eq!(got.is_err(), matches!(end, End::Error), "the client sees what the origin did");
            settle().await;
            assert_eq!(count.get(), round);
        }
    }
    for lengths in [&["5", "5"][..], &["5", "6"], &["five"], &["-5"], &["99999999999999999999"]] {
        let cache = cache().await;
        let (answers, count, service) = served(&cache);
        for round in 1..3 {
            let (pen, body) = written(SizeHint::default());
            pen.send(data("01234")).unwrap();
            let fields: Vec<_> = [("cache-control", "max-age=60")]
                .into_iter()
                .chain(lengths.iter().map(|length| ("content-length", *length)))
                .collect();
            answers.send((Vec::leak(fields), body)).unwrap();
            drop(pen);
            drop(ask(&service).await.into_body().collect().await);
            settle().await;
            assert_eq!(count.get(), round, "{lengths:?}");
        }
    }
}

// S19: the client leaves after each chunk; what is kept is all or nothing, and here it is all.
#[tokio::test]
async fn a_client_that_leaves_does_not_cut_what_is_kept() {
    const CHUNKS: [&str; 5] = ["a", "bb", "ccc", "dddd", "eeeee"];
    for leaves_after in 0..=CHUNKS.len() {
        let cache = cache().await;
        let (answers, count, service) = served(&cache);
        let (pen, body) = written(SizeHint::default());
        answers.send((FRESH, body)).unwrap();
        let mut client = Some(ask(&service).await.into_body());
        for (n, chunk) in CHUNKS.into_iter().enumerate() {
            if n == leaves_after {
                client = None;
            }
            pen.send(data(chunk)).unwrap();
            if let Some(client) = &mut client {
                assert_eq!(client.frame().await.unwrap().unwrap().into_data().unwrap(), chunk);
            }
            settle().await;
        }
        drop(client);
        drop(pen);
        settle().await;
        let hit = ask(&service).await.into_body().collect().await.unwrap().to_bytes();
        assert_eq!((hit, count.get()), (Bytes::from(CHUNKS.concat()), 1), "left after {leaves_after}");
    }
}

// A fill may take a minute. After that it is given up, and the client goes on with the rest of the body.
#[tokio::test(start_paused = true)]
async fn a_fill_that_is_given_up_hands_the_client_the_rest() {
    let cache = cache().await;
    let (answers, count, service) = served(&cache);
    let (pen, body) = written(SizeHint::default());
    answers.send((FRESH, body)).unwrap();
    let mut client = ask(&service).await.into_body();
    pen.send(data("first ")).unwrap();
    assert_eq!(client.frame().await.unwrap().unwrap().into_data().unwrap(), "first ");
    tokio::time::advance(std::time::Duration::from_secs(61)).await;
    settle().await;
    pen.send(data("second ")).unwrap();
    assert_eq!(client.frame().await.unwrap().unwrap().into_data().unwrap(), "second ");
    pen.send(data("third")).unwrap();
    drop(pen);
    assert_eq!(client.collect().await.unwrap().to_bytes(), "third");
    settle().await;
    let (pen, body) = written(SizeHint::default());
    drop(pen);
    answers.send((FRESH, body)).unwrap();
    ask(&service).await.into_body().collect().await.unwrap();
    assert_eq!(count.get(), 2, "half of it was not kept");
}

/// Panics in the middle, and when it is asked again says that it is complete.
struct Panicking(u8);

impl http_body::Body for Panicking {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0 += 1;
        match self.0 {
            1 => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"half"))))),
            2 => panic!("the body's own words"),
            _ => Poll::Ready(None),
        }
    }
}

#[tokio::test]
async fn a_body_that_panics_does_not_end_as_if_it_were_whole() {
    let count = Count::default();
    let counting = count.clone();
    let handler = move || {
        counting.up();
        std::future::ready(([("cache-control", "max-age=60")], Body::new(Panicking(0))))
    };
    let app = Router::new().route("/a", routing::get(handler)).layer(cache().await.layer());
    for round in 1..3 {
        let client = tokio::spawn(app.clone().oneshot(request(Method::GET, "/a", &[])));
        let client = tokio::spawn(client.await.unwrap().unwrap().into_body().collect());
        assert!(client.await.unwrap_err().is_panic());
        settle().await;
        assert_eq!(count.get(), round, "it is not kept");
    }
}

#[test]
fn a_runtime_that_ends_in_the_middle_leaves_no_body_that_looks_whole() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (pen, mut client) = runtime.block_on(async {
        let cache = cache().await;
        let (answers, _, service) = served(&cache);
        let (pen, body) = written(SizeHint::default());
        answers.send((FRESH, body)).unwrap();
        pen.send(data("half")).unwrap();
        (pen, ask(&service).await.into_body())
    });
    drop(runtime);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut poll = || http_body::Body::poll_frame(Pin::new(&mut client), &mut cx);
    let mut seen = Vec::new();
    while let Poll::Ready(Some(frame)) = poll() {
        seen.extend_from_slice(&frame.unwrap().into_data().unwrap());
    }
    assert_eq!(seen, b"half");
    assert!(poll().is_pending(), "the rest may still come");
    pen.send(data("!")).unwrap();
    assert!(matches!(poll(), Poll::Ready(Some(Ok(_)))));
}

#[tokio::test]
async fn an_upgrade_passes() {
    let handler = async |request: Request<Body>| {
        assert_eq!(field(request.headers(), "upgrade"), "websocket");
        (StatusCode::SWITCHING_PROTOCOLS, [("upgrade", "websocket"), ("connection", "upgrade")])
    };
    let app = Router::new().route("/ws", routing::get(handler)).layer(cache().await.layer());
    for _ in 0..2 {
        let reply = get(&app, "/ws", &[("connection", "upgrade"), ("upgrade", "websocket")]).await;
        assert_eq!(
            (reply.status, field(&reply.headers, "upgrade")),
            (StatusCode::SWITCHING_PROTOCOLS, "websocket".into())
        );
        assert!(reply.cache_status().contains("fwd=bypass"));
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.2
//= type=test
//# If a cache receives a request that can be satisfied by reusing a stored 200 (OK) or 206 (Partial
//# Content) response, as per Section 4, the cache SHOULD evaluate any applicable conditional header field
//# preconditions received in that request with respect to the corresponding validators contained within
//# the stored response.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
//= type=test
//# If the field value is a list of entity tags, the condition is false if one of the listed tags matches
//# the entity tag of the selected representation.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
//= type=test
//# Otherwise, the condition is true.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.3
//= type=test
//# Otherwise, the condition is true.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.2.2
//= type=test
//# When If-None-Match is present, evaluate the If-None-Match precondition:
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.2.2
//= type=test
//# When the method is GET or HEAD, If-None-Match is not present, and If-Modified-Since is present,
//# evaluate the If-Modified-Since precondition:
//
//= https://www.rfc-editor.org/rfc/rfc9211#section-2.1
//= type=test
//# A response that was originally produced by the origin but was modified by the cache (for example, a
//# 304 or 206 status code) is still considered a hit, as long as it did not go forward (e.g., for
//# validation).
#[tokio::test]
async fn a_client_that_has_it_gets_304_on_the_miss_and_on_the_hit() {
    const MODIFIED: &str = "Sat, 01 Nov 2025 00:00:00 GMT";
    let later = [("if-modified-since", "Sun, 02 Nov 2025 00:00:00 GMT")];
    let earlier = [("if-modified-since", "Fri, 31 Oct 2025 00:00:00 GMT")];
    let cases: [(Fields<'_>, bool); 8] = [
        (&[("if-none-match", "\"1\"")], true),
        (&[("if-none-match", "W/\"1\"")], true),
        (&[("if-none-match", "\"0\", \"1\"")], true),
        (&[("if-none-match", "*")], true),
        (&[("if-none-match", "\"2\"")], false),
        (&[("if-none-match", "\"2\""), later[0]], false),
        (&later, true),
        (&earlier, false),
    ];
    for (conditions, has_it) in cases {
        let count = Count::default();
        let counting = count.clone();
        // Like many, it would answer a condition itself: then there would be nothing to keep.
        let handler = move |request: Request<Body>| {
            counting.up();
            let conditional = ["if-none-match", "if-modified-since"]
                .iter()
                .any(|name| request.headers().contains_key(*name));
            let status = if conditional { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
            std::future::ready((
                status,
                [("cache-control", "max-age=60"), ("etag", "\"1\""), ("last-modified", MODIFIED)],
                "body",
            ))
        };
        let app = Router::new().route("/a", routing::get(handler)).layer(cache().await.layer());
        for hit in [false, true] {
            let reply = get(&app, "/a", conditions).await;
            let expected = if has_it { (StatusCode::NOT_MODIFIED, "") } else { (StatusCode::OK, "body") };
            assert_eq!((reply.status, reply.text()), expected, "{conditions:?}, hit: {hit}");
            assert_eq!((field(&reply.headers, "etag").as_str(), reply.is_hit()), ("\"1\"", hit));
            let head = send(&app, request(Method::HEAD, "/a", conditions)).await;
            assert_eq!((head.status, head.body.len()), (expected.0, 0));
        }
        assert_eq!(get(&app, "/a", &[]).await.text(), "body");
        assert_eq!(count.get(), 1, "{conditions:?}");
    }
}

#[tokio::test]
async fn a_body_that_there_is_no_room_for_passes_through_and_is_not_stored() {
    let cache =
        Cache::builder("test").limits(Limits::default().max_collected(1 << 16)).build().await.unwrap();
    let (answers, count, service) = served(&cache);
    let answer = |bytes: usize| {
        let (pen, body) = written(SizeHint::default());
        pen.send(Ok(Frame::data(Bytes::from(vec![b'x'; bytes])))).unwrap();
        answers.send((&[("cache-control", "max-age=60")], body)).unwrap();
        pen
    };
    let other = async || service.clone().oneshot(request(Method::GET, "/b", &[])).await.unwrap();
    // A body that never ends, for a client that does not read.
    let endless = answer(60_000);
    let slow = ask(&service).await;
    settle().await;
    for asked in 2..4 {
        drop(answer(10_000));
        assert_eq!(other().await.into_body().collect().await.unwrap().to_bytes().len(), 10_000);
        settle().await;
        assert_eq!(count.get(), asked);
    }
    drop((endless, slow));
    settle().await;
    drop(answer(10_000));
    other().await.into_body().collect().await.unwrap();
    settle().await;
    assert_eq!(other().await.into_body().collect().await.unwrap().to_bytes().len(), 10_000);
    assert_eq!(count.get(), 4, "it was stored at last");
}
