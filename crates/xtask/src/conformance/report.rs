//! `docs/conformance.md`, from the verdicts.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::marks::Mark;
use super::spec::{Level, Spec};
use super::verdict::{State, Verdict, unmatched, verdicts};

/// The whole file. The same lists and marks give the same bytes.
pub(crate) fn markdown(specs: &[Spec], marks: &[Mark]) -> String {
    let mut out = HEAD.to_owned();
    counts(&mut out, specs, marks);
    for spec in specs {
        let _ = write!(out, "\n## RFC {}: {}\n", spec.rfc, spec.title);
        for section in spec.sections.iter().filter(|section| !section.requirements.is_empty()) {
            let (rfc, number) = (&spec.rfc, &section.number);
            let link = format!("https://www.rfc-editor.org/rfc/rfc{rfc}#section-{number}");
            let _ = write!(out, "\n### [{number}]({link}) {}\n\n{TABLE}", section.title);
            rows(&mut out, &verdicts(spec, section, marks));
        }
    }
    others(&mut out, specs, marks);
    out
}

/// The requirements that nothing cites, one a line.
pub(crate) fn open(specs: &[Spec], marks: &[Mark]) -> Vec<(Level, String)> {
    let mut out = Vec::new();
    for spec in specs {
        for section in &spec.sections {
            for verdict in verdicts(spec, section, marks) {
                let Verdict { requirement, state: State::Open, .. } = verdict else { continue };
                let level = requirement.level;
                let stem = requirement.stem.as_ref().map(|stem| format!("{stem} ")).unwrap_or_default();
                let line = format!("RFC {} {} {level}: {stem}{}", spec.rfc, section.number, requirement.text);
                out.push((level, line));
            }
        }
    }
    out
}

fn counts(out: &mut String, specs: &[Spec], marks: &[Mark]) {
    let columns = State::COLUMNS;
    let _ = writeln!(out, "| RFC | level | {} | all |", columns.join(" | "));
    let _ = writeln!(out, "|---|---|{}", "---:|".repeat(columns.len() + 1));
    let mut all = [0; State::COLUMNS.len()];
    for spec in specs {
        for (level, counted) in count(spec, marks) {
            for (sum, number) in all.iter_mut().zip(counted) {
                *sum += number;
            }
            row_of_counts(out, &spec.rfc, level.name(), counted);
        }
    }
    row_of_counts(out, "all", "", all);
}

fn row_of_counts(out: &mut String, rfc: &str, level: &str, counted: [usize; State::COLUMNS.len()]) {
    let _ = write!(out, "| {rfc} | {level} |");
    for number in counted.into_iter().chain([counted.iter().sum()]) {
        let _ = write!(out, " {number} |");
    }
    out.push('\n');
}

fn count(spec: &Spec, marks: &[Mark]) -> BTreeMap<Level, [usize; State::COLUMNS.len()]> {
    let mut counts: BTreeMap<Level, [usize; State::COLUMNS.len()]> = BTreeMap::new();
    for section in &spec.sections {
        for verdict in verdicts(spec, section, marks) {
            counts.entry(verdict.requirement.level).or_default()[verdict.state.column()] += 1;
        }
    }
    counts
}

fn rows(out: &mut String, verdicts: &[Verdict<'_>]) {
    let mut stem = None;
    for Verdict { requirement, state, implementations, tests } in verdicts {
        let level = requirement.level;
        if requirement.stem != stem {
            stem.clone_from(&requirement.stem);
            if let Some(stem) = &stem {
                let _ = writeln!(out, "| {level} | {} | | | |", escaped(stem));
            }
        }
        let item = if stem.is_some() { "- " } else { "" };
        let text = escaped(&requirement.text);
        let (implementations, tests) = (places(implementations), places(tests));
        let _ = writeln!(out, "| {level} | {item}{text} | {} | {implementations} | {tests} |", told(*state));
    }
}

fn told(state: State<'_>) -> String {
    match state {
        State::ImplementedAndTested => "implemented, tested".to_owned(),
        State::TestedOnly => "tested".to_owned(),
        State::Untested => "implemented, **test missing**".to_owned(),
        State::Exception(reason) => format!("exception: {}", escaped(reason)),
        State::NotApplicable(reason) => format!("not applicable: {}", escaped(reason)),
        State::Open => "**open**".to_owned(),
    }
}

/// The items with links to their files. No line numbers: they would change with every edit above them.
fn places(marks: &[&Mark]) -> String {
    let mut out: Vec<String> = marks.iter().map(|mark| place(mark)).collect();
    out.dedup();
    out.join("<br>")
}

fn place(mark: &Mark) -> String {
    let file = mark.file.strip_prefix("crates/").unwrap_or(&mark.file).replace("/src/", "/");
    let link = format!("[{file}](../{})", mark.file);
    if mark.place.is_empty() { link } else { format!("{link} `{}`", mark.place) }
}

fn others(out: &mut String, specs: &[Spec], marks: &[Mark]) {
    let others = unmatched(specs, marks);
    if others.is_empty() {
        return;
    }
    let mut by_rfc: BTreeMap<(&str, &str), Vec<&Mark>> = BTreeMap::new();
    for mark in others {
        by_rfc.entry((&mark.rfc, &mark.section)).or_default().push(mark);
    }
    out.push_str(OTHERS);
    for ((rfc, section), marks) in by_rfc {
        for mark in marks {
            let quote = escaped(&mark.quote);
            let _ = writeln!(out, "| {rfc} | {section} | {quote} | {} |", place(mark));
        }
    }
}

/// As it reads, whatever Markdown would make of it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '|' | '*' | '_' | '<' | '\\' | '`') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

const HEAD: &str = "\
# Conformance

What the RFCs ask of a shared cache, sentence by sentence, and where Forebay does it and tests it. Made by
`cargo xtask conformance` from the lists in `crates/xtask/spec` and the marks in the sources; do not edit.

* *implemented, tested*: code stands under the sentence, and so does a test.
* *tested*: a test stands under the sentence; what it asks follows from how the parts are put together.
* *exception*: Forebay does something else, for the reason given.
* *not applicable*: the sentence speaks to somebody else.
* *open*: nothing stands under the sentence.

*rule* is a sentence without one of the words of RFC 2119 by which a cache computes all the same. A sentence with items
is one requirement for each item.

";

const TABLE: &str = "| level | sentence | state | implemented in | tests |\n|---|---|---|---|---|\n";

const OTHERS: &str = "
## Other sentences cited

They explain or define, and ask for nothing.

| RFC | section | sentence | in |
|---|---|---|---|
";

#[cfg(test)]
mod tests {
    use super::super::marks::marks;
    use super::*;

    const SPEC: &str = "rfc 9111 HTTP Caching\nsection 3 Storing\n\nMUST NOT: A cache MUST NOT store unless:\n    - the method \
        is understood by the cache;\n    - the status is | final and not \"*\";\n\nMAY: It MAY.\n    not applicable: clients\n";

    const SOURCE: &str = "//= https://www.rfc-editor.org/rfc/rfc9111#section-3\n//# the method is understood by the cache;\n\
        fn f() {}\n//= https://www.rfc-editor.org/rfc/rfc9111#section-1\n//# A cache is a store.\nfn g() {}\n";

    fn parts() -> ([Spec; 1], Vec<Mark>) {
        ([Spec::parse(SPEC).unwrap()], marks("crates/policy/src/a.rs", SOURCE).0)
    }

    #[test]
    fn a_section_shows_each_sentence_its_state_and_its_places() {
        let (specs, marks) = parts();
        let file = markdown(&specs, &marks);
        let (_, section) = file.split_once("Storing\n\n").unwrap();
        assert_eq!(
            section,
            "\
| level | sentence | state | implemented in | tests |
|---|---|---|---|---|
| MUST NOT | A cache MUST NOT store unless: | | | |
| MUST NOT | - the method is understood by the cache; | implemented, **test missing** | [policy/a.rs](../crates/policy/src/a.rs) `f` |  |
| MUST NOT | - the status is \\| final and not \"\\*\"; | **open** |  |  |
| MAY | It MAY. | not applicable: clients |  |  |

## Other sentences cited

They explain or define, and ask for nothing.

| RFC | section | sentence | in |
|---|---|---|---|
| 9111 | 1 | A cache is a store. | [policy/a.rs](../crates/policy/src/a.rs) `g` |
"
        );
    }

    #[test]
    fn the_head_counts_by_level_and_state() {
        let (specs, marks) = parts();
        let file = markdown(&specs, &marks);
        for row in
            ["| 9111 | MUST NOT | 0 | 0 | 1 | 0 | 0 | 1 | 2 |", "| all |  | 0 | 0 | 1 | 0 | 1 | 1 | 3 |"]
        {
            assert!(file.contains(row), "{file}");
        }
    }

    #[test]
    fn what_is_open_is_listed_with_what_stands_before_the_item() {
        let (specs, marks) = parts();
        let line = "RFC 9111 3 MUST NOT: A cache MUST NOT store unless: the status is | final and not \"*\";";
        assert_eq!(open(&specs, &marks), [(Level::MustNot, line.to_owned())]);
    }
}
