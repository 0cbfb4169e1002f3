//! Reading the lists and the sources, writing the file, checking it.

use std::fs;
use std::path::Path;

use super::marks::{Mark, marks};
use super::report::{markdown, open};
use super::spec::Spec;
use super::verdict::unmatched;
use crate::files::{folders, sources};
use crate::run::{self, Failure};

/// What `cargo xtask conformance` is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Options {
    /// Write the file.
    Write,
    /// Print what is open.
    Open,
}

impl Options {
    pub(crate) fn parse(args: &[String]) -> Result<Self, Failure> {
        match args {
            [] => Ok(Self::Write),
            [flag] if flag == "--open" => Ok(Self::Open),
            [other, ..] => Err(Failure::usage(format!("`conformance` takes `--open` only, got `{other}`"))),
        }
    }
}

pub(crate) fn run(options: Options) -> Result<(), Failure> {
    let (specs, marks) = read()?;
    match options {
        Options::Write => {
            fs::write(run::root().join(FILE), markdown(&specs, &marks))?;
            let (open, others) = (open(&specs, &marks).len(), unmatched(&specs, &marks).len());
            println!("{FILE}: {} marks, {others} of them in no list, {open} sentences open", marks.len());
        }
        Options::Open => open(&specs, &marks).iter().for_each(|(_, line)| println!("{line}")),
    }
    Ok(())
}

/// Fails where the file is not what the sources say now, or where more is open than has been before.
pub(crate) fn check() -> Result<(), Failure> {
    println!("== conformance");
    let (specs, marks) = read()?;
    let open = open(&specs, &marks);
    let binding = open.iter().filter(|(level, _)| level.binds()).count();
    println!("{} sentences open, {binding} of them with a MUST: cargo xtask conformance --open", open.len());
    let written = fs::read_to_string(run::root().join(FILE)).unwrap_or_default();
    judge(binding, &written, &markdown(&specs, &marks)).map_err(Failure::new)
}

fn judge(binding: usize, written: &str, current: &str) -> Result<(), String> {
    if binding > OPEN_AT_MOST {
        let problem = format!("{binding} sentences with a MUST are open, {OPEN_AT_MOST} may be");
        return Err(format!("{problem}: see `cargo xtask conformance --open`"));
    }
    if written != current {
        return Err(format!("{FILE} is out of date: run `cargo xtask conformance`"));
    }
    Ok(())
}

fn read() -> Result<(Vec<Spec>, Vec<Mark>), Failure> {
    let specs = specs(&run::root().join("crates/xtask/spec"))?;
    let (mut found, mut problems) = (vec![], vec![]);
    let crates = folders(&run::root().join("crates"))?;
    let examples = run::root().join("examples");
    for folder in crates.iter().filter(|folder| !folder.ends_with("xtask")).chain([&examples]) {
        for part in ["src", "tests"] {
            let folder = folder.join(part);
            if !folder.is_dir() {
                continue;
            }
            let shown = folder.strip_prefix(run::root()).unwrap_or(&folder).display().to_string();
            for file in sources(&folder, "")? {
                let (marks, unread) = marks(&format!("{shown}/{}", file.path), &file.text);
                found.extend(marks);
                problems.extend(unread);
            }
        }
    }
    if problems.is_empty() {
        return Ok((specs, found));
    }
    Err(Failure::new(format!("marks that cannot be read:\n  {}", problems.join("\n  "))))
}

fn specs(folder: &Path) -> Result<Vec<Spec>, Failure> {
    let mut paths =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, Failure>>()?;
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        Spec::parse(&fs::read_to_string(path)?)
            .map_err(|problem| Failure::new(format!("{}: {problem}", path.display())))
    };
    paths.iter().map(read).collect()
}

const FILE: &str = "docs/conformance.md";

/// The sentences with a MUST or MUST NOT that nothing cites yet. It may only become less.
const OPEN_AT_MOST: usize = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_known() {
        let parse = |args: &[&str]| {
            Options::parse(&args.iter().map(ToString::to_string).collect::<Vec<_>>()).map_err(|f| f.code())
        };
        assert_eq!(parse(&[]), Ok(Options::Write));
        assert_eq!(parse(&["--open"]), Ok(Options::Open));
        assert_eq!(parse(&["--shut"]), Err(2));
        assert_eq!(parse(&["--open", "--open"]), Err(2));
    }

    #[test]
    fn an_old_file_and_more_open_than_before_fail_and_say_what_to_run() {
        assert_eq!(judge(OPEN_AT_MOST, "new", "new"), Ok(()));
        let problem = |binding, written| judge(binding, written, "new").unwrap_err();
        assert!(problem(OPEN_AT_MOST, "old").ends_with("out of date: run `cargo xtask conformance`"));
        assert!(problem(OPEN_AT_MOST + 1, "new").ends_with("see `cargo xtask conformance --open`"));
    }

    #[test]
    fn the_lists_of_the_project_can_be_read() {
        let specs = specs(&run::root().join("crates/xtask/spec")).unwrap();
        assert!(specs.iter().any(|spec| spec.rfc == "9111"));
        for spec in &specs {
            let count: usize = spec.sections.iter().map(|section| section.requirements.len()).sum();
            assert!(count > 0, "RFC {} asks for nothing", spec.rfc);
        }
    }
}
