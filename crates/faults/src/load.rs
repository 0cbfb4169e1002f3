//! The load: readers at a rate on each instance, writers that change the origin and invalidate, and what both note.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use forebay_core::time::Clock;
use forebay_testkit::http::Client;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::error::Error;
use crate::origin::{KEYS, Writable};
use crate::process::Instance;
use crate::random::Random;
use crate::samples::{Collected, read};
use crate::writer::{What, Writer};

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

impl Load {
    /// Starts reading and writing.
    pub(crate) fn start(plan: &Plan, instances: &[Instance], origin: Writable, seed: u64) -> Self {
        let control = Arc::new(Control::default());
        let admins = instances.iter().map(Instance::admin).collect();
        let writer = Writer::new(origin, admins);
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
        let free: Vec<usize> = (0..writer.instances()).filter(|number| spared & (1 << number) == 0).collect();
        let Some(&issuer) = free.get(random.below(free.len())) else { continue };
        let client = clients.entry(issuer).or_insert_with(|| writer.client(issuer));
        let process = control.process(issuer);
        collected.absorb(writer.write(client, What::draw(&mut random), process).await);
    }
}

/// The most instances that a load may have.
const MOST: usize = 16;
const WRITERS: usize = 8;
