//! `cargo xtask faults`.

use std::path::PathBuf;
use std::process::Command;

use crate::redis;
use crate::run::{self, Failure, cargo, stage};

/// What the command line asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    profile: Profile,
    /// For the suite itself.
    args: Vec<String>,
}

/// How the suite and what it tests are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Profile {
    Debug,
    Release,
}

impl Options {
    pub(crate) fn parse(args: &[String]) -> Self {
        let short = args.iter().any(|arg| arg == "--short");
        Self { profile: if short { Profile::Debug } else { Profile::Release }, args: args.to_vec() }
    }
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    redis::provide(redis::consent(false))?;
    let mutants = options.args.first().is_some_and(|first| first == "mutants");
    let mut build = cargo(["build", "--package", "forebay-cli", "--package", "forebay-faults"]);
    if options.profile == Profile::Release {
        build.arg("--release");
    }
    stage("build", &mut build)?;
    let folder = run::root().join("target").join(options.profile.folder());
    let mut suite = Command::new(folder.join("forebay-faults"));
    suite.args(&options.args).arg("--docs").arg(run::root().join("docs/faults.md"));
    if mutants {
        suite.arg("--mutants").arg(with_mutants()?);
    }
    stage("faults", &mut suite)
}

/// Builds the binary that can be told to leave out a mechanism of its protocol. It has a folder of its own, so that it is never
/// taken for the other.
fn with_mutants() -> Result<PathBuf, Failure> {
    let folder = run::root().join("target/mutants");
    let mut build = cargo(["build", "--package", "forebay-cli", "--target-dir"]);
    build.arg(&folder).env("RUSTFLAGS", "--cfg mutants");
    stage("build with mutants", &mut build)?;
    Ok(folder.join("debug/forebay"))
}

impl Profile {
    fn folder(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_run_is_of_a_debug_build_and_all_words_reach_the_suite() {
        let options = |line: &str| Options::parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(options("--short F3").profile, Profile::Debug);
        let full = options("F3 --seed 7");
        assert_eq!((full.profile, full.args.join(" ")), (Profile::Release, "F3 --seed 7".to_owned()));
    }
}
