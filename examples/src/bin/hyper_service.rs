//! The cache in front of a plain tower service on hyper, without axum.
//!
//! `cargo run --release -p examples --bin hyper_service`, then `curl -i http://127.0.0.1:3000/hello/ann` twice.
//!
//! `LISTEN` (default 127.0.0.1:3000), `REDIS_URL` (without it L1 works alone).

use std::convert::Infallible;
use std::process::ExitCode;

use bytes::Bytes;
use examples::{Error, now};
use forebay::{Cache, Cached};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tower::{ServiceBuilder, service_fn};

#[tokio::main]
async fn main() -> ExitCode {
    examples::run(serve()).await
}

async fn serve() -> Result<(), Error> {
    let mut cache = Cache::builder("hyper-service");
    if let Some(redis) = examples::redis()? {
        cache = cache.l2(redis);
    }
    let cache = cache.build().await?;
    // Without a router, a table says which paths are cached and how.
    let layer = cache
        .rules()
        .at("/hello/{name}", |rule| rule.ttl("60s").tags(["hello:{name}"]))
        .at("/clock", |rule| rule.off())
        .layer()?;
    let service = ServiceBuilder::new().layer(layer).service(service_fn(answer));

    let listener = examples::listen().await?;
    let address = listener.local_addr()?;
    println!(
        "hyper_service on http://{address}: /hello/<name> by the table, /news by its handler, /clock never cached"
    );
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                eprintln!("connection ended: {error}");
            }
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path();
    let text = format!("{path}, made at {}\n", now());
    let mut response = Response::new(Full::new(Bytes::from(text)));
    match path {
        // What axum's handlers return as a part of their response is an extension here.
        "/news" => drop(response.extensions_mut().insert(Cached::ttl("10s").tag("news"))),
        "/clock" => {}
        path if path.starts_with("/hello/") => {}
        _ => *response.status_mut() = StatusCode::NOT_FOUND,
    }
    Ok(response)
}
