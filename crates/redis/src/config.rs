//! The settings, and what they may be.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use forebay_core::l2::MAX_SHARDS;

use crate::digest::Digest;
use crate::login::{Login, Password};
#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::url::{self, Encryption, Parts, Refused, Target};

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
    pub(crate) target: Target,
    pub(crate) encryption: Encryption,
    pub(crate) database: Option<u8>,
    pub(crate) login: Login,
    pub(crate) sentinel_login: Login,
    #[cfg(feature = "tls")]
    pub(crate) tls: Tls,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) retention: Duration,
    pub(crate) max_log: usize,
    pub(crate) max_fill: Duration,
    pub(crate) max_value: usize,
    pub(crate) shards: Option<usize>,
    pub(crate) wait: Option<Wait>,
    pub(crate) compat: Vec<String>,
}

/// How many replicas are to have an invalidation, and how long that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) replicas: u8,
    pub(crate) timeout: Duration,
}

impl Redis {
    /// Redis at this URL. `valkey` means the same as `redis`, in all of them:
    ///
    /// | URL | what it is |
    /// |---|---|
    /// | `redis://[user:password@]host[:port][/database]` | one server, or the address behind which there is always the master |
    /// | `rediss://` with the same | over TLS; the feature `tls` |
    /// | `redis+unix://[user:password@]/path` or `unix:///path` | a server's Unix socket |
    /// | `redis-sentinel://[user:password@]host[:port],host[:port]../service[/database]` | the master that these sentinels name; `rediss-sentinel://` over TLS, to both |
    /// | `redis-cluster://[user:password@]host[:port],host[:port]..` | a cluster; `rediss-cluster://` over TLS |
    ///
    /// Ports are 6379, of sentinels 26379, unless given. A user alone is `user:@`, a password alone `:password@`; special
    /// characters in them are percent-encoded. A password is better kept out of the URL:
    /// [`password_file`](Self::password_file).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when it is no such URL, with what is wrong and the form that is accepted. The error never shows
    /// user or password.
    pub fn url(url: &str) -> Result<Self, ConfigError> {
        let mut parts = url::parse(url).map_err(|Refused { problem, form }| {
            ConfigError::new("url", url::without_secrets(url), format!("{problem}; {form}"))
        })?;
        let login = Login::of(&mut parts);
        let Parts { target, encryption, database, .. } = parts;
        if let (Encryption::Tls, false) = (encryption, cfg!(feature = "tls")) {
            let accepted = "without the feature `tls` of the crate no TLS";
            return Err(ConfigError::new("url", url::without_secrets(url), accepted));
        }
        if let (Target::Socket(_), false) = (&target, cfg!(unix)) {
            let accepted = "on this system no Unix socket";
            return Err(ConfigError::new("url", url::without_secrets(url), accepted));
        }
        Ok(Self {
            target,
            encryption,
            database,
            login,
            sentinel_login: Login::default(),
            #[cfg(feature = "tls")]
            tls: Tls::default(),
            timeout: Duration::from_millis(100),
            connect_timeout: Duration::from_millis(500),
            retention: Duration::from_secs(25 * 3600),
            max_log: 200_000,
            max_fill: Duration::from_secs(60),
            max_value: 8 << 20,
            shards: None,
            wait: None,
            compat: Vec::new(),
        })
    }

    /// The ACL user, instead of the one in the URL.
    pub fn user(mut self, name: impl Into<String>) -> Self {
        self.login.user = Some(name.into());
        self
    }

    /// The password, instead of the one in the URL.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.login.password = Some(Password::Given(password.into()));
        self
    }

    /// The file that holds the password, instead of the one in the URL; a line's end after it does not count. It is read
    /// for each new connection, so that a changed password is used without a restart.
    ///
    /// ```
    /// use forebay_redis::Redis;
    ///
    /// let redis = Redis::url("redis://localhost")?.user("shop").password_file("/run/secrets/redis");
    /// let error = redis.check().unwrap_err().to_string();
    /// assert!(error.starts_with("redis password_file /run/secrets/redis: "), "{error}");
    /// # Ok::<(), forebay_redis::ConfigError>(())
    /// ```
    pub fn password_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.login.password = Some(Password::InFile(path.into()));
        self
    }

    /// The user that the sentinels know, where they ask for one. The URL's user is for the servers alone.
    pub fn sentinel_user(mut self, name: impl Into<String>) -> Self {
        self.sentinel_login.user = Some(name.into());
        self
    }

    /// The password that the sentinels ask for, where they do. The URL's password is for the servers alone.
    pub fn sentinel_password(mut self, password: impl Into<String>) -> Self {
        self.sentinel_login.password = Some(Password::Given(password.into()));
        self
    }

    /// The file that holds the sentinels' password; as [`password_file`](Self::password_file).
    pub fn sentinel_password_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.sentinel_login.password = Some(Password::InFile(path.into()));
        self
    }

    /// The certificate authorities, in PEM, that may vouch for the server, instead of those the system trusts. For
    /// `rediss://`.
    ///
    /// ```no_run
    /// use forebay_redis::Redis;
    ///
    /// let redis = Redis::url("rediss://cache.internal:6380")?.ca_file("/etc/redis/ca.pem");
    /// # Ok::<(), forebay_redis::ConfigError>(())
    /// ```
    #[cfg(feature = "tls")]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.tls.ca_file = Some(path.into());
        self
    }

    /// The certificate to show to the server, and its key, both in PEM, where the server asks for one
    /// (`tls-auth-clients yes`, as it comes). For `rediss://`.
    #[cfg(feature = "tls")]
    pub fn client_certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls.client_files = Some((certificate.into(), key.into()));
        self
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

    /// An invalidation is confirmed only when so many replicas have it as well (`WAIT`), and within this time. Default: the
    /// server's own word is enough.
    ///
    /// With it, what was confirmed survives a failover to a replica that has it, whatever becomes of the instances. While too few
    /// replicas answer, every invalidation takes this long, is [`Unconfirmed`], and is issued again until they do; what
    /// it names is fetched, and not stored in Redis until then. Invalidations have a connection of their own then: nothing else
    /// waits for the replicas.
    ///
    /// [`Unconfirmed`]: forebay_core::instance::InvalidateError::Unconfirmed
    pub fn wait(mut self, replicas: u8, timeout: Duration) -> Self {
        self.wait = Some(Wait { replicas, timeout });
        self
    }

    /// The largest frame that is stored or read, in bytes. Default 8 MiB.
    pub fn max_value(mut self, bytes: usize) -> Self {
        self.max_value = bytes;
        self
    }

    /// Over how many logs the entries are spread, each with its share of them: a power of two up to 256. Default 16 for a
    /// cluster, else 1. All instances of a namespace have to agree; those that do not share nothing.
    ///
    /// More of them spread the load over more nodes, and each costs its polls and connections.
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = Some(shards);
        self
    }

    /// Other configurations whose instances go together with these in one namespace while a deployment rolls from one to the other:
    /// every invalidation is issued in their log as well, and is confirmed when both have it. Entries are not shared. Up to four.
    ///
    /// A configuration is called by 8 hex digits, and by the number of its shards unless that is one: `1a2b3c4d`, `1a2b3c4d/16`.
    /// `Cache::census`, `GET /stats` of `forebay serve` and the log say what one's own is called. It is another one for another wire
    /// version of this crate and another number of [`shards`](Self::shards). It is for another secret, too; such instances cannot go
    /// together.
    ///
    /// Each has to name the other: those that run already, to begin with; instances that come without being named are refused.
    ///
    /// ```
    /// use forebay_redis::Redis;
    ///
    /// let redis = Redis::url("redis://localhost")?.compat_namespaces(["1a2b3c4d", "5e6f7a8b/16"]);
    /// redis.check()?;
    ///
    /// let error = redis.compat_namespaces(["shop"]).check().unwrap_err().to_string();
    /// assert_eq!(error, "redis compat_namespaces \"shop\": 8 hex digits, as in 1a2b3c4d or 1a2b3c4d/16, is accepted");
    /// # Ok::<(), forebay_redis::ConfigError>(())
    /// ```
    pub fn compat_namespaces<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.compat = names.into_iter().map(Into::into).collect();
        self
    }

    /// The configurations that go together with `own`.
    pub(crate) fn compat_with(&self, own: Option<&Digest>) -> Result<Vec<Digest>, ConfigError> {
        let refused = |name: &str, accepted: &str| Err(ConfigError::new("compat_namespaces", name, accepted));
        if self.compat.len() > MAX_COMPAT {
            return refused(&self.compat.len().to_string(), "at most 4 of them");
        }
        let mut read: Vec<Digest> = Vec::with_capacity(self.compat.len());
        for name in &self.compat {
            match Digest::parse(name) {
                None => return refused(&format!("{name:?}"), "8 hex digits, as in 1a2b3c4d or 1a2b3c4d/16,"),
                Some(digest) if read.contains(&digest) => return refused(name, "each of them once"),
                Some(digest) if Some(&digest) == own => {
                    return refused(name, "another one than this instance's own");
                }
                Some(digest) => read.push(digest),
            }
        }
        Ok(read)
    }

    pub(crate) fn shard_count(&self) -> usize {
        let usual = if matches!(self.target, Target::Cluster(_)) { CLUSTER_SHARDS } else { 1 };
        self.shards.unwrap_or(usual)
    }

    /// Checks every setting.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for the first that is out of its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let shards = self.shard_count();
        if !shards.is_power_of_two() || shards > MAX_SHARDS {
            let accepted = format!("a power of two from 1 to {MAX_SHARDS}");
            return Err(ConfigError::new("shards", shards.to_string(), accepted));
        }
        in_range("timeout", self.timeout, ms(1)..=secs(60))?;
        in_range("connect_timeout", self.connect_timeout, ms(10)..=secs(60))?;
        in_range("max_fill", self.max_fill, secs(1)..=secs(24 * 3600))?;
        in_range("retention", self.retention, self.max_fill + secs(60)..=secs(366 * 24 * 3600))?;
        in_range("max_log", self.max_log, 1..=10_000_000)?;
        in_range("max_value", self.max_value, 1024..=256 << 20)?;
        if let Some(wait) = self.wait {
            in_range("wait replicas", wait.replicas, 1..=16)?;
            in_range("wait timeout", wait.timeout, ms(1)..=secs(10))?;
        }
        self.compat_with(None)?;
        let logins = [("password_file", &self.login), ("sentinel_password_file", &self.sentinel_login)];
        for (setting, login) in logins {
            if let (Some(path), Err(error)) = (login.file(), login.read()) {
                let accepted = format!("{error}; a file that can be read and holds a password");
                return Err(ConfigError::new(setting, path.display().to_string(), accepted));
            }
        }
        self.check_tls()
    }

    /// How long one operation may take.
    #[must_use]
    pub fn operation_timeout(&self) -> Duration {
        self.timeout
    }

    #[cfg(feature = "tls")]
    fn check_tls(&self) -> Result<(), ConfigError> {
        let given = [
            ("ca_file", &self.tls.ca_file.as_ref()),
            ("client_certificate", &self.tls.client_files.as_ref().map(|(file, _)| file)),
        ];
        for (setting, file) in given {
            if let (Some(file), Encryption::Plain) = (file, self.encryption) {
                let accepted =
                    "with a URL that begins with rediss:// or rediss-sentinel:// or rediss-cluster:// it";
                return Err(ConfigError::new(setting, file.display().to_string(), accepted));
            }
        }
        self.tls_config().map(drop)
    }

    #[cfg(not(feature = "tls"))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "with the feature it has something to check"
    )]
    fn check_tls(&self) -> Result<(), ConfigError> {
        Ok(())
    }

    /// TLS as it was configured, if it was.
    #[cfg(feature = "tls")]
    pub(crate) fn tls_config(&self) -> Result<Option<fred::types::config::TlsConfig>, ConfigError> {
        if self.encryption == Encryption::Plain {
            return Ok(None);
        }
        self.tls.config().map(Some).map_err(|(setting, file, problem)| {
            ConfigError::new(setting, file.display().to_string(), format!("{problem}; PEM"))
        })
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("server", &self.target.to_string())
            .field("encryption", &self.encryption)
            .field("database", &self.database)
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("retention", &self.retention)
            .field("max_log", &self.max_log)
            .field("max_fill", &self.max_fill)
            .field("max_value", &self.max_value)
            .field("shards", &self.shard_count())
            .field("wait", &self.wait)
            .field("compat_namespaces", &self.compat)
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

/// The most configurations that one goes together with.
const MAX_COMPAT: usize = 4;
/// How many shards a cluster has unless told otherwise.
const CLUSTER_SHARDS: usize = 16;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redis() -> Redis {
        Redis::url("redis://localhost").unwrap()
    }

    #[test]
    fn what_is_no_redis_url_is_refused_with_what_is_wrong_and_what_is_accepted() {
        let error = Redis::url("redis://localhost:99999").unwrap_err().to_string();
        assert_eq!(
            error,
            "redis url \"redis://localhost:99999\": a port is no number from 1 to 65535; \
             redis://[user:password@]host[:port][/database] is accepted"
        );
    }

    #[test]
    #[cfg(not(feature = "tls"))]
    fn tls_without_its_feature_is_refused_by_name() {
        for url in ["rediss://localhost", "rediss-sentinel://localhost/m"] {
            let error = Redis::url(url).unwrap_err().to_string();
            assert!(error.contains("feature `tls`"), "{error}");
        }
    }

    #[test]
    fn a_password_file_that_is_not_there_is_named() {
        let error = redis().sentinel_password_file("/nowhere/at/all").check().unwrap_err();
        assert_eq!(error.setting(), "sentinel_password_file");
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
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
            (redis().shards(0), "shards"),
            (redis().shards(12), "shards"),
            (redis().shards(512), "shards"),
            (redis().max_log(0), "max_log"),
            (redis().max_log(usize::MAX), "max_log"),
            (redis().max_value(0), "max_value"),
            (redis().wait(0, ms(10)), "wait replicas"),
            (redis().wait(1, Duration::ZERO), "wait timeout"),
            (redis().compat_namespaces([""]), "compat_namespaces"),
            (redis().compat_namespaces(["deadbeef", "deadbeef"]), "compat_namespaces"),
            (
                redis().compat_namespaces(["00000001", "00000002", "00000003", "00000004", "00000005"]),
                "compat_namespaces",
            ),
            (redis().max_value(usize::MAX), "max_value"),
        ] {
            let error = redis.check().unwrap_err();
            assert_eq!(error.setting(), setting);
            assert!(error.to_string().contains(" is accepted"), "{error}");
        }
    }
}
