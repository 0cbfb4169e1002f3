//! Random faults for a long time: does anything grow, and is anything stale?

use std::time::Duration;

use forebay_testkit::history::Bounds;
use forebay_testkit::proxy::{Connections, Direction, Ending, Fault, Pushes};
use forebay_testkit::resp::Value;
use tokio::time::sleep;

use crate::arguments::Arguments;
use crate::error::Error;
use crate::process::System;
use crate::random::Random;
use crate::row::Row;
use crate::stage::{LEASE, Setting, Stage};
use crate::suite::Outcome;
use crate::table;

/// Breaks something every few seconds and compares what the processes use at the end with what they used at the start.
pub(crate) async fn run(arguments: &Arguments) -> Result<Outcome, Error> {
    let system = System::Forebay(arguments.binary.clone());
    let setting = Setting { grace: GRACE, ..Setting::default() };
    let mut stage = Stage::set(setting, &system, arguments.pace, arguments.seed).await?;
    let mut random = Random::new(arguments.seed, "soak");
    let (mut complaints, mut reads, mut writes, mut faults) = (0, 0, 0, 0);
    let mut start = None;
    let end = stage.now().after(Duration::from_secs(60 * arguments.minutes));
    while stage.now() < end {
        let kind = Kind::ALL[random.below(Kind::ALL.len())];
        let begun = stage.now();
        kind.strike(&mut stage, &mut random).await?;
        let healed = stage.now();
        stage.synced().await?;
        sleep(CALM).await;
        let collected = stage.next_load(random.draw()).await?;
        let row = Row::judge(collected, Bounds { lease: LEASE, grace: GRACE }, begun, healed, None);
        (reads, writes, faults) = (reads + row.reads, writes + row.writes, faults + 1);
        if let Some(complaint) = row.complaint() {
            println!("{kind:?}: {complaint}");
            complaints += 1;
        }
        if start.is_none() && faults == WARM {
            start = Some(Usage::of(&stage).await?);
        }
    }
    stage.load.end().await?;
    let (start, last) = (start.ok_or("too short: nothing is warm yet")?, Usage::of(&stage).await?);
    let panics: usize = stage.instances.iter().map(|instance| instance.panics()).sum();
    let minutes = arguments.minutes;
    println!(
        "{minutes} min, {faults} faults, {reads} reads, {writes} invalidations: {complaints} rounds broken, {panics} panics"
    );
    let lines = start.lines(&last);
    println!("{HEAD}\n{}", lines.join("\n"));
    if let Some(docs) = &arguments.docs {
        let first = format!(
            "| length | {minutes} min | {faults} faults, {reads} reads, {writes} invalidations, {complaints} rounds with anything stale or failed |"
        );
        table::update(docs, "soak", HEAD, &[vec![first], lines].concat(), 1)?;
    }
    Ok(if complaints + panics == 0 { Outcome::Held } else { Outcome::Broken })
}

/// What can be broken.
#[derive(Clone, Copy, Debug)]
enum Kind {
    SubscribersKilled,
    MessagesLost,
    BusBlackhole,
    CutOff,
    ConnectionsReset,
    InstanceFrozen,
    InstanceReplaced,
    RedisFrozen,
    RedisRestarted,
    RedisFlushed,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::SubscribersKilled,
        Self::MessagesLost,
        Self::BusBlackhole,
        Self::CutOff,
        Self::ConnectionsReset,
        Self::InstanceFrozen,
        Self::InstanceReplaced,
        Self::RedisFrozen,
        Self::RedisRestarted,
        Self::RedisFlushed,
    ];

    /// Breaks it for up to four seconds.
    async fn strike(self, stage: &mut Stage, random: &mut Random) -> Result<(), Error> {
        let length = Duration::from_millis(500) + random.up_to(Duration::from_millis(3500));
        let victim = random.below(stage.instances.len());
        let blackhole = Fault::Blackhole(Direction::Both);
        match self {
            Self::SubscribersKilled => drop(stage.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await?),
            Self::MessagesLost => {
                stage.proxies[victim].inject(Connections::all(), Fault::DropPushes(Pushes::Every(3)))
            }
            Self::BusBlackhole => stage.proxies[victim].inject(Connections::subscribers(), blackhole),
            Self::CutOff => stage.proxies[victim].inject(Connections::all(), blackhole),
            Self::ConnectionsReset => stage.proxies[victim].end(&Connections::all(), Ending::Reset),
            Self::InstanceFrozen => {
                stage.load.spare(victim);
                stage.instances[victim].stop()?;
            }
            // Always the same one: in the others whatever grows can grow.
            Self::InstanceReplaced => stage.replace(stage.instances.len() - 1).await?,
            Self::RedisFrozen => stage.redis.stop()?,
            Self::RedisRestarted => stage.redis.kill()?,
            Self::RedisFlushed => drop(stage.command(&["FLUSHALL"]).await?),
        }
        sleep(length).await;
        stage.proxies[victim].heal();
        match self {
            Self::InstanceFrozen => stage.instances[victim].resume()?,
            Self::RedisFrozen => stage.redis.cont()?,
            Self::RedisRestarted => stage.redis.restart().await?,
            _ => {}
        }
        stage.load.spare_none();
        Ok(())
    }
}

/// What is used, of three instances the most.
#[derive(Debug, Default)]
struct Usage([(&'static str, u64); 7]);

impl Usage {
    async fn of(stage: &Stage) -> Result<Self, Error> {
        let mut most = [0; 5];
        for instance in &stage.instances {
            let now = [
                instance.resident()? >> 10,
                instance.stat("tasks").await?,
                instance.stat("open_files").await?,
                instance.stat("invalidated").await?,
                instance.stat("acknowledged").await?,
            ];
            most = std::array::from_fn(|at| most[at].max(now[at]));
        }
        let mut log = 0;
        for name in stage.keys("*}:l").await? {
            if let Value::Integer(members) = stage.command(&["ZCARD", &name]).await? {
                log += u64::try_from(members).unwrap_or_default();
            }
        }
        let [resident, tasks, files, invalidated, acknowledged] = most;
        Ok(Self([
            ("resident memory, KiB", resident),
            ("tasks", tasks),
            ("open files", files),
            ("invalidations in the table", invalidated),
            ("acknowledged, kept for the audit", acknowledged),
            ("members of the log in Redis", log),
            ("Redis' memory, KiB", stage.info("used_memory").await? >> 10),
        ]))
    }

    fn lines(&self, end: &Self) -> Vec<String> {
        let pairs = self.0.iter().zip(&end.0);
        pairs.map(|((name, start), (_, end))| format!("| {name} | {start} | {end} |")).collect()
    }
}

const HEAD: &str = "| | start | end |\n|---|---:|---:|";
const GRACE: Duration = Duration::from_secs(2);
/// Longer than the lease, so that what is stale beyond it can be seen.
const CALM: Duration = Duration::from_secs(4);
/// After so many faults everything has been used once.
const WARM: usize = 6;
