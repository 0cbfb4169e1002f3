//! What the admin API sees of the server.

use std::sync::Arc;

use forebay::Cache;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;
use tokio::time::Instant;

/// What the admin API sees of the server.
#[derive(Clone)]
pub(crate) struct Backstage {
    pub(crate) cache: Cache,
    pub(crate) metrics: PrometheusHandle,
    pub(crate) namespace: Arc<str>,
    pub(crate) profile: &'static str,
    /// Whether there is an L2.
    pub(crate) shared: bool,
    pub(crate) started: Instant,
    pub(crate) readiness: watch::Receiver<Readiness>,
}

/// Whether the server takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    Ready,
    Draining,
}
