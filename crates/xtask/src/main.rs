//! Forebay's project tasks: `cargo xtask test`, `check`, `conformance`, `fuzz` and `faults`.

mod files;
mod source;
mod sizes;
mod imports;
mod manifest;
mod run;
mod redis;
mod conformance;
mod fuzz;
mod faults;
mod check;
mod test;

use std::env;
use std::process::ExitCode;

use run::Failure;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn dispatch(args: &[String]) -> Result<(), Failure> {
    let Some((task, rest)) = args.split_first() else {
        return Err(Failure::usage(format!("no task named\n\n{HELP}")));
    };
    if rest.iter().take_while(|arg| *arg != "--").any(|arg| is_help(arg)) || is_help(task) {
        println!("{HELP}");
        return Ok(());
    }
    match task.as_str() {
        "test" => test::run(&test::Options::parse(rest)?),
        "check" => match rest.first() {
            None => check::run(),
            Some(arg) => Err(Failure::usage(format!("`check` takes no argument, got `{arg}`"))),
        },
        "conformance" => conformance::run(conformance::Options::parse(rest)?),
        "fuzz" => fuzz::run(&fuzz::Options::parse(rest)?),
        "faults" => faults::run(&faults::Options::parse(rest)),
        other => Err(Failure::usage(format!(
            "no task `{other}`; there are `test`, `check`, `conformance`, `fuzz` and `faults`\n\n{HELP}"
        ))),
    }
}

fn is_help(arg: &str) -> bool {
    matches!(arg, "--help" | "-h" | "help")
}

const HELP: &str = "\
Usage: cargo xtask <task>

  test [--yes] [-- ARGS]   Run unit, property, integration and doc tests of the workspace (benches excepted).
                           Where redis-server 7 or later is missing, the package manager's command is named
                           and run after a question; with --yes or CI=true without one.
                           ARGS go to the test runner (cargo-nextest where installed, else cargo test), for
                           instance a name to filter by; doc tests are left out then.
  check                    Formatting, import direction, dependencies, lints, docs, each feature alone, and
                           whether docs/conformance.md is up to date.
  conformance [--open]     Write docs/conformance.md from the lists of what the RFCs ask and the marks in the
                           sources; with --open print what nothing cites yet.
  fuzz [--seconds N] [TARGET..]
                           Run the fuzz targets, all if none is named, for N seconds each (300); needs a nightly
                           toolchain and cargo-fuzz.
  faults [--short] [--seconds N] [--seed N] [--forebay-only|--baseline-only] [F..]
                           Run the fault scenarios, all if none is named, on real processes and a real Redis, on
                           Forebay and on a baseline; print a table and write it to docs/faults.md. With --short a
                           debug build, on Forebay alone, in minutes, and nothing is written.
  faults figures|mutants|soak [--minutes N]
                           What else docs/faults.md tells: figures; whether the scenarios see each mechanism of the
                           protocol that is left out; random faults for N minutes (60).
  --help                   This text.";
