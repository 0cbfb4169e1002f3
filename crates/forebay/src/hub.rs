//! What every layer and service of one cache shares.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use forebay_core::event::{Event, Names};
use forebay_core::tiers::Tiers;
use forebay_core::time::Moment;
use forebay_policy::credentials::CredentialFields;
use forebay_policy::profile::Policy;
use forebay_policy::status::CacheName;

use crate::limits::Limits;
use crate::room::Room;
use crate::route::{Mode, Route, RouteOptions};
use crate::stored::Kept;
use crate::upkeep::Upkeep;

/// Where the authority in a key comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Authority {
    /// From the request's URI or its Host; a request with neither is not cached. One service under two names keeps
    /// two sets of entries.
    #[default]
    FromRequest,
    /// This name for every request: for a service that is reached under several names or ports which all mean the
    /// same, such as the addresses of its replicas. Host is not in the key then: no handler may write it into an answer.
    Fixed(String),
}

/// How much there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) limits: Limits,
    /// The most bytes of a body that are collected to be stored.
    pub(crate) max_body: usize,
}

/// Whether something was remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    Kept,
    Full,
}

/// Whether what clients say that they have seen is heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tokens {
    /// It is neither told nor heard.
    #[default]
    Ignored,
    /// Who changes something is told a token, and whoever sends one sees the change.
    Honoured,
}

pub(crate) struct Hub {
    /// Which of the process' caches this is.
    pub(crate) id: u64,
    pub(crate) tiers: Arc<Tiers<Kept>>,
    pub(crate) name: Option<CacheName>,
    pub(crate) authority: Authority,
    pub(crate) default_ttl: Option<Duration>,
    pub(crate) upkeep: Upkeep,
    pub(crate) credentials: CredentialFields,
    pub(crate) policy: Policy,
    pub(crate) limits: Limits,
    /// The most bytes of a body that are collected to be stored.
    pub(crate) max_body: usize,
    /// Of which all that are being collected together have so much.
    pub(crate) room: Arc<Room>,
    pub(crate) plain: Arc<Route>,
    pub(crate) tokens: Tokens,
    /// Routes learned from inner layers, by their matched path.
    learned: RwLock<HashMap<Box<str>, Arc<Route>>>,
    /// Problems that were reported already: each is worth one line, not one a request.
    reported: Mutex<Vec<String>>,
}

impl Hub {
    pub(crate) fn new(
        tiers: Arc<Tiers<Kept>>,
        name: Option<CacheName>,
        authority: Authority,
        default_ttl: Option<Duration>,
        upkeep: Upkeep,
        policy: Policy,
        bounds: Bounds,
    ) -> Self {
        let names = tiers.instance().recorder().names().clone();
        let plain = Route::new(RouteOptions::new(), default_ttl, &upkeep, policy.vary, &names, UNNAMED);
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            tiers,
            name,
            authority,
            default_ttl,
            upkeep,
            credentials: CredentialFields::default(),
            policy,
            limits: bounds.limits,
            max_body: bounds.max_body,
            room: Room::new(bounds.limits.collected, &names),
            plain: Arc::new(plain),
            tokens: Tokens::Ignored,
            learned: RwLock::default(),
            reported: Mutex::default(),
        }
    }

    /// The same with these tokens.
    pub(crate) fn with_tokens(mut self, tokens: Tokens) -> Self {
        self.tokens = tokens;
        self.plain = Arc::new(self.route(RouteOptions::new(), UNNAMED));
        self
    }

    /// This moment, on the cache's clock.
    pub(crate) fn now(&self) -> Moment {
        self.tiers.instance().settings().clock.now()
    }

    /// The time of day.
    pub(crate) fn wall(&self) -> SystemTime {
        self.tiers.instance().settings().clock.wall()
    }

    pub(crate) fn names(&self) -> &Names {
        self.tiers.instance().recorder().names()
    }

    /// A route under `label`, with what holds for all.
    pub(crate) fn route(&self, options: RouteOptions, label: &str) -> Route {
        let mut route =
            Route::new(options, self.default_ttl, &self.upkeep, self.policy.vary, self.names(), label);
        if (self.tokens, route.mode) == (Tokens::Honoured, Mode::Usual) {
            route.mode = Mode::Tokens;
        }
        route
    }

    /// The route of an annotation, under the path it was matched by.
    pub(crate) fn annotated(&self, options: RouteOptions, path: Option<&str>) -> Arc<Route> {
        let mut route = self.route(options, path.unwrap_or(UNNAMED));
        route.annotated = true;
        Arc::new(route)
    }

    /// What an inner layer has said about a matched path.
    pub(crate) fn learned(&self, path: &str) -> Option<Arc<Route>> {
        self.learned.read().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    /// Remembers what holds for a matched path, if there is room for one more.
    pub(crate) fn learn(&self, path: &str, route: &Arc<Route>) -> Memory {
        let mut learned = self.learned.write().unwrap_or_else(PoisonError::into_inner);
        if learned.len() >= self.limits.routes && !learned.contains_key(path) {
            drop(learned);
            self.tiers.instance().recorder().observe(&Event::Full("routes"));
            return Memory::Full;
        }
        learned.insert(path.into(), Arc::clone(route));
        Memory::Kept
    }

    /// The route of a path on which no inner layer has anything to say.
    pub(crate) fn unannotated(&self, path: &str) -> Arc<Route> {
        Arc::new(self.route(RouteOptions::new(), path))
    }

    /// Reports a mistake in the service's own code or configuration, once.
    pub(crate) fn report(&self, problem: String) {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.len() < MAX_REPORTED && !reported.contains(&problem) {
            tracing::error!(problem = %problem, "the response is not stored");
            reported.push(problem);
        }
    }
}

/// The label of requests that belong to no route.
const UNNAMED: &str = "-";
const MAX_REPORTED: usize = 100;
