//! What the tiers hold: responses ready to be served, and markers that say how answers vary.

use bytes::{Bytes, BytesMut};
use forebay_core::entry::{Density, Encoded, Entry, Stored, Undecodable};
use forebay_policy::freshness::Source;
use forebay_policy::range::ContentRange;
use forebay_policy::status::CACHE_STATUS;
use forebay_policy::storable::{Audience, Lifetime};
use forebay_policy::variant::Vary;
use forebay_policy::windows::Windows;
use http::header::{AGE, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use crate::variants::Variants;

/// What stands under a key.
pub(crate) enum Kept {
    /// A response.
    Response(Box<KeptResponse>),
    /// Under the primary key of answers that vary: on which request fields, and which there are.
    Varies(Vary, Variants),
}

/// A response: a complete one, or a part.
#[derive(Clone)]
pub(crate) struct KeptResponse {
    pub(crate) status: StatusCode,
    /// The fields, with Age and, unless the origin's side sent one, Cache-Status in front, to be overwritten: a clone
    /// of the map then needs no room for more.
    fields: HeaderMap,
    has_status: bool,
    pub(crate) body: Bytes,
    /// Which bytes of the whole the body is, if it is not all of them.
    pub(crate) part: Option<ContentRange>,
    pub(crate) lifetime: Lifetime,
    pub(crate) vary: Vary,
    /// Fields that no client gets: they speak to this cache, and are needed when it judges the response anew.
    hidden: Option<Box<HeaderMap>>,
}

impl KeptResponse {
    /// How long the response is good as part of this entry: a soft invalidation may have ended its freshness sooner.
    pub(crate) fn lifetime_in<V>(&self, entry: &Entry<V>) -> Lifetime {
        let mut lifetime = self.lifetime;
        lifetime.freshness = lifetime.freshness.min(entry.fresh_for());
        lifetime
    }

    /// Keeps a response whose connection's fields are gone already. The values are copied into one buffer, so that
    /// they hold no more memory than they need.
    pub(crate) fn new(
        status: StatusCode,
        fields: &HeaderMap,
        body: Bytes,
        lifetime: Lifetime,
        vary: Vary,
    ) -> Self {
        let mut slab = BytesMut::with_capacity(fields.values().map(HeaderValue::len).sum());
        let lines = fields.iter().map(|(name, value)| {
            slab.extend_from_slice(value.as_bytes());
            let copy = HeaderValue::from_maybe_shared(slab.split().freeze());
            (name.clone(), copy.unwrap_or_else(|_| value.clone()))
        });
        Self::of(status, fields.len(), lines, body, lifetime, vary)
    }

    /// Keeps a response with these `count` field lines, whose values are taken as they are.
    fn of(
        status: StatusCode,
        count: usize,
        lines: impl Iterator<Item = (HeaderName, HeaderValue)>,
        body: Bytes,
        lifetime: Lifetime,
        vary: Vary,
    ) -> Self {
        let mut fields = HeaderMap::with_capacity(count + 3);
        fields.insert(AGE, HeaderValue::from_static("0"));
        fields.insert(CACHE_STATUS, HeaderValue::from_static("forebay"));
        let mut has_status = true;
        for (name, value) in lines {
            match name {
                CONNECTION | TRANSFER_ENCODING | AGE | CONTENT_LENGTH => {}
                CACHE_STATUS if has_status => {
                    has_status = false;
                    fields.insert(name, value);
                }
                _ => drop(fields.append(name, value)),
            }
        }
        //= https://www.rfc-editor.org/rfc/rfc9110#section-8.6
        //# A server MUST NOT send a Content-Length header field in any response with a status code of 1xx
        //# (Informational) or 204 (No Content).
        if status != StatusCode::NO_CONTENT {
            // Also where the origin has sent none: a router would add it to every hit, and the map would have to grow.
            fields.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        Self { status, fields, has_status, body, part: None, lifetime, vary, hidden: None }
    }

    /// The same, as a part of a representation.
    pub(crate) fn with_part(self, part: Option<ContentRange>) -> Self {
        Self { part, ..self }
    }

    /// The same, with fields that no client gets.
    pub(crate) fn with_hidden(self, hidden: HeaderMap) -> Self {
        Self { hidden: (!hidden.is_empty()).then(|| Box::new(hidden)), ..self }
    }

    /// The fields as the origin sent them, but for Age and what belongs to the connection.
    pub(crate) fn as_received(&self) -> HeaderMap {
        let mut fields = self.fields.clone();
        fields.remove(AGE);
        if self.has_status {
            fields.remove(CACHE_STATUS);
        }
        for (name, value) in self.hidden.iter().flat_map(|hidden| hidden.iter()) {
            fields.append(name, value.clone());
        }
        fields
    }

    /// The fields with this age and status, ready to be sent.
    #[inline]
    pub(crate) fn fields(&self, age: HeaderValue, status: Option<HeaderValue>) -> HeaderMap {
        let mut fields = self.fields.clone();
        let mut values = fields.values_mut();
        if let Some(slot) = values.next() {
            *slot = age;
        }
        match (self.has_status, status) {
            (true, Some(status)) => {
                if let Some(slot) = values.next() {
                    *slot = status;
                }
            }
            (true, None) => {
                fields.remove(CACHE_STATUS);
            }
            (false, Some(status)) => {
                fields.append(CACHE_STATUS, status);
            }
            (false, None) => {}
        }
        fields
    }

    fn weight(&self) -> usize {
        let fields: usize = self.fields.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let hidden = self.hidden.iter().flat_map(|hidden| hidden.iter());
        let hidden: usize = hidden.map(|(name, value)| name.as_str().len() + value.len() + FIELD_SLOT).sum();
        size_of::<Self>() + self.body.len() + fields + hidden + self.fields.capacity() * FIELD_SLOT
    }
}

impl Stored for Kept {
    fn weight(&self) -> usize {
        match self {
            Self::Response(response) => response.weight(),
            Self::Varies(vary, variants) => size_of_val(vary.names()) + variants.weight(),
        }
    }

    fn encode(&self) -> Result<Encoded, Undecodable> {
        let (meta, body, density) = match self {
            Self::Varies(vary, _) => {
                (Meta { vary: names(vary), ..Meta::default() }, Bytes::new(), Density::Loose)
            }
            Self::Response(response) => {
                let skipped =
                    |name: &HeaderName| *name == AGE || (response.has_status && *name == CACHE_STATUS);
                let fields = response.fields.iter().filter(|(name, _)| !skipped(name));
                let meta = Meta {
                    status: response.status.as_u16(),
                    source: response.lifetime.source.as_u8(),
                    audience: response.lifetime.audience.as_u8(),
                    vary: names(&response.vary),
                    fields: lines(fields).collect(),
                    freshness: millis(response.lifetime.freshness),
                    windows: response.lifetime.windows.to_numbers(),
                    part: response
                        .part
                        .as_ref()
                        .map(|part| (part.range.start, part.range.end, part.complete)),
                    hidden: response.hidden.iter().flat_map(|hidden| lines(hidden.iter())).collect(),
                };
                (meta, response.body.clone(), density(&response.fields))
            }
        };
        let meta = rmp_serde::to_vec_named(&meta).map_err(|_| Undecodable("response-encoding"))?;
        Ok(Encoded { meta: meta.into(), body, density })
    }

    fn decode(encoded: Encoded) -> Result<Self, Undecodable> {
        let meta: Meta<'_> =
            rmp_serde::from_slice(&encoded.meta).map_err(|_| Undecodable("response-meta"))?;
        let vary = meta.vary.iter().map(|name| HeaderName::from_bytes(name.as_bytes()));
        let vary = vary.collect::<Result<Vec<_>, _>>().map_err(|_| Undecodable("response-vary"))?;
        let vary = Vary::from_names(vary).map_err(|_| Undecodable("response-vary"))?;
        if meta.status == MARKER {
            // One without names would pass for an answer.
            let named = (!vary.is_empty()).then(|| Self::Varies(vary, Variants::default()));
            return named.ok_or(Undecodable("response-vary"));
        }
        let lifetime = meta.lifetime().ok_or(Undecodable("response-lifetime"))?;
        let status = meta.checked_status().ok_or(Undecodable("response-status"))?;
        let part = meta.checked_part(encoded.body.len())?;
        let lines = meta.checked_lines(&meta.fields, &encoded.meta).ok_or(Undecodable("response-fields"))?;
        let hidden = meta.checked_lines(&meta.hidden, &encoded.meta).ok_or(Undecodable("response-fields"))?;
        let response = KeptResponse::of(status, lines.len(), lines.into_iter(), encoded.body, lifetime, vary);
        let response = response.with_part(part).with_hidden(hidden.into_iter().collect());
        Ok(Self::Response(Box::new(response)))
    }
}

/// A response's description in L2. A field that is added gets a default and is ignored by older readers.
#[derive(Default, Serialize, Deserialize)]
struct Meta<'a> {
    /// The status code, or [`MARKER`].
    #[serde(rename = "s")]
    status: u16,
    /// Who gave the freshness lifetime.
    #[serde(rename = "o")]
    source: u8,
    /// Whose requests it may answer.
    #[serde(rename = "a")]
    audience: u8,
    /// The freshness lifetime in milliseconds.
    #[serde(rename = "l")]
    freshness: u64,
    /// What it is good for when it is no longer fresh: nothing, where an older writer has not said.
    #[serde(rename = "w", default)]
    windows: [u32; 5],
    /// On which request fields answers vary.
    #[serde(rename = "y", borrow)]
    vary: Vec<&'a str>,
    /// Field lines, in order.
    #[serde(rename = "h", borrow)]
    fields: Vec<Line<'a>>,
    /// Field lines that no client gets.
    #[serde(rename = "x", borrow, default)]
    hidden: Vec<Line<'a>>,
    /// Which bytes of the whole the body is: the first, the one behind the last, and how many there are.
    #[serde(rename = "p", default)]
    part: Option<(u64, u64, Option<u64>)>,
}

/// A field line.
type Line<'a> = (&'a str, &'a serde_bytes::Bytes);

fn lines<'a>(
    fields: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>,
) -> impl Iterator<Item = Line<'a>> {
    fields.map(|(name, value)| (name.as_str(), serde_bytes::Bytes::new(value.as_bytes())))
}

impl Meta<'_> {
    fn lifetime(&self) -> Option<Lifetime> {
        let (source, audience) = (Source::from_u8(self.source)?, Audience::from_u8(self.audience)?);
        let freshness = std::time::Duration::from_millis(self.freshness);
        let lifetime = Lifetime::new(freshness, std::time::Duration::ZERO, source, audience);
        Some(lifetime.with_windows(Windows::from_numbers(self.windows)?))
    }

    /// Which part the body is, if it is one; nothing for a part that this body cannot be.
    fn checked_part(&self, length: usize) -> Result<Option<ContentRange>, Undecodable> {
        let Some((start, end, complete)) = self.part else { return Ok(None) };
        let fits =
            end.checked_sub(start) == Some(length as u64) && complete.is_none_or(|complete| end <= complete);
        let part = fits.then_some(ContentRange { range: start..end, complete });
        part.map(Some).ok_or(Undecodable("response-part"))
    }

    fn checked_status(&self) -> Option<StatusCode> {
        (200..600).contains(&self.status).then(|| StatusCode::from_u16(self.status).ok())?
    }

    /// The field lines, if they are few and small enough and hold nothing that would end a line. The values are slices
    /// of `meta`, which has little else in it.
    fn checked_lines(&self, fields: &[Line<'_>], meta: &Bytes) -> Option<Vec<(HeaderName, HeaderValue)>> {
        let size: usize = fields.iter().map(|(name, value)| name.len() + value.len()).sum();
        if fields.len() > MAX_FIELDS || size > MAX_FIELD_BYTES {
            return None;
        }
        let line = |(name, value): &Line<'_>| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            Some((name, HeaderValue::from_maybe_shared(meta.slice_ref(value)).ok()?))
        };
        fields.iter().map(line).collect()
    }
}

/// Whether a body with these fields can be expected to shrink.
fn density(fields: &HeaderMap) -> Density {
    if fields.contains_key(CONTENT_ENCODING) {
        return Density::Dense;
    }
    let Some(media) = fields.get(CONTENT_TYPE) else { return Density::Loose };
    let begins = |prefix: &[u8]| {
        media.as_bytes().get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
    };
    if DENSE.iter().any(|prefix| begins(prefix)) && !LOOSE.iter().any(|prefix| begins(prefix)) {
        Density::Dense
    } else {
        Density::Loose
    }
}

fn names(vary: &Vary) -> Vec<&str> {
    vary.names().iter().map(HeaderName::as_str).collect()
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How the media types begin whose formats are compressed in themselves.
const DENSE: [&[u8]; 8] = [
    b"image/",
    b"audio/",
    b"video/",
    b"font/woff",
    b"application/gzip",
    b"application/zip",
    b"application/zstd",
    b"application/pdf",
];
/// The exceptions.
const LOOSE: [&[u8]; 2] = [b"image/svg", b"image/bmp"];
/// No status code: a marker.
const MARKER: u16 = 0;
/// The most field lines a response may have to be stored.
pub(crate) const MAX_FIELDS: usize = 128;
/// The most bytes they may have together.
pub(crate) const MAX_FIELD_BYTES: usize = 32 << 10;
/// What room for a field line costs in a `HeaderMap` beside the line's bytes: a bucket of 104 bytes, and its share of an index
/// that is a third longer.
const FIELD_SLOT: usize = 110;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn lifetime() -> Lifetime {
        let windows = Windows::from_numbers([30, 60, 90, 120, 1]).unwrap();
        Lifetime::new(Duration::from_secs(60), Duration::ZERO, Source::Route, Audience::Anonymous)
            .with_windows(windows)
    }

    fn kept(fields: &HeaderMap) -> KeptResponse {
        let vary = Vary::from_names([http::header::ACCEPT]).unwrap();
        KeptResponse::new(StatusCode::OK, fields, Bytes::from_static(b"hello"), lifetime(), vary)
    }

    fn respond(response: &KeptResponse) -> HeaderMap {
        response.fields(HeaderValue::from_static("7"), Some(HeaderValue::from_static("forebay; hit")))
    }

    #[test]
    fn a_response_survives_l2_with_its_fields_in_order_and_number() {
        let mut fields = HeaderMap::new();
        fields.append("x-a", HeaderValue::from_static("1"));
        fields.append("x-b", HeaderValue::from_bytes(b"caf\xe9").unwrap());
        fields.append("x-a", HeaderValue::from_static("2"));
        let Ok(Kept::Response(back)) =
            Kept::decode(Kept::Response(Box::new(kept(&fields))).encode().unwrap())
        else {
            panic!("expected a response")
        };
        assert_eq!((back.status, &back.body[..]), (StatusCode::OK, &b"hello"[..]));
        assert_eq!(back.lifetime, lifetime());
        assert_eq!(back.vary.names(), [http::header::ACCEPT]);
        let fields = respond(&back);
        assert_eq!(fields.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(fields["x-b"].as_bytes(), b"caf\xe9");
        assert_eq!(
            (&fields[AGE], &fields[CACHE_STATUS]),
            (&"7".parse().unwrap(), &"forebay; hit".parse().unwrap())
        );
        assert_eq!(fields[CONTENT_LENGTH], "5");
    }

    #[test]
    fn an_answer_without_content_announces_no_length() {
        let vary = Vary::default();
        let kept =
            KeptResponse::new(StatusCode::NO_CONTENT, &HeaderMap::new(), Bytes::new(), lifetime(), vary);
        assert!(!respond(&kept).contains_key(CONTENT_LENGTH));
    }

    #[test]
    fn what_upstream_said_in_cache_status_stays_in_front() {
        let mut fields = HeaderMap::new();
        fields.append(CACHE_STATUS, HeaderValue::from_static("cdn; hit"));
        let fields = respond(&kept(&fields));
        assert_eq!(fields.get_all(CACHE_STATUS).iter().collect::<Vec<_>>(), ["cdn; hit", "forebay; hit"]);
        assert_eq!(fields[AGE], "7");
    }

    #[test]
    fn without_a_status_no_placeholder_is_sent() {
        let fields = kept(&HeaderMap::new()).fields(HeaderValue::from_static("7"), None);
        assert!(!fields.contains_key(CACHE_STATUS));
    }

    #[test]
    fn what_is_compressed_in_itself_is_dense() {
        let fields = |name, value| HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        for media in ["image/png", "IMAGE/JPEG", "video/mp4", "font/woff2", "application/zip"] {
            assert_eq!(density(&fields(CONTENT_TYPE, media)), Density::Dense, "{media}");
        }
        for media in ["text/html", "application/json", "image/svg+xml", "font/ttf", "", "im"] {
            assert_eq!(density(&fields(CONTENT_TYPE, media)), Density::Loose, "{media}");
        }
        assert_eq!(density(&fields(CONTENT_ENCODING, "br")), Density::Dense);
        assert_eq!(density(&HeaderMap::new()), Density::Loose);
    }

    #[test]
    fn a_marker_survives_l2() {
        let vary = Vary::from_names([http::header::ACCEPT_LANGUAGE]).unwrap();
        match Kept::decode(Kept::Varies(vary.clone(), Variants::default()).encode().unwrap()) {
            Ok(Kept::Varies(back, _)) => assert_eq!(back, vary),
            _ => panic!("expected a marker"),
        }
    }

    #[test]
    fn hostile_fields_and_statuses_are_undecodable() {
        let check = |meta: &Meta<'_>, why: &str| {
            let meta = rmp_serde::to_vec_named(meta).unwrap().into();
            let error = Kept::decode(Encoded { meta, body: Bytes::new(), density: Density::Loose }).err();
            assert_eq!(error.map(|error| error.0), Some(why));
        };
        let line = |value: &'static [u8]| Meta {
            status: 200,
            fields: vec![("x", serde_bytes::Bytes::new(value))],
            ..Meta::default()
        };
        check(&line(b"a\r\nset-cookie: b"), "response-fields");
        check(&line(b"a\0b"), "response-fields");
        check(&line(&[b'a'; MAX_FIELD_BYTES]), "response-fields");
        check(&Meta { fields: vec![("x y", serde_bytes::Bytes::new(b""))], ..line(b"") }, "response-fields");
        check(&Meta { status: 100, ..Meta::default() }, "response-status");
        check(&Meta { status: 200, audience: 9, ..Meta::default() }, "response-lifetime");
        let windows = [0, 0, 0, 0, 9];
        check(&Meta { status: 200, windows, ..Meta::default() }, "response-lifetime");
        check(&Meta { vary: vec!["a b"], ..Meta::default() }, "response-vary");
        check(&Meta::default(), "response-vary");
        let meta = Bytes::from_static(b"\xc1");
        let encoded = Encoded { meta, body: Bytes::new(), density: Density::Loose };
        assert!(Kept::decode(encoded).is_err());
    }

    #[test]
    fn a_description_cut_anywhere_or_with_any_byte_changed_never_panics() {
        let mut fields = HeaderMap::new();
        fields.append("x-a", HeaderValue::from_static("1"));
        fields.append("set-cookie", HeaderValue::from_static("a=b"));
        let hidden = HeaderMap::from_iter([(CACHE_STATUS, HeaderValue::from_static("cdn; hit"))]);
        let part = ContentRange { range: 5..10, complete: Some(100) };
        let whole = kept(&fields).with_part(Some(part)).with_hidden(hidden);
        let Encoded { meta, body, density } = Kept::Response(Box::new(whole)).encode().unwrap();
        let decode = |meta: Vec<u8>| Kept::decode(Encoded { meta: meta.into(), body: body.clone(), density });
        for len in 0..meta.len() {
            assert!(decode(meta[..len].to_vec()).is_err(), "cut at {len}");
        }
        for (at, byte) in (0..meta.len()).flat_map(|at| (0..=255).map(move |byte| (at, byte))) {
            let mut changed = meta.to_vec();
            changed[at] = byte;
            let Ok(Kept::Response(read)) = decode(changed) else { continue };
            assert!((200..600).contains(&read.status.as_u16()), "{byte} at {at}");
            assert!(respond(&read).len() <= MAX_FIELDS + 3, "{byte} at {at}");
            assert!(read.part.as_ref().is_none_or(|part| part.range.end - part.range.start == 5));
            let again = Kept::decode(Kept::Response(read.clone()).encode().unwrap());
            let Ok(Kept::Response(again)) = again else { panic!("{byte} at {at}: written, and not read") };
            assert_eq!((again.status, again.lifetime), (read.status, read.lifetime));
            assert_eq!(respond(&again), respond(&read), "{byte} at {at}");
        }
    }
}
