//! The pieces of HTTP's grammar that several modules read, on bytes.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// The greatest number of seconds any rule works with: 2^31, over 68 years.
pub(crate) const MAX_SECONDS: u32 = 1 << 31;

/// Iterates over the members of a comma-separated list; commas inside quoted strings do not separate.
///
/// Members come without surrounding whitespace, empty ones included. A quoted string that never ends takes the rest
/// of the line into its member.
pub(crate) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let value = rest?;
        let end = unquoted_comma(value);
        let (member, tail) = match end {
            Some(at) => (value.get(..at)?, value.get(at + 1..)),
            None => (value, None),
        };
        rest = tail;
        Some(trim_ows(member))
    })
}

fn unquoted_comma(value: &[u8]) -> Option<usize> {
    // Most values hold no quotes, and the first comma or quote settles the rest.
    let first = value.iter().position(|&byte| byte == b',' || byte == b'"')?;
    if value.get(first) == Some(&b',') {
        return Some(first);
    }
    let (mut quoted, mut escaped) = (false, false);
    let rest = value.get(first..)?;
    let end = rest.iter().position(|&byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' => return !quoted,
            _ => {}
        }
        false
    })?;
    Some(first + end)
}

/// Takes spaces and tabs from both ends.
pub(crate) fn trim_ows(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Whether these bytes are a `token`.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_tchar(byte))
}

/// Whether this byte may stand in a `token`.
pub(crate) fn is_tchar(byte: u8) -> bool {
    TCHARS[usize::from(byte)]
}

/// A table: names and weights of request fields are looked at on hits.
static TCHARS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
};

/// Reads a `delta-seconds` value; `None` when it is something other than digits.
pub(crate) fn delta_seconds(bytes: &[u8]) -> Option<u32> {
    if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    //= https://www.rfc-editor.org/rfc/rfc9111#section-1.2.2
    //# If a cache receives a delta-seconds value greater than the greatest integer it can represent,
    //# or if any of its subsequent calculations overflows, the cache MUST consider the value to be
    //# 2147483648 (2^31) or the greatest positive integer it can conveniently represent.
    let seconds = bytes
        .iter()
        .fold(0_u32, |seconds, digit| seconds.saturating_mul(10).saturating_add(u32::from(digit - b'0')));
    Some(seconds.min(MAX_SECONDS))
}

/// An entity tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntityTag<'a> {
    opaque: &'a [u8],
    strength: Strength,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strength {
    Weak,
    Strong,
}

impl<'a> EntityTag<'a> {
    /// Reads a value that is one entity tag and nothing else.
    pub(crate) fn parse(value: &'a [u8]) -> Option<Self> {
        let (tag, rest) = Self::split(trim_ows(value))?;
        rest.is_empty().then_some(tag)
    }

    /// Splits an entity tag from the front of what may be a list.
    pub(crate) fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (strength, quoted) = match bytes.strip_prefix(b"W/") {
            Some(quoted) => (Strength::Weak, quoted),
            None => (Strength::Strong, bytes),
        };
        let opaque = quoted.strip_prefix(b"\"")?;
        let end = opaque.iter().position(|&byte| byte == b'"')?;
        let (opaque, rest) = opaque.split_at_checked(end)?;
        let is_etagc = |byte: &u8| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..);
        opaque.iter().all(is_etagc).then_some((Self { opaque, strength }, rest.get(1..)?))
    }

    pub(crate) fn is_strong(self) -> bool {
        self.strength == Strength::Strong
    }

    //= https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3.2
    //# two entity tags are equivalent if their opaque-tags match character-by-character, regardless of
    //# either or both being tagged as "weak".
    pub(crate) fn weakly_equals(self, other: Self) -> bool {
        self.opaque == other.opaque
    }

    //= https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3.2
    //# two entity tags are equivalent if both are not weak and their opaque-tags match
    //# character-by-character.
    pub(crate) fn strongly_equals(self, other: Self) -> bool {
        self.is_strong() && other.is_strong() && self.opaque == other.opaque
    }
}

/// The entity tag of a response; nothing when it has none, or several, or one that is no entity tag.
pub(crate) fn entity_tag(fields: &HeaderMap) -> Option<EntityTag<'_>> {
    EntityTag::parse(single(fields, &header::ETAG)?.as_bytes())
}

/// The value of a field that has exactly one line.
pub(crate) fn single<'a>(fields: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = fields.get_all(name).iter();
    let first = lines.next()?;
    lines.next().is_none().then_some(first)
}

/// Reads a number of bytes; `None` when it is something other than digits, or more than there can be.
pub(crate) fn digits(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0_u64, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}
