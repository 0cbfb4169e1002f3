//! The bus: messages that are lost, late, or not what they seem.

use std::time::Duration;

use forebay_testkit::proxy::{Connections, Direction, Fault, Pushes};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Acting;
use super::scenario::{Runs, Scenario};
use crate::load::What;
use crate::origin::KEYS;
use crate::process::TOKEN;
use crate::random::Random;
use crate::row::ms;
use crate::setting::Setting;
use crate::stage::{LEASE, Stage};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { id: "F1", title: "no fault", setting: Setting::default, act: nothing, runs: Runs::Everywhere },
    Scenario {
        id: "F3",
        title: "CLIENT KILL TYPE pubsub every 500 ms",
        setting: Setting::default,
        act: subscribers_killed,
        runs: Runs::Everywhere,
    },
    Scenario {
        id: "F4a",
        title: "every 10th message lost",
        setting: Setting::default,
        act: every_tenth_lost,
        runs: Runs::Everywhere,
    },
    Scenario {
        id: "F4b",
        title: "the last message lost, then silence",
        setting: Setting::default,
        act: the_last_lost,
        runs: Runs::Everywhere,
    },
    Scenario {
        id: "F5",
        title: "one subscriber stalled 2 s under a burst of invalidations",
        setting: Setting::default,
        act: one_stalled,
        runs: Runs::Full,
    },
];

fn nothing(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        stage.wait().await;
        Ok(())
    })
}

fn subscribers_killed(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        let (every, mut kills) = (Duration::from_millis(500), 0);
        let end = stage.now().after(stage.pace.during);
        while stage.now() < end {
            stage.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await?;
            kills += 1;
            sleep(every).await;
        }
        stage.note(format!("killed {kills} times"));
        Ok(())
    })
}

fn every_tenth_lost(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        for proxy in &stage.proxies {
            proxy.inject(Connections::all(), Fault::DropPushes(Pushes::Every(10)));
        }
        stage.wait().await;
        stage.proxies.iter().for_each(|proxy| proxy.heal());
        note_lost(stage);
        Ok(())
    })
}

/// Rounds of: one write per instance of which no other hears, and then none until the lease is over.
fn the_last_lost(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        let end = stage.now().after(stage.pace.during);
        let mut random = Random::new(stage.seed, "last");
        while stage.now() < end {
            stage.load.pause_writers();
            sleep(Duration::from_millis(100)).await;
            for proxy in &stage.proxies {
                proxy.inject(Connections::all(), Fault::DropPushes(Pushes::All));
            }
            for issuer in 0..stage.instances.len() {
                let (writer, key) = (stage.load.writer.clone(), random.below(KEYS));
                stage.noted.absorb(writer.write(&mut writer.client(issuer), What::Key(key), issuer).await);
            }
            // What was published has reached the proxies when a later command is answered.
            sleep(Duration::from_millis(100)).await;
            stage.proxies.iter().for_each(|proxy| proxy.heal());
            sleep(LEASE + Duration::from_millis(500)).await;
            stage.load.spare_none();
            sleep(Duration::from_millis(500)).await;
        }
        note_lost(stage);
        Ok(())
    })
}

fn note_lost(stage: &mut Stage) {
    let lost: u64 = stage.proxies.iter().map(|proxy| proxy.counters().pushes_dropped).sum();
    stage.note(format!("{lost} messages lost"));
}

fn one_stalled(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        let last = stage.instances.len() - 1;
        let burst = stage.pace.choose(10_000, 1_000);
        stage.proxies[last].inject(Connections::subscribers(), Fault::Hold(Direction::ToClient));
        let from = stage.now();
        let mut tasks = JoinSet::new();
        for part in 0..PARTS {
            let mut client = stage.load.writer.client(0);
            tasks.spawn(async move {
                for number in 0..burst / PARTS {
                    let order = format!("{{\"tags\":[\"burst-{part}-{number}\"]}}");
                    client.admin_post("/invalidate", TOKEN, &order).await?;
                }
                Ok::<(), std::io::Error>(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        let took = stage.now().since(from);
        sleep(Duration::from_secs(2).saturating_sub(took)).await;
        stage.proxies[last].heal();
        stage.heal();
        let caught_up = stage.synced().await?;
        stage.note(format!("{burst} invalidations in {} ms, in sync {} ms after", ms(took), ms(caught_up)));
        Ok(())
    })
}

const PARTS: usize = 10;
