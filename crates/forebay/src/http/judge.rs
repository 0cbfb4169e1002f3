//! What becomes of the origin's answer: whether it is stored, and in which form the client gets it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use forebay_core::entry::Entry;
use forebay_core::seek::{Fill, Sharing};
use forebay_core::tag::Idents;
use forebay_policy::age::{Times, initial_age};
use forebay_policy::directives::RequestDirectives;
use forebay_policy::facts::Fact;
use forebay_policy::fields::{strip_hop_by_hop, strip_set_cookie, strip_surrogate_fields};
use forebay_policy::freshness::Granted;
use forebay_policy::groups::{groups, tags};
use forebay_policy::range::ContentRange;
use forebay_policy::reuse::{Failure, Fallback, Forward, Lookup, on_failure};
use forebay_policy::status::{CacheStatus, Forwarded, Outcome};
use forebay_policy::storable::{Exchange, Lifetime, Storability, storability};
use forebay_policy::target::Target;
use forebay_policy::update::{conditions, has_validator};
use forebay_policy::validate::{CONDITIONAL_FIELDS, Precondition, evaluate};
use forebay_policy::variant::Vary;
use forebay_policy::windows::Stale;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, request, response};
use http_body::Body;

use super::answer::{forward, not_modified};
use super::body::ResponseBody;
use super::freshen::Freshened;
use super::key;
use super::plan::Plan;
use super::said::Said;
use super::scope::{Heard, Known, Scope, Used};
use super::wanted::Wanted;
use crate::axum::matched_path;
use crate::cached::Cached;
use crate::route::{MissingName, Route};
use crate::stored::{Kept, KeptResponse, MAX_FIELD_BYTES, MAX_FIELDS};
use crate::template::Params;
use crate::variants::{Admission, Variants};

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

/// Stands in the extensions of a request whose stored response may not answer without the origin's word (`must-revalidate`
/// and its kin).
///
/// A proxy that cannot get that word answers with 504 (RFC 9111 5.2.2.2).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct MustValidate;

/// What is known of a request when its answer comes.
pub(super) struct Judge {
    pub(super) wanted: Arc<Wanted>,
    scope: Scope,
    said: Said,
    path: Option<Box<str>>,
    params: Params,
    requested: SystemTime,
    /// The client's conditions were taken out of the request, and are evaluated on the answer.
    conditions: bool,
    /// What there is, but has to be validated or is only a part.
    usable: Option<Arc<Entry<Kept>>>,
    /// The request asks whether that still holds.
    validates: bool,
}

/// How long an answer is good, and which part of the whole it is, if it is one.
pub(super) type Good = (Lifetime, Option<ContentRange>);

impl Judge {
    /// Notes what the inner service will not give back, and prepares the request for it.
    pub(super) fn before(
        wanted: Arc<Wanted>,
        scope: Scope,
        parts: &mut request::Parts,
        usable: Option<Arc<Entry<Kept>>>,
    ) -> Self {
        let said = Said::listening();
        scope.mark(parts, wanted.known, said.clone());
        let stored = usable.as_deref().and_then(whole).map(KeptResponse::as_received);
        // Where the key is still to be learned, it may turn out to be another response than the one that is asked about.
        let asks = wanted.method == Method::GET && wanted.known != Known::Learning;
        let stored = stored.filter(|stored| asks && has_validator(stored));
        let kept = usable.as_deref().and_then(whole);
        if kept.is_some_and(|kept| kept.lifetime.windows.stale == Stale::Forbidden) {
            parts.extensions.insert(MustValidate);
        }
        // Who has something that may be shared at hand can bring the next of it, though nobody waits for that.
        let fills = wanted.sharing != Sharing::Solo || (wanted.lookup == Lookup::Fill && usable.is_some());
        let stripped = fills && wanted.facts.has(Fact::Conditional);
        if stripped {
            // With them the origin could answer 304, and there would be nothing to store.
            CONDITIONAL_FIELDS.iter().for_each(|name| drop(parts.headers.remove(name)));
        }
        if let Some(stored) = &stored {
            conditions(stored, &mut parts.headers);
        }
        Self {
            said,
            path: matched_path(parts).map(Into::into),
            params: scope.params(parts),
            requested: wanted.hub.wall(),
            conditions: stripped || (stored.is_some() && wanted.facts.has(Fact::Conditional)),
            validates: stored.is_some(),
            usable,
            wanted,
            scope,
        }
    }

    /// The stale entry that answers in place of an origin that has failed like this, if one may.
    pub(super) fn fallback(&self, failure: Failure) -> Option<Arc<Entry<Kept>>> {
        let entry = self.usable.as_ref()?;
        let permitted = self.permits(entry, failure, self.wanted.client.as_ref());
        // It may have been invalidated while the origin failed.
        (permitted && self.wanted.hub.tiers.is_valid(entry)).then(|| Arc::clone(entry))
    }

    /// Whether those who wait for this request may settle for that too: not for what its client alone has permitted.
    pub(super) fn fallback_is_shared(&self, entry: &Entry<Kept>, failure: Failure) -> bool {
        self.permits(entry, failure, None)
    }

    fn permits(&self, entry: &Entry<Kept>, failure: Failure, client: Option<&RequestDirectives>) -> bool {
        let age = entry.age(self.wanted.hub.now());
        whole(entry).is_some_and(|kept| on_failure(&kept.lifetime, age, failure, client) == Fallback::Stale)
    }

    /// Whether the answer is stored, and how.
    pub(super) fn verdict(&self, head: &mut response::Parts, at_least: u64) -> Verdict {
        let Wanted { known, route, partition, .. } = &*self.wanted;
        let used = Used { known: *known, route, partition };
        let route = match self.scope.hear(used, self.path.as_deref(), self.said.take()) {
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

    /// The whole response that is at hand.
    fn had(&self) -> Option<(&Entry<Kept>, &KeptResponse)> {
        let entry = self.usable.as_deref()?;
        Some((entry, whole(entry)?))
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
            lifetime,
            canonical,
            vary,
            variants,
            part,
        })
    }

    /// How long an answer with this status and these fields is good.
    pub(super) fn good(
        &self,
        method: &Method,
        route: &Route,
        cached: &Cached,
        status: StatusCode,
        fields: &HeaderMap,
    ) -> Result<Good, &'static str> {
        let (wanted, hub) = (&*self.wanted, &*self.wanted.hub);
        let exchange = Exchange {
            method,
            request: &wanted.headers,
            status,
            response: fields,
            times: self.times(),
            target: Target { scheme: None, authority: &wanted.authority, path: &wanted.target },
        };
        let granted = Granted {
            handler: cached.ttl,
            route: route.ttl,
            stale_while_revalidate: cached.stale_while_revalidate.or(route.stale_while_revalidate),
            stale_if_error: cached.stale_if_error.or(route.stale_if_error),
        };
        match storability(&exchange, granted, wanted.credentials, &hub.policy) {
            Storability::Storable(lifetime) => Ok((lifetime, None)),
            Storability::Partial(lifetime) => {
                Ok((lifetime, Some(ContentRange::of(fields).ok_or("partial-content")?)))
            }
            Storability::Unstorable(reason) => Err(reason.as_str()),
            _ => Err("unknown"),
        }
    }

    /// How old an answer with these fields is when it arrives.
    pub(super) fn age(&self, fields: &HeaderMap) -> Duration {
        initial_age(fields, self.times())
    }

    fn times(&self) -> Times {
        Times { requested: self.requested, received: self.wanted.hub.wall() }
    }

    /// The request fields that answers like this one vary on.
    pub(super) fn vary(&self, route: &Route, fields: &HeaderMap) -> Result<Vary, &'static str> {
        Vary::parse(fields, &route.vary_allow).map_err(|reason| reason.as_str())
    }

    /// The fields that are kept of an answer: without those of the connection, and with a date.
    fn to_store(&self, received: &HeaderMap) -> HeaderMap {
        let mut fields = received.clone();
        strip_hop_by_hop(&mut fields);
        strip_set_cookie(&mut fields, &self.wanted.hub.policy);
        self.dated(&fields)
    }

    /// These fields, with the time of arrival where they have no date.
    pub(super) fn dated(&self, received: &HeaderMap) -> HeaderMap {
        let mut fields = received.clone();
        if !fields.contains_key(DATE) {
            //= https://www.rfc-editor.org/rfc/rfc9110#section-6.6.1
            //# A recipient with a clock that receives a response message without a Date header field MUST record
            //# the time it was received and append a corresponding Date header field to the message's header
            //# section if it is cached or forwarded downstream.
            let now = httpdate::fmt_http_date(self.wanted.hub.wall());
            fields.extend(HeaderValue::try_from(now).map(|date| (DATE, date)));
        }
        fields
    }

    /// The list of the URL's variants.
    pub(super) fn variants_beside(&self) -> Variants {
        let tiers = &self.wanted.hub.tiers;
        let marker = tiers.l1().get(&tiers.instance().settings().secrets.key(&self.wanted.canonical));
        match marker.as_deref().map(|marker| &marker.value) {
            Some(Kept::Varies(_, variants)) => variants.clone(),
            _ => Variants::default(),
        }
    }

    /// The same, with a place for this one.
    pub(super) fn admitted(&self, variant: &[u8], lifetime: Lifetime) -> Result<Variants, &'static str> {
        let hub = &self.wanted.hub;
        let key = |canonical| hub.tiers.instance().settings().secrets.key(canonical);
        let variants = self.variants_beside();
        let kept = lifetime.freshness.saturating_add(lifetime.windows.keep);
        let (now, remaining) = (hub.now(), kept.saturating_sub(lifetime.initial_age));
        match variants.admit(key(variant), now, now.after(remaining)) {
            Admission::Admitted => Ok(variants),
            Admission::Full => Err("too-many-variants"),
        }
    }

    /// What invalidates the answer: its URL, its path and prefixes, the tags of its route, of its handler and of its fields.
    pub(super) fn idents(
        &self,
        route: &Route,
        cached: &Cached,
        fields: &HeaderMap,
    ) -> Result<Idents, &'static str> {
        let hub = &self.wanted.hub;
        let secrets = &hub.tiers.instance().settings().secrets;
        let routed = route.tags(&self.params).map_err(|missing| {
            let MissingName { template, name } = missing;
            hub.report(format!("tag template {template:?}: the request's path has no parameter `{name}`"));
            "tag-template"
        })?;
        let mut idents = self.wanted.url_idents().map_err(|_| "path-too-deep")?;
        for tag in routed.iter().chain(&cached.tags) {
            idents.tag(secrets, tag).map_err(|error| {
                hub.report(error.to_string());
                "tag"
            })?;
        }
        // Somebody else wrote those: one that cannot be carried leaves the answer unstored, as it could not be invalidated.
        for group in groups(fields) {
            idents.group(secrets, &self.wanted.authority, &group).map_err(|_| "tag")?;
            idents.tag(secrets, &group).map_err(|_| "tag")?;
        }
        for tag in tags(fields) {
            idents.tag(secrets, tag).map_err(|_| "tag")?;
        }
        Ok(idents)
    }

    /// Why the request went to the origin.
    pub(super) fn why_forwarded(&self) -> Forward {
        match self.usable.as_deref() {
            None => forward(self.wanted.absence),
            Some(entry) if whole(entry).is_none() => Forward::Partial,
            Some(entry) if entry.is_fresh(self.wanted.hub.now()) => Forward::Request,
            Some(_) => Forward::Stale,
        }
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

/// A stored response that is one, and not a part.
fn whole(entry: &Entry<Kept>) -> Option<&KeptResponse> {
    match &entry.value {
        Kept::Response(kept) => kept.part.is_none().then_some(&**kept),
        Kept::Varies(..) => None,
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
