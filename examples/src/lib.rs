//! What the examples share: the environment's settings, the log, the articles.
//!
//! Each example is a binary of its own in `src/bin`, with its command in its first comment.

mod articles;
mod start;

pub use articles::{Articles, Unreachable, etag};
pub use start::{Error, listen, now, redis, run};

/// Compiles what README.md shows.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// Compiles what docs/http.md shows.
#[cfg(doctest)]
#[doc = include_str!("../../docs/http.md")]
struct Http;
