//! The lists of what the RFCs ask.

use std::fmt;

/// An RFC's list.
///
/// The text form, wrapped lines being indented:
///
/// ```text
/// # a comment
/// rfc 9111 HTTP Caching
///
/// section 3 Storing Responses in Caches
///
/// MUST NOT: A cache MUST NOT store a response to a request unless:
///     - the request method is understood by the cache;
///
/// MAY: A user agent MAY do something else.
///     not applicable: user agents
/// ```
///
/// A sentence with items is one requirement for each item.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) rfc: String,
    pub(crate) title: String,
    pub(crate) sections: Vec<Section>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) number: String,
    pub(crate) title: String,
    pub(crate) requirements: Vec<Requirement>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Requirement {
    pub(crate) level: Level,
    /// What stands before the item, where the requirement is one of several.
    pub(crate) stem: Option<String>,
    /// The sentence or the item.
    pub(crate) text: String,
    /// Why it does not concern a shared cache.
    pub(crate) not_applicable: Option<String>,
}

/// How strongly it is asked, in the words of RFC 2119, from the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    MustNot,
    Must,
    Required,
    ShouldNot,
    Should,
    Recommended,
    May,
    Optional,
    /// In small letters, and yet what a cache computes by.
    Rule,
}

impl Level {
    pub(crate) const ALL: [Self; 9] = [
        Self::MustNot,
        Self::Must,
        Self::Required,
        Self::ShouldNot,
        Self::Should,
        Self::Recommended,
        Self::May,
        Self::Optional,
        Self::Rule,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::MustNot => "MUST NOT",
            Self::Must => "MUST",
            Self::Required => "REQUIRED",
            Self::ShouldNot => "SHOULD NOT",
            Self::Should => "SHOULD",
            Self::Recommended => "RECOMMENDED",
            Self::May => "MAY",
            Self::Optional => "OPTIONAL",
            Self::Rule => "rule",
        }
    }

    /// Whether leaving it out is against the RFC, and no reason could make it otherwise.
    pub(crate) const fn binds(self) -> bool {
        matches!(self, Self::MustNot | Self::Must | Self::Required)
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Spec {
    /// # Errors
    ///
    /// A line that has no meaning where it stands, with its number.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut spec = Self::default();
        let mut part = Part::None;
        for (number, line) in text.lines().enumerate() {
            let known = if line.trim().is_empty() || line.starts_with('#') {
                part = Part::None;
                Some(part)
            } else if line.starts_with(' ') {
                spec.indented(part, line.trim())
            } else {
                spec.heading(line).or_else(|| spec.sentence(line))
            };
            part = known.ok_or_else(|| format!("line {}: not understood: {line}", number + 1))?;
        }
        Ok(spec)
    }

    fn heading(&mut self, line: &str) -> Option<Part> {
        let (word, rest) = line.split_once(' ')?;
        let (number, title) = rest.split_once(' ')?;
        let (number, title) = (number.to_owned(), title.to_owned());
        match word {
            "rfc" => (self.rfc, self.title) = (number, title),
            "section" => self.sections.push(Section { number, title, requirements: vec![] }),
            _ => return None,
        }
        Some(Part::None)
    }

    fn sentence(&mut self, line: &str) -> Option<Part> {
        let (level, text) = line.split_once(": ")?;
        let level = Level::named(level)?;
        let requirement = Requirement { level, stem: None, text: text.to_owned(), not_applicable: None };
        self.sections.last_mut()?.requirements.push(requirement);
        Some(Part::Text)
    }

    fn indented(&mut self, part: Part, line: &str) -> Option<Part> {
        let requirements = &mut self.sections.last_mut()?.requirements;
        let last = requirements.last_mut().filter(|_| part != Part::None)?;
        if let Some(item) = line.strip_prefix("- ") {
            let item = item.to_owned();
            match last.stem.clone() {
                None => last.stem = Some(std::mem::replace(&mut last.text, item)),
                Some(stem) => {
                    let next =
                        Requirement { level: last.level, stem: Some(stem), text: item, not_applicable: None };
                    requirements.push(next);
                }
            }
            return Some(Part::Text);
        }
        if let Some(reason) = line.strip_prefix("not applicable: ") {
            last.not_applicable = Some(reason.to_owned());
            return Some(Part::Reason);
        }
        let continued = match part {
            Part::Reason => last.not_applicable.as_mut()?,
            _ => &mut last.text,
        };
        continued.push(' ');
        continued.push_str(line);
        Some(part)
    }
}

/// What an indented line continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    None,
    Text,
    Reason,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirements(body: &str) -> Vec<Requirement> {
        let spec = Spec::parse(&format!("rfc 1 One\n\nsection 2.1 Two\n\n{body}")).unwrap();
        spec.sections.into_iter().flat_map(|section| section.requirements).collect()
    }

    #[test]
    fn a_sentence_is_put_together_from_its_lines() {
        let spec =
            Spec::parse("# why\nrfc 9111 HTTP Caching\nsection 3 Storing in\nMUST: A\n    b\n").unwrap();
        assert_eq!((spec.rfc.as_str(), spec.title.as_str()), ("9111", "HTTP Caching"));
        assert_eq!(spec.sections[0].number, "3");
        assert_eq!(spec.sections[0].title, "Storing in");
        assert_eq!(spec.sections[0].requirements[0].text, "A b");
        assert_eq!(spec.sections[0].requirements[0].level, Level::Must);
    }

    #[test]
    fn every_item_is_a_requirement_of_its_own_with_its_own_reason() {
        let all = requirements(
            "MUST NOT: Not unless:\n    - one\n      more\n    - two\n      not applicable: private\n      caches\n",
        );
        let read: Vec<_> = all
            .iter()
            .map(|item| (item.stem.as_deref(), item.text.as_str(), item.not_applicable.as_deref()))
            .collect();
        let stem = Some("Not unless:");
        assert_eq!(read, [(stem, "one more", None), (stem, "two", Some("private caches"))]);
    }

    #[test]
    fn a_line_without_a_meaning_is_named() {
        for text in
            ["MUST: too early\n", "section 1 One\nPERHAPS: no\n", "section 1 One\n    lost\n", "section 1\n"]
        {
            assert!(Spec::parse(text).unwrap_err().contains("not understood"), "{text}");
        }
    }
}
