//! Validation and parts over a real Redis: what one instance freshens or completes, the others find.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use forebay::{Authority, Cache, Policy};
use http_body_util::BodyExt;
use tower::util::BoxCloneService;
use tower::{Layer, ServiceExt, service_fn};

use crate::support::*;

type Service = BoxCloneService<Request<Body>, Response<Body>, std::convert::Infallible>;

const BODY: &str = "0123456789";

/// An instance of a proxy, in front of an origin that all of them share.
struct Proxy {
    cache: Cache,
    service: Service,
}

/// An origin with one page, which has an entity tag and ranges: some of what it answers has to be validated every time.
#[derive(Clone, Default)]
struct Origin(Arc<AtomicU64>);

impl Origin {
    fn calls(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn answer(&self, request: &Request<Body>) -> Response<Body> {
        let (path, method, request) = (request.uri().path(), request.method(), request.headers());
        let call = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        let mut response = Response::new(Body::from(BODY));
        let range = request.get(header::RANGE).map(|range| range.to_str().unwrap());
        let range = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        if request.contains_key(header::IF_NONE_MATCH) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            *response.body_mut() = Body::empty();
        } else if let Some((first, last)) = range {
            let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            *response.body_mut() = Body::from(&BODY[first..=last]);
            let range = format!("bytes {first}-{last}/{}", BODY.len()).parse().unwrap();
            response.headers_mut().insert(header::CONTENT_RANGE, range);
        }
        if method == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        let fresh = if path.starts_with("/validated") { "no-cache" } else { "max-age=600" };
        let fields = response.headers_mut();
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static(fresh));
        fields.insert(header::ETAG, HeaderValue::from_static("\"1\""));
        fields.insert("surrogate-key", HeaderValue::from_static("page"));
        fields.insert("x-call", call.into());
        response
    }
}

async fn proxy(world: &World, origin: &Origin) -> Proxy {
    let redis = world.settings(world.redis.addr());
    let cache = Cache::builder("tiers").authority(Authority::Fixed("shop".into())).policy(Policy::proxy());
    let cache = cache.l2(redis).build().await.unwrap();
    let origin = origin.clone();
    let inner = service_fn(move |request: Request<Body>| std::future::ready(Ok(origin.answer(&request))));
    let service = cache.layer().layer(inner).map_response(|response| response.map(Body::new));
    Proxy { cache, service: BoxCloneService::new(service) }
}

/// What a client got.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn says(&self) -> &str {
        self.headers["cache-status"].to_str().unwrap()
    }
}

impl Proxy {
    async fn send(&self, method: Method, path: &str, range: Option<&str>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(range) = range {
            request = request.header("range", range);
        }
        let answer = self.service.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: head.status, headers: head.headers, body: String::from_utf8(body).unwrap() }
    }

    async fn get(&self, path: &str, range: Option<&str>) -> Answer {
        self.send(Method::GET, path, range).await
    }
}

/// Two instances, each of which finds what the other one stores.
async fn two(world: &World, origin: &Origin) -> [Proxy; 2] {
    let proxies = [proxy(world, origin).await, proxy(world, origin).await];
    for (filler, finder) in [(0, 1), (1, 0)] {
        let mut tries = 0;
        until(async || {
            tries += 1;
            let path = format!("/join-{filler}-{tries}");
            proxies[filler].get(&path, None).await;
            settle().await;
            proxies[finder].get(&path, None).await.says().contains("hit").then_some(())
        })
        .await;
    }
    proxies
}

#[tokio::test]
async fn what_one_instance_freshens_the_other_finds_fresh_fields_of() {
    let (world, origin) = (World::start().await, Origin::default());
    let [a, b] = two(&world, &origin).await;
    a.get("/validated", None).await;
    let mut shown = 0;
    until(async || {
        // Neither lets the other's client have it unvalidated, and each goes on where the other one was.
        for proxy in [&a, &b] {
            let calls = origin.calls();
            let answer = proxy.get("/validated", None).await;
            assert_eq!(
                (answer.status.as_u16(), answer.body.as_str(), origin.calls()),
                (200, BODY, calls + 1)
            );
            assert_eq!(answer.headers["x-call"], origin.calls().to_string().as_str());
            shown += usize::from(answer.says().contains("fwd-status=304; stored"));
            settle().await;
        }
        (shown > 4).then_some(())
    })
    .await;
    let c = proxy(&world, &origin).await;
    until(async || c.get("/validated", None).await.says().contains("fwd-status=304").then_some(())).await;
}

// The part, and what is hidden from clients, come back from Redis as they were.
#[tokio::test]
async fn parts_are_put_together_by_several_instances() {
    let (world, origin) = (World::start().await, Origin::default());
    let [a, b] = two(&world, &origin).await;
    let mut tries = 0;
    until(async || {
        tries += 1;
        let path = format!("/parts-{tries}");
        assert_eq!(a.get(&path, Some("bytes=0-4")).await.body, "01234");
        settle().await;
        let within = b.get(&path, Some("bytes=1-2")).await;
        assert_eq!((within.status.as_u16(), within.body.as_str()), (206, "12"));
        assert!(!within.headers.contains_key("surrogate-key"));
        if !within.says().contains("hit") {
            return None;
        }
        assert_eq!(within.headers["content-range"], "bytes 1-2/10");
        assert_eq!(b.get(&path, Some("bytes=5-9")).await.body, "56789");
        settle().await;
        let whole = proxy(&world, &origin).await;
        let whole = until(async || {
            let answer = whole.get(&path, None).await;
            assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, BODY));
            assert!(!answer.headers.contains_key("content-range"));
            answer.says().contains("hit").then_some(answer)
        })
        .await;
        assert_eq!(whole.headers["content-length"], "10");
        Some(())
    })
    .await;
    a.cache.invalidate(forebay::Tag("page")).await.unwrap();
    let calls = origin.calls();
    assert_eq!(a.get(&format!("/parts-{tries}"), None).await.body, BODY);
    assert_eq!(origin.calls(), calls + 1, "a tag that no client sees invalidates it all the same");
}

#[tokio::test]
async fn a_head_s_news_reaches_the_other_instances() {
    let (world, origin) = (World::start().await, Origin::default());
    let [a, b] = two(&world, &origin).await;
    a.get("/validated-head", None).await;
    settle().await;
    let head = b.send(Method::HEAD, "/validated-head", None).await;
    assert_eq!((head.status.as_u16(), head.body.as_str()), (200, ""));
    until(async || {
        let answer = a.get("/validated-head", None).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, BODY));
        answer.says().contains("fwd-status=304").then_some(())
    })
    .await;
}
