//! Forebay with everything on: Age, Cache-Status, freshness, coherence, metrics that somebody records.

use std::future::Future;
use std::pin::Pin;
use std::sync::Once;

use ::forebay::{Cache, CacheBuilder, CacheService, L1, Redis, RouteLayer, Tag};
use axum::Router;
use axum::body::Body as AxumBody;
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request};
use http_body_util::Full;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::runtime::Runtime;
use tower_layer::Layer;
use tower_service::Service;

use crate::endpoint::{Endpoint, endpoint, stored};
use crate::origin::{Leaf, Origin};
use crate::subjects::{Subject, TagStore, Work};
use crate::workload::{Requests, Workload, numbered};

pub(super) fn all() -> Vec<Box<dyn Subject>> {
    vec![Box::new(Layered), Box::new(Annotated)]
}

/// The layer around everything: responses say themselves how long they are fresh, and routes of a router are annotated.
struct Layered;

impl Subject for Layered {
    fn name(&self) -> &'static str {
        "forebay"
    }

    fn service(&self, runtime: &Runtime, origin: &Origin) -> Option<Box<dyn Endpoint>> {
        let leaf: Leaf<Full<Bytes>> = origin.leaf();
        Some(endpoint::<_, AxumBody, _>(built(runtime, builder()).layer().layer(leaf)))
    }

    fn l2_service(&self, runtime: &Runtime, origin: &Origin, url: &str) -> Option<Box<dyn Endpoint>> {
        let redis = Redis::url(url).expect("the launcher's URL is one");
        // No entry is as small as one byte: L1 keeps none, and every answer comes from Redis.
        let cache = built(runtime, builder().l1(L1::bytes(64 << 10).max_entry(1)).l2(redis));
        let leaf: Leaf<Full<Bytes>> = origin.leaf();
        let mut service = endpoint::<_, AxumBody, _>(cache.layer().layer(leaf));
        runtime.block_on(stored(&mut *service, &mut Requests::new(Workload::SameKey), origin));
        Some(service)
    }

    fn router(&self, runtime: &Runtime, app: Router) -> Option<Router> {
        let cache = built(runtime, builder());
        Some(app.route_layer(annotation(&cache)).layer(cache.layer()))
    }

    fn tag_stores(&self, runtime: &Runtime) -> Vec<Box<dyn TagStore>> {
        vec![Box::new(Tagged::new(runtime))]
    }
}

/// The annotation of a route, and no layer around it.
struct Annotated;

impl Subject for Annotated {
    fn name(&self) -> &'static str {
        "forebay: route alone"
    }

    fn service(&self, runtime: &Runtime, origin: &Origin) -> Option<Box<dyn Endpoint>> {
        let leaf: Leaf<Full<Bytes>> = origin.leaf();
        let layer = built(runtime, builder()).route().ttl(LIFETIME).tags([TAG]);
        Some(endpoint::<_, AxumBody, _>(layer.layer(leaf)))
    }

    fn router(&self, runtime: &Runtime, app: Router) -> Option<Router> {
        Some(app.route_layer(annotation(&built(runtime, builder()))))
    }
}

fn builder() -> CacheBuilder {
    recorded();
    Cache::builder("bench")
}

fn built(runtime: &Runtime, builder: CacheBuilder) -> Cache {
    runtime.block_on(builder.build()).expect("the settings are in their ranges")
}

fn annotation(cache: &Cache) -> RouteLayer {
    cache.route().ttl(LIFETIME).tags(["article:{id}", TAG])
}

/// Without a recorder the metrics would cost nothing.
fn recorded() {
    static RECORDER: Once = Once::new();
    RECORDER.call_once(|| {
        metrics::set_global_recorder(PrometheusBuilder::new().build_recorder())
            .expect("nobody else in this program records metrics");
    });
}

/// The cache with a tag on every entry, filled and asked through its layer.
struct Tagged {
    cache: Cache,
    service: CacheService<Leaf<Full<Bytes>>>,
    origin: Origin,
}

impl Tagged {
    fn new(runtime: &Runtime) -> Self {
        let cache = built(runtime, builder().l1(L1::bytes(1 << 30)));
        let origin = Origin::new();
        let service = cache.route().ttl(LIFETIME).tags([TAG]).layer(origin.leaf());
        Self { cache, service, origin }
    }

    async fn ask(&mut self, id: u64) {
        let mut request = Request::new(AxumBody::empty());
        *request.uri_mut() = numbered(id);
        request.headers_mut().insert(HOST, HeaderValue::from_static("shop.example"));
        self.service.call(request).await.expect("the service answers");
        // The entry is stored by a task, which is ready to run.
        tokio::task::yield_now().await;
    }
}

impl TagStore for Tagged {
    fn name(&self) -> &'static str {
        "forebay"
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
            self.cache.invalidate(Tag(TAG)).await.expect("there is no Redis to wait for");
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

const LIFETIME: &str = "1h";
const TAG: &str = "articles";
