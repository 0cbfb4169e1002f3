//! What a 304, or the answer to a HEAD, does to what is stored.

use std::sync::Arc;
use std::time::Duration;

use forebay_core::entry::{Entry, Span};
use forebay_core::seek::Fill;
use forebay_core::tag::Idents;
use forebay_policy::profile::SetCookie;
use forebay_policy::status::{Forwarded, Outcome};
use forebay_policy::update::{Freshens, HeadEffect, StoredHead, combinable, freshens, head_effect, update};
use forebay_policy::windows::Windows;
use http::header::SET_COOKIE;
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body::Body;

use super::answer::respond_with;
use super::body::ResponseBody;
use super::judge::Judge;
use super::plan::{Piece, joined, kept, marker, span};
use crate::cached::Cached;
use crate::route::Route;
use crate::stored::{Kept, KeptResponse};

/// A stored response that the origin has confirmed.
pub(super) struct Freshened {
    response: KeptResponse,
    age: Duration,
    detail: &'static str,
    fills: Vec<Fill<Kept>>,
    /// What the origin has set for this client, and for nobody else.
    cookies: Vec<HeaderValue>,
}

impl Freshened {
    /// By a 304.
    pub(super) fn by(
        judge: &Judge,
        route: &Route,
        cached: &Cached,
        (entry, kept): (&Entry<Kept>, &KeptResponse),
        head: &Parts,
    ) -> Self {
        let stored = kept.as_received();
        let own = judge.wanted.hub.policy.set_cookie != SetCookie::Store;
        let cookies = head.headers.get_all(SET_COOKIE).iter().filter(|_| own).cloned().collect();
        match freshens(&stored, &head.headers) {
            Freshens::Yes => {}
            // The origin has confirmed what it was asked about, in words that are about something else.
            mismatch => {
                let detail =
                    if let Freshens::No(mismatch) = mismatch { mismatch.as_str() } else { "mismatch" };
                let age = entry.age(judge.wanted.hub.now());
                return Self { response: kept.clone(), age, detail, fills: Vec::new(), cookies };
            }
        }
        let update = Update { judge, route, cached, from: &head.headers };
        let Updated { response, age, stored: fill } = update.of(entry, kept);
        match fill {
            Ok(fill) => {
                let mut fills = vec![fill];
                fills.extend(update.variants_like(entry, &stored));
                Self { response, age, detail: "validated", fills, cookies }
            }
            Err(reason) => Self { response, age, detail: reason, fills: Vec::new(), cookies },
        }
    }

    /// The same, for this request alone.
    pub(super) fn unstored(self, detail: &'static str) -> Self {
        Self { detail, fills: Vec::new(), ..self }
    }

    /// By the answer to a HEAD: what is to be stored anew, updated or marked stale.
    pub(super) fn by_head(
        judge: &Judge,
        route: &Route,
        cached: &Cached,
        (entry, kept): (&Entry<Kept>, &KeptResponse),
        head: &Parts,
    ) -> Vec<Fill<Kept>> {
        let fields = &kept.as_received();
        let stored = match &kept.part {
            None => StoredHead { status: kept.status, fields, length: Some(kept.body.len() as u64) },
            Some(part) => StoredHead { status: StatusCode::OK, fields, length: part.complete },
        };
        match head_effect(stored, head.status, &head.headers) {
            HeadEffect::Freshen => {
                let update = Update { judge, route, cached, from: &head.headers };
                update.of(entry, kept).stored.into_iter().collect()
            }
            HeadEffect::Stale(_) => vec![staled(judge, entry, kept)],
            _ => Vec::new(),
        }
    }

    /// The answer to the request that had the response confirmed, and what is stored of it.
    pub(super) fn into_reply<R: Body>(self, judge: &Judge) -> (Response<ResponseBody<R>>, Vec<Fill<Kept>>) {
        let Self { response, age, detail, fills, cookies } = self;
        let (wanted, reason) = (&judge.wanted, judge.why_forwarded());
        let forwarded =
            Forwarded { status: Some(304), stored: !fills.is_empty(), ..Forwarded::because(reason) };
        let outcome = Outcome::Forwarded(forwarded);
        let mut reply = respond_with(
            &wanted.hub,
            &response,
            (age, response.lifetime.freshness),
            wanted.as_client(),
            outcome,
            detail,
        );
        reply.headers_mut().extend(cookies.into_iter().map(|cookie| (SET_COOKIE, cookie)));
        (reply, fills)
    }
}

/// What another response to the same request says about a stored one.
struct Update<'a> {
    judge: &'a Judge,
    route: &'a Route,
    cached: &'a Cached,
    from: &'a HeaderMap,
}

/// A response with its fields updated, how old it is now, and how it is stored, or why it no longer can be.
struct Updated {
    response: KeptResponse,
    age: Duration,
    stored: Result<Fill<Kept>, &'static str>,
}

impl Update<'_> {
    fn of(&self, entry: &Entry<Kept>, had: &KeptResponse) -> Updated {
        let Self { judge, route, cached, from } = *self;
        let hub = &judge.wanted.hub;
        let fields = update(&had.as_received(), &judge.dated(from.clone()), hub.policy.set_cookie);
        let age = judge.age(&fields);
        // What has named it still does.
        let idents = judge
            .idents(route, cached, &fields)
            .and_then(|idents| joined(&entry.idents, &idents).ok_or("tag"));
        // It is the answer to a GET, whatever confirmed it.
        let good = judge.good(&Method::GET, route, cached, had.status, &fields);
        let vary = judge.vary(route, &fields).and_then(|vary| {
            // Under another key it would be another entry.
            (vary == had.vary).then_some(vary).ok_or("vary-changed")
        });
        let piece = Piece { status: had.status, fields, body: had.body.clone(), part: had.part.clone() };
        match (good, vary, idents) {
            (Ok((lifetime, _)), Ok(vary), Ok(idents)) => {
                let response = kept(hub, piece, lifetime, vary);
                let span = span(hub, lifetime, judge.early(route, &lifetime));
                let stored = Ok(fill(judge, entry, &response, idents, span));
                Updated { response, age, stored }
            }
            (Err(reason), ..) | (_, Err(reason), _) | (.., Err(reason)) => {
                let response = kept(hub, piece, had.lifetime, had.vary.clone());
                Updated { response, age, stored: Err(reason) }
            }
        }
    }

    /// The other answers of the URL that are the same representation.
    fn variants_like(&self, entry: &Entry<Kept>, stored: &HeaderMap) -> Vec<Fill<Kept>> {
        let tiers = &self.judge.wanted.hub.tiers;
        let keys = self.judge.variants_beside().keys(self.judge.wanted.hub.now());
        let others = keys.into_iter().filter_map(|key| tiers.l1().get(&key));
        let others = others.filter(|other| other.canonical != entry.canonical && tiers.is_valid(other));
        others.filter_map(|other| self.same(&other, stored)).collect()
    }

    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.4
    //# If the new response contains one or more strong validators (see Section 8.8.1 of [HTTP]), then
    //# each of those strong validators identifies a selected representation for update.
    fn same(&self, other: &Arc<Entry<Kept>>, stored: &HeaderMap) -> Option<Fill<Kept>> {
        let Kept::Response(kept) = &other.value else { return None };
        let theirs = kept.as_received();
        let same = combinable(stored, &theirs) && freshens(&theirs, self.from) == Freshens::Yes;
        if !same || kept.part.is_some() {
            return None;
        }
        self.of(other, kept).stored.ok()
    }
}

/// A stored response that has to be validated before it answers again.
fn staled(judge: &Judge, entry: &Entry<Kept>, had: &KeptResponse) -> Fill<Kept> {
    let mut response = had.clone();
    response.lifetime.freshness = Duration::ZERO;
    response.lifetime.windows = Windows::default();
    response.lifetime.windows.keep = had.lifetime.windows.keep;
    // However short it is kept: it has to take the place of what stands in L2.
    let keep = had.lifetime.windows.keep.max(Duration::from_secs(1));
    let span = Span { born: judge.wanted.hub.now(), keep, ..Span::default() };
    fill(judge, entry, &response, Idents::of(&entry.idents), span)
}

/// A response that takes the place of the one it was made from.
fn fill(
    judge: &Judge,
    entry: &Entry<Kept>,
    response: &KeptResponse,
    idents: Idents,
    span: Span,
) -> Fill<Kept> {
    let wanted = &judge.wanted;
    // One that is there already keeps its place.
    let variants =
        judge.admitted(&entry.canonical, response.lifetime).unwrap_or_else(|_| judge.variants_beside());
    Fill {
        value: Kept::Response(Box::new(response.clone())),
        canonical: entry.canonical.clone(),
        marker: marker(wanted, &response.vary, variants),
        idents,
        span,
        basis: Some(entry.stamp),
        held: None,
    }
}
