//! What is stored: corrupt values, too many of them, and invalidations that pile up.

use std::time::Duration;

use forebay_testkit::resp::Value;
use tokio::time::sleep;

use super::Acting;
use super::scenario::{Runs, Scenario};
use crate::client::Client;
use crate::process::TOKEN;
use crate::random::Random;
use crate::row::ms;
use crate::stage::{Setting, Stage};

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
        title: "as many distinct URLs as can be asked for",
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
    Setting { more: vec!["--l1-bytes", "16MiB"], ..Setting::default() }
}

fn explosion(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        let resident = stage.instances[0].resident()?;
        let end = stage.now().after(stage.pace.during);
        let askers = (0..8_u32).map(|asker| {
            let (addr, clock) = (stage.instances[0].addr(), forebay_core::time::Clock::system());
            async move {
                let (mut client, mut asked) = (Client::new(addr), 0_u32);
                while clock.now() < end {
                    client.get(&format!("/x/{asker}/{asked}?{asked}")).await?;
                    asked += 1;
                }
                Ok::<u32, std::io::Error>(asked)
            }
        });
        let mut urls = 0;
        for asked in futures_util::future::join_all(askers).await {
            urls += asked?;
        }
        let grown = stage.instances[0].resident()?.saturating_sub(resident) >> 20;
        let series =
            stage.instances[0].ask("/metrics").await?.lines().filter(|line| !line.starts_with('#')).count();
        let redis = stage.info("used_memory").await? >> 20;
        stage.note(format!(
            "{urls} URLs, L1 16 MiB: {grown} MiB more in the process, Redis {redis} MiB, {series} series"
        ));
        Ok(())
    })
}

const ORDERS: usize = 100;
