//! Instances that hold versions of an origin's data.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use forebay_core::coherence::Coherence;
use forebay_core::entry::{Assurance, Seq};
use forebay_core::event::Tier;
use forebay_core::fetch::{self, lookup_l1};
use forebay_core::instance::{Instance, InvalidateError, Receipt, Settings};
use forebay_core::key::{Key, Secrets};
use forebay_core::l1::L1Settings;
use forebay_core::l2::{
    Claim, Held, Holding, Issued, L2, L2Error, L2Future, Link, Lookup, Notices, Page, Position, Presence,
    Roll, Scores, Shards, Store, Stored as StoreResult, Tend, Tenure, Token,
};
use forebay_core::seek::Seeker;
use forebay_core::shard::Shard;
use forebay_core::tag::{Ident, Tag};
use forebay_core::tiers::{Absence, Fetched, Probe, Synced, Tiers};
use forebay_core::time::{self, Clock, Moment};
use forebay_testkit::clock::TokioClock;
use forebay_testkit::memory::{MemoryL2, MemoryServer};
use forebay_testkit::origin::CountingOrigin;
use metrics_util::debugging::{DebugValue, Snapshotter};
use tokio::time::{sleep, timeout};

use crate::SHARDS;
use crate::toy::{Ask, Call, Toy};
pub(crate) use crate::toy::{Conduct, Manners, Settles, answer, body_of};

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// The protocol's defaults.
pub(crate) const LEASE: Duration = Duration::from_secs(2);
pub(crate) const GRACE: Duration = Duration::from_secs(30);
/// After so long no operation is waited for any more.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(100);
/// How many failures in a row open the breaker.
pub(crate) const FAILURES: u64 = 3;

/// An L2, an origin and a clock that all nodes share.
pub(crate) struct World {
    /// The server of the shard that [`X`] is in; for one shard, the server.
    pub(crate) server: MemoryServer,
    /// Those of all shards, that one among them.
    pub(crate) servers: Vec<MemoryServer>,
    pub(crate) origin: CountingOrigin,
    pub(crate) clock: Clock,
    pub(crate) chance: time::Random,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::on(MemoryServer::new())
    }

    pub(crate) fn on(server: MemoryServer) -> Self {
        let mut servers: Vec<_> = (0..SHARDS).map(|_| MemoryServer::new()).collect();
        servers[shard_of(X)] = server;
        Self::on_all(servers)
    }

    /// One server for each shard.
    pub(crate) fn on_all(servers: Vec<MemoryServer>) -> Self {
        let server = servers[shard_of(X)].clone();
        let (clock, chance) = (Clock::new(TokioClock::new()), time::Random::seeded(1));
        Self { server, servers, origin: CountingOrigin::new(), clock, chance }
    }

    /// A node that has joined.
    pub(crate) async fn node(&self) -> Node {
        self.node_with(|_| {}).await
    }

    /// A node with settings of its own, that has joined.
    pub(crate) async fn node_with(&self, change: impl FnOnce(&mut Settings)) -> Node {
        let node = self.start(&self.server.client(), change);
        pass(MS).await;
        let shards = node.tiers.instance().shards();
        let joined = |shard: &Shard| shard.coherence().incarnation().is_some();
        assert!(shards.iter().all(joined), "the node has joined");
        node
    }

    /// `N` nodes that have joined.
    pub(crate) async fn nodes<const N: usize>(&self) -> [Node; N] {
        let mut nodes = Vec::new();
        for _ in 0..N {
            nodes.push(self.node().await);
        }
        nodes.try_into().unwrap_or_else(|_| unreachable!("as many as were made"))
    }

    /// A node on a client, of the shard of [`X`], that may have faults already.
    pub(crate) fn start(&self, l2: &MemoryL2, change: impl FnOnce(&mut Settings)) -> Node {
        let mut clients = self.clients();
        clients[shard_of(X)] = l2.clone();
        self.start_over(clients, |_| None, change)
    }

    /// A new client of each shard.
    pub(crate) fn clients(&self) -> Vec<MemoryL2> {
        self.servers.iter().map(MemoryServer::client).collect()
    }

    /// A node without L2. Its client is there for the sake of form.
    pub(crate) fn alone(&self) -> Node {
        let mut settings = Settings::new(NAMESPACE, None);
        settings.clock = self.clock.clone();
        settings.chance = self.chance.clone();
        let tiers = Arc::new(Tiers::new(Arc::new(Instance::start(settings, None)), L1Settings::default()));
        let (l2, origin) = (self.server.client(), self.origin.clone());
        Node { tiers, clients: vec![l2.clone()], l2, origin, origin_takes: 0, manners: Manners::default() }
    }

    /// A node on these clients, one for each shard, over lines that take their time as `delays` says.
    pub(crate) fn start_over(
        &self,
        clients: Vec<MemoryL2>,
        delays: impl Fn(u64) -> Option<Random>,
        change: impl FnOnce(&mut Settings),
    ) -> Node {
        let mut settings = Settings::new(NAMESPACE, None);
        settings.clock = self.clock.clone();
        settings.chance = self.chance.clone();
        change(&mut settings);
        let lines = clients.iter().zip(0..).map(|(l2, shard)| {
            let delays = delays(shard).map(Mutex::new);
            Arc::new(Line { l2: l2.clone(), delays }) as Arc<dyn L2>
        });
        let shards = Shards::new(lines.collect()).unwrap();
        let instance = Arc::new(Instance::start_over(settings, Some(shards)));
        let tiers = Arc::new(Tiers::new(instance, L1Settings::default()));
        Node {
            tiers,
            l2: clients[shard_of(X)].clone(),
            clients,
            origin: self.origin.clone(),
            origin_takes: 0,
            manners: Manners::default(),
        }
    }

    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }
}

/// An instance, its client of the server, and its way to the origin.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) tiers: Arc<Tiers<Toy>>,
    /// Its client of the shard that [`X`] is in.
    pub(crate) l2: MemoryL2,
    /// Those of all shards, that one among them.
    pub(crate) clients: Vec<MemoryL2>,
    pub(crate) origin: CountingOrigin,
    /// How many milliseconds the origin sits over an answer at most, once it has read the data.
    pub(crate) origin_takes: u32,
    pub(crate) manners: Manners,
}

/// An answer: which version, and from where.
pub(crate) type Got = (u64, From);

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    L1,
    /// L1, without L2's word on it.
    Unsynced,
    /// L1, though it is stale; it is being refreshed.
    Refreshing,
    L2,
    Flight,
    /// L2, where another instance has put it that was waited for.
    Lease,
    Origin,
    /// An entry that the origin has confirmed.
    Confirmed,
    /// An entry that is stale, since the origin has failed.
    Fallback,
    /// Nowhere: the origin has failed.
    Failed,
}

impl Node {
    /// What it knows of the shard of [`X`].
    pub(crate) fn coherence(&self) -> &Coherence {
        self.tiers.instance().shard(hashed(X)).coherence()
    }

    /// Asks for a key, and lets what the answer leaves behind come to an end.
    pub(crate) async fn get(&self, key: &str) -> Got {
        let got = self.request(key, None).await;
        settle().await;
        got
    }

    /// Asks for a key whose answers vary by language.
    pub(crate) async fn get_in(&self, key: &str, language: &'static str) -> Got {
        let got = self.request(key, Some(language)).await;
        settle().await;
        got
    }

    /// What L1 alone answers at this very moment.
    pub(crate) fn peek(&self, key: &str) -> Option<Got> {
        match self.look(&Ask::new(key, None, self.manners)) {
            Probe::Hit(entry, Synced::Yes) => Some((entry.value.version, From::L1)),
            Probe::Hit(entry, Synced::No) => Some((entry.value.version, From::Unsynced)),
            Probe::Refresh(entry, _) => Some((entry.value.version, From::Refreshing)),
            Probe::Miss(_) => None,
        }
    }

    /// One request, from its first look to its answer.
    pub(crate) async fn request(&self, key: &str, language: Option<&'static str>) -> Got {
        let ask = Ask::new(key, language, self.manners);
        let takes = Random(self.clock().now().as_nanos()).below(self.origin_takes + 1) * MS;
        let origin = Call { ask: ask.clone(), origin: self.origin.clone(), takes, clock: self.clock() };
        let absence = match self.look(&ask) {
            Probe::Hit(..) | Probe::Refresh(..) if self.manners.assurance != Assurance::Bounded => {
                Absence::Unattested
            }
            Probe::Hit(entry, Synced::Yes) => return (entry.value.version, From::L1),
            Probe::Hit(entry, Synced::No) => return (entry.value.version, From::Unsynced),
            Probe::Refresh(entry, _) => {
                let version = entry.value.version;
                if let Some(refreshing) = self.tiers.lead_refresh(&ask, &entry) {
                    let tiers = Arc::clone(&self.tiers);
                    tokio::spawn(async move { tiers.refresh(refreshing, entry, origin).await });
                }
                return (version, From::Refreshing);
            }
            Probe::Miss(absence) => absence,
        };
        match fetch::fetch(&self.tiers, &ask, absence, origin).await {
            Fetched::Cached(entry, Tier::L2) => (entry.value.version, From::L2),
            Fetched::Cached(entry, Tier::Flight) => (entry.value.version, From::Flight),
            Fetched::Cached(entry, Tier::Lease) => (entry.value.version, From::Lease),
            Fetched::Cached(entry, _) => (entry.value.version, From::L1),
            Fetched::Fallback(entry, _) => (entry.value.version, From::Fallback),
            Fetched::TimedOut => unreachable!("these requests wait for as long as the instance says"),
            Fetched::Origin(got, _) => got,
            Fetched::LookAgain(_) => unreachable!("this origin never says so"),
        }
    }

    fn look(&self, ask: &Ask) -> Probe<Toy> {
        let (variant, usage) = (|value: &_| ask.variant(value), |entry: &_, now| ask.usage(entry, now));
        lookup_l1(&self.tiers, ask.canonical(), self.clock().now(), variant, usage)
    }

    /// The same instance, with requests and an origin of other manners.
    pub(crate) fn with(&self, manners: Manners) -> Self {
        Self { manners, ..self.clone() }
    }

    /// A request on a task of its own.
    pub(crate) fn spawn_get(&self, key: &'static str) -> tokio::task::JoinHandle<Got> {
        let node = self.clone();
        tokio::spawn(async move { node.request(key, None).await })
    }

    /// Refreshes what L1 holds, stale or not.
    pub(crate) async fn refresh_anyway(&self, key: &str) {
        let ask = Ask::new(key, None, self.manners);
        let entry = self.tiers.l1().get(&hashed(key)).unwrap();
        let refreshing = self.tiers.lead_refresh(&ask, &entry).unwrap();
        let origin = Call { ask, origin: self.origin.clone(), takes: Duration::ZERO, clock: self.clock() };
        self.tiers.refresh(refreshing, entry, origin).await;
    }

    /// Changes the origin's data, then invalidates it here.
    pub(crate) async fn write(&self, key: &str) -> Result<u64, InvalidateError> {
        let version = self.origin.write(key);
        self.invalidate(key).await.map(|_| version)
    }

    /// The same, and waits until that holds on every instance.
    pub(crate) async fn write_everywhere(&self, key: &str) -> Result<u64, InvalidateError> {
        let version = self.origin.write(key);
        let receipt = self.invalidate(key).await?;
        self.tiers.instance().everywhere(receipt).await.map(|_| version)
    }

    pub(crate) async fn invalidate(&self, key: &str) -> Result<Receipt, InvalidateError> {
        self.tiers.instance().invalidate(Tag(key)).await
    }

    fn clock(&self) -> Clock {
        self.tiers.instance().settings().clock.clone()
    }
}

/// The sum of a counter's values under a label, since the last snapshot.
pub(crate) fn counted(snapshotter: &Snapshotter, name: &str, label: (&str, &str)) -> u64 {
    let snapshot = snapshotter.snapshot().into_vec();
    let values = snapshot.into_iter().filter_map(|(key, _, _, value)| {
        let key = key.key();
        let wanted = key.name() == name && key.labels().any(|l| (l.key(), l.value()) == label);
        match value {
            DebugValue::Counter(value) if wanted => Some(value),
            _ => None,
        }
    });
    values.sum()
}

/// Lets paused time pass, with everything that happens in it.
pub(crate) async fn pass(time: Duration) {
    sleep(time).await;
}

/// Lets what is under way come to its end; time hardly moves.
pub(crate) async fn settle() {
    pass(MS).await;
}

pub(crate) fn secrets() -> Secrets {
    Secrets::new(NAMESPACE, None)
}

/// The hash under which a key's answer stands.
pub(crate) fn hashed(key: &str) -> Key {
    secrets().key(&canonical(key))
}

/// A key as requests for it spell it.
pub(crate) fn canonical(key: &str) -> Vec<u8> {
    Ask::new(key, None, Manners::default()).canonical
}

/// In which shard a key's answers stand.
pub(crate) fn shard_of(key: &str) -> usize {
    hashed(key).shard_of(SHARDS)
}

/// A key called much like this whose answers stand where those of [`X`] do.
pub(crate) fn near(name: &str) -> String {
    let names = (0..).map(|n| if n == 0 { name.to_owned() } else { format!("{name} {n}") });
    names.into_iter().find(|name| shard_of(name) == shard_of(X)).unwrap()
}

/// Whether this is an invalidation that L2 did not confirm.
pub(crate) fn is_unconfirmed<T>(result: &Result<T, InvalidateError>) -> bool {
    matches!(result, Err(InvalidateError::Unconfirmed { .. }))
}

/// The way to the server: bounds each operation, as an L2 must, and takes its time where a test wants it to.
pub(crate) struct Line {
    pub(crate) l2: MemoryL2,
    pub(crate) delays: Option<Mutex<Random>>,
}

impl Line {
    fn run<'a, T: Send + 'a>(&'a self, operation: L2Future<'a, T>) -> L2Future<'a, T> {
        let delays = self.delays.as_ref().map(|random| {
            let mut random = random.lock().expect("no test panics while it draws");
            // One way in forty is slower than anyone waits.
            let mut way = || if random.below(40) == 0 { 2 * TIMEOUT } else { MS * random.below(12) };
            (way(), way())
        });
        Box::pin(async move {
            let exchange = async {
                let Some((there, back)) = delays else { return operation.await };
                sleep(there).await;
                let answer = operation.await;
                sleep(back).await;
                answer
            };
            timeout(TIMEOUT, exchange).await.unwrap_or(Err(L2Error::Timeout))
        })
    }
}

impl L2 for Line {
    fn open(&self) -> L2Future<'_, Position> {
        self.run(self.l2.open())
    }

    fn lookup(&self, key: Key) -> L2Future<'_, Lookup> {
        self.run(self.l2.lookup(key))
    }

    fn store<'a>(&'a self, store: Store<'a>) -> L2Future<'a, StoreResult> {
        self.run(self.l2.store(store))
    }

    fn invalidate<'a>(&'a self, idents: &'a [Ident], at_least: Seq) -> L2Future<'a, Issued> {
        self.run(self.l2.invalidate(idents, at_least))
    }

    fn hold<'a>(&'a self, idents: &'a [Ident], at_least: Seq, holding: Holding) -> L2Future<'a, Held> {
        self.run(self.l2.hold(idents, at_least, holding))
    }

    fn catch_up(&self, after: Seq) -> L2Future<'_, Page> {
        self.run(self.l2.catch_up(after))
    }

    fn scores<'a>(&'a self, idents: &'a [Ident]) -> L2Future<'a, Scores> {
        self.run(self.l2.scores(idents))
    }

    fn claim(&self, key: Key, token: Token, term: Duration, after: Seq) -> L2Future<'_, (Claim, Lookup)> {
        self.run(self.l2.claim(key, token, term, after))
    }

    fn tend(&self, key: Key, token: Token, tend: Tend) -> L2Future<'_, Tenure> {
        self.run(self.l2.tend(key, token, tend))
    }

    fn poll(&self, link: Link) -> L2Future<'_, Option<Position>> {
        self.run(self.l2.poll(link))
    }

    fn attend(&self, link: Link, presence: Presence) -> L2Future<'_, Option<Position>> {
        self.run(self.l2.attend(link, presence))
    }

    fn roll(&self, upto: Position, caller: Presence) -> L2Future<'_, Roll> {
        self.run(self.l2.roll(upto, caller))
    }

    fn subscribe(&self) -> Notices {
        self.l2.subscribe()
    }

    fn name(&self) -> &'static str {
        "memory"
    }
}

/// Numbers that only depend on their seed (SplitMix64).
#[derive(Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 33) as u32 % n
    }
}

/// The key that most tests are about, and whose shard has their faults.
pub(crate) const X: &str = "x";
pub(crate) const NAMESPACE: &str = "nodes";
