//! The forms an answer takes on its way to the client.

use std::cell::RefCell;

use bytes::Bytes;
use forebay_core::entry::Entry;
use forebay_core::tiers::Absence;
use forebay_core::time::Moment;
use forebay_policy::facts::{Fact, RequestFacts};
use forebay_policy::reuse::Forward;
use forebay_policy::status::{CacheStatus, Forwarded, Outcome};
use forebay_policy::validate::{Precondition, evaluate, not_modified_fields};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body::Body;

use super::body::ResponseBody;
use super::memo::{Memo, recall};
use crate::hub::Hub;
use crate::stored::{CACHE_STATUS, Kept};

/// Why the cache did not answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Note {
    pub(super) forward: Forward,
    pub(super) detail: &'static str,
}

/// What Cache-Status says of the most frequent answer.
pub(super) const L1_HIT: &str = "l1";

thread_local! {
    static AGES: RefCell<Memo> = const { Memo::new() };
    static STATUSES: RefCell<Memo> = const { Memo::new() };
}

/// A client, as far as it decides the form of its answer.
pub(super) struct Client<'a> {
    pub(super) method: &'a Method,
    pub(super) headers: &'a HeaderMap,
    pub(super) facts: RequestFacts,
}

/// The answer made of an entry: the whole of it, its head, or 304 for a client that has it.
pub(super) fn respond<B: Body>(
    hub: &Hub,
    entry: &Entry<Kept>,
    client: Client<'_>,
    outcome: Outcome,
    detail: &'static str,
    now: Moment,
) -> Response<ResponseBody<B>> {
    let age = entry.age(now);
    let Kept::Response(kept) = &entry.value else {
        // A marker is never an answer: `Seeking::variant` sends its requests elsewhere.
        return Response::new(ResponseBody::stored(Bytes::new()));
    };
    let status = hub.name.as_ref().map(|name| {
        // In whole seconds like Age, so that the two add up to the lifetime.
        let ttl = entry.lifetime.as_secs().saturating_sub(age.as_secs());
        let make = || {
            let ttl = i64::try_from(ttl).unwrap_or(i64::MAX);
            CacheStatus { name, outcome, ttl: Some(ttl), detail: Some(detail) }.to_header_value()
        };
        if detail == L1_HIT { recall(&STATUSES, hub.id, ttl, make) } else { make() }
    });
    let seconds = recall(&AGES, 0, age.as_secs(), || HeaderValue::from(age.as_secs()));
    let fields = kept.fields(seconds, status);
    if client.facts.has(Fact::Conditional) {
        let received = hub.tiers.instance().settings().clock.wall();
        let received = received.checked_sub(age).unwrap_or(received);
        if evaluate(client.method, client.headers, kept.status, &fields, received)
            == Precondition::NotModified
        {
            return not_modified(&fields);
        }
    }
    let body = if client.method == Method::HEAD { Bytes::new() } else { kept.body.clone() };
    let mut response = Response::new(ResponseBody::stored(body));
    *response.status_mut() = kept.status;
    *response.headers_mut() = fields;
    response
}

/// A 304 with what a stored response has to say about itself.
pub(super) fn not_modified<B: Body>(fields: &HeaderMap) -> Response<ResponseBody<B>> {
    let mut response = Response::new(ResponseBody::stored(Bytes::new()));
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    *response.headers_mut() = not_modified_fields(fields);
    response
}

/// The origin's answer to a request that the cache took no part in.
pub(super) fn passed<B: Body>(hub: &Hub, response: Response<B>, note: Note) -> Response<ResponseBody<B>> {
    let mut response = response.map(ResponseBody::inner);
    if let Some(name) = &hub.name {
        let outcome = Outcome::Forwarded(Forwarded::because(note.forward));
        let status = CacheStatus { name, outcome, ttl: None, detail: Some(note.detail) }.to_header_value();
        response.headers_mut().append(CACHE_STATUS, status);
    }
    response
}

pub(super) const fn forward(absence: Absence) -> Forward {
    match absence {
        Absence::Unknown | Absence::Invalidated | Absence::Lapsed => Forward::UriMiss,
        Absence::Variant => Forward::VaryMiss,
        Absence::Stale => Forward::Stale,
        Absence::Barred => Forward::Request,
    }
}

pub(super) const fn absence_str(absence: Absence) -> &'static str {
    match absence {
        Absence::Unknown => "uri-miss",
        Absence::Variant => "vary-miss",
        Absence::Stale => "stale",
        Absence::Invalidated => "invalidated",
        Absence::Lapsed => "unsynced",
        Absence::Barred => "credentials",
    }
}
