//! Frames against fixed files, damage and hostile input.

#![expect(clippy::unwrap_used, reason = "helpers of tests; clippy excuses only the tests themselves")]

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use forebay_core::compress::Compression;
use forebay_core::entry::{Density, Early, Encoded};
use forebay_core::frame::{self, FrameError, Header, Shape};
use forebay_core::key::Secrets;
use forebay_core::l2::Incarnation;
use forebay_core::tag::{Ident, MAX_IDENTS};
use proptest::prelude::*;

const MAX_LEN: usize = 8 << 20;
const KEY: &[u8] = b"the canonical key";
/// What stands before the description, and the checksum after the body.
const FIXED: usize = 10 + 16;

fn secrets() -> Secrets {
    Secrets::new("golden", None)
}

fn header() -> Header {
    Header {
        incarnation: Incarnation(*b"incarnation-0001"),
        stamp: 1_763_712_000_000_001,
        idents: vec![Ident::from_bytes(*b"ident-number-one"), Ident::from_bytes([0xff; 16])],
        born: UNIX_EPOCH + Duration::from_millis(1_763_712_000_123),
        lifetime: Duration::from_millis(60_500),
        keep: Duration::from_millis(3_600_000),
        early: Early::default(),
    }
}

fn value() -> Encoded {
    Encoded {
        meta: Bytes::from_static(b"\x93\xcc\xc8\x90\x00"),
        body: Bytes::from_static(b"{\"id\":42,\"title\":\"A forebay\"}\n"),
        density: Density::Loose,
    }
}

/// One whose body is worth compressing.
fn long() -> Encoded {
    let body = (0..200).map(|id| format!("{{\"id\":{id},\"title\":\"A forebay\"}}\n")).collect::<String>();
    Encoded { body: body.into(), ..value() }
}

fn with_secret() -> Secrets {
    Secrets::new("golden", Some(b"a secret of the test's own"))
}

fn shape(compression: Compression) -> Shape {
    Shape { compression, max_len: MAX_LEN }
}

fn encode(header: &Header, value: &Encoded) -> Bytes {
    frame::encode(&secrets(), KEY, header, value, Shape::default()).unwrap()
}

fn decode(bytes: &[u8]) -> Result<(Header, Encoded), FrameError> {
    frame::decode(&secrets(), KEY, bytes, MAX_LEN)
}

/// A frame around any description, sealed as docs/wire.md says: written anew so that the format is checked twice.
fn sealed(meta: &[u8], body: &[u8]) -> Vec<u8> {
    sealed_with(&secrets(), 0, meta, body)
}

fn sealed_with(secrets: &Secrets, flags: u8, meta: &[u8], body: &[u8]) -> Vec<u8> {
    let mut bytes = [b"FBAY\x03", &[flags][..]].concat();
    bytes.extend(u32::try_from(meta.len()).unwrap().to_le_bytes());
    bytes.extend(meta);
    bytes.extend(body);
    let check = secrets.check(KEY);
    if flags & 1 == 1 {
        let key = blake3::keyed_hash(secrets.frame(), &check);
        bytes.extend(&blake3::keyed_hash(key.as_bytes(), &bytes).as_bytes()[..16]);
    } else {
        let seed = u64::from_le_bytes(check[..8].try_into().unwrap());
        let sum = twox_hash::XxHash3_128::oneshot_with_seed(seed, &bytes).to_le_bytes();
        bytes.extend(sum.iter().zip(&check[8..24]).map(|(sum, check)| sum ^ check));
    }
    bytes
}

/// The fields of the description in MessagePack, by name, to leave out and to add to.
fn fields() -> Vec<(&'static str, Vec<u8>)> {
    fn bin(bytes: &[u8]) -> Vec<u8> {
        [&[0xc4, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }
    fn uint(n: u64) -> Vec<u8> {
        [&[0xcf][..], &n.to_be_bytes()].concat()
    }
    let idents = header().idents.iter().flat_map(|ident| *ident.as_bytes()).collect::<Vec<u8>>();
    vec![
        ("incarnation", bin(b"incarnation-0001")),
        ("stamp", uint(1_763_712_000_000_001)),
        ("idents", bin(&idents)),
        ("born", uint(1_763_712_000_123)),
        ("lifetime", uint(60_500)),
        ("keep", uint(3_600_000)),
        ("value", bin(&value().meta)),
    ]
}

fn map(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = vec![0x80 | u8::try_from(fields.len()).unwrap()];
    for (name, value) in fields {
        bytes.push(0xa0 | u8::try_from(name.len()).unwrap());
        bytes.extend(name.as_bytes());
        bytes.extend(value);
    }
    bytes
}

#[test]
fn a_frame_of_version_3_decodes_and_encodes_byte_for_byte() {
    let golden = include_bytes!("golden/frame-v3.bin");
    assert_eq!(decode(golden), Ok((header(), value())));
    assert_eq!(encode(&header(), &value()), golden[..]);
}

#[test]
fn a_frame_of_version_3_under_a_secret_decodes_and_encodes_byte_for_byte() {
    let golden = include_bytes!("golden/frame-v3-secret.bin");
    let secrets = with_secret();
    assert_eq!(frame::decode(&secrets, KEY, golden, MAX_LEN), Ok((header(), value())));
    assert_eq!(frame::encode(&secrets, KEY, &header(), &value(), Shape::default()).unwrap(), golden[..]);
}

#[test]
fn a_frame_of_version_3_with_a_body_in_lz4_decodes_and_encodes_byte_for_byte() {
    let golden = include_bytes!("golden/frame-v3-lz4.bin");
    assert_eq!(decode(golden), Ok((header(), long())));
    let encoded = frame::encode(&secrets(), KEY, &header(), &long(), shape(Compression::lz4()));
    assert_eq!(encoded.unwrap(), golden[..]);
    assert!(golden.len() < long().body.len() / 2);
}

#[test]
#[cfg(feature = "zstd")]
fn a_frame_of_version_3_with_a_body_in_zstandard_decodes() {
    // What exactly zstd writes differs between its versions; what it reads does not.
    let golden = include_bytes!("golden/frame-v3-zstd.bin");
    assert_eq!(decode(golden), Ok((header(), long())));
    let encoded = frame::encode(&secrets(), KEY, &header(), &long(), shape(Compression::zstd(3))).unwrap();
    assert_eq!(decode(&encoded), Ok((header(), long())));
}

#[test]
#[cfg(not(feature = "zstd"))]
fn a_body_in_zstandard_is_refused_where_this_build_does_not_know_it() {
    assert_eq!(decode(include_bytes!("golden/frame-v3-zstd.bin")), Err(FrameError::Codec));
}

#[test]
fn a_frame_of_an_older_version_is_refused_by_its_number() {
    assert_eq!(decode(include_bytes!("golden/frame-v2.bin")), Err(FrameError::Version(2)));
    let secret = include_bytes!("golden/frame-v2-secret.bin");
    assert_eq!(frame::decode(&with_secret(), KEY, secret, MAX_LEN), Err(FrameError::Version(2)));
}

#[test]
fn the_description_may_be_written_by_anything_that_writes_messagepack() {
    assert_eq!(decode(&sealed(&map(&fields()), &value().body)), Ok((header(), value())));
    let mut turned = fields();
    turned.reverse();
    assert_eq!(decode(&sealed(&map(&turned), &value().body)), Ok((header(), value())));
}

#[test]
fn a_frame_cut_at_any_byte_is_refused() {
    let whole = encode(&header(), &value());
    for len in 0..whole.len() {
        let error = decode(&whole[..len]).unwrap_err();
        let expected = match len {
            0..FIXED => FrameError::TooShort,
            // The last 16 bytes of what is left pass for the checksum.
            _ if len < whole.len() - value().body.len() => FrameError::Length,
            _ => FrameError::Checksum,
        };
        assert_eq!(error, expected, "cut at {len}");
    }
}

#[test]
fn a_frame_with_any_bit_flipped_is_refused() {
    let whole = encode(&header(), &value());
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let error = decode(&damaged).unwrap_err();
        let expected = match bit / 8 {
            0..4 => FrameError::Magic,
            4 => FrameError::Version(damaged[4]),
            5 if bit % 8 == 0 => FrameError::Mac,
            5 if bit % 8 == 1 => FrameError::Checksum,
            5 if bit % 8 == 2 && cfg!(feature = "zstd") => FrameError::Checksum,
            5 if bit % 8 == 2 => FrameError::Codec,
            5 => FrameError::Flags,
            // A description that claims to be longer or shorter either leaves the frame or moves bytes to the body.
            6..10 if error == FrameError::Length => FrameError::Length,
            _ => FrameError::Checksum,
        };
        assert_eq!(error, expected, "bit {bit}");
    }
}

#[test]
fn a_frame_with_bytes_after_it_is_refused() {
    let longer = [&encode(&header(), &value())[..], b"\n"].concat();
    assert_eq!(decode(&longer), Err(FrameError::Checksum));
}

#[test]
fn the_frame_of_another_key_namespace_or_secret_is_refused() {
    let whole = encode(&header(), &value());
    let at = |secrets: &Secrets, key: &[u8]| frame::decode(secrets, key, &whole, MAX_LEN);
    assert_eq!(at(&secrets(), b"another canonical key"), Err(FrameError::Checksum));
    assert_eq!(at(&Secrets::new("other", None), KEY), Err(FrameError::Checksum));
    assert_eq!(at(&with_secret(), KEY), Err(FrameError::Mac));
}

#[test]
fn under_a_secret_no_frame_is_taken_that_was_made_without_it_or_for_another_key() {
    let secret = with_secret();
    let take = |key: &[u8], frame: &[u8]| frame::decode(&secret, key, frame, MAX_LEN).map(|_| ());
    let own = sealed_with(&secret, 1, &map(&fields()), &value().body);
    assert_eq!(take(KEY, &own), Ok(()));
    assert_eq!(take(b"another canonical key", &own), Err(FrameError::Mac), "moved");
    // A checksum under the right keys would not do either: the reader chooses the kind.
    let weaker = sealed_with(&secret, 0, &map(&fields()), &value().body);
    assert_eq!(take(KEY, &weaker), Err(FrameError::Mac));
    assert_eq!(take(KEY, &encode(&header(), &value())), Err(FrameError::Mac));
    let other = Secrets::new("golden", Some(b"another secret"));
    let forged = sealed_with(&other, 1, &map(&fields()), &value().body);
    assert_eq!(take(KEY, &forged), Err(FrameError::Mac));
    for bit in 0..own.len() * 8 {
        let mut damaged = own.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(take(KEY, &damaged).is_err(), "bit {bit}");
    }
    assert_eq!(decode(&own), Err(FrameError::Mac), "and without the secret it cannot be judged");
}

#[test]
fn a_compressed_body_that_lies_about_its_length_is_refused() {
    let packed = frame::encode(&secrets(), KEY, &header(), &long(), shape(Compression::lz4())).unwrap();
    let meta_len = usize::try_from(u32::from_le_bytes(packed[6..10].try_into().unwrap())).unwrap();
    let body = &packed[10 + meta_len..packed.len() - 16];
    let claim = |unpacked: u64| {
        let mut fields = fields();
        fields.push(("unpacked", [&[0xcf][..], &unpacked.to_be_bytes()].concat()));
        frame::decode(&secrets(), KEY, &sealed_with(&secrets(), 2, &map(&fields), body), MAX_LEN)
    };
    let len = long().body.len() as u64;
    assert_eq!(claim(len), Ok((header(), long())));
    for wrong in [0, 1, len - 1, len + 1, 1 << 20, 1 << 23, 1 << 40, u64::MAX] {
        assert_eq!(claim(wrong), Err(FrameError::Body), "{wrong}");
    }
    let unsaid = sealed_with(&secrets(), 2, &map(&fields()), body);
    assert_eq!(decode(&unsaid), Err(FrameError::Body));
}

#[test]
fn a_body_that_would_not_be_read_back_is_not_written() {
    let body = Bytes::from(vec![b' '; 5000]);
    let blank = Encoded { body, ..value() };
    let write = |max_len| {
        let shape = Shape { compression: Compression::lz4(), max_len };
        frame::encode(&secrets(), KEY, &header(), &blank, shape)
    };
    assert_eq!(write(4999), Err(FrameError::TooLarge), "though its frame would be small");
    let frame = write(5000).unwrap();
    assert!(frame.len() < 1000);
    assert_eq!(frame::decode(&secrets(), KEY, &frame, 5000), Ok((header(), blank)));
}

#[test]
fn a_frame_over_the_limit_is_neither_written_nor_looked_at() {
    let whole = encode(&header(), &value());
    let len = whole.len();
    let shaped = |max_len| Shape { max_len, ..Shape::default() };
    let write = |max| frame::encode(&secrets(), KEY, &header(), &value(), shaped(max));
    assert_eq!(write(len), Ok(whole.clone()));
    for max in 0..len {
        assert_eq!(write(max), Err(FrameError::TooLarge));
        assert_eq!(frame::decode(&secrets(), KEY, &whole, max), Err(FrameError::TooLarge));
    }
    let bodiless = Encoded { body: Bytes::new(), ..value() };
    let len_without = encode(&header(), &bodiless).len();
    let write = |max| frame::encode(&secrets(), KEY, &header(), &bodiless, shaped(max));
    assert!(write(len_without).is_ok());
    assert_eq!(write(len_without - 1), Err(FrameError::TooLarge));
    let garbage = vec![0; len];
    assert_eq!(frame::decode(&secrets(), KEY, &garbage, len - 1), Err(FrameError::TooLarge));
}

#[test]
fn a_decoded_value_does_not_hold_the_buffer_it_was_read_from() {
    let read_buffer = encode(&header(), &value());
    let (_, decoded) = decode(&read_buffer).unwrap();
    let held = read_buffer.as_ptr_range();
    assert!(!held.contains(&decoded.meta.as_ptr()) && !held.contains(&decoded.body.as_ptr()));
    assert!(read_buffer.is_unique(), "nothing else refers to it");
}

#[test]
fn a_field_of_a_later_version_is_passed_over() {
    let mut added = fields();
    added.insert(0, ("soft", vec![0x82, 0xa1, b'a', 0xc0, 0xa1, b'b', 0x91, 0x01]));
    added.push(("hints", vec![0xc2]));
    assert_eq!(decode(&sealed(&map(&added), &value().body)), Ok((header(), value())));
}

#[test]
fn a_field_that_is_missing_doubled_or_of_another_type_is_an_error() {
    for at in 0..fields().len() {
        let name = fields()[at].0;
        let mut missing = fields();
        missing.remove(at);
        assert_eq!(decode(&sealed(&map(&missing), b"")), Err(FrameError::Meta), "without {name}");
        let mut doubled = fields();
        doubled.push(fields()[at].clone());
        assert_eq!(decode(&sealed(&map(&doubled), b"")), Err(FrameError::Meta), "twice {name}");
        let mut wrong = fields();
        wrong[at].1 = vec![0xc0];
        assert_eq!(decode(&sealed(&map(&wrong), b"")), Err(FrameError::Meta), "nil as {name}");
    }
}

#[test]
fn bytes_after_the_description_are_an_error() {
    for after in [&[0xc0][..], &[0xc1], &[0x91], &[0xdd, 0xff], b"\x00\x00"] {
        let meta = [&map(&fields())[..], after].concat();
        assert_eq!(decode(&sealed(&meta, b"")), Err(FrameError::Meta), "{after:02x?}");
    }
}

#[test]
fn more_idents_than_an_entry_may_carry_are_an_error_and_so_is_half_an_ident() {
    let with = |len: usize| {
        let mut fields = fields();
        fields[2].1 = [&[0xc5][..], &u16::try_from(len).unwrap().to_be_bytes(), &vec![1; len]].concat();
        decode(&sealed(&map(&fields), b"")).map(|(header, _)| header.idents.len())
    };
    assert_eq!(with(0), Ok(0));
    assert_eq!(with(MAX_IDENTS * 16), Ok(MAX_IDENTS));
    assert_eq!(with(MAX_IDENTS * 16 + 16), Err(FrameError::Idents));
    assert_eq!(with(MAX_IDENTS * 16 - 1), Err(FrameError::Idents));

    let many = Header { idents: vec![Ident::from_bytes([1; 16]); MAX_IDENTS + 1], ..header() };
    let written = frame::encode(&secrets(), KEY, &many, &value(), Shape::default());
    assert_eq!(written, Err(FrameError::Idents));
}

#[test]
fn a_sealed_bomb_is_refused_without_harm() {
    let nested = vec![0x91; 512 << 10];
    let nested_maps = b"\x81\xa1a".repeat(512 << 10);
    for claim in
        [&nested[..], &nested_maps, b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"]
    {
        assert_eq!(decode(&sealed(claim, b"")), Err(FrameError::Meta));
        for at in 0..=fields().len() {
            let mut bomb = fields();
            match bomb.get_mut(at) {
                Some(field) => field.1 = claim.to_vec(),
                None => bomb.insert(0, ("unknown", claim.to_vec())),
            }
            assert_eq!(decode(&sealed(&map(&bomb), b"")), Err(FrameError::Meta));
        }
    }
}

#[test]
fn times_at_the_ends_of_what_can_be_written_survive() {
    let early = Header { born: UNIX_EPOCH - Duration::from_secs(5), lifetime: Duration::MAX, ..header() };
    let (read, _) = decode(&encode(&early, &value())).unwrap();
    assert_eq!((read.born, read.lifetime), (UNIX_EPOCH, Duration::from_millis(u64::MAX)));

    let mut late = fields();
    late[3].1 = vec![0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    // Whether a system can hold such a date differs; no system may panic.
    assert!(matches!(decode(&sealed(&map(&late), b"")), Ok(_) | Err(FrameError::Meta)));
}

#[test]
fn each_error_says_in_a_word_and_in_a_message_what_is_wrong() {
    assert_eq!(FrameError::Version(9).as_str(), "version");
    assert_eq!(FrameError::Version(9).to_string(), "invalid frame: version 9");
    assert_eq!(FrameError::Mac.to_string(), "invalid frame: mac");
    assert_eq!(FrameError::TooShort.to_string(), "invalid frame: too-short");
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_the_same(
        incarnation: [u8; 16],
        stamp: u64,
        idents in prop::collection::vec(any::<[u8; 16]>().prop_map(Ident::from_bytes), 0..=MAX_IDENTS),
        born in 0..1u64 << 45,
        lifetime in 0..1u64 << 45,
        keep in 0..1u64 << 45,
        early in (0..1u64 << 45, 0..1u64 << 45),
        meta in prop::collection::vec(any::<u8>(), 0..600),
        body in prop::collection::vec(any::<u8>(), 0..4000),
    ) {
        let header = Header {
            incarnation: Incarnation(incarnation),
            stamp,
            idents,
            born: UNIX_EPOCH + Duration::from_millis(born),
            lifetime: Duration::from_millis(lifetime),
            keep: Duration::from_millis(keep),
            early: Early { ahead: Duration::from_millis(early.0), spread: Duration::from_millis(early.1) },
        };
        let value = Encoded { meta: meta.into(), body: body.into(), density: Density::Loose };
        prop_assert_eq!(decode(&encode(&header, &value)), Ok((header.clone(), value.clone())));
        let always = shape(Compression::lz4().at_least(0));
        let packed = frame::encode(&with_secret(), KEY, &header, &value, always).unwrap();
        prop_assert_eq!(frame::decode(&with_secret(), KEY, &packed, MAX_LEN), Ok((header, value)));
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(decode(&bytes).is_err());
        let behind_the_magic = [b"FBAY\x03\x00", &bytes[..]].concat();
        prop_assert!(decode(&behind_the_magic).is_err());
    }

    #[test]
    fn any_sealed_description_is_refused(meta in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(decode(&sealed(&meta, b"")), Err(FrameError::Meta));
    }

    #[test]
    fn a_sealed_description_with_damage_never_panics(
        at in 0usize..200,
        with in prop::collection::vec(any::<u8>(), 1..9),
    ) {
        let mut meta = map(&fields());
        let at = at % meta.len();
        for (slot, byte) in meta[at..].iter_mut().zip(with) {
            *slot = byte;
        }
        let _ = decode(&sealed(&meta, b""));
    }
}
