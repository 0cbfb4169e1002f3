//! What tells instances that share a log from others in the same namespace.

use std::fmt;

use forebay_core::l2::MAX_SHARDS;

/// The name of a configuration: 8 hex digits over all that instances have to agree on, and the number of its shards unless that is
/// one: `1a2b3c4d`, `1a2b3c4d/16`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Digest {
    pub(crate) hex: String,
    pub(crate) shards: usize,
}

impl Digest {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (hex, shards) = match name.split_once('/') {
            None => (name, 1),
            Some((hex, shards)) => (hex, shards.parse().ok().filter(|shards| *shards > 1)?),
        };
        let is_hex = hex.len() == 8 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (is_hex && shards <= MAX_SHARDS && shards.is_power_of_two())
            .then(|| Self { hex: hex.to_owned(), shards })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shards {
            1 => f.write_str(&self.hex),
            shards => write!(f, "{}/{shards}", self.hex),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_shown_and_nothing_else_is_one() {
        for name in ["1a2b3c4d", "00000000/2", "deadbeef/256"] {
            assert_eq!(Digest::parse(name).map(|digest| digest.to_string()).as_deref(), Some(name));
        }
        for name in [
            "",
            "shop",
            "1a2b3c4",
            "1a2b3c4d5",
            "1A2B3C4D",
            "1a2b3c4d/",
            "1a2b3c4d/1",
            "1a2b3c4d/3",
            "1a2b3c4d/512",
            "/16",
        ] {
            assert_eq!(Digest::parse(name), None, "{name}");
        }
    }
}
