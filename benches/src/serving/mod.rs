//! What `forebay serve` does, as figures: the real process, a real origin in a process of its own, real sockets.
//!
//! How to run it stands in `bin/serving.rs` and `bin/proxies.rs`. From the inside: [`process`] starts programs and ends
//! them; [`forebay`] and [`origin`] are two of them; [`proxies`] stands Forebay beside the others that do its work. The
//! other modules are one measurement each.
//!
//! ```
//! use benches::serving::process::Scratch;
//!
//! let scratch = Scratch::new("example")?;
//! let path = scratch.path().to_owned();
//! assert!(path.is_dir());
//! drop(scratch);
//! assert!(!path.exists());
//! # Ok::<(), benches::serving::Error>(())
//! ```

pub mod process;

pub mod forebay;
pub mod origin;

pub mod abort;
pub mod events;
pub mod kill;
pub mod memory;
pub mod stream;
pub mod swr;

pub mod proxies;

pub use crate::outage::{Error, Outcome};
