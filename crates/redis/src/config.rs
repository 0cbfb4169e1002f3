//! The settings, and what they may be.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use fred::types::RespVersion;
use fred::types::config::{Config, ServerConfig};

/// How to reach Redis and how to use it. Plain configuration: nothing is connected before
/// [`connect`](Redis::connect).
///
/// ```
/// use std::time::Duration;
///
/// use forebay_redis::Redis;
///
/// let redis = Redis::url("redis://localhost:6379/2")?.timeout(Duration::from_millis(50)).max_log(50_000);
/// redis.check()?;
///
/// let error = Redis::url("http://localhost:6379").unwrap_err().to_string();
/// assert!(error.contains("redis://"), "{error}");
/// let error = redis.timeout(Duration::ZERO).check().unwrap_err().to_string();
/// assert_eq!(error, "redis timeout 0ns: from 1ms to 60s is accepted");
/// # Ok::<(), forebay_redis::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Redis {
    pub(crate) server: Config,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) retention: Duration,
    pub(crate) max_log: usize,
    pub(crate) max_fill: Duration,
    pub(crate) max_value: usize,
}

impl Redis {
    /// Redis at this URL, `redis://[[user:]password@]host[:port][/database]`; `valkey://` means the same. Special
    /// characters in user and password are percent-encoded.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when it is no such URL. The error never shows user or password.
    pub fn url(url: &str) -> Result<Self, ConfigError> {
        let refuse = || ConfigError::new("url", without_secrets(url), URL_FORM);
        let (scheme, rest) = url.split_once("://").ok_or_else(refuse)?;
        if !SCHEMES.contains(&scheme) || rest.contains(['?', '#']) {
            return Err(refuse());
        }
        let mut server = Config::from_url_centralized(url).map_err(|_| refuse())?;
        let ServerConfig::Centralized { server: address } = &mut server.server else { return Err(refuse()) };
        if address.host.is_empty() {
            return Err(refuse());
        }
        if let Some(v6) = address.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            address.host = v6.to_owned().into();
        }
        server.version = RespVersion::RESP3;
        server.fail_fast = true;
        Ok(Self {
            server,
            timeout: Duration::from_millis(100),
            connect_timeout: Duration::from_millis(500),
            retention: Duration::from_secs(25 * 3600),
            max_log: 200_000,
            max_fill: Duration::from_secs(60),
            max_value: 8 << 20,
        })
    }

    /// How long one operation may take; what has no answer by then has failed. Default 100 ms.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long connecting may take, and how long greeting the server may take then. Default 500 ms.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long invalidations stay in the log; no frame outlives it. Default 25 hours.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// How many invalidated idents the log holds, about 94 bytes each; the oldest make room, and frames from before
    /// them die. Default 200,000.
    pub fn max_log(mut self, idents: usize) -> Self {
        self.max_log = idents;
        self
    }

    /// How long an origin may take, by Redis' clock, for its response still to be stored. Default 60 s.
    pub fn max_fill(mut self, longest: Duration) -> Self {
        self.max_fill = longest;
        self
    }

    /// The largest frame that is stored or read, in bytes. Default 8 MiB.
    pub fn max_value(mut self, bytes: usize) -> Self {
        self.max_value = bytes;
        self
    }

    /// Checks every setting.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for the first that is out of its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        in_range("timeout", self.timeout, ms(1)..=secs(60))?;
        in_range("connect_timeout", self.connect_timeout, ms(10)..=secs(60))?;
        in_range("max_fill", self.max_fill, secs(1)..=secs(24 * 3600))?;
        in_range("retention", self.retention, self.max_fill + secs(60)..=secs(366 * 24 * 3600))?;
        in_range("max_log", self.max_log, 1..=10_000_000)?;
        in_range("max_value", self.max_value, 1024..=256 << 20)
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.server.server.hosts();
        f.debug_struct("Redis")
            .field("server", &hosts.iter().map(ToString::to_string).collect::<Vec<_>>())
            .field("database", &self.server.database)
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("retention", &self.retention)
            .field("max_log", &self.max_log)
            .field("max_fill", &self.max_fill)
            .field("max_value", &self.max_value)
            .finish_non_exhaustive()
    }
}

/// A setting that cannot be: which one, its value, and what is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    setting: &'static str,
    value: String,
    accepted: String,
}

impl ConfigError {
    fn new(setting: &'static str, value: impl Into<String>, accepted: impl Into<String>) -> Self {
        Self { setting, value: value.into(), accepted: accepted.into() }
    }

    /// The setting's name.
    #[must_use]
    pub fn setting(&self) -> &'static str {
        self.setting
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "redis {} {}: {} is accepted", self.setting, self.value, self.accepted)
    }
}

impl std::error::Error for ConfigError {}

fn in_range<T: PartialOrd + fmt::Debug>(
    setting: &'static str,
    value: T,
    accepted: RangeInclusive<T>,
) -> Result<(), ConfigError> {
    if accepted.contains(&value) {
        return Ok(());
    }
    let accepted = format!("from {:?} to {:?}", accepted.start(), accepted.end());
    Err(ConfigError::new(setting, format!("{value:?}"), accepted))
}

/// The URL as it may be shown. Whatever stands before the last `@` or in a query may be a password.
fn without_secrets(url: &str) -> String {
    let mut shown = url.to_owned();
    if let Some((before, after)) = url.rsplit_once('@') {
        let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
        shown = format!("{scheme}://***@{after}");
    }
    if let Some(query) = shown.find(['?', '#']) {
        shown.replace_range(query + 1.., "***");
    }
    format!("{shown:?}")
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const SCHEMES: [&str; 2] = ["redis", "valkey"];
const URL_FORM: &str =
    "redis://[[user:]password@]host[:port][/database], or valkey:// with the same after it,";

#[cfg(test)]
mod tests {
    use super::*;

    fn redis() -> Redis {
        Redis::url("redis://localhost").unwrap()
    }

    #[test]
    fn a_url_names_host_port_user_and_database() {
        let redis = Redis::url("valkey://u%40x:p%2Fw@[::1]:7000/3").unwrap();
        assert_eq!(redis.server.server.hosts()[0].host, "::1");
        assert_eq!(redis.server.server.hosts()[0].port, 7000);
        assert_eq!(redis.server.username.as_deref(), Some("u@x"));
        assert_eq!(redis.server.password.as_deref(), Some("p/w"));
        assert_eq!(redis.server.database, Some(3));
    }

    #[test]
    fn what_is_no_redis_url_is_refused_with_what_is_accepted() {
        for url in [
            "http://localhost:6379",
            "rediss://localhost",
            "redis-cluster://localhost",
            "redis://",
            "redis://localhost:99999",
            "redis://localhost/x",
            "redis://localhost/1/2",
            "localhost:6379",
            "",
        ] {
            let error = Redis::url(url).unwrap_err().to_string();
            assert!(error.starts_with("redis url "), "{error}");
            assert!(error.contains("redis://[[user:]password@]host"), "{error}");
            assert!(error.contains(url), "{error}");
        }
    }

    #[test]
    fn no_user_or_password_is_ever_shown() {
        for url in [
            "http://admin:hunter2@localhost",
            "redis://admin:hunter2@localhost:99999",
            "redis://admin:hunt@hunter2@localhost?x",
            "admin:hunter2@localhost",
            "redis://localhost?password=hunter2",
            "redis://localhost#hunter2",
        ] {
            let error = Redis::url(url).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2") && !shown.contains("admin"), "{shown}");
        }
        let shown = format!("{:?}", Redis::url("redis://admin:hunter2@localhost:1/2").unwrap());
        assert!(!shown.contains("hunter2") && !shown.contains("admin"), "{shown}");
        assert!(shown.contains("localhost:1"), "{shown}");
    }

    #[test]
    fn the_defaults_pass_and_absurd_settings_are_named() {
        redis().check().unwrap();
        let day = secs(24 * 3600);
        for (redis, setting) in [
            (redis().timeout(Duration::ZERO), "timeout"),
            (redis().timeout(day), "timeout"),
            (redis().connect_timeout(Duration::ZERO), "connect_timeout"),
            (redis().max_fill(Duration::ZERO), "max_fill"),
            (redis().retention(secs(90)), "retention"),
            (redis().retention(day * 1000), "retention"),
            (redis().max_log(0), "max_log"),
            (redis().max_log(usize::MAX), "max_log"),
            (redis().max_value(0), "max_value"),
            (redis().max_value(usize::MAX), "max_value"),
        ] {
            let error = redis.check().unwrap_err();
            assert_eq!(error.setting(), setting);
            assert!(error.to_string().contains(" is accepted"), "{error}");
        }
    }
}
