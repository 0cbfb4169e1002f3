//! An instance of a service: a process of its own that serves through the cache.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use forebay::{Authority, Cache, Clock, Redis, Tag};
use forebay_testkit::http::Client;
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpListener;

use super::Error;

/// A running instance. Dropping it kills it.
#[derive(Debug)]
pub struct Instance {
    child: Child,
    addr: SocketAddr,
}

impl Instance {
    /// Starts this program once more, as an instance on the Redis at `redis`.
    ///
    /// # Errors
    /// When the process cannot be started or does not tell its address.
    pub fn start(redis: &str, origin: SocketAddr, grace: Duration) -> Result<Self, Error> {
        Self::start_taking(Turns::Yes, redis, origin, grace)
    }

    /// The same, with fill leases or without.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_taking(
        turns: Turns,
        redis: &str,
        origin: SocketAddr,
        grace: Duration,
    ) -> Result<Self, Error> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([COMMAND, redis, &origin.to_string(), &grace.as_millis().to_string(), turns.as_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("the instance has no stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let addr = line.trim().parse().map_err(|_| "the instance ended at its start")?;
        Ok(Self { child, addr })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops the process (SIGSTOP).
    ///
    /// # Errors
    /// When it has ended.
    pub fn stop(&self) -> Result<(), Error> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// When it has ended.
    pub fn resume(&self) -> Result<(), Error> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), Error> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).ok_or("no process")?;
        Ok(kill_process(pid, signal)?)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // It has no state to lose; one that has ended already cannot be killed and need not be.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Whether instances take turns to ask the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turns {
    /// They do.
    Yes,
    /// Each asks for itself.
    No,
}

impl Turns {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "turns",
            Self::No => "no-turns",
        }
    }
}

struct Service {
    cache: Cache,
    origin: SocketAddr,
    idle: Mutex<Vec<Client>>,
}

/// What a process that was started with [`COMMAND`] does: it serves until whoever started it has gone.
///
/// # Errors
/// When its arguments are none, or the cache refuses them.
pub async fn run(arguments: &[String]) -> Result<(), Error> {
    let [redis, origin, grace, turns] = arguments else {
        return Err("an instance has four arguments".into());
    };
    let cache = Cache::builder("outage");
    let cache = if turns == Turns::No.as_str() { cache.without_fill_lease() } else { cache };
    let cache = cache
        .l2(Redis::url(redis)?)
        .authority(Authority::Fixed("outage".into()))
        .partition_grace(Duration::from_millis(grace.parse()?))
        .build()
        .await?;
    let service = Arc::new(Service { cache: cache.clone(), origin: origin.parse()?, idle: Mutex::default() });
    let router = Router::new()
        .route("/items/{name}", get(show).layer(cache.route().ttl("1h").tags(["{name}"])))
        .layer(cache.layer())
        .route("/invalidate/{name}", post(invalidate))
        .with_state(service);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?);
    let orphaned = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]));
    tokio::select! {
        served = axum::serve(listener, router) => Ok(served?),
        _ = orphaned => Ok(()),
    }
}

async fn show(State(service): State<Arc<Service>>, Path(name): Path<String>) -> Result<Vec<u8>, StatusCode> {
    let idle = || service.idle.lock().unwrap_or_else(PoisonError::into_inner);
    let client = idle().pop();
    let mut client = client.unwrap_or_else(|| Client::new(service.origin));
    let answer = client.get(&format!("/version/{name}")).await;
    idle().push(client);
    answer.map(|answer| answer.body.to_vec()).map_err(|_| StatusCode::BAD_GATEWAY)
}

/// Answers with the time at which the invalidation was confirmed, or, with 503, was found not to be.
async fn invalidate(State(service): State<Arc<Service>>, Path(name): Path<String>) -> (StatusCode, String) {
    let result = service.cache.invalidate(Tag(name)).await;
    let now = Clock::system().now().as_nanos().to_string();
    (if result.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, now)
}

/// The first argument of an instance's process.
pub const COMMAND: &str = "instance";
