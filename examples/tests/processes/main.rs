//! The examples as their users meet them: as processes, alone and with a Redis.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod others;
mod quickstart;
mod support;
