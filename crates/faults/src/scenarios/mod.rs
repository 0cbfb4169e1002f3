//! The scenarios, in groups by what breaks.

mod scenario;
mod bus;
mod fills;
mod cut;
mod server;
mod process;
mod content;
mod cluster;
mod hostile;
mod versions;

use self::scenario::Acting;
pub(crate) use self::scenario::Scenario;

/// All scenarios, in the order of their numbers.
pub(crate) fn all() -> Vec<Scenario> {
    let mut all: Vec<Scenario> = [
        bus::SCENARIOS,
        fills::SCENARIOS,
        cut::SCENARIOS,
        server::SCENARIOS,
        process::SCENARIOS,
        content::SCENARIOS,
        cluster::SCENARIOS,
        hostile::SCENARIOS,
        versions::SCENARIOS,
    ]
    .concat();
    all.sort_by_key(|scenario| (number(scenario.id), scenario.id));
    all
}

/// 6 of F6a.
fn number(id: &str) -> u32 {
    let digits: String = id.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_has_a_name_of_its_own() {
        let ids: Vec<&str> = all().iter().map(|scenario| scenario.id).collect();
        let distinct: std::collections::HashSet<&&str> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len(), "{ids:?}");
        assert!(ids.iter().all(|id| id.starts_with('F')), "{ids:?}");
    }
}
