//! An instance that is cut off from Redis, wholly or in part: nothing passes, and no connection ends.

use std::time::Duration;

use forebay_testkit::proxy::{Connections, Direction, Fault};

use super::Acting;
use super::scenario::{Runs, Scenario};
use crate::row::ms;
use crate::setting::Setting;
use crate::stage::Stage;

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
    Scenario {
        id: "F6e",
        title: "one instance's invalidations and stores are a black hole, its lookups are not",
        setting: Setting::default,
        act: writes_lost,
        runs: Runs::Alone,
    },
];

fn with_grace() -> Setting {
    Setting { grace: GRACE, ..Setting::default() }
}

fn bus_lost(stage: &mut Stage) -> Acting<'_> {
    cut(stage, Connections::subscribers(), Issues::No)
}

fn commands_lost(stage: &mut Stage) -> Acting<'_> {
    cut(stage, Connections::matching(|opening| !says(opening, "SUBSCRIBE")), Issues::No)
}

/// What it invalidates is not confirmed, and what Redis has of it is not to be believed.
fn writes_lost(stage: &mut Stage) -> Acting<'_> {
    let writes =
        |opening: &[u8]| says(opening, "EVAL") && !says(opening, "MGET") && !says(opening, "SUBSCRIBE");
    cut(stage, Connections::matching(writes), Issues::Yes)
}

fn says(opening: &[u8], word: &str) -> bool {
    opening.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
}

fn all_lost(stage: &mut Stage) -> Acting<'_> {
    cut(stage, Connections::all(), Issues::No)
}

/// Whether invalidations are made through the instance that is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Issues {
    Yes,
    No,
}

/// Cuts the last instance off for as long as the fault lasts.
fn cut(stage: &mut Stage, who: Connections, issues: Issues) -> Acting<'_> {
    Box::pin(async move {
        let last = stage.instances.len() - 1;
        if issues == Issues::No {
            stage.load.spare(last);
        }
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
