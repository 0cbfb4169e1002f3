//! Parts of a stored response, for a client that asks for ranges.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use forebay_core::key::Secrets;
use forebay_policy::partial::{Multipart, select_within, single_fields, unsatisfied_fields};
use forebay_policy::range::{Selection, select};
use forebay_policy::status::CACHE_STATUS;
use http::{HeaderMap, Response, StatusCode};
use http_body::Body;

use super::body::ResponseBody;
use crate::stored::KeptResponse;

/// What of a stored response a request asks for; `None` for more than it has.
pub(super) fn selection(request: &HeaderMap, kept: &KeptResponse, fields: &HeaderMap) -> Option<Selection> {
    match (&kept.part, kept.status) {
        (None, StatusCode::OK) => Some(select(request, fields, kept.body.len() as u64)),
        (Some(part), _) => select_within(request, fields, part),
        _ => Some(Selection::Whole),
    }
}

/// The answer with these parts, or none of them; `None` for the whole.
pub(super) fn answer<B: Body>(
    request: &HeaderMap,
    kept: &KeptResponse,
    fields: &HeaderMap,
    selection: &Selection,
    secrets: &Secrets,
) -> Option<Response<ResponseBody<B>>> {
    let (first, complete) = match &kept.part {
        None => (0, kept.body.len() as u64),
        Some(part) => (part.range.start, part.complete.unwrap_or(part.range.end)),
    };
    let bytes = |part: &Range<u64>| slice(&kept.body, first, part);
    let (status, fields, body) = match selection {
        Selection::Single(part) => {
            (StatusCode::PARTIAL_CONTENT, single_fields(request, fields, part, complete), bytes(part)?)
        }
        Selection::Multiple(parts) => {
            // Made of the body's keyed hash, so it is not in the body.
            let boundary = format!("forebay-{}", secrets.key(&kept.body));
            let multipart = Multipart { boundary: &boundary, complete, stored: fields };
            let mut body = BytesMut::new();
            for part in parts {
                body.extend_from_slice(&multipart.head(part));
                body.extend_from_slice(&bytes(part)?);
            }
            body.extend_from_slice(&multipart.end());
            (StatusCode::PARTIAL_CONTENT, multipart.fields(request, parts), body.freeze())
        }
        Selection::Unsatisfiable => {
            let mut unsatisfied = unsatisfied_fields(fields, complete);
            let statuses = fields.get_all(CACHE_STATUS).iter().cloned();
            unsatisfied.extend(statuses.map(|status| (CACHE_STATUS, status)));
            (StatusCode::RANGE_NOT_SATISFIABLE, unsatisfied, Bytes::new())
        }
        _ => return None,
    };
    let mut response = Response::new(ResponseBody::stored(body));
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    Some(response)
}

/// Some bytes of a body that begins with the byte `first` of the whole, counted in the whole.
pub(super) fn slice(body: &Bytes, first: u64, part: &Range<u64>) -> Option<Bytes> {
    if part.is_empty() {
        return Some(Bytes::new());
    }
    let at = |position: u64| usize::try_from(position.checked_sub(first)?).ok();
    let range = at(part.start)?..at(part.end)?;
    body.get(range.clone())?;
    Some(body.slice(range))
}
