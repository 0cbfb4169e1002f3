//! What becomes of the origin's answer: whether it is stored, and in which form the client gets it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use forebay_core::entry::{Early, Entry};
use forebay_core::seek::{Filling, Sharing};
use forebay_core::tag::Idents;
use forebay_core::time::Moment;
use forebay_policy::age::{Times, initial_age};
use forebay_policy::directives::RequestDirectives;
use forebay_policy::facts::Fact;
use forebay_policy::fields::{strip_hop_by_hop, strip_set_cookie};
use forebay_policy::freshness::Granted;
use forebay_policy::groups::{groups, tags};
use forebay_policy::range::ContentRange;
use forebay_policy::reuse::{Failure, Fallback, Forward, Lookup, on_failure, stand_in};
use forebay_policy::storable::{Exchange, Lifetime, Storability, storability};
use forebay_policy::target::Target;
use forebay_policy::update::{conditions, has_validator};
use forebay_policy::validate::CONDITIONAL_FIELDS;
use forebay_policy::variant::Vary;
use forebay_policy::windows::Stale;
use http::header::DATE;
use http::{HeaderMap, HeaderValue, Method, StatusCode, request};

use super::answer::forward;
use super::said::Said;
use super::scope::{Heard, Known, Scope, Used};
use super::wanted::Wanted;
use crate::axum::matched_path;
use crate::cached::Cached;
use crate::labels::MissingName;
use crate::route::Route;
use crate::stored::{Kept, KeptResponse};
use crate::template::Params;
use crate::variants::{Admission, Variants};

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
    /// The same moment, for how long the answer takes.
    asked: Moment,
    /// The client's conditions were taken out of the request, and are evaluated on the answer.
    pub(super) conditions: bool,
    /// What there is, but has to be validated or is only a part.
    pub(super) usable: Option<Arc<Entry<Kept>>>,
    /// The request asks whether that still holds.
    pub(super) validates: bool,
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
        // On a request that may change something they guard the change: they are the service's to judge.
        let stripped = fills && wanted.method.is_safe() && wanted.facts.has(Fact::Conditional);
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
            asked: wanted.hub.now(),
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

    /// What those who wait for this request, or ask next, have of such a failure.
    pub(super) fn failed(&self, stale: Arc<Entry<Kept>>, failure: Failure) -> Filling<Kept> {
        let window = whole(&stale).and_then(|kept| stand_in(&kept.lifetime.windows, failure));
        match window {
            Some(window) if self.fallback_is_shared(&stale, failure) => {
                let until = stale.born.after(stale.fresh_for().saturating_add(window));
                Filling::Failed(stale, until)
            }
            _ => Filling::Lost,
        }
    }

    /// Whether those who wait for this request may settle for that too: not for what its client alone has permitted.
    pub(super) fn fallback_is_shared(&self, entry: &Entry<Kept>, failure: Failure) -> bool {
        self.permits(entry, failure, None)
    }

    fn permits(&self, entry: &Entry<Kept>, failure: Failure, client: Option<&RequestDirectives>) -> bool {
        let age = entry.age(self.wanted.hub.now());
        let stale = |kept: &KeptResponse| on_failure(&kept.lifetime_in(entry), age, failure, client);
        whole(entry).is_some_and(|kept| stale(kept) == Fallback::Stale)
    }

    /// The route that the answer belongs to, as the layers inside have told; else what becomes of the answer.
    pub(super) fn heard(&self) -> Heard {
        let Wanted { known, route, partition, .. } = &*self.wanted;
        self.scope.hear(Used { known: *known, route, partition }, self.path.as_deref(), self.said.take())
    }

    /// The whole response that is at hand, and whether the request asks if it still holds.
    pub(super) fn had(&self) -> Option<(&Entry<Kept>, &KeptResponse)> {
        let entry = self.usable.as_deref()?;
        Some((entry, whole(entry)?))
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
            negative: route.upkeep.negative_ttl,
            stale_while_revalidate: cached.stale_while_revalidate.or(route.stale_while_revalidate),
            stale_if_error: cached.stale_if_error.or(route.stale_if_error),
        };
        let chance = &hub.tiers.instance().settings().chance;
        let jittered = |lifetime| route.upkeep.jittered(lifetime, chance);
        match storability(&exchange, granted, wanted.credentials, &hub.policy) {
            Storability::Storable(lifetime) => Ok((jittered(lifetime), None)),
            Storability::Partial(lifetime) => {
                Ok((jittered(lifetime), Some(ContentRange::of(fields).ok_or("partial-content")?)))
            }
            Storability::Unstorable(reason) => Err(reason.as_str()),
            _ => Err("unknown"),
        }
    }

    /// When an answer whose head is here is fetched anew. Its body may be as slow as the client that reads it, so what it costs is
    /// taken to be what its head has taken.
    pub(super) fn early(&self, route: &Route, lifetime: &Lifetime) -> Early {
        route.upkeep.early(lifetime, self.wanted.hub.now().since(self.asked))
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
    pub(super) fn to_store(&self, received: &HeaderMap) -> HeaderMap {
        let mut fields = received.clone();
        strip_hop_by_hop(&mut fields);
        strip_set_cookie(&mut fields, &self.wanted.hub.policy);
        self.dated(fields)
    }

    /// These fields, with the time of arrival where they have no date.
    pub(super) fn dated(&self, mut fields: HeaderMap) -> HeaderMap {
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
        let marker = tiers.l1().get(&tiers.key(&self.wanted.canonical));
        match marker.as_deref().map(|marker| &marker.value) {
            Some(Kept::Varies(_, variants)) => variants.clone(),
            _ => Variants::default(),
        }
    }

    /// The same, with a place for this one.
    pub(super) fn admitted(&self, variant: &[u8], lifetime: Lifetime) -> Result<Variants, &'static str> {
        let hub = &self.wanted.hub;
        let key = hub.tiers.key(variant).beside(hub.tiers.key(&self.wanted.canonical));
        let variants = self.variants_beside();
        let kept = lifetime.freshness.saturating_add(lifetime.windows.keep);
        let (now, remaining) = (hub.now(), kept.saturating_sub(lifetime.initial_age));
        match variants.admit(key, now, now.after(remaining), hub.limits.variants) {
            Admission::Admitted => Ok(variants),
            Admission::Full => Err("too-many-variants"),
        }
    }

    /// What invalidates the answer: its URL, its path and prefixes, the tags and events of its route and its
    /// handler, and the tags of its fields.
    pub(super) fn idents(
        &self,
        route: &Route,
        cached: &Cached,
        fields: &HeaderMap,
    ) -> Result<Idents, &'static str> {
        let hub = &self.wanted.hub;
        let secrets = &hub.tiers.instance().settings().secrets;
        let routed = route.labels(&self.params).map_err(|missing| {
            let MissingName { template, name } = missing;
            hub.report(format!("template {template:?}: the request's path has no parameter `{name}`"));
            "tag-template"
        })?;
        let mut idents = self.wanted.url_idents().map_err(|_| "path-too-deep")?;
        for label in routed.iter().chain(&cached.labels) {
            idents.target(secrets, label).map_err(|error| {
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
            _ if !self.wanted.method.is_safe() => Forward::Method,
            None => forward(self.wanted.absence),
            Some(entry) if whole(entry).is_none() => Forward::Partial,
            Some(entry) if entry.is_fresh(self.wanted.hub.now()) => Forward::Request,
            Some(_) => Forward::Stale,
        }
    }
}

/// A stored response that is one, and not a part.
fn whole(entry: &Entry<Kept>) -> Option<&KeptResponse> {
    match &entry.value {
        Kept::Response(kept) => kept.part.is_none().then_some(&**kept),
        Kept::Varies(..) => None,
    }
}
