//! Would the scenarios see it if a mechanism of the protocol were missing? Each is left out once.

use crate::arguments::Arguments;
use crate::error::Error;
use crate::process::System;
use crate::scenarios;
use crate::suite::{self, Outcome};
use crate::table;

/// A mechanism and the scenarios that should miss it, the likeliest first.
const MUTANTS: [(&str, &[&str]); 9] = [
    ("apply-before-lease", &["F4b", "F6a"]),
    ("audit", &["F14b"]),
    ("entry-check", &["F1"]),
    ("floor-at-read", &["F22a"]),
    ("gap-detection", &["F4a"]),
    ("lease", &["F6c", "F9"]),
    ("reach-at-read", &["F6a", "F4b", "F4a"]),
    ("table-at-read", &["F1", "F3"]),
    ("taint-at-read", &["F6e", "F8"]),
];

/// Runs every mutant until a scenario has seen it. It has held when every one was seen.
pub(crate) async fn run(arguments: &Arguments) -> Result<Outcome, Error> {
    let binary =
        arguments.mutants.as_ref().ok_or("mutants need --mutants, a binary built with --cfg mutants")?;
    let all = scenarios::all();
    println!("{HEAD}");
    let (mut lines, mut caught) = (Vec::new(), 0);
    let chosen = MUTANTS.iter().filter(|(mechanism, _)| arguments.wants(mechanism));
    let all_chosen = chosen.clone().count();
    for &(mechanism, by) in chosen {
        let system = System::Mutant(binary.clone(), mechanism);
        let mut seen = None;
        let scenarios = by.iter().filter_map(|id| all.iter().find(|scenario| scenario.id == *id));
        // What takes a coincidence is tried with more than one seed.
        let tries = (0..ATTEMPTS).flat_map(|more| scenarios.clone().map(move |scenario| (scenario, more)));
        for (scenario, more) in tries {
            let row = suite::stage(scenario, &system, arguments.pace, arguments.seed + more).await?;
            if !row.held() {
                seen = Some(format!("| `{mechanism}` | {} | {} of {} |", row.id, row.stale, row.reads));
                break;
            }
        }
        caught += usize::from(seen.is_some());
        let line = seen.unwrap_or_else(|| format!("| `{mechanism}` | **none** of {} | 0 |", by.join(", ")));
        println!("{line}");
        lines.push(line);
    }
    if let Some(docs) = &arguments.docs {
        if arguments.named.is_empty() {
            table::replace(docs, "mutants", HEAD, &lines)?;
        } else {
            table::update(docs, "mutants", HEAD, &lines, 1)?;
        }
    }
    println!("caught {caught} of {all_chosen}");
    Ok(if caught == all_chosen { Outcome::Held } else { Outcome::Broken })
}

const ATTEMPTS: u64 = 4;
const HEAD: &str = "| left out | caught by | stale after Ok |\n|---|---|---:|";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_has_scenarios_that_exist() {
        let all = scenarios::all();
        for id in MUTANTS.iter().flat_map(|(_, by)| *by) {
            assert!(all.iter().any(|scenario| scenario.id == *id), "{id}");
        }
    }
}
