//! What is stored: corrupt values, too many of them, and invalidations that pile up.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use forebay_testkit::resp::Value;
use tokio::time::sleep;

use super::Acting;
use super::scenario::{Runs, Scenario};
use crate::client::Client;
use crate::origin::{Manner, SPOKEN};
use crate::process::TOKEN;
use crate::random::Random;
use crate::row::ms;
use crate::setting::Setting;
use crate::stage::Stage;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "F19",
        title: "Redis is gone while 100,000 tags are invalidated",
        setting: with_grace,
        act: overflow,
        runs: Runs::Alone,
    },
    Scenario {
        id: "F20",
        title: "values in Redis are flipped, swapped and cut",
        setting: Setting::default,
        act: corrupted,
        runs: Runs::Everywhere,
    },
    Scenario {
        id: "F23",
        title: "1,000,000 distinct URLs, and one with 100,000 variants",
        setting: small,
        act: explosion,
        runs: Runs::FullAlone,
    },
];

fn with_grace() -> Setting {
    Setting { grace: Duration::from_secs(30), ..Setting::default() }
}

fn overflow(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        let resident = stage.instances[0].resident()?;
        stage.redis.kill()?;
        let mut client = stage.load.writer.client(0);
        let end = stage.now().after(stage.pace.during);
        for order in 0..ORDERS {
            let tags: Vec<String> = (0..1000).map(|tag| format!("\"pile-{order}-{tag}\"")).collect();
            client.admin_post("/invalidate", TOKEN, &format!("{{\"tags\":[{}]}}", tags.join(","))).await?;
        }
        let grown = stage.instances[0].resident()?.saturating_sub(resident) >> 20;
        sleep(end.since(stage.now())).await;
        stage.redis.restart().await?;
        stage.heal();
        let synced = stage.synced().await?;
        stage.note(format!(
            "{} tags unconfirmed, {grown} MiB more, in sync {} ms after",
            ORDERS * 1000,
            ms(synced)
        ));
        Ok(())
    })
}

/// Goes through what is stored again and again, and spoils one value in three.
fn corrupted(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        let end = stage.now().after(stage.pace.during);
        let (mut random, mut spoilt) = (Random::new(stage.seed, "corrupted"), 0);
        while stage.now() < end {
            let mut names = stage.keys("*:e:*").await?;
            names.extend(stage.keys("/k/*").await?);
            for name in &names {
                if !random.one_in(3) {
                    continue;
                }
                let other = &names[random.below(names.len())];
                let value = stage.command(&["GET", name]).await?;
                let swapped = stage.command(&["GET", other]).await?;
                let Some(value) = spoil(&mut random, &value, &swapped) else { continue };
                let words = [b"SET".as_slice(), name.as_bytes(), &value, b"XX", b"KEEPTTL"];
                stage.redis.command(words).await?;
                spoilt += 1;
            }
            sleep(Duration::from_millis(20)).await;
        }
        let noticed = stage.metric("cache_errors_total", |labels| labels.contains("op=\"decode\"")).await;
        stage.note(format!("{spoilt} values spoilt, {noticed} unreadable frames counted"));
        Ok(())
    })
}

/// The value with a byte changed, another key's value, or half of it.
fn spoil(random: &mut Random, value: &Value, other: &Value) -> Option<Vec<u8>> {
    let mut value = value.as_bytes().filter(|value| !value.is_empty())?.to_vec();
    match random.below(3) {
        0 => {
            let at = random.below(value.len());
            value[at] ^= 1 << random.below(8);
        }
        1 => value = other.as_bytes()?.to_vec(),
        _ => value.truncate(random.below(value.len())),
    }
    Some(value)
}

fn small() -> Setting {
    Setting {
        more: vec!["--l1-bytes", "16MiB"],
        manner: Manner { takes: Duration::ZERO, length: 64, ..Manner::default() },
        ..Setting::default()
    }
}

/// Every URL is asked for once, over all instances. A run that is shorter than usual asks for as many fewer.
fn explosion(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        let resident = stage.resident()?;
        let share = (stage.pace.during.as_secs_f64() / USUAL.as_secs_f64()).min(1.0);
        let urls = stage.pace.choose((MANY as f64 * share) as usize, FEW);
        let from = stage.now();
        let asking = (0..ASKERS).map(|asker| {
            let addr = stage.instances[asker % stage.instances.len()].addr();
            ask_for(addr, (asker..urls).step_by(ASKERS))
        });
        futures_util::future::try_join_all(asking).await?;
        let took = stage.now().since(from).as_secs_f64();
        let grown = stage.resident()?.saturating_sub(resident) >> 20;
        let metrics = stage.instances[0].ask("/metrics").await?;
        let series = metrics.lines().filter(|line| !line.starts_with('#')).count();
        let (keys, redis) = (stage.number(&["DBSIZE"]).await?, stage.info("used_memory").await? >> 20);
        let variants = urls / VARIANT;
        stage.note(format!(
            "{urls} URLs, {variants} variants in {took:.0} s; with 16 MiB for L1 an instance takes {grown} MiB more, \
             {series} series; Redis {redis} MiB in {keys} keys"
        ));
        Ok(())
    })
}

/// Asks for all of these, and now and then for one variant more of the resource that varies.
async fn ask_for(addr: SocketAddr, urls: impl Iterator<Item = usize>) -> io::Result<()> {
    let mut client = Client::new(addr);
    for url in urls {
        client.get(&format!("/x/{url}?{url}")).await?;
        if url % VARIANT == 0 {
            client.get_with(SPOKEN, &format!("accept-language: x-{url}")).await?;
        }
    }
    Ok(())
}

const ORDERS: usize = 100;
const MANY: usize = 1_000_000;
const FEW: usize = 3_000;
/// How long the fault takes in a run of the usual length.
const USUAL: Duration = Duration::from_secs(8);
const ASKERS: usize = 24;
/// For one in so many URLs there is a variant.
const VARIANT: usize = 10;
