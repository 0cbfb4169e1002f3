//! Two instances on one Redis under load: was anything stale served, with this or that broken?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use forebay::Clock;
use forebay_testkit::history::{HistoryChecker, Verdict};
use forebay_testkit::http::Client;
use forebay_testkit::proxy::{Connections, Direction, Ending, Fault, FaultProxy};
use forebay_testkit::redis::RedisServer;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::instance::Instance;
use super::traffic::{Confirmation, From, Random, Sample, name, until_joined, write};
use super::versions::Versions;
use super::{Error, Outcome, ms};
use crate::table::Table;

/// What happens to the second instance while both are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    BusKilled,
    BusBlackholed,
    Stopped,
    Partitioned,
}

impl Trouble {
    const ALL: [(Self, &'static str); 5] = [
        (Self::None, "undisturbed"),
        (Self::BusKilled, "subscriber killed every 500 ms"),
        (Self::BusBlackholed, "subscriber blackholed 5 s of 8"),
        (Self::Stopped, "process stopped 5 s of 8"),
        (Self::Partitioned, "cut off from Redis 5 s of 8, no grace"),
    ];

    /// Makes trouble for ever.
    async fn make(self, proxy: &FaultProxy, instance: &Instance) -> Result<(), Error> {
        let bus = Connections::subscribers();
        let cycle = async || sleep(CALM).await;
        loop {
            match self {
                Self::None => std::future::pending().await,
                Self::BusKilled => {
                    sleep(Duration::from_millis(500)).await;
                    proxy.end(&bus, Ending::Reset);
                }
                Self::BusBlackholed | Self::Partitioned => {
                    let who = if self == Self::Partitioned { Connections::all() } else { bus.clone() };
                    cycle().await;
                    proxy.inject(who, Fault::Blackhole(Direction::Both));
                    sleep(TROUBLE).await;
                    proxy.heal();
                }
                Self::Stopped => {
                    cycle().await;
                    instance.stop()?;
                    sleep(TROUBLE).await;
                    instance.resume()?;
                }
            }
        }
    }
}

/// Runs every scenario and prints a row for each.
///
/// # Errors
/// When the measurement itself fails.
pub async fn run() -> Result<Outcome, Error> {
    let head = [
        "second instance",
        "reads",
        "l1",
        "l2",
        "origin",
        "failed",
        "writes",
        "stale: issuer",
        "stale: l2",
        "stale: other beyond lease",
        "longest behind, ms",
    ];
    let mut table =
        Table::new("Two instances, one Redis, lease 2 s: write, invalidate, Ok; reads on both", &head);
    let mut outcome = Outcome::Held;
    for (trouble, title) in Trouble::ALL {
        let measured = measure(trouble).await?;
        outcome = outcome.and(measured.outcome());
        table.row(measured.row(title));
        if measured.outcome() == Outcome::Broken {
            println!("{title}: {}", measured.verdict);
        }
    }
    println!("{table}");
    Ok(outcome)
}

struct Measured {
    verdict: Verdict,
    from: [usize; 3],
    failed: usize,
    writes: usize,
}

impl Measured {
    fn outcome(&self) -> Outcome {
        Outcome::of(self.verdict.stale.is_empty() && self.failed == 0 && self.verdict.reads >= READS)
    }

    fn row(&self, title: &str) -> Vec<String> {
        use forebay_testkit::history::Tier;
        let stale = |wanted: fn(&forebay_testkit::history::Stale) -> bool| {
            self.verdict.stale.iter().filter(|stale| wanted(stale)).count().to_string()
        };
        let [l1, l2, origin] = self.from.map(|count| count.to_string());
        let rest = [
            self.failed.to_string(),
            self.writes.to_string(),
            stale(|stale| stale.read.instance == stale.write.issuer && stale.read.tier != Tier::L2),
            stale(|stale| stale.read.tier == Tier::L2),
            stale(|stale| stale.read.instance != stale.write.issuer && stale.read.tier != Tier::L2),
            ms(self.verdict.longest_behind),
        ];
        [title.to_owned(), self.verdict.reads.to_string(), l1, l2, origin].into_iter().chain(rest).collect()
    }
}

#[derive(Default)]
struct Shared {
    reads: AtomicUsize,
    failed: AtomicUsize,
    from: [AtomicUsize; 3],
    end: AtomicBool,
}

async fn measure(trouble: Trouble) -> Result<Measured, Error> {
    let redis = RedisServer::start().await?;
    let versions = Arc::new(Versions::start().await?);
    let proxy = FaultProxy::start(redis.addr()).await?;
    let grace = if trouble == Trouble::Partitioned { Duration::ZERO } else { Duration::from_secs(30) };
    let a = Instance::start(&redis.url(), versions.addr(), grace)?;
    let b = Instance::start(&proxy.url(), versions.addr(), grace)?;
    let addrs = [a.addr(), b.addr()];
    until_joined(&addrs).await;

    let shared = Arc::new(Shared::default());
    let mut tasks = JoinSet::new();
    for (instance, addr) in addrs.into_iter().enumerate() {
        for number in 0..READERS {
            let (random, shared) = (Random((instance * READERS) as u64 + number as u64), Arc::clone(&shared));
            tasks.spawn(read(Client::new(addr), instance, random, shared));
        }
    }
    tasks.spawn(write_all(Client::new(addrs[0]), Arc::clone(&versions), Arc::clone(&shared)));
    let clock = Clock::system();
    let start = clock.now();
    let load = async {
        while clock.now().since(start) < LENGTH || shared.reads.load(Ordering::Relaxed) < READS {
            sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = load => {}
        trouble = trouble.make(&proxy, &b) => trouble?,
    }
    proxy.heal();
    b.resume()?;
    shared.end.store(true, Ordering::Relaxed);
    let mut history = HistoryChecker::new();
    let mut writes = 0;
    while let Some(collected) = tasks.join_next().await {
        let (own, written) = collected?;
        history.absorb(own);
        writes += written;
    }
    let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    Ok(Measured {
        verdict: history.check(LEASE),
        from: [&shared.from[0], &shared.from[1], &shared.from[2]].map(count),
        failed: count(&shared.failed),
        writes,
    })
}

async fn read(
    mut client: Client,
    instance: usize,
    mut random: Random,
    shared: Arc<Shared>,
) -> (HistoryChecker, usize) {
    let mut history = HistoryChecker::new();
    while !shared.end.load(Ordering::Relaxed) {
        let sample = Sample::take(&mut client, name(random.draw()), instance).await;
        let count = |count: &AtomicUsize| count.fetch_add(1, Ordering::Relaxed);
        match sample.got {
            Some((From::L1 | From::Unsynced | From::Flight, _)) => count(&shared.from[0]),
            Some((From::L2, _)) => count(&shared.from[1]),
            Some((From::Origin, _)) => count(&shared.from[2]),
            None => count(&shared.failed),
        };
        count(&shared.reads);
        sample.to_read().into_iter().for_each(|read| history.read(read));
    }
    (history, 0)
}

async fn write_all(
    mut client: Client,
    versions: Arc<Versions>,
    shared: Arc<Shared>,
) -> (HistoryChecker, usize) {
    let (mut history, mut random, mut writes) = (HistoryChecker::new(), Random(99), 0);
    while !shared.end.load(Ordering::Relaxed) {
        let written = write(&mut client, &versions, random.draw(), 0).await;
        if let Some((write, Confirmation::Confirmed)) = written {
            history.write(write);
            writes += 1;
        }
        sleep(Duration::from_millis(5)).await;
    }
    (history, writes)
}

const READS: usize = 100_000;
const READERS: usize = 8;
const LEASE: Duration = Duration::from_secs(2);
const LENGTH: Duration = Duration::from_secs(24);
const CALM: Duration = Duration::from_secs(3);
/// Longer than the lease.
const TROUBLE: Duration = Duration::from_secs(5);
