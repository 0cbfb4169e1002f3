//! What a scenario acts on: a Redis, an origin, instances with a fault proxy each between them and Redis, and a load.

use std::time::Duration;

use forebay_core::time::{Clock, Moment};
use forebay_testkit::history::Bounds;
use forebay_testkit::proxy::FaultProxy;
use forebay_testkit::redis::{RedisBuilder, RedisServer, SentinelGroup};
use forebay_testkit::resp::Value;
use tokio::time::sleep;

use crate::error::Error;
use crate::load::{Collected, From, Load, Plan, Sample};
use crate::origin::{Manner, Origin};
use crate::process::{Instance, Ports, Scrap, System};
use crate::row::{Row, ms};

/// How long each part of a scenario takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) before: Duration,
    pub(crate) during: Duration,
    pub(crate) after: Duration,
    pub(crate) length: Length,
}

/// Which of the two lengths the suite has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// For figures.
    Full,
    /// For every change.
    Short,
}

impl Pace {
    /// A full run: half of `seconds` is the fault's.
    pub(crate) fn full(seconds: u64) -> Self {
        let part = |share: f64| Duration::from_secs(seconds).mul_f64(share);
        Self { before: part(0.2), during: part(0.5), after: part(0.3), length: Length::Full }
    }

    /// A short run. What comes after is longer than the lease, or nothing stale could be seen.
    pub(crate) fn short() -> Self {
        let [before, during, after] = [500, 3500, 3000].map(Duration::from_millis);
        Self { before, during, after, length: Length::Short }
    }

    /// One number for a full run, another for a short one.
    pub(crate) fn choose<T>(self, full: T, short: T) -> T {
        if self.length == Length::Full { full } else { short }
    }
}

/// What a scenario starts from.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) instances: usize,
    /// How long L1 is served while Redis cannot be reached. None where nobody is cut off: then any answer beyond the lease is
    /// one too many.
    pub(crate) grace: Duration,
    pub(crate) redis: RedisBuilder,
    pub(crate) topology: Topology,
    pub(crate) manner: Manner,
    pub(crate) plan: Plan,
    /// More settings of `forebay serve`.
    pub(crate) more: Vec<&'static str>,
    /// Whether the origin goes wrong on purpose, so that what it fails is no failure of the cache.
    pub(crate) faulty_origin: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            instances: 3,
            grace: Duration::ZERO,
            redis: RedisServer::builder(),
            topology: Topology::One,
            manner: Manner::default(),
            plan: Plan::default(),
            more: Vec::new(),
            faulty_origin: false,
        }
    }
}

/// What the instances share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topology {
    /// A Redis, with a fault proxy in front of it for each instance.
    One,
    /// Whichever of two Redis the sentinels name as the master. Nobody uses the stage's own Redis then.
    Sentinels,
}

/// A scenario under way.
pub(crate) struct Stage {
    pub(crate) redis: RedisServer,
    pub(crate) sentinels: Option<SentinelGroup>,
    pub(crate) origin: Origin,
    pub(crate) proxies: Vec<FaultProxy>,
    pub(crate) instances: Vec<Instance>,
    pub(crate) load: Load,
    pub(crate) pace: Pace,
    pub(crate) seed: u64,
    pub(crate) setting: Setting,
    /// What the scenario itself has read and written.
    pub(crate) noted: Collected,
    clock: Clock,
    begun: Option<Moment>,
    healed: Option<Moment>,
    figures: Vec<String>,
    /// Reads between these are what a guarantee leaves open; they are counted apart.
    open: Option<(Moment, Moment)>,
    /// Panics of instances that have been replaced.
    panicked: usize,
    /// The instance whose last answers from memory are told, and since when it is cut off.
    watched: Option<(usize, Moment)>,
    system: System,
    scrap: Scrap,
}

impl Stage {
    /// Starts everything, and the load once all instances follow Redis.
    pub(crate) async fn set(setting: Setting, system: &System, pace: Pace, seed: u64) -> Result<Self, Error> {
        let redis = setting.redis.clone().start().await?;
        let sentinels = match setting.topology {
            Topology::One => None,
            Topology::Sentinels => Some(SentinelGroup::builder().start().await?),
        };
        let origin = Origin::start(setting.manner.clone(), seed).await?;
        let (scrap, mut proxies, mut instances) = (Scrap::new()?, Vec::new(), Vec::new());
        for _ in 0..setting.instances {
            let proxy = FaultProxy::start(redis.addr()).await?;
            let url = sentinels.as_ref().map_or_else(|| redis.url_at(proxy.addr()), SentinelGroup::url);
            let args = arguments(&setting, system, &origin, &url);
            instances.push(Instance::start(system, &scrap, Ports::any(), &args).await?);
            proxies.push(proxy);
        }
        for instance in &instances {
            instance.synced().await?;
        }
        let load = Load::start(&setting.plan, &instances, origin.writable(), seed);
        let (begun, healed, open, figures) = (None, None, None, Vec::new());
        let clock = Clock::system();
        Ok(Self {
            redis,
            sentinels,
            origin,
            proxies,
            instances,
            load,
            pace,
            seed,
            setting,
            noted: Collected::default(),
            clock,
            begun,
            healed,
            figures,
            open,
            panicked: 0,
            watched: None,
            system: system.clone(),
            scrap,
        })
    }

    /// Now, on the clock of all samples.
    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// The fault begins. Said by the runner.
    pub(crate) fn begin(&mut self) {
        self.begun = Some(self.now());
    }

    /// The fault is over. Said by the runner, unless the scenario has.
    pub(crate) fn heal(&mut self) {
        self.healed = self.healed.or(Some(self.now()));
    }

    /// Reads that begin between these moments are what a guarantee leaves open.
    pub(crate) fn leave_open(&mut self, from: Moment, to: Moment) {
        self.open = Some((from, to));
    }

    /// Tells for how long this instance, cut off at that moment, answered from its memory.
    pub(crate) fn watch(&mut self, instance: usize, cut: Moment) {
        self.watched = Some((instance, cut));
    }

    /// Notes a figure of the scenario's own.
    pub(crate) fn note(&mut self, figure: impl Into<String>) {
        self.figures.push(figure.into());
    }

    /// Lets the fault last.
    pub(crate) async fn wait(&self) {
        sleep(self.pace.during).await;
    }

    /// Sends a command to Redis, past all proxies.
    pub(crate) async fn command(&self, words: &[&str]) -> Result<Value, Error> {
        Ok(self.redis.command(words).await?)
    }

    /// A command that Redis answers with a number.
    pub(crate) async fn number(&self, words: &[&str]) -> Result<i64, Error> {
        match self.command(words).await? {
            Value::Integer(number) => Ok(number),
            other => Err(format!("{words:?} is answered with {other:?}").into()),
        }
    }

    /// The names of Redis' keys with this ending. For the suite alone: it looks at every key.
    pub(crate) async fn keys(&self, pattern: &str) -> Result<Vec<String>, Error> {
        let Value::Array(names) = self.command(&["KEYS", pattern]).await? else { return Ok(Vec::new()) };
        let text = |value: &Value| value.as_bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        Ok(names.iter().filter_map(text).collect())
    }

    /// A number from Redis' `INFO`.
    pub(crate) async fn info(&self, name: &str) -> Result<u64, Error> {
        let info = self.command(&["INFO", "all"]).await?;
        let info = String::from_utf8_lossy(info.as_bytes().unwrap_or_default()).into_owned();
        let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Ok(value.ok_or_else(|| format!("INFO has no {name}"))?.parse()?)
    }

    /// Waits until every instance follows its Redis, and returns how long that took.
    pub(crate) async fn synced(&self) -> Result<Duration, Error> {
        let from = self.now();
        for instance in &self.instances {
            instance.synced().await?;
        }
        Ok(self.now().since(from))
    }

    /// Replaces an instance by a new one, as a deployment does: it is taken out of the load, killed, started where it was, and put
    /// back when it follows Redis.
    pub(crate) async fn replace(&mut self, instance: usize) -> Result<(), Error> {
        self.load.take_out(instance).await;
        let ports = self.instances[instance].kill().await?;
        self.panicked += self.instances[instance].panics();
        let proxied = || self.redis.url_at(self.proxies[instance].addr());
        let url = self.sentinels.as_ref().map_or_else(proxied, SentinelGroup::url);
        let args = arguments(&self.setting, &self.system, &self.origin, &url);
        self.instances[instance] = Instance::start(&self.system, &self.scrap, ports, &args).await?;
        self.instances[instance].synced().await?;
        self.load.put_back(instance);
        Ok(())
    }

    /// Begins another load where the last one has ended, and hands over what that one has noted.
    pub(crate) async fn next_load(&mut self, seed: u64) -> Result<Collected, Error> {
        let collected = self.load.end().await?;
        self.load = Load::start(&self.setting.plan, &self.instances, self.origin.writable(), seed);
        Ok(collected)
    }

    /// The sum of a counter over all instances and over all series for which `counts` is true.
    pub(crate) async fn metric(&self, name: &str, counts: impl Fn(&str) -> bool) -> u64 {
        let mut sum = 0;
        for instance in &self.instances {
            sum += instance.metric(name, &counts).await.unwrap_or_default();
        }
        sum
    }

    /// How many stores L2 has refused, for which reasons.
    pub(crate) async fn refusals(&self) -> u64 {
        self.metric("cache_stores_total", |labels| !labels.contains("result=\"stored\"")).await
    }

    /// How many panics the instances have reported, those that were replaced included.
    pub(crate) fn panics(&self) -> usize {
        self.panicked + self.instances.iter().map(Instance::panics).sum::<usize>()
    }

    /// Ends the load and judges what it has noted.
    pub(crate) async fn end(mut self, id: &str, title: &str, system: &System) -> Result<Row, Error> {
        let mut collected = self.load.end().await?;
        let panics = self.panics();
        collected.absorb(self.noted);
        let bounds = Bounds { lease: LEASE, grace: self.setting.grace };
        let (begun, healed) = (self.begun.unwrap_or_default(), self.healed.unwrap_or_default());
        if let Some((instance, cut)) = self.watched {
            self.figures.push(last_answers(&collected.samples, instance, cut, healed));
        }
        let mut row = Row::judge(collected, bounds, begun, healed, self.open);
        row.id = id.to_owned();
        row.title = title.to_owned();
        row.system = system.name().to_owned();
        row.panics = panics;
        row.own = self.figures.join(", ");
        if self.setting.faulty_origin {
            row.excuse_origin(self.origin.wrong());
        }
        Ok(row)
    }
}

/// For how long an instance answered from its memory after it was cut off.
fn last_answers(samples: &[Sample], instance: usize, cut: Moment, healed: Moment) -> String {
    let within = samples.iter().filter(|sample| sample.instance == instance && sample.start < healed);
    let last = |wanted: From| {
        let from_there = within.clone().filter(|sample| sample.got.is_ok_and(|(from, _)| from == wanted));
        ms(from_there.map(|sample| sample.start.since(cut)).max().unwrap_or_default())
    };
    format!(
        "last answer from L1 {} ms after the cut, unsynced {} ms (lease {})",
        last(From::L1),
        last(From::Unsynced),
        ms(LEASE),
    )
}

fn arguments(setting: &Setting, system: &System, origin: &Origin, redis: &str) -> Vec<String> {
    let mut args =
        vec!["--origin".into(), format!("http://{}", origin.addr()), "--redis".into(), redis.into()];
    if *system != System::Plain {
        let grace = format!("{}ms", setting.grace.as_millis());
        args.extend(
            ["--namespace", "faults", "--lease", "2s", "--partition-grace", &grace].map(str::to_owned),
        );
        args.extend(setting.more.iter().map(|&more| more.to_owned()));
    }
    args
}

/// How long L1 is trusted without news.
pub(crate) const LEASE: Duration = Duration::from_secs(2);
