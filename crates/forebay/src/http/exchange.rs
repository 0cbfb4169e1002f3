//! One request and its answer, from top to bottom.
//!
//! [`begin`] does what can be done at once: gate, key, L1. [`fetch`] does the rest, with [`Ask`] as its way to the origin.

use std::borrow::Cow;
use std::sync::Arc;

use forebay_core::entry::Entry;
use forebay_core::event::Tier;
use forebay_core::fetch::{self, lookup_l1};
use forebay_core::key::KeyEncoder;
use forebay_core::seek::Sharing;
use forebay_core::tag::Target;
use forebay_core::tiers::{Absence, Fetched, Probe, Refreshing, Synced};
use forebay_core::time::Moment;
use forebay_policy::credentials::Credentials;
use forebay_policy::facts::RequestFacts;
use forebay_policy::groups::invalidated_groups;
use forebay_policy::invalidate::{Invalidation, also_invalidated, invalidation};
use forebay_policy::reuse::{Body as Content, Forward, Gate, Lookup, gate, heard};
use forebay_policy::status::{Collapsed, Forwarded, Outcome};
use forebay_policy::target::Target as Uri;
use http::{HeaderMap, Method, Request, Response, StatusCode, request};
use http_body::Body;
use tower_service::Service;
use tracing::Instrument;

use super::answer::{L1_HIT, Note, absence_str, forward, instead_of_another, passed, respond};
use super::ask::Ask;
use super::body::ResponseBody;
use super::key;
use super::said::{Outer, Said};
use super::scope::{Known, Scope};
use super::wanted::{Client, Seeking, Wanted};
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
    Unsafe(Box<Unsafe>),
    /// The answer, from L1, which is to be fetched anew beside that.
    Refresh(Response<ResponseBody<B>>, Box<Refresh>),
    /// L1 cannot answer it.
    Fetch(Box<Wanted>),
}

/// Gate, key, L1. Synchronous; on a hit the request is not touched and the inner service is not called.
pub(super) fn begin<B: Body>(scope: &Scope, parts: &mut request::Parts, content: Content) -> Begun<B> {
    let hub = &*scope.hub;
    let (route, known) = scope.route(parts);
    let facts = RequestFacts::scan(&parts.headers);
    let lookup = match gate(&parts.method, facts, content) {
        Gate::Lookup(lookup) => lookup,
        Gate::Bypass(Forward::Method, _) if !parts.method.is_safe() => {
            scope.mark(parts, known, Said::default());
            return Begun::Unsafe(Box::new(Unsafe::of(hub, parts)));
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
    let client = heard(facts, &parts.headers, &hub.policy);
    let now = hub.now();
    let (canonical, headers) = (canonical.bytes(), &parts.headers);
    let seeker = Seeking { canonical, headers, credentials, facts, client: client.as_ref(), lookup };
    let (variant, usage) = (|value: &_| seeker.variant(value), |entry: &_, now| seeker.usage(entry, now));
    let probe = lookup_l1(&hub.tiers, canonical, now, variant, usage);
    let answered = |entry: &_, synced| {
        let client = Client { method: &parts.method, headers: &parts.headers, facts };
        hit(hub, &route, entry, client, synced, now)
    };
    let (absence, answer) = match probe {
        Probe::Hit(entry, synced) => return Begun::Answer(answered(&entry, synced)),
        Probe::Refresh(entry, synced) => (Absence::Stale, Some((answered(&entry, synced), entry))),
        Probe::Miss(absence) => (absence, None),
    };
    let wanted = Box::new(Wanted {
        hub: Arc::clone(&scope.hub),
        canonical: canonical.into(),
        method: parts.method.clone(),
        headers: parts.headers.clone(),
        authority: String::from_utf8_lossy(key::authority(hub, parts).unwrap_or_default()).into(),
        target: key::target(parts, filtered),
        credentials,
        facts,
        client,
        lookup,
        sharing: sharing(&route, lookup, credentials, absence, Outer::depth_under(parts, hub.id)),
        route: Arc::clone(&route),
        partition,
        known,
        absence,
        restarts: 0,
    });
    match answer {
        None => Begun::Fetch(wanted),
        Some((answer, entry)) => match hub.tiers.lead_refresh(&*wanted, &entry) {
            Some(refreshing) => Begun::Refresh(answer, Box::new(Refresh { wanted, refreshing, entry })),
            // It is being fetched already.
            None => Begun::Answer(answer),
        },
    }
}

/// A stale entry that answers and is to be fetched anew.
pub(super) struct Refresh {
    wanted: Box<Wanted>,
    refreshing: Refreshing<Kept>,
    entry: Arc<Entry<Kept>>,
}

/// Fetches anew what is being served, on a task of its own.
pub(super) fn refresh<S, B, R>(scope: Scope, refresh: Refresh, parts: request::Parts, body: B, inner: S)
where
    S: Service<Request<B>, Response = Response<R>, Future: Send, Error: Send> + Send + 'static,
    B: Body + Send + 'static,
    R: Body<Data: Send, Error: Send> + Send + 'static,
{
    let Refresh { wanted, refreshing, entry } = refresh;
    let tiers = Arc::clone(&scope.hub.tiers);
    let origin = Ask::new(Arc::new(*wanted), scope, parts, body, inner);
    let fetched = async move { tiers.refresh(refreshing, entry, origin).await };
    tokio::spawn(fetched.in_current_span());
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
    let detail = match synced {
        Synced::No => "unsynced",
        Synced::Yes if entry.is_fresh(now) => L1_HIT,
        Synced::Yes => "stale",
    };
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
        Fetched::Fallback(entry) => Ok(instead_of_another(&wanted, &entry)),
        Fetched::Cached(entry, tier) => {
            wanted.route.meters.hit(tier, true);
            let now = hub.now();
            let collapsed =
                Forwarded { collapsed: Collapsed::Yes, ..Forwarded::because(forward(wanted.absence)) };
            let outcome = if tier == Tier::Flight { Outcome::Forwarded(collapsed) } else { Outcome::Hit };
            Ok(respond(&hub, &entry, wanted.as_client(), outcome, tier.as_str(), now))
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
        Begun::Refresh(response, _) => Ok(response),
        Begun::Unsafe(_) => Ok(inner.call(Request::from_parts(parts, body)).await?.map(ResponseBody::inner)),
    }
}

/// A request that may change something.
pub(super) struct Unsafe {
    method: Method,
    authority: Box<str>,
    /// Path and query.
    target: Box<str>,
}

impl Unsafe {
    fn of(hub: &Hub, parts: &request::Parts) -> Self {
        let authority = key::authority(hub, parts).unwrap_or_default();
        Self {
            method: parts.method.clone(),
            authority: String::from_utf8_lossy(authority).into(),
            target: key::target(parts, None),
        }
    }
}

/// Invalidates what a successful unsafe request has changed, before its client hears of the success: its own URL, those that
/// the answer names, and the groups that it names.
pub(super) async fn after_unsafe(hub: &Hub, request: &Unsafe, status: StatusCode, fields: &HeaderMap) {
    let Unsafe { method, authority, target } = request;
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.4
    //# A cache MUST invalidate the target URI (Section 7.1 of [HTTP]) when it receives a non-error
    //# status code in response to an unsafe request method (including methods whose safety is
    //# unknown).
    if invalidation(method, status) != Invalidation::Required {
        return;
    }
    let path = |target: &str| Target::Path(target.split('?').next().unwrap_or_default().to_owned());
    let mut targets = vec![path(target)];
    let uri = Uri { scheme: None, authority, path: target };
    targets.extend(also_invalidated(uri, fields).map(|target| path(&target)));
    let group =
        |name: Cow<'_, str>| Target::Group { authority: authority.to_string(), name: name.into_owned() };
    targets.extend(invalidated_groups(method, fields).into_iter().map(group));
    // Unconfirmed is queued, and a path that cannot be named was never stored.
    drop(hub.tiers.instance().invalidate(targets).await);
}
