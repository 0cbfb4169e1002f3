//! hitbox-tower over hitbox-moka, with its default value format (JSON) and with bincode, which it offers.

use axum::Router;
use axum::body::Body as AxumBody;
use bytes::Bytes;
use hitbox::Config;
use hitbox::concurrency::{BroadcastConcurrencyManager, NoopConcurrencyManager};
use hitbox::policy::{ConcurrencyLimit, PolicyConfig};
use hitbox_backend::format::{BincodeFormat, Format, JsonFormat};
use hitbox_http::extractors::path::PathExtractor;
use hitbox_http::extractors::query::QueryExtractor;
use hitbox_http::extractors::{Method as MethodKey, NeutralExtractor, Path, query::Query};
use hitbox_http::predicates::request::Method;
use hitbox_http::predicates::response::StatusCode;
use hitbox_http::predicates::{NeutralRequestPredicate, NeutralResponsePredicate};
use hitbox_moka::MokaBackend;
use hitbox_tower::Cache;
use http_body::Body;
use http_body_util::Full;
use tokio::runtime::Runtime;
use tower_layer::Layer;

use crate::endpoint::{Endpoint, endpoint};
use crate::origin::{Leaf, Origin};
use crate::subjects::peers::LIFETIME;
use crate::subjects::{CAPACITY, Subject};

pub(super) struct Json;

impl Subject for Json {
    fn name(&self) -> &'static str {
        "hitbox-tower 0.2"
    }

    fn service(&self, _: &Runtime, origin: &Origin) -> Option<Box<dyn Endpoint>> {
        Some(service(JsonFormat, origin))
    }

    fn guarded_service(&self, _: &Runtime, origin: &Origin) -> Option<Box<dyn Endpoint>> {
        Some(guarded_service(JsonFormat, origin))
    }

    fn router(&self, _: &Runtime, app: Router) -> Option<Router> {
        Some(router(JsonFormat, app))
    }
}

pub(super) struct Bincode;

impl Subject for Bincode {
    fn name(&self) -> &'static str {
        "hitbox-tower 0.2, bincode"
    }

    fn service(&self, _: &Runtime, origin: &Origin) -> Option<Box<dyn Endpoint>> {
        Some(service(BincodeFormat, origin))
    }

    fn guarded_service(&self, _: &Runtime, origin: &Origin) -> Option<Box<dyn Endpoint>> {
        Some(guarded_service(BincodeFormat, origin))
    }

    fn router(&self, _: &Runtime, app: Router) -> Option<Router> {
        Some(router(BincodeFormat, app))
    }
}

fn service<F: Format + Clone + 'static>(format: F, origin: &Origin) -> Box<dyn Endpoint> {
    let leaf: Leaf<Full<Bytes>> = origin.leaf();
    let cache = Cache::builder().backend(backend(format)).config(config(None)).build();
    endpoint::<_, AxumBody, _>(cache.layer(leaf))
}

/// One request at a time may fill a key; the others wait for it.
fn guarded_service<F: Format + Clone + 'static>(format: F, origin: &Origin) -> Box<dyn Endpoint> {
    let leaf: Leaf<Full<Bytes>> = origin.leaf();
    let cache = Cache::builder()
        .backend(backend(format))
        .config(config(ConcurrencyLimit::new(1)))
        .concurrency_manager(BroadcastConcurrencyManager::new())
        .build();
    endpoint::<_, AxumBody, _>(cache.layer(leaf))
}

fn router<F: Format + Clone + 'static>(format: F, app: Router) -> Router {
    let cache = Cache::builder()
        .backend(backend(format))
        .config(config(None))
        .concurrency_manager(NoopConcurrencyManager)
        .build();
    app.layer(cache)
}

fn backend<F: Format>(format: F) -> MokaBackend<F> {
    MokaBackend::builder().max_entries(CAPACITY).value_format(format).build()
}

type Rules<B> = Config<
    Method<NeutralRequestPredicate<AxumBody>>,
    StatusCode<NeutralResponsePredicate<B>>,
    Query<Path<MethodKey<NeutralExtractor<AxumBody>>>>,
>;

fn config<B>(limit: Option<ConcurrencyLimit>) -> Rules<B>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Send,
{
    let policy = PolicyConfig::builder().ttl(LIFETIME);
    let policy = match limit {
        Some(limit) => policy.concurrency(limit),
        None => policy,
    };
    Config::builder()
        .request_predicate(Method::new(http::Method::GET).expect("GET is a method"))
        .response_predicate(StatusCode::new(http::StatusCode::OK))
        .extractor(MethodKey::new().path("/articles/{id}").query("page".to_owned()))
        .policy(policy.build())
        .build()
}
