//! How an answer is stored once it has arrived.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use forebay_core::entry::{Early, Entry, Span};
use forebay_core::seek::{Fill, Marker};
use forebay_core::tag::{Ident, Idents};
use forebay_policy::fields::take_surrogate_fields;
use forebay_policy::partial::{Combined, combine};
use forebay_policy::profile::SetCookie;
use forebay_policy::range::ContentRange;
use forebay_policy::storable::Lifetime;
use forebay_policy::update::{combinable, update};
use forebay_policy::variant::Vary;
use http::header::CONTENT_RANGE;
use http::{HeaderMap, StatusCode};

use super::body::Whole;
use super::ranges::slice;
use super::wanted::Wanted;
use crate::hub::Hub;
use crate::stored::{Kept, KeptResponse};
use crate::variants::Variants;

/// How an answer is stored once it has arrived.
pub(super) struct Plan {
    pub(super) wanted: Arc<Wanted>,
    pub(super) lifetime: Lifetime,
    pub(super) early: Early,
    pub(super) canonical: Box<[u8]>,
    pub(super) vary: Vary,
    pub(super) variants: Variants,
    pub(super) status: StatusCode,
    pub(super) fields: HeaderMap,
    pub(super) expected: Option<u64>,
    pub(super) idents: Idents,
    /// Which part of the whole it is, if it is one.
    pub(super) part: Option<ContentRange>,
    /// What is stored already, for a part to be joined to.
    pub(super) known: Option<Arc<Entry<Kept>>>,
}

impl Plan {
    /// Collects the answer, and makes of it what is stored; nothing, if it breaks off.
    pub(super) async fn carry_out(
        self: Box<Self>,
        whole: impl Future<Output = Option<Whole>>,
    ) -> Vec<Fill<Kept>> {
        let span = span(&self.wanted.hub, self.lifetime, self.early);
        let Some(Whole { bytes: body, held }) = whole.await else { return Vec::new() };
        //= https://www.rfc-editor.org/rfc/rfc9111#section-3.3
        //# A cache MUST NOT use an incomplete response to answer requests unless the response has been made complete,
        let announced = self.part.as_ref().map(|part| part.range.end - part.range.start).or(self.expected);
        if [announced, self.expected].into_iter().flatten().any(|length| length != body.len() as u64) {
            return Vec::new();
        }
        vec![Fill { held, ..self.fill(body, span) }]
    }

    fn fill(self, body: Bytes, span: Span) -> Fill<Kept> {
        let Self { wanted, lifetime, canonical, vary, variants, status, fields, idents, part, known, .. } =
            self;
        let marker = marker(&wanted, &vary, variants);
        let piece = Piece { status, fields, body, part };
        let basis = known.as_ref().map(|known| known.stamp);
        let join = known.and_then(|known| Some((piece.joined_to(&known)?, joined(&known.idents, &idents)?)));
        let (piece, idents, basis) = match join {
            Some((piece, idents)) => (piece, idents, basis),
            None => (piece, idents, None),
        };
        let kept = kept(&wanted.hub, piece, lifetime, vary);
        Fill { value: Kept::Response(Box::new(kept)), canonical, marker, idents, span, basis, held: None }
    }
}

/// What invalidates a response that is made of two; `None` for more than one can carry.
pub(super) fn joined(stored: &[Ident], new: &Idents) -> Option<Idents> {
    let added = new.as_slice().iter().filter(|ident| !stored.contains(ident));
    let all: Vec<_> = stored.iter().chain(added).copied().collect();
    let idents = Idents::of(&all);
    (idents.as_slice().len() == all.len()).then_some(idents)
}

/// When an answer that arrives now was born, how long it is fresh and how long it is kept.
pub(super) fn span(hub: &Hub, lifetime: Lifetime, early: Early) -> Span {
    let born = hub.now().before(lifetime.initial_age);
    Span { born, lifetime: lifetime.freshness, keep: lifetime.windows.keep, early }
}

/// What says under the primary key how answers vary, where they do.
pub(super) fn marker(wanted: &Wanted, vary: &Vary, variants: Variants) -> Option<Marker<Kept>> {
    let value = (!vary.is_empty()).then(|| Kept::Varies(vary.clone(), variants))?;
    Some(Marker { value, canonical: wanted.canonical.clone() })
}

/// A response as it is stored: what speaks to this cache alone is kept apart from what clients get.
pub(super) fn kept(hub: &Hub, piece: Piece, lifetime: Lifetime, vary: Vary) -> KeptResponse {
    let Piece { status, mut fields, body, part } = piece;
    let hidden = take_surrogate_fields(&mut fields, &hub.policy);
    KeptResponse::new(status, &fields, body, lifetime, vary).with_part(part).with_hidden(hidden)
}

/// A response, or a part of one.
pub(super) struct Piece {
    pub(super) status: StatusCode,
    pub(super) fields: HeaderMap,
    pub(super) body: Bytes,
    pub(super) part: Option<ContentRange>,
}

impl Piece {
    /// This part joined to what is stored of the same representation, if they touch.
    fn joined_to(&self, known: &Entry<Kept>) -> Option<Self> {
        let Kept::Response(kept) = &known.value else { return None };
        let (had, new) = (kept.part.as_ref()?, self.part.as_ref()?);
        let stored = kept.as_received();
        if !combinable(&stored, &self.fields) {
            return None;
        }
        let Combined::Joined(join) = combine(&had.range, &new.range) else { return None };
        let complete = new.complete.or(had.complete);
        // An origin that says two things of the length is believed in the newer one alone.
        if had.complete.is_some_and(|had| complete != Some(had))
            || complete.is_some_and(|end| join.whole.end > end)
        {
            return None;
        }
        let mut body = BytesMut::new();
        body.extend_from_slice(&slice(&kept.body, had.range.start, &join.before)?);
        body.extend_from_slice(&self.body);
        body.extend_from_slice(&slice(&kept.body, had.range.start, &join.after)?);
        let mut fields = update(&stored, &self.fields, SetCookie::Store);
        //= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.3
        //# If the union consists of the entire range of the representation, then the client MUST process the
        //# combined response as if it were a complete 200 (OK) response, including a Content-Length header
        //# field that reflects the complete length.
        let (status, part) = match complete == Some(join.whole.end) && join.whole.start == 0 {
            true => (StatusCode::OK, None),
            false => (self.status, Some(ContentRange { range: join.whole, complete })),
        };
        //= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.3
        //# Otherwise, the client MUST process the set of continuous ranges as one of the following: an
        //# incomplete 200 (OK) response if the combined response is a prefix of the representation, a single
        //# 206 (Partial Content) response containing "multipart/byteranges" content, or multiple 206 (Partial
        //# Content) responses, each with one continuous range that is indicated by a Content-Range header
        //# field.
        fields.remove(CONTENT_RANGE);
        if let Some(part) = &part {
            fields.insert(CONTENT_RANGE, part.to_header_value());
        }
        Some(Self { status, fields, body: body.freeze(), part })
    }
}
