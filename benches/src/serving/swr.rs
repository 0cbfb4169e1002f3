//! A thousand requests at once for an entry that has just become stale and may be served while it is fetched anew.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use forebay::Clock;
use forebay_testkit::http::Client;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::forebay::Forebay;
use super::origin::{Origin, TAKES};
use super::{Error, Outcome};
use crate::outage::{ms, quantile};
use crate::table::Table;

/// Measures some rounds, and beside each the same number of requests for an entry that is fresh.
///
/// # Errors
/// When the measurement itself fails.
pub async fn run() -> Result<Outcome, Error> {
    let origin = Origin::start()?;
    let forebay = Forebay::start(origin.addr(), &[])?;
    let mut clients = connected(forebay.addr()).await?;
    let head = ["round", "entry", "requests", "origin calls", "failed", "p50 ms", "p99 ms", "max ms"];
    let title =
        format!("{REQUESTS} requests at once, each on a connection of its own; the origin takes {TAKES:?}");
    let mut table = Table::new(title, &head);
    let mut outcome = Outcome::Held;
    for round in 0..ROUNDS {
        let target = format!("/short/{round}");
        let mut first = Client::new(forebay.addr());
        first.get(&target).await?;
        let fresh = burst(&mut clients, &target, &origin).await?;
        // Beyond the second for which it is fresh.
        sleep(Duration::from_millis(1500)).await;
        let stale = burst(&mut clients, &target, &origin).await?;
        outcome = outcome.and(stale.outcome());
        table.row(fresh.row(round, "fresh"));
        table.row(stale.row(round, "stale"));
    }
    println!("{table}");
    Ok(outcome)
}

/// Clients whose connections are open.
async fn connected(addr: SocketAddr) -> Result<Vec<Client>, Error> {
    let mut clients = Vec::new();
    for _ in 0..REQUESTS {
        let mut client = Client::new(addr);
        client.get("/fixed/2048/warm").await?;
        clients.push(client);
    }
    Ok(clients)
}

struct Burst {
    calls: u64,
    failed: usize,
    waits: Vec<Duration>,
}

impl Burst {
    fn outcome(&self) -> Outcome {
        let slowest = self.waits.iter().max().copied().unwrap_or_default();
        Outcome::of(self.calls == 1 && self.failed == 0 && slowest < TAKES)
    }

    fn row(mut self, round: usize, entry: &str) -> Vec<String> {
        vec![
            round.to_string(),
            entry.to_owned(),
            self.waits.len().to_string(),
            self.calls.to_string(),
            self.failed.to_string(),
            ms(quantile(&mut self.waits, 0.5)),
            ms(quantile(&mut self.waits, 0.99)),
            ms(quantile(&mut self.waits, 1.0)),
        ]
    }
}

async fn burst(clients: &mut Vec<Client>, target: &str, origin: &Origin) -> Result<Burst, Error> {
    let before = origin.calls().await?;
    let start = Arc::new(Barrier::new(clients.len()));
    let mut requests = JoinSet::new();
    for mut client in clients.drain(..) {
        let (start, target) = (Arc::clone(&start), target.to_owned());
        requests.spawn(async move {
            let clock = Clock::system();
            start.wait().await;
            let sent = clock.now();
            let answer = client.get(&target).await;
            (client, clock.now().since(sent), answer)
        });
    }
    let (mut waits, mut failed) = (Vec::new(), 0);
    while let Some(answered) = requests.join_next().await {
        let (client, took, answer) = answered?;
        waits.push(took);
        failed += usize::from(!answer.is_ok_and(|answer| answer.status == 200 && answer.body.len() == 2048));
        clients.push(client);
    }
    // The origin has counted what is under way, and is done with it.
    sleep(TAKES + Duration::from_millis(300)).await;
    Ok(Burst { calls: origin.calls().await? - before, failed, waits })
}

const REQUESTS: usize = 1000;
const ROUNDS: usize = 5;
