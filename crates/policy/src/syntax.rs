//! The pieces of HTTP's grammar that several modules read, on bytes.

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
    let (mut quoted, mut escaped) = (false, false);
    value.iter().position(|&byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' => return !quoted,
            _ => {}
        }
        false
    })
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
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

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
