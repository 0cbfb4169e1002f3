//! The admin listener beside the server.

use std::io;
use std::time::Duration;

use forebay::Cache;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::admin::{Backstage, Readiness, router};
use crate::config::{Config, Token};

/// Collects the metrics of this process. To be called before there is anything to be counted.
pub(super) fn collect_metrics() -> io::Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new().set_buckets(&BUCKETS).map_err(io::Error::other)?;
    builder.install_recorder().map_err(io::Error::other)
}

/// Serves the admin API until the task is aborted, which is what dropping this does.
#[derive(Debug)]
pub(super) struct Admin(JoinHandle<()>);

impl Admin {
    pub(super) fn start(
        listener: TcpListener,
        config: &Config,
        cache: &Cache,
        metrics: PrometheusHandle,
        token: Token,
        readiness: watch::Receiver<Readiness>,
    ) -> Self {
        let backstage = Backstage {
            cache: cache.clone(),
            metrics,
            namespace: config.namespace.as_str().into(),
            profile: config.profile.as_str(),
            shared: config.redis.is_some(),
            started: Instant::now(),
            readiness,
        };
        let upkeep = upkeep(backstage.metrics.clone());
        let router = router(backstage, token);
        Self(tokio::spawn(async move {
            tokio::select! {
                ended = axum::serve(listener, router) => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "the admin API has ended");
                    }
                }
                () = upkeep => {}
            }
        }))
    }
}

/// Keeps what was measured from piling up where nobody asks for it.
async fn upkeep(metrics: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        metrics.run_upkeep();
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Of an operation on Redis, in seconds.
const BUCKETS: [f64; 9] = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5];
const UPKEEP: Duration = Duration::from_secs(5);
