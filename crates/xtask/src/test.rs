//! `cargo xtask test`.

use crate::redis::{self, Consent};
use crate::run::{self, Failure};

/// What the command line asked for.
#[derive(Debug)]
pub(crate) struct Options {
    consent: Consent,
    runner_args: Vec<String>,
}

impl Options {
    pub(crate) fn parse(args: &[String]) -> Result<Self, Failure> {
        let (own, runner_args) = match args.iter().position(|arg| arg == "--") {
            Some(at) => (&args[..at], args[at + 1..].to_vec()),
            None => (args, vec![]),
        };
        if let Some(unknown) = own.iter().find(|arg| *arg != "--yes") {
            return Err(Failure::usage(format!(
                "`test` knows no argument `{unknown}`; it takes `--yes`, and arguments for the runner after `--`"
            )));
        }
        Ok(Self { consent: redis::consent(!own.is_empty()), runner_args })
    }
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    redis::provide(options.consent)?;
    let mut runner = if run::on_path("cargo-nextest") {
        run::cargo(["nextest", "run", "--no-fail-fast"])
    } else {
        run::cargo(["test", "--no-fail-fast", "--tests"])
    };
    runner.args(SELECTION).args(&options.runner_args);
    let mut closing = run::stage_keeping("tests", &mut runner, is_closing_line)?;
    if options.runner_args.is_empty() {
        let mut doc_tests = run::cargo(["test", "--no-fail-fast", "--doc"]);
        doc_tests.args(SELECTION);
        closing.extend(run::stage_keeping("doc tests", &mut doc_tests, is_closing_line)?);
    }
    println!("== the runners' closing lines");
    for line in &closing {
        println!("{line}");
    }
    let passed = total(&closing, "passed");
    println!("{passed} passed, {} failed", total(&closing, "failed"));
    if passed == 0 { Err(Failure::new("no test ran")) } else { Ok(()) }
}

/// `Summary [ 1.2s] 30 tests run: 30 passed, 0 skipped` and `test result: ok. 3 passed; 0 failed; ...`, the
/// latter only where something ran: cargo says it for each target, and most have no test.
fn is_closing_line(line: &str) -> bool {
    let line = line.trim_start();
    let ran = || total(&[line], "passed") + total(&[line], "failed") > 0;
    line.starts_with("Summary [") || line.starts_with("test result:") && ran()
}

/// The sum of the numbers that stand before `word`.
fn total(lines: &[impl AsRef<str>], word: &str) -> u64 {
    let count = |line: &str| {
        let words: Vec<&str> = line.split([' ', ',', ';']).filter(|word| !word.is_empty()).collect();
        words
            .windows(2)
            .filter(|pair| pair[1] == word)
            .filter_map(|pair| pair[0].parse::<u64>().ok())
            .sum::<u64>()
    };
    lines.iter().map(|line| count(line.as_ref())).sum()
}

/// Every member but the benches, whose peers take long to build, with all features: a feature only adds.
const SELECTION: [&str; 4] = ["--workspace", "--exclude", "benches", "--all-features"];

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_wrong_argument_is_named() {
        let failure = Options::parse(&words("--yse")).unwrap_err();
        assert!(failure.to_string().contains("`--yse`"), "{failure}");
        assert_eq!(failure.code(), 2);
    }

    #[test]
    fn what_follows_two_dashes_is_the_runners() {
        let options = Options::parse(&words("--yes -- --no-capture stale")).unwrap();
        assert_eq!((options.consent, options.runner_args), (Consent::Given, words("--no-capture stale")));
    }

    #[test]
    fn closing_lines_are_known_and_summed() {
        let lines = [
            "     Summary [   0.214s] 29 tests run: 28 passed, 1 failed, 0 skipped",
            "test result: ok. 7 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.04s",
        ];
        assert!(lines.iter().all(|line| is_closing_line(line)));
        assert_eq!((total(&lines, "passed"), total(&lines, "failed")), (35, 1));
        assert!(!is_closing_line(
            "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out"
        ));
        assert!(!is_closing_line("test a_test ... ok"));
    }
}
