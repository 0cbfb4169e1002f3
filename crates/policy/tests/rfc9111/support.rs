//! One exchange, built up from a plain 200 to a plain GET.

use std::time::{Duration, SystemTime};

use forebay_policy::age::Times;
use forebay_policy::credentials::{CredentialFields, Credentials};
use forebay_policy::facts::RequestFacts;
use forebay_policy::freshness::Granted;
use forebay_policy::profile::Policy;
use forebay_policy::reason::Reason;
use forebay_policy::storable::{Exchange, Lifetime, Storability, storability};
use forebay_policy::target::Target;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

/// Thu, 01 Jan 2026 00:00:00 GMT.
pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600)
}

pub(crate) type Fields<'a> = &'a [(&'a str, &'a str)];

pub(crate) fn fields(lines: Fields<'_>) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a field name");
        fields.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a field value"));
    }
    fields
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What the origin and its client say, and what the service grants.
pub(crate) struct Case {
    pub(crate) method: Method,
    pub(crate) status: u16,
    pub(crate) request: HeaderMap,
    pub(crate) response: HeaderMap,
    pub(crate) granted: Granted,
    pub(crate) credentials: Credentials,
    pub(crate) policy: Policy,
}

impl Case {
    pub(crate) fn response(lines: Fields<'_>) -> Self {
        Self {
            method: Method::GET,
            status: 200,
            request: HeaderMap::new(),
            response: fields(lines),
            granted: Granted::default(),
            credentials: Credentials::default(),
            policy: Policy::origin(),
        }
    }

    pub(crate) fn cache_control(value: &str) -> Self {
        Self::response(&[("cache-control", value)])
    }

    pub(crate) fn request(mut self, lines: Fields<'_>) -> Self {
        self.request = fields(lines);
        self.credentials = credentials(&self.request);
        self
    }

    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    pub(crate) fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    pub(crate) fn route(mut self, ttl: u64) -> Self {
        self.granted.route = Some(seconds(ttl));
        self
    }

    pub(crate) fn handler(mut self, ttl: u64) -> Self {
        self.granted.handler = Some(seconds(ttl));
        self
    }

    pub(crate) fn judge(&self) -> Storability {
        let exchange = Exchange {
            method: &self.method,
            request: &self.request,
            status: StatusCode::from_u16(self.status).expect("a status code"),
            response: &self.response,
            times: Times { requested: now(), received: now() },
            target: Target { scheme: None, authority: "shop.example", path: "/articles/42?page=2" },
        };
        storability(&exchange, self.granted, self.credentials, &self.policy)
    }

    #[track_caller]
    pub(crate) fn stored(&self) -> Lifetime {
        match self.judge() {
            Storability::Storable(lifetime) => lifetime,
            refused => panic!("{refused:?}: {:?}", self.response),
        }
    }

    #[track_caller]
    pub(crate) fn stored_for(&self, freshness: u64) {
        assert_eq!(self.stored().freshness, seconds(freshness), "{:?}", self.response);
    }

    #[track_caller]
    pub(crate) fn refused(&self, reason: Reason) {
        let context = (self.status, &self.request, &self.response);
        assert_eq!(self.judge(), Storability::Unstorable(reason), "{context:?}");
    }
}

pub(crate) fn credentials(request: &HeaderMap) -> Credentials {
    Credentials::of(RequestFacts::scan(request), request, &CredentialFields::default())
}
