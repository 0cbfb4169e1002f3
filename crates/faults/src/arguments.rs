//! The command line.

use std::path::PathBuf;

use crate::error::Error;
use crate::setting::{Length, Pace};

/// What to run.
#[derive(Clone, Debug)]
pub(crate) struct Arguments {
    /// Numbers and names of scenarios and measurements; all scenarios where there is none.
    pub(crate) named: Vec<String>,
    pub(crate) pace: Pace,
    /// How long a soak lasts.
    pub(crate) minutes: u64,
    pub(crate) seed: u64,
    pub(crate) systems: Systems,
    /// `forebay`, built.
    pub(crate) binary: PathBuf,
    /// `forebay`, built so that it can be told to leave a mechanism out.
    pub(crate) mutants: Option<PathBuf>,
    /// Where the table is written; nowhere for none.
    pub(crate) docs: Option<PathBuf>,
}

/// On which systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Systems {
    /// On Forebay and on the baseline.
    Both,
    /// On Forebay.
    Forebay,
    /// On the baseline.
    Baseline,
}

impl Arguments {
    pub(crate) fn parse(args: &[String]) -> Result<Self, Error> {
        let binary = std::env::current_exe()?.with_file_name("forebay");
        let mut parsed = Self {
            named: Vec::new(),
            pace: Pace::full(SECONDS),
            minutes: MINUTES,
            seed: SEED,
            systems: Systems::Both,
            binary,
            mutants: None,
            docs: None,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--short" => parsed.pace = Pace::short(),
                "--seconds" => parsed.pace = Pace::full(value()?.parse()?),
                "--minutes" => parsed.minutes = value()?.parse()?,
                "--seed" => parsed.seed = value()?.parse()?,
                "--forebay-only" => parsed.systems = Systems::Forebay,
                "--baseline-only" => parsed.systems = Systems::Baseline,
                "--binary" => parsed.binary = value()?.into(),
                "--mutants" => parsed.mutants = Some(value()?.into()),
                "--docs" => parsed.docs = Some(value()?.into()),
                flag if flag.starts_with('-') => return Err(format!("no flag {flag}").into()),
                name => parsed.named.push(name.to_owned()),
            }
        }
        if parsed.pace.length == Length::Short {
            // Its figures are those of a debug build on a busy machine.
            parsed.docs = None;
        }
        Ok(parsed)
    }

    /// Whether a scenario is wanted: F6 means F6a to F6d.
    pub(crate) fn wants(&self, id: &str) -> bool {
        let is_meant = |name: &String| {
            let rest = id.strip_prefix(name.as_str());
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        self.named.is_empty() || self.named.iter().any(is_meant)
    }
}

/// Long enough for every fault to show, short enough for all of them on both systems within half an hour.
const SECONDS: u64 = 16;
const SEED: u64 = 1;
const MINUTES: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Arguments {
        Arguments::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_number_means_all_of_its_scenarios_and_no_other() {
        let some = parse("F6 F1 --seed 7");
        assert_eq!(some.seed, 7);
        assert_eq!(
            ["F6a", "F6d", "F1", "F10", "F16"].map(|id| some.wants(id)),
            [true, true, true, false, false]
        );
        assert!(parse("--short").wants("F3"));
    }

    #[test]
    fn a_short_run_writes_no_figures() {
        assert!(parse("--docs x").docs.is_some());
        assert!(parse("--docs x --short").docs.is_none());
    }
}
