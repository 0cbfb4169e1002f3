//! A million requests through an L1 that has room for few of them: what the process holds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use forebay_testkit::http::Client;
use tokio::task::JoinSet;

use super::forebay::Forebay;
use super::origin::Origin;
use super::{Error, Outcome};
use crate::table::Table;

/// A million requests for one entry, and then a million of which every tenth is for that entry and all others are for new
/// ones; or so many as the argument says.
///
/// # Errors
/// When the measurement itself fails.
pub async fn run(arguments: &[String]) -> Result<Outcome, Error> {
    let requests = arguments.first().map_or(Ok(REQUESTS), |number| number.parse())?;
    let origin = Origin::start()?;
    let forebay = Forebay::start(origin.addr(), &["--l1-bytes", "64MiB"])?;
    let head =
        ["requests", "failed", "hot ones", "hits among them", "RSS MiB", "beyond the start, of the cap"];
    let title = format!("forebay serve --l1-bytes 64MiB; 2 KiB answers, {CLIENTS} connections");
    let mut table = Table::new(title, &head);
    let seen = Arc::new(Seen::default());
    load(forebay.addr(), &seen, 0..1000, |_| HOT).await?;
    let start = forebay.program.resident()?;
    table.row(seen.row("start", start, start));
    let hot: fn(u64) -> u64 = |_| HOT;
    let mixed: fn(u64) -> u64 = |number| if number.is_multiple_of(10) { HOT } else { number };
    let mut most = start;
    for (name, of) in [("one entry", hot), ("new entries", mixed)] {
        for part in 0..4 {
            let quarter = requests / 4;
            load(forebay.addr(), &seen, part * quarter + 1..(part + 1) * quarter, of).await?;
            let resident = forebay.program.resident()?;
            most = most.max(resident);
            table.row(seen.row(&format!("{} {name}", (part + 1) * quarter), resident, start));
        }
    }
    println!("{table}");
    Ok(Outcome::of(seen.failed.load(Ordering::Relaxed) == 0 && most - start < CAP * 12 / 10))
}

#[derive(Default)]
struct Seen {
    failed: AtomicU64,
    hot: AtomicU64,
    hits: AtomicU64,
}

impl Seen {
    fn row(&self, title: &str, resident: u64, start: u64) -> Vec<String> {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed).to_string();
        vec![
            title.to_owned(),
            count(&self.failed),
            count(&self.hot),
            count(&self.hits),
            format!("{:.1}", resident as f64 / f64::from(1 << 20)),
            format!("{:.2}", resident.saturating_sub(start) as f64 / CAP as f64),
        ]
    }
}

/// Sends the requests with these numbers; `of` says for which entry each of them is.
async fn load(
    addr: SocketAddr,
    seen: &Arc<Seen>,
    numbers: std::ops::Range<u64>,
    of: fn(u64) -> u64,
) -> Result<(), Error> {
    let next = Arc::new(AtomicU64::new(numbers.start));
    let mut tasks = JoinSet::new();
    for _ in 0..CLIENTS {
        let (seen, next, end) = (Arc::clone(seen), Arc::clone(&next), numbers.end);
        tasks.spawn(async move {
            let mut client = Client::new(addr);
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= end {
                    return;
                }
                let id = of(number);
                let answer = client.get(&format!("/fixed/2048/{id}")).await;
                let hit = answer.as_ref().is_ok_and(|answer| answer.field("cache-status").contains("hit"));
                let failed = !answer.is_ok_and(|answer| answer.status == 200);
                seen.failed.fetch_add(u64::from(failed), Ordering::Relaxed);
                seen.hot.fetch_add(u64::from(id == HOT), Ordering::Relaxed);
                seen.hits.fetch_add(u64::from(id == HOT && hit), Ordering::Relaxed);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done?;
    }
    Ok(())
}

const REQUESTS: u64 = 1_000_000;
const CLIENTS: usize = 16;
const HOT: u64 = 0;
const CAP: u64 = 64 << 20;
