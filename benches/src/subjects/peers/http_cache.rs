//! http-cache-tower-server over moka.
//!
//! What it stores is JSON inside postcard, decoded on each hit. Its default key leaves the query out, so the keyer that
//! takes it in, which it offers, is used.

use ::http_cache::MokaManager;
use axum::Router;
use axum::body::Body as AxumBody;
use bytes::Bytes;
use http_body_util::Full;
use http_cache_tower_server::{QueryKeyer, ServerCacheLayer};
use moka::future::Cache;
use tokio::runtime::Runtime;
use tower::ServiceBuilder;
use tower_layer::Layer;

use crate::endpoint::{Endpoint, endpoint};
use crate::origin::{Leaf, Origin};
use crate::subjects::peers::answered::Answered;
use crate::subjects::{CAPACITY, Subject};

pub(super) struct HttpCache;

impl Subject for HttpCache {
    fn name(&self) -> &'static str {
        "http-cache-tower-server 0.2"
    }

    fn service(&self, _: &Runtime, origin: &Origin) -> Option<Box<dyn Endpoint>> {
        let leaf: Leaf<Full<Bytes>> = origin.leaf();
        Some(endpoint::<_, AxumBody, _>(layer().layer(leaf)))
    }

    fn router(&self, _: &Runtime, app: Router) -> Option<Router> {
        Some(app.layer(ServiceBuilder::new().layer(Answered).layer(layer())))
    }
}

fn layer() -> ServerCacheLayer<MokaManager, QueryKeyer> {
    ServerCacheLayer::with_keyer(MokaManager::new(Cache::new(CAPACITY)), QueryKeyer)
}
