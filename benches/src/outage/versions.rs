//! The origin: versions of some resources, over HTTP.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::Error;

/// How many resources are written to. Any other name is a resource that never changes.
pub const RESOURCES: usize = 64;

/// The versions, and the server that tells them.
#[derive(Debug)]
pub struct Versions {
    data: Arc<Data>,
    addr: SocketAddr,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Data {
    versions: [AtomicU64; RESOURCES],
    calls: AtomicU64,
}

impl Versions {
    /// Starts the server.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> Result<Self, Error> {
        let data = Arc::new(Data { versions: [const { AtomicU64::new(0) }; RESOURCES], calls: 0.into() });
        let router = Router::new().route("/version/{name}", get(answer)).with_state(Arc::clone(&data));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        // It never fails: a connection that breaks is its own affair.
        let server = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { data, addr, server })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Changes a resource and returns its new version.
    #[must_use]
    pub fn write(&self, resource: usize) -> u64 {
        self.data.versions[resource].fetch_add(1, Ordering::SeqCst) + 1
    }

    /// How often it was asked.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.data.calls.load(Ordering::Relaxed)
    }
}

impl Drop for Versions {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Reads the version, then takes its time: that is when an answer can be overtaken by a write.
async fn answer(State(data): State<Arc<Data>>, Path(name): Path<String>) -> String {
    data.calls.fetch_add(1, Ordering::Relaxed);
    let resource = name.strip_prefix('r').and_then(|number| number.parse::<usize>().ok());
    let version = resource.and_then(|resource| data.versions.get(resource));
    let version = version.map_or(0, |version| version.load(Ordering::SeqCst));
    tokio::time::sleep(TAKES).await;
    version.to_string()
}

const TAKES: Duration = Duration::from_millis(2);
