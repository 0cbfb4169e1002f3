//! Parts that Forebay's tests are built from.
//!
//! - [`history`]: judges afterwards whether anything stale was served.
//! - [`http`]: a client that sends nothing twice and takes only whole answers.
//! - [`origin`]: an origin that counts its calls and holds them until the test lets them go on.
//! - [`clock`]: clocks that tests move.
//! - [`memory`]: an L2 in memory, shared by several instances, with faults on demand; published as `forebay-memory`.
//! - [`conformance`]: what every L2 must do, checked over any implementation.
//! - [`proxy`]: a TCP proxy that holds, loses, cuts and corrupts on demand, pub/sub messages one by one.
//! - [`redis`]: a real `redis-server` of the test's own, to freeze, kill and restart.
//! - [`resp`]: Redis' wire protocol, as far as tests need it.
//!
//! Modules import only what stands above them in this list; `cargo xtask check` enforces it.

pub mod history;
pub mod http;
pub mod origin;
pub mod resp;
pub mod redis;
pub mod clock;
pub mod conformance;
pub mod proxy;

pub use forebay_memory as memory;
