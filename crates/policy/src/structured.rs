//! Structured fields (RFC 9651), as far as a cache reads them: Dictionaries and Lists of Items.
//!
//! Items of every type are parsed by the letter, since one malformed member makes the whole field void; only those
//! that a directive or a group can be are told apart.

use std::borrow::Cow;

use http::HeaderValue;

use crate::syntax::is_tchar;

/// A field that is not what its definition says. It has to be ignored as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// A member of a Dictionary.
pub(crate) struct Member<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) item: Item<'a>,
}

/// A value. Parameters are read and dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    Integer(i64),
    Boolean(bool),
    /// What stands between the quotes.
    String(&'a str),
    /// A value of another type, which is no cache directive's.
    Other,
}

/// Hands the members of a Dictionary on in order, and returns how many there are. On an error some of them have been handed
/// on already.
//= https://www.rfc-editor.org/rfc/rfc9651#section-4.2.2
//# Note that when duplicate Dictionary keys are encountered, all but the last instance are ignored.
//
// That is for the caller: the later value takes the earlier one's place.
pub(crate) fn dictionary<'a>(
    lines: impl IntoIterator<Item = &'a HeaderValue>,
    mut each: impl FnMut(Member<'a>),
) -> Result<usize, Malformed> {
    members(lines, |input| {
        let key = input.key()?;
        let item = if input.eat(b'=') { input.item_or_inner_list()? } else { Item::Boolean(true) };
        input.parameters()?;
        each(Member { key, item });
        Ok(())
    })
}

/// Hands the members of a List on in order, and returns how many there are. On an error some of them have been handed on
/// already.
pub(crate) fn list<'a>(
    lines: impl IntoIterator<Item = &'a HeaderValue>,
    mut each: impl FnMut(Item<'a>),
) -> Result<usize, Malformed> {
    members(lines, |input| {
        let item = input.item_or_inner_list()?;
        input.parameters()?;
        each(item);
        Ok(())
    })
}

/// A String without its escapes.
pub(crate) fn unescaped(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut escaped = false;
    let keep = |character: &char| {
        escaped = *character == '\\' && !escaped;
        !escaped
    };
    Cow::Owned(raw.chars().filter(keep).collect())
}

//= https://www.rfc-editor.org/rfc/rfc9651#section-4.2
//# Parsers MAY fail when processing a field value spread across multiple field lines, when one of
//# those lines does not parse as that field.
fn members<'a>(
    lines: impl IntoIterator<Item = &'a HeaderValue>,
    mut one: impl FnMut(&mut Input<'a>) -> Result<(), Malformed>,
) -> Result<usize, Malformed> {
    let (mut count, mut empty_lines) = (0, 0);
    for line in lines {
        let mut input = Input { rest: line.as_bytes() };
        input.skip(b" ");
        if input.rest.is_empty() {
            empty_lines += 1;
            continue;
        }
        loop {
            one(&mut input)?;
            count += 1;
            input.skip(b" \t");
            if input.rest.is_empty() {
                break;
            }
            // After a comma there is another member: a comma at the end fails in `one`.
            input.expect(b',')?;
            input.skip(b" \t");
        }
    }
    // An empty line between others leaves a comma with nothing behind it.
    if count > 0 && empty_lines > 0 { Err(Malformed) } else { Ok(count) }
}

/// What is left of a line.
struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn skip(&mut self, bytes: &[u8]) {
        self.take_while(|byte| bytes.contains(&byte));
    }

    fn take_while(&mut self, accepts: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|&byte| !accepts(byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or_default();
        self.rest = rest;
        taken
    }

    fn next(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.rest.split_first().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*first)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        if found {
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        self.eat(byte).then_some(()).ok_or(Malformed)
    }

    fn key(&mut self) -> Result<&'a [u8], Malformed> {
        let key = self
            .take_while(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte));
        let starts = key.first().is_some_and(|first| first.is_ascii_lowercase() || *first == b'*');
        starts.then_some(key).ok_or(Malformed)
    }

    //= https://www.rfc-editor.org/rfc/rfc9213#section-2.1
    //# Parameters received on cache directives are to be ignored, unless other handling is explicitly
    //# specified.
    fn parameters(&mut self) -> Result<(), Malformed> {
        while self.eat(b';') {
            self.skip(b" ");
            self.key()?;
            if self.eat(b'=') {
                self.bare_item()?;
            }
        }
        Ok(())
    }

    fn item_or_inner_list(&mut self) -> Result<Item<'a>, Malformed> {
        if !self.eat(b'(') {
            return self.bare_item();
        }
        loop {
            self.skip(b" ");
            if self.eat(b')') {
                return Ok(Item::Other);
            }
            self.bare_item()?;
            self.parameters()?;
            if !matches!(self.rest.first(), Some(b' ' | b')')) {
                return Err(Malformed);
            }
        }
    }

    fn bare_item(&mut self) -> Result<Item<'a>, Malformed> {
        match self.rest.first().ok_or(Malformed)? {
            b'-' | b'0'..=b'9' => self.number(),
            b'"' => self.string(),
            b'*' | b'a'..=b'z' | b'A'..=b'Z' => self.token(),
            b':' => self.byte_sequence(),
            b'?' => self.boolean(),
            b'@' => self.date(),
            b'%' => self.display_string(),
            _ => Err(Malformed),
        }
    }

    fn number(&mut self) -> Result<Item<'a>, Malformed> {
        let negative = self.eat(b'-');
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        if self.eat(b'.') {
            let fraction = self.take_while(|byte| byte.is_ascii_digit());
            let valid = (1..=12).contains(&digits.len()) && (1..=3).contains(&fraction.len());
            return valid.then_some(Item::Other).ok_or(Malformed);
        }
        if !(1..=15).contains(&digits.len()) {
            return Err(Malformed);
        }
        let number = digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
        Ok(Item::Integer(if negative { -number } else { number }))
    }

    fn string(&mut self) -> Result<Item<'a>, Malformed> {
        self.expect(b'"')?;
        let start = self.rest;
        loop {
            let here = self.rest.len();
            match self.next()? {
                b'"' => {
                    let raw = start.get(..start.len() - here).ok_or(Malformed)?;
                    return std::str::from_utf8(raw).map(Item::String).map_err(|_| Malformed);
                }
                b'\\' if matches!(self.next()?, b'"' | b'\\') => {}
                b'\\' => return Err(Malformed),
                b' '..=b'~' => {}
                _ => return Err(Malformed),
            }
        }
    }

    fn token(&mut self) -> Result<Item<'a>, Malformed> {
        self.take_while(|byte| is_tchar(byte) || b":/".contains(&byte));
        Ok(Item::Other)
    }

    fn byte_sequence(&mut self) -> Result<Item<'a>, Malformed> {
        self.expect(b':')?;
        let digits = self.take_while(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte));
        let padding = self.take_while(|byte| byte == b'=');
        self.expect(b':')?;
        // Padding may be missing, all of it or a part. One digit alone is no byte.
        let valid = match digits.len() % 4 {
            0 => padding.is_empty(),
            1 => false,
            rest => padding.len() <= 4 - rest,
        };
        valid.then_some(Item::Other).ok_or(Malformed)
    }

    fn boolean(&mut self) -> Result<Item<'a>, Malformed> {
        self.expect(b'?')?;
        match self.next()? {
            b'1' => Ok(Item::Boolean(true)),
            b'0' => Ok(Item::Boolean(false)),
            _ => Err(Malformed),
        }
    }

    fn date(&mut self) -> Result<Item<'a>, Malformed> {
        self.expect(b'@')?;
        let number = self.number()?;
        matches!(number, Item::Integer(_)).then_some(Item::Other).ok_or(Malformed)
    }

    fn display_string(&mut self) -> Result<Item<'a>, Malformed> {
        self.expect(b'%')?;
        self.expect(b'"')?;
        let mut decoded = Vec::new();
        loop {
            match self.next()? {
                b'"' => {
                    let valid = std::str::from_utf8(&decoded).is_ok();
                    return valid.then_some(Item::Other).ok_or(Malformed);
                }
                b'%' => {
                    let (high, low) = (lower_hex(self.next()?)?, lower_hex(self.next()?)?);
                    decoded.push(high << 4 | low);
                }
                byte @ b' '..=b'~' => decoded.push(byte),
                _ => return Err(Malformed),
            }
        }
    }
}

fn lower_hex(byte: u8) -> Result<u8, Malformed> {
    match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(Malformed),
    }
}
