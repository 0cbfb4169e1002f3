//! What the marks say about each requirement.

use super::marks::{Kind, Mark};
use super::spec::{Requirement, Section, Spec};

/// A requirement and the marks under its sentence.
#[derive(Debug)]
pub(crate) struct Verdict<'a> {
    pub(crate) requirement: &'a Requirement,
    pub(crate) state: State<'a>,
    pub(crate) implementations: Vec<&'a Mark>,
    pub(crate) tests: Vec<&'a Mark>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State<'a> {
    ImplementedAndTested,
    /// No test cites the sentence.
    Untested,
    /// A test cites the sentence and no code does: it follows from how the parts are put together.
    TestedOnly,
    /// Against the sentence, with the reason.
    Exception(&'a str),
    NotApplicable(&'a str),
    Open,
}

impl State<'_> {
    /// The columns of the counts, in their order.
    pub(crate) const COLUMNS: [&'static str; 6] = [
        "implemented and tested",
        "tested",
        "implemented, test missing",
        "exception",
        "not applicable",
        "open",
    ];

    pub(crate) const fn column(self) -> usize {
        match self {
            Self::ImplementedAndTested => 0,
            Self::TestedOnly => 1,
            Self::Untested => 2,
            Self::Exception(_) => 3,
            Self::NotApplicable(_) => 4,
            Self::Open => 5,
        }
    }
}

/// Judges every requirement of a section.
pub(crate) fn verdicts<'a>(spec: &'a Spec, section: &'a Section, marks: &'a [Mark]) -> Vec<Verdict<'a>> {
    section.requirements.iter().map(|requirement| verdict(spec, section, requirement, marks)).collect()
}

/// The marks that cite nothing in the lists: sentences that explain, or that were not copied as they stand.
pub(crate) fn unmatched<'a>(specs: &[Spec], marks: &'a [Mark]) -> Vec<&'a Mark> {
    let is_listed = |mark: &Mark| {
        specs.iter().any(|spec| {
            spec.sections.iter().any(|section| {
                section.requirements.iter().any(|requirement| cites(mark, spec, section, requirement))
            })
        })
    };
    marks.iter().filter(|mark| !is_listed(mark)).collect()
}

fn verdict<'a>(
    spec: &'a Spec,
    section: &'a Section,
    requirement: &'a Requirement,
    marks: &'a [Mark],
) -> Verdict<'a> {
    let (mut implementations, mut tests, mut exception) = (vec![], vec![], None);
    for mark in marks.iter().filter(|mark| cites(mark, spec, section, requirement)) {
        match &mark.kind {
            Kind::Implementation => implementations.push(mark),
            Kind::Test => tests.push(mark),
            Kind::Exception(reason) => {
                exception = Some(reason);
                implementations.push(mark);
            }
            Kind::Todo => {}
        }
    }
    let state = match (exception, implementations.is_empty(), tests.is_empty(), &requirement.not_applicable) {
        (Some(reason), ..) => State::Exception(reason),
        (None, false, false, _) => State::ImplementedAndTested,
        (None, false, true, _) => State::Untested,
        (None, true, false, _) => State::TestedOnly,
        (None, true, true, Some(reason)) => State::NotApplicable(reason),
        (None, true, true, None) => State::Open,
    };
    Verdict { requirement, state, implementations, tests }
}

/// Whether the mark quotes the sentence, or a part of it that cannot be another's, within the same section.
fn cites(mark: &Mark, spec: &Spec, section: &Section, requirement: &Requirement) -> bool {
    let near = within(&mark.section, &section.number) || within(&section.number, &mark.section);
    if mark.rfc != spec.rfc || !near {
        return false;
    }
    let (quote, sentence) = (comparable(&mark.quote), comparable(&requirement.text));
    if sentence.len() < SHORTEST_PART {
        let stem = requirement.stem.as_deref().map(comparable);
        let behind = stem.as_ref().and_then(|stem| quote.split_once(stem.as_str()));
        return quote == sentence || behind.is_some_and(|(_, items)| items.contains(&sentence));
    }
    let is_part = || quote.len() >= SHORTEST_PART && sentence.contains(&quote) && !is_listed(&quote, spec);
    quote.contains(&sentence) || is_part()
}

/// A sentence of its own is not a part of another one that happens to say it, too.
fn is_listed(quote: &str, spec: &Spec) -> bool {
    let mut listed = spec.sections.iter().flat_map(|section| &section.requirements);
    listed.any(|requirement| comparable(&requirement.text) == quote)
}

fn within(section: &str, outer: &str) -> bool {
    section.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Without white space, which wrapping puts anywhere, and without what ends a sentence or an item.
fn comparable(text: &str) -> String {
    let text = text.trim_end();
    let text = text.strip_suffix(" and").or_else(|| text.strip_suffix(" or")).unwrap_or(text);
    let packed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    packed.trim_end_matches(['.', ',', ';', ':']).to_owned()
}

/// In bytes other than white space. What is shorter, such as the name of a directive, stands in other sentences too.
const SHORTEST_PART: usize = 24;

#[cfg(test)]
mod tests {
    use super::super::marks::marks;
    use super::*;

    const SPEC: &str = "rfc 9111 HTTP Caching\n\nsection 4.2 Freshness\n\nMUST: A cache MUST compute the age of a stored \
        response first.\n\nMAY: A user agent MAY show the age of a stored response.\n    not applicable: user agents\n";

    fn mark(section: &str, attributes: &str, quote: &str) -> String {
        format!(
            "//= https://www.rfc-editor.org/rfc/rfc9111#section-{section}\n{attributes}//# {quote}\nfn f() {{}}\n"
        )
    }

    fn check(source: &str, expected: [State<'_>; 2]) {
        let spec = Spec::parse(SPEC).unwrap();
        let (marks, problems) = marks("crates/policy/src/a.rs", source);
        assert_eq!(problems, Vec::<String>::new());
        let states: Vec<_> =
            verdicts(&spec, &spec.sections[0], &marks).iter().map(|verdict| verdict.state).collect();
        assert_eq!(states, expected, "{source}");
    }

    const QUOTE: &str = "A cache MUST compute the age of a stored\n//# response first.";
    const NOT_APPLICABLE: State<'_> = State::NotApplicable("user agents");

    #[test]
    fn a_requirement_is_open_until_code_and_test_cite_it() {
        let code = mark("4.2", "", QUOTE);
        let test = mark("4.2", "//= type=test\n", QUOTE);
        check("", [State::Open, NOT_APPLICABLE]);
        check(&code, [State::Untested, NOT_APPLICABLE]);
        check(&test, [State::TestedOnly, NOT_APPLICABLE]);
        check(&(code + &test), [State::ImplementedAndTested, NOT_APPLICABLE]);
    }

    #[test]
    fn a_gap_that_is_known_is_open_and_an_exception_stands_above_everything() {
        check(&mark("4.2", "//= type=TODO\n", QUOTE), [State::Open, NOT_APPLICABLE]);
        let exception = mark("4.2", "//= type=exception\n//= reason=Slow.\n", QUOTE);
        check(&(exception + &mark("4.2", "", QUOTE)), [State::Exception("Slow."), NOT_APPLICABLE]);
    }

    #[test]
    fn what_is_done_although_it_need_not_be_counts_as_done() {
        let source = mark("4.2", "", "A user agent MAY show the age of a stored response.");
        check(&source, [State::Open, State::Untested]);
    }

    #[test]
    fn a_long_part_of_the_sentence_and_more_than_the_sentence_both_cite_it() {
        check(&mark("4.2", "", "MUST compute the age of a stored"), [State::Untested, NOT_APPLICABLE]);
        check(&mark("4.2", "", &format!("Before. {QUOTE} After.")), [State::Untested, NOT_APPLICABLE]);
        check(&mark("4.2", "", "A cache MUST"), [State::Open, NOT_APPLICABLE]);
    }

    #[test]
    fn a_sentence_that_stands_in_a_longer_one_cites_itself_alone() {
        let spec = "rfc 9111 T\n\nsection 4 C\n\nrule: a range with a length other than zero\n\nrule: The only one is a range \
            with a length other than zero.\n";
        let spec = Spec::parse(spec).unwrap();
        let (marks, _) = marks("a.rs", &mark("4", "", "a range with a length other than zero"));
        let states: Vec<_> =
            verdicts(&spec, &spec.sections[0], &marks).iter().map(|verdict| verdict.state).collect();
        assert_eq!(states, [State::Untested, State::Open]);
    }

    #[test]
    fn a_short_item_is_cited_by_itself_or_behind_what_stands_before_it() {
        let spec =
            Spec::parse("rfc 9213 T\n\nsection 2 C\n\nMUST: They MUST implement:\n    - max-age, and\n")
                .unwrap();
        let check = |quote: &str, expected: State<'_>| {
            let (marks, _) = marks("a.rs", &mark("2", "", quote).replace("9111", "9213"));
            assert_eq!(verdicts(&spec, &spec.sections[0], &marks)[0].state, expected, "{quote}");
        };
        check("max-age", State::Untested);
        check("They MUST implement: no-store max-age private", State::Untested);
        check("In particular, no-store makes max-age inoperative.", State::Open);
    }

    #[test]
    fn the_section_is_the_same_or_one_around_it_or_one_in_it() {
        for near in ["4", "4.2", "4.2.1"] {
            check(&mark(near, "", QUOTE), [State::Untested, NOT_APPLICABLE]);
        }
        for far in ["5", "4.1", "4.20"] {
            check(&mark(far, "", QUOTE), [State::Open, NOT_APPLICABLE]);
        }
    }

    #[test]
    fn a_quote_that_is_in_no_list_is_told_apart() {
        let specs = [Spec::parse(SPEC).unwrap()];
        let source = mark("4.2", "", QUOTE) + &mark("4.2", "", "Age is the time since it was generated.");
        let (marks, _) = marks("a.rs", &source);
        let quotes: Vec<&str> = unmatched(&specs, &marks).iter().map(|mark| mark.quote.as_str()).collect();
        assert_eq!(quotes, ["Age is the time since it was generated."]);
    }
}
