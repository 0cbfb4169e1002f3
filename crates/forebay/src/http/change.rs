//! Requests that may change something: what they have changed is invalidated, and the answer may be an entry itself.

use std::borrow::Cow;
use std::sync::Arc;

use forebay_core::instance::Receipt;
use forebay_core::key::KeyEncoder;
use forebay_core::seen::Seen;
use forebay_core::tag::Target;
use forebay_core::tiers::{Absence, Before};
use forebay_policy::facts::RequestFacts;
use forebay_policy::groups::invalidated_groups;
use forebay_policy::invalidate::{Invalidation, also_invalidated, invalidation};
use forebay_policy::profile::Post;
use forebay_policy::reuse::{Forward, Lookup};
use forebay_policy::target::Target as Uri;
use http::header::HOST;
use http::uri::Scheme;
use http::{Method, Response, request, response};
use http_body::Body;
use tracing::Instrument;

use super::answer::{Note, passed};
use super::asked::Asked;
use super::body::ResponseBody;
use super::judge::Judge;
use super::key;
use super::said::Said;
use super::scope::{Known, Scope};
use super::token;
use super::verdict::Verdict;
use crate::hub::Hub;
use crate::route::{Mode, Route};

/// A request that may change something.
pub(super) struct Unsafe {
    method: Method,
    /// Where it is known: from the target, or from whoever in front of the layer knows it.
    scheme: Option<Scheme>,
    authority: Box<str>,
    /// Path and query.
    target: Box<str>,
    /// What its client has seen of its earlier changes.
    seen: Option<Seen>,
    /// Set where the answer may be stored as one to GET, and what that rests on.
    stored: Option<(Judge, Before)>,
}

impl Unsafe {
    /// Notes what the request is for, and marks it for the layers inside.
    pub(super) fn of(
        scope: &Scope,
        route: &Arc<Route>,
        known: Known,
        facts: RequestFacts,
        parts: &mut request::Parts,
    ) -> Self {
        let hub = &scope.hub;
        let host = parts.headers.get(HOST);
        let authority = key::authority(hub, &parts.uri, host).unwrap_or_default();
        let authority = String::from_utf8_lossy(authority).into();
        let target = key::target(parts, None);
        let wanted = match hub.policy.post {
            // Where the key leaves out a part of the query, what the POST names is not what a GET would find.
            Post::Store
                if parts.method == Method::POST && route.mode != Mode::Off && route.query.is_none() =>
            {
                let mut asked = Asked::new(scope, route, known, facts, Lookup::Fill);
                let mut canonical = KeyEncoder::new();
                let keyed = asked.make_key(parts, host, &mut canonical);
                keyed.is_ok().then(|| asked.to_wanted(parts, canonical.bytes(), Absence::Unknown))
            }
            _ => None,
        };
        let stored = match wanted {
            Some(wanted) => {
                let before = hub.tiers.before_change(&wanted.canonical);
                Some((Judge::before(Arc::new(wanted), scope.clone(), parts, None), before))
            }
            None => {
                scope.mark(parts, known, Said::default());
                None
            }
        };
        let scheme = parts.uri.scheme().or_else(|| parts.extensions.get()).cloned();
        let seen = token::seen(hub, &parts.headers);
        Self { method: parts.method.clone(), scheme, authority, target, seen, stored }
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
    let Unsafe { method, scheme, authority, target, seen, stored } = request;
    let (mut head, body) = answer.into_parts();
    let inside = token::take(hub, &mut head.headers);
    let uri = Uri { scheme: scheme.as_ref().map(Scheme::as_str), authority: &authority, path: &target };
    let changed = invalidate(hub, &method, uri, &head).await;
    let told = changed.clone();
    let mut reply = stored_or_passed(hub, stored, changed, head, body);
    token::tell(hub, reply.headers_mut(), told.as_ref(), inside, seen.as_ref());
    reply
}

/// The answer, which is stored as one to GET where it may be.
fn stored_or_passed<R>(
    hub: &Hub,
    stored: Option<(Judge, Before)>,
    changed: Option<Receipt>,
    mut head: response::Parts,
    body: R,
) -> Response<ResponseBody<R>>
where
    R: Body<Data: Send, Error: Send> + Send + 'static,
{
    let note = Note { forward: Forward::Method, detail: "method" };
    let (Some((judge, before)), Some(receipt)) = (stored, changed) else {
        return passed(hub, Response::from_parts(head, body), note);
    };
    match judge.verdict(&mut head, body.size_hint().lower()) {
        Verdict::Store(plan) => {
            let (body, whole) = ResponseBody::tee(body, hub.max_body, hub.room.share());
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
async fn invalidate(hub: &Hub, method: &Method, uri: Uri<'_>, answer: &response::Parts) -> Option<Receipt> {
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.4
    //# A cache MUST invalidate the target URI (Section 7.1 of [HTTP]) when it receives a non-error
    //# status code in response to an unsafe request method (including methods whose safety is
    //# unknown).
    if invalidation(method, answer.status) != Invalidation::Required {
        return None;
    }
    let fields = &answer.headers;
    let path = |target: &str| Target::Path(target.split('?').next().unwrap_or_default().to_owned());
    let mut targets = vec![path(uri.path)];
    targets.extend(also_invalidated(uri, fields).map(|target| path(&target)));
    let group =
        |name: Cow<'_, str>| Target::Group { authority: uri.authority.to_owned(), name: name.into_owned() };
    targets.extend(invalidated_groups(method, fields).into_iter().map(group));
    // Unconfirmed is queued, and a path that cannot be named was never stored.
    hub.tiers.instance().invalidate(targets).await.ok()
}
