//! The course of a soak.

use std::time::Duration;

use forebay_core::time::Moment;
use forebay_testkit::history::{Bounds, HistoryChecker};
use tokio::time::sleep;

use super::fault::{self, Kind};
use super::usage::Usage;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::process::System;
use crate::random::Random;
use crate::row::Row;
use crate::setting::Setting;
use crate::stage::{LEASE, Stage};
use crate::suite::Outcome;
use crate::table;

/// Breaks something every few seconds and compares what the processes use at the end with what they used at the start, both
/// times after a rest without load. What is slow is waited for; what went wrong is told at once and counted, and the soak goes on.
pub(crate) async fn run(arguments: &Arguments) -> Result<Outcome, Error> {
    let length = Duration::from_secs(60 * arguments.minutes);
    let mut soak = Soak::begin(arguments).await?;
    let begun = soak.stage.now();
    while soak.stage.now() < begun.after(WARM.min(length / 4)) {
        soak.round().await?;
    }
    let start = soak.rest().await?;
    soak.tell(begun, &start);
    let end = begun.after(length);
    while soak.stage.now() < end {
        let minute = soak.stage.now().after(MINUTE).min(end);
        while soak.stage.now() < minute {
            soak.round().await?;
        }
        let now = soak.usage().await?;
        soak.tell(begun, &now);
    }
    let end = soak.rest().await?;
    let lines = soak.lines(begun, &start, &end);
    println!("{HEAD}\n{}", lines.join("\n"));
    if let Some(docs) = &arguments.docs {
        table::replace(docs, "soak", HEAD, &lines)?;
    }
    Ok(soak.tally.outcome())
}

struct Soak {
    stage: Stage,
    random: Random,
    tally: Tally,
    /// The most that was used at any time.
    most: Usage,
    /// What the last round has confirmed: what is answered now must show it, too.
    known: HistoryChecker,
}

/// What a soak has come to.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    faults: usize,
    reads: usize,
    writes: u64,
    stale: usize,
    failed: usize,
    panics: usize,
    /// Rounds that could not be brought to their end.
    broken_off: usize,
}

impl Soak {
    async fn begin(arguments: &Arguments) -> Result<Self, Error> {
        let system = System::Forebay(arguments.binary.clone());
        let setting = Setting { grace: GRACE, ..Setting::default() };
        Ok(Self {
            stage: Stage::set(setting, &system, arguments.pace, arguments.seed).await?,
            random: Random::new(arguments.seed, "soak"),
            tally: Tally::default(),
            most: Usage::default(),
            known: HistoryChecker::new(),
        })
    }

    /// One fault, and what was answered meanwhile.
    async fn round(&mut self) -> Result<(), Error> {
        let kind = Kind::draw(&mut self.random);
        let begun = self.stage.now();
        let struck = kind.strike(&mut self.stage, &mut self.random).await;
        let healed = self.stage.now();
        let synced = match struck {
            Ok(()) => self.stage.synced().await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = synced {
            println!("{kind:?} is broken off: {error}");
            self.tally.broken_off += 1;
            if self.tally.broken_off == ENOUGH {
                return Err("the soak is given up".into());
            }
            fault::mend(&mut self.stage).await?;
        }
        sleep(CALM).await;
        let mut collected = self.stage.next_load(self.random.draw()).await?;
        let confirmed = collected.history.confirmed();
        collected.history.absorb(std::mem::replace(&mut self.known, confirmed));
        let bounds = Bounds { lease: LEASE, grace: GRACE };
        let row = Row::judge(collected, bounds, begun, healed, None);
        self.tally.count(&row);
        self.tally.panics = self.stage.panics();
        if let Some(complaint) = row.complaint() {
            println!("{kind:?}: {complaint}");
        }
        Ok(())
    }

    async fn usage(&mut self) -> Result<Usage, Error> {
        let now = Usage::of(&self.stage).await?;
        self.most = self.most.or_more(now);
        Ok(now)
    }

    /// What is used once no client is connected and nothing is under way.
    async fn rest(&mut self) -> Result<Usage, Error> {
        let known = self.stage.load.end().await?;
        self.known.absorb(known.history.confirmed());
        sleep(CALM).await;
        let now = self.usage().await?;
        self.stage.next_load(self.random.draw()).await?;
        Ok(now)
    }

    fn tell(&self, begun: Moment, usage: &Usage) {
        let minutes = self.stage.now().since(begun).as_secs_f64() / 60.0;
        println!("{minutes:.1} min: {}; {}", self.tally.brief(), usage.brief());
    }

    fn lines(&self, begun: Moment, start: &Usage, end: &Usage) -> Vec<String> {
        let minutes = self.stage.now().since(begun).as_secs() / 60;
        let mut lines = vec![format!("| {minutes} min | | | {} |", self.tally.brief())];
        lines.extend(start.lines(end, &self.most));
        lines
    }
}

impl Tally {
    fn count(&mut self, row: &Row) {
        self.faults += 1;
        self.reads += row.reads;
        self.writes += row.writes;
        self.stale += row.stale;
        self.failed += row.failed();
    }

    fn brief(&self) -> String {
        let Self { faults, reads, writes, stale, failed, panics, broken_off } = self;
        let mut text = format!(
            "{faults} faults, {reads} reads, {writes} invalidations, {stale} stale, {failed} failed, {panics} panics"
        );
        if *broken_off > 0 {
            text += &format!(", {broken_off} rounds broken off");
        }
        text
    }

    fn outcome(&self) -> Outcome {
        let wrong = self.stale + self.failed + self.panics + self.broken_off;
        if wrong == 0 { Outcome::Held } else { Outcome::Broken }
    }
}

const HEAD: &str = "| | start | end | most |\n|---|---:|---:|---:|";
const GRACE: Duration = Duration::from_secs(2);
/// Longer than the lease, so that what is stale beyond it can be seen.
const CALM: Duration = Duration::from_secs(4);
/// From then on caches, tables and the allocator hold what they hold.
const WARM: Duration = Duration::from_secs(120);
const MINUTE: Duration = Duration::from_secs(60);
/// So many rounds may end early before it is pointless to go on.
const ENOUGH: usize = 5;
