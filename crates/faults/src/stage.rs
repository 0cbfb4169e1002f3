//! What a scenario acts on: a Redis, an origin, instances with a fault proxy each between them and Redis, and a load.

use std::time::Duration;

use forebay_core::time::{Clock, Moment};
use forebay_testkit::history::Bounds;
use forebay_testkit::proxy::FaultProxy;
use forebay_testkit::redis::{RedisCluster, RedisServer, SentinelGroup};
use forebay_testkit::resp::Value;
use tokio::time::sleep;

use crate::error::Error;
use crate::load::{Collected, From, Load, Sample};
use crate::origin::Origin;
use crate::process::{Instance, Ports, Scrap, System};
use crate::row::{Row, ms};
use crate::setting::{Pace, Setting, Topology};

/// A scenario under way.
pub(crate) struct Stage {
    pub(crate) redis: RedisServer,
    shared: Shared,
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
        let shared = Shared::start(setting.topology).await?;
        let origin = Origin::start(setting.manner.clone(), seed).await?;
        let (scrap, mut proxies, mut instances) = (Scrap::new()?, Vec::new(), Vec::new());
        for number in 0..setting.instances {
            let proxy = FaultProxy::start(redis.addr()).await?;
            let url = shared.url(&redis, &proxy);
            let args = arguments(&setting, system, &origin, &url, secret(&setting, &scrap, number)?);
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
            shared,
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

    /// The sentinels and their servers.
    pub(crate) fn sentinels(&self) -> Result<&SentinelGroup, Error> {
        match &self.shared {
            Shared::Sentinels(group) => Ok(group),
            Shared::One | Shared::Cluster(_) => Err("no sentinels".into()),
        }
    }

    /// The cluster.
    pub(crate) fn cluster(&self) -> Result<&RedisCluster, Error> {
        match &self.shared {
            Shared::Cluster(cluster) => Ok(cluster),
            Shared::One | Shared::Sentinels(_) => Err("no cluster".into()),
        }
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
        let url = self.shared.url(&self.redis, &self.proxies[instance]);
        let secret = secret(&self.setting, &self.scrap, instance)?;
        let args = arguments(&self.setting, &self.system, &self.origin, &url, secret);
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

    /// The most resident memory that an instance has, in bytes.
    pub(crate) fn resident(&self) -> Result<u64, Error> {
        self.instances.iter().try_fold(0, |most, instance| Ok(most.max(instance.resident()?)))
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

/// What there is beside the stage's own Redis.
enum Shared {
    One,
    Sentinels(SentinelGroup),
    Cluster(RedisCluster),
}

impl Shared {
    async fn start(topology: Topology) -> Result<Self, Error> {
        Ok(match topology {
            Topology::One => Self::One,
            Topology::Sentinels => Self::Sentinels(SentinelGroup::builder().start().await?),
            Topology::Cluster { replicas } => {
                Self::Cluster(RedisCluster::builder().replicas(replicas).start().await?)
            }
        })
    }

    /// What an instance is to connect to.
    fn url(&self, redis: &RedisServer, proxy: &FaultProxy) -> String {
        match self {
            Self::One => redis.url_at(proxy.addr()),
            Self::Sentinels(group) => group.url(),
            Self::Cluster(cluster) => cluster.url(),
        }
    }
}

/// The file with an instance's secret, if it has one.
fn secret(setting: &Setting, scrap: &Scrap, instance: usize) -> Result<Option<String>, Error> {
    (setting.secret)(instance).map(|secret| scrap.secret(secret)).transpose()
}

fn arguments(
    setting: &Setting,
    system: &System,
    origin: &Origin,
    redis: &str,
    secret: Option<String>,
) -> Vec<String> {
    let mut args =
        vec!["--origin".into(), format!("http://{}", origin.addr()), "--redis".into(), redis.into()];
    if *system != System::Plain {
        let grace = format!("{}ms", setting.grace.as_millis());
        args.extend(
            ["--namespace", "faults", "--lease", "2s", "--partition-grace", &grace].map(str::to_owned),
        );
        args.extend(setting.more.iter().map(|&more| more.to_owned()));
        args.extend(secret.into_iter().flat_map(|file| ["--secret-file".to_owned(), file]));
    }
    args
}

/// How long L1 is trusted without news.
pub(crate) const LEASE: Duration = Duration::from_secs(2);
