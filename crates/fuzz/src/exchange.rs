//! Whole exchanges: from the fields of a request and its answer to what is stored, and for whom.

use std::time::Duration;

use forebay_policy::age::Times;
use forebay_policy::credentials::{CredentialFields, Credentials};
use forebay_policy::facts::RequestFacts;
use forebay_policy::freshness::Granted;
use forebay_policy::profile::Policy;
use forebay_policy::reuse::{Body, Freshness, Gate, gate, heard, reuse};
use forebay_policy::storable::{Exchange, Lifetime, Storability, storability};
use forebay_policy::target::Target;
use forebay_policy::windows::Windows;
use http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use http::{Method, StatusCode};

use crate::input::{first_line, message, numbers, time, two};

/// An exchange, judged by both profiles: no-store and private are never stored, nor are cookies or answers to requests with
/// credentials that nothing permits; lifetimes are at most 2^31 seconds and survive L2; what the layer's profile stores as a
/// whole the proxy's stores too.
///
/// # Panics
/// Where that does not hold.
pub fn exchange(data: &[u8]) {
    let (clock, rest) = first_line(data);
    let numbers: Vec<u64> = numbers(clock).collect();
    let number = |at: usize, default| numbers.get(at).copied().unwrap_or(default);
    let (request, response) = two(rest);
    let (request, response) = (message(request), message(response));
    let status = u16::try_from(number(0, 200)).ok().and_then(|status| StatusCode::from_u16(status).ok());
    let requested = time(number(1, 1_767_225_600));
    let case = Case {
        request,
        response,
        status: status.unwrap_or(StatusCode::OK),
        times: Times { requested, received: requested + Duration::from_secs(number(2, 0) % 1000) },
        age: Duration::from_secs(number(3, 0)),
    };
    let judged = [Policy::origin(), Policy::proxy()].map(|policy| (case.judge(&policy), policy));
    for (storability, policy) in &judged {
        case.check(*storability, policy);
    }
    if matches!(judged[0].0, Storability::Storable(_)) {
        assert!(matches!(judged[1].0, Storability::Storable(_)));
    }
}

struct Case {
    request: HeaderMap,
    response: HeaderMap,
    status: StatusCode,
    times: Times,
    age: Duration,
}

impl Case {
    fn judge(&self, policy: &Policy) -> Storability {
        let facts = RequestFacts::scan(&self.request);
        let credentials = Credentials::of(facts, &self.request, &CredentialFields::default());
        let exchange = Exchange {
            method: &Method::GET,
            request: &self.request,
            status: self.status,
            response: &self.response,
            times: self.times,
            target: Target { scheme: None, authority: "shop.example", path: "/articles" },
        };
        storability(&exchange, Granted::default(), credentials, policy)
    }

    fn check(&self, judged: Storability, policy: &Policy) {
        let facts = RequestFacts::scan(&self.request);
        for body in [Body::Empty, Body::Present] {
            assert!(matches!(gate(&Method::POST, facts, body), Gate::Bypass(..)));
        }
        assert!(matches!(gate(&Method::GET, facts, Body::Present), Gate::Bypass(..)));
        self.check_forbidden(policy);
        let (Storability::Storable(lifetime) | Storability::Partial(lifetime)) = judged else { return };
        assert!(!self.response.contains_key(SET_COOKIE));
        assert_eq!(matches!(judged, Storability::Partial(_)), self.status == StatusCode::PARTIAL_CONTENT);
        check_lifetime(&lifetime);
        self.check_credentials(policy);
        self.check_reuse(&lifetime, policy, facts);
    }

    /// One more field that forbids, and nothing is stored.
    fn check_forbidden(&self, policy: &Policy) {
        let mut case = Self { request: self.request.clone(), response: self.response.clone(), ..*self };
        for forbidding in ["private", "PRIVATE=\"x\"", "no-store"] {
            // A status that is understood makes no-store void where must-understand stands beside it.
            if forbidding == "no-store" && says(&self.response, "must-understand") {
                continue;
            }
            case.response = self.response.clone();
            policy.targeted.iter().for_each(|name| drop(case.response.remove(name)));
            case.response.append(CACHE_CONTROL, HeaderValue::from_static(forbidding));
            assert!(matches!(case.judge(policy), Storability::Unstorable(_)), "{forbidding}");
        }
        case.response = self.response.clone();
        case.response.append(SET_COOKIE, HeaderValue::from_static("session=1"));
        assert!(matches!(case.judge(policy), Storability::Unstorable(_)));
        case.response = self.response.clone();
        case.request.append(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        assert!(matches!(case.judge(policy), Storability::Unstorable(_)));
    }

    /// With credentials an answer is stored no easier, and what it is then good for is not more.
    fn check_credentials(&self, policy: &Policy) {
        let mut request = self.request.clone();
        request.insert(AUTHORIZATION, HeaderValue::from_static("Bearer x"));
        request.insert(COOKIE, HeaderValue::from_static("session=1"));
        let case = Self { request, response: self.response.clone(), ..*self };
        if let Storability::Storable(_) = case.judge(policy) {
            let permits = ["public", "s-maxage", "must-revalidate"];
            assert!(permits.iter().any(|word| says(&self.response, word)), "nothing permits to store that");
        }
    }

    fn check_reuse(&self, lifetime: &Lifetime, policy: &Policy, facts: RequestFacts) {
        let age = lifetime.age(self.age);
        assert!(age >= lifetime.initial_age);
        match lifetime.freshness_at(age) {
            Freshness::Fresh { remaining } => {
                assert_eq!(Some(lifetime.freshness), age.checked_add(remaining))
            }
            Freshness::Stale { by } => assert_eq!(Some(age), lifetime.freshness.checked_add(by)),
            other => panic!("{other:?}"),
        }
        let client = heard(facts, &self.request, policy);
        let _ = reuse(lifetime, age, client.as_ref());
    }
}

/// Whether these letters stand in any value.
fn says(fields: &HeaderMap, word: &str) -> bool {
    let mut values = fields.values().map(|value| value.as_bytes().to_ascii_lowercase());
    values.any(|value| value.windows(word.len()).any(|part| part == word.as_bytes()))
}

fn check_lifetime(lifetime: &Lifetime) {
    // Expires can say more than a number of seconds does, but no more than there are years.
    assert!(lifetime.initial_age <= MAX && lifetime.freshness <= ALL_YEARS);
    let back = Windows::from_numbers(lifetime.windows.to_numbers());
    assert_eq!(back, Some(lifetime.windows), "windows survive L2");
}

const MAX: Duration = Duration::from_secs(1 << 31);
const ALL_YEARS: Duration = Duration::from_secs(10_000 * 366 * 24 * 60 * 60);
