//! Parts that Forebay's tests are built from.
//!
//! - [`redis`]: a real `redis-server` of the test's own, to freeze, kill and restart.
//! - [`resp`]: Redis' wire protocol, as far as tests need it.

pub mod redis;
pub mod resp;
