//! What is fetched anew while it is fresh: how often the origin is asked for that, and who waits.
//!
//! `cargo test -p forebay-core --test nodes early -- --nocapture` prints the figures.

use std::time::Duration;

use forebay_core::entry::Early;
use forebay_core::seek::Usage;
use tokio::time::interval;

use crate::support::*;

const LIFETIME: Duration = Duration::from_secs(10);
/// How long the origin takes for an answer at most.
const COST: Duration = Duration::from_millis(200);
const LENGTH: Duration = Duration::from_secs(100);
/// How many ask an instance for a key.
const CLIENTS: u32 = 4;
const KEYS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// What four instances have done that were asked for the same keys, each for each of them every 20 ms.
#[derive(Debug, Default)]
struct Figures {
    requests: u64,
    /// Those that did not get their answer at once.
    waited: u64,
    calls: u64,
    /// The most calls that began within one tenth of a second.
    most: u64,
}

async fn run(early: Early) -> Figures {
    let world = World::new();
    let manners = Manners { lifetime: LIFETIME, early, stale: Usage::Ask, ..Manners::default() };
    let nodes: [Node; 4] = world.nodes().await;
    let nodes = nodes.map(|node| Node { origin_takes: COST.as_millis() as u32, ..node.with(manners) });
    let counting = world.origin.clone();
    let calls = move || KEYS.iter().map(|key| counting.calls(key)).sum::<u64>();
    let clients = nodes.iter().flat_map(|node| KEYS.map(|key| (node.clone(), key)));
    let clients = clients.flat_map(|(node, key)| {
        (0..CLIENTS).map(move |client| tokio::spawn(ask_on_and_on(node.clone(), key, 20 * MS * client)))
    });
    let clients: Vec<_> = clients.collect();
    let (mut figures, mut before) = (Figures::default(), 0);
    for second in 0..LENGTH.as_secs() * 10 {
        pass(100 * MS).await;
        let now = calls();
        // The first fills are the same for all.
        if second > 20 {
            figures.most = figures.most.max(now - before);
        }
        before = now;
    }
    figures.calls = calls();
    for client in clients {
        let (requests, waited) = client.await.unwrap();
        figures.requests += requests;
        figures.waited += waited;
    }
    figures
}

/// How often it asked, and how often it had to wait.
async fn ask_on_and_on(node: Node, key: &'static str, from: Duration) -> (u64, u64) {
    pass(from).await;
    let (mut ticks, mut counts) = (interval(20 * MS * CLIENTS), (0, 0));
    for _ in 0..LENGTH.as_millis() / (20 * u128::from(CLIENTS)) {
        ticks.tick().await;
        counts.0 += 1;
        match node.request(key, None).await.1 {
            From::L1 | From::Refreshing => {}
            _ => counts.1 += 1,
        }
    }
    counts
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_what_is_refreshed_ahead_of_time() {
    let none = run(Early::default()).await;
    let ahead = run(Early { ahead: LIFETIME / 5, ..Early::default() }).await;
    let early = run(Early { spread: COST, ..Early::default() }).await;
    println!("when it expires {none:?}\nahead of time   {ahead:?}\nby chance       {early:?}");
    // The very first requests find nothing, whatever comes later.
    let first = ahead.waited;
    assert!(none.waited > 8 * first && early.waited < 2 * first);
    for figures in [&ahead, &early] {
        assert!(figures.calls < none.calls * 3 / 2);
    }
    assert!(early.most < none.most, "what was filled together is not fetched together for ever");
}
