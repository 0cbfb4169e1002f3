//! axum-response-cache: one mutex around a map, for axum's request and response types only.
//!
//! It keeps every successful response, whatever the method or Cache-Control.

use ::axum_response_cache::CacheLayer;
use axum::Router;
use axum::body::Body;
use tokio::runtime::Runtime;
use tower_layer::Layer;

use crate::endpoint::{Endpoint, endpoint};
use crate::origin::{Leaf, Origin};
use crate::subjects::Subject;
use crate::subjects::peers::LIFETIME;

pub(super) struct AxumResponseCache;

impl Subject for AxumResponseCache {
    fn name(&self) -> &'static str {
        "axum-response-cache 0.5"
    }

    fn service(&self, _: &Runtime, origin: &Origin) -> Option<Box<dyn Endpoint>> {
        let leaf: Leaf<Body> = origin.leaf();
        Some(endpoint(CacheLayer::with_lifespan(LIFETIME).layer(leaf)))
    }

    fn router(&self, _: &Runtime, app: Router) -> Option<Router> {
        Some(app.layer(CacheLayer::with_lifespan(LIFETIME)))
    }
}
