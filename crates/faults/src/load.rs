//! The load: readers at a rate on each instance, writers that change the origin and invalidate, and what both note.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use forebay_core::time::{Clock, Moment};
use forebay_testkit::history::{HistoryChecker, Read, Tier, Write};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::client::{Answer, Client};
use crate::error::Error;
use crate::origin::{self, KEYS, TAGS, Writable};
use crate::process::{Instance, TOKEN};
use crate::random::Random;

/// How much of it there is.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Reads a second on each instance.
    pub(crate) reads: usize,
    /// How many readers share them: at least as many as reads are under way at once.
    pub(crate) readers: usize,
    /// Invalidations a second, of all instances.
    pub(crate) writes: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self { reads: 200, readers: 20, writes: 20 }
    }
}

/// A read, and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) key: usize,
    pub(crate) instance: usize,
    /// Of the instance's processes the one that was asked.
    process: usize,
    /// When it was sent.
    pub(crate) start: Moment,
    /// From when it was due to its answer: what had to wait for another one counts the wait.
    pub(crate) took: Duration,
    pub(crate) got: Result<(From, u64), Failed>,
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// L1, in sync.
    L1,
    /// L1, while Redis cannot be reached.
    Unsynced,
    /// Redis.
    L2,
    /// Another request's fetch.
    Flight,
    /// The origin.
    Origin,
}

impl From {
    /// What is not said to come from a cache comes from the origin.
    fn read(cache_status: &str) -> Self {
        let words = [
            ("detail=unsynced", Self::Unsynced),
            ("detail=l2", Self::L2),
            ("collapsed", Self::Flight),
            ("hit", Self::L1),
        ];
        words
            .into_iter()
            .find_map(|(word, from)| cache_status.contains(word).then_some(from))
            .unwrap_or(Self::Origin)
    }

    fn tier(self) -> Tier {
        match self {
            Self::L1 | Self::Flight => Tier::L1,
            Self::Unsynced => Tier::Unsynced,
            Self::L2 => Tier::L2,
            Self::Origin => Tier::Origin,
        }
    }
}

/// Why a read failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Failed {
    /// There was no whole answer: the connection failed.
    Broken,
    /// There was none in time.
    Hung,
    /// The answer was an error.
    Status(u16),
    /// The answer's bytes were not those of any version.
    Bytes,
}

impl Sample {
    /// For the judge, unless it failed.
    pub(crate) fn to_read(&self) -> Option<Read> {
        let (from, version) = self.got.ok()?;
        let (key, instance, start) = (origin::path(self.key), self.process, self.start);
        Some(Read { key, version, instance, tier: from.tier(), start })
    }
}

/// What was collected.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub(crate) samples: Vec<Sample>,
    pub(crate) history: HistoryChecker,
    pub(crate) confirmed: u64,
    pub(crate) unconfirmed: u64,
}

/// Readers and writers at work.
#[derive(Debug)]
pub(crate) struct Load {
    tasks: JoinSet<Collected>,
    control: Arc<Control>,
    pub(crate) writer: Writer,
}

#[derive(Debug, Default)]
struct Control {
    ended: AtomicBool,
    /// The instances that writers do not use, as bits.
    spared: AtomicU64,
    /// The instances that are not read, as bits.
    out: AtomicU64,
    /// How many reads of each instance are under way.
    under_way: [AtomicU64; MOST],
    /// How often any instance has been replaced: connections to its predecessor are not used any more.
    replaced: AtomicU64,
    /// How often each has been.
    lives: [AtomicU64; MOST],
}

impl Control {
    /// Which process an instance is now. A new one knows nothing of what its predecessor has not been confirmed.
    fn process(&self, instance: usize) -> usize {
        instance + MOST * self.lives[instance].load(Ordering::SeqCst) as usize
    }
}

/// What every writer needs.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    origin: Writable,
    admins: Vec<SocketAddr>,
}

impl Load {
    /// Starts reading and writing.
    pub(crate) fn start(plan: &Plan, instances: &[Instance], origin: Writable, seed: u64) -> Self {
        let control = Arc::new(Control::default());
        let admins = instances.iter().map(Instance::admin).collect();
        let writer = Writer { origin, admins };
        let mut tasks = JoinSet::new();
        for (number, instance) in instances.iter().enumerate() {
            for reader in 0..plan.readers {
                let random = Random::new(seed, &format!("reader {number} {reader}"));
                let pause = Duration::from_secs(1).mul_f64(plan.readers as f64 / plan.reads.max(1) as f64);
                tasks.spawn(read_all(instance.addr(), number, random, pause, Arc::clone(&control)));
            }
        }
        for number in 0..plan.writes.min(WRITERS) {
            let random = Random::new(seed, &format!("writer {number}"));
            let pause = Duration::from_secs(1).mul_f64(WRITERS as f64 / plan.writes as f64);
            tasks.spawn(write_all(writer.clone(), random, pause, Arc::clone(&control)));
        }
        Self { tasks, control, writer }
    }

    /// Keeps writers away from an instance, until told otherwise.
    pub(crate) fn spare(&self, instance: usize) {
        self.control.spared.fetch_or(1 << instance, Ordering::SeqCst);
    }

    /// Neither reads nor writes through an instance until it is put back. Returns when no read of it is under way.
    pub(crate) async fn take_out(&self, instance: usize) {
        self.spare(instance);
        self.control.out.fetch_or(1 << instance, Ordering::SeqCst);
        while self.control.under_way[instance].load(Ordering::SeqCst) > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Uses an instance again, over new connections.
    pub(crate) fn put_back(&self, instance: usize) {
        self.control.lives[instance].fetch_add(1, Ordering::SeqCst);
        self.control.replaced.fetch_add(1, Ordering::SeqCst);
        self.control.out.fetch_and(!(1 << instance), Ordering::SeqCst);
        self.control.spared.fetch_and(!(1 << instance), Ordering::SeqCst);
    }

    /// Keeps writers away from all instances, until told otherwise.
    pub(crate) fn pause_writers(&self) {
        self.control.spared.store(u64::MAX, Ordering::SeqCst);
    }

    /// Lets writers use all instances again.
    pub(crate) fn spare_none(&self) {
        self.control.spared.store(0, Ordering::SeqCst);
    }

    /// Ends the load and hands over what it has noted.
    pub(crate) async fn end(&mut self) -> Result<Collected, Error> {
        self.control.ended.store(true, Ordering::SeqCst);
        let mut all = Collected::default();
        while let Some(part) = self.tasks.join_next().await {
            all.absorb(part?);
        }
        Ok(all)
    }
}

impl Collected {
    pub(crate) fn absorb(&mut self, part: Self) {
        self.samples.extend(part.samples);
        self.history.absorb(part.history);
        self.confirmed += part.confirmed;
        self.unconfirmed += part.unconfirmed;
    }
}

async fn read_all(
    to: SocketAddr,
    instance: usize,
    mut random: Random,
    pause: Duration,
    control: Arc<Control>,
) -> Collected {
    let (mut client, clock, mut samples) = (Client::new(to), Clock::system(), Vec::new());
    sleep(random.up_to(pause)).await;
    let (mut due, mut replaced) = (interval(pause), 0);
    due.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let tick = due.tick().await;
        if control.ended.load(Ordering::SeqCst) {
            return Collected { samples, ..Collected::default() };
        }
        // Whoever takes the instance out marks it first and then looks for reads: one of the two sees the other.
        control.under_way[instance].fetch_add(1, Ordering::SeqCst);
        if control.out.load(Ordering::SeqCst) & (1 << instance) != 0 {
            control.under_way[instance].fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let replacements = control.replaced.load(Ordering::SeqCst);
        if replacements != replaced {
            (client, replaced) = (Client::new(to), replacements);
        }
        let waited = tick.elapsed();
        let mut sample = read(&mut client, &clock, random.below(KEYS), instance).await;
        sample.process = control.process(instance);
        control.under_way[instance].fetch_sub(1, Ordering::SeqCst);
        sample.took += waited;
        samples.push(sample);
    }
}

/// Reads a resource once.
pub(crate) async fn read(client: &mut Client, clock: &Clock, key: usize, instance: usize) -> Sample {
    let path = origin::path(key);
    let start = clock.now();
    let answer = client.get(&path).await;
    let took = clock.now().since(start);
    Sample { key, instance, process: instance, start, took, got: understand(&path, answer) }
}

fn understand(path: &str, answer: io::Result<Answer>) -> Result<(From, u64), Failed> {
    let answer = answer.map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut => Failed::Hung,
        _ => Failed::Broken,
    })?;
    if answer.status != 200 {
        return Err(Failed::Status(answer.status));
    }
    let version = origin::version_in(path, &answer.body).ok_or(Failed::Bytes)?;
    Ok((From::read(answer.field("cache-status")), version))
}

async fn write_all(writer: Writer, mut random: Random, pause: Duration, control: Arc<Control>) -> Collected {
    let (mut collected, mut clients) = (Collected::default(), HashMap::new());
    sleep(random.up_to(pause)).await;
    let (mut due, mut replaced) = (interval(pause), 0);
    due.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        due.tick().await;
        if control.ended.load(Ordering::SeqCst) {
            return collected;
        }
        let replacements = control.replaced.load(Ordering::SeqCst);
        if replacements != replaced {
            clients.clear();
            replaced = replacements;
        }
        let spared = control.spared.load(Ordering::SeqCst);
        let free: Vec<usize> =
            (0..writer.admins.len()).filter(|number| spared & (1 << number) == 0).collect();
        let Some(&issuer) = free.get(random.below(free.len())) else { continue };
        let client =
            clients.entry(issuer).or_insert_with(|| Client::with_patience(writer.admins[issuer], PATIENCE));
        let process = control.process(issuer);
        collected.absorb(writer.write(client, What::draw(&mut random), process).await);
    }
}

/// What a write changes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    /// One resource, invalidated by its path.
    Key(usize),
    /// All resources of a tag, invalidated by it.
    Tag(usize),
}

impl What {
    /// One in ten is a tag. Low keys are written often and high ones seldom, so that some entries live long enough to grow old.
    pub(crate) fn draw(random: &mut Random) -> Self {
        if random.one_in(10) {
            return Self::Tag(random.below(TAGS));
        }
        Self::Key(random.below(KEYS).min(random.below(KEYS)).min(random.below(KEYS)))
    }

    /// What the admin API is told, with more members in it.
    pub(crate) fn order(self, more: &str) -> String {
        match self {
            Self::Key(key) => format!("{{\"paths\":[\"{}\"]{more}}}", origin::path(key)),
            Self::Tag(tag) => format!("{{\"tags\":[\"{}\"]{more}}}", origin::tag(tag)),
        }
    }

    fn keys(self) -> Vec<usize> {
        match self {
            Self::Key(key) => vec![key],
            Self::Tag(tag) => origin::keys_of(tag).collect(),
        }
    }
}

/// A change of the origin: resources, and the versions that they have since.
#[derive(Clone, Debug)]
pub(crate) struct Change(Vec<(usize, u64)>);

impl Change {
    /// What binds whom if its invalidation was answered so just now.
    pub(crate) fn answered(&self, status: u16, issuer: usize) -> Collected {
        let (mut collected, now) = (Collected::default(), Clock::system().now());
        for write in self.writes(issuer, now) {
            match status {
                200 => collected.history.write(write),
                202 => collected.history.unconfirmed(write),
                _ => {}
            }
        }
        collected.confirmed = u64::from(status == 200);
        collected.unconfirmed = u64::from(status == 202);
        collected
    }

    /// Its writes, as confirmed at that moment.
    pub(crate) fn writes(&self, issuer: usize, confirmed: Moment) -> impl Iterator<Item = Write> {
        let write = move |&(key, version): &(usize, u64)| Write {
            key: origin::path(key),
            version,
            issuer,
            confirmed,
        };
        self.0.iter().map(write)
    }
}

impl Writer {
    /// Changes the origin, invalidates through an instance, and notes the writes once that instance has answered.
    pub(crate) async fn write(&self, client: &mut Client, what: What, issuer: usize) -> Collected {
        let change = self.change(what);
        let answer = client.admin_post("/invalidate", TOKEN, &what.order("")).await;
        // Without an answer nothing was promised.
        answer.map_or_else(|_| Collected::default(), |answer| change.answered(answer.status, issuer))
    }

    /// Changes the origin, and nothing else.
    pub(crate) fn change(&self, what: What) -> Change {
        Change(what.keys().into_iter().map(|key| (key, self.origin.write(key))).collect())
    }

    /// The version that a resource has now.
    pub(crate) fn version(&self, key: usize) -> u64 {
        self.origin.version(key)
    }

    /// A client for the admin API of an instance.
    pub(crate) fn client(&self, issuer: usize) -> Client {
        Client::with_patience(self.admins[issuer], PATIENCE)
    }
}

/// The most instances that a load may have.
const MOST: usize = 16;
const WRITERS: usize = 8;
/// An instance that takes longer with an invalidation has not confirmed it.
const PATIENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_status_says_where_an_answer_came_from() {
        for (said, expected) in [
            ("forebay; hit; ttl=3; detail=l1", From::L1),
            ("forebay; hit; ttl=-3; detail=stale", From::L1),
            ("forebay; hit; ttl=3; detail=unsynced", From::Unsynced),
            ("forebay; hit; ttl=3; detail=l2", From::L2),
            ("forebay; fwd=uri-miss; collapsed; detail=flight", From::Flight),
            ("forebay; fwd=uri-miss; stored", From::Origin),
            ("plain; fwd=uri-miss", From::Origin),
        ] {
            assert_eq!(From::read(said), expected, "{said}");
        }
    }

    #[test]
    fn an_answer_that_is_not_whole_and_right_has_failed() {
        assert_eq!(understand("/k/1", Err(io::ErrorKind::TimedOut.into())).unwrap_err(), Failed::Hung);
        assert_eq!(understand("/k/1", Err(io::ErrorKind::UnexpectedEof.into())).unwrap_err(), Failed::Broken);
    }
}
