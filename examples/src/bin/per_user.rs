//! Answers of which each user has their own, behind an authentication that the cache relies on.
//!
//! `cargo run --release -p examples --bin per_user`, then the curl lines it prints.
//!
//! `LISTEN` (default 127.0.0.1:3000), `REDIS_URL` (without it L1 works alone).

use std::process::ExitCode;

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use examples::{Error, now};
use forebay::Cache;
use http::{StatusCode, header};

#[tokio::main]
async fn main() -> ExitCode {
    examples::run(serve()).await
}

async fn serve() -> Result<(), Error> {
    let mut cache = Cache::builder("per-user");
    if let Some(redis) = examples::redis()? {
        cache = cache.l2(redis);
    }
    let cache = cache.build().await?;
    // The partition is made from what the handler sees: the user whom the authentication has found.
    let own = cache.route().ttl("60s").vary_by(|parts| parts.extensions.get::<User>().map(|user| user.0));
    let app = Router::new()
        .route("/me", get(me).layer(own))
        // Around the route's layer, so outside of the cache: who is not let in gets nothing from the cache either.
        .layer(from_fn(authenticate));

    let listener = examples::listen().await?;
    let address = listener.local_addr()?;
    println!("per_user on http://{address}: for each user the first answer is made, the next ones are hits");
    for (token, _) in TOKENS {
        println!("  curl -i -H 'Authorization: Bearer {token}' http://{address}/me");
    }
    Ok(axum::serve(listener, app).await?)
}

#[derive(Clone, Copy)]
struct User(&'static str);

/// Stands for whatever a service has: a session, a signed token.
async fn authenticate(mut request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = given.and_then(|value| value.strip_prefix("Bearer "));
    let Some((_, user)) = TOKENS.iter().find(|(known, _)| Some(*known) == token) else {
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], "who is it?\n")
            .into_response();
    };
    request.extensions_mut().insert(User(user));
    next.run(request).await
}

async fn me(Extension(User(user)): Extension<User>) -> String {
    format!("for {user} alone, made at {}\n", now())
}

const TOKENS: [(&str, &str); 2] = [("token-of-ann", "ann"), ("token-of-bob", "bob")];
