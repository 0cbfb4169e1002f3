//! The canonical encoding of keys.

use forebay_core::key::{KeyEncoder, MAX_KEY_LEN, Secrets, TooLong};

/// Keys: there is a way back from the bytes to the fields, so that two sequences of fields never give the same bytes; a field
/// in pieces is as good as a whole one; bytes that move from one field to the next give another key.
///
/// An input is a list of fields: a tag, a length, and that many bytes. An odd tag is written in pieces.
///
/// # Panics
/// Where that does not hold.
pub fn key(data: &[u8]) {
    let fields = fields(data);
    let encoded = encode(&fields);
    let total: usize = fields.iter().map(|(_, bytes)| bytes.len() + 2).sum();
    let Ok(encoder) = encoded else { return assert!(total + fields.len() + 1 > MAX_KEY_LEN) };
    let bytes = encoder.bytes();
    assert!(bytes.len() <= MAX_KEY_LEN);
    assert_eq!(decoded(bytes), Some(fields.clone()));

    let secrets = Secrets::new("shop", None);
    let hash = secrets.key(bytes);
    for other in neighbours(&fields) {
        if let Ok(other) = encode(&other) {
            assert_ne!(other.bytes(), bytes);
            assert_ne!(secrets.key(other.bytes()), hash);
        }
    }
    check_continued(&fields, bytes);
}

type Field<'a> = (u8, &'a [u8]);

fn fields(mut data: &[u8]) -> Vec<Field<'_>> {
    let mut out = Vec::new();
    while let [tag, length, rest @ ..] = data {
        // Lengths above 200 are for what takes two bytes of a varint.
        let length = if *length > 200 { usize::from(*length - 200) * 64 } else { usize::from(*length) };
        let (bytes, rest) = rest.split_at(length.min(rest.len()));
        out.push((*tag, bytes));
        data = rest;
    }
    out
}

fn encode(fields: &[Field<'_>]) -> Result<KeyEncoder, TooLong> {
    let mut key = KeyEncoder::new();
    append(&mut key, fields)?;
    Ok(key)
}

fn append(key: &mut KeyEncoder, fields: &[Field<'_>]) -> Result<(), TooLong> {
    for (tag, bytes) in fields {
        if tag % 2 == 0 {
            key.field(*tag, bytes)?;
        } else {
            key.field_with(*tag, |out| bytes.chunks(3).for_each(out))?;
        }
    }
    Ok(())
}

/// The fields again: what proves that no two sequences encode alike.
fn decoded(bytes: &[u8]) -> Option<Vec<Field<'_>>> {
    let (_version, mut rest) = bytes.split_first()?;
    let mut out = Vec::new();
    while let Some((tag, tail)) = rest.split_first() {
        let last = tail.iter().position(|byte| byte & 0x80 == 0)?;
        let (varint, tail) = tail.split_at_checked(last + 1)?;
        let length = varint.iter().rev().fold(0, |length, byte| length << 7 | usize::from(byte & 0x7f));
        let (field, tail) = tail.split_at_checked(length)?;
        out.push((*tag, field));
        rest = tail;
    }
    Some(out)
}

/// The same bytes in other fields: the end of one in front of the next, two in one, and one left out.
fn neighbours<'a>(fields: &[Field<'a>]) -> Vec<Vec<Field<'a>>> {
    let mut out = Vec::new();
    for (at, (tag, bytes)) in fields.iter().enumerate().take(8) {
        let mut without = fields.to_vec();
        without.remove(at);
        out.push(without);
        let mut other_tag = fields.to_vec();
        other_tag[at].0 = tag.wrapping_add(2);
        out.push(other_tag);
        if !bytes.is_empty() {
            let (front, back) = bytes.split_at(bytes.len() / 2);
            let mut split = fields.to_vec();
            split[at].1 = front;
            split.insert(at + 1, (*tag, back));
            out.push(split);
        }
    }
    out
}

/// The key of a variant continues the one of its URI, and is the one that would have been made at once.
fn check_continued(fields: &[Field<'_>], whole: &[u8]) {
    let (base, variant) = fields.split_at(fields.len() / 2);
    let base = encode(base).expect("a part of what fits");
    let mut continued = KeyEncoder::continuing(base.bytes()).expect("it fits");
    assert_eq!(append(&mut continued, variant), Ok(()));
    assert_eq!(continued.bytes(), whole);
}
