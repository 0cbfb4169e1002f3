//! Vary: which request fields belong to the key, and how their values are written into it.
//!
//! ```
//! use forebay_policy::variant::{Vary, VaryAllow, write_field};
//! use http::{HeaderMap, HeaderValue, header};
//!
//! let mut response = HeaderMap::new();
//! response.insert(header::VARY, HeaderValue::from_static("Accept-Language, Accept"));
//! let vary = Vary::parse(&response, &VaryAllow::default())?;
//! assert_eq!(vary.names(), [header::ACCEPT, header::ACCEPT_LANGUAGE]);
//!
//! // The key builder lets each field's value flow into its own buffer.
//! let mut request = HeaderMap::new();
//! request.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static("en;q=0.50 , de-CH"));
//! let mut value = Vec::new();
//! write_field(&request, &header::ACCEPT_LANGUAGE, &mut |bytes| value.extend_from_slice(bytes));
//! assert_eq!(value, b"\x01de-ch,en;q=0.5");
//! # Ok::<(), forebay_policy::reason::Reason>(())
//! ```

use http::HeaderMap;
use http::header::{
    ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, COOKIE, HeaderName, HeaderValue,
    PROXY_AUTHORIZATION, VARY,
};

use crate::preferences::{Preferences, Ties, write_lower};
use crate::profile::VaryNames;
use crate::reason::Reason;
use crate::syntax::{members, trim_ows};

/// The most request fields that a stored response may vary on.
pub const MAX_VARY_NAMES: usize = 8;

/// The request fields that select among the stored responses of one URI: sorted, each once, in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Vary {
    names: Vec<HeaderName>,
}

impl Vary {
    /// Reads all Vary lines of a response.
    ///
    /// # Errors
    ///
    /// Why a response with this Vary is not stored: [`Reason::VaryStar`] for `*`, [`Reason::VaryUnkeyed`] for a name
    /// that `allow` does not permit or that is no field name, [`Reason::VaryTooMany`] for more than
    /// [`MAX_VARY_NAMES`].
    pub fn parse(response: &HeaderMap, allow: &VaryAllow) -> Result<Self, Reason> {
        let lines = response.get_all(VARY).iter();
        let listed = lines.flat_map(|line| members(line.as_bytes())).filter(|member| !member.is_empty());
        let mut names = Vec::new();
        let mut refused = None;
        for member in listed {
            //= https://www.rfc-editor.org/rfc/rfc9111#section-4.1
            //# A stored response with a Vary header field value containing a member "*" always fails to match.
            if member == b"*" {
                return Err(Reason::VaryStar);
            }
            match HeaderName::from_bytes(member) {
                Ok(name) if allow.permits(&name) => names.push(name),
                _ => refused = Some(Reason::VaryUnkeyed),
            }
        }
        match refused {
            Some(reason) => Err(reason),
            None => Self::from_names(names),
        }
    }

    /// Makes a list from names that were permitted before, as they come back from L2.
    ///
    /// # Errors
    ///
    /// [`Reason::VaryTooMany`] for more than [`MAX_VARY_NAMES`].
    pub fn from_names(names: impl IntoIterator<Item = HeaderName>) -> Result<Self, Reason> {
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        names.dedup();
        if names.len() > MAX_VARY_NAMES {
            return Err(Reason::VaryTooMany);
        }
        Ok(Self { names })
    }

    /// Returns the names, sorted.
    #[must_use]
    pub fn names(&self) -> &[HeaderName] {
        &self.names
    }

    /// Whether the response does not vary.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// The request fields that a response may vary on and still be stored.
///
/// By default Accept, Accept-*, Origin and Access-Control-Request-*: fields with few values that name no user. A
/// route adds its own. There Authorization and Cookie are never permitted: they would make an entry for each user, and
/// an answer for one user a matter of a single comparison. [`VaryNames::Any`] permits these too.
///
/// ```
/// use forebay_policy::profile::VaryNames;
/// use forebay_policy::variant::VaryAllow;
/// use http::header::{self, HeaderName};
///
/// let allow = VaryAllow::default().with(HeaderName::from_static("x-plan"));
/// assert!(allow.permits(&header::ACCEPT_ENCODING));
/// assert!(allow.permits(&HeaderName::from_static("x-plan")));
/// assert!(!allow.permits(&header::USER_AGENT));
/// assert!(VaryAllow::of(VaryNames::Any).permits(&header::USER_AGENT));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaryAllow {
    names: VaryNames,
    declared: Vec<HeaderName>,
}

impl Default for VaryAllow {
    fn default() -> Self {
        Self::of(VaryNames::Listed)
    }
}

impl VaryAllow {
    /// Permits what a policy permits.
    #[must_use]
    pub const fn of(names: VaryNames) -> Self {
        Self { names, declared: Vec::new() }
    }

    /// Permits one more field.
    #[must_use]
    pub fn with(mut self, name: HeaderName) -> Self {
        self.declared.push(name);
        self
    }

    /// Whether a response may vary on this field.
    #[must_use]
    pub fn permits(&self, name: &HeaderName) -> bool {
        if self.names == VaryNames::Any {
            return true;
        }
        if [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE].contains(name) {
            return false;
        }
        let text = name.as_str();
        matches!(text, "accept" | "origin")
            || text.starts_with("accept-")
            || text.starts_with("access-control-request-")
            || self.declared.contains(name)
    }
}

/// Writes the normalised value of a request field, for the variant part of the key.
///
/// An absent field is the single byte 0; a present one is the byte 1 and its value, so that an empty value is not an
/// absent one. The length is not written: who joins several fields puts it in front of each.
///
/// What matches is what RFC 9111, 4.1 lets match: lines are joined by commas, whitespace around commas is dropped
/// outside quoted strings. Accept-Encoding, Accept-Language and Accept-Charset become lists sorted by weight, without
/// repetitions, in lower case; Accept is read without regard to whitespace and to the case of media types.
pub fn write_field(request: &HeaderMap, name: &HeaderName, out: &mut impl FnMut(&[u8])) {
    let values = request.get_all(name);
    if values.iter().next().is_none() {
        //= https://www.rfc-editor.org/rfc/rfc9111#section-4.1
        //# If (after any normalization that might take place) a header field is absent from a request, it
        //# can only match another request if it is also absent there.
        return out(ABSENT);
    }
    out(PRESENT);
    let mut list = Preferences::new();
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.1
    //# normalizing both header field values in a way that is known to have identical semantics,
    //# according to the header field's specification (e.g., reordering field values when order is not
    //# significant; case-normalization, where values are defined to be case-insensitive)
    let preferences = match *name {
        ACCEPT => return write_media_ranges(values.iter(), out),
        ACCEPT_ENCODING => list.read(values.iter(), Ties::Sorted).map(Preferences::without_idle_refusals),
        //= https://www.rfc-editor.org/rfc/rfc9110#section-12.5.4
        //# Note that some recipients treat the order in which language tags are listed as an indication of
        //# descending priority, particularly for tags that are assigned equal quality values (no value is the
        //# same as q=1).
        ACCEPT_LANGUAGE | ACCEPT_CHARSET => list.read(values.iter(), Ties::AsWritten),
        _ => None,
    };
    match preferences {
        Some(preferences) => preferences.write(out),
        None => write_members(values.iter(), out),
    }
}

const ABSENT: &[u8] = &[0];
const PRESENT: &[u8] = &[1];

/// The general form: no knowledge of the field, so nothing but whitespace and line breaks is normalised.
fn write_members<'a>(lines: impl Iterator<Item = &'a HeaderValue>, out: &mut impl FnMut(&[u8])) {
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.1
    //# combining multiple header field lines with the same field name (see Section 5.2 of [HTTP])
    let mut comma = Separator::new(b",");
    for member in lines.flat_map(|line| members(line.as_bytes())) {
        comma.write(out);
        out(member);
    }
}

/// Media ranges: their types and the names of their parameters have no case, the values of parameters may have one.
fn write_media_ranges<'a>(lines: impl Iterator<Item = &'a HeaderValue>, out: &mut impl FnMut(&[u8])) {
    let mut comma = Separator::new(b",");
    for member in lines.flat_map(|line| members(line.as_bytes())).filter(|member| !member.is_empty()) {
        comma.write(out);
        let mut semicolon = Separator::new(b";");
        // A semicolon in a quoted string separates nothing; such a member is written as it came.
        if member.contains(&b'"') {
            out(member);
            continue;
        }
        for part in member.split(|&byte| byte == b';') {
            semicolon.write(out);
            let part = trim_ows(part);
            let name = part.iter().position(|&byte| byte == b'=').unwrap_or(part.len());
            let (name, value) = part.split_at(name);
            write_lower(name, out);
            out(value);
        }
    }
}

/// Writes itself between members, not before the first.
struct Separator {
    text: &'static [u8],
    due: bool,
}

impl Separator {
    fn new(text: &'static [u8]) -> Self {
        Self { text, due: false }
    }

    fn write(&mut self, out: &mut impl FnMut(&[u8])) {
        if self.due {
            out(self.text);
        }
        self.due = true;
    }
}
