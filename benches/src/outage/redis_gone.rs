//! Redis killed, or frozen, under a steady load on two instances.

use std::sync::Arc;
use std::time::Duration;

use forebay::Clock;
use forebay_core::time::Moment;
use forebay_testkit::history::HistoryChecker;
use forebay_testkit::http::Client;
use forebay_testkit::redis::RedisServer;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::instance::Instance;
use super::traffic::{Confirmation, From, Random, Sample, Written, name, until_joined, write};
use super::versions::Versions;
use super::{Error, Outcome, ms, quantile};
use crate::table::Table;

/// How Redis goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// SIGKILL; it comes back empty.
    Killed,
    /// SIGSTOP; it comes back as it was.
    Frozen,
}

/// Measures with a grace of 30 s and with none.
///
/// # Errors
/// When the measurement itself fails.
pub async fn run(how: How) -> Result<Outcome, Error> {
    let title = format!("Redis {how:?} for 5 s; 500 requests/s on two instances, one in ten for a new key")
        .to_lowercase();
    let head = [
        "grace", "when", "requests", "failed", "p50 ms", "p99 ms", "max ms", "l1", "unsynced", "l2", "origin",
    ];
    let mut table = Table::new(title, &head);
    let mut lines = Vec::new();
    let mut outcome = Outcome::Held;
    for grace in [Duration::from_secs(30), Duration::ZERO] {
        let measured = measure(how, grace).await?;
        measured.add_rows(grace, &mut table);
        lines.push(measured.summary(grace));
        outcome = outcome.and(measured.outcome(grace));
    }
    println!("{table}");
    lines.iter().for_each(|line| println!("  {line}"));
    Ok(outcome)
}

struct Measured {
    samples: Vec<Sample>,
    written: Vec<Written>,
    gone: Moment,
    back: Moment,
}

impl Measured {
    fn phases(&self) -> [(&'static str, Moment, Moment); 3] {
        [
            ("before", Moment::default(), self.gone),
            ("during", self.gone, self.back),
            ("after", self.back, Moment::NEVER),
        ]
    }

    fn within(&self, from: Moment, to: Moment) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| sample.start >= from && sample.start < to)
    }

    fn add_rows(&self, grace: Duration, table: &mut Table) {
        for (phase, from, to) in self.phases() {
            let mut waits: Vec<_> = self.within(from, to).map(|sample| sample.took).collect();
            let count = |wanted: fn(Option<From>) -> bool| {
                self.within(from, to).filter(|sample| wanted(sample.got.map(|got| got.0))).count().to_string()
            };
            table.row(vec![
                format!("{grace:?}"),
                phase.to_owned(),
                waits.len().to_string(),
                count(|from| from.is_none()),
                ms(quantile(&mut waits, 0.5)),
                ms(quantile(&mut waits, 0.99)),
                ms(quantile(&mut waits, 1.0)),
                count(|from| matches!(from, Some(From::L1 | From::Flight))),
                count(|from| from == Some(From::Unsynced)),
                count(|from| from == Some(From::L2)),
                count(|from| from == Some(From::Origin)),
            ]);
        }
    }

    /// When both instances answered from L1 in sync again, counted from Redis' return.
    fn coherent_again(&self) -> Option<Duration> {
        let first = |instance| {
            let synced = self.samples.iter().filter(|sample| {
                let from = sample.got.map(|got| got.0);
                sample.instance == instance && sample.start >= self.back && from == Some(From::L1)
            });
            synced.map(|sample| sample.start).min()
        };
        Some(first(0)?.max(first(1)?).since(self.back))
    }

    fn unsynced(&self) -> usize {
        self.samples.iter().filter(|sample| matches!(sample.got, Some((From::Unsynced, _)))).count()
    }

    fn failed(&self) -> usize {
        self.samples.iter().filter(|sample| sample.got.is_none()).count()
    }

    /// Stale answers beyond the lease and the grace, and those of the issuer after it was told `Unconfirmed`.
    fn stale(&self, grace: Duration) -> (usize, usize, Duration) {
        let (mut confirmed, mut local) = (HistoryChecker::new(), HistoryChecker::new());
        for sample in &self.samples {
            let Some(read) = sample.to_read() else { continue };
            if read.instance == 0 {
                local.read(read.clone());
            }
            confirmed.read(read);
        }
        for (write, confirmation) in &self.written {
            local.write(write.clone());
            if *confirmation == Confirmation::Confirmed {
                confirmed.write(write.clone());
            }
        }
        let confirmed = confirmed.check(LEASE + grace);
        (confirmed.stale.len(), local.check(Duration::ZERO).stale.len(), confirmed.longest_behind)
    }

    fn summary(&self, grace: Duration) -> String {
        let (stale, local, behind) = self.stale(grace);
        let unconfirmed = self
            .written
            .iter()
            .filter(|(_, confirmation)| *confirmation == Confirmation::Unconfirmed)
            .count();
        let again = self.coherent_again().map_or("never".to_owned(), |time| format!("{} ms", ms(time)));
        format!(
            "grace {grace:?}: failed {}, stale {stale}, stale on the issuer after Ok or Unconfirmed {local}, longest behind {} ms, \
             {} of {} invalidations unconfirmed, both in sync again {again} after Redis' return",
            self.failed(),
            ms(behind),
            unconfirmed,
            self.written.len(),
        )
    }

    fn outcome(&self, grace: Duration) -> Outcome {
        let (stale, local, _) = self.stale(grace);
        let graceful = !grace.is_zero() || self.unsynced() == 0;
        Outcome::of(
            self.failed() == 0 && stale == 0 && local == 0 && graceful && self.coherent_again().is_some(),
        )
    }
}

async fn measure(how: How, grace: Duration) -> Result<Measured, Error> {
    let redis = RedisServer::start().await?;
    let versions = Arc::new(Versions::start().await?);
    let a = Instance::start(&redis.url(), versions.addr(), grace)?;
    let b = Instance::start(&redis.url(), versions.addr(), grace)?;
    let addrs = [a.addr(), b.addr()];
    until_joined(&addrs).await;

    let (stop, stopped) = watch::channel(());
    let clients = addrs.map(|addr| (0..CLIENTS).map(|_| Client::new(addr)).collect());
    let load = tokio::spawn(load(clients, stopped.clone()));
    let writes = tokio::spawn(write_all(Client::new(addrs[0]), Arc::clone(&versions), stopped));
    let clock = Clock::system();
    sleep(BEFORE).await;
    let gone = clock.now();
    match how {
        How::Killed => redis.kill()?,
        How::Frozen => redis.stop()?,
    }
    sleep(GONE).await;
    let back = match how {
        How::Killed => {
            redis.restart().await?;
            clock.now()
        }
        How::Frozen => {
            redis.cont()?;
            clock.now()
        }
    };
    sleep(AFTER).await;
    drop(stop);
    Ok(Measured { samples: load.await?, written: writes.await?, gone, back })
}

/// A request every two milliseconds, whatever became of those before.
async fn load(clients: [Vec<Client>; 2], mut stopped: watch::Receiver<()>) -> Vec<Sample> {
    let pools: Vec<_> = clients
        .into_iter()
        .map(|clients| {
            let (give, take) = mpsc::unbounded_channel();
            clients.into_iter().for_each(|client| drop(give.send(client)));
            (give, take)
        })
        .collect();
    let (givers, mut takers): (Vec<_>, Vec<_>) = pools.into_iter().unzip();
    let mut ticks = interval(Duration::from_micros(1_000_000 / RATE));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut requests = JoinSet::new();
    let mut random = Random(7);
    for number in 0_usize.. {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.changed() => break,
        }
        let instance = number % 2;
        // Every client busy: that many requests wait already, which no figure could hide.
        let Ok(mut client) = takers[instance].try_recv() else { continue };
        let name = if number % 20 < 2 { format!("new-{number}") } else { name(random.draw()) };
        let give = givers[instance].clone();
        requests.spawn(async move {
            let sample = Sample::take(&mut client, name, instance).await;
            drop(give.send(client));
            sample
        });
    }
    requests.join_all().await
}

async fn write_all(
    mut client: Client,
    versions: Arc<Versions>,
    mut stopped: watch::Receiver<()>,
) -> Vec<Written> {
    let (mut random, mut written) = (Random(3), Vec::new());
    loop {
        tokio::select! {
            () = sleep(Duration::from_millis(100)) => {}
            _ = stopped.changed() => return written,
        }
        written.extend(write(&mut client, &versions, random.draw(), 0).await);
    }
}

const RATE: u64 = 500;
const CLIENTS: usize = 400;
const LEASE: Duration = Duration::from_secs(2);
const BEFORE: Duration = Duration::from_secs(8);
const GONE: Duration = Duration::from_secs(5);
const AFTER: Duration = Duration::from_secs(8);
