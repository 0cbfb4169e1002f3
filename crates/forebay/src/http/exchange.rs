//! One request and its answer, from top to bottom.
//!
//! [`begin`] does what can be done at once: gate, key, L1. [`fetch`] does the rest, with [`Ask`] as its way to the origin.

use std::sync::Arc;

use forebay_core::entry::{Assurance, Entry};
use forebay_core::event::Tier;
use forebay_core::fetch::{self, lookup_l1};
use forebay_core::key::KeyEncoder;
use forebay_core::seek::Sharing;
use forebay_core::tiers::{Absence, Fetched, Probe, Refreshing, Synced};
use forebay_core::time::Moment;
use forebay_policy::facts::RequestFacts;
use forebay_policy::reuse::{Body as Content, Forward, Gate, gate};
use forebay_policy::status::{Collapsed, Forwarded, Outcome};
use http::header::HOST;
use http::{Request, Response, request};
use http_body::Body;
use tower_service::Service;
use tracing::Instrument;

use super::answer::{L1_HIT, Note, absence_str, forward, instead_of_another, passed, respond, timed_out};
use super::ask::Ask;
use super::asked::Asked;
use super::body::ResponseBody;
use super::change::Unsafe;
use super::said::Said;
use super::scope::{Known, Scope};
use super::token;
use super::wanted::{Client, Wanted};
use crate::hub::Hub;
use crate::route::{Mode, Route};
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
#[inline(always)]
pub(super) fn begin<B: Body>(scope: &Scope, parts: &mut request::Parts, content: Content) -> Begun<B> {
    let (route, known) = scope.route(parts);
    let (facts, host) = RequestFacts::scan_with_host(&parts.headers);
    let lookup = match gate(&parts.method, facts, content) {
        Gate::Lookup(lookup) => lookup,
        Gate::Bypass(Forward::Method, _) if !parts.method.is_safe() => {
            return Begun::Unsafe(Box::new(Unsafe::of(scope, &route, known, facts, parts)));
        }
        Gate::Bypass(forward, reason) => return pass(scope, parts, &route, known, forward, reason.as_str()),
        _ => return pass(scope, parts, &route, known, Forward::Bypass, "unknown"),
    };
    let mut asked = Asked::new(scope, &route, known, facts, lookup);
    if route.mode != Mode::Usual {
        return begin_unusually(&mut asked, parts);
    }
    asked.filter_query(&mut parts.uri, &mut parts.extensions);
    let mut canonical = KeyEncoder::new();
    match asked.make_key(parts, host, &mut canonical) {
        Ok(()) => look(&asked, parts, canonical.bytes()),
        Err(keyless) => pass(scope, parts, &route, known, Forward::Bypass, keyless.as_str()),
    }
}

/// The same on a route whose requests L1 alone may not answer.
#[cold]
fn begin_unusually<B: Body>(asked: &mut Asked<'_>, parts: &mut request::Parts) -> Begun<B> {
    let (scope, route, known) = (asked.scope, asked.route, asked.known);
    if route.mode == Mode::Off {
        return pass(scope, parts, route, known, Forward::Bypass, "off");
    }
    asked.filter_query(&mut parts.uri, &mut parts.extensions);
    let mut canonical = KeyEncoder::new();
    if let Err(keyless) = asked.make_key(parts, parts.headers.get(HOST), &mut canonical) {
        return pass(scope, parts, route, known, Forward::Bypass, keyless.as_str());
    }
    let (canonical, hub) = (canonical.bytes(), &*scope.hub);
    let assurance = match route.mode {
        Mode::Strict => Assurance::Strict,
        _ => token::assurance(hub, &parts.headers),
    };
    if assurance == Assurance::Bounded {
        return look(asked, parts, canonical);
    }
    let seeker = asked.seeking(parts, canonical);
    let (variant, usage) = (|value: &_| seeker.variant(value), |entry: &_, now| seeker.usage(entry, now));
    let absence = match lookup_l1(&hub.tiers, canonical, hub.now(), variant, usage) {
        Probe::Miss(absence) => absence,
        Probe::Hit(..) | Probe::Refresh(..) => Absence::Unattested,
    };
    let wanted = Wanted { assurance, ..asked.to_wanted(parts, canonical, absence) };
    Begun::Fetch(Box::new(wanted))
}

/// Looks into L1.
#[inline(always)]
fn look<B: Body>(asked: &Asked<'_>, parts: &request::Parts, canonical: &[u8]) -> Begun<B> {
    let hub = &*asked.scope.hub;
    let now = hub.now();
    let seeker = asked.seeking(parts, canonical);
    let (variant, usage) = (|value: &_| seeker.variant(value), |entry: &_, now| seeker.usage(entry, now));
    let probe = lookup_l1(&hub.tiers, canonical, now, variant, usage);
    let answered = |entry: &_, synced| {
        let client = Client { method: &parts.method, headers: &parts.headers, facts: asked.facts };
        hit(hub, asked.route, entry, client, synced, now)
    };
    match probe {
        Probe::Hit(entry, synced) => Begun::Answer(answered(&entry, synced)),
        Probe::Refresh(entry, synced) => {
            let answer = answered(&entry, synced);
            let wanted = Box::new(asked.to_wanted(parts, canonical, Absence::Stale));
            match wanted.hub.tiers.lead_refresh(&*wanted, &entry) {
                Some(refreshing) => Begun::Refresh(answer, Box::new(Refresh { wanted, refreshing, entry })),
                // It is being fetched already.
                None => Begun::Answer(answer),
            }
        }
        Probe::Miss(absence) => Begun::Fetch(Box::new(asked.to_wanted(parts, canonical, absence))),
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
    let age = entry.age(now);
    let detail = match synced {
        Synced::No => "unsynced",
        Synced::Yes if entry.is_fresh(now) => L1_HIT,
        Synced::Yes => "stale",
    };
    respond(hub, entry, client, Outcome::Hit, detail, age)
}

fn pass<B: Body>(
    scope: &Scope,
    parts: &mut request::Parts,
    route: &Route,
    known: Known,
    forward: Forward,
    detail: &'static str,
) -> Begun<B> {
    if route.mode == Mode::Off || !matches!(known, Known::Own | Known::Unannotated) {
        scope.mark(parts, known, Said::default());
    }
    route.meters.miss(detail);
    Begun::Pass(Note { forward, detail })
}

/// Fetches what L1 could not answer: from L2, from another request's fetch, or from the origin.
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
        Fetched::Fallback(entry, failing) => Ok(instead_of_another(&wanted, &entry, failing)),
        Fetched::TimedOut => {
            let collapsed = Forwarded::because(forward(wanted.absence));
            Ok(timed_out(&wanted, Forwarded { collapsed: Collapsed::Yes, ..collapsed }))
        }
        Fetched::Cached(entry, tier) => {
            wanted.route.meters.hit(tier, true);
            let now = hub.now();
            let collapsed =
                Forwarded { collapsed: Collapsed::Yes, ..Forwarded::because(forward(wanted.absence)) };
            let outcome = match tier {
                Tier::Flight | Tier::Lease => Outcome::Forwarded(collapsed),
                _ => Outcome::Hit,
            };
            Ok(respond(&hub, &entry, wanted.as_client(), outcome, tier.as_str(), entry.age(now)))
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
