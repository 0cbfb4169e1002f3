//! Instances that stand still.

use std::time::Duration;

use tokio::time::sleep;

use super::Acting;
use super::scenario::{Runs, Scenario};
use crate::load::{Plan, What};
use crate::origin::{KEYS, Manner};
use crate::stage::{Length, Setting, Stage};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "F9",
        title: "an instance is frozen while others invalidate (SIGSTOP)",
        setting: with_grace,
        act: frozen,
        runs: Runs::Everywhere,
    },
    Scenario {
        id: "F22",
        title: "instances are replaced one by one (SIGKILL, started anew)",
        setting: Setting::default,
        act: replaced,
        runs: Runs::Everywhere,
    },
    Scenario {
        id: "F10",
        title: "an instance is frozen in mid-fill, longer than a fill may take",
        setting: slow,
        act: frozen_in_fills,
        runs: Runs::FullAlone,
    },
];

/// A grace, to show that waking up is no partition.
fn with_grace() -> Setting {
    Setting { grace: Duration::from_secs(30), ..Setting::default() }
}

fn frozen(stage: &mut Stage) -> Acting<'_> {
    freeze_the_last(stage, Duration::ZERO)
}

fn slow() -> Setting {
    Setting {
        manner: Manner { takes: Duration::from_secs(1), ..Manner::default() },
        plan: Plan { readers: 100, ..Plan::default() },
        // The proxy's own timeouts go on while it is frozen, and are not what is asked about.
        more: vec!["--origin-timeout", "5m", "--idle-timeout", "5m", "--header-read-timeout", "5m"],
        ..Setting::default()
    }
}

/// By default a fill may take 60 s, by Redis' clock.
fn frozen_in_fills(stage: &mut Stage) -> Acting<'_> {
    freeze_the_last(stage, Duration::from_secs(62))
}

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

/// Freezes the last instance for as long as the fault lasts, and at least this long. What it has is invalidated by the others.
fn freeze_the_last(stage: &mut Stage, at_least: Duration) -> Acting<'_> {
    Box::pin(async move {
        let last = stage.instances.len() - 1;
        stage.load.spare(last);
        let refused = stage.refusals().await;
        stage.instances[last].stop()?;
        let at_least = if stage.pace.length == Length::Full { at_least } else { Duration::ZERO };
        sleep(stage.pace.during.max(at_least)).await;
        let (writer, mut client) = (stage.load.writer.clone(), stage.load.writer.client(0));
        for key in 0..KEYS {
            stage.noted.absorb(writer.write(&mut client, What::Key(key), 0).await);
        }
        stage.instances[last].resume()?;
        stage.heal();
        stage.synced().await?;
        stage.load.spare_none();
        sleep(Duration::from_secs(1)).await;
        let refused = stage.refusals().await - refused;
        stage.note(format!("{refused} stores refused"));
        Ok(())
    })
}
