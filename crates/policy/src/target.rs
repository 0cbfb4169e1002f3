//! The URI that a request is for, and the references to others that its answer may hold.
//!
//! ```
//! use forebay_policy::target::Target;
//!
//! let target = Target { scheme: None, authority: "shop.example", path: "/articles/42/edit?draft" };
//! assert_eq!(target.resolve("../43#top").as_deref(), Some("/articles/43"));
//! assert_eq!(target.resolve("https://SHOP.example:443/feed").as_deref(), Some("/feed"));
//! assert_eq!(target.resolve("https://other.example/feed"), None);
//! ```

use std::borrow::Cow;

/// The target URI of a request, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// Its scheme, where the request tells it: HTTP/1 requests carry none.
    pub scheme: Option<&'a str>,
    /// Its authority: a host, and a port if it is not the scheme's own.
    pub authority: &'a str,
    /// Its path and query, byte for byte.
    pub path: &'a str,
}

impl Target<'_> {
    /// Resolves a reference against this URI. Returns its path and query, if it is of the same origin, else nothing.
    #[must_use]
    pub fn resolve<'r>(&self, reference: &'r str) -> Option<Cow<'r, str>> {
        // Space and control characters are in no URI, and `*` is a target that nothing is relative to.
        if !self.path.starts_with('/') || !reference.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let reference = reference.split('#').next()?;
        let (scheme, rest) = match split_scheme(reference) {
            // RFC 3986, 5.2.2: with a scheme the reference stands for itself, so it has to name an authority.
            Some((scheme, rest)) => (Some(scheme), rest.starts_with("//").then_some(rest)?),
            None => (None, reference),
        };
        let Some(rest) = rest.strip_prefix("//") else { return Some(self.relative(rest)) };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at_checked(end)?;
        self.same_origin(scheme, authority).then(|| without_dots(Cow::Borrowed(rest)))
    }

    /// A reference without scheme and authority (RFC 3986, 5.2.2).
    fn relative<'r>(&self, reference: &'r str) -> Cow<'r, str> {
        let path = self.path.split('?').next().unwrap_or_default();
        match reference.as_bytes().first() {
            None => Cow::Owned(self.path.to_owned()),
            Some(b'/') => without_dots(Cow::Borrowed(reference)),
            Some(b'?') => Cow::Owned(format!("{path}{reference}")),
            Some(_) => {
                let folder = path.rfind('/').and_then(|at| path.get(..=at)).unwrap_or("/");
                without_dots(Cow::Owned(format!("{folder}{reference}")))
            }
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.4
    //# However, a cache MUST NOT trigger an invalidation under these conditions if the origin (Section
    //# 4.3.1 of [HTTP]) of the URI to be invalidated differs from that of the target URI (Section 7.1 of
    //# [HTTP]).
    fn same_origin(&self, scheme: Option<&str>, authority: &str) -> bool {
        let known = |scheme: &str| DEFAULT_PORTS.iter().find(|(name, _)| name.eq_ignore_ascii_case(scheme));
        let port = match (scheme, self.scheme) {
            (Some(theirs), Some(own)) if !theirs.eq_ignore_ascii_case(own) => return false,
            (Some(scheme), _) | (None, Some(scheme)) => match known(scheme) {
                Some((_, port)) => Some(*port),
                None => return false,
            },
            (None, None) => None,
        };
        let (theirs, own) = (split_port(authority), split_port(self.authority));
        theirs.0.eq_ignore_ascii_case(own.0) && theirs.1.or(port) == own.1.or(port)
    }
}

const DEFAULT_PORTS: [(&str, &str); 2] = [("http", "80"), ("https", "443")];

/// The scheme in front of a reference, if it has one.
fn split_scheme(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_at_checked(reference.find([':', '/', '?'])?)?;
    let rest = rest.strip_prefix(':')?;
    let mut bytes = scheme.bytes();
    let valid = bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    valid.then_some((scheme, rest))
}

/// An authority's host and port. An empty port is none.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            (host, (!port.is_empty()).then_some(port))
        }
        _ => (authority, None),
    }
}

/// Takes dot segments out of a path and its query (RFC 3986, 5.2.4), and gives an empty path its slash.
fn without_dots(target: Cow<'_, str>) -> Cow<'_, str> {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let dots = path.split('/').any(|segment| matches!(segment, "." | ".."));
    if !dots && path.starts_with('/') {
        return target;
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
        // A path that ends in a dot segment names a folder.
        if segments.peek().is_none() && matches!(segment, "." | "..") {
            kept.push("");
        }
    }
    Cow::Owned(format!("/{}{query}", kept.join("/")))
}
