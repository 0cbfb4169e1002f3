//! What a handler says about one response.

use std::time::Duration;

use forebay_core::tag::{Event, Tag, Target};

use crate::duration::IntoDuration;
use crate::error::DurationError;

/// A handler's annotation of its response: how long it may be cached and what invalidates it.
///
/// It outranks the response's own `max-age`, `s-maxage` and `Expires` and the route's TTL. `no-store`, `private` and
/// `Set-Cookie` outrank it. With axum it is a response part; elsewhere put it into the response's extensions.
///
/// ```
/// use forebay::Cached;
///
/// async fn show() -> (Cached, &'static str) {
///     (Cached::ttl("2m").tag("article:42").tag("articles"), "an article")
/// }
///
/// async fn rates() -> (Cached, &'static str) {
///     // For a minute more given at once and refreshed beside that, for a day in place of this handler's errors.
///     (Cached::ttl("2m").swr("1m").stale_if_error("1d"), "EUR 0.94")
/// }
///
/// async fn deployment() -> (Cached, &'static str) {
///     (Cached::ttl("2m").on("deployment.update.42"), "a deployment")
/// }
///
/// let mut response = http::Response::new("an article");
/// response.extensions_mut().insert(Cached::ttl("2m").tag("article:42"));
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "an annotation works as part of a response"]
pub struct Cached {
    pub(crate) ttl: Option<Duration>,
    pub(crate) stale_while_revalidate: Option<Duration>,
    pub(crate) stale_if_error: Option<Duration>,
    /// Tags and events.
    pub(crate) labels: Vec<Target>,
    pub(crate) error: Option<DurationError>,
}

impl Cached {
    /// Caches the response for this long. Text that is no duration is reported, and the response is not stored.
    pub fn ttl(ttl: impl IntoDuration) -> Self {
        match ttl.into_duration("Cached::ttl") {
            Ok(ttl) => Self { ttl: Some(ttl), ..Self::default() },
            Err(error) => Self { error: Some(error), ..Self::default() },
        }
    }

    /// Only adds tags: how long the response is cached is left to its fields and its route.
    pub fn tagged<T: Into<String>>(tags: impl IntoIterator<Item = T>) -> Self {
        Self::default().tags(tags)
    }

    /// For this long after its time it still answers, at once, while it is fetched anew beside that (RFC 5861).
    pub fn swr(mut self, window: impl IntoDuration) -> Self {
        match window.into_duration("Cached::swr") {
            Ok(window) => self.stale_while_revalidate = Some(window),
            Err(error) => drop(self.error.get_or_insert(error)),
        }
        self
    }

    /// For this long after its time it still answers when the handler fails: with an error, or with 500, 502, 503 or 504
    /// (RFC 5861). At most a day.
    pub fn stale_if_error(mut self, window: impl IntoDuration) -> Self {
        match window.into_duration("Cached::stale_if_error") {
            Ok(window) => self.stale_if_error = Some(window),
            Err(error) => drop(self.error.get_or_insert(error)),
        }
        self
    }

    /// Adds a tag.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.labels.push(Tag(tag).into());
        self
    }

    /// Adds tags.
    pub fn tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.labels.extend(tags.into_iter().map(|tag| Tag(tag).into()));
        self
    }

    /// Adds an event that makes the response old, as [`Event`] announces it.
    pub fn on(mut self, event: impl Into<String>) -> Self {
        self.labels.push(Event(event).into());
        self
    }
}
