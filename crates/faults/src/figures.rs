//! Figures that are no scenarios: how fast news spreads, and what the bookkeeping costs Redis.

use std::collections::BTreeMap;
use std::time::Duration;

use forebay_testkit::redis::RespConnection;
use tokio::time::sleep;

use crate::arguments::Arguments;
use crate::client::Client;
use crate::error::Error;
use crate::load::{self, Plan, What};
use crate::origin::{self, KEYS, Manner};
use crate::process::System;
use crate::random::Random;
use crate::row::quantile;
use crate::setting::Setting;
use crate::stage::Stage;
use crate::suite::Outcome;
use crate::table;

/// Measures what is named, or all: `propagation`, `bookkeeping`, `tag`.
pub(crate) async fn run(arguments: &Arguments) -> Result<Outcome, Error> {
    println!("{HEAD}");
    if arguments.wants("propagation") {
        tell(arguments, &propagation(arguments).await?)?;
    }
    if arguments.wants("bookkeeping") {
        tell(arguments, &bookkeeping(arguments).await?)?;
    }
    if arguments.wants("tag") {
        tell(arguments, &one_tag(arguments).await?)?;
    }
    Ok(Outcome::Held)
}

fn tell(arguments: &Arguments, lines: &[String]) -> Result<(), Error> {
    println!("{}", lines.join("\n"));
    arguments.docs.as_ref().map_or(Ok(()), |docs| table::update(docs, "figures", HEAD, lines, 1))
}

/// Ten instances that are written to and read only by what is measured.
async fn ten(arguments: &Arguments, plan: Plan, manner: Manner) -> Result<Stage, Error> {
    let setting = Setting { instances: 10, plan, manner, ..Setting::default() };
    Stage::set(setting, &System::Forebay(arguments.binary.clone()), arguments.pace, arguments.seed).await
}

/// From an Ok on one instance until another, drawn each time, answers without what was invalidated. It is asked again and
/// again, so that the time of one answer is in it.
async fn propagation(arguments: &Arguments) -> Result<Vec<String>, Error> {
    let manner = Manner { takes: Duration::ZERO, ..Manner::default() };
    let stage = ten(arguments, Plan { reads: 1, readers: 0, writes: 0 }, manner).await?;
    let mut random = Random::new(arguments.seed, "propagation");
    let mut readers: Vec<Client> =
        stage.instances.iter().map(|instance| Client::new(instance.addr())).collect();
    let mut writers: Vec<Client> = (0..10).map(|number| stage.load.writer.client(number)).collect();
    let (mut took, clock) = (Vec::new(), forebay_core::time::Clock::system());
    for round in 0..arguments.pace.choose(500, 50) {
        let (issuer, other, key) = (round % 10, (round + 1 + random.below(9)) % 10, random.below(KEYS));
        for _ in 0..2 {
            load::read(&mut readers[other], &clock, key, other)
                .await
                .got
                .map_err(|why| format!("{why:?}"))?;
        }
        let old = stage.load.writer.version(key);
        let written = stage.load.writer.write(&mut writers[issuer], What::Key(key), issuer).await;
        if written.confirmed != 1 {
            continue;
        }
        let confirmed = clock.now();
        let mut seen = load::read(&mut readers[other], &clock, key, other).await;
        while seen.got.is_ok_and(|(_, version)| version <= old) {
            seen = load::read(&mut readers[other], &clock, key, other).await;
        }
        // The last one that was stale began before this.
        took.push(seen.start.since(confirmed));
    }
    let [p50, p99, max] =
        [0.5, 0.99, 1.0].map(|share| quantile(&mut took, share).unwrap_or_default().as_secs_f64() * 1e3);
    let rounds = took.len();
    Ok(vec![format!(
        "| from Ok to its effect on another of 10 instances | p50 {p50:.2} ms, p99 {p99:.2} ms, longest {max:.2} ms, {rounds} times |"
    )])
}

/// Commands a second, and memory, of ten instances.
async fn bookkeeping(arguments: &Arguments) -> Result<Vec<String>, Error> {
    let seconds = arguments.pace.choose(20, 3);
    let mut lines = Vec::new();
    for (name, plan) in [
        ("idle", Plan { reads: 1, readers: 0, writes: 0 }),
        ("at 500 reads and 20 invalidations a second", Plan { reads: 50, readers: 5, writes: 20 }),
    ] {
        let mut stage = ten(arguments, plan, Manner::default()).await?;
        sleep(Duration::from_secs(2)).await;
        let before = calls(&stage).await?;
        sleep(Duration::from_secs(seconds)).await;
        let after = calls(&stage).await?;
        let rate = |name: &String| {
            (after[name] - before.get(name).copied().unwrap_or_default()) as f64 / seconds as f64
        };
        let mut rates: Vec<(f64, &String)> = after.keys().map(|name| (rate(name), name)).collect();
        rates.retain(|(rate, name)| *rate >= 0.5 && !["info", "keys"].contains(&name.as_str()));
        rates.sort_by(|a, b| b.0.total_cmp(&a.0));
        let shown: Vec<String> = rates.iter().map(|(rate, name)| format!("{name} {rate:.0}")).collect();
        lines.push(format!(
            "| Redis commands a second, 10 instances {name} (those within scripts counted too) | {} |",
            shown.join(", ")
        ));
        if name != "idle" {
            lines.push(memory(&stage).await?);
        }
        stage.load.end().await?;
    }
    Ok(lines)
}

/// What the keys of the bookkeeping take.
async fn memory(stage: &Stage) -> Result<String, Error> {
    let mut parts = Vec::new();
    for (ending, name) in [("v", "position"), ("i", "incarnation"), ("l", "log")] {
        for key in stage.keys(&format!("*}}:{ending}")).await? {
            let bytes = stage.number(&["MEMORY", "USAGE", &key, "SAMPLES", "0"]).await?;
            let members = if ending == "l" { stage.number(&["ZCARD", &key]).await? } else { 0 };
            let of = if members > 0 { format!(" of {members} members") } else { String::new() };
            parts.push(format!("{name}{of} {bytes}"));
        }
    }
    Ok(format!("| Redis memory of the bookkeeping then, bytes | {} |", parts.join(", ")))
}

/// How often each command has been called.
async fn calls(stage: &Stage) -> Result<BTreeMap<String, u64>, Error> {
    let info = stage.command(&["INFO", "commandstats"]).await?;
    let info = String::from_utf8_lossy(info.as_bytes().unwrap_or_default()).into_owned();
    let line = |line: &str| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
    };
    Ok(info.lines().filter_map(line).collect())
}

/// One tag, on as many frames as there are.
async fn one_tag(arguments: &Arguments) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    for frames in [100, arguments.pace.choose(1_000_000, 10_000)] {
        let setting = Setting {
            instances: 2,
            plan: Plan { reads: 1, readers: 0, writes: 0 },
            manner: Manner { length: 64, ..Manner::default() },
            ..Setting::default()
        };
        let system = System::Forebay(arguments.binary.clone());
        let stage = Stage::set(setting, &system, arguments.pace, arguments.seed).await?;
        // What an instance fetches before it has joined is not stored: others with the same tag follow.
        let (mut reader, mut keys) = (Client::new(stage.instances[0].addr()), origin::keys_of(0));
        let name = loop {
            reader.get(&origin::path(keys.next().ok_or("nothing is stored in Redis")?)).await?;
            sleep(Duration::from_millis(200)).await;
            if let Some(name) = stage.keys("*:e:*").await?.pop() {
                break name;
            }
        };
        copy(&stage, &name, frames).await?;
        let stored = stage.number(&["DBSIZE"]).await?;
        let before = calls(&stage).await?;
        let (mut took, mut client) = (Vec::new(), stage.load.writer.client(0));
        for _ in 0..TIMES {
            let start = stage.now();
            let done = stage.load.writer.write(&mut client, What::Tag(0), 0).await;
            took.push(stage.now().since(start));
            if done.confirmed != 1 {
                return Err("an invalidation was not confirmed".into());
            }
        }
        let after = calls(&stage).await?;
        let made = |name: &str| {
            after.get(name).copied().unwrap_or_default() - before.get(name).copied().unwrap_or_default()
        };
        let scripts = made("evalsha") + made("eval");
        let within: u64 =
            ["time", "get", "set", "zadd", "zscore", "zmscore", "zcard", "unlink", "publish", "getrange"]
                .map(made)
                .iter()
                .sum();
        let [p50, max] =
            [0.5, 1.0].map(|share| quantile(&mut took, share).unwrap_or_default().as_secs_f64() * 1e3);
        lines.push(format!(
            "| one tag on {frames} frames invalidated ({stored} keys in Redis) | p50 {p50:.2} ms, longest {max:.2} ms; {:.1} command, {:.1} within it |",
            scripts as f64 / TIMES as f64,
            within as f64 / TIMES as f64,
        ));
    }
    Ok(lines)
}

/// Copies a frame to other names: for an invalidation these are as many entries with its tags.
async fn copy(stage: &Stage, name: &str, frames: usize) -> Result<(), Error> {
    let stem = name.rsplit_once(':').map_or(name, |(stem, _)| stem);
    let mut connection = RespConnection::open(stage.redis.addr()).await?;
    for first in (0..frames).step_by(BATCH) {
        let batch = first..frames.min(first + BATCH);
        for number in batch.clone() {
            connection.send(["COPY", name, &format!("{stem}:{number:032x}")]).await?;
        }
        for _ in batch {
            connection.receive().await?;
        }
    }
    Ok(())
}

const HEAD: &str = "| | |\n|---|---|";
const TIMES: usize = 200;
const BATCH: usize = 500;
