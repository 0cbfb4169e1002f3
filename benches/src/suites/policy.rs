//! `policy`: what HTTP permits, judged: a response that has arrived, and a request that a stored response may answer.

use std::fmt::{self, Debug};
use std::hint::black_box;
use std::time::{Duration, SystemTime};

use forebay_policy::age::Times;
use forebay_policy::credentials::{CredentialFields, Credentials};
use forebay_policy::facts::RequestFacts;
use forebay_policy::freshness::Granted;
use forebay_policy::profile::Policy;
use forebay_policy::reuse::{Body, Failure, gate, heard, on_failure, reuse};
use forebay_policy::storable::{Exchange, Lifetime, Storability, storability};
use forebay_policy::target::Target;
use forebay_policy::variant::{Vary, VaryAllow};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::runner::{self, Contestant};
use crate::suites::Options;
use crate::table::{Table, grouped};

/// A judgement, made as often as one wants.
pub struct Judgement {
    /// What is judged, and by whom.
    pub name: &'static str,
    run: Box<dyn FnMut(u32)>,
}

impl Judgement {
    fn new(name: &'static str, run: impl FnMut(u32) + 'static) -> Self {
        Self { name, run: Box::new(run) }
    }

    /// Makes it so many times.
    pub fn repeat(&mut self, times: u32) {
        (self.run)(times);
    }
}

impl Debug for Judgement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Judgement").field("name", &self.name).finish_non_exhaustive()
    }
}

/// All judgements, those of one kind next to each other.
pub fn judgements() -> Vec<Judgement> {
    let mut all = vec![
        Judgement::new("store: origin profile", store(Policy::origin())),
        Judgement::new("store: proxy profile", store(Policy::proxy())),
    ];
    #[cfg(feature = "semantics")]
    all.push(Judgement::new("store: http-cache-semantics 3", peer::store()));
    all.extend([
        Judgement::new("reuse: origin profile", answer(Policy::origin())),
        Judgement::new("reuse: proxy profile", answer(Policy::proxy())),
        Judgement::new("fall back on what is stale", fall_back(Policy::proxy())),
    ]);
    #[cfg(feature = "semantics")]
    all.extend([
        Judgement::new("reuse: http-cache-semantics 3, is_stale alone", peer::is_stale()),
        Judgement::new("reuse: http-cache-semantics 3, before_request", peer::before_request()),
    ]);
    all
}

pub(super) fn run(options: &Options) {
    let contestants = judgements().into_iter().filter(|judgement| options.wants(judgement.name));
    let contestants = contestants.map(|mut own| Contestant::new(own.name, move |times| own.repeat(times)));
    let rows = runner::measure(&options.plan, contestants.collect());
    let title = "policy: a judgement; `store` reads four typical responses in turn, `reuse` two requests";
    let mut table = Table::new(title, &["", "ns", "spread"]);
    for row in &rows {
        table.row(vec![row.name.clone(), grouped(row.ns()), format!("{:.0} %", row.spread() * 100.0)]);
    }
    println!("{table}");
}

/// Whether a response may be stored, for how long, and on what it varies.
fn store(policy: Policy) -> impl FnMut(u32) {
    let (request, responses, allow) = (request(), responses(), VaryAllow::default());
    move |times| {
        for response in responses.iter().cycle().take(times as usize) {
            black_box(judge(&request, black_box(response), &policy));
            black_box(Vary::parse(response, &allow).is_ok());
        }
    }
}

fn judge(request: &HeaderMap, response: &HeaderMap, policy: &Policy) -> Storability {
    let exchange = Exchange {
        method: &Method::GET,
        request,
        status: StatusCode::OK,
        response,
        times: Times { requested: now(), received: now() },
        target: Target { scheme: None, authority: "shop.example", path: "/articles/42" },
    };
    storability(&exchange, Granted::default(), Credentials::default(), policy)
}

/// Whether a stored response may answer a request: all that a hit asks.
fn answer(policy: Policy) -> impl FnMut(u32) {
    let (requests, lifetime, fields) = (requests(), lifetime(&policy), CredentialFields::default());
    move |times| {
        for request in requests.iter().cycle().take(times as usize) {
            let request = black_box(request);
            let facts = RequestFacts::scan(request);
            black_box(gate(&Method::GET, facts, Body::Empty));
            let credentials = Credentials::of(facts, request, &fields);
            let client = heard(facts, request, &policy);
            black_box(lifetime.answers(credentials));
            black_box(reuse(&lifetime, black_box(Duration::from_secs(7)), client.as_ref()));
        }
    }
}

fn fall_back(policy: Policy) -> impl FnMut(u32) {
    let lifetime = lifetime(&policy);
    move |times| {
        for _ in 0..times {
            let age = black_box(Duration::from_secs(700));
            black_box(on_failure(&lifetime, age, black_box(Failure::Unreachable), None));
        }
    }
}

fn lifetime(policy: &Policy) -> Lifetime {
    match judge(&request(), &responses()[1], policy) {
        Storability::Storable(lifetime) => lifetime,
        other => panic!("a typical response can be stored, and this says {other:?}"),
    }
}

#[cfg(feature = "semantics")]
mod peer {
    use std::hint::black_box;
    use std::time::Duration;

    use http::{Request, Response};
    use http_cache_semantics::{CacheOptions, CachePolicy};

    use super::{now, request, requests, responses};

    pub(super) fn store() -> impl FnMut(u32) {
        let (request, responses) = (asked(request()), responses().map(answered));
        move |times| {
            for response in responses.iter().cycle().take(times as usize) {
                let policy = policy(&request, black_box(response));
                black_box(policy.is_storable());
                black_box(policy.time_to_live(now()));
            }
        }
    }

    pub(super) fn is_stale() -> impl FnMut(u32) {
        let policy = stored();
        move |times| {
            for _ in 0..times {
                black_box(policy.is_stale(black_box(now() + Duration::from_secs(7))));
            }
        }
    }

    /// What it has for a request: it compares the request, judges the freshness and makes the fields of the answer.
    pub(super) fn before_request() -> impl FnMut(u32) {
        let (policy, requests) = (stored(), requests().map(asked));
        move |times| {
            for request in requests.iter().cycle().take(times as usize) {
                black_box(policy.before_request(black_box(request), now() + Duration::from_secs(7)));
            }
        }
    }

    fn stored() -> CachePolicy {
        let [_, response, ..] = responses();
        policy(&asked(request()), &answered(response))
    }

    fn policy(request: &Request<()>, response: &Response<()>) -> CachePolicy {
        CachePolicy::new_options(request, response, now(), CacheOptions::default())
    }

    fn asked(fields: http::HeaderMap) -> Request<()> {
        let mut request = Request::new(());
        *request.uri_mut() = http::Uri::from_static("http://shop.example/articles/42");
        *request.headers_mut() = fields;
        request
    }

    fn answered(fields: http::HeaderMap) -> Response<()> {
        let mut response = Response::new(());
        *response.headers_mut() = fields;
        response
    }
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_763_712_000)
}

fn request() -> HeaderMap {
    fields(&[
        ("host", "shop.example"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"),
        ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        ("accept-language", "en-GB,en;q=0.5"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("connection", "keep-alive"),
    ])
}

/// A browser's, and the same after a reload.
fn requests() -> [HeaderMap; 2] {
    let mut reload = request();
    reload.insert("cache-control", HeaderValue::from_static("max-age=0"));
    [request(), reload]
}

/// What frameworks and content systems say: an API, a page, an old server, somebody's own.
fn responses() -> [HeaderMap; 4] {
    let common = |more: &[(&'static str, &'static str)]| {
        let mut all = fields(&[
            ("content-type", "text/html; charset=utf-8"),
            ("date", "Fri, 21 Nov 2025 08:00:00 GMT"),
            ("content-length", "2048"),
            ("server", "origin"),
        ]);
        all.extend(fields(more));
        all
    };
    [
        common(&[("cache-control", "public, max-age=3600"), ("etag", "\"5f3c8a1b2d4e6f70\"")]),
        common(&[
            ("cache-control", "max-age=60, s-maxage=600, stale-while-revalidate=30, stale-if-error=86400"),
            ("etag", "W/\"5f3c8a1b2d4e6f70\""),
            ("vary", "Accept-Encoding"),
        ]),
        common(&[
            ("expires", "Fri, 21 Nov 2025 09:00:00 GMT"),
            ("last-modified", "Thu, 20 Nov 2025 08:00:00 GMT"),
            ("vary", "Accept-Encoding, Accept-Language"),
        ]),
        common(&[("cache-control", "private, no-store")]),
    ]
}

fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let line = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    lines.iter().map(line).collect()
}
