//! What goes into scripts, and what comes out of them.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use forebay_core::entry::Seq;
use forebay_core::l2::{Claim, L2Error, Position, Refusal, Stored};
use forebay_core::tag::Ident;
use fred::types::Value;

use crate::schema;

/// What became of a claim, how long the lease is held, and what stands under the key, at `v` and at `i`.
pub(crate) type Claimed = (String, i64, Option<Bytes>, Option<Bytes>, Option<Bytes>);

pub(crate) fn claimed(word: &str, left: i64) -> Option<Claim> {
    Some(match word {
        "claimed" => Claim::Claimed,
        "held" => Claim::Held(Duration::from_millis(left.try_into().ok()?)),
        "waived" => Claim::Waived,
        _ => return None,
    })
}

pub(crate) fn stored(word: &str) -> Option<Stored> {
    Some(match word {
        "accepted" => Stored::Accepted,
        "incarnation" => Stored::Refused(Refusal::Incarnation),
        "floor" => Stored::Refused(Refusal::Floor),
        "invalidated" => Stored::Refused(Refusal::Invalidated),
        "lineage" => Stored::Refused(Refusal::Lineage),
        "late" => Stored::Refused(Refusal::Late),
        "newer" => Stored::Refused(Refusal::Newer),
        _ => return None,
    })
}

pub(crate) fn position(seq: &[u8], incarnation: &[u8]) -> Result<Position, L2Error> {
    schema::position(Some(seq), Some(incarnation)).ok_or_else(malformed)
}

pub(crate) fn number(text: &Bytes) -> Result<Seq, L2Error> {
    schema::number(text).ok_or_else(malformed)
}

pub(crate) fn ident_and_seq(pair: &[Bytes]) -> Result<(Ident, Seq), L2Error> {
    let [ident, seq] = pair else { return Err(malformed()) };
    let ident = ident[..].try_into().map_err(|_| malformed())?;
    Ok((Ident::from_bytes(ident), number(seq)?))
}

pub(crate) fn malformed() -> L2Error {
    L2Error::Protocol("a script's reply has a form that no script of this version gives".into())
}

/// The idents as slices of one buffer.
pub(crate) fn idents_as_args(idents: &[Ident]) -> impl Iterator<Item = Value> {
    let mut buffer = BytesMut::with_capacity(16 * idents.len());
    idents.iter().for_each(|ident| buffer.extend_from_slice(ident.as_bytes()));
    let mut buffer = buffer.freeze();
    (0..idents.len()).map(move |_| Value::Bytes(buffer.split_to(16)))
}

pub(crate) fn decimal(number: impl ToString) -> Value {
    Value::from(number.to_string())
}

/// At least one: Redis takes no less.
pub(crate) fn millis(duration: Duration) -> Value {
    decimal(duration.as_millis().max(1))
}

pub(crate) fn micros(duration: Duration) -> Value {
    decimal(duration.as_micros())
}
