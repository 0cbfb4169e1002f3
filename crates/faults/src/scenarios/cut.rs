//! An instance that is cut off from Redis, wholly or in part: nothing passes, and no connection ends.

use std::time::Duration;

use forebay_testkit::proxy::{Connections, Direction, Fault};

use super::Acting;
use super::scenario::{Runs, Scenario};
use crate::row::ms;
use crate::stage::{Setting, Stage};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "F6a",
        title: "one instance's subscription is a black hole",
        setting: Setting::default,
        act: bus_lost,
        runs: Runs::Everywhere,
    },
    Scenario {
        id: "F6b",
        title: "one instance's commands are a black hole",
        setting: Setting::default,
        act: commands_lost,
        runs: Runs::Everywhere,
    },
    Scenario {
        id: "F6c",
        title: "one instance is cut off, no grace",
        setting: Setting::default,
        act: all_lost,
        runs: Runs::Everywhere,
    },
    Scenario {
        id: "F6d",
        title: "one instance is cut off, 2 s of grace",
        setting: with_grace,
        act: all_lost,
        runs: Runs::FullAlone,
    },
];

fn with_grace() -> Setting {
    Setting { grace: GRACE, ..Setting::default() }
}

fn bus_lost(stage: &mut Stage) -> Acting<'_> {
    cut(stage, Connections::subscribers())
}

fn commands_lost(stage: &mut Stage) -> Acting<'_> {
    let subscribe = |opening: &[u8]| opening.windows(9).any(|part| part.eq_ignore_ascii_case(b"SUBSCRIBE"));
    cut(stage, Connections::matching(move |opening| !subscribe(opening)))
}

fn all_lost(stage: &mut Stage) -> Acting<'_> {
    cut(stage, Connections::all())
}

/// Cuts the last instance off for as long as the fault lasts. It issues nothing meanwhile.
fn cut(stage: &mut Stage, who: Connections) -> Acting<'_> {
    Box::pin(async move {
        let last = stage.instances.len() - 1;
        stage.load.spare(last);
        stage.proxies[last].inject(who, Fault::Blackhole(Direction::Both));
        let from = stage.now();
        stage.wait().await;
        stage.proxies[last].heal();
        stage.heal();
        stage.watch(last, from);
        let synced = stage.synced().await?;
        stage.load.spare_none();
        stage.note(format!("in sync {} ms after", ms(synced)));
        Ok(())
    })
}

const GRACE: Duration = Duration::from_secs(2);
