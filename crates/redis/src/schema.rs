//! What stands in Redis, and under which names. No other file knows them.
//!
//! All keys of a namespace begin with the hash tag `{namespace:digest:shard}`, so that a cluster keeps them together.
//! The digest covers the versions of this schema and of the frame and the namespace's secret: instances that would not
//! understand each other do not meet; so it does the number of shards, of which there is one, `0`, unless more are configured.
//!
//! | after the tag | type | content |
//! |---|---|---|
//! | `:v` | string | the position: the last sequence number issued, in decimal |
//! | `:i` | string | the incarnation, 16 bytes |
//! | `:l` | sorted set | the log: ident (16 bytes), with the number of its last invalidation as score; the shapes of patterns, below zero; and the sentinel |
//! | `:e:<key in hex>` | string, PX | an entry: its stamp, 8 bytes big-endian, then its frame |
//! | `:f:<key in hex>` | string, PX | a fill lease: its holder's token, 16 bytes, `v` as it was claimed, and `+` once somebody waits; or `-`, waived |
//! | `:c` | channel | one message for each invalidation, see [`decode`], and one for the end of each lease that is waited for, see [`released`] |
//! | `:sc` | sharded channel | the same, in a cluster |
//!
//! | `:m` | sorted set | the live instances, each with the end of its lease as score, in microseconds; and the incarnation |
//! | `:a` | sorted set | the live instances, each with how far it has applied the log; and the incarnation, with when the two were begun |
//!
//! Beside them stands the sorted set `{namespace:census}`, with the configurations that live in the namespace, see `census.lua`.
//!
//! **Invariant:** a life of the log is `v`, `i` and the sentinel together. The sentinel is a member of `l` whose name
//! is `life:` and the incarnation, and whose score is the floor. Each script begins by reading the three; where one
//! is missing, of a wrong type or no number, it begins a new incarnation before it does anything else. So the floor
//! cannot be lost without the log, nor the log without ending the incarnation.
//!
//! What happens when one key is lost alone, by eviction or by hand:
//!
//! * `v` or `i`: a lookup or poll finds no position; what it found is not served, and `open` begins anew.
//! * `l`: nobody who only looks up notices, and nobody need. An instance that knows every invalidation up to `v`
//!   knows them from its own table; for anything else (an older frame, a position ahead of its own) it asks a
//!   script. So does every store and invalidation. The first script ends the incarnation, and no invalidation can
//!   have come between, for it would have been that script.
//! * `e`: a miss.
//!
//! Where there is a secret, nothing that a script publishes would prove who had it published, and no script gets the secret. So
//! scripts publish nothing then; the issuer does, once it knows the number, and seals what it says. A message that is lost because
//! its issuer dies in between is noticed as any lost message is.
//!
//! The stamp stands before the frame because the store script compares it and frames are opaque to it.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use forebay_core::entry::Seq;
use forebay_core::frame;
use forebay_core::key::{Key, Secrets};
use forebay_core::l2::{Incarnation, Message, Position};
use forebay_core::seal::MessageSeal;
use forebay_core::tag::Ident;
use fred::util::redis_keyslot;

use crate::digest::Digest;

/// The most idents one message carries, and one script call invalidates.
pub(crate) const MAX_MESSAGE_IDENTS: usize = 1000;
/// Up to here sequence numbers go: what a Lua number still counts in ones, less two.
pub(crate) const MAX_SEQ: Seq = (1 << 53) - 2;

/// The version of the keys, values and messages; another one is another namespace.
const VERSION: u8 = 2;
/// The version of the log and of messages alone: instances of the same can write into each other's.
const LOG_VERSION: u8 = 1;
/// The kind of hash that the digest is: no ident is of it.
const DIGEST: u8 = 255;
const MAX_MESSAGE_LEN: usize = 64 << 10;
/// How the name of a sharded channel ends. `log.lua` knows it, too.
const SHARDED: &str = ":sc";
const STAMP_LEN: usize = size_of::<Seq>();

/// The names of one namespace's keys.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    entry_prefix: String,
    lease_prefix: String,
    pub(crate) position: Bytes,
    pub(crate) incarnation: Bytes,
    pub(crate) log: Bytes,
    pub(crate) leases: Bytes,
    pub(crate) applied: Bytes,
    pub(crate) channel: String,
    /// Seals messages, where there is a secret.
    pub(crate) seal: Option<MessageSeal>,
}

/// Where the configurations of a namespace are counted, and as what this one is.
#[derive(Clone, Debug)]
pub(crate) struct Registry {
    pub(crate) key: String,
    pub(crate) own: Digest,
    /// Configurations of the same kin name what is invalidated alike, and their logs have the same form.
    pub(crate) kin: String,
}

impl Registry {
    /// That of instances with so many shards.
    pub(crate) fn new(namespace: &str, secrets: &Secrets, shards: usize) -> Self {
        let versions: &[u8] = &[VERSION, frame::VERSION];
        let digest = match shards {
            1 => secrets.ident(DIGEST, &[versions]),
            _ => secrets.ident(DIGEST, &[versions, &(shards as u64).to_le_bytes()]),
        };
        Self {
            key: format!("{{{namespace}:census}}"),
            own: Digest { hex: hex(&digest[..4]), shards },
            kin: hex(&secrets.ident(DIGEST, &[b"kin", &[LOG_VERSION]])[..8]),
        }
    }

    /// The slot of a cluster that the census is in.
    pub(crate) fn slot(&self) -> u16 {
        redis_keyslot(self.key.as_bytes())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Schema {
    /// The names of one shard of a configuration.
    pub(crate) fn new(namespace: &str, secrets: &Secrets, digest: &Digest, shard: usize, bus: Bus) -> Self {
        let tag = format!("{{{namespace}:{}:{shard}}}", digest.hex);
        let channel = match bus {
            Bus::Whole => format!("{tag}:c"),
            Bus::Sharded => format!("{tag}{SHARDED}"),
        };
        Self {
            seal: MessageSeal::new(secrets, channel.as_bytes()),
            entry_prefix: format!("{tag}:e:"),
            lease_prefix: format!("{tag}:f:"),
            position: format!("{tag}:v").into(),
            incarnation: format!("{tag}:i").into(),
            log: format!("{tag}:l").into(),
            leases: format!("{tag}:m").into(),
            applied: format!("{tag}:a").into(),
            channel,
        }
    }

    /// A message as it goes over the channel: sealed, where there is a secret.
    pub(crate) fn sealed(&self, message: Vec<u8>) -> Bytes {
        match &self.seal {
            None => message.into(),
            Some(seal) => seal.sealed(message).into(),
        }
    }

    /// The message in what has come over the channel. Where there is a secret, what was not sealed with it is none.
    pub(crate) fn opened<'a>(&self, message: &'a [u8]) -> Option<&'a [u8]> {
        match &self.seal {
            None => Some(message),
            // What is too long for a message is not hashed either.
            Some(seal) if message.len() <= MAX_MESSAGE_LEN => seal.open(message),
            Some(_) => None,
        }
    }

    /// The slot of a cluster that all the keys are in, and the channel.
    pub(crate) fn slot(&self) -> u16 {
        redis_keyslot(&self.position)
    }

    pub(crate) fn entry(&self, key: Key) -> Bytes {
        named(&self.entry_prefix, key)
    }

    pub(crate) fn lease(&self, key: Key) -> Bytes {
        named(&self.lease_prefix, key)
    }
}

fn named(prefix: &str, key: Key) -> Bytes {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut name = Vec::with_capacity(prefix.len() + 2 * key.as_bytes().len());
    name.extend_from_slice(prefix.as_bytes());
    for byte in key.as_bytes() {
        name.push(HEX[usize::from(byte >> 4)]);
        name.push(HEX[usize::from(byte & 15)]);
    }
    name.into()
}

/// How messages are spread.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bus {
    /// To whoever listens on the server.
    Whole,
    /// Within the slot of the channel's name, by `SPUBLISH`: in a cluster the others would go to every node.
    Sharded,
}

/// Whether messages go over this channel within its slot.
pub(crate) fn is_sharded(channel: &str) -> bool {
    channel.ends_with(SHARDED)
}

/// The value of an entry.
pub(crate) fn value(stamp: Seq, frame: &[u8]) -> Bytes {
    let mut value = BytesMut::with_capacity(STAMP_LEN + frame.len());
    value.put_u64(stamp);
    value.put_slice(frame);
    value.freeze()
}

/// The frame in the value of an entry. Nothing is copied.
pub(crate) fn frame_of(mut value: Bytes) -> Option<Bytes> {
    (value.len() >= STAMP_LEN).then(|| value.split_off(STAMP_LEN))
}

/// The position as `v` and `i` tell it; anything that no script would have written is as good as nothing.
pub(crate) fn position(seq: Option<&[u8]>, incarnation: Option<&[u8]>) -> Option<Position> {
    Some(Position { incarnation: Incarnation(incarnation?.try_into().ok()?), seq: number(seq?)? })
}

/// A sequence number in decimal.
pub(crate) fn number(text: &[u8]) -> Option<Seq> {
    let seq = std::str::from_utf8(text).ok().filter(|text| !text.starts_with('+'))?.parse().ok()?;
    (seq <= MAX_SEQ).then_some(seq)
}

/// Reads a message: the MessagePack array `[incarnation, seq, previous, issuer, kind, ident...]`. Incarnation,
/// issuer and idents are strings of 16 bytes, numbers are unsigned integers. The only kind is 0.
///
/// Anything else, or anything more, is no message; so is one of over 64 KiB or with over 1000 idents.
pub(crate) fn decode(message: &[u8]) -> Option<Message> {
    if message.len() > MAX_MESSAGE_LEN {
        return None;
    }
    let mut reader = Reader(message);
    let idents = reader.array()?.checked_sub(5).filter(|idents| *idents <= MAX_MESSAGE_IDENTS)?;
    let incarnation = Incarnation(reader.bytes()?);
    let seq = reader.uint().filter(|seq| *seq <= MAX_SEQ)?;
    let previous = reader.uint()?;
    let _issuer = reader.bytes()?;
    let _hard = reader.uint().filter(|kind| *kind == 0)?;
    let idents = (0..idents).map(|_| reader.bytes().map(Ident::from_bytes)).collect::<Option<_>>()?;
    (reader.0.is_empty() && previous < seq).then_some(Message { incarnation, seq, previous, idents })
}

/// Writes a message, as the scripts do: where there is a secret, its issuer has to, since the server cannot seal.
pub(crate) fn encode(position: Position, previous: Seq, issuer: &[u8], idents: &[Ident]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + 17 * idents.len());
    let text = |out: &mut Vec<u8>, bytes: &[u8]| {
        out.push(0xb0);
        out.extend_from_slice(bytes);
    };
    out.push(0xdc);
    out.put_u16(u16::try_from(5 + idents.len()).unwrap_or(u16::MAX));
    text(&mut out, &position.incarnation.0);
    out.push(0xcf);
    out.put_u64(position.seq);
    out.push(0xcf);
    out.put_u64(previous);
    text(&mut out, issuer);
    out.push(0);
    idents.iter().for_each(|ident| text(&mut out, ident.as_bytes()));
    out
}

/// What instances are told that are behind: the array `[incarnation, 1]`.
pub(crate) fn report(incarnation: Incarnation) -> Vec<u8> {
    [&[0x92, 0xb0][..], &incarnation.0, &[1]].concat()
}

/// Whether this is such a call. The incarnation does not matter, since whoever hears it polls.
pub(crate) fn is_report(message: &[u8]) -> bool {
    let mut reader = Reader(message);
    reader.array() == Some(2) && reader.bytes().is_some() && reader.uint() == Some(1) && reader.0.is_empty()
}

/// The message that tells of the end of a key's fill lease: the MessagePack array `[key]`, the key a string of 16 bytes.
pub(crate) fn release(key: Key) -> Vec<u8> {
    [&RELEASED[..], key.as_bytes()].concat()
}

/// Reads a message of [`release`]; `None` if it is none.
pub(crate) fn released(message: &[u8]) -> Option<Key> {
    let key = message.strip_prefix(&RELEASED)?;
    key.try_into().ok().map(Key::from_bytes)
}

/// An array of one, which is a string of 16.
const RELEASED: [u8; 2] = [0x91, 0xb0];

/// What is left of some MessagePack.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array(&mut self) -> Option<usize> {
        match self.0.try_get_u8().ok()? {
            marker @ 0x90..=0x9f => Some(usize::from(marker & 0x0f)),
            0xdc => self.0.try_get_u16().ok().map(usize::from),
            _ => None,
        }
    }

    fn uint(&mut self) -> Option<u64> {
        match self.0.try_get_u8().ok()? {
            marker @ 0x00..=0x7f => Some(marker.into()),
            0xcc => self.0.try_get_u8().ok().map(u64::from),
            0xcd => self.0.try_get_u16().ok().map(u64::from),
            0xce => self.0.try_get_u32().ok().map(u64::from),
            0xcf => self.0.try_get_u64().ok(),
            _ => None,
        }
    }

    /// A string of 16 bytes.
    fn bytes(&mut self) -> Option<[u8; 16]> {
        let (&marker, rest) = self.0.split_first()?;
        let (bytes, rest) = rest.split_first_chunk()?;
        self.0 = rest;
        (marker == 0xb0).then_some(*bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(seq: u64, previous: u64, idents: &[[u8; 16]]) -> Vec<u8> {
        let idents: Vec<Ident> = idents.iter().copied().map(Ident::from_bytes).collect();
        encode(Position { incarnation: Incarnation([1; 16]), seq }, previous, &[2; 16], &idents)
    }

    proptest! {
        #[test]
        fn random_bytes_are_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn a_flipped_byte_is_never_a_panic(at in 0usize..80, flip in 1u8..) {
            let mut bytes = encoded(9, 7, &[[3; 16], [4; 16]]);
            let at = at % bytes.len();
            bytes[at] ^= flip;
            let _ = decode(&bytes);
        }

        #[test]
        fn what_was_encoded_is_read(
            seq in 1..MAX_SEQ,
            idents in prop::collection::vec(any::<[u8; 16]>(), 0..50),
        ) {
            let message = decode(&encoded(seq, seq - 1, &idents)).unwrap();
            prop_assert_eq!((message.seq, message.previous), (seq, seq - 1));
            prop_assert_eq!(message.idents, idents.into_iter().map(Ident::from_bytes).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_message_cut_anywhere_or_with_more_behind_it_is_none() {
        let whole = encoded(9, 7, &[[3; 16]]);
        assert!(decode(&whole).is_some());
        for cut in 0..whole.len() {
            assert_eq!(decode(&whole[..cut]), None, "cut at {cut}");
        }
        assert_eq!(decode(&[&whole[..], &[0]].concat()), None);
    }

    #[test]
    fn the_end_of_a_lease_is_no_invalidation_nor_the_other_way_round() {
        let key = Key::from_bytes([9; 16]);
        assert_eq!(released(&release(key)), Some(key));
        assert_eq!(decode(&release(key)), None);
        assert_eq!(released(&encoded(9, 7, &[])), None);
        assert_eq!(released(&release(key)[..17]), None);
        assert_eq!(released(&[&release(key)[..], &[0]].concat()), None);
    }

    #[test]
    fn too_many_idents_too_many_bytes_and_impossible_numbers_are_no_message() {
        assert!(decode(&encoded(9, 7, &[[3; 16]; 1000])).is_some());
        assert_eq!(decode(&encoded(9, 7, &[[3; 16]; 1001])), None);
        assert_eq!(decode(&vec![0xdc; MAX_MESSAGE_LEN + 1]), None);
        assert_eq!(decode(&encoded(9, 9, &[])), None);
        assert_eq!(decode(&encoded(u64::MAX, 7, &[])), None);
        assert_eq!(decode(&[0xdd, 0xff, 0xff, 0xff, 0xff]), None);
    }

    #[test]
    fn a_call_to_report_is_that_and_nothing_else() {
        let call = report(Incarnation([7; 16]));
        assert!(is_report(&call) && decode(&call).is_none());
        for other in [&call[..18], &[&call[..], &[0]].concat(), &encoded(9, 7, &[]), b"", b"\x92"] {
            assert!(!is_report(other), "{other:?}");
        }
    }

    #[test]
    fn only_plain_decimals_are_sequence_numbers() {
        assert_eq!(number(b"1763716292000000"), Some(1_763_716_292_000_000));
        for other in [&b""[..], b"+1", b"-1", b"1.0", b"1e3", b" 1", b"9007199254740991", b"\xff"] {
            assert_eq!(number(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_frame_comes_back_from_behind_its_stamp() {
        assert_eq!(frame_of(value(7, b"frame")).as_deref(), Some(&b"frame"[..]));
        assert_eq!(frame_of(value(7, b"")).as_deref(), Some(&b""[..]));
        assert_eq!(frame_of(Bytes::from_static(b"short")), None);
    }

    #[test]
    fn names_are_stable_and_apart_for_other_secrets() {
        let schema = |secret: Option<&[u8]>, shards| {
            let secrets = Secrets::new("shop", secret);
            let own = Registry::new("shop", &secrets, shards).own;
            Schema::new("shop", &secrets, &own, 0, Bus::Whole)
        };
        let entry = schema(None, 1).entry(Key::from_bytes([0xab; 16]));
        assert!(entry.starts_with(b"{shop:"), "{entry:?}");
        assert!(entry.ends_with(b":0}:e:abababababababababababababababab"), "{entry:?}");
        assert_ne!(schema(None, 1).position, schema(Some(b"s3cret"), 1).position);
        assert_ne!(
            schema(None, 1).position,
            schema(None, 16).position,
            "another number of shards is another namespace"
        );
    }

    #[test]
    fn kin_is_told_by_the_secret_and_not_by_shards() {
        let registry =
            |secret: Option<&[u8]>, shards| Registry::new("shop", &Secrets::new("shop", secret), shards);
        assert_eq!(registry(None, 1).kin, registry(None, 16).kin);
        assert_ne!(registry(None, 1).kin, registry(Some(b"s3cret"), 1).kin);
        assert_ne!(registry(None, 1).own, registry(None, 16).own);
        assert_eq!(registry(None, 1).key, "{shop:census}");
    }

    #[test]
    fn a_shard_is_in_one_slot_with_its_channel() {
        let secrets = Secrets::new("shop", None);
        let own = Registry::new("shop", &secrets, 16).own;
        let slots = (0..16).map(|shard| {
            let schema = Schema::new("shop", &secrets, &own, shard, Bus::Sharded);
            assert!(is_sharded(&schema.channel));
            let entry = schema.entry(Key::from_bytes([7; 16]));
            for name in [&entry, &schema.incarnation, &schema.log, &schema.channel.clone().into()] {
                assert_eq!(redis_keyslot(name), schema.slot());
            }
            schema.slot()
        });
        assert_eq!(slots.collect::<std::collections::HashSet<_>>().len(), 16);
    }
}
