//! The requests a suite sends.

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Uri};

/// What the requests of a suite have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// One key over and over: hits, once the first has been stored.
    SameKey,
    /// Requests by a method that is not cacheable.
    Post,
    /// Requests by a method that is not cacheable and changes nothing.
    Options,
    /// `GET` requests whose responses state no freshness.
    NoFreshness,
    /// A key that was never asked for before.
    NewKeys,
}

impl Workload {
    /// Whether the subject may have work of its own to do between two requests, such as a store that it spawned.
    pub(crate) fn stores(self) -> bool {
        self == Self::NewKeys
    }
}

/// Makes the requests of one workload, one after another.
#[derive(Clone, Debug)]
pub struct Requests {
    workload: Workload,
    uri: Uri,
    next: u64,
}

impl Requests {
    /// The requests of `workload`.
    pub fn new(workload: Workload) -> Self {
        let path = match workload {
            Workload::NoFreshness => "/drafts/42?page=1",
            Workload::SameKey | Workload::Post | Workload::Options | Workload::NewKeys => {
                "/articles/42?page=1"
            }
        };
        Self { workload, uri: Uri::from_static(path), next: 0 }
    }

    /// One key over and over, the one of article `id`.
    pub fn of_article(id: u64) -> Self {
        Self { workload: Workload::SameKey, uri: numbered(id), next: 0 }
    }

    /// The workload that these requests are of.
    pub fn workload(&self) -> Workload {
        self.workload
    }

    /// The next request, with an empty body.
    pub fn make<Q: Default>(&mut self) -> Request<Q> {
        let mut request = Request::new(Q::default());
        *request.method_mut() = match self.workload {
            Workload::Post => Method::POST,
            Workload::Options => Method::OPTIONS,
            Workload::SameKey | Workload::NoFreshness | Workload::NewKeys => Method::GET,
        };
        *request.uri_mut() = if self.workload == Workload::NewKeys {
            self.next += 1;
            numbered(self.next)
        } else {
            self.uri.clone()
        };
        *request.headers_mut() = headers();
        request
    }
}

/// The address of the article `id`.
pub(crate) fn numbered(id: u64) -> Uri {
    Uri::try_from(format!("/articles/{id}?page=1")).expect("digits make a valid path")
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(2);
    headers.insert(header::HOST, HeaderValue::from_static("shop.example"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers
}
