//! Two caches on one Redis, as two instances of a service have them: what one invalidates is gone on the other.
//!
//! `REDIS_URL=redis://127.0.0.1:6390 cargo run --release -p examples --bin two_instances`

use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Path;
use axum::routing::get;
use examples::{Error, now};
use forebay::{Authority, Cache, Clock, Redis, Tag};
use http::Request;
use tower::ServiceExt;

#[tokio::main]
async fn main() -> ExitCode {
    examples::run(show()).await
}

async fn show() -> Result<(), Error> {
    let redis = examples::redis()?.ok_or(
        "REDIS_URL is not set: start `redis-server --port 6390 --save ''` and set REDIS_URL=redis://127.0.0.1:6390",
    )?;
    let a = Instance::start("a", redis.clone()).await?;
    let b = Instance::start("b", redis).await?;

    let joined = tokio::time::timeout(Duration::from_secs(3), first_shared(&a, &b)).await;
    let id = joined.map_err(|_| "no Redis answers at REDIS_URL, or it is not Redis 7 or later")??;
    let old = b.read(id).await?;
    let tag = Tag(format!("article:{id}"));
    println!("a: invalidate {tag:?}");
    a.cache.invalidate(tag).await?;
    // On a the old article is gone now. On b it goes when the message arrives, at the latest after the lease.
    let clock = Clock::system();
    let confirmed = clock.now();
    while b.answer(id).await?.text == old.text {
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
    println!("b: the old article was gone within {:?}", clock.now().since(confirmed));
    b.read(id).await?;
    Ok(())
}

/// The first article that b has from Redis, where a has put it. Caches do not wait for Redis when they start: until both
/// have joined, each makes its own.
async fn first_shared(a: &Instance, b: &Instance) -> Result<u32, Error> {
    for id in 1.. {
        let made = a.answer(id).await?;
        tokio::time::sleep(Duration::from_millis(10)).await;
        let found = b.answer(id).await?;
        if found.status.contains("detail=l2") {
            a.print(id, &made);
            b.print(id, &found);
            return Ok(id);
        }
    }
    Err("no article was shared".into())
}

struct Instance {
    name: &'static str,
    cache: Cache,
    app: Router,
}

impl Instance {
    async fn start(name: &'static str, redis: Redis) -> Result<Self, Error> {
        let authority = Authority::Fixed("two-instances".into());
        let cache = Cache::builder("two-instances").l2(redis).authority(authority).build().await?;
        let handler = async move |Path(id): Path<u32>| format!("article {id}, made by {name} at {}", now());
        let route = cache.route().ttl("60s").tags(["article:{id}"]);
        let app = Router::new().route("/articles/{id}", get(handler).layer(route));
        Ok(Self { name, cache, app })
    }

    async fn read(&self, id: u32) -> Result<Answer, Error> {
        let answer = self.answer(id).await?;
        self.print(id, &answer);
        Ok(answer)
    }

    async fn answer(&self, id: u32) -> Result<Answer, Error> {
        let request = Request::get(format!("/articles/{id}")).body(Body::empty())?;
        let response = self.app.clone().oneshot(request).await?;
        let status =
            response.headers().get("cache-status").map_or(Ok("none"), |value| value.to_str())?.to_owned();
        let text = to_bytes(response.into_body(), 1 << 10).await?;
        Ok(Answer { text: String::from_utf8(text.into())?, status })
    }

    fn print(&self, id: u32, answer: &Answer) {
        println!("{}: GET /articles/{id}: {}\n   Cache-Status: {}", self.name, answer.text, answer.status);
    }
}

struct Answer {
    text: String,
    status: String,
}
