//! Four instances and one key that is nowhere: how often the origin is asked, and what becomes of it when the one that asks
//! dies.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use forebay::Clock;
use forebay_testkit::http::Client;
use forebay_testkit::redis::RedisServer;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::instance::{Instance, Turns};
use super::traffic::until_joined;
use super::{Error, Outcome, ms, quantile};
use crate::table::Table;

/// Measures both and prints a table of each.
///
/// # Errors
/// When the measurement itself fails.
pub async fn run() -> Result<Outcome, Error> {
    Ok(cold().await?.and(killed().await?))
}

/// A thousand requests at once on four instances.
async fn cold() -> Result<Outcome, Error> {
    let head = ["fill leases", "rounds", "origin calls, most", "failed", "p50 ms", "p99 ms", "slowest ms"];
    let title = format!(
        "{INSTANCES} instances, {REQUESTS} requests each for one cold key; the origin takes {TAKES:?}"
    );
    let mut table = Table::new(title, &head);
    let mut outcome = Outcome::Held;
    for (turns, name, most) in [(Turns::Yes, "on", 1), (Turns::No, "off", INSTANCES)] {
        let fleet = Fleet::start(turns).await?;
        let (mut calls, mut failed, mut waits) = (0, 0, Vec::new());
        for round in 0..ROUNDS {
            let key = format!("cold-{round}");
            let answers = fleet.ask_all(&key).await;
            failed += INSTANCES * REQUESTS - answers.len();
            waits.extend(answers);
            calls = calls.max(fleet.origin.calls(&key));
        }
        outcome = outcome.and(Outcome::of(calls <= most && failed == 0));
        table.row(vec![
            name.into(),
            ROUNDS.to_string(),
            calls.to_string(),
            failed.to_string(),
            ms(quantile(&mut waits, 0.5)),
            ms(quantile(&mut waits, 0.99)),
            ms(quantile(&mut waits, 1.0)),
        ]);
    }
    println!("{table}");
    Ok(outcome)
}

/// The holder of a lease killed (SIGKILL) while the others wait for what it fetches.
async fn killed() -> Result<Outcome, Error> {
    let title =
        format!("the instance that asks is killed while {} others wait; the term is {TERM:?}", INSTANCES - 1);
    let head = ["rounds", "origin calls, most", "failed", "p50 ms until the next asks", "slowest ms"];
    let mut table = Table::new(title, &head);
    let (mut waits, mut calls, mut failed) = (Vec::new(), 0, 0);
    let mut fleet = Fleet::start(Turns::Yes).await?;
    for round in 0..KILLS {
        let key = format!("stuck-{round}");
        let holder = fleet.instances.remove(0);
        let first = tokio::spawn(send(holder.addr(), key.clone()));
        fleet.origin.arrived(&key, 1).await?;
        let mut others = JoinSet::new();
        for instance in &fleet.instances {
            others.spawn(send(instance.addr(), key.clone()));
        }
        // They have looked and wait; not always for the same part of the term.
        sleep(Duration::from_millis(200 + 137 * round as u64)).await;
        let clock = Clock::system();
        let death = clock.now();
        drop(holder);
        fleet.origin.arrived(&key, 2).await?;
        waits.push(clock.now().since(death));
        first.abort();
        failed += others.join_all().await.into_iter().filter(|answer| answer.is_none()).count();
        calls = calls.max(fleet.origin.calls(&key));
        fleet.replace().await?;
    }
    let slowest = quantile(&mut waits, 1.0);
    table.row(vec![
        KILLS.to_string(),
        calls.to_string(),
        failed.to_string(),
        ms(quantile(&mut waits, 0.5)),
        ms(slowest),
    ]);
    println!("{table}");
    Ok(Outcome::of(calls == 2 && failed == 0 && slowest <= TERM + SLACK))
}

/// A Redis, an origin and the instances between them.
struct Fleet {
    redis: RedisServer,
    origin: Origin,
    instances: Vec<Instance>,
    turns: Turns,
}

impl Fleet {
    async fn start(turns: Turns) -> Result<Self, Error> {
        let (redis, origin) = (RedisServer::start().await?, Origin::start().await?);
        let mut fleet = Self { redis, origin, instances: Vec::new(), turns };
        for _ in 0..INSTANCES {
            fleet.replace().await?;
        }
        Ok(fleet)
    }

    /// One more instance, that has joined.
    async fn replace(&mut self) -> Result<(), Error> {
        let instance =
            Instance::start_taking(self.turns, &self.redis.url(), self.origin.addr, Duration::from_secs(30))?;
        self.instances.push(instance);
        let addrs: Vec<_> = self.instances.iter().map(Instance::addr).collect();
        timeout(PATIENCE, until_joined(&addrs)).await?;
        Ok(())
    }

    /// How long each answer took; those that failed are missing.
    async fn ask_all(&self, key: &str) -> Vec<Duration> {
        let mut requests = JoinSet::new();
        for _ in 0..REQUESTS {
            for instance in &self.instances {
                requests.spawn(send(instance.addr(), key.to_owned()));
            }
        }
        requests.join_all().await.into_iter().flatten().collect()
    }
}

async fn send(to: SocketAddr, key: String) -> Option<Duration> {
    let clock = Clock::system();
    let start = clock.now();
    let answer = timeout(PATIENCE, Client::new(to).get(&format!("/items/{key}"))).await.ok()?.ok()?;
    (answer.status == 200 && answer.body == "0").then(|| clock.now().since(start))
}

/// An origin that counts its calls. The first for a key that is called `stuck` is never answered.
struct Origin {
    calls: Arc<watch::Sender<HashMap<String, usize>>>,
    addr: SocketAddr,
    server: JoinHandle<()>,
}

impl Origin {
    async fn start() -> Result<Self, Error> {
        let calls = Arc::new(watch::Sender::new(HashMap::new()));
        let router = Router::new().route("/version/{name}", get(answer)).with_state(Arc::clone(&calls));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        // It never fails: a connection that breaks is its own affair.
        let server = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { calls, addr, server })
    }

    fn calls(&self, key: &str) -> usize {
        self.calls.borrow().get(key).copied().unwrap_or_default()
    }

    async fn arrived(&self, key: &str, calls: usize) -> Result<(), Error> {
        let mut told = self.calls.subscribe();
        let come = told.wait_for(|all| all.get(key).is_some_and(|count| *count >= calls));
        timeout(PATIENCE, come).await??;
        Ok(())
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(
    State(calls): State<Arc<watch::Sender<HashMap<String, usize>>>>,
    Path(name): Path<String>,
) -> &'static str {
    let mut number = 0;
    calls.send_modify(|calls| {
        let count = calls.entry(name.clone()).or_default();
        *count += 1;
        number = *count;
    });
    if name.starts_with("stuck") && number == 1 {
        std::future::pending::<()>().await;
    }
    if name.starts_with("cold") {
        sleep(TAKES).await;
    }
    "0"
}

const INSTANCES: usize = 4;
const REQUESTS: usize = 250;
const ROUNDS: usize = 20;
const KILLS: usize = 10;
const TAKES: Duration = Duration::from_millis(100);
const TERM: Duration = Duration::from_secs(2);
const SLACK: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(30);
