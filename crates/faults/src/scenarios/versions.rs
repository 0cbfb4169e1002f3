//! Instances that are not alike: new ones beside old ones, and ones that are configured in another way.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::sleep;

use super::Acting;
use super::scenario::{Runs, Scenario};
use crate::load::{Plan, What};
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
        title: "two configurations in one namespace: who comes second is refused",
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

/// Invalidates through an instance that was there first, and has the one that came second try, which is refused.
fn side_by_side(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        let (writer, mut random) = (stage.load.writer.clone(), Random::new(stage.seed, "side by side"));
        let [mut first, mut second] = [0, OTHER].map(|issuer| writer.client(issuer));
        let (end, mut refused) = (stage.now().after(stage.pace.during), 0);
        while stage.now() < end {
            let what = What::draw(&mut random);
            let (change, order) = (writer.change(what), what.order(""));
            let status = first.admin_post("/invalidate", TOKEN, &order).await?.status;
            stage.noted.history.absorb(change.answered(status, 0).history);
            stage.noted.confirmed += u64::from(status == 200);
            stage.noted.unconfirmed += u64::from(status == 202);
            refused += u64::from(second.admin_post("/invalidate", TOKEN, &order).await?.status == 202);
            sleep(Duration::from_millis(50)).await;
        }
        let standing = if stage.instances[OTHER].is_refused().await { "refused" } else { "not refused" };
        let names = stage.keys("{*}:*").await?;
        let groups: BTreeSet<&str> = names.iter().filter_map(|name| Some(name.split_once('}')?.0)).collect();
        stage.note(format!(
            "the second is {standing}, its {refused} invalidations unconfirmed; {} groups of keys in Redis",
            groups.len()
        ));
        Ok(())
    })
}

/// The instance that is not configured like the others.
const OTHER: usize = 2;
