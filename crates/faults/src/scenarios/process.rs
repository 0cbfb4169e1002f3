//! Instances that stand still.

use std::time::Duration;

use forebay_core::time::Clock;
use tokio::time::sleep;

use super::Acting;
use super::scenario::{Runs, Scenario};
use crate::client::Client;
use crate::load::{self, Plan, What};
use crate::origin::{KEYS, Manner};
use crate::process::TOKEN;
use crate::random::Random;
use crate::row::ms;
use crate::setting::{Length, Setting};
use crate::stage::{LEASE, Stage};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "F9",
        title: "an instance is frozen while others invalidate (SIGSTOP)",
        setting: with_grace,
        act: frozen,
        runs: Runs::Everywhere,
    },
    Scenario {
        id: "F10",
        title: "an instance is frozen in mid-fill, longer than a fill may take",
        setting: slow,
        act: frozen_in_fills,
        runs: Runs::FullAlone,
    },
    Scenario {
        id: "F25",
        title: "invalidated everywhere while an instance is frozen (SIGSTOP)",
        setting: Setting::default,
        act: waited_for,
        runs: Runs::Alone,
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

/// Rounds of: the last instance is frozen, another invalidates and waits until that holds everywhere, and the last one wakes up
/// and is asked at once.
fn waited_for(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        let last = stage.instances.len() - 1;
        stage.load.spare(last);
        let (writer, clock) = (stage.load.writer.clone(), Clock::system());
        let mut random = Random::new(stage.seed, "everywhere");
        let (mut rounds, mut not_everywhere, mut slowest) = (0, 0, Duration::ZERO);
        let end = stage.now().after(stage.pace.during);
        while stage.now() < end {
            let key = random.below(KEYS);
            stage.instances[last].stop()?;
            let (from, change) = (stage.now(), writer.change(What::Key(key)));
            let order = What::Key(key).order(",\"everywhere\":true");
            let mut admin = Client::new(stage.instances[0].admin());
            let answer = admin.admin_post("/invalidate", TOKEN, &order).await?;
            let confirmed = stage.now();
            stage.instances[last].resume()?;
            if answer.status == 200 {
                change.writes(0, confirmed).for_each(|write| stage.noted.history.everywhere(write));
                slowest = slowest.max(confirmed.since(from));
            } else {
                not_everywhere += 1;
            }
            let mut client = Client::new(stage.instances[last].addr());
            stage.noted.samples.push(load::read(&mut client, &clock, key, last).await);
            stage.synced().await?;
            rounds += 1;
        }
        stage.load.spare_none();
        stage.note(format!(
            "{rounds} rounds, {not_everywhere} not everywhere, {} ms at most (lease {})",
            ms(slowest),
            ms(LEASE)
        ));
        Ok(())
    })
}
