//! Patterns of paths: `/articles/*/comments` names the comments of every article.
//!
//! A pattern is an ident like any other, made of its literal segments, and of its [`Shape`]: how many segments it has and
//! which of them are wildcards. Idents of patterns tell their shape; who knows which shapes have been invalidated makes
//! of an entry's path the ident that each shape would have covered it by, and looks that up. So there may be any number of
//! patterns, in few shapes, and neither L2 nor the bus ever sees a segment in clear.

use std::collections::BTreeSet;

use arrayvec::ArrayVec;

use crate::key::Secrets;

/// The most segments a path or a pattern may have.
pub const MAX_SEGMENTS: usize = 16;
/// How many shapes a log, or an instance, knows at most. What one more displaces is what the log's floor rises to.
pub const MAX_SHAPES: usize = 64;

/// How many segments a pattern has, which of them are wildcards, and whether anything may follow. Four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shape([u8; 4]);

impl Shape {
    /// The shape of a pattern, or `None` where it is none.
    pub(crate) fn of(pattern: &str) -> Option<Self> {
        let mut segments: ArrayVec<&str, MAX_SEGMENTS> = ArrayVec::new();
        let open = pattern.ends_with("/**");
        let closed = if open { pattern.strip_suffix("/**")? } else { pattern };
        for segment in split(closed) {
            segments.try_push(segment).ok()?;
        }
        let mixed = |segment: &&str| segment.contains('*') && *segment != WILD;
        if (!open && segments.is_empty()) || pattern.contains(['?', '#']) || segments.iter().any(mixed) {
            return None;
        }
        let wild = segments.iter().rev().fold(0_u16, |wild, segment| wild << 1 | u16::from(*segment == WILD));
        let [high, low] = wild.to_be_bytes();
        let well_begun = closed.starts_with('/') || (open && closed.is_empty());
        well_begun.then_some(Self([segments.len() as u8 | u8::from(open) << 7, high, low, 0]))
    }

    /// The shape that the bytes of an ident tell of, if it is the ident of a pattern; a soft one tells of the same.
    #[must_use]
    pub fn of_ident(ident: &[u8; 16]) -> Option<Self> {
        let told = |ident: [u8; 16]| {
            let [.., m0, m1, m2, m3, len, high, low, zero] = ident;
            ([m0, m1, m2, m3] == MARK).then_some(Self([len, high, low, zero])).filter(Self::is_sound)
        };
        told(*ident).or_else(|| told(ident.map(|byte| !byte)))
    }

    /// The shape as L2 keeps it, or `None` where these bytes are none.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 4]) -> Option<Self> {
        Some(Self(bytes)).filter(Self::is_sound)
    }

    /// The shape's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 4] {
        &self.0
    }

    /// The bytes of the ident by which a pattern of this shape covers `path`, if one can.
    pub(crate) fn ident(&self, secrets: &Secrets, path: &str) -> Option<[u8; 16]> {
        let mut literal: ArrayVec<&[u8], { MAX_SEGMENTS + 1 }> = ArrayVec::new();
        literal.push(&self.0);
        let mut count = 0;
        for segment in split(path) {
            if count == self.len() {
                // There is more: only an open shape covers that.
                return self.is_open().then(|| self.mark(secrets, &literal));
            }
            if !self.is_wild(count) {
                literal.push(segment.as_bytes());
            }
            count += 1;
        }
        (count == self.len()).then(|| self.mark(secrets, &literal))
    }

    fn mark(&self, secrets: &Secrets, literal: &[&[u8]]) -> [u8; 16] {
        // The hash comes first: tables of idents go by that.
        let mut ident = secrets.ident(PATTERN, literal);
        ident[8..12].copy_from_slice(&MARK);
        ident[12..].copy_from_slice(&self.0);
        ident
    }

    fn len(&self) -> usize {
        usize::from(self.0[0] & 0x7f)
    }

    fn is_open(&self) -> bool {
        self.0[0] & 0x80 != 0
    }

    fn wild(&self) -> u16 {
        u16::from_be_bytes([self.0[1], self.0[2]])
    }

    fn is_wild(&self, segment: usize) -> bool {
        self.wild() >> segment & 1 == 1
    }

    fn is_sound(&self) -> bool {
        let fits = self.len() <= MAX_SEGMENTS && u32::from(self.wild()) >> self.len() == 0;
        fits && self.0[3] == 0 && (self.len() > 0 || self.is_open())
    }
}

/// The ident of a pattern, or `None` where it is none.
pub(crate) fn ident(secrets: &Secrets, pattern: &str) -> Option<[u8; 16]> {
    let shape = Shape::of(pattern)?;
    let closed = if shape.is_open() { pattern.strip_suffix("/**")? } else { pattern };
    shape.ident(secrets, closed)
}

/// The shapes that are known to have been invalidated.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shapes(BTreeSet<Shape>);

/// Whether a shape was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// All of them were.
    Nothing,
    /// One was not.
    News,
}

impl Shapes {
    /// Notes a shape; says whether it is one too many.
    pub(crate) fn learn(&mut self, shape: Shape) -> Learned {
        if self.0.insert(shape) { Learned::News } else { Learned::Nothing }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Shape> + '_ {
        self.0.iter().copied()
    }
}

/// The segments of a path: what stands between its slashes. The empty path has none.
fn split(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').into_iter().flat_map(|segments| segments.split('/'))
}

const WILD: &str = "*";
/// What tells the ident of a pattern from others. One in 2^40 others looks like one, which costs a look-up.
const MARK: [u8; 4] = *b"path";
/// The kind of hash: see [`crate::tag`].
const PATTERN: u8 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, path: &str) -> bool {
        let secrets = Secrets::new("t", None);
        let own = ident(&secrets, pattern).unwrap_or_else(|| panic!("{pattern} is a pattern"));
        let shape = Shape::of_ident(&own).unwrap_or_else(|| panic!("{pattern} tells its shape"));
        assert_eq!(Shape::of_ident(&own.map(|byte| !byte)), Some(shape), "so does a soft one");
        assert_eq!(Shape::from_bytes(*shape.as_bytes()), Some(shape));
        shape.ident(&secrets, path) == Some(own)
    }

    #[test]
    fn a_star_is_one_segment_and_two_are_the_rest() {
        for (pattern, path, expected) in [
            ("/articles/*/comments", "/articles/1/comments", true),
            ("/articles/*/comments", "/articles/other/comments", true),
            ("/articles/*/comments", "/articles//comments", true),
            ("/articles/*/comments", "/articles/comments", false),
            ("/articles/*/comments", "/articles/1/2/comments", false),
            ("/articles/*/comments", "/articles/1/comments/", false),
            ("/articles/*/comments", "/articles/1/comments/2", false),
            ("/articles/*/comments", "/articles/1/likes", false),
            ("/*", "/a", true),
            ("/*", "/", true),
            ("/*", "/a/b", false),
            ("/a", "/a", true),
            ("/a", "/b", false),
            ("/", "/", true),
            ("/", "/a", false),
            ("/a/**", "/a", true),
            ("/a/**", "/a/", true),
            ("/a/**", "/a/b/c/d", true),
            ("/a/**", "/ab", false),
            ("/a/**", "/", false),
            ("/*/b/**", "/a/b/c", true),
            ("/*/b/**", "/a/c/b", false),
            ("/**", "/", true),
            ("/**", "/a/b", true),
            ("/*/*", "/ab/c", true),
        ] {
            assert_eq!(covers(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let deep = "/*".repeat(MAX_SEGMENTS + 1);
        for other in ["", "articles/*", "/a*", "/**/a", "/a/***", "/a?b=*", "/a#*", "**", &deep] {
            assert_eq!(Shape::of(other), None, "{other}");
        }
        assert!(Shape::of(&"/*".repeat(MAX_SEGMENTS)).is_some());
    }

    #[test]
    fn bytes_that_are_no_shape_are_refused() {
        for bytes in [[0; 4], [1, 0, 2, 0], [17, 0, 0, 0], [1, 0, 0, 1], [2, 1, 0, 0]] {
            assert_eq!(Shape::from_bytes(bytes), None, "{bytes:?}");
        }
        assert_eq!(Shape::of_ident(&[7; 16]), None);
    }
}
