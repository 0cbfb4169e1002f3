//! Instances that are not alike: new ones beside old ones, and ones that are configured in another way.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::sleep;

use super::Acting;
use super::scenario::{Runs, Scenario};
use crate::load::{Collected, Plan, What};
use crate::process::TOKEN;
use crate::random::Random;
use crate::setting::Setting;
use crate::stage::Stage;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "F22a",
        title: "instances are replaced one by one (SIGKILL, started anew)",
        setting: Setting::default,
        act: replaced,
        runs: Runs::Everywhere,
    },
    Scenario {
        id: "F22b",
        title: "two configurations in one namespace, each invalidated through its own",
        setting: two_secrets,
        act: side_by_side,
        runs: Runs::Alone,
    },
];

fn replaced(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        let end = stage.now().after(stage.pace.during);
        let mut replaced = 0;
        while stage.now() < end {
            stage.replace(replaced % stage.instances.len()).await?;
            replaced += 1;
            sleep(Duration::from_millis(500)).await;
        }
        stage.note(format!("{replaced} replaced"));
        Ok(())
    })
}

/// The last instance has another secret than the others. Only the scenario writes.
fn two_secrets() -> Setting {
    Setting {
        secret: |instance| {
            Some(if instance == OTHER { "the secret of one" } else { "the secret of the others" })
        },
        plan: Plan { writes: 0, ..Plan::default() },
        ..Setting::default()
    }
}

/// Invalidates through one instance of each configuration. Neither hears the other, and both stand in one Redis.
fn side_by_side(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        let (writer, mut random) = (stage.load.writer.clone(), Random::new(stage.seed, "side by side"));
        let mut clients = [0, OTHER].map(|issuer| (issuer, writer.client(issuer)));
        let end = stage.now().after(stage.pace.during);
        while stage.now() < end {
            let what = What::draw(&mut random);
            let change = writer.change(what);
            let mut worst = 200;
            for (_, client) in &mut clients {
                worst = worst.max(client.admin_post("/invalidate", TOKEN, &what.order("")).await?.status);
            }
            // What each has answered counts from when both have.
            for (issuer, _) in &clients {
                let Collected { history, .. } = change.answered(worst, *issuer);
                stage.noted.history.absorb(history);
            }
            stage.noted.confirmed += u64::from(worst == 200);
            stage.noted.unconfirmed += u64::from(worst == 202);
            sleep(Duration::from_millis(50)).await;
        }
        let names = stage.keys("{*}:*").await?;
        let groups: BTreeSet<&str> = names.iter().filter_map(|name| Some(name.split_once('}')?.0)).collect();
        let unreadable = stage.metric("cache_errors_total", |labels| labels.contains("op=\"decode\"")).await;
        stage.note(format!(
            "{} groups of keys in Redis, {unreadable} unreadable frames counted",
            groups.len()
        ));
        Ok(())
    })
}

/// The instance that is not configured like the others.
const OTHER: usize = 2;
