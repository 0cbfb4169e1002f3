//! The forms an answer takes on its way to the client.

use std::cell::RefCell;
use std::time::Duration;

use bytes::Bytes;
use forebay_core::entry::Entry;
use forebay_core::tiers::{Absence, Failing};
use forebay_policy::facts::Fact;
use forebay_policy::fields::strip_surrogate_fields;
use forebay_policy::reuse::{Failure, Forward};
use forebay_policy::status::{CacheStatus, Collapsed, Forwarded, Outcome};
use forebay_policy::validate::{Precondition, evaluate, not_modified_fields};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body::Body;

use super::body::ResponseBody;
use super::memo::Memo;
use super::ranges;
use super::wanted::{Client, Wanted};
use crate::hub::Hub;
use crate::stored::{Kept, KeptResponse};

/// Why the cache did not answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Note {
    pub(super) forward: Forward,
    pub(super) detail: &'static str,
}

/// What Cache-Status says of the most frequent answer.
pub(super) const L1_HIT: &str = "l1";

/// And of stale ones in the place of the origin's.
const FAILED: &str = "stale-if-error";
const SLOW: &str = "origin-slow";

thread_local! {
    static MADE: RefCell<Memo> = const { Memo::new() };
}

/// The answer made of an entry of this age: the whole of it, its head, parts of it, or 304 for a client that has it.
pub(super) fn respond<B: Body>(
    hub: &Hub,
    entry: &Entry<Kept>,
    client: Client<'_>,
    outcome: Outcome,
    detail: &'static str,
    age: Duration,
) -> Response<ResponseBody<B>> {
    let Kept::Response(kept) = &entry.value else {
        // A marker is never an answer: `Seeking::variant` sends its requests elsewhere.
        return Response::new(ResponseBody::stored(Bytes::new()));
    };
    // What is fresh in L1 has not been cut short.
    let freshness =
        if detail == L1_HIT { kept.lifetime.freshness } else { kept.lifetime_in(entry).freshness };
    respond_with(hub, kept, (age, freshness), client, outcome, detail)
}

/// The same, of a stored response that is this old and was fresh for so long. Every hit comes this way, and what it is called with and returns is
/// large: it is part of its callers.
#[inline(always)]
pub(super) fn respond_with<B: Body>(
    hub: &Hub,
    kept: &KeptResponse,
    (age, freshness): (Duration, Duration),
    client: Client<'_>,
    outcome: Outcome,
    detail: &'static str,
) -> Response<ResponseBody<B>> {
    let (seconds, status) = MADE.with_borrow_mut(|made| {
        let seconds = made.ages.recall(0, age.as_secs(), || HeaderValue::from(age.as_secs()));
        let status = hub.name.as_ref().map(|name| {
            let ttl = remaining(freshness, age);
            let make =
                || CacheStatus { name, outcome, ttl: Some(ttl), detail: Some(detail) }.to_header_value();
            match u64::try_from(ttl) {
                Ok(seconds) if detail == L1_HIT => made.statuses.recall(hub.id, seconds, make),
                _ => make(),
            }
        });
        (seconds, status)
    });
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
    if client.facts.has(Fact::Range) && client.method == Method::GET {
        let secrets = &hub.tiers.instance().settings().secrets;
        let selection = ranges::selection(client.headers, kept, &fields);
        let parts = selection
            .and_then(|selection| ranges::answer(client.headers, kept, &fields, &selection, secrets));
        if let Some(response) = parts {
            return response;
        }
    }
    let body = if client.method == Method::HEAD { Bytes::new() } else { kept.body.clone() };
    let mut response = Response::new(ResponseBody::stored(body));
    *response.status_mut() = kept.status;
    *response.headers_mut() = fields;
    response
}

/// For how much longer a response is fresh; negative when it is stale. In whole seconds like Age, so that the two add up to
/// the lifetime.
fn remaining(lifetime: Duration, age: Duration) -> i64 {
    let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    seconds(lifetime).saturating_sub(seconds(age))
}

/// A stored answer in place of an origin that has failed, which was asked for a reason.
pub(super) fn instead<B: Body>(
    wanted: &Wanted,
    entry: &Entry<Kept>,
    (reason, failure): (Forward, Failure),
) -> Response<ResponseBody<B>> {
    let status = match failure {
        Failure::Status(status) => Some(status.as_u16()),
        _ => None,
    };
    let outcome = Outcome::Forwarded(Forwarded { status, ..Forwarded::because(reason) });
    stand_in(wanted, entry, outcome, FAILED)
}

/// The same, where another request has asked the origin.
pub(super) fn instead_of_another<B: Body>(
    wanted: &Wanted,
    entry: &Entry<Kept>,
    failing: Failing,
) -> Response<ResponseBody<B>> {
    let collapsed = Forwarded { collapsed: Collapsed::Yes, ..Forwarded::because(Forward::Stale) };
    let (outcome, detail) = match failing {
        Failing::Now => (Outcome::Forwarded(collapsed), FAILED),
        Failing::Slow => (Outcome::Forwarded(collapsed), SLOW),
        Failing::Lately => (Outcome::Hit, FAILED),
    };
    stand_in(wanted, entry, outcome, detail)
}

/// The same, for an origin that takes its time.
pub(super) fn instead_of_slow<B: Body>(
    wanted: &Wanted,
    entry: &Entry<Kept>,
    reason: Forward,
) -> Response<ResponseBody<B>> {
    stand_in(wanted, entry, Outcome::Forwarded(Forwarded::because(reason)), SLOW)
}

fn stand_in<B: Body>(
    wanted: &Wanted,
    entry: &Entry<Kept>,
    outcome: Outcome,
    detail: &'static str,
) -> Response<ResponseBody<B>> {
    respond(&wanted.hub, entry, wanted.as_client(), outcome, detail, entry.age(wanted.hub.now()))
}

/// What a client gets whose route does not let it wait any longer, and there is nothing stale that it may have.
pub(super) fn timed_out<B: Body>(wanted: &Wanted, forwarded: Forwarded) -> Response<ResponseBody<B>> {
    let mut response = Response::new(ResponseBody::stored(Bytes::new()));
    // RFC 9110, 15.6.5: the handler is to this layer what an upstream server is to a gateway.
    *response.status_mut() = StatusCode::GATEWAY_TIMEOUT;
    if let Some(name) = &wanted.hub.name {
        let (outcome, detail) = (Outcome::Forwarded(forwarded), Some("origin-timeout"));
        CacheStatus { name, outcome, ttl: None, detail }.append_to(response.headers_mut());
    }
    response
}

/// What a client gets that wants a stored response or nothing, and there is none.
pub(super) fn only_if_cached<B: Body>(wanted: &Wanted) -> Response<ResponseBody<B>> {
    //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.7
    //# Caches that honor this request directive SHOULD, upon receiving it, respond with either a stored
    //# response consistent with the other constraints of the request or a 504 (Gateway Timeout) status code.
    let mut response = Response::new(ResponseBody::stored(Bytes::new()));
    *response.status_mut() = StatusCode::GATEWAY_TIMEOUT;
    if let Some(name) = &wanted.hub.name {
        let (outcome, detail) = (Outcome::Generated, Some("only-if-cached"));
        CacheStatus { name, outcome, ttl: None, detail }.append_to(response.headers_mut());
    }
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
    strip_surrogate_fields(response.headers_mut(), &hub.policy);
    if let Some(name) = &hub.name {
        let outcome = Outcome::Forwarded(Forwarded::because(note.forward));
        CacheStatus { name, outcome, ttl: None, detail: Some(note.detail) }.append_to(response.headers_mut());
    }
    response
}

pub(super) const fn forward(absence: Absence) -> Forward {
    match absence {
        Absence::Unknown | Absence::Invalidated | Absence::Lapsed | Absence::Unattested => Forward::UriMiss,
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
        Absence::Unattested => "unattested",
    }
}
