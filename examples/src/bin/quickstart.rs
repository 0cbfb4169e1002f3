//! An articles API over a data source that takes 200 ms a read, behind the cache.
//!
//! `cargo run --release -p examples --bin quickstart`
//!
//! `LISTEN` (default 127.0.0.1:3000), `REDIS_URL` (without it L1 works alone), `DATA` (the articles' folder).

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use examples::{Articles, Error, Unreachable, etag, now};
use forebay::{Authority, Cache};
use futures_util::{Stream, stream};
use http::request::Parts;
use http::{StatusCode, header};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

#[tokio::main]
async fn main() -> ExitCode {
    examples::run(serve()).await
}

async fn serve() -> Result<(), Error> {
    // The recorder comes first: the cache resolves its metrics once.
    let metrics = PrometheusBuilder::new().install_recorder()?;
    // Instances on several ports serve the same articles: one name for all, so that they share entries.
    let mut cache = Cache::builder("quickstart").authority(Authority::Fixed("quickstart".into()));
    let redis = examples::redis()?;
    let tiers = if redis.is_some() { "L1 and Redis" } else { "L1 alone (REDIS_URL adds Redis)" };
    if let Some(redis) = redis {
        cache = cache.l2(redis);
    }
    let cache = cache.build().await?;
    let listener = examples::listen().await?;
    let site = Site { articles: Articles::open()?, instance: listener.local_addr()?.to_string().into() };
    print!(
        "{}",
        include_str!("../quickstart.txt")
            .replace("ADDRESS", &site.instance)
            .replace("TIERS", tiers)
            .replace("DATA", &site.articles.folder().display().to_string())
    );
    tokio::spawn(upkeep(metrics.clone()));
    let metrics = Router::new().route("/metrics", get(async move || metrics.render()));
    Ok(axum::serve(listener, routes(&cache).with_state(site).merge(metrics)).await?)
}

async fn upkeep(metrics: PrometheusHandle) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        metrics.run_upkeep();
    }
}

fn routes(cache: &Cache) -> Router<Site> {
    let article = cache.route().ttl("60s").tags(["article:{id}", "articles"]);
    let search = cache.route().ttl("60s").query(["q"]).tags(["searches", "articles"]);
    let own = cache.route().ttl("60s").vary_by(user);
    // A search may find any article, so each update clears them all; of the articles it clears its own.
    let update = put(update).layer(cache.invalidates(["article:{id}", "searches"]));
    Router::new()
        .route("/articles/{id}", get(show).layer(article).merge(update))
        .route("/articles", get(find).layer(search))
        .route("/me", get(me).layer(own))
        // Nothing is said about this route, so its responses decide; an event stream passes through.
        .route("/feed", get(feed).layer(cache.layer()))
}

#[derive(Clone)]
struct Site {
    articles: Articles,
    instance: Arc<str>,
}

impl Site {
    fn signed(&self, text: &str) -> String {
        format!("{text}\nmade by {} at {}\n", self.instance, now())
    }
}

async fn show(State(site): State<Site>, Path(id): Path<u32>) -> Result<Response, Unreachable> {
    let Some(text) = site.articles.read(id).await? else {
        return Ok((StatusCode::NOT_FOUND, "no such article\n").into_response());
    };
    Ok(([(header::ETAG, etag(&text))], site.signed(&text)).into_response())
}

#[derive(serde::Deserialize)]
struct Search {
    #[serde(default)]
    q: String,
}

async fn find(State(site): State<Site>, Query(search): Query<Search>) -> Result<String, Unreachable> {
    let found = site.articles.find(&search.q).await?;
    let lines: Vec<_> = found.iter().map(|(id, text)| format!("{id}: {text}")).collect();
    Ok(site.signed(&lines.join("\n")))
}

async fn update(State(site): State<Site>, Path(id): Path<u32>, text: String) -> Result<String, Unreachable> {
    site.articles.write(id, &text).await?;
    Ok(site.signed("updated"))
}

/// `X-User` names the user, and anybody may send it: a service takes the user from what its authentication has found out.
fn user(parts: &Parts) -> Option<String> {
    parts.headers.get("x-user")?.to_str().ok().map(str::to_owned)
}

async fn me(State(site): State<Site>, parts: Parts) -> Result<String, (StatusCode, &'static str)> {
    let user = user(&parts).ok_or((StatusCode::UNAUTHORIZED, "who is it? X-User says\n"))?;
    Ok(site.signed(&format!("for {user} alone")))
}

async fn feed(State(site): State<Site>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream::unfold(1, move |number| {
        let site = site.clone();
        async move {
            tokio::time::sleep(Duration::from_secs((number > 1).into())).await;
            let event = Event::default().data(format!("{number} by {} at {}", site.instance, now()));
            Some((Ok(event), number + 1))
        }
    }))
}
