//! One request and its answer, from top to bottom.
//!
//! [`begin`] does what can be done at once: gate, key, L1. [`fetch`] does the rest, with [`Ask`] as its way to the origin.

use std::sync::Arc;

use forebay_core::entry::Entry;
use forebay_core::event::Tier;
use forebay_core::fetch::{self, lookup_l1};
use forebay_core::key::KeyEncoder;
use forebay_core::seek::Sharing;
use forebay_core::tag::Path;
use forebay_core::tiers::{Absence, Fetched, Probe, Synced};
use forebay_core::time::Moment;
use forebay_policy::credentials::Credentials;
use forebay_policy::facts::RequestFacts;
use forebay_policy::invalidate::{Invalidation, invalidation};
use forebay_policy::reason::Reason;
use forebay_policy::reuse::{Body as Content, Forward, Gate, Lookup, gate};
use forebay_policy::status::{Collapsed, Forwarded, Outcome};
use http::{HeaderMap, Method, Request, Response, StatusCode, request};
use http_body::Body;
use tower_service::Service;

use super::answer::{Client, L1_HIT, Note, absence_str, forward, passed, respond};
use super::ask::Ask;
use super::body::ResponseBody;
use super::key;
use super::said::{Outer, Said};
use super::scope::{Known, Scope};
use super::wanted::{Seeking, Wanted};
use crate::axum::rewrite;
use crate::hub::Hub;
use crate::route::{Cookies, Partition, Route};
use crate::stored::Kept;

/// What can be said of a request before anything is waited for.
pub(super) enum Begun<B: Body> {
    /// The answer, from L1.
    Answer(Response<ResponseBody<B>>),
    /// The cache takes no part in it.
    Pass(Note),
    /// It may change something: what it names is invalidated if it succeeds.
    Unsafe,
    /// L1 cannot answer it.
    Fetch(Box<Wanted>),
}

/// Gate, key, L1. Synchronous; on a hit the request is not touched and the inner service is not called.
pub(super) fn begin<B: Body>(scope: &Scope, parts: &mut request::Parts, content: Content) -> Begun<B> {
    let hub = &*scope.hub;
    let (route, known) = scope.route(parts);
    let facts = RequestFacts::scan(&parts.headers);
    let lookup = match gate(&parts.method, facts, content, &hub.policy) {
        Gate::Lookup(Lookup::Range | Lookup::ReadOnly(Reason::Range)) => {
            return pass(scope, parts, &route, known, Forward::Bypass, Reason::Range.as_str());
        }
        Gate::Lookup(lookup) => lookup,
        Gate::Bypass(Forward::Method, _) if !parts.method.is_safe() => {
            scope.mark(parts, known, Said::default());
            return Begun::Unsafe;
        }
        Gate::Bypass(forward, reason) => return pass(scope, parts, &route, known, forward, reason.as_str()),
        _ => return pass(scope, parts, &route, known, Forward::Bypass, "unknown"),
    };
    if route.off {
        return pass(scope, parts, &route, known, Forward::Bypass, "off");
    }
    let filtered = route.query.as_ref().and_then(|names| key::filtered(&parts.uri, names));
    if let (Some(query), Known::Own | Known::Ruled) = (&filtered, known) {
        // An annotated route inside does that itself: only there it is certain which one the request has come to.
        rewrite(parts, query);
    }
    let filtered = filtered.as_deref();
    let mut canonical = KeyEncoder::new();
    let partition = match key::primary(&mut canonical, hub, &route, facts, parts, filtered) {
        Ok(partition) => partition,
        Err(keyless) => return pass(scope, parts, &route, known, Forward::Bypass, keyless.as_str()),
    };
    let credentials = credentials(hub, &route, &partition, facts, &parts.headers);
    let now = hub.tiers.instance().settings().clock.now();
    let seeker = Seeking { canonical: canonical.bytes(), headers: &parts.headers, credentials };
    let (variant, usage) = (|value: &_| seeker.variant(value), |entry: &_, now| seeker.usage(entry, now));
    match lookup_l1(&hub.tiers, canonical.bytes(), now, variant, usage) {
        Probe::Hit(entry, synced) | Probe::Refresh(entry, synced) => {
            let client = Client { method: &parts.method, headers: &parts.headers, facts };
            Begun::Answer(hit(hub, &route, &entry, client, synced, now))
        }
        Probe::Miss(absence) => Begun::Fetch(Box::new(Wanted {
            hub: Arc::clone(&scope.hub),
            canonical: canonical.bytes().into(),
            method: parts.method.clone(),
            headers: parts.headers.clone(),
            authority: String::from_utf8_lossy(key::authority(hub, parts).unwrap_or_default()).into(),
            target: key::target(parts, filtered),
            credentials,
            facts,
            sharing: sharing(&route, lookup, credentials, absence, Outer::depth_under(parts, hub.id)),
            route: Arc::clone(&route),
            partition,
            known,
            absence,
            restarts: 0,
        })),
    }
}

fn hit<B: Body>(
    hub: &Hub,
    route: &Route,
    entry: &Entry<Kept>,
    client: Client<'_>,
    synced: Synced,
    now: Moment,
) -> Response<ResponseBody<B>> {
    route.meters.hit(Tier::L1, synced == Synced::Yes);
    let detail = if synced == Synced::Yes { L1_HIT } else { "unsynced" };
    respond(hub, entry, client, Outcome::Hit, detail, now)
}

fn pass<B: Body>(
    scope: &Scope,
    parts: &mut request::Parts,
    route: &Route,
    known: Known,
    forward: Forward,
    detail: &'static str,
) -> Begun<B> {
    if route.off || !matches!(known, Known::Own | Known::Unannotated) {
        scope.mark(parts, known, Said::default());
    }
    route.meters.miss(detail);
    Begun::Pass(Note { forward, detail })
}

/// The request's credentials, as far as the route minds them.
fn credentials(
    hub: &Hub,
    route: &Route,
    partition: &Partition,
    facts: RequestFacts,
    headers: &HeaderMap,
) -> Credentials {
    let credentials = Credentials::of(facts, headers, &hub.credentials);
    match (partition, route.cookies) {
        (Partition::Of(_), _) => credentials.partitioned(),
        (_, Cookies::Ignore) => credentials.cookies_ignored(),
        _ => credentials,
    }
}

/// A request whose answer may be its own, or will not be stored, neither leads nor follows. One that an outer layer of this
/// cache waits for does not wait for that layer in turn.
fn sharing(route: &Route, lookup: Lookup, credentials: Credentials, absence: Absence, depth: u8) -> Sharing {
    let own = credentials.authorization() || (credentials.cookie() && route.ttl.is_some());
    match depth {
        _ if lookup != Lookup::Fill || own || absence == Absence::Barred => Sharing::Solo,
        0 => Sharing::Flight,
        1 => Sharing::Nested,
        _ => Sharing::Solo,
    }
}

/// Fetches what L1 could not answer: from L2, from another request's flight, or from the origin.
pub(super) async fn fetch<S, B, R>(
    scope: Scope,
    wanted: Box<Wanted>,
    parts: request::Parts,
    body: B,
    inner: S,
) -> Result<Response<ResponseBody<R>>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send, Error: Send> + Send + 'static,
    B: Body + Send + 'static,
    R: Body<Data: Send, Error: Send> + Send + 'static,
{
    let hub = Arc::clone(&scope.hub);
    let wanted = Arc::new(*wanted);
    let origin = Ask::new(Arc::clone(&wanted), scope, parts, body, inner);
    match fetch::fetch(&hub.tiers, &*wanted, wanted.absence, origin).await {
        Fetched::Origin(answer, absence) => {
            wanted.route.meters.miss(absence_str(absence));
            answer
        }
        Fetched::Fallback(entry) => {
            let now = hub.tiers.instance().settings().clock.now();
            let client = Client { method: &wanted.method, headers: &wanted.headers, facts: wanted.facts };
            Ok(respond(&hub, &entry, client, Outcome::Hit, "stale", now))
        }
        Fetched::Cached(entry, tier) => {
            wanted.route.meters.hit(tier, true);
            let now = hub.tiers.instance().settings().clock.now();
            let collapsed =
                Forwarded { collapsed: Collapsed::Yes, ..Forwarded::because(forward(wanted.absence)) };
            let outcome = if tier == Tier::Flight { Outcome::Forwarded(collapsed) } else { Outcome::Hit };
            let client = Client { method: &wanted.method, headers: &wanted.headers, facts: wanted.facts };
            Ok(respond(&hub, &entry, client, outcome, tier.as_str(), now))
        }
        Fetched::LookAgain(origin) => look_again(origin).await,
    }
}

/// The route has turned out to make its key otherwise: the request starts over, knowing that.
async fn look_again<S, B, R>(origin: Ask<S, B>) -> Result<Response<ResponseBody<R>>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send, Error: Send> + Send + 'static,
    B: Body + Send + 'static,
    R: Body<Data: Send, Error: Send> + Send + 'static,
{
    let (before, scope, mut parts, body, mut inner) = origin.into_parts();
    match begin(&scope, &mut parts, Content::Empty) {
        Begun::Answer(response) => Ok(response),
        Begun::Fetch(mut wanted) => {
            wanted.restarts = before.restarts.saturating_add(1);
            if wanted.restarts > 1 {
                // What was learned does not hold. Nobody is sent round more than that.
                wanted.sharing = Sharing::Solo;
            }
            Box::pin(fetch(scope, wanted, parts, body, inner)).await
        }
        Begun::Pass(note) => {
            let response = inner.call(Request::from_parts(parts, body)).await?;
            Ok(passed(&scope.hub, response, note))
        }
        Begun::Unsafe => Ok(inner.call(Request::from_parts(parts, body)).await?.map(ResponseBody::inner)),
    }
}

/// Invalidates what a successful unsafe request has changed, before its client hears of the success.
pub(super) async fn after_unsafe(hub: &Hub, method: &Method, path: &str, status: StatusCode) {
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.4
    //# A cache MUST invalidate the target URI (Section 7.1 of [HTTP]) when it receives a non-error
    //# status code in response to an unsafe request method (including methods whose safety is
    //# unknown).
    if invalidation(method, status) == Invalidation::Required {
        // Unconfirmed is queued, and a path that cannot be named was never stored.
        drop(hub.tiers.instance().invalidate(Path(path)).await);
    }
}
