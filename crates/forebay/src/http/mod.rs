//! The middleware: a tower layer, its service, its future and its body.
//!
//! `exchange` is where HTTP's rules and the tiers meet; it tells what happens to one request from top to bottom.

mod body;
mod key;
mod memo;
mod said;
mod scope;
mod token;
mod ranges;
mod wanted;
mod asked;
mod answer;
mod plan;
mod judge;
mod freshen;
mod verdict;
mod patience;
mod change;
mod ask;
mod exchange;
mod future;
mod service;
mod layer;

pub use self::body::ResponseBody;
pub use self::future::CacheFuture;
pub use self::judge::MustValidate;
pub use self::layer::{CacheLayer, InvalidatesLayer, RouteLayer};
pub use self::service::{CacheService, InvalidatesService};
