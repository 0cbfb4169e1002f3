//! The way to the origin: the inner service, and what its answer has to pass to be stored.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use forebay_core::entry::{Entry, Span};
use forebay_core::seek::{Fill, Filling, Marker, Origin, Sharing};
use forebay_core::tag::Idents;
use forebay_policy::age::Times;
use forebay_policy::facts::Fact;
use forebay_policy::freshness::Granted;
use forebay_policy::reason::Reason;
use forebay_policy::status::{CacheStatus, Forwarded, Outcome};
use forebay_policy::storable::{Exchange, Lifetime, Storability, storability, strip_hop_by_hop};
use forebay_policy::target::Target;
use forebay_policy::validate::{CONDITIONAL_FIELDS, Precondition, evaluate};
use forebay_policy::variant::Vary;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, request, response};
use http_body::Body;
use tower_service::Service;

use super::answer::{forward, not_modified};
use super::body::ResponseBody;
use super::key;
use super::said::Said;
use super::scope::{Heard, Scope, Used};
use super::wanted::Wanted;
use crate::axum::matched_path;
use crate::cached::Cached;
use crate::route::{MissingName, Route};
use crate::stored::{CACHE_STATUS, Kept, KeptResponse, MAX_FIELD_BYTES, MAX_FIELDS};
use crate::template::Params;
use crate::variants::{Admission, Variants};

/// A request on its way to the inner service.
pub(super) struct Ask<S, B> {
    wanted: Arc<Wanted>,
    scope: Scope,
    parts: request::Parts,
    body: B,
    inner: S,
}

impl<S, B> Ask<S, B> {
    pub(super) fn new(wanted: Arc<Wanted>, scope: Scope, parts: request::Parts, body: B, inner: S) -> Self {
        Self { wanted, scope, parts, body, inner }
    }

    /// The request and the service, for a request that has to start over.
    pub(super) fn into_parts(self) -> (Arc<Wanted>, Scope, request::Parts, B, S) {
        (self.wanted, self.scope, self.parts, self.body, self.inner)
    }
}

impl<S, B, R> Origin<Kept> for Ask<S, B>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send, Error: Send> + Send + 'static,
    B: Body + Send + 'static,
    R: Body<Data: Send, Error: Send> + Send + 'static,
{
    type Reply = Result<Response<ResponseBody<R>>, S::Error>;

    async fn ask(self, _: Option<Arc<Entry<Kept>>>) -> (Self::Reply, Filling<Kept>) {
        let Self { wanted, scope, mut parts, body, mut inner } = self;
        let judge = Judge::before(wanted, scope, &mut parts);
        let answer = match inner.call(Request::from_parts(parts, body)).await {
            Ok(answer) => answer,
            Err(error) => return (Err(error), Filling::Unstorable),
        };
        let (mut head, body) = answer.into_parts();
        match judge.verdict(&mut head, body.size_hint().lower()) {
            Verdict::Store(plan) => {
                let (body, whole) = ResponseBody::tee(body, judge.wanted.hub.max_body);
                let reply = judge.reply(head, body, Some(plan.lifetime), plan.lifetime.source.as_str());
                (Ok(reply), Filling::Storable(Box::pin(plan.carry_out(whole))))
            }
            Verdict::Pass(reason) => {
                let reply = judge.reply(head, ResponseBody::inner(body), None, reason);
                (Ok(reply), Filling::Unstorable)
            }
            Verdict::LookAgain => {
                let reply = judge.reply(head, ResponseBody::inner(body), None, "learning");
                (Ok(reply), Filling::LookAgain)
            }
        }
    }
}

/// What becomes of an answer.
enum Verdict {
    Store(Box<Plan>),
    Pass(&'static str),
    /// It has told how the key is made; it is neither stored nor shared itself.
    LookAgain,
}

/// What is known of a request when its answer comes.
struct Judge {
    wanted: Arc<Wanted>,
    scope: Scope,
    said: Said,
    path: Option<Box<str>>,
    params: Params,
    requested: SystemTime,
    /// The client's conditions were taken out of the request, and are evaluated on the answer.
    conditions: bool,
}

impl Judge {
    /// Notes what the inner service will not give back, and prepares the request for it.
    fn before(wanted: Arc<Wanted>, scope: Scope, parts: &mut request::Parts) -> Self {
        let said = Said::listening();
        scope.mark(parts, wanted.known, said.clone());
        let conditions = wanted.sharing != Sharing::Solo && wanted.facts.has(Fact::Conditional);
        if conditions {
            // With them the origin could answer 304, and there would be nothing to store.
            CONDITIONAL_FIELDS.iter().for_each(|name| drop(parts.headers.remove(name)));
        }
        Self {
            said,
            path: matched_path(parts).map(Into::into),
            params: scope.params(parts),
            requested: wanted.hub.tiers.instance().settings().clock.wall(),
            conditions,
            wanted,
            scope,
        }
    }

    /// Whether the answer is stored, and how.
    fn verdict(&self, head: &mut response::Parts, at_least: u64) -> Verdict {
        let Wanted { known, route, partition, .. } = &*self.wanted;
        let used = Used { known: *known, route, partition };
        let route = match self.scope.hear(used, self.path.as_deref(), self.said.take()) {
            Heard::Route(route) => route,
            Heard::LookAgain => return Verdict::LookAgain,
            Heard::Refused(reason) => return Verdict::Pass(reason),
        };
        if at_least > self.wanted.hub.max_body as u64 {
            return Verdict::Pass("too-large");
        }
        if is_event_stream(&head.headers) {
            return Verdict::Pass("event-stream");
        }
        let cached = head.extensions.remove::<Cached>().unwrap_or_default();
        if let Some(error) = &cached.error {
            self.wanted.hub.report(error.to_string());
            return Verdict::Pass("annotation");
        }
        self.plan(&route, head, cached).map_or_else(Verdict::Pass, |plan| Verdict::Store(Box::new(plan)))
    }

    fn plan(&self, route: &Route, head: &response::Parts, cached: Cached) -> Result<Plan, &'static str> {
        let (wanted, hub) = (&*self.wanted, &*self.wanted.hub);
        let received = hub.tiers.instance().settings().clock.wall();
        let exchange = Exchange {
            method: &wanted.method,
            request: &wanted.headers,
            status: head.status,
            response: &head.headers,
            times: Times { requested: self.requested, received },
            target: Target { scheme: None, authority: &wanted.authority, path: &wanted.target },
        };
        let granted = Granted { handler: cached.ttl, route: route.ttl, ..Granted::default() };
        let lifetime = match storability(&exchange, granted, wanted.credentials, &hub.policy) {
            // What has to be validated before its first use is of none yet.
            Storability::Storable(lifetime) if lifetime.freshness <= lifetime.initial_age => {
                return Err(Reason::Expired.as_str());
            }
            Storability::Storable(lifetime) => lifetime,
            Storability::Unstorable(reason) => return Err(reason.as_str()),
            _ => return Err("unknown"),
        };
        let vary = Vary::parse(&head.headers, &route.vary_allow).map_err(|reason| reason.as_str())?;
        let size: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if head.headers.len() > MAX_FIELDS || size > MAX_FIELD_BYTES {
            return Err("fields-too-large");
        }
        let canonical = match vary.is_empty() {
            true => wanted.canonical.clone(),
            false => key::variant(&wanted.canonical, &vary, &wanted.headers).map_err(|_| "key-too-long")?,
        };
        let mut fields = head.headers.clone();
        strip_hop_by_hop(&mut fields);
        if !fields.contains_key(DATE) {
            //= https://www.rfc-editor.org/rfc/rfc9110#section-6.6.1
            //# A recipient with a clock that receives a response message without a Date header field MUST record
            //# the time it was received and append a corresponding Date header field to the message's header
            //# section if it is cached or forwarded downstream.
            fields.extend(HeaderValue::try_from(httpdate::fmt_http_date(received)).map(|date| (DATE, date)));
        }
        let idents = self.idents(route, &cached)?;
        let expected = content_length(&head.headers)?;
        let variants = match vary.is_empty() {
            true => Variants::default(),
            false => self.admitted(&canonical, lifetime)?,
        };
        let (wanted, status) = (Arc::clone(&self.wanted), head.status);
        Ok(Plan { wanted, lifetime, canonical, vary, variants, status, fields, expected, idents })
    }

    /// The list of the URL's variants, with a place for this one.
    fn admitted(&self, variant: &[u8], lifetime: Lifetime) -> Result<Variants, &'static str> {
        let tiers = &self.wanted.hub.tiers;
        let settings = tiers.instance().settings();
        let (now, key) = (settings.clock.now(), |canonical| settings.secrets.key(canonical));
        let marker = tiers.l1().get(&key(&self.wanted.canonical));
        let variants = match marker.as_deref().map(|marker| &marker.value) {
            Some(Kept::Varies(_, variants)) => variants.clone(),
            _ => Variants::default(),
        };
        let remaining = lifetime.freshness.saturating_sub(lifetime.initial_age);
        match variants.admit(key(variant), now, now.after(remaining)) {
            Admission::Admitted => Ok(variants),
            Admission::Full => Err("too-many-variants"),
        }
    }

    /// What invalidates the answer: its URL, its path and prefixes, the tags of its route and its own.
    fn idents(&self, route: &Route, cached: &Cached) -> Result<Idents, &'static str> {
        let hub = &self.wanted.hub;
        let secrets = &hub.tiers.instance().settings().secrets;
        let tags = route.tags(&self.params).map_err(|missing| {
            let MissingName { template, name } = missing;
            hub.report(format!("tag template {template:?}: the request's path has no parameter `{name}`"));
            "tag-template"
        })?;
        let mut idents = self.wanted.url_idents().map_err(|_| "path-too-deep")?;
        for tag in tags.iter().chain(&cached.tags) {
            idents.tag(secrets, tag).map_err(|error| {
                hub.report(error.to_string());
                "tag"
            })?;
        }
        Ok(idents)
    }

    /// The answer as the client gets it.
    fn reply<R: Body>(
        &self,
        mut head: response::Parts,
        body: ResponseBody<R>,
        stored: Option<Lifetime>,
        detail: &'static str,
    ) -> Response<ResponseBody<R>> {
        if let Some(name) = &self.wanted.hub.name {
            let reason = forward(self.wanted.absence);
            let outcome =
                Outcome::Forwarded(Forwarded { stored: stored.is_some(), ..Forwarded::because(reason) });
            let ttl = stored
                .map(|lifetime| lifetime.freshness.as_secs().saturating_sub(lifetime.initial_age.as_secs()));
            let ttl = ttl.and_then(|ttl| i64::try_from(ttl).ok());
            let status = CacheStatus { name, outcome, ttl, detail: Some(detail) }.to_header_value();
            head.headers.append(CACHE_STATUS, status);
        }
        let received = self.wanted.hub.tiers.instance().settings().clock.wall();
        let (method, request) = (&self.wanted.method, &self.wanted.headers);
        if self.conditions
            && evaluate(method, request, head.status, &head.headers, received) == Precondition::NotModified
        {
            // The body, if it is stored, is collected all the same.
            return not_modified(&head.headers);
        }
        Response::from_parts(head, body)
    }
}

/// How an answer is stored once it has arrived.
struct Plan {
    wanted: Arc<Wanted>,
    lifetime: Lifetime,
    canonical: Box<[u8]>,
    vary: Vary,
    variants: Variants,
    status: StatusCode,
    fields: HeaderMap,
    expected: Option<u64>,
    idents: Idents,
}

impl Plan {
    async fn carry_out(self: Box<Self>, whole: impl Future<Output = Option<Bytes>>) -> Vec<Fill<Kept>> {
        self.fill(whole).await.into_iter().collect()
    }

    async fn fill(self: Box<Self>, whole: impl Future<Output = Option<Bytes>>) -> Option<Fill<Kept>> {
        let clock = &self.wanted.hub.tiers.instance().settings().clock;
        let born = clock.now().before(self.lifetime.initial_age);
        let body = whole.await?;
        //= https://www.rfc-editor.org/rfc/rfc9111#section-3.3
        //# A cache MUST NOT use an incomplete response to answer requests unless the response has been made complete,
        if self.expected.is_some_and(|expected| expected != body.len() as u64) {
            return None;
        }
        let marker = (!self.vary.is_empty()).then(|| Marker {
            value: Kept::Varies(self.vary.clone(), self.variants.clone()),
            canonical: self.wanted.canonical.clone(),
        });
        let kept = KeptResponse::new(self.status, &self.fields, body, self.lifetime, self.vary);
        Some(Fill {
            value: Kept::Response(Box::new(kept)),
            canonical: self.canonical,
            marker,
            idents: self.idents,
            span: Span { born, lifetime: self.lifetime.freshness, keep: std::time::Duration::ZERO },
            basis: None,
        })
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
