//! Instances that hold versions of an origin's data.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use forebay_core::entry::{Encoded, Entry, Seq, Span, Stored, Undecodable};
use forebay_core::event::Tier;
use forebay_core::fetch::{self, lookup_l1};
use forebay_core::instance::{Instance, InvalidateError, Receipt, Settings};
use forebay_core::key::{Key, KeyEncoder, Secrets};
use forebay_core::l1::L1Settings;
use forebay_core::l2::{
    Issued, L2, L2Error, L2Future, Link, Lookup, Notices, Page, Position, Scores, Store,
    Stored as StoreResult,
};
use forebay_core::seek::{Fill, Filling, Marker, Origin, Seeker, Sharing, Usage, Variant};
use forebay_core::tag::{Ident, Idents, Tag};
use forebay_core::tiers::{Fetched, Probe, Synced, Tiers};
use forebay_core::time::{Clock, Moment};
use forebay_testkit::clock::TokioClock;
use forebay_testkit::memory::{MemoryL2, MemoryServer};
use forebay_testkit::origin::CountingOrigin;
use tokio::time::{sleep, timeout};

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// The protocol's defaults.
pub(crate) const LEASE: Duration = Duration::from_secs(2);
pub(crate) const GRACE: Duration = Duration::from_secs(30);
/// After so long no operation is waited for any more.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(100);
/// How many failures in a row open the breaker.
pub(crate) const FAILURES: u64 = 3;

/// A server, an origin and a clock that all nodes share.
pub(crate) struct World {
    pub(crate) server: MemoryServer,
    pub(crate) origin: CountingOrigin,
    pub(crate) clock: Clock,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::on(MemoryServer::new())
    }

    pub(crate) fn on(server: MemoryServer) -> Self {
        Self { server, origin: CountingOrigin::new(), clock: Clock::new(TokioClock::new()) }
    }

    /// A node that has joined.
    pub(crate) async fn node(&self) -> Node {
        self.node_with(|_| {}).await
    }

    /// A node with settings of its own, that has joined.
    pub(crate) async fn node_with(&self, change: impl FnOnce(&mut Settings)) -> Node {
        let node = self.start(&self.server.client(), change);
        pass(MS).await;
        assert!(node.tiers.instance().coherence().incarnation().is_some(), "the node has joined");
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

    /// A node on a client that may have faults already.
    pub(crate) fn start(&self, l2: &MemoryL2, change: impl FnOnce(&mut Settings)) -> Node {
        self.start_over(l2, Line { l2: l2.clone(), delays: None }, change)
    }

    /// A node without L2. Its client is there for the sake of form.
    pub(crate) fn alone(&self) -> Node {
        let mut settings = Settings::new(NAMESPACE, None);
        settings.clock = self.clock.clone();
        let tiers = Arc::new(Tiers::new(Arc::new(Instance::start(settings, None)), L1Settings::default()));
        Node { tiers, l2: self.server.client(), origin: self.origin.clone(), origin_takes: 0 }
    }

    pub(crate) fn start_over(&self, l2: &MemoryL2, line: Line, change: impl FnOnce(&mut Settings)) -> Node {
        let mut settings = Settings::new(NAMESPACE, None);
        settings.clock = self.clock.clone();
        change(&mut settings);
        let instance = Arc::new(Instance::start(settings, Some(Arc::new(line))));
        let tiers = Arc::new(Tiers::new(instance, L1Settings::default()));
        Node { tiers, l2: l2.clone(), origin: self.origin.clone(), origin_takes: 0 }
    }

    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }
}

/// An instance, its client of the server, and its way to the origin.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) tiers: Arc<Tiers<Toy>>,
    pub(crate) l2: MemoryL2,
    pub(crate) origin: CountingOrigin,
    /// How many milliseconds the origin sits over an answer at most, once it has read the data.
    pub(crate) origin_takes: u32,
}

/// An answer: which version, and from where.
pub(crate) type Got = (u64, From);

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    L1,
    /// L1, without L2's word on it.
    Unsynced,
    L2,
    Flight,
    Origin,
}

impl Node {
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
        let ask = Ask::new(key, None);
        let now = self.tiers.instance().settings().clock.now();
        match lookup_l1(
            &self.tiers,
            ask.canonical(),
            now,
            |value| ask.variant(value),
            |entry, now| ask.usage(entry, now),
        ) {
            Probe::Hit(entry, Synced::Yes) => Some((entry.value.version, From::L1)),
            Probe::Hit(entry, Synced::No) => Some((entry.value.version, From::Unsynced)),
            Probe::Refresh(..) | Probe::Miss(_) => None,
        }
    }

    /// One request, from its first look to its answer.
    pub(crate) async fn request(&self, key: &str, language: Option<&'static str>) -> Got {
        let ask = Ask::new(key, language);
        let now = self.tiers.instance().settings().clock.now();
        let absence = match lookup_l1(
            &self.tiers,
            ask.canonical(),
            now,
            |value| ask.variant(value),
            |entry, now| ask.usage(entry, now),
        ) {
            Probe::Hit(entry, Synced::Yes) => return (entry.value.version, From::L1),
            Probe::Hit(entry, Synced::No) => return (entry.value.version, From::Unsynced),
            Probe::Refresh(..) => unreachable!("these requests never say so"),
            Probe::Miss(absence) => absence,
        };
        let takes = Random(now.as_nanos()).below(self.origin_takes + 1) * MS;
        let origin = Call { ask: ask.clone(), origin: self.origin.clone(), takes, clock: self.clock() };
        match fetch::fetch(&self.tiers, &ask, absence, origin).await {
            Fetched::Cached(entry, Tier::L2) => (entry.value.version, From::L2),
            Fetched::Cached(entry, Tier::Flight) => (entry.value.version, From::Flight),
            Fetched::Cached(entry, _) => (entry.value.version, From::L1),
            Fetched::Fallback(entry) => (entry.value.version, From::Flight),
            Fetched::Origin(version, _) => (version, From::Origin),
            Fetched::LookAgain(_) => unreachable!("this origin never says so"),
        }
    }

    /// A request on a task of its own.
    pub(crate) fn spawn_get(&self, key: &'static str) -> tokio::task::JoinHandle<Got> {
        let node = self.clone();
        tokio::spawn(async move { node.request(key, None).await })
    }

    /// Changes the origin's data, then invalidates it here.
    pub(crate) async fn write(&self, key: &str) -> Result<u64, InvalidateError> {
        let version = self.origin.write(key);
        self.invalidate(key).await.map(|_| version)
    }

    pub(crate) async fn invalidate(&self, key: &str) -> Result<Receipt, InvalidateError> {
        self.tiers.instance().invalidate(Tag(key)).await
    }

    fn clock(&self) -> Clock {
        self.tiers.instance().settings().clock.clone()
    }
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
    secrets().key(&Ask::new(key, None).canonical)
}

/// Whether this is an invalidation that L2 did not confirm.
pub(crate) fn is_unconfirmed<T>(result: &Result<T, InvalidateError>) -> bool {
    matches!(result, Err(InvalidateError::Unconfirmed { .. }))
}

/// A version of a key's data, to be stored.
pub(crate) fn answer(key: &str, version: u64, span: Span) -> Fill<Toy> {
    let ask = Ask::new(key, None);
    Fill {
        value: Toy { version, kind: Kind::Answer },
        canonical: ask.canonical.clone().into(),
        marker: None,
        idents: ask.idents(),
        span,
        basis: None,
    }
}

/// A version of the origin's data, or the word that answers vary.
pub(crate) struct Toy {
    pub(crate) version: u64,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Answer,
    Variant,
    Marker,
}

impl Stored for Toy {
    fn weight(&self) -> usize {
        size_of::<Self>()
    }

    fn encode(&self) -> Result<Encoded, Undecodable> {
        let meta = [&[self.kind as u8][..], &self.version.to_be_bytes()].concat();
        Ok(Encoded { meta: meta.into(), body: Bytes::from_static(b"body") })
    }

    fn decode(encoded: Encoded) -> Result<Self, Undecodable> {
        let Some((&kind, Ok(version))) =
            encoded.meta.split_first().map(|(kind, rest)| (kind, rest.try_into()))
        else {
            return Err(Undecodable("toy"));
        };
        let kind = [Kind::Answer, Kind::Variant, Kind::Marker].into_iter().find(|k| *k as u8 == kind);
        Ok(Self { version: u64::from_be_bytes(version), kind: kind.ok_or(Undecodable("toy"))? })
    }
}

/// A request.
#[derive(Clone)]
struct Ask {
    key: String,
    language: Option<&'static str>,
    canonical: Vec<u8>,
}

impl Ask {
    fn new(key: &str, language: Option<&'static str>) -> Self {
        let mut encoder = KeyEncoder::new();
        encoder.field(1, key.as_bytes()).expect("keys of tests are short");
        Self { key: key.to_owned(), language, canonical: encoder.bytes().to_vec() }
    }

    fn own_variant(&self) -> KeyEncoder {
        let mut encoder = KeyEncoder::continuing(&self.canonical).expect("keys of tests are short");
        encoder.field(2, self.language.unwrap_or_default().as_bytes()).expect("keys of tests are short");
        encoder
    }
}

impl Seeker<Toy> for Ask {
    fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    fn variant(&self, value: &Toy) -> Variant {
        match value.kind {
            Kind::Answer => Variant::Same,
            Kind::Variant | Kind::Marker => Variant::Of(self.own_variant().bytes().into()),
        }
    }

    fn usage(&self, entry: &Entry<Toy>, now: Moment) -> Usage {
        if entry.is_fresh(now) { Usage::Answer } else { Usage::Ask }
    }

    fn settles_for(&self, _: &Entry<Toy>, _: Moment) -> bool {
        false
    }

    fn idents(&self) -> Idents {
        let mut idents = Idents::new(&secrets());
        idents.tag(&secrets(), &self.key).expect("tags of tests are short");
        idents
    }

    fn sharing(&self) -> Sharing {
        Sharing::Flight
    }
}

/// One call of the origin.
struct Call {
    ask: Ask,
    origin: CountingOrigin,
    takes: Duration,
    clock: Clock,
}

impl Origin<Toy> for Call {
    type Reply = u64;

    async fn ask(self, _: Option<Arc<Entry<Toy>>>) -> (u64, Filling<Toy>) {
        let Self { ask, origin, takes, clock } = self;
        let version = origin.answer(&ask.key).await.version;
        if !takes.is_zero() {
            sleep(takes).await;
        }
        let (kind, canonical, marker) = match ask.language {
            None => (Kind::Answer, ask.canonical.clone(), None),
            Some(_) => (Kind::Variant, ask.own_variant().bytes().to_vec(), Some(ask.canonical.clone())),
        };
        let fill = Fill {
            value: Toy { version, kind },
            canonical: canonical.into(),
            marker: marker.map(|canonical| Marker {
                value: Toy { version: 0, kind: Kind::Marker },
                canonical: canonical.into(),
            }),
            idents: ask.idents(),
            span: Span { born: clock.now(), lifetime: Duration::from_secs(3600), keep: Duration::ZERO },
            basis: None,
        };
        (version, Filling::Storable(Box::pin(async { vec![fill] })))
    }
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

    fn catch_up(&self, after: Seq) -> L2Future<'_, Page> {
        self.run(self.l2.catch_up(after))
    }

    fn scores<'a>(&'a self, idents: &'a [Ident]) -> L2Future<'a, Scores> {
        self.run(self.l2.scores(idents))
    }

    fn poll(&self, link: Link) -> L2Future<'_, Option<Position>> {
        self.run(self.l2.poll(link))
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

const NAMESPACE: &str = "nodes";
