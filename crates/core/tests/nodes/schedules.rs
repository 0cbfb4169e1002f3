//! Random faults on three instances under load, and nothing stale. A failing schedule is run again by its seed.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use forebay_core::entry::{Assurance, Early};
use forebay_core::hold::Released;
use forebay_core::l2::{L2Error, Notice};
use forebay_core::seek::Usage;
use forebay_core::tag::Tag;
use forebay_testkit::history::{HistoryChecker, Read, Tier, Verdict, Write};
use forebay_testkit::memory::{MemoryServer, Op, Settings};
use tokio::task::JoinSet;

use crate::SHARDS;
use crate::support::*;

const KEYS: [&str; 4] = ["a", "b", "c", "d"];
const LENGTH: Duration = Duration::from_secs(40);
const SEEDS: u64 = 12;

type History = Arc<Mutex<HistoryChecker>>;
/// Draws the manners of one request.
type Draw = fn(&mut Random) -> Manners;

/// Everything that can be done with what is stale, by an origin whose validators are weak.
fn careless(random: &mut Random) -> Manners {
    use Conduct::{Answers, Confirms, Fails};
    Manners {
        lifetime: [Duration::ZERO, 300 * MS, 3 * SECOND][random.below(3) as usize],
        keep: 20 * SECOND,
        early: Early { ahead: 100 * MS, spread: 100 * MS },
        stale: [Usage::Answer, Usage::Refresh, Usage::Ask][random.below(3) as usize],
        failed: [Settles::Never, Settles::ForStale][random.below(2) as usize],
        origin: [Answers, Confirms, Confirms, Fails][random.below(4) as usize],
        ..Manners::default()
    }
}

/// The same, with fills that do not say what they were made from.
fn forgetful(random: &mut Random) -> Manners {
    let manners = Manners { early: Early::default(), ..careless(random) };
    match manners.origin {
        Conduct::Confirms => Manners { origin: Conduct::ConfirmsWithoutBasis, ..manners },
        _ => manners,
    }
}

/// The same, by requests of which every other one has to be sure: they share flights.
fn mixed(random: &mut Random) -> Manners {
    let assurance = [Assurance::Bounded, Assurance::Strict][random.below(2) as usize];
    Manners { assurance, ..careless(random) }
}

fn tier(from: From, assurance: Assurance) -> Tier {
    match from {
        // Whatever it comes from, L2 has given its word on it.
        _ if assurance == Assurance::Strict => Tier::L2,
        From::L1 | From::Unsynced | From::Flight | From::Refreshing => Tier::L1,
        // An entry of L1 as good as of L2.
        From::Confirmed | From::Fallback => Tier::L1,
        From::L2 | From::Lease => Tier::L2,
        From::Origin | From::Failed => Tier::Origin,
    }
}

/// Asks for keys until it is aborted.
async fn read(
    world: Arc<World>,
    mut node: Node,
    instance: usize,
    mut random: Random,
    history: History,
    manners: Draw,
) {
    loop {
        node.manners = manners(&mut random);
        let key = KEYS[random.below(KEYS.len() as u32) as usize];
        let start = world.now();
        let (version, from) = node.request(key, None).await;
        if from != From::Failed {
            let read =
                Read { key: key.into(), version, instance, tier: tier(from, node.manners.assurance), start };
            history.lock().unwrap().read(read);
        }
        pass(MS * random.below(20)).await;
    }
}

/// Writes and invalidates until it is aborted. What is not confirmed binds nobody.
async fn write(world: Arc<World>, node: Node, issuer: usize, mut random: Random, history: History) {
    loop {
        pass(MS * random.below(400)).await;
        let key = KEYS[random.below(KEYS.len() as u32) as usize];
        let version = world.origin.write(key);
        if node.invalidate(key).await.is_ok() {
            let confirmed = world.now();
            history.lock().unwrap().write(Write { key: key.into(), version, issuer, confirmed });
        }
    }
}

/// The same, and waits until that holds on every instance.
async fn write_everywhere(world: Arc<World>, node: Node, _: usize, mut random: Random, history: History) {
    loop {
        pass(MS * random.below(400)).await;
        let key = KEYS[random.below(KEYS.len() as u32) as usize];
        if let Ok(version) = node.write_everywhere(key).await {
            let write = |issuer| Write { key: key.into(), version, issuer, confirmed: world.now() };
            // As if each instance had issued it: none has an excuse.
            (0..3).for_each(|issuer| history.lock().unwrap().write(write(issuer)));
        }
    }
}

/// Holds before it writes, and releases afterwards. Where that was in time, the write binds everybody from when the data had changed.
async fn write_held(world: Arc<World>, node: Node, _: usize, mut random: Random, history: History) {
    let instance = node.tiers.instance();
    loop {
        pass(MS * random.below(400)).await;
        let key = KEYS[random.below(KEYS.len() as u32) as usize];
        let Ok((hold, receipt)) = instance.hold(Tag(key), 20 * SECOND).await else { continue };
        let everywhere = instance.everywhere(receipt).await.is_ok();
        pass(MS * random.below(300)).await;
        let (version, committed) = (world.origin.write(key), world.now());
        pass(MS * random.below(300)).await;
        let Ok(released) = hold.release().await else { continue };
        let in_time = everywhere && matches!(released, Released::InTime(_));
        let confirmed = if in_time { committed } else { world.now() };
        let write = |issuer| Write { key: key.into(), version, issuer, confirmed };
        let issuers = if in_time { 0..3 } else { 3..4 };
        issuers.for_each(|issuer| history.lock().unwrap().write(write(issuer)));
    }
}

/// Breaks something, and sometimes mends it.
async fn harm(world: &World, nodes: &[Node], random: &mut Random) {
    let node = &nodes[random.below(nodes.len() as u32) as usize];
    let shard = random.below(node.clients.len() as u32) as usize;
    let (l2, server) = (&node.clients[shard], &world.servers[shard]);
    let op = Op::ALL[random.below(Op::ALL.len() as u32) as usize];
    match random.below(20) {
        0 | 1 => l2.drop_messages(1 + random.below(3) as usize),
        2 => l2.hold_messages(),
        3 => l2.disconnect_bus(),
        4 => l2.hang_all(),
        5 => l2.hang(op),
        6 => l2.fail(op, 1 + random.below(5) as usize, L2Error::Timeout),
        7 => l2.fail_all(L2Error::Unavailable("down".into())),
        8 => l2.lose_replies(op, 1 + random.below(3) as usize),
        9 => l2.postpone(Op::Store, 1 + random.below(3) as usize),
        10 => l2.postpone(Op::Invalidate, 1),
        11 => l2.inject([Notice::Lagged, Notice::Malformed, Notice::Lost][random.below(3) as usize].clone()),
        12 => server.step_clock_back(MS * random.below(5000)),
        13 if random.below(3) == 0 => server.flush(),
        14 if random.below(3) == 0 => server.lose_metadata(),
        15 => server.corrupt(|key, frame| match key.word() % 3 {
            0 => frame[..frame.len() / 2].to_vec(),
            _ => frame.to_vec(),
        }),
        16 => server.evict(hashed(KEYS[random.below(KEYS.len() as u32) as usize])),
        _ => nodes.iter().flat_map(|node| &node.clients).for_each(|l2| {
            l2.heal();
            l2.land();
            l2.reconnect_bus();
            l2.release_messages();
        }),
    }
    // A process that stands still: time goes on and nobody has a turn.
    if random.below(12) == 0 {
        tokio::time::advance(MS * random.below(5000)).await;
    }
}

async fn run(seed: u64, grace: Duration, manners: Draw) -> Verdict {
    run_with(seed, grace, manners, |world, node, issuer, random, history| {
        Box::pin(write(world, node, issuer, random, history))
    })
    .await
}

/// How one task writes.
type Writes = fn(Arc<World>, Node, usize, Random, History) -> Pin<Box<dyn Future<Output = ()> + Send>>;

async fn run_with(seed: u64, grace: Duration, manners: Draw, writes: Writes) -> Verdict {
    let mut random = Random(seed);
    let log = [Settings::default().max_log, 20][random.below(2) as usize];
    let settings = Settings { max_log: log, page: 3, bus_capacity: 16, ..Settings::default() };
    let servers = (0..SHARDS).map(|_| MemoryServer::with_settings(settings.clone()));
    let world = Arc::new(World::on_all(servers.collect()));
    let history = History::default();
    let mut tasks = JoinSet::new();
    let mut nodes = Vec::new();
    for instance in 0..3 {
        let delays = |shard: u64| Some(Random(seed ^ instance << 32 ^ shard << 40));
        let mut node = world.start_over(world.clients(), delays, |settings| {
            settings.coherence.partition_grace = grace;
            settings.coherence.max_idents = 30;
            // Where instances wait for each other, there is less of what can go wrong in a given time.
            settings.fill_lease = settings.fill_lease.filter(|_| seed % 2 == 1);
        });
        node.origin_takes = 300;
        let mut own = |n: u64| Random(u64::from(random.below(u32::MAX)) ^ n);
        for n in 0..3 {
            let (world, history) = (Arc::clone(&world), Arc::clone(&history));
            tasks.spawn(read(world, node.clone(), instance as usize, own(n), history, manners));
        }
        let (world, history) = (Arc::clone(&world), Arc::clone(&history));
        tasks.spawn(writes(world, node.clone(), instance as usize, own(9), history));
        nodes.push(node);
    }
    let end = world.now().after(LENGTH);
    while world.now() < end {
        pass(MS * random.below(600)).await;
        harm(&world, &nodes, &mut random).await;
    }
    tasks.shutdown().await;
    // The lease is counted from when a poll was sent; a request may have been judged right before its end.
    let verdict = history.lock().unwrap().check(LEASE + grace);
    assert!(verdict.reads > 600, "seed {seed}: {} reads", verdict.reads);
    verdict
}

#[tokio::test(start_paused = true)]
async fn no_schedule_of_faults_makes_anybody_serve_stale_answers() {
    for seed in 0..SEEDS {
        let verdict = run(seed, Duration::ZERO, |_| Manners::default()).await;
        assert!(verdict.stale.is_empty(), "seed {seed}: {verdict}");
    }
}

#[tokio::test(start_paused = true)]
async fn nor_does_one_with_a_grace_beyond_lease_and_grace() {
    for seed in SEEDS..2 * SEEDS {
        let verdict = run(seed, 3 * SECOND, |_| Manners::default()).await;
        assert!(verdict.stale.is_empty(), "seed {seed}: {verdict}");
    }
}

#[tokio::test(start_paused = true)]
async fn nor_do_confirmations_refreshes_and_fallbacks_bring_back_what_was_invalidated() {
    for seed in 0..SEEDS {
        let verdict = run(seed, Duration::ZERO, careless).await;
        assert!(verdict.stale.is_empty(), "seed {seed}: {verdict}");
    }
}

#[tokio::test(start_paused = true)]
async fn nor_does_a_strict_request_ever_get_what_was_invalidated_before_it_came() {
    for (seed, grace) in (0..SEEDS).flat_map(|seed| [(seed, Duration::ZERO), (SEEDS + seed, 3 * SECOND)]) {
        let verdict = run(seed, grace, mixed).await;
        assert!(verdict.stale.is_empty(), "seed {seed}: {verdict}");
    }
}

#[tokio::test(start_paused = true)]
async fn nor_does_any_instance_serve_what_was_invalidated_everywhere() {
    for seed in 0..SEEDS {
        let verdict = run_with(seed, Duration::ZERO, careless, |world, node, issuer, random, history| {
            Box::pin(write_everywhere(world, node, issuer, random, history))
        });
        let verdict = verdict.await;
        assert!(verdict.stale.is_empty(), "seed {seed}: {verdict}");
    }
}

#[tokio::test(start_paused = true)]
async fn nor_does_any_instance_serve_what_was_read_before_a_commit_that_it_was_held_for() {
    for seed in 0..SEEDS {
        let verdict = run_with(seed, Duration::ZERO, careless, |world, node, issuer, random, history| {
            Box::pin(write_held(world, node, issuer, random, history))
        });
        let verdict = verdict.await;
        assert!(verdict.stale.is_empty(), "seed {seed}: {verdict}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fill_that_hides_what_it_was_made_from_is_found_out() {
    for seed in 0..10 * SEEDS {
        if !run(seed, Duration::ZERO, forgetful).await.stale.is_empty() {
            return;
        }
    }
    panic!("these schedules do not see the bug");
}
