//! Instances that are not alike: new ones beside old ones, and ones that are configured in another way.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::sleep;

use super::Acting;
use super::scenario::{Runs, Scenario};
use crate::admin;
use crate::origin::KEYS;
use crate::setting::Setting;
use crate::stage::Stage;
use crate::writer::What;

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
        act: refused,
        runs: Runs::Alone,
    },
    Scenario {
        id: "F22c",
        title: "a rollout from one configuration to another and back, each told of the other",
        setting: two_kinds,
        act: rolled,
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

/// The last instance has another secret than the others.
fn two_secrets() -> Setting {
    Setting {
        secret: |instance| Some(if instance < 2 { "the secret of the others" } else { "the secret of one" }),
        ..Setting::default()
    }
}

/// It works on by itself: its Redis is off, and what it invalidates is not confirmed.
fn refused(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        let last = stage.instances.len() - 1;
        stage.load.spare(last);
        let mut client = stage.load.writer.client(last);
        let end = stage.now().after(stage.pace.during);
        let (mut tried, mut unconfirmed) = (0, 0);
        while stage.now() < end {
            let what = What::Key(KEYS - 1);
            let answer = admin::order(&mut client, &what.order("")).await?;
            tried += 1;
            unconfirmed += usize::from(answer.status == 202);
            sleep(Duration::from_millis(200)).await;
        }
        let standing = if stage.instances[last].is_refused().await { "refused" } else { "**not refused**" };
        let names = stage.keys("{*}:e:*").await?;
        let groups: BTreeSet<&str> = names.iter().filter_map(|name| Some(name.split_once('}')?.0)).collect();
        let unreadable = stage.metric("cache_errors_total", |labels| labels.contains("op=\"decode\"")).await;
        stage.note(format!(
            "the second is {standing}, {unconfirmed} of its {tried} invalidations are unconfirmed, entries of {} configuration in Redis, \
             {unreadable} unreadable frames counted",
            groups.len()
        ));
        Ok(())
    })
}

/// The second differs by its number of shards, and so by its keys.
fn two_kinds() -> Setting {
    Setting { kinds: &[&[], &["--redis-shards", "4"]], ..Setting::default() }
}

/// Instance after instance is replaced by one of the other configuration. Everybody writes through all of them.
fn rolled(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        let end = stage.now().after(stage.pace.during);
        let mut replaced = 0;
        while stage.now() < end {
            let instance = replaced % stage.instances.len();
            stage.kinds[instance] = 1 - stage.kinds[instance];
            stage.replace(instance).await?;
            replaced += 1;
            sleep(Duration::from_millis(500)).await;
        }
        stage.note(format!("{replaced} replaced"));
        Ok(())
    })
}
