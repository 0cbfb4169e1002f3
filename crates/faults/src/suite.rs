//! Runs scenarios one after the other and prints what they came to.

use tokio::time::sleep;

use crate::arguments::{Arguments, Systems};
use crate::error::Error;
use crate::process::System;
use crate::row::{HEAD, Row};
use crate::scenarios::{self, Scenario};
use crate::setting::{Length, Pace};
use crate::stage::Stage;
use crate::table;

/// Whether everything held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Held,
    Broken,
}

/// Runs the scenarios that are wanted.
///
/// What the baseline does is shown and not asserted.
pub(crate) async fn run(arguments: &Arguments) -> Result<Outcome, Error> {
    let chosen: Vec<Scenario> =
        scenarios::all().into_iter().filter(|scenario| wanted(arguments, scenario)).collect();
    if chosen.is_empty() {
        let ids: Vec<&str> = scenarios::all().iter().map(|scenario| scenario.id).collect();
        return Err(format!("no such scenario; there are {}", ids.join(", ")).into());
    }
    println!("{HEAD}");
    let (mut lines, mut complaints) = (Vec::new(), Vec::new());
    for scenario in chosen {
        for system in systems(arguments, &scenario) {
            let row = stage(&scenario, &system, arguments.pace, arguments.seed).await?;
            println!("{}", row.line());
            lines.push(row.line());
            if system != System::Plain {
                complaints.extend(row.complaint());
            }
        }
    }
    if let Some(docs) = &arguments.docs {
        // What ran whole leaves nothing of what ran before it.
        if arguments.named.is_empty() && arguments.systems == Systems::Both {
            table::replace(docs, "scenarios", HEAD, &lines)?;
        } else {
            table::update(docs, "scenarios", HEAD, &lines, 2)?;
        }
    }
    for complaint in &complaints {
        println!("{complaint}");
    }
    println!("{} rows, {} broken (seed {})", lines.len(), complaints.len(), arguments.seed);
    Ok(if complaints.is_empty() { Outcome::Held } else { Outcome::Broken })
}

fn wanted(arguments: &Arguments, scenario: &Scenario) -> bool {
    let by_length = arguments.pace.length == Length::Full || scenario.runs.in_short();
    arguments.wants(scenario.id) && (by_length || !arguments.named.is_empty())
}

fn systems(arguments: &Arguments, scenario: &Scenario) -> Vec<System> {
    let forebay = System::Forebay(arguments.binary.clone());
    // A short run is for finding mistakes in Forebay; where the baseline is asked for by name it runs all the same.
    let beside = arguments.pace.length == Length::Full && scenario.runs.on_baseline();
    match arguments.systems {
        Systems::Both if beside => vec![forebay, System::Plain],
        Systems::Both | Systems::Forebay => vec![forebay],
        Systems::Baseline if scenario.runs.on_baseline() => vec![System::Plain],
        Systems::Baseline => Vec::new(),
    }
}

/// Runs one scenario on one system.
pub(crate) async fn stage(scenario: &Scenario, system: &System, pace: Pace, seed: u64) -> Result<Row, Error> {
    let at = |error: Error| format!("{} on {}: {error}", scenario.id, system.name());
    let mut stage = Stage::set((scenario.setting)(), system, pace, seed).await.map_err(at)?;
    sleep(pace.before).await;
    stage.begin();
    (scenario.act)(&mut stage).await.map_err(at)?;
    stage.heal();
    sleep(pace.after).await;
    stage.end(scenario.id, scenario.title, system).await
}
