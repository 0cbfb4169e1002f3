//! The admin API: on a listener of its own, for those who have the token.
//!
//! | request | answer |
//! |---|---|
//! | `POST /invalidate`, JSON | `{"seq": "...", "confirmed": true}` |
//! | `GET /stats` | what the cache holds and has done, as JSON |
//! | `GET /metrics` | the metrics, as Prometheus reads them |
//! | `GET /healthz` | 200 while the process serves; without a token |
//! | `GET /readyz` | 200 while it takes requests, 503 while it drains; without a token |
//!
//! No answer may be cached, and none holds a key, a URL or a tag.

mod failure;
mod auth;
mod backstage;
mod invalidate;
mod stats;
mod router;

pub(crate) use self::backstage::{Backstage, Readiness};
pub(crate) use self::router::router;
