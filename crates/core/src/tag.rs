//! Idents: what an invalidation names and what an entry answers to.
//!
//! Each entry carries a set of [`Idents`]: its namespace, its URL, its path, every prefix of that path, its tags, and
//! the events that make it old.
//! An invalidation names a [`Target`]; whatever carries the same [`Ident`] and is older is dead. Idents are keyed
//! hashes, so neither L2 nor the bus ever sees a tag or a path in clear.
//!
//! ```
//! use forebay_core::key::Secrets;
//! use forebay_core::tag::{Idents, Prefix, Tag, Targets};
//!
//! let secrets = Secrets::new("shop", None);
//! let mut idents = Idents::new(&secrets);
//! idents.url(&secrets, "shop.example", "/articles/42?lang=en")?;
//! idents.tag(&secrets, "article:42")?;
//!
//! let under_articles = Prefix("/articles").idents(&secrets)?;
//! assert!(idents.as_slice().contains(&under_articles[0]));
//! let other = Tag("article:7").idents(&secrets)?;
//! assert!(!idents.as_slice().contains(&other[0]));
//! # Ok::<(), forebay_core::tag::TargetError>(())
//! ```

use std::fmt;

use arrayvec::ArrayVec;

use crate::key::Secrets;
use crate::pattern;
pub use crate::pattern::MAX_SEGMENTS;

/// The most idents one entry may carry; a response with more is not stored.
pub const MAX_IDENTS: usize = 64;
/// The longest tag, and the longest name of an event, in bytes.
pub const MAX_TAG_LEN: usize = 256;

const NAMESPACE: u8 = 0;
const TAG: u8 = 1;
const URL: u8 = 2;
const PATH: u8 = 3;
const PREFIX: u8 = 4;
const GROUP: u8 = 5;
const EVENT: u8 = 6;
// 7 is a pattern's.

/// The hash of something that can be invalidated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ident([u8; 16]);

impl Ident {
    /// The ident with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The ident's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The ident under which the log notes soft invalidations of this one. No entry carries it; whoever asks after an
    /// entry asks after its idents' soft ones as well. The soft ident of that is this one again.
    #[must_use]
    pub fn soft(&self) -> Self {
        Self(self.0.map(|byte| !byte))
    }

    /// The ident of the namespace, which every entry carries.
    #[must_use]
    pub fn namespace(secrets: &Secrets) -> Self {
        Self(secrets.ident(NAMESPACE, &[]))
    }
}

impl fmt::Debug for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ident(")?;
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("..)")
    }
}

/// A name that no entry can carry, or one too many.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TargetError {
    /// A tag is empty or longer than [`MAX_TAG_LEN`].
    Tag(String),
    /// The name of an event is empty or longer than [`MAX_TAG_LEN`].
    Event(String),
    /// A path or prefix does not begin with `/`, or holds a query or fragment.
    Path(String),
    /// A path has more than [`MAX_SEGMENTS`] segments.
    Deep(String),
    /// A key is neither a path with an optional query nor `authority/path`.
    Key(String),
    /// Not a pattern of a path.
    Pattern(String),
    /// An entry would carry more than [`MAX_IDENTS`] idents.
    Many,
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, "tag {tag:?}: a tag has 1 to {MAX_TAG_LEN} bytes"),
            Self::Event(event) => {
                write!(f, "event {event:?}: the name of an event has 1 to {MAX_TAG_LEN} bytes")
            }
            Self::Path(path) => {
                write!(f, "path {path:?}: a path begins with `/` and has no `?` or `#`")
            }
            Self::Deep(path) => {
                write!(f, "path {path:?}: at most {MAX_SEGMENTS} segments can be invalidated")
            }
            Self::Key(key) => {
                write!(
                    f,
                    "key {key:?}: a key is `authority/path?query`, as in `shop.example/articles?page=2`"
                )
            }
            Self::Pattern(pattern) => {
                write!(
                    f,
                    "pattern {pattern:?}: a pattern begins with `/`, has at most {MAX_SEGMENTS} segments, and `*` stands for a \
                     whole one, `**` for whatever follows, as in `/articles/*/comments` or `/users/*/**`"
                )
            }
            Self::Many => write!(f, "more than {MAX_IDENTS} idents on one entry"),
        }
    }
}

impl std::error::Error for TargetError {}

/// Entries that carry this tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag<S>(pub S);

/// Entries that this event makes old. A name for something that happens, such as `deployment.update.42`, where a [`Tag`] is one
/// for something that an entry holds: whoever announces it need not know what depends on it. An event and a tag of the same
/// name have nothing to do with each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<S>(pub S);

/// Entries whose Cache-Groups names this group (RFC 9875). A group belongs to its origin: another authority's group of the
/// same name is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group<S> {
    /// The authority that the entries were fetched for.
    pub authority: S,
    /// The group's name.
    pub name: S,
}

/// The entries of one URL, given as `authority/path?query`: every variant and partition of it.
///
/// With a fixed authority the authority is that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key<S>(pub S);

/// The entries of exactly this path, with any authority and any query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<S>(pub S);

/// The entries of this path and of every path below it: `/a` covers `/a` and `/a/b`, not `/ab`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix<S>(pub S);

/// The entries of every path like this one, with any authority and any query: `*` stands for one segment, `**` at the end
/// for whatever follows, if anything does. `/articles/*/comments` covers `/articles/42/comments`; `/articles/*/**` covers that,
/// `/articles/42` and all below it.
///
/// There may be any number of patterns. Each different *shape*, where the wildcards stand, costs every entry that is checked
/// after an invalidation a hash; the 65th shape makes older entries be fetched anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern<S>(pub S);

/// Every entry of the namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct All;

/// The same targets, invalidated softly: their entries count as expired from now on, and are not gone.
///
/// An entry that is softly invalidated may still be served while it is fetched anew (stale-while-revalidate), in place of
/// an error (stale-if-error), and be confirmed by a 304; where none of that is allowed it has to be fetched again, as after
/// any invalidation. One that is refreshed afterwards is fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Soft<T>(pub T);

/// One thing to invalidate, whatever its kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// See [`All`].
    All,
    /// See [`Tag`].
    Tag(String),
    /// See [`Event`].
    Event(String),
    /// See [`Group`].
    Group {
        /// The authority.
        authority: String,
        /// The group's name.
        name: String,
    },
    /// See [`Key`].
    Key(String),
    /// See [`Path`].
    Path(String),
    /// See [`Prefix`].
    Prefix(String),
    /// See [`Pattern`].
    Pattern(String),
    /// See [`Soft`].
    Soft(Box<Target>),
}

impl Target {
    /// The ident that entries under this target carry.
    ///
    /// # Errors
    /// [`TargetError`] when no entry can carry such a name.
    pub fn ident(&self, secrets: &Secrets) -> Result<Ident, TargetError> {
        match self {
            Self::All => Ok(Ident::namespace(secrets)),
            Self::Tag(tag) => tag_ident(secrets, tag),
            Self::Event(event) => event_ident(secrets, event),
            Self::Group { authority, name } => group_ident(secrets, authority, name),
            Self::Key(url) => {
                let slash = url.find('/').ok_or_else(|| TargetError::Key(url.clone()))?;
                Ok(url_ident(secrets, &url[..slash], &url[slash..]))
            }
            Self::Path(path) => path_ident(secrets, checked(path)?),
            Self::Prefix(prefix) => {
                let prefix = checked(prefix)?;
                prefix_ends(prefix)?;
                Ok(prefix_ident(secrets, prefix.strip_suffix('/').unwrap_or(prefix)))
            }
            Self::Pattern(pattern) => pattern::ident(secrets, pattern)
                .map(Ident)
                .ok_or_else(|| TargetError::Pattern(pattern.chars().take(64).collect())),
            // Soft twice is soft.
            Self::Soft(target) if matches!(**target, Self::Soft(_)) => target.ident(secrets),
            Self::Soft(target) => Ok(target.ident(secrets)?.soft()),
        }
    }
}

impl<S: Into<String>> From<Tag<S>> for Target {
    fn from(Tag(tag): Tag<S>) -> Self {
        Self::Tag(tag.into())
    }
}

impl<S: Into<String>> From<Event<S>> for Target {
    fn from(Event(event): Event<S>) -> Self {
        Self::Event(event.into())
    }
}

impl<S: Into<String>> From<Group<S>> for Target {
    fn from(Group { authority, name }: Group<S>) -> Self {
        Self::Group { authority: authority.into(), name: name.into() }
    }
}

impl<S: Into<String>> From<Key<S>> for Target {
    fn from(Key(url): Key<S>) -> Self {
        Self::Key(url.into())
    }
}

impl<S: Into<String>> From<Path<S>> for Target {
    fn from(Path(path): Path<S>) -> Self {
        Self::Path(path.into())
    }
}

impl<S: Into<String>> From<Prefix<S>> for Target {
    fn from(Prefix(prefix): Prefix<S>) -> Self {
        Self::Prefix(prefix.into())
    }
}

impl<S: Into<String>> From<Pattern<S>> for Target {
    fn from(Pattern(pattern): Pattern<S>) -> Self {
        Self::Pattern(pattern.into())
    }
}

impl From<All> for Target {
    fn from(_: All) -> Self {
        Self::All
    }
}

/// One target or several: what an invalidation takes.
///
/// Implemented for each target, for arrays and vectors of targets, for pairs and triples of different kinds, and for
/// [`Soft`] around any of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name something to invalidate",
    label = "expected `Tag(..)`, `Event(..)`, `Key(..)`, `Path(..)`, `Prefix(..)`, `Pattern(..)`, `All`, several of them, or `Soft(..)` around them"
)]
pub trait Targets {
    /// Appends the targets to `out`.
    fn collect(self, out: &mut Vec<Target>);

    /// The idents of all targets.
    ///
    /// # Errors
    /// [`TargetError`] for the first that no entry can carry.
    fn idents(self, secrets: &Secrets) -> Result<Vec<Ident>, TargetError>
    where
        Self: Sized,
    {
        let mut targets = Vec::new();
        self.collect(&mut targets);
        targets.iter().map(|target| target.ident(secrets)).collect()
    }
}

impl<T: Into<Target>> Targets for T {
    fn collect(self, out: &mut Vec<Target>) {
        out.push(self.into());
    }
}

impl<T: Into<Target>, const N: usize> Targets for [T; N] {
    fn collect(self, out: &mut Vec<Target>) {
        out.extend(self.into_iter().map(Into::into));
    }
}

impl<T: Into<Target>> Targets for Vec<T> {
    fn collect(self, out: &mut Vec<Target>) {
        out.extend(self.into_iter().map(Into::into));
    }
}

impl<T: Targets> Targets for Soft<T> {
    fn collect(self, out: &mut Vec<Target>) {
        let mut targets = Vec::new();
        self.0.collect(&mut targets);
        out.extend(targets.into_iter().map(|target| Target::Soft(Box::new(target))));
    }
}

impl<A: Targets, B: Targets> Targets for (A, B) {
    fn collect(self, out: &mut Vec<Target>) {
        self.0.collect(out);
        self.1.collect(out);
    }
}

impl<A: Targets, B: Targets, C: Targets> Targets for (A, B, C) {
    fn collect(self, out: &mut Vec<Target>) {
        self.0.collect(out);
        self.1.collect(out);
        self.2.collect(out);
    }
}

/// The idents of one entry, at most [`MAX_IDENTS`], the namespace first.
#[derive(Clone, Debug)]
pub struct Idents(ArrayVec<Ident, MAX_IDENTS>);

impl Idents {
    /// The namespace alone.
    #[must_use]
    pub fn new(secrets: &Secrets) -> Self {
        let mut idents = ArrayVec::new();
        idents.push(Ident::namespace(secrets));
        Self(idents)
    }

    /// Those of an entry, for another one that takes its place.
    #[must_use]
    pub fn of(idents: &[Ident]) -> Self {
        Self(idents.iter().copied().take(MAX_IDENTS).collect())
    }

    /// Adds the URL, the path and the path's prefixes. Hashes once for each.
    ///
    /// # Errors
    /// [`TargetError`] when the path cannot be named by an invalidation.
    pub fn url(
        &mut self,
        secrets: &Secrets,
        authority: &str,
        path_and_query: &str,
    ) -> Result<(), TargetError> {
        let path = checked(path_and_query.split('?').next().unwrap_or_default())?;
        self.push(url_ident(secrets, authority, path_and_query))?;
        self.push(path_ident(secrets, path)?)?;
        for end in prefix_ends(path)? {
            self.push(prefix_ident(secrets, &path[..end]))?;
        }
        Ok(())
    }

    /// Adds a tag; one that is there already is left out.
    ///
    /// # Errors
    /// [`TargetError`] when the tag is empty or too long, or is one too many.
    pub fn tag(&mut self, secrets: &Secrets, tag: &str) -> Result<(), TargetError> {
        self.push(tag_ident(secrets, tag)?)
    }

    /// Adds what this target names, so that invalidating it reaches the entry; what is there already is left out.
    ///
    /// # Errors
    /// [`TargetError`] when no entry can carry such a name, or it is one too many.
    pub fn target(&mut self, secrets: &Secrets, target: &Target) -> Result<(), TargetError> {
        self.push(target.ident(secrets)?)
    }

    /// Adds a group of an origin; one that is there already is left out.
    ///
    /// # Errors
    /// [`TargetError`] when the name is empty or too long, or is one too many.
    pub fn group(&mut self, secrets: &Secrets, authority: &str, name: &str) -> Result<(), TargetError> {
        self.push(group_ident(secrets, authority, name)?)
    }

    /// Adds what another entry answers to.
    ///
    /// # Errors
    /// [`TargetError::Many`] when it is too much.
    pub(crate) fn extend(&mut self, idents: &[Ident]) -> Result<(), TargetError> {
        idents.iter().try_for_each(|ident| self.push(*ident))
    }

    /// The idents.
    #[must_use]
    pub fn as_slice(&self) -> &[Ident] {
        &self.0
    }

    fn push(&mut self, ident: Ident) -> Result<(), TargetError> {
        if self.0.contains(&ident) {
            return Ok(());
        }
        self.0.try_push(ident).map_err(|_| TargetError::Many)
    }
}

fn tag_ident(secrets: &Secrets, tag: &str) -> Result<Ident, TargetError> {
    if tag.is_empty() || tag.len() > MAX_TAG_LEN {
        return Err(TargetError::Tag(tag.chars().take(64).collect()));
    }
    Ok(Ident(secrets.ident(TAG, &[tag.as_bytes()])))
}

fn event_ident(secrets: &Secrets, event: &str) -> Result<Ident, TargetError> {
    if event.is_empty() || event.len() > MAX_TAG_LEN {
        return Err(TargetError::Event(event.chars().take(64).collect()));
    }
    Ok(Ident(secrets.ident(EVENT, &[event.as_bytes()])))
}

fn group_ident(secrets: &Secrets, authority: &str, name: &str) -> Result<Ident, TargetError> {
    if name.is_empty() || name.len() > MAX_TAG_LEN {
        return Err(TargetError::Tag(name.chars().take(64).collect()));
    }
    let authority = authority.to_ascii_lowercase();
    Ok(Ident(secrets.ident(GROUP, &[authority.as_bytes(), name.as_bytes()])))
}

fn url_ident(secrets: &Secrets, authority: &str, path_and_query: &str) -> Ident {
    Ident(secrets.ident(URL, &[authority.as_bytes(), path_and_query.as_bytes()]))
}

fn path_ident(secrets: &Secrets, path: &str) -> Result<Ident, TargetError> {
    prefix_ends(path)?;
    Ok(Ident(secrets.ident(PATH, &[path.as_bytes()])))
}

fn prefix_ident(secrets: &Secrets, prefix: &str) -> Ident {
    Ident(secrets.ident(PREFIX, &[prefix.as_bytes()]))
}

fn checked(path: &str) -> Result<&str, TargetError> {
    if path.starts_with('/') && !path.contains(['?', '#']) {
        Ok(path)
    } else {
        Err(TargetError::Path(path.chars().take(64).collect()))
    }
}

/// Where each prefix of `path` ends: the root (nothing), then one for each segment. A final slash adds none.
fn prefix_ends(path: &str) -> Result<ArrayVec<usize, { MAX_SEGMENTS + 1 }>, TargetError> {
    let mut ends = ArrayVec::new();
    let trimmed = path.strip_suffix('/').unwrap_or(path);
    for (at, _) in trimmed.match_indices('/').chain([(trimmed.len(), "")]) {
        ends.try_push(at).map_err(|_| TargetError::Deep(path.chars().take(64).collect()))?;
    }
    Ok(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(target: impl Into<Target>, url: &str) -> bool {
        let secrets = Secrets::new("t", None);
        let mut idents = Idents::new(&secrets);
        idents.url(&secrets, "h", url).unwrap();
        idents.as_slice().contains(&target.into().ident(&secrets).unwrap())
    }

    #[test]
    fn a_prefix_covers_whole_segments_only() {
        for under in ["/a", "/a/", "/a/b", "/a/b/c?q=1", "/a?x"] {
            assert!(covers(Prefix("/a"), under), "{under}");
            assert!(covers(Prefix("/a/"), under), "{under}");
            assert!(covers(Prefix("/"), under), "{under}");
        }
        for other in ["/ab", "/", "/b/a", "//a"] {
            assert!(!covers(Prefix("/a"), other), "{other}");
        }
        assert!(covers(Prefix("/"), "/"));
    }

    #[test]
    fn a_path_covers_any_query_and_nothing_below() {
        assert!(covers(Path("/a"), "/a?q=1"));
        assert!(!covers(Path("/a"), "/a/b"));
        assert!(!covers(Path("/a"), "/a/"));
    }

    #[test]
    fn a_url_covers_its_own_query_only() {
        assert!(covers(Key("h/a?q=1"), "/a?q=1"));
        assert!(!covers(Key("h/a?q=1"), "/a?q=2"));
        assert!(!covers(Key("other/a?q=1"), "/a?q=1"));
    }

    #[test]
    fn an_event_and_a_tag_of_the_same_name_have_nothing_to_do_with_each_other() {
        let secrets = Secrets::new("t", None);
        let mut idents = Idents::new(&secrets);
        idents.target(&secrets, &Event("update.42").into()).unwrap();
        let carried = |target: Target| idents.as_slice().contains(&target.ident(&secrets).unwrap());
        assert!(carried(Event("update.42").into()));
        assert!(!carried(Tag("update.42").into()));
        assert!(!carried(Event("update.4").into()));
    }

    #[test]
    fn what_no_entry_can_carry_is_an_error_that_names_it() {
        let secrets = Secrets::new("t", None);
        let deep = "/x".repeat(MAX_SEGMENTS + 1);
        let error = |target: Target| target.ident(&secrets).unwrap_err().to_string();
        assert!(error(Tag("").into()).contains("1 to 256"));
        assert!(error(Tag("x".repeat(257)).into()).contains("1 to 256"));
        assert!(error(Event("").into()).contains("event \"\": the name of an event has 1 to 256"));
        assert!(error(Event("x".repeat(257)).into()).contains("1 to 256"));
        assert!(error(Path("articles").into()).contains("\"articles\""));
        assert!(error(Prefix("/a?b").into()).contains("no `?`"));
        assert!(error(Prefix(deep.as_str()).into()).contains("16 segments"));
        assert!(error(Pattern("/a*").into()).contains("whole one"));
        assert!(error(Key("nowhere").into()).contains("authority/path"));
        assert!(Idents::new(&secrets).url(&secrets, "h", &deep).is_err());
        assert!(Path("/x".repeat(MAX_SEGMENTS)).idents(&secrets).is_ok());
    }

    #[test]
    fn a_soft_target_names_another_ident_and_soft_twice_is_soft() {
        let secrets = Secrets::new("t", None);
        let hard = Tag("a").idents(&secrets).unwrap();
        let soft = Soft((Tag("a"), Soft([Tag("a")]))).idents(&secrets).unwrap();
        assert_eq!(soft, [hard[0].soft(), hard[0].soft()]);
        assert_ne!(soft[0], hard[0]);
        assert!(Soft(Tag("")).idents(&secrets).is_err());
    }

    #[test]
    fn an_entry_holds_at_most_64_idents_and_each_once() {
        let secrets = Secrets::new("t", None);
        let mut idents = Idents::new(&secrets);
        for n in 0..63 {
            idents.tag(&secrets, &n.to_string()).unwrap();
        }
        idents.tag(&secrets, "5").unwrap();
        assert_eq!(idents.tag(&secrets, "63"), Err(TargetError::Many));
    }
}
