//! Fills: what happens between the question to the origin and the stored answer.

use std::time::Duration;

use forebay_core::time::Clock;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Acting;
use super::scenario::{Runs, Scenario};
use crate::client::Client;
use crate::load::{self, Plan, What};
use crate::origin::{KEYS, Manner, Validates};
use crate::random::Random;
use crate::setting::Setting;
use crate::stage::Stage;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "F2",
        title: "answers of the origin take up to 3 s",
        setting: slow,
        act: slow_fills,
        runs: Runs::Everywhere,
    },
    Scenario {
        id: "F16",
        title: "200 requests for one cold key, invalidated meanwhile",
        setting: slow_flights,
        act: flights,
        runs: Runs::Everywhere,
    },
    Scenario {
        id: "F17",
        title: "refreshes and 304s beside invalidations",
        setting: validated,
        act: validations,
        runs: Runs::Everywhere,
    },
    Scenario {
        id: "F24",
        title: "one in ten answers of the origin fails, breaks off or hangs",
        setting: faulty,
        act: faults_of_the_origin,
        runs: Runs::Alone,
    },
];

fn slow() -> Setting {
    Setting {
        manner: Manner { takes: Duration::from_secs(3), ..Manner::default() },
        // Most of them wait for the origin.
        plan: Plan { readers: 200, ..Plan::default() },
        ..Setting::default()
    }
}

fn slow_fills(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        stage.wait().await;
        let (refused, calls) = (stage.refusals().await, stage.origin.calls());
        stage.note(format!("{calls} calls of the origin, {refused} stores refused"));
        Ok(())
    })
}

fn slow_flights() -> Setting {
    Setting {
        manner: Manner { takes: Duration::from_millis(100), ..Manner::default() },
        plan: Plan { reads: 20, readers: 4, writes: 4 },
        ..Setting::default()
    }
}

/// Rounds of: invalidate a key, ask for it 200 times at once through one instance, and invalidate it again at some point.
fn flights(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        let end = stage.now().after(stage.pace.during);
        let mut random = Random::new(stage.seed, "flights");
        let (mut rounds, mut most, mut calls) = (0, 0, 0);
        while stage.now() < end {
            let (key, instance) = (random.below(KEYS), random.below(stage.instances.len()));
            let (writer, before) = (stage.load.writer.clone(), stage.origin.calls());
            let mut client = writer.client(instance);
            stage.noted.absorb(writer.write(&mut client, What::Key(key), instance).await);
            let addr = stage.instances[instance].addr();
            let mut waiters = JoinSet::new();
            for _ in 0..WAITERS {
                let later = random.up_to(Duration::from_millis(60));
                waiters.spawn(async move {
                    sleep(later).await;
                    load::read(&mut Client::new(addr), &Clock::system(), key, instance).await
                });
            }
            sleep(random.up_to(Duration::from_millis(80))).await;
            stage.noted.absorb(writer.write(&mut client, What::Key(key), instance).await);
            stage.noted.samples.extend(waiters.join_all().await);
            let asked = stage.origin.calls() - before;
            (rounds, most, calls) = (rounds + 1, most.max(asked), calls + asked);
        }
        stage.note(format!(
            "{rounds} rounds of {WAITERS}, {calls} calls of the origin (others' included), {most} at most"
        ));
        Ok(())
    })
}

fn validated() -> Setting {
    Setting {
        manner: Manner {
            cache_control: "public, max-age=1, stale-while-revalidate=60",
            takes: Duration::from_millis(50),
            validates: Validates::Yes,
            ..Manner::default()
        },
        ..Setting::default()
    }
}

fn validations(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        stage.wait().await;
        let freshened = stage.metric("cache_freshened_total", |_| true).await;
        let refreshed = stage.metric("cache_refreshes_total", |_| true).await;
        stage.note(format!("{refreshed} refreshes, {freshened} entries confirmed by 304"));
        Ok(())
    })
}

fn faulty() -> Setting {
    Setting { more: vec!["--origin-timeout", "1s"], faulty_origin: true, ..Setting::default() }
}

fn faults_of_the_origin(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        stage.origin.behave(Manner { wrong_one_in: 10, ..Manner::default() });
        stage.wait().await;
        stage.origin.behave(Manner::default());
        Ok(())
    })
}

const WAITERS: usize = 200;
