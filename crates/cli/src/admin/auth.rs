//! Who may use the admin API: those who send the token.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::time::Instant;

use super::failure::Failure;
use crate::config::Token;

/// The token, and how often it was guessed at lately.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    token: Token,
    guesses: Arc<Mutex<Guesses>>,
}

#[derive(Debug)]
struct Guesses {
    since: Instant,
    number: u32,
}

impl Guard {
    pub(super) fn new(token: Token) -> Self {
        Self { token, guesses: Arc::new(Mutex::new(Guesses { since: Instant::now(), number: 0 })) }
    }

    /// Counts a wrong token. Whoever has the right one is not kept out by those who guess.
    fn wrong(&self) -> Failure {
        let mut guesses = self.guesses.lock().unwrap_or_else(PoisonError::into_inner);
        if guesses.since.elapsed() >= WINDOW {
            *guesses = Guesses { since: Instant::now(), number: 0 };
        }
        guesses.number = guesses.number.saturating_add(1);
        match guesses.number {
            number if number > MAX_GUESSES => {
                Failure::new(StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens, try again in a minute")
            }
            number => {
                tracing::warn!(number, "a request to the admin API with a wrong token, or none");
                Failure::new(StatusCode::UNAUTHORIZED, "the token is needed: authorization: Bearer <token>")
            }
        }
    }
}

/// Lets through what carries the token.
pub(super) async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    if offered(request.headers()).is_some_and(|token| guard.token.is(token)) {
        return next.run(request).await;
    }
    let mut refused = guard.wrong().into_response();
    if refused.status() == StatusCode::UNAUTHORIZED {
        refused.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    refused
}

fn offered(fields: &HeaderMap) -> Option<&[u8]> {
    let mut lines = fields.get_all(AUTHORIZATION).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return None };
    let (scheme, token) = line.as_bytes().split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then_some(token.trim_ascii())
}

const SCHEME: &[u8] = b"bearer ";
const WINDOW: Duration = Duration::from_secs(60);
/// Nobody guesses 32 bytes; this keeps the log readable when somebody tries.
const MAX_GUESSES: u32 = 100;
