//! Reads and writes, and what they tell.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use forebay::Clock;
use forebay_core::time::Moment;
use forebay_testkit::history::{Read, Tier, Write};
use forebay_testkit::http::{Answer, Client};

use super::versions::{RESOURCES, Versions};

/// Where an answer came from, as Cache-Status tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
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
    fn read(cache_status: &str) -> Self {
        [("detail=l1", Self::L1), ("detail=unsynced", Self::Unsynced), ("detail=l2", Self::L2)]
            .into_iter()
            .chain([("detail=flight", Self::Flight), ("collapsed", Self::Flight)])
            .find_map(|(word, from)| cache_status.contains(word).then_some(from))
            .unwrap_or(Self::Origin)
    }

    fn tier(self) -> Tier {
        match self {
            Self::L1 | Self::Unsynced | Self::Flight => Tier::L1,
            Self::L2 => Tier::L2,
            Self::Origin => Tier::Origin,
        }
    }
}

/// A request and its answer.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What was asked for.
    pub name: String,
    /// Which instance was asked.
    pub instance: usize,
    /// When.
    pub start: Moment,
    /// For how long it was waited.
    pub took: Duration,
    /// From where and which version, unless it failed.
    pub got: Option<(From, u64)>,
}

impl Sample {
    /// Asks.
    pub async fn take(client: &mut Client, name: String, instance: usize) -> Self {
        let clock = Clock::system();
        let start = clock.now();
        let answer = client.get(&format!("/items/{name}")).await;
        Self { name, instance, start, took: clock.now().since(start), got: read(answer) }
    }

    /// For the history's judgement, unless it failed.
    #[must_use]
    pub fn to_read(&self) -> Option<Read> {
        let (from, version) = self.got?;
        let (key, instance, start) = (self.name.clone(), self.instance, self.start);
        Some(Read { key, version, instance, tier: from.tier(), start })
    }
}

fn read(answer: io::Result<Answer>) -> Option<(From, u64)> {
    let answer = answer.ok().filter(|answer| answer.status == 200)?;
    let version = std::str::from_utf8(&answer.body).ok()?.parse().ok()?;
    Some((From::read(&answer.field("cache-status")), version))
}

/// Names one of the resources that are written to.
#[must_use]
pub fn name(resource: u64) -> String {
    format!("r{}", resource % RESOURCES as u64)
}

/// A write and whether its invalidation was confirmed. `confirmed` is when that was known, either way.
pub type Written = (Write, Confirmation);

/// Whether an invalidation was confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// By Redis.
    Confirmed,
    /// It holds on its issuer only, as yet.
    Unconfirmed,
}

/// Writes to a resource and invalidates it on an instance. Nothing when the instance did not answer.
pub async fn write(
    client: &mut Client,
    versions: &Versions,
    resource: u64,
    issuer: usize,
) -> Option<Written> {
    let key = name(resource);
    let version = versions.write(resource as usize % RESOURCES);
    let answer = client.post(&format!("/invalidate/{key}")).await.ok()?;
    let confirmation = if answer.status == 200 { Confirmation::Confirmed } else { Confirmation::Unconfirmed };
    let nanos = std::str::from_utf8(&answer.body).ok()?.parse().ok()?;
    Some((Write { key, version, issuer, confirmed: Moment::from_nanos(nanos) }, confirmation))
}

/// Numbers that look random and are the same each time (SplitMix64).
#[derive(Clone, Copy, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next one.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) >> 16
    }
}

/// Asks each instance until it has joined: until it answers from L1, in sync, what another has fetched.
pub async fn until_joined(instances: &[SocketAddr]) {
    for &addr in instances {
        let mut client = Client::new(addr);
        for number in 0.. {
            // Each name anew: what was fetched before the instance joined is dropped when it does.
            let name = format!("warm-{}-{number}", addr.port());
            let mut got = None;
            for _ in 0..2 {
                got = Sample::take(&mut client, name.clone(), 0).await.got;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            if matches!(got, Some((From::L1, _))) && stored(instances, &name).await {
                break;
            }
        }
    }
}

/// Whether the others find it in L2 or have it already.
async fn stored(instances: &[SocketAddr], name: &str) -> bool {
    for &addr in instances {
        let got = Sample::take(&mut Client::new(addr), name.to_owned(), 0).await.got;
        if !matches!(got, Some((From::L1 | From::L2, _))) {
            return false;
        }
    }
    true
}
