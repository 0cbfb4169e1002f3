//! From an invalidation on one instance to its effect on another, beside a raw message from publisher to subscriber.

use std::sync::Arc;
use std::time::Duration;

use forebay::Clock;
use forebay_core::instance::{Instance, Settings};
use forebay_core::tag::Tag;
use forebay_core::time::Moment;
use forebay_redis::Redis;
use forebay_testkit::redis::RedisServer;
use fred::clients::Client;
use fred::interfaces::{ClientLike, EventInterface, PubsubInterface};
use fred::types::config::Config;
use tokio::task::yield_now;

use super::{Error, Outcome, quantile};
use crate::table::Table;

/// Measures both, in turns, and prints a row for each.
///
/// # Errors
/// When the measurement itself fails.
pub async fn run() -> Result<Outcome, Error> {
    let redis = RedisServer::start().await?;
    let [a, b] = [start(&redis)?, start(&redis)?];
    let clock = Clock::system();
    while !has_joined(&a) || !has_joined(&b) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (publisher, subscriber) = (raw(&redis).await?, raw(&redis).await?);
    subscriber.subscribe("raw").await?;
    let mut messages = subscriber.message_rx();
    tokio::time::sleep(Duration::from_millis(200)).await;

    let mut ours = [Vec::new(), Vec::new(), Vec::new()];
    let mut theirs = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        let before = epoch(&b);
        let seen = tokio::spawn({
            let (b, clock) = (Arc::clone(&b), clock.clone());
            async move { until(&clock, || epoch(&b) > before).await }
        });
        let start = clock.now();
        a.invalidate(Tag(format!("article:{round}"))).await?;
        note(&mut ours, start, clock.now(), seen.await?);

        let seen = tokio::spawn({
            let clock = clock.clone();
            async move { (until(&clock, || messages.try_recv().is_ok()).await, messages) }
        });
        let start = clock.now();
        // As many bytes as an invalidation's message has.
        publisher.publish::<i64, _, _>("raw", &[7_u8; 80][..]).await?;
        let answered = clock.now();
        let (arrived, rest) = seen.await?;
        messages = rest;
        note(&mut theirs, start, answered, arrived);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let head = ["", "call to Ok p50 us", "p99", "call to effect p50 us", "p99", "Ok to effect p50 us", "p99"];
    let title = format!("From one instance to another, {ROUNDS} rounds in turns");
    let mut table = Table::new(title, &head);
    table.row(row("forebay: invalidate, applied on the other", ours));
    table.row(row("raw fred: publish, delivered to the other", theirs));
    println!("{table}");
    Ok(Outcome::Held)
}

fn start(redis: &RedisServer) -> Result<Arc<Instance>, Error> {
    let settings = Settings::new("outage", None);
    let l2 = Redis::url(&redis.url())?.connect("outage", &settings.secrets)?;
    Ok(Arc::new(Instance::start(settings, Some(Arc::new(l2)))))
}

fn has_joined(instance: &Instance) -> bool {
    instance.shards().iter().all(|shard| shard.coherence().incarnation().is_some())
}

fn epoch(instance: &Instance) -> u64 {
    instance.shards().iter().map(|shard| shard.coherence().epoch()).sum()
}

async fn raw(redis: &RedisServer) -> Result<Client, Error> {
    let client = Client::new(Config::from_url(&redis.url())?, None, None, None);
    client.init().await?;
    Ok(client)
}

/// Looks again and again; both sides are looked at in the same way.
async fn until(clock: &Clock, mut condition: impl FnMut() -> bool) -> Moment {
    while !condition() {
        yield_now().await;
    }
    clock.now()
}

fn note(into: &mut [Vec<Duration>; 3], start: Moment, answered: Moment, effective: Moment) {
    let [answer, effect, between] = into;
    answer.push(answered.since(start));
    effect.push(effective.since(start));
    // Nothing where the effect came first.
    between.push(effective.since(answered));
}

fn row(title: &str, figures: [Vec<Duration>; 3]) -> Vec<String> {
    let cells = figures.into_iter().flat_map(|mut figures| {
        [0.5, 0.99].map(|share| format!("{:.0}", quantile(&mut figures, share).as_secs_f64() * 1e6))
    });
    std::iter::once(title.to_owned()).chain(cells).collect()
}

const ROUNDS: usize = 3000;
