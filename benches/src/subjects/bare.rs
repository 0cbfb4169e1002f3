//! No cache at all.

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http_body_util::Full;
use tokio::runtime::Runtime;

use crate::endpoint::{Endpoint, endpoint};
use crate::origin::{Leaf, Origin};
use crate::subjects::Subject;

pub(super) struct Bare;

impl Subject for Bare {
    fn name(&self) -> &'static str {
        "bare"
    }

    fn service(&self, _: &Runtime, origin: &Origin) -> Option<Box<dyn Endpoint>> {
        let leaf: Leaf<Full<Bytes>> = origin.leaf();
        Some(endpoint::<_, Body, _>(leaf))
    }

    fn router(&self, _: &Runtime, app: Router) -> Option<Router> {
        Some(app)
    }
}
