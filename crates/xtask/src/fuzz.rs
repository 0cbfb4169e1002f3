//! `cargo xtask fuzz`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::run::{self, Failure};

/// What the command line asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    seconds: u32,
    targets: Vec<String>,
}

impl Options {
    pub(crate) fn parse(args: &[String]) -> Result<Self, Failure> {
        let mut options = Self { seconds: SECONDS, targets: vec![] };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--seconds" => {
                    let number = args.next().and_then(|number| number.parse().ok());
                    options.seconds = number.ok_or_else(|| Failure::usage("`--seconds` takes a number"))?;
                }
                flag if flag.starts_with('-') => {
                    return Err(Failure::usage(format!("`fuzz` takes `--seconds` only, got `{flag}`")));
                }
                target => options.targets.push(target.to_owned()),
            }
        }
        Ok(options)
    }
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let known = targets()?;
    if let Some(unknown) = options.targets.iter().find(|target| !known.contains(target)) {
        return Err(Failure::usage(format!("no fuzz target `{unknown}`; there are {}", known.join(", "))));
    }
    tools()?;
    let chosen = if options.targets.is_empty() { &known } else { &options.targets };
    let (mut rows, mut failed) = (vec![], vec![]);
    for target in chosen {
        let mut command = fuzz(target, options.seconds)?;
        match run::stage_keeping(target, &mut command, is_figure) {
            Ok(lines) => rows.push(row(target, &lines)),
            Err(_) => failed.push(target.as_str()),
        }
    }
    println!("{HEAD}\n{}", rows.join("\n"));
    if failed.is_empty() {
        return Ok(());
    }
    let found = format!("their inputs are in {LIBFUZZER}/artifacts");
    Err(Failure::new(format!("failed: {}; {found}", failed.join(", "))))
}

/// The names of the binaries.
fn targets() -> Result<Vec<String>, Failure> {
    let mut out = Vec::new();
    for entry in fs::read_dir(run::root().join(LIBFUZZER).join("fuzz_targets"))? {
        let path = entry?.path();
        out.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    out.sort();
    Ok(out)
}

/// Fails where something is missing. Nothing is installed on the way.
fn tools() -> Result<(), Failure> {
    let mut version = Command::new("rustup");
    version.args(["run", TOOLCHAIN, "cargo", "fuzz", "--version"]);
    let status = version.stdout(Stdio::null()).stderr(Stdio::null()).status();
    if status.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    Err(Failure::new(
        "fuzzing takes a nightly toolchain and cargo-fuzz:\n  rustup toolchain install nightly\n  cargo install cargo-fuzz",
    ))
}

/// New inputs go to `target`; the committed corpus is where it begins, and is not written to.
fn fuzz(target: &str, seconds: u32) -> Result<Command, Failure> {
    let root = run::root();
    let package = root.join("crates/fuzz");
    let found = root.join("target/fuzz/corpus").join(target);
    fs::create_dir_all(&found)?;
    let mut command = Command::new("rustup");
    command.current_dir(&root);
    // Forebay's code has nothing unsafe in it for a sanitizer to look at.
    command.args(["run", TOOLCHAIN, "cargo", "fuzz", "run", "--sanitizer", "none"]);
    command.arg("--fuzz-dir").arg(root.join(LIBFUZZER));
    command.arg("--target-dir").arg(root.join("target/fuzz"));
    command.arg(target).arg(found).arg(package.join("corpus").join(target)).arg("--");
    command.arg(flag("dict", &package.join("words.dict"))).arg(format!("-max_total_time={seconds}"));
    command.args(["-max_len=4096", "-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1"]);
    Ok(command)
}

fn flag(name: &str, path: &Path) -> String {
    format!("-{name}={}", path.display())
}

/// `#2401362 DONE cov: 833 ft: 4244 corp: 1346/306Kb ..` and `Done 2401362 runs in 306 second(s)`.
fn is_figure(line: &str) -> bool {
    line.starts_with("Done ") || line.starts_with('#') && line.contains("DONE")
}

/// A target's line of the table in docs/fuzzing.md.
fn row(target: &str, lines: &[String]) -> String {
    let behind = |word: &str| {
        let words = lines.iter().flat_map(|line| line.split_whitespace());
        words.skip_while(|other| *other != word).nth(1).unwrap_or("?").to_owned()
    };
    format!("| `{target}` | {} | {} | {} |", behind("Done"), behind("in"), behind("cov:"))
}

const SECONDS: u32 = 300;
const TOOLCHAIN: &str = "nightly";
const LIBFUZZER: &str = "crates/fuzz/libfuzzer";
const HEAD: &str = "| target | executions | seconds | edges |\n|---|---:|---:|---:|";

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<Options, Failure> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn targets_and_a_time_may_be_given() {
        assert_eq!(options("").unwrap(), Options { seconds: 300, targets: vec![] });
        let given = Options { seconds: 5, targets: vec!["date".to_owned(), "age".to_owned()] };
        assert_eq!(options("date --seconds 5 age").unwrap(), given);
        assert!(options("--seconds soon").unwrap_err().to_string().contains("a number"));
        assert!(options("--minutes 5").unwrap_err().to_string().contains("`--minutes`"));
    }

    #[test]
    fn an_unknown_target_is_named_beside_the_known_ones() {
        let failure = run(&Options { seconds: 1, targets: vec!["dates".to_owned()] }).unwrap_err();
        assert!(failure.to_string().contains("`dates`"), "{failure}");
        assert!(failure.to_string().contains("cache_control, cache_status, "), "{failure}");
    }

    #[test]
    fn figures_are_taken_from_what_libfuzzer_says() {
        let lines = [
            "#2401362\tDONE   cov: 833 ft: 4244 corp: 1346/306Kb lim: 4096 exec/s: 7847 rss: 30Mb",
            "Done 2401362 runs in 306 second(s)",
        ];
        assert!(lines.iter().all(|line| is_figure(line)));
        assert!(!is_figure("#1375199\tREDUCE cov: 833 ft: 4122"));
        let row = row("cache_control", &lines.map(str::to_owned));
        assert_eq!(row, "| `cache_control` | 2401362 | 306 | 833 |");
    }
}
