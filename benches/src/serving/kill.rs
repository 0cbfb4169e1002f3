//! The origin killed for ten seconds, under a steady load on entries that are stale most of the time.

use std::net::SocketAddr;
use std::time::Duration;

use forebay::Clock;
use forebay_core::time::Moment;
use forebay_testkit::http::{Answer, Client};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::forebay::Forebay;
use super::origin::Origin;
use super::{Error, Outcome};
use crate::outage::traffic::Random;
use crate::outage::{ms, quantile};
use crate::table::Table;

/// Measures with entries that say what may be done when the origin fails, and with entries that do not.
///
/// # Errors
/// When the measurement itself fails.
pub async fn run() -> Result<Outcome, Error> {
    let title = format!(
        "The origin killed for {} s; {RATE} requests/s on {KEYS} entries, fresh for a second each",
        GONE.as_secs()
    );
    let head = ["entries", "when", "requests", "failed", "stale-if-error", "p50 ms", "p99 ms", "max ms"];
    let mut table = Table::new(title, &head);
    let mut outcome = Outcome::Held;
    for (path, title) in [("erring", "stale-if-error"), ("plain", "no directive")] {
        let measured = measure(path).await?;
        outcome = outcome.and(Outcome::of(measured.samples.iter().all(|sample| sample.failed.is_none())));
        measured.add_rows(title, &mut table);
    }
    println!("{table}");
    Ok(outcome)
}

struct Sample {
    start: Moment,
    took: Duration,
    stale: bool,
    /// What came instead of an answer.
    failed: Option<String>,
}

struct Measured {
    samples: Vec<Sample>,
    gone: Moment,
    back: Moment,
}

impl Measured {
    fn add_rows(&self, title: &str, table: &mut Table) {
        let phases = [
            ("before", Moment::default(), self.gone),
            ("during", self.gone, self.back),
            ("after", self.back, Moment::NEVER),
        ];
        for (phase, from, to) in phases {
            let within = || self.samples.iter().filter(|sample| sample.start >= from && sample.start < to);
            let mut waits: Vec<_> = within().map(|sample| sample.took).collect();
            table.row(vec![
                title.to_owned(),
                phase.to_owned(),
                waits.len().to_string(),
                within().filter(|sample| sample.failed.is_some()).count().to_string(),
                within().filter(|sample| sample.stale).count().to_string(),
                ms(quantile(&mut waits, 0.5)),
                ms(quantile(&mut waits, 0.99)),
                ms(quantile(&mut waits, 1.0)),
            ]);
        }
        let mut failures: Vec<&str> =
            self.samples.iter().filter_map(|sample| sample.failed.as_deref()).collect();
        failures.sort_unstable();
        failures.dedup();
        failures.iter().take(5).for_each(|failure| println!("{title}: {failure}"));
    }
}

async fn measure(path: &'static str) -> Result<Measured, Error> {
    let origin = Origin::start()?;
    let (addr, clock) = (origin.addr(), Clock::system());
    let forebay = Forebay::start(addr, &[])?;
    let mut first = Client::new(forebay.addr());
    for key in 0..KEYS {
        first.get(&format!("/{path}/{key}")).await?;
    }
    let load = tokio::spawn(load(forebay.addr(), path));
    sleep(CALM).await;
    let gone = clock.now();
    origin.kill()?;
    sleep(GONE).await;
    let _origin = Origin::start_at(addr)?;
    let back = clock.now();
    Ok(Measured { samples: load.await?, gone, back })
}

/// A request every few milliseconds, whatever became of those before.
async fn load(addr: SocketAddr, path: &'static str) -> Vec<Sample> {
    let mut ticks = interval(Duration::from_micros(1_000_000 / RATE));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut requests, mut samples) = (JoinSet::new(), Vec::new());
    let (mut idle, mut random) = (Vec::<Client>::new(), Random(7));
    let length = CALM + GONE + CALM;
    for _ in 0..length.as_secs() * RATE {
        ticks.tick().await;
        while let Some(Ok((client, sample))) = requests.try_join_next() {
            idle.push(client);
            samples.push(sample);
        }
        let client = idle.pop().unwrap_or_else(|| Client::new(addr));
        requests.spawn(sample(client, format!("/{path}/{}", random.draw() % KEYS)));
    }
    samples.extend(requests.join_all().await.into_iter().map(|(_, sample)| sample));
    samples
}

async fn sample(mut client: Client, target: String) -> (Client, Sample) {
    let clock = Clock::system();
    let start = clock.now();
    let answer = client.get(&target).await;
    let took = clock.now().since(start);
    let stale = answer.as_ref().is_ok_and(|answer| answer.field("cache-status").contains("stale-if-error"));
    let failed = match answer {
        Ok(Answer { status: 200, .. }) => None,
        Ok(answer) => Some(format!("{} {}", answer.status, answer.field("cache-status"))),
        Err(error) => Some(error.to_string()),
    };
    (client, Sample { start, took, stale, failed })
}

const RATE: u64 = 500;
const KEYS: u64 = 64;
const CALM: Duration = Duration::from_secs(4);
const GONE: Duration = Duration::from_secs(10);
