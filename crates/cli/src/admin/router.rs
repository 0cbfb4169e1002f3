//! The routes of the admin API.

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};

use super::auth::{Guard, check};
use super::backstage::{Backstage, Readiness};
use super::failure::Failure;
use super::invalidate::invalidate;
use super::stats::stats;
use crate::config::Token;

/// All routes, for those who have the token where it is needed.
pub(crate) fn router(backstage: Backstage, token: Token) -> Router {
    let guarded = Router::new()
        .route("/invalidate", post(invalidate))
        .route("/stats", get(stats))
        .route("/metrics", get(metrics))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .route_layer(from_fn_with_state(Guard::new(token), check));
    Router::new()
        .merge(guarded)
        .route("/healthz", get("ok\n"))
        .route("/readyz", get(ready))
        .fallback(async || Failure::new(StatusCode::NOT_FOUND, "no such page of the admin API"))
        .layer(map_response(never_stored))
        .with_state(backstage)
}

async fn ready(State(backstage): State<Backstage>) -> (StatusCode, &'static str) {
    match *backstage.readiness.borrow() {
        Readiness::Ready => (StatusCode::OK, "ready\n"),
        Readiness::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    }
}

async fn metrics(State(backstage): State<Backstage>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], backstage.metrics.render())
}

async fn never_stored(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

const MAX_BODY: usize = 1 << 20;
