//! One request and its answer, from top to bottom.
//!
//! [`begin`] does what can be done at once: gate, key, L1. [`fetch`] does the rest, with [`Ask`] as its way to the origin.

use std::borrow::Cow;
use std::sync::Arc;

use forebay_core::entry::Entry;
use forebay_core::event::Tier;
use forebay_core::fetch::{self, lookup_l1};
use forebay_core::instance::Receipt;
use forebay_core::key::KeyEncoder;
use forebay_core::seek::Sharing;
use forebay_core::tag::Target;
use forebay_core::tiers::{Absence, Before, Fetched, Probe, Refreshing, Synced};
use forebay_core::time::Moment;
use forebay_policy::credentials::Credentials;
use forebay_policy::directives::RequestDirectives;
use forebay_policy::facts::RequestFacts;
use forebay_policy::groups::invalidated_groups;
use forebay_policy::invalidate::{Invalidation, also_invalidated, invalidation};
use forebay_policy::profile::Post;
use forebay_policy::reuse::{Body as Content, Forward, Gate, Lookup, gate, heard};
use forebay_policy::status::{Collapsed, Forwarded, Outcome};
use forebay_policy::target::Target as Uri;
use http::{HeaderMap, Method, Request, Response, request, response};
use http_body::Body;
use tower_service::Service;
use tracing::Instrument;

use super::answer::{L1_HIT, Note, absence_str, forward, instead_of_another, passed, respond};
use super::ask::Ask;
use super::body::ResponseBody;
use super::judge::{Judge, Verdict};
use super::key::{self, Keyless};
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
    let (route, known) = scope.route(parts);
    let facts = RequestFacts::scan(&parts.headers);
    let lookup = match gate(&parts.method, facts, content) {
        Gate::Lookup(lookup) => lookup,
        Gate::Bypass(Forward::Method, _) if !parts.method.is_safe() => {
            return Begun::Unsafe(Box::new(Unsafe::of(scope, &route, known, facts, parts)));
        }
        Gate::Bypass(forward, reason) => return pass(scope, parts, &route, known, forward, reason.as_str()),
        _ => return pass(scope, parts, &route, known, Forward::Bypass, "unknown"),
    };
    if route.off {
        return pass(scope, parts, &route, known, Forward::Bypass, "off");
    }
    let mut canonical = KeyEncoder::new();
    match Asked::new(scope, &route, known, facts, lookup, parts, &mut canonical) {
        Ok(asked) => asked.look(parts, canonical.bytes()),
        Err(keyless) => pass(scope, parts, &route, known, Forward::Bypass, keyless.as_str()),
    }
}

/// A request that has a key.
struct Asked<'a> {
    scope: &'a Scope,
    route: &'a Arc<Route>,
    known: Known,
    facts: RequestFacts,
    lookup: Lookup,
    filtered: Option<String>,
    partition: Partition,
    credentials: Credentials,
    client: Option<RequestDirectives>,
}

impl<'a> Asked<'a> {
    /// Makes the key of a request. Takes out of its query what the route does not want there.
    #[inline]
    fn new(
        scope: &'a Scope,
        route: &'a Arc<Route>,
        known: Known,
        facts: RequestFacts,
        lookup: Lookup,
        parts: &mut request::Parts,
        canonical: &mut KeyEncoder,
    ) -> Result<Self, Keyless> {
        let hub = &*scope.hub;
        let filtered = route.query.as_ref().and_then(|names| key::filtered(&parts.uri, names));
        if let (Some(query), Known::Own | Known::Ruled) = (&filtered, known) {
            // An annotated route inside does that itself: only there it is certain which one the request has come to.
            rewrite(parts, query);
        }
        let partition = key::primary(canonical, hub, route, facts, parts, filtered.as_deref())?;
        let credentials = credentials(hub, route, &partition, facts, &parts.headers);
        let client = heard(facts, &parts.headers, &hub.policy);
        Ok(Self { scope, route, known, facts, lookup, filtered, partition, credentials, client })
    }

    /// Looks into L1.
    #[inline]
    fn look<B: Body>(self, parts: &request::Parts, canonical: &[u8]) -> Begun<B> {
        let (hub, facts) = (&*self.scope.hub, self.facts);
        let now = hub.now();
        let seeker = Seeking {
            canonical,
            headers: &parts.headers,
            credentials: self.credentials,
            facts,
            client: self.client.as_ref(),
            lookup: self.lookup,
        };
        let (variant, usage) = (|value: &_| seeker.variant(value), |entry: &_, now| seeker.usage(entry, now));
        let probe = lookup_l1(&hub.tiers, canonical, now, variant, usage);
        let answered = |entry: &_, synced| {
            let client = Client { method: &parts.method, headers: &parts.headers, facts };
            hit(hub, self.route, entry, client, synced, now)
        };
        match probe {
            Probe::Hit(entry, synced) => Begun::Answer(answered(&entry, synced)),
            Probe::Refresh(entry, synced) => {
                let answer = answered(&entry, synced);
                let wanted = Box::new(self.into_wanted(parts, canonical, Absence::Stale));
                match wanted.hub.tiers.lead_refresh(&*wanted, &entry) {
                    Some(refreshing) => {
                        Begun::Refresh(answer, Box::new(Refresh { wanted, refreshing, entry }))
                    }
                    // It is being fetched already.
                    None => Begun::Answer(answer),
                }
            }
            Probe::Miss(absence) => Begun::Fetch(Box::new(self.into_wanted(parts, canonical, absence))),
        }
    }

    /// What the request is looking for, to be taken along.
    fn into_wanted(self, parts: &request::Parts, canonical: &[u8], absence: Absence) -> Wanted {
        let Self { scope, route, known, facts, lookup, filtered, partition, credentials, client } = self;
        let hub = &scope.hub;
        Wanted {
            hub: Arc::clone(hub),
            canonical: canonical.into(),
            method: parts.method.clone(),
            headers: parts.headers.clone(),
            authority: String::from_utf8_lossy(key::authority(hub, parts).unwrap_or_default()).into(),
            target: key::target(parts, filtered.as_deref()),
            credentials,
            facts,
            client,
            lookup,
            sharing: sharing(route, lookup, credentials, absence, Outer::depth_under(parts, hub.id)),
            route: Arc::clone(route),
            partition,
            known,
            absence,
            restarts: 0,
        }
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
    /// Set where the answer may be stored as one to GET, and what that rests on.
    stored: Option<(Judge, Before)>,
}

impl Unsafe {
    /// Notes what the request is for, and marks it for the layers inside.
    fn of(
        scope: &Scope,
        route: &Arc<Route>,
        known: Known,
        facts: RequestFacts,
        parts: &mut request::Parts,
    ) -> Self {
        let hub = &scope.hub;
        let authority = key::authority(hub, parts).unwrap_or_default();
        let authority = String::from_utf8_lossy(authority).into();
        let target = key::target(parts, None);
        let wanted = match hub.policy.post {
            Post::Store if parts.method == Method::POST && !route.off => {
                let mut canonical = KeyEncoder::new();
                let asked = Asked::new(scope, route, known, facts, Lookup::Fill, parts, &mut canonical);
                asked.ok().map(|asked| asked.into_wanted(parts, canonical.bytes(), Absence::Unknown))
            }
            _ => None,
        };
        let stored = match wanted {
            Some(wanted) => {
                let before = hub.tiers.before_change();
                Some((Judge::before(Arc::new(wanted), scope.clone(), parts, None), before))
            }
            None => {
                scope.mark(parts, known, Said::default());
                None
            }
        };
        Self { method: parts.method.clone(), authority, target, stored }
    }
}

/// Answers a request that may have changed something. What it has changed is invalidated before its client hears of it: its
/// own URL, those that the answer names, and the groups that it names.
pub(super) async fn after_unsafe<R>(
    hub: &Hub,
    request: Unsafe,
    answer: Response<R>,
) -> Response<ResponseBody<R>>
where
    R: Body<Data: Send, Error: Send> + Send + 'static,
{
    let Unsafe { method, authority, target, stored } = request;
    let (mut head, body) = answer.into_parts();
    let changed = invalidate(hub, &method, (&*authority, &*target), &head).await;
    let note = Note { forward: Forward::Method, detail: "method" };
    let (Some((judge, before)), Some(receipt)) = (stored, changed) else {
        return passed(hub, Response::from_parts(head, body), note);
    };
    match judge.verdict(&mut head, body.size_hint().lower()) {
        Verdict::Store(plan) => {
            let (body, whole) = ResponseBody::tee(body, hub.max_body);
            let reply = judge.reply(head, body, Some(plan.lifetime), plan.lifetime.source.as_str());
            let tiers = Arc::clone(&hub.tiers);
            let fill = async move { tiers.fill_after(before, receipt, plan.carry_out(whole)).await };
            tokio::spawn(fill.in_current_span());
            reply
        }
        _ => passed(hub, Response::from_parts(head, body), note),
    }
}

/// Invalidates what a successful answer says has changed. `None` where nothing has, or where L2 has not confirmed it.
async fn invalidate(
    hub: &Hub,
    method: &Method,
    (authority, target): (&str, &str),
    answer: &response::Parts,
) -> Option<Receipt> {
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.4
    //# A cache MUST invalidate the target URI (Section 7.1 of [HTTP]) when it receives a non-error
    //# status code in response to an unsafe request method (including methods whose safety is
    //# unknown).
    if invalidation(method, answer.status) != Invalidation::Required {
        return None;
    }
    let fields = &answer.headers;
    let path = |target: &str| Target::Path(target.split('?').next().unwrap_or_default().to_owned());
    let mut targets = vec![path(target)];
    let uri = Uri { scheme: None, authority, path: target };
    targets.extend(also_invalidated(uri, fields).map(|target| path(&target)));
    let group =
        |name: Cow<'_, str>| Target::Group { authority: authority.to_owned(), name: name.into_owned() };
    targets.extend(invalidated_groups(method, fields).into_iter().map(group));
    // Unconfirmed is queued, and a path that cannot be named was never stored.
    hub.tiers.instance().invalidate(targets).await.ok()
}
