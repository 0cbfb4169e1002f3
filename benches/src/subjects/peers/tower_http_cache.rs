//! tower-http-cache in memory.
//!
//! Its service wants response bodies that are `Sync` and fails with a boxed error, so that a router takes it between two
//! small adapters; both are written here without a box.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use ::tower_http_cache::prelude::{
    CacheBackend, CacheLayer, CachePolicy, InMemoryBackend, RedisBackend, TagPolicy,
};
use axum::Router;
use axum::body::Body as AxumBody;
use axum::response::Response as AxumResponse;
use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use sync_wrapper::SyncWrapper;
use tokio::runtime::Runtime;
use tower::util::MapResponseLayer;
use tower::{ServiceBuilder, ServiceExt};
use tower_layer::Layer;

use crate::endpoint::{Endpoint, endpoint};
use crate::origin::{Leaf, Origin};
use crate::subjects::peers::LIFETIME;
use crate::subjects::peers::answered::Answered;
use crate::subjects::{CAPACITY, Subject, TagStore, Work};
use crate::workload::numbered;

pub(super) struct TowerHttpCache;

impl Subject for TowerHttpCache {
    fn name(&self) -> &'static str {
        "tower-http-cache 0.6"
    }

    fn service(&self, _: &Runtime, origin: &Origin) -> Option<Box<dyn Endpoint>> {
        let leaf: Leaf<Full<Bytes>> = origin.leaf();
        Some(endpoint::<_, AxumBody, _>(layer().layer(leaf)))
    }

    fn router(&self, _: &Runtime, app: Router) -> Option<Router> {
        let layers = ServiceBuilder::new()
            .layer(Answered)
            .layer(layer())
            .layer(MapResponseLayer::new(|response: AxumResponse| response.map(SyncBody::new)));
        Some(app.layer(layers))
    }

    fn l2_service(&self, runtime: &Runtime, origin: &Origin, url: &str) -> Option<Box<dyn Endpoint>> {
        let leaf: Leaf<Full<Bytes>> = origin.leaf();
        let client = redis::Client::open(url).expect("the launcher's URL is one");
        let connection = runtime.block_on(client.get_connection_manager()).expect("Redis answers");
        let layer = CacheLayer::builder(RedisBackend::new(connection)).ttl(LIFETIME).build();
        Some(endpoint::<_, AxumBody, _>(layer.layer(leaf)))
    }

    fn tag_stores(&self, _: &Runtime) -> Vec<Box<dyn TagStore>> {
        vec![Box::new(Tagged::new())]
    }
}

fn layer() -> CacheLayer<InMemoryBackend> {
    CacheLayer::builder(InMemoryBackend::new(CAPACITY)).ttl(LIFETIME).build()
}

/// axum's body is not `Sync`; a body is only ever polled through `&mut`, so that a wrapper can make it so. The size is
/// kept beside it, because the cache passes on what it does not know the size of.
struct SyncBody {
    body: SyncWrapper<AxumBody>,
    size: SizeHint,
}

impl SyncBody {
    fn new(body: AxumBody) -> Self {
        Self { size: body.size_hint(), body: SyncWrapper::new(body) }
    }
}

impl Body for SyncBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(self.body.get_mut()).poll_frame(context);
        self.size = self.body.get_mut().size_hint();
        polled
    }

    fn size_hint(&self) -> SizeHint {
        self.size
    }
}

/// The cache with a tag on every entry, filled and asked through its layer.
struct Tagged {
    backend: InMemoryBackend,
    layer: CacheLayer<InMemoryBackend>,
    origin: Origin,
}

impl Tagged {
    fn new() -> Self {
        let backend = InMemoryBackend::new(1_000_000);
        let policy = CachePolicy::default()
            .with_ttl(LIFETIME)
            .with_tag_policy(TagPolicy::new().with_enabled(true))
            .with_tag_extractor(|_, _| vec![TAG.to_owned()]);
        let layer = CacheLayer::builder(backend.clone()).policy(policy).build();
        Self { backend, layer, origin: Origin::new() }
    }

    async fn ask(&self, id: u64) {
        let leaf: Leaf<Full<Bytes>> = self.origin.leaf();
        let mut request = Request::new(AxumBody::empty());
        *request.uri_mut() = numbered(id);
        self.layer.layer(leaf).oneshot(request).await.expect("the service answers");
    }
}

impl TagStore for Tagged {
    fn name(&self) -> &'static str {
        "tower-http-cache 0.6"
    }

    fn fill(&mut self, entries: u64) -> Work<'_> {
        Box::pin(async move {
            for id in 0..entries {
                self.ask(id).await;
            }
        })
    }

    fn drop_tag(&mut self) -> Work<'_> {
        Box::pin(async {
            self.backend.invalidate_by_tag(TAG).await.expect("the backend knows tags");
        })
    }

    fn serves(&mut self) -> Pin<Box<dyn Future<Output = bool> + '_>> {
        Box::pin(async {
            let before = self.origin.calls();
            self.ask(0).await;
            self.origin.calls() == before
        })
    }
}

const TAG: &str = "articles";
