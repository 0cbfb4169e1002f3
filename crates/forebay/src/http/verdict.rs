//! What becomes of an answer: stored, used to confirm what is stored, or passed on.

use std::sync::Arc;

use forebay_core::seek::Fill;
use forebay_policy::fields::strip_surrogate_fields;
use forebay_policy::status::{CacheStatus, Forwarded, Outcome};
use forebay_policy::storable::Lifetime;
use forebay_policy::validate::{Precondition, evaluate};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, response};
use http_body::Body;

use super::answer::not_modified;
use super::body::ResponseBody;
use super::freshen::Freshened;
use super::judge::Judge;
use super::key;
use super::plan::Plan;
use super::scope::Heard;
use crate::cached::Cached;
use crate::route::Route;
use crate::stored::{Kept, MAX_FIELD_BYTES, MAX_FIELDS};
use crate::variants::Variants;

/// What becomes of an answer.
pub(super) enum Verdict {
    /// It is stored.
    Store(Box<Plan>),
    /// It is a 304: what is stored still holds, and answers.
    Freshened(Box<Freshened>),
    /// It is the answer to a HEAD, and says something about what is stored for GET.
    Head(Vec<Fill<Kept>>),
    /// It is passed on.
    Pass(&'static str),
    /// It has told how the key is made; it is neither stored nor shared itself.
    LookAgain,
}

impl Judge {
    /// Whether the answer is stored, and how.
    pub(super) fn verdict(&self, head: &mut response::Parts, at_least: u64) -> Verdict {
        let route = match self.heard() {
            Heard::Route(route) => route,
            Heard::LookAgain => return Verdict::LookAgain,
            Heard::Refused(reason) => return Verdict::Pass(reason),
        };
        let cached = head.extensions.remove::<Cached>().unwrap_or_default();
        if let Some(error) = &cached.error {
            self.wanted.hub.report(error.to_string());
            return Verdict::Pass("annotation");
        }
        if let Some(had) = self.had() {
            if self.validates && head.status == StatusCode::NOT_MODIFIED {
                return Verdict::Freshened(Box::new(Freshened::by(self, &route, &cached, had, head)));
            }
            if self.wanted.method == Method::HEAD {
                return Verdict::Head(Freshened::by_head(self, &route, &cached, had, head));
            }
        }
        if at_least > self.wanted.hub.max_body as u64 {
            return Verdict::Pass("too-large");
        }
        if is_event_stream(&head.headers) {
            return Verdict::Pass("event-stream");
        }
        self.plan(&route, head, &cached).map_or_else(Verdict::Pass, |plan| Verdict::Store(Box::new(plan)))
    }

    fn plan(&self, route: &Route, head: &response::Parts, cached: &Cached) -> Result<Plan, &'static str> {
        let wanted = &*self.wanted;
        let (lifetime, part) = self.good(&self.wanted.method, route, cached, head.status, &head.headers)?;
        let vary = self.vary(route, &head.headers)?;
        let size: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if head.headers.len() > MAX_FIELDS || size > MAX_FIELD_BYTES {
            return Err("fields-too-large");
        }
        let canonical = match vary.is_empty() {
            true => wanted.canonical.clone(),
            false => key::variant(&wanted.canonical, &vary, &wanted.headers).map_err(|_| "key-too-long")?,
        };
        let variants = match vary.is_empty() {
            true => Variants::default(),
            false => self.admitted(&canonical, lifetime)?,
        };
        Ok(Plan {
            fields: self.to_store(&head.headers),
            idents: self.idents(route, cached, &head.headers)?,
            expected: content_length(&head.headers)?,
            known: part.as_ref().and(self.usable.clone()),
            status: head.status,
            wanted: Arc::clone(&self.wanted),
            early: self.early(route, &lifetime),
            lifetime,
            canonical,
            vary,
            variants,
            part,
        })
    }

    /// The answer as the client gets it.
    pub(super) fn reply<R: Body>(
        &self,
        mut head: response::Parts,
        body: ResponseBody<R>,
        stored: Option<Lifetime>,
        detail: &'static str,
    ) -> Response<ResponseBody<R>> {
        let hub = &self.wanted.hub;
        if self.validates
            && head.status == StatusCode::NOT_MODIFIED
            && let Some(had) = self.had()
        {
            // It is for the cache, which has asked, and not for the client.
            let freshened = Freshened::by(self, &self.wanted.route, &Cached::default(), had, &head);
            return freshened.unstored(detail).into_reply(self).0;
        }
        strip_surrogate_fields(&mut head.headers, &hub.policy);
        if let Some(name) = &hub.name {
            let reason = self.why_forwarded();
            let outcome =
                Outcome::Forwarded(Forwarded { stored: stored.is_some(), ..Forwarded::because(reason) });
            let ttl = stored
                .map(|lifetime| lifetime.freshness.as_secs().saturating_sub(lifetime.initial_age.as_secs()));
            let ttl = ttl.and_then(|ttl| i64::try_from(ttl).ok());
            CacheStatus { name, outcome, ttl, detail: Some(detail) }.append_to(&mut head.headers);
        }
        let (method, request) = (&self.wanted.method, &self.wanted.headers);
        if self.conditions
            && evaluate(method, request, head.status, &head.headers, hub.wall()) == Precondition::NotModified
        {
            // The body, if it is stored, is collected all the same.
            return not_modified(&head.headers);
        }
        Response::from_parts(head, body)
    }
}

fn is_event_stream(fields: &HeaderMap) -> bool {
    let is = |value: &HeaderValue| {
        let kind = value.as_bytes().get(..EVENT_STREAM.len());
        kind.is_some_and(|kind| kind.eq_ignore_ascii_case(EVENT_STREAM))
    };
    fields.get(CONTENT_TYPE).is_some_and(is)
}

const EVENT_STREAM: &[u8] = b"text/event-stream";

/// The length the head announces. One that cannot be read, or two, say that the body's end cannot be trusted.
fn content_length(fields: &HeaderMap) -> Result<Option<u64>, &'static str> {
    let mut lengths = fields.get_all(CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(None) };
    let length = length.to_str().ok().and_then(|length| length.parse().ok());
    match (length, lengths.next()) {
        (Some(length), None) => Ok(Some(length)),
        _ => Err("content-length"),
    }
}
