//! What is measured. A new subject is a module here and a line in [`all`].

mod bare;
mod floor;
mod forebay;
#[cfg(feature = "peers")]
mod peers;

use std::future::Future;
use std::pin::Pin;

use axum::Router;
use tokio::runtime::Runtime;

use crate::endpoint::Endpoint;
use crate::origin::Origin;

/// Every subject, the reference rows first.
pub fn all() -> Vec<Box<dyn Subject>> {
    let registered: [Vec<Box<dyn Subject>>; _] = [
        vec![Box::new(bare::Bare)],
        vec![Box::new(floor::Floor)],
        forebay::all(),
        #[cfg(feature = "peers")]
        peers::all(),
    ];
    registered.into_iter().flatten().collect()
}

/// A cache, or what stands in for one, as the suites need it. A method that returns `None` leaves its suite out.
///
/// The methods are called outside of the runtime that they are given, so that they may block on it.
pub trait Subject {
    /// The name of its rows.
    fn name(&self) -> &'static str;

    /// Stands in front of the origin as a tower service.
    fn service(&self, runtime: &Runtime, origin: &Origin) -> Option<Box<dyn Endpoint>>;

    /// The same with what it offers against stampedes switched on, where that is an option.
    fn guarded_service(&self, runtime: &Runtime, origin: &Origin) -> Option<Box<dyn Endpoint>> {
        self.service(runtime, origin)
    }

    /// The same with every entry in the Redis at `url`, and none in the process.
    fn l2_service(&self, _runtime: &Runtime, _origin: &Origin, _url: &str) -> Option<Box<dyn Endpoint>> {
        None
    }

    /// Stands in front of an axum application as a layer.
    fn router(&self, runtime: &Runtime, app: Router) -> Option<Router>;

    /// Its stores with tags.
    fn tag_stores(&self, _runtime: &Runtime) -> Vec<Box<dyn TagStore>> {
        Vec::new()
    }
}

/// A store whose entries can be invalidated by tag.
pub trait TagStore {
    /// The name of its rows.
    fn name(&self) -> &'static str;

    /// Stores `entries` entries that carry one tag.
    fn fill(&mut self, entries: u64) -> Work<'_>;

    /// Invalidates that tag.
    fn drop_tag(&mut self) -> Work<'_>;

    /// Whether an entry of the tag would still be served.
    fn serves(&mut self) -> Pin<Box<dyn Future<Output = bool> + '_>>;
}

/// Work on a [`TagStore`].
pub type Work<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Entries a subject has room for, where it asks.
pub(crate) const CAPACITY: u64 = 10_000;
