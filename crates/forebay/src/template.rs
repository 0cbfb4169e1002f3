//! Templates: tags and paths with `{name}` in them.

use percent_encoding::percent_decode_str;

use crate::error::RouteError;

/// A tag with placeholders, such as `article:{id}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    text: Box<str>,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Name(Box<str>),
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, RouteError> {
        let bad = |problem| RouteError::Template { template: text.into(), problem };
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let close = rest[open..].find('}').ok_or_else(|| bad("a `{` is never closed"))? + open;
            let name = &rest[open + 1..close];
            if name.is_empty() || name.contains('{') {
                return Err(bad("a placeholder is a parameter's name in braces, as in `article:{id}`"));
            }
            if open > 0 {
                parts.push(Part::Text(rest[..open].into()));
            }
            parts.push(Part::Name(name.into()));
            rest = &rest[close + 1..];
        }
        if rest.contains('}') {
            return Err(bad("a `}` is never opened"));
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.into()));
        }
        if parts.is_empty() {
            return Err(bad("a tag is not empty"));
        }
        Ok(Self { text: text.into(), parts })
    }

    /// The tag for these parameters, or the name of the one that is missing.
    pub(crate) fn fill(&self, params: &Params) -> Result<String, &str> {
        self.parts.iter().try_fold(String::with_capacity(self.text.len() + 16), |mut tag, part| {
            match part {
                Part::Text(text) => tag.push_str(text),
                Part::Name(name) => tag.push_str(params.get(name).ok_or(&**name)?),
            }
            Ok(tag)
        })
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Name(name) => Some(&**name),
            Part::Text(_) => None,
        })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// The parameters of one request's path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Params(Vec<(Box<str>, Box<str>)>);

impl Params {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| **key == *name).map(|(_, value)| &**value)
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Params {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// A path pattern of the rules table: whole segments, `{name}` for one of them, `*` at the end for the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathPattern {
    text: Box<str>,
    segments: Vec<Part>,
    open: bool,
}

impl PathPattern {
    pub(crate) fn parse(text: &str) -> Result<Self, RouteError> {
        let bad = |problem| RouteError::Pattern { pattern: text.into(), problem };
        let path = text.strip_prefix('/').ok_or_else(|| bad("a pattern begins with `/`"))?;
        let (path, open) = match path.strip_suffix('*') {
            Some(path) if path.is_empty() || path.ends_with('/') => {
                (path.strip_suffix('/').unwrap_or(path), true)
            }
            Some(_) => return Err(bad("`*` stands for whole segments, as in `/admin/*`")),
            None => (path, false),
        };
        if path.contains('*') {
            return Err(bad("`*` stands only at the end"));
        }
        let segments =
            if open && path.is_empty() { Vec::new() } else { path.split('/').map(segment).collect() };
        let segments: Option<Vec<Part>> = segments.into_iter().collect();
        let segments =
            segments.ok_or_else(|| bad("a parameter is a whole segment, as in `/articles/{id}`"))?;
        Ok(Self { text: text.into(), segments, open })
    }

    pub(crate) fn matches(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else { return false };
        let mut rest = path.split('/');
        let head = self.segments.iter().all(|part| match (part, rest.next()) {
            (Part::Text(text), Some(segment)) => **text == *segment,
            (Part::Name(_), Some(segment)) => !segment.is_empty(),
            (_, None) => false,
        });
        head && (self.open || rest.next().is_none())
    }

    /// The parameters of a path that matches, percent-decoded as a router would hand them to its handler.
    pub(crate) fn params(&self, path: &str) -> Params {
        let segments = path.strip_prefix('/').unwrap_or(path).split('/');
        let pairs = self.segments.iter().zip(segments).filter_map(|(part, segment)| match part {
            Part::Name(name) => Some((name.clone(), percent_decode_str(segment).decode_utf8_lossy().into())),
            Part::Text(_) => None,
        });
        Params(pairs.collect())
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|part| match part {
            Part::Name(name) => Some(&**name),
            Part::Text(_) => None,
        })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

fn segment(text: &str) -> Option<Part> {
    match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        Some(name) if !name.is_empty() && !name.contains(['{', '}']) => Some(Part::Name(name.into())),
        None if !text.contains(['{', '}']) => Some(Part::Text(text.into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_from_the_parameters_it_names() {
        let params: Params = [("id", "42"), ("lang", "de")].into_iter().collect();
        let fill = |text: &str| Template::parse(text).unwrap().fill(&params).map_err(str::to_owned);
        assert_eq!(fill("article:{id}"), Ok("article:42".into()));
        assert_eq!(fill("{lang}/{id}/x"), Ok("de/42/x".into()));
        assert_eq!(fill("articles"), Ok("articles".into()));
        assert_eq!(fill("org:{org}"), Err("org".into()));
    }

    #[test]
    fn a_broken_template_is_refused_with_its_text() {
        for bad in ["", "a{", "a}", "{}", "a{b{c}}"] {
            let error = Template::parse(bad).unwrap_err().to_string();
            assert!(error.contains(&format!("{bad:?}")), "{error}");
        }
    }

    #[test]
    fn patterns_match_whole_segments() {
        let cases: [(&str, &[&str], &[&str]); 5] = [
            (
                "/articles/{id}",
                &["/articles/1"],
                &["/articles", "/articles/", "/articles/1/x", "/Articles/1"],
            ),
            ("/admin/*", &["/admin/", "/admin/a/b", "/admin"], &["/administrator", "/"]),
            ("/*", &["/", "/a", "/a/b"], &[]),
            ("/", &["/"], &["/a"]),
            ("/{a}/x/{b}", &["/1/x/2"], &["/1/y/2"]),
        ];
        for (pattern, yes, no) in cases {
            let pattern = PathPattern::parse(pattern).unwrap();
            yes.iter().for_each(|path| assert!(pattern.matches(path), "{} {path}", pattern.text()));
            no.iter().for_each(|path| assert!(!pattern.matches(path), "{} {path}", pattern.text()));
        }
        let params = PathPattern::parse("/{a}/x/{b}").unwrap().params("/1/x/a%20b%2F");
        assert_eq!((params.get("a"), params.get("b")), (Some("1"), Some("a b/")));
    }

    #[test]
    fn a_broken_pattern_is_refused_with_its_text() {
        for bad in ["articles", "/a*", "/*/a", "/a{b}", "/{}", ""] {
            let error = PathPattern::parse(bad).unwrap_err().to_string();
            assert!(error.contains(&format!("{bad:?}")), "{error}");
        }
    }
}
