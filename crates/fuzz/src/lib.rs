//! Fuzz targets: one function for each parser, which feeds it any bytes and then checks what must hold of the answer.
//!
//! A target asks for more than that nothing panics: bounds, round trips, that more input never permits more, or that a
//! naive model written anew comes to the same. `cargo xtask fuzz` runs them under libFuzzer; the tests of this package run
//! them on the corpora that are committed, with any toolchain.
//!
//! ```
//! for (name, target) in forebay_fuzz::TARGETS {
//!     println!("{name}");
//!     target(b"max-age=60");
//! }
//! ```

mod input;

mod age;

mod cache_control;

mod cache_status;

mod conditions;

mod date;

mod exchange;

mod frame;

mod freshen;

mod groups;

mod key;

mod location;

mod parts;

mod range;

mod targeted;

mod vary;

mod targets;

pub use age::age;
pub use cache_control::cache_control;
pub use cache_status::cache_status;
pub use conditions::conditions;
pub use date::date;
pub use exchange::exchange;
pub use frame::frame;
pub use freshen::freshen;
pub use groups::groups;
pub use key::key;
pub use location::location;
pub use parts::parts;
pub use range::range;
pub use targeted::targeted;
pub use targets::{TARGETS, Target};
pub use vary::vary;
