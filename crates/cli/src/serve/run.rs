//! From settings to a server, and back to an exit code.

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use forebay::Cache;
use forebay_policy::status::CacheName;
use http::HeaderValue;
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower_layer::Layer;
use tracing::level_filters::LevelFilter;

use super::backstage::{Admin, collect_metrics};
use super::connection::{self, Limits, Phase};
use super::drain::{Drained, Signals, drain};
use super::fields::Peer;
use super::forward::Forward;
use super::forwarded::Trust;
use super::proxy::Proxy;
use crate::admin::Readiness;
use crate::config::{CacheStatus, Config, ConfigError};

/// What keeps the server from serving.
#[derive(Debug)]
pub(crate) enum Error {
    /// A setting that only the cache can judge.
    Config(ConfigError),
    /// An address that cannot be listened on.
    Listen(&'static str, SocketAddr, io::Error),
    /// The system refuses what no server can do without.
    System(io::Error),
    /// It was told a second time to end.
    Interrupted,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Listen(setting, address, error) => write!(f, "{setting} {address}: {error}"),
            Self::System(error) => error.fmt(f),
            Self::Interrupted => f.write_str("ended by a second signal, with requests under way"),
        }
    }
}

impl std::error::Error for Error {}

/// Writes the log to stderr, from this level on.
pub(crate) fn log_to_stderr(level: LevelFilter) {
    tracing_subscriber::fmt().with_writer(io::stderr).with_max_level(level).init();
}

/// Serves until a signal says to end, and then ends what is under way.
///
/// # Errors
/// [`Error`], before anything was served or at a second signal.
pub(crate) async fn serve(config: Config) -> Result<(), Error> {
    let mut signals = Signals::listen().map_err(Error::System)?;
    let listener = listen("--listen", config.listen).await?;
    let admin = match &config.admin {
        Some(admin) => {
            let listener = listen("--admin-listen", admin.listen).await?;
            Some((listener, collect_metrics().map_err(Error::System)?, admin.token.clone()))
        }
        None => None,
    };
    let cache = cache(&config).await?;
    introduce(&config, &listener, admin.as_ref().map(|(listener, ..)| listener)).map_err(Error::System)?;
    let (readiness, ready) = watch::channel(Readiness::Ready);
    let _admin = admin
        .map(|(listener, metrics, token)| Admin::start(listener, &config, &cache, metrics, token, ready));
    let (phase, serving) = watch::channel(Phase::Serving);
    let server = Server::new(&config, &cache, serving);
    tokio::select! {
        () = server.accept(&listener) => {}
        () = signals.next() => {}
    }
    drop((listener, server));
    readiness.send_replace(Readiness::Draining);
    match drain(phase, config.drain_timeout, &mut signals).await {
        Drained::Yes => Ok(()),
        Drained::Interrupted => Err(Error::Interrupted),
    }
}

async fn cache(config: &Config) -> Result<Cache, Error> {
    let mut builder = Cache::builder(&config.namespace).l1(config.l1).policy(config.policy.clone());
    builder = builder.upkeep(config.upkeep.clone());
    builder = builder.compression(config.compression).failover(config.failover);
    if let Some(secret) = &config.secret {
        builder = builder.secret(secret.bytes());
    }
    if let Some(redis) = &config.redis {
        builder = builder.l2(redis.clone());
    }
    if let Some(lease) = config.lease {
        builder = builder.lease(lease);
    }
    if let Some(grace) = config.partition_grace {
        builder = builder.partition_grace(grace);
    }
    if config.read_your_writes {
        builder = builder.read_your_writes();
    }
    builder = match &config.cache_status {
        CacheStatus::Off => builder.without_cache_status(),
        CacheStatus::Named(name) => builder.name(name),
    };
    builder.build().await.map_err(|error| Error::Config(ConfigError::Cache(error)))
}

async fn listen(setting: &'static str, address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|error| Error::Listen(setting, address, error))
}

/// The one line that says what was started.
fn introduce(config: &Config, listener: &TcpListener, admin: Option<&TcpListener>) -> io::Result<()> {
    let (address, origin) = (listener.local_addr()?, &config.origin.authority);
    let (profile, redis) = (config.profile.as_str(), if config.redis.is_some() { "yes" } else { "no" });
    let mut line = format!(
        "forebay {VERSION}: listening on http://{address}, origin http://{origin}, profile {profile}, redis {redis}"
    );
    if let Some(admin) = admin {
        line += &format!(", admin on http://{}", admin.local_addr()?);
    }
    writeln!(io::stdout(), "{line}")
}

/// What every new connection needs.
struct Server {
    proxy: Arc<Proxy>,
    limits: Limits,
    trusted: Vec<IpNet>,
    phase: watch::Receiver<Phase>,
}

impl Server {
    fn new(config: &Config, cache: &Cache, phase: watch::Receiver<Phase>) -> Self {
        let forward =
            Forward::new(config.origin.authority.clone(), config.origin_timeout, config.origin_idle_timeout);
        let name = match &config.cache_status {
            CacheStatus::Off => None,
            CacheStatus::Named(name) => CacheName::new(name).ok().map(Arc::new),
        };
        let proxy = Proxy {
            cache: cache.layer().layer(forward),
            name,
            max_body: config.max_body,
            pause: config.idle_timeout,
        };
        let limits = Limits {
            header_bytes: config.max_header_bytes,
            header_read: config.header_read_timeout,
            idle: config.idle_timeout,
        };
        Self { proxy: Arc::new(proxy), limits, trusted: config.trusted_proxies.clone(), phase }
    }

    /// Takes connections, each on a task of its own. Never ends by itself.
    async fn accept(&self, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => self.take(stream, peer),
                Err(error) => {
                    tracing::error!(%error, "a connection cannot be accepted");
                    // Most likely there are too many open files: without a pause this would take a whole processor.
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn take(&self, stream: TcpStream, peer: SocketAddr) {
        // Without it an answer is delayed, which is no reason to refuse it.
        drop(stream.set_nodelay(true));
        let address = peer.ip().to_canonical();
        let Ok(value) = HeaderValue::try_from(address.to_string()) else { return };
        let peer = Peer { address: value, trust: Trust::of(address, &self.trusted) };
        tokio::spawn(connection::serve(
            stream,
            peer,
            Arc::clone(&self.proxy),
            self.limits,
            self.phase.clone(),
        ));
    }
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
const PAUSE: Duration = Duration::from_millis(50);
