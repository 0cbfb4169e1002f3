//! The marks in the sources: which sentence the code below stands under.

use crate::source::Places;

/// One mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The file, from the workspace's root.
    pub(crate) file: String,
    /// The function or other item that it stands in or above; empty where it stands in none.
    pub(crate) place: String,
    pub(crate) rfc: String,
    pub(crate) section: String,
    pub(crate) kind: Kind,
    pub(crate) quote: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Implementation,
    Test,
    /// A deviation, and why.
    Exception(String),
    /// A gap that is known.
    Todo,
}

/// The marks of a file, and what is wrong with those that cannot be read, as `path:line: problem`.
pub(crate) fn marks(file: &str, source: &str) -> (Vec<Mark>, Vec<String>) {
    let mut out = (vec![], vec![]);
    if !source.contains(TARGET) {
        return out;
    }
    let places = Places::of(source);
    let mut lines = source.lines().map(str::trim_start).enumerate().peekable();
    while let Some((at, line)) = lines.next() {
        let Some(head) = line.strip_prefix(HEAD) else {
            if line.starts_with(QUOTE) {
                out.1.push(format!("{file}:{}: a quote under no mark", at + 1));
            }
            continue;
        };
        let mut raw = Raw { target: head.trim(), ..Raw::default() };
        let mut last = at;
        while let Some((next, line)) = lines.next_if(|(_, line)| raw.takes(line)) {
            raw.push(line);
            last = next;
        }
        match raw.read() {
            Ok(mark) => {
                let place = places.at(last + 1).to_owned();
                out.0.push(Mark { file: file.to_owned(), place, ..mark });
            }
            Err(problem) => out.1.push(format!("{file}:{}: {problem}", at + 1)),
        }
    }
    out
}

/// A mark's lines, sorted but not yet understood.
#[derive(Debug, Default)]
struct Raw<'a> {
    target: &'a str,
    kind: Option<&'a str>,
    reason: Option<&'a str>,
    quote: String,
}

impl<'a> Raw<'a> {
    /// Whether the line belongs to the mark; after its quote another one begins.
    fn takes(&self, line: &str) -> bool {
        line.starts_with(QUOTE)
            || (self.quote.is_empty() && line.starts_with(HEAD) && !line[HEAD.len()..].contains("://"))
    }

    fn push(&mut self, line: &'a str) {
        if let Some(quoted) = line.strip_prefix(QUOTE) {
            self.quote.push_str(quoted.trim());
            self.quote.push(' ');
            return;
        }
        let attribute = line[HEAD.len()..].trim();
        match attribute.split_once('=') {
            Some(("type", kind)) => self.kind = Some(kind),
            Some(("reason", reason)) => self.reason = Some(reason),
            _ => self.kind = Some(attribute),
        }
    }

    fn read(self) -> Result<Mark, String> {
        let (rfc, section) =
            self.target
                .strip_prefix(TARGET)
                .and_then(|rest| rest.split_once("#section-"))
                .ok_or_else(|| format!("a mark has the form `{HEAD} {TARGET}9111#section-4.2.1`"))?;
        let kind = match (self.kind, self.reason) {
            (None, None) => Kind::Implementation,
            (Some("test"), None) => Kind::Test,
            (Some("TODO"), _) => Kind::Todo,
            (Some("exception"), Some(reason)) => Kind::Exception(reason.to_owned()),
            (Some("exception"), None) => return Err("an exception without `reason=`".to_owned()),
            (Some(other), None) => {
                return Err(format!("no type `{other}`; there are test, exception and TODO"));
            }
            (_, Some(_)) => return Err("only an exception has a reason".to_owned()),
        };
        let quote = self.quote.trim().to_owned();
        if quote.is_empty() {
            return Err("a mark without the sentence".to_owned());
        }
        let (rfc, section) = (rfc.to_owned(), section.to_owned());
        Ok(Mark { file: String::new(), place: String::new(), rfc, section, kind, quote })
    }
}

const HEAD: &str = "//=";
const QUOTE: &str = "//#";
const TARGET: &str = "https://www.rfc-editor.org/rfc/rfc";

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://www.rfc-editor.org/rfc/rfc9111#section-4.2";

    fn only(source: &str) -> Mark {
        let (mut marks, problems) = marks("a.rs", source);
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(marks.len(), 1);
        marks.remove(0)
    }

    #[test]
    fn a_mark_is_read_with_the_item_it_stands_in_or_above() {
        let inside = only(&format!("fn age() {{\n    //= {URL}\n    //# One\n    //# two.\n    x()\n}}\n"));
        assert_eq!((inside.rfc.as_str(), inside.section.as_str()), ("9111", "4.2"));
        assert_eq!((inside.place.as_str(), inside.quote.as_str()), ("age", "One two."));
        assert_eq!(inside.kind, Kind::Implementation);

        let above = only(&format!("fn a() {{}}\n//= {URL}\n//= type=test\n//# One.\n#[test]\nfn b() {{}}\n"));
        assert_eq!((above.place.as_str(), above.kind), ("b", Kind::Test));
    }

    #[test]
    fn marks_follow_each_other_with_or_without_a_line_between() {
        for between in ["", "//\n"] {
            let source = format!("//= {URL}\n//# One.\n{between}//= {URL}.1\n//# Two.\nfn a() {{}}\n");
            let (marks, _) = marks("a.rs", &source);
            let quotes: Vec<&str> = marks.iter().map(|mark| mark.quote.as_str()).collect();
            assert_eq!(quotes, ["One.", "Two."]);
        }
    }

    #[test]
    fn an_exception_says_why() {
        let mark = only(&format!("//= {URL}\n//= type=exception\n//= reason=It is so.\n//# One.\n"));
        assert_eq!(mark.kind, Kind::Exception("It is so.".to_owned()));
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_line() {
        let check = |rest: &str, problem: &str| {
            let (marks, problems) = marks("a.rs", &format!("\n//= {URL}\n{rest}"));
            assert_eq!(marks, []);
            assert_eq!(problems, [format!("a.rs:2: {problem}")]);
        };
        check("//= type=exception\n//# One.", "an exception without `reason=`");
        check("//= type=tset\n//# One.", "no type `tset`; there are test, exception and TODO");
        check("//= reason=none\n//# One.", "only an exception has a reason");
        check("fn a() {}", "a mark without the sentence");

        let (_, problems) = marks("a.rs", &format!("// {URL}\n//# One.\n//= https://example.org\n//# Two."));
        assert_eq!(problems.len(), 2, "{problems:?}");
    }
}
