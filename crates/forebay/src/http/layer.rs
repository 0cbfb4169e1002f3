//! The layers.

use std::fmt;
use std::sync::{Arc, OnceLock};

use tower_layer::Layer;

use super::scope::{Routes, Scope};
use super::service::{CacheService, InvalidatesService};
use crate::duration::IntoDuration;
use crate::error::RouteError;
use crate::hub::Hub;
use crate::labels::Labels;
use crate::route::{Coherence, Cookies, RouteOptions};
use crate::rules::Rules;
use http::request::Parts;

/// Caches the responses of what it wraps, as far as they say that they may be cached, or routes inside say so. Made by
/// [`Cache::layer`](crate::Cache::layer) and [`RulesBuilder::layer`](crate::RulesBuilder::layer).
///
/// Which origin a request is for takes its scheme as well, and HTTP/1.1 does not carry one. A layer in front that knows it may put
/// an [`http::uri::Scheme`] into the request's extensions: then a Location of another scheme invalidates nothing.
#[derive(Clone)]
#[must_use = "a layer works when it is added to a service"]
pub struct CacheLayer {
    hub: Arc<Hub>,
    rules: Option<Arc<Rules>>,
}

impl CacheLayer {
    pub(crate) fn new(hub: Arc<Hub>, rules: Option<Arc<Rules>>) -> Self {
        Self { hub, rules }
    }
}

impl<S> Layer<S> for CacheLayer {
    type Service = CacheService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let routes = Routes::Outer(self.rules.clone(), Arc::default());
        CacheService::new(inner, Scope { hub: Arc::clone(&self.hub), routes })
    }
}

impl fmt::Debug for CacheLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheLayer").field("rules", &self.rules.is_some()).finish_non_exhaustive()
    }
}

/// Caches the responses of one route. Made by [`Cache::route`](crate::Cache::route); the settings are those of
/// [`RouteOptions`].
///
/// It works alone, and under a [`CacheLayer`] of the same cache, which then looks up and stores once for both.
#[derive(Clone)]
#[must_use = "a layer works when it is added to a service"]
pub struct RouteLayer {
    hub: Arc<Hub>,
    options: RouteOptions,
}

impl RouteLayer {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self { hub, options: RouteOptions::new() }
    }

    /// See [`RouteOptions::ttl`].
    pub fn ttl(self, ttl: impl IntoDuration) -> Self {
        self.with(|options| options.ttl(ttl))
    }

    /// See [`RouteOptions::swr`].
    pub fn swr(self, window: impl IntoDuration) -> Self {
        self.with(|options| options.swr(window))
    }

    /// See [`RouteOptions::stale_if_error`].
    pub fn stale_if_error(self, window: impl IntoDuration) -> Self {
        self.with(|options| options.stale_if_error(window))
    }

    /// See [`Upkeep::refresh_ahead`](crate::Upkeep::refresh_ahead).
    pub fn refresh_ahead(self, part: f64) -> Self {
        self.with(|options| options.refresh_ahead(part))
    }

    /// See [`Upkeep::refresh_early`](crate::Upkeep::refresh_early).
    pub fn refresh_early(self, weight: f64) -> Self {
        self.with(|options| options.refresh_early(weight))
    }

    /// See [`Upkeep::jitter`](crate::Upkeep::jitter).
    pub fn jitter(self, part: f64) -> Self {
        self.with(|options| options.jitter(part))
    }

    /// See [`Upkeep::negative_ttl`](crate::Upkeep::negative_ttl).
    pub fn negative_ttl(self, ttl: impl IntoDuration) -> Self {
        self.with(|options| options.negative_ttl(ttl))
    }

    /// See [`Upkeep::soft_timeout`](crate::Upkeep::soft_timeout).
    pub fn soft_timeout(self, timeout: impl IntoDuration) -> Self {
        self.with(|options| options.soft_timeout(timeout))
    }

    /// See [`Upkeep::hard_timeout`](crate::Upkeep::hard_timeout).
    pub fn hard_timeout(self, timeout: impl IntoDuration) -> Self {
        self.with(|options| options.hard_timeout(timeout))
    }

    /// See [`RouteOptions::tags`].
    pub fn tags<T: AsRef<str>>(self, tags: impl IntoIterator<Item = T>) -> Self {
        self.with(|options| options.tags(tags))
    }

    /// See [`RouteOptions::on`].
    pub fn on<T: AsRef<str>>(self, events: impl IntoIterator<Item = T>) -> Self {
        self.with(|options| options.on(events))
    }

    /// See [`RouteOptions::vary`].
    pub fn vary<T: AsRef<str>>(self, names: impl IntoIterator<Item = T>) -> Self {
        self.with(|options| options.vary(names))
    }

    /// See [`RouteOptions::query`].
    pub fn query<T: Into<Box<str>>>(self, names: impl IntoIterator<Item = T>) -> Self {
        self.with(|options| options.query(names))
    }

    /// See [`RouteOptions::vary_by`].
    pub fn vary_by<P: Into<Vec<u8>>>(
        self,
        partition: impl Fn(&Parts) -> Option<P> + Send + Sync + 'static,
    ) -> Self {
        self.with(|options| options.vary_by(partition))
    }

    /// See [`RouteOptions::cookies`].
    pub fn cookies(self, cookies: Cookies) -> Self {
        self.with(|options| options.cookies(cookies))
    }

    /// See [`RouteOptions::coherence`].
    pub fn coherence(self, coherence: Coherence) -> Self {
        self.with(|options| options.coherence(coherence))
    }

    /// See [`RouteOptions::fill_lease`].
    pub fn fill_lease(self, term: impl IntoDuration) -> Self {
        self.with(|options| options.fill_lease(term))
    }

    /// See [`RouteOptions::without_fill_lease`].
    pub fn without_fill_lease(self) -> Self {
        self.with(RouteOptions::without_fill_lease)
    }

    /// See [`RouteOptions::off`].
    pub fn off(self) -> Self {
        self.with(RouteOptions::off)
    }

    /// Checks the settings, for a service that would rather not start than go without a cache. Unchecked, a route with
    /// a wrong setting is not cached and says so in the log.
    ///
    /// # Errors
    /// The first [`RouteError`].
    pub fn check(self) -> Result<Self, RouteError> {
        self.options.check().map(|()| self)
    }

    fn with(mut self, change: impl FnOnce(RouteOptions) -> RouteOptions) -> Self {
        self.options = change(self.options);
        self
    }
}

impl<S> Layer<S> for RouteLayer {
    type Service = CacheService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let routes = Routes::Own(Arc::new(self.options.clone()), Arc::new(OnceLock::new()));
        CacheService::new(inner, Scope { hub: Arc::clone(&self.hub), routes })
    }
}

impl fmt::Debug for RouteLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RouteLayer").field(&self.options).finish()
    }
}

/// Invalidates tags, and announces events, when an unsafe request (POST, PUT, DELETE, ..) succeeds. Made by
/// [`Cache::invalidates`](crate::Cache::invalidates).
#[derive(Clone)]
#[must_use = "a layer works when it is added to a service"]
pub struct InvalidatesLayer {
    hub: Arc<Hub>,
    labels: Arc<Labels>,
}

impl InvalidatesLayer {
    /// A template that cannot be read takes the namespace with it whenever the route succeeds: rather too much than stale.
    pub(crate) fn new<T: AsRef<str>>(
        hub: Arc<Hub>,
        tags: impl IntoIterator<Item = T>,
    ) -> Result<Self, RouteError> {
        let mut labels = Labels::default();
        tags.into_iter().try_for_each(|tag| labels.tag(tag.as_ref()))?;
        Ok(Self { hub, labels: Arc::new(labels) })
    }

    /// Announces these events as well. `{name}` stands for a parameter of the path.
    ///
    /// # Panics
    ///
    /// When a template cannot be read, as [`try_events`](Self::try_events) would tell.
    #[track_caller]
    pub fn events<T: AsRef<str>>(self, events: impl IntoIterator<Item = T>) -> Self {
        match self.try_events(events) {
            Ok(layer) => layer,
            Err(error) => panic!("{error}"),
        }
    }

    /// The same, for templates that are not known to be well-formed.
    ///
    /// # Errors
    /// [`RouteError::Template`].
    pub fn try_events<T: AsRef<str>>(
        mut self,
        events: impl IntoIterator<Item = T>,
    ) -> Result<Self, RouteError> {
        let labels = Arc::make_mut(&mut self.labels);
        events.into_iter().try_for_each(|event| labels.event(event.as_ref()))?;
        Ok(self)
    }
}

impl<S> Layer<S> for InvalidatesLayer {
    type Service = InvalidatesService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        InvalidatesService::new(inner, Arc::clone(&self.hub), Arc::clone(&self.labels))
    }
}

impl fmt::Debug for InvalidatesLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvalidatesLayer")
            .field("tags", &self.labels.tag_texts())
            .field("events", &self.labels.event_texts())
            .finish_non_exhaustive()
    }
}
