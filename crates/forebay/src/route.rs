//! Routes: what a service says about the caching of some of its paths.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use forebay_core::event::{Meters, Names};
use forebay_core::l2::MAX_TERM;
use forebay_core::seek::FillLease;
use forebay_core::tag::Target;
use forebay_policy::profile::VaryNames;
use forebay_policy::variant::VaryAllow;
use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use http::request::Parts;

use crate::duration::IntoDuration;
use crate::error::RouteError;
use crate::labels::{Labels, MissingName};
use crate::template::{Params, Template};
use crate::upkeep::Upkeep;

/// What a route says about caching. Every setting is optional; without any, the response's own fields decide.
///
/// A time given here holds for responses that give none themselves: with `max-age=0` in a response, `ttl` changes nothing.
///
/// ```
/// use forebay::RouteOptions;
///
/// let options = RouteOptions::new().ttl("5m").tags(["article:{id}", "articles"]).query(["page"]);
/// assert!(options.check().is_ok());
///
/// // For a minute more it is given at once and fetched anew beside that, for a day if the handler fails.
/// let rates = RouteOptions::new().ttl("5m").swr("1m").stale_if_error("1d");
/// assert!(rates.check().is_ok());
///
/// assert!(RouteOptions::new().ttl("soon").check().unwrap_err().to_string().contains("\"soon\""));
/// ```
#[derive(Clone, Default)]
#[must_use = "options work as part of a route"]
pub struct RouteOptions {
    ttl: Option<Duration>,
    stale_while_revalidate: Option<Duration>,
    stale_if_error: Option<Duration>,
    labels: Labels,
    vary: Vec<HeaderName>,
    query: Option<Arc<[Box<str>]>>,
    partition: Option<Arc<PartitionFn>>,
    cookies: Cookies,
    coherence: Coherence,
    fill_lease: FillLease,
    off: bool,
    upkeep: Upkeep,
    error: Option<RouteError>,
}

/// How a partition is made from a request.
type PartitionFn = dyn Fn(&Parts) -> Option<Vec<u8>> + Send + Sync;

/// What cookies in the request mean for responses whose freshness the route gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cookies {
    /// A request with cookies is not answered with such a response, and does not leave one.
    #[default]
    Refuse,
    /// Cookies do not change the answers of this route.
    Ignore,
}

/// How sure a route's answers have to be that nothing in them was invalidated before they were asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Coherence {
    /// What this instance has invalidated is never given again; what others have, no longer than it takes the message to
    /// arrive, and never beyond the bounds of `lease` and `partition_grace`. An L1 hit asks nobody.
    #[default]
    Bounded,
    /// What any instance has invalidated, and Redis has confirmed, is never given again, from that moment on. An L1 hit costs one
    /// round trip to Redis, which reads no entry; without an answer from Redis the handler is asked.
    Strict,
}

impl RouteOptions {
    /// Nothing said.
    pub fn new() -> Self {
        Self::default()
    }

    /// Responses that do not say themselves how long they are fresh are fresh for this long.
    pub fn ttl(mut self, ttl: impl IntoDuration) -> Self {
        match ttl.into_duration("ttl") {
            Ok(ttl) => self.ttl = Some(ttl),
            Err(error) => self.note(RouteError::Duration(error)),
        }
        self
    }

    /// For this long after its time an answer is still given, at once, while it is fetched anew beside that
    /// (`stale-while-revalidate`, RFC 5861). The answer's own Cache-Control outranks it where it gives the freshness, and
    /// `must-revalidate`, `proxy-revalidate`, `no-cache` and `s-maxage` forbid it.
    pub fn swr(mut self, window: impl IntoDuration) -> Self {
        match window.into_duration("swr") {
            Ok(window) => self.stale_while_revalidate = Some(window),
            Err(error) => self.note(RouteError::Duration(error)),
        }
        self
    }

    /// For this long after its time an answer is still given when the handler fails: with an error, or with 500, 502, 503 or
    /// 504 (`stale-if-error`, RFC 5861). At most a day. What forbids [`swr`](Self::swr) forbids this too, and what has been
    /// invalidated is not given again.
    pub fn stale_if_error(mut self, window: impl IntoDuration) -> Self {
        match window.into_duration("stale_if_error") {
            Ok(window) => self.stale_if_error = Some(window),
            Err(error) => self.note(RouteError::Duration(error)),
        }
        self
    }

    /// See [`Upkeep::refresh_ahead`].
    pub fn refresh_ahead(self, part: f64) -> Self {
        self.keeping(|upkeep| upkeep.refresh_ahead(part))
    }

    /// See [`Upkeep::refresh_early`].
    pub fn refresh_early(self, weight: f64) -> Self {
        self.keeping(|upkeep| upkeep.refresh_early(weight))
    }

    /// See [`Upkeep::jitter`].
    pub fn jitter(self, part: f64) -> Self {
        self.keeping(|upkeep| upkeep.jitter(part))
    }

    /// See [`Upkeep::negative_ttl`].
    pub fn negative_ttl(self, ttl: impl IntoDuration) -> Self {
        self.keeping(|upkeep| upkeep.negative_ttl(ttl))
    }

    /// See [`Upkeep::soft_timeout`].
    pub fn soft_timeout(self, timeout: impl IntoDuration) -> Self {
        self.keeping(|upkeep| upkeep.soft_timeout(timeout))
    }

    /// See [`Upkeep::hard_timeout`].
    pub fn hard_timeout(self, timeout: impl IntoDuration) -> Self {
        self.keeping(|upkeep| upkeep.hard_timeout(timeout))
    }

    /// Adds tags. `{name}` stands for a parameter of the path, as in `article:{id}`.
    pub fn tags<T: AsRef<str>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        for tag in tags {
            if let Err(error) = self.labels.tag(tag.as_ref()) {
                self.note(error);
            }
        }
        self
    }

    /// Adds events that make the answers old, as [`Event`](crate::Event) announces them. `{name}` stands for a parameter of the
    /// path, as in `deployment.update.{id}`.
    pub fn on<T: AsRef<str>>(mut self, events: impl IntoIterator<Item = T>) -> Self {
        for event in events {
            if let Err(error) = self.labels.event(event.as_ref()) {
                self.note(error);
            }
        }
        self
    }

    /// Answers depend on these request fields, whether their Vary says so or not.
    pub fn vary<T: AsRef<str>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        for name in names {
            match HeaderName::from_bytes(name.as_ref().as_bytes()) {
                Ok(name) if ![AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION].contains(&name) => {
                    self.vary.push(name)
                }
                _ => self.note(RouteError::Vary(name.as_ref().into())),
            }
        }
        self
    }

    /// Answers depend on these query parameters only. The others are taken out of the request, and these are sorted, so
    /// that the handler sees exactly what the key holds.
    pub fn query<T: Into<Box<str>>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.query = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Answers are a principal's own: `partition` says whose the request is. Each principal gets entries of its own,
    /// which lifts the refusal of requests with Authorization or cookies. With `None` the request is not cached.
    ///
    /// It has to see what the handler sees: put the layer inside of whatever authenticates.
    pub fn vary_by<P: Into<Vec<u8>>>(
        mut self,
        partition: impl Fn(&Parts) -> Option<P> + Send + Sync + 'static,
    ) -> Self {
        self.partition = Some(Arc::new(move |parts| partition(parts).map(Into::into)));
        self
    }

    /// What cookies in the request mean. Default [`Cookies::Refuse`].
    pub fn cookies(mut self, cookies: Cookies) -> Self {
        self.cookies = cookies;
        self
    }

    /// How sure answers have to be that nothing in them was invalidated before they were asked for. Default
    /// [`Coherence::Bounded`].
    ///
    /// ```
    /// use forebay::{Coherence, RouteOptions};
    ///
    /// let balance = RouteOptions::new().ttl("5m").tags(["account:{id}"]).coherence(Coherence::Strict);
    /// assert!(balance.check().is_ok());
    /// ```
    pub fn coherence(mut self, coherence: Coherence) -> Self {
        self.coherence = coherence;
        self
    }

    /// One instance of all fetches an answer of this route, and holds a lease of this term: see
    /// [`CacheBuilder::fill_lease`](crate::CacheBuilder::fill_lease). A term under 100 ms counts as 100 ms, one over a minute as
    /// a minute.
    pub fn fill_lease(mut self, term: impl IntoDuration) -> Self {
        match term.into_duration("fill_lease") {
            Ok(term) => self.fill_lease = FillLease::For(term.clamp(LEAST_LEASE, MAX_TERM)),
            Err(error) => self.note(RouteError::Duration(error)),
        }
        self
    }

    /// Each instance fetches the answers of this route for itself. For handlers that are about as fast as Redis, and for
    /// those that ask another instance of the same service for the same URL: that one would wait for this one.
    pub fn without_fill_lease(mut self) -> Self {
        self.fill_lease = FillLease::Off;
        self
    }

    /// Nothing is looked up and nothing is stored.
    pub fn off(mut self) -> Self {
        self.off = true;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// The first [`RouteError`].
    pub fn check(&self) -> Result<(), RouteError> {
        self.error.clone().map_or(Ok(()), Err)?;
        self.upkeep.check()
    }

    fn keeping(mut self, change: impl FnOnce(Upkeep) -> Upkeep) -> Self {
        self.upkeep = change(self.upkeep);
        self
    }

    fn note(&mut self, error: RouteError) {
        self.error.get_or_insert(error);
    }
}

impl fmt::Debug for RouteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteOptions")
            .field("ttl", &self.ttl)
            .field("tags", &self.labels.tag_texts())
            .field("events", &self.labels.event_texts())
            .field("vary", &self.vary)
            .field("query", &self.query)
            .field("partitioned", &self.partition.is_some())
            .field("cookies", &self.cookies)
            .field("coherence", &self.coherence)
            .field("upkeep", &self.upkeep)
            .field("fill_lease", &self.fill_lease)
            .field("off", &self.off)
            .finish_non_exhaustive()
    }
}

/// A route as the path of a request uses it.
pub(crate) struct Route {
    pub(crate) ttl: Option<Duration>,
    pub(crate) stale_while_revalidate: Option<Duration>,
    pub(crate) stale_if_error: Option<Duration>,
    pub(crate) vary: Vec<HeaderName>,
    pub(crate) vary_allow: VaryAllow,
    pub(crate) query: Option<Arc<[Box<str>]>>,
    pub(crate) cookies: Cookies,
    pub(crate) mode: Mode,
    pub(crate) fill_lease: FillLease,
    /// An inner layer stands on this route.
    pub(crate) annotated: bool,
    pub(crate) meters: Meters,
    pub(crate) upkeep: Upkeep,
    partition: Option<Arc<PartitionFn>>,
    labels: Labels,
}

/// How the requests of a route are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// In L1 first, which nobody is asked about.
    Usual,
    /// The same, unless the client has seen more than this instance.
    Tokens,
    /// With L2's word on what L1 has.
    Strict,
    /// Not at all.
    Off,
}

impl Mode {
    fn of(options: &RouteOptions) -> Self {
        match options.coherence {
            _ if options.off || options.check().is_err() => Self::Off,
            Coherence::Bounded => Self::Usual,
            Coherence::Strict => Self::Strict,
        }
    }
}

/// Whose entries a request may use.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Partition {
    /// Everybody's.
    Shared,
    /// This principal's.
    Of(Vec<u8>),
    /// Nobody's: the route wants a principal and the request has none.
    Unknown,
}

impl Route {
    /// A route under `label`. Options with an error turn caching off for it: it is reported once, here.
    pub(crate) fn new(
        options: RouteOptions,
        default_ttl: Option<Duration>,
        upkeep: &Upkeep,
        vary: VaryNames,
        names: &Names,
        label: &str,
    ) -> Self {
        if let Err(error) = options.check() {
            tracing::error!(route = label, %error, "this route is not cached");
        }
        let mode = Mode::of(&options);
        let allow = options.vary.iter().cloned().fold(VaryAllow::of(vary), VaryAllow::with);
        Self {
            ttl: options.ttl.or(default_ttl),
            stale_while_revalidate: options.stale_while_revalidate,
            stale_if_error: options.stale_if_error,
            vary_allow: allow,
            vary: options.vary,
            query: options.query,
            cookies: options.cookies,
            mode,
            upkeep: options.upkeep.or(upkeep),
            fill_lease: options.fill_lease,
            annotated: false,
            meters: Meters::new(names.clone(), label),
            partition: options.partition,
            labels: options.labels,
        }
    }

    /// Whether a request that was told apart from others as `used` says may be answered as this route says.
    pub(crate) fn keys_like(&self, used: &Self) -> bool {
        self.mode == used.mode
            && self.query == used.query
            && self.vary == used.vary
            // Cookies that were minded though they need not be have cost a hit at most.
            && (self.cookies == used.cookies || used.cookies == Cookies::Refuse)
            && self.partition.is_some() == used.partition.is_some()
    }

    pub(crate) fn partition(&self, parts: &Parts) -> Partition {
        match &self.partition {
            None => Partition::Shared,
            Some(partition) => partition(parts).map_or(Partition::Unknown, Partition::Of),
        }
    }

    /// The route's tags and events for a request, or what is missing to make one.
    pub(crate) fn labels(&self, params: &Params) -> Result<Vec<Target>, MissingName> {
        self.labels.fill(params)
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

/// The templates of some options, for the rules table to check against its pattern.
pub(crate) fn templates(options: &RouteOptions) -> impl Iterator<Item = &Template> {
    options.labels.templates()
}

/// The shortest term of a fill lease: it is renewed a few times within it.
pub(crate) const LEAST_LEASE: Duration = Duration::from_millis(100);
