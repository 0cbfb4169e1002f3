//! Old answers where they help: at once while a new one is fetched, and in place of an error.
//!
//! `cargo run --release -p examples --bin stale`, then the curl lines it prints.
//!
//! `LISTEN` (default 127.0.0.1:3000), `REDIS_URL` (without it L1 works alone).

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use examples::{Error, now};
use forebay::{Cache, Cached};
use http::StatusCode;

#[tokio::main]
async fn main() -> ExitCode {
    examples::run(serve()).await
}

async fn serve() -> Result<(), Error> {
    let mut cache = Cache::builder("stale");
    if let Some(redis) = examples::redis()? {
        cache = cache.l2(redis);
    }
    let cache = cache.build().await?;
    let listener = examples::listen().await?;
    let address = listener.local_addr()?;
    println!("stale on http://{address}: a rate is made in 100 ms, good for 2 s and given for longer");
    println!("  curl -i http://{address}/rates        made; at once again: a hit; after 2 s: old, at once");
    println!("  curl -i http://{address}/rates/EUR    the same; but after 2 s it is waited for");
    println!("  curl -X POST http://{address}/down    from now on their source fails");
    println!(
        "  curl -i http://{address}/rates/EUR    after 2 s: the old one, for an hour, in place of a 503"
    );
    println!("  curl -i http://{address}/rates/CHF    503: there is none to give in its place");
    println!("  curl -X POST http://{address}/up      it works again");
    Ok(axum::serve(listener, routes(&cache)).await?)
}

fn routes(cache: &Cache) -> Router {
    // A route says it for all of its answers, a handler for one.
    let rates = cache.route().ttl("2s").swr("1m");
    Router::new()
        .route("/rates", get(all).layer(rates))
        .route("/rates/{currency}", get(one).layer(cache.route()))
        .route("/down", post(async |State(source): State<Source>| source.works(false)))
        .route("/up", post(async |State(source): State<Source>| source.works(true)))
        .with_state(Source::default())
}

async fn all(State(source): State<Source>) -> Result<String, StatusCode> {
    Ok(source.read("EUR").await? + &source.read("CHF").await?)
}

async fn one(
    State(source): State<Source>,
    Path(currency): Path<String>,
) -> Result<(Cached, String), StatusCode> {
    let rate = source.read(&currency).await?;
    Ok((Cached::ttl("2s").stale_if_error("1h"), rate))
}

/// Stands for a service elsewhere, which is slow and at times not there.
#[derive(Clone, Default)]
struct Source {
    fails: Arc<AtomicBool>,
}

impl Source {
    async fn read(&self, currency: &str) -> Result<String, StatusCode> {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if self.fails.load(Ordering::Relaxed) {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        Ok(format!("{currency} 0.94, made at {}\n", now()))
    }

    fn works(&self, works: bool) -> &'static str {
        self.fails.store(!works, Ordering::Relaxed);
        if works { "up\n" } else { "down\n" }
    }
}
