//! Lists of preferences, as Accept-Encoding, Accept-Language and Accept-Charset hold them, in one form for all that
//! mean the same.

use std::cmp::Ordering;

use http::HeaderValue;

use crate::syntax::{is_token, members, trim_ows};

/// The longest list that is read. A longer one is written as it came.
const MAX: usize = 16;

/// Members with weights, on the stack: this is on the way of every hit where answers vary.
pub(crate) struct Preferences<'a> {
    list: [Preference<'a>; MAX],
    length: usize,
}

#[derive(Clone, Copy, Default)]
struct Preference<'a> {
    name: &'a [u8],
    /// In thousandths.
    weight: u16,
}

/// Which of two members with the same weight comes first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ties {
    /// The one with the lesser name: their order means nothing.
    Sorted,
    /// The one that came first.
    AsWritten,
}

impl<'a> Preferences<'a> {
    pub(crate) fn new() -> Self {
        Self { list: [Preference::default(); MAX], length: 0 }
    }

    /// Reads a list, in place; nothing where a member is no name with a weight, or there are too many.
    pub(crate) fn read(
        &mut self,
        lines: impl Iterator<Item = &'a HeaderValue>,
        ties: Ties,
    ) -> Option<&mut Self> {
        for member in lines.flat_map(|line| members(line.as_bytes())).filter(|member| !member.is_empty()) {
            self.add(Preference::parse(member)?, ties)?;
        }
        Some(self)
    }

    /// Puts a member in its place; nothing where there is no room.
    fn add(&mut self, new: Preference<'a>, ties: Ties) -> Option<()> {
        if self.members().iter().any(|known| known.is(new.name) && known.weight == new.weight) {
            return Some(());
        }
        *self.list.get_mut(self.length)? = new;
        let later = self.members().iter().rev().take_while(|known| new.precedes(known, ties)).count();
        for place in (self.length - later..self.length).rev() {
            self.list.swap(place, place + 1);
        }
        self.length += 1;
        Some(())
    }

    fn members(&self) -> &[Preference<'a>] {
        self.list.get(..self.length).unwrap_or_default()
    }

    /// Takes out what is refused although nothing would allow it: without `*`, a coding that is not listed is not
    /// accepted anyway. `identity` is.
    pub(crate) fn without_idle_refusals(&mut self) -> &mut Self {
        if self.members().iter().any(|member| member.is(b"*")) {
            return self;
        }
        // Weights fall, so that what is refused stands at the end.
        let accepted = self.members().iter().filter(|member| member.weight > 0).count();
        let refuses_identity = self.members().iter().skip(accepted).any(|member| member.is(b"identity"));
        if refuses_identity && let Some(last) = self.list.get_mut(accepted) {
            *last = Preference { name: b"identity", weight: 0 };
        }
        self.length = accepted + usize::from(refuses_identity);
        self
    }

    /// Writes the list: names in lower case, weights that are not 1 in their shortest form.
    pub(crate) fn write(&self, out: &mut impl FnMut(&[u8])) {
        for (at, member) in self.members().iter().enumerate() {
            if at > 0 {
                out(b",");
            }
            write_lower(member.name, out);
            member.write_weight(out);
        }
    }
}

impl<'a> Preference<'a> {
    fn parse(member: &'a [u8]) -> Option<Self> {
        let (name, weight) = match member.iter().position(|&byte| byte == b';') {
            Some(at) => (member.get(..at)?, weight(trim_ows(member.get(at + 1..)?))?),
            None => (member, 1000),
        };
        let name = trim_ows(name);
        is_token(name).then_some(Self { name, weight })
    }

    fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    fn precedes(&self, other: &Self, ties: Ties) -> bool {
        match self.weight.cmp(&other.weight) {
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal => ties == Ties::Sorted && lower(self.name).lt(lower(other.name)),
        }
    }

    fn write_weight(&self, out: &mut impl FnMut(&[u8])) {
        if self.weight == 1000 {
            return;
        }
        let digit = |unit: u16| b'0' + (self.weight / unit % 10) as u8;
        let text = [b';', b'q', b'=', b'0', b'.', digit(100), digit(10), digit(1)];
        let length = match self.weight {
            0 => 4,
            weight if weight % 100 == 0 => 6,
            weight if weight % 10 == 0 => 7,
            _ => 8,
        };
        out(text.get(..length).unwrap_or_default());
    }
}

/// Reads `q=0.5`, in thousandths.
fn weight(parameter: &[u8]) -> Option<u16> {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-12.4.2
    //# The weight is normalized to a real number in the range 0 through 1, where 0.001 is the least
    //# preferred and 1 is the most preferred; a value of 0 means "not acceptable". If no "q" parameter is
    //# present, the default weight is 1.
    let [b'q' | b'Q', b'=', whole @ (b'0' | b'1'), decimals @ ..] = parameter else { return None };
    let decimals = match decimals {
        [] => &[],
        [b'.', decimals @ ..] => decimals,
        _ => return None,
    };
    if decimals.len() > 3 || !decimals.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let part = decimals.iter().zip([100, 10, 1]).map(|(digit, unit)| u16::from(digit - b'0') * unit).sum();
    match (whole, part) {
        (b'1', 0) => Some(1000),
        (b'1', _) => None,
        (_, part) => Some(part),
    }
}

fn lower(name: &[u8]) -> impl Iterator<Item = u8> {
    name.iter().map(u8::to_ascii_lowercase)
}

/// Writes text in lower case.
pub(crate) fn write_lower(bytes: &[u8], out: &mut impl FnMut(&[u8])) {
    if !bytes.iter().any(u8::is_ascii_uppercase) {
        return out(bytes);
    }
    let mut buffer = [0; 32];
    for chunk in bytes.chunks(buffer.len()) {
        if let Some(lower) = buffer.get_mut(..chunk.len()) {
            lower.copy_from_slice(chunk);
            lower.make_ascii_lowercase();
            out(lower);
        }
    }
}
