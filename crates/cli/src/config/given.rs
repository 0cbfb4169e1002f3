//! Where each setting was given, and the settings in force.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use clap::ArgMatches;
use clap::parser::ValueSource;
use forebay::{Compression, Failover, L1, Redis, Upkeep};
use forebay_policy::profile::{Policy, SetCookie};
use http::HeaderName;
use ipnet::IpNet;
use toml::{Table, Value};
use tracing::level_filters::LevelFilter;

use super::error::ConfigError;
use super::token::{Secret, Token};
use super::value::{self, CacheStatus, OriginUrl, Parsed, Profile};
use crate::args::{Serve, settings};

/// What `forebay serve` goes by.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    pub(crate) origin: OriginUrl,
    pub(crate) redis: Option<Redis>,
    pub(crate) namespace: String,
    pub(crate) secret: Option<Secret>,
    pub(crate) compression: Compression,
    pub(crate) profile: Profile,
    pub(crate) policy: Policy,
    pub(crate) upkeep: Upkeep,
    pub(crate) l1: L1,
    pub(crate) lease: Option<Duration>,
    pub(crate) partition_grace: Option<Duration>,
    pub(crate) read_your_writes: bool,
    pub(crate) failover: Failover,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) cache_status: CacheStatus,
    pub(crate) max_body: u64,
    pub(crate) max_header_bytes: usize,
    pub(crate) header_read_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) origin_timeout: Duration,
    pub(crate) origin_idle_timeout: Duration,
    pub(crate) drain_timeout: Duration,
    pub(crate) admin: Option<Admin>,
    pub(crate) log: LevelFilter,
}

/// Where the admin API listens, and for whom.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) listen: SocketAddr,
    pub(crate) token: Token,
}

impl Config {
    /// Reads all settings.
    ///
    /// # Errors
    /// The first [`ConfigError`].
    pub(crate) fn resolve(given: &Serve, matches: &ArgMatches) -> Result<Self, ConfigError> {
        let file = given.config.as_deref().map(File::read).transpose()?;
        let given = Given { matches, file: file.as_ref() };
        let profile = given.or("profile", value::profile, Profile::Proxy)?;
        Ok(Self {
            log: given.or("log", value::level, LevelFilter::WARN)?,
            listen: given.or("listen", value::address, SocketAddr::from(([127, 0, 0, 1], 9100)))?,
            origin: given.parsed("origin", value::origin)?.ok_or(ConfigError::Missing {
                setting: "--origin (FOREBAY_ORIGIN)",
                accepted: value::ORIGIN,
            })?,
            redis: redis(&given)?,
            namespace: given.or("namespace", value::text, "default".to_owned())?,
            secret: secret(&given)?,
            compression: given.or("l2-compression", value::compression, Compression::none())?,
            profile,
            policy: policy(&given, profile)?,
            upkeep: upkeep(&given)?,
            l1: L1::bytes(given.or("l1-bytes", value::l1_size, 256 << 20)?),
            lease: given.parsed("lease", value::duration)?,
            partition_grace: given.parsed("partition-grace", value::duration)?,
            read_your_writes: given.or("read-your-writes", value::boolean, false)?,
            failover: given.or("failover", value::failover, Failover::Reissue)?,
            trusted_proxies: given.or("trusted-proxies", value::networks, Vec::new())?,
            cache_status: given.or(
                "cache-status",
                value::cache_status,
                CacheStatus::Named("forebay".into()),
            )?,
            max_body: given.or("max-body", value::size, 100 << 20)?,
            max_header_bytes: given.or("max-header-bytes", value::header_size, 64 << 10)?,
            header_read_timeout: given.or("header-read-timeout", value::positive, Duration::from_secs(10))?,
            idle_timeout: given.or("idle-timeout", value::positive, Duration::from_secs(60))?,
            origin_timeout: given.or("origin-timeout", value::positive, Duration::from_secs(60))?,
            origin_idle_timeout: given.or("origin-idle-timeout", value::duration, Duration::from_secs(1))?,
            drain_timeout: given.or("drain-timeout", value::duration, Duration::from_secs(30))?,
            admin: admin(&given)?,
        })
    }
}

/// The profile's policy, adjusted by the settings that name a part of it.
fn policy(given: &Given<'_>, profile: Profile) -> Result<Policy, ConfigError> {
    let mut policy = match profile {
        Profile::Proxy => Policy::proxy(),
        Profile::Origin => Policy::origin(),
    };
    policy.set_cookie = given.or("set-cookie", value::set_cookie, SetCookie::Refuse)?;
    policy.store_request_errors = given.or("store-request-errors", value::boolean, false)?;
    if let Some(targeted) = given.parsed::<Vec<HeaderName>>("targeted", value::field_names)? {
        policy.targeted = targeted;
    }
    Ok(policy)
}

/// How entries are kept fresh.
fn upkeep(given: &Given<'_>) -> Result<Upkeep, ConfigError> {
    let mut upkeep = Upkeep::new();
    if let Some(part) = given.parsed("refresh-ahead", value::refresh_ahead)? {
        upkeep = upkeep.refresh_ahead(part);
    }
    if let Some(weight) = given.parsed("refresh-early", value::refresh_early)? {
        upkeep = upkeep.refresh_early(weight);
    }
    if let Some(part) = given.parsed("jitter", value::jitter)? {
        upkeep = upkeep.jitter(part);
    }
    if let Some(ttl) = given.parsed("negative-ttl", value::negative_ttl)? {
        upkeep = upkeep.negative_ttl(ttl);
    }
    if let Some(timeout) = given.parsed("soft-timeout", value::soft_timeout)? {
        upkeep = upkeep.soft_timeout(timeout);
    }
    Ok(upkeep)
}

/// Redis, with the settings that go with it.
fn redis(given: &Given<'_>) -> Result<Option<Redis>, ConfigError> {
    let Some(mut redis) = given.parsed("redis", value::redis)? else {
        for name in REDIS {
            if let Some((setting, value)) = given.find(name)? {
                let accepted = "it goes with --redis (FOREBAY_REDIS), which is missing".to_owned();
                return Err(ConfigError::Value { setting, value, accepted });
            }
        }
        return Ok(None);
    };
    let [password, sentinel_password, authority, certificate, key, timeout, shards, replicas, compat] = REDIS;
    if let Some(file) = given.parsed(password, value::path)? {
        redis = redis.password_file(file);
    }
    if let Some(file) = given.parsed(sentinel_password, value::path)? {
        redis = redis.sentinel_password_file(file);
    }
    if let Some(file) = given.parsed(authority, value::path)? {
        redis = redis.ca_file(file);
    }
    match (given.parsed(certificate, value::path)?, given.parsed(key, value::path)?) {
        (Some(certificate), Some(key)) => redis = redis.client_certificate(certificate, key),
        (None, None) => {}
        (Some(_), None) => {
            return Err(ConfigError::Missing {
                setting: "--redis-key-file (FOREBAY_REDIS_KEY_FILE)",
                accepted: "--redis-certificate-file needs a file with the certificate's key",
            });
        }
        (None, Some(_)) => {
            return Err(ConfigError::Missing {
                setting: "--redis-certificate-file (FOREBAY_REDIS_CERTIFICATE_FILE)",
                accepted: "--redis-key-file needs a file with the key's certificate",
            });
        }
    }
    if let Some(timeout) = given.parsed(timeout, value::positive)? {
        redis = redis.timeout(timeout);
    }
    if let Some(shards) = given.parsed(shards, value::shards)? {
        redis = redis.shards(shards);
    }
    if let Some(replicas) = given.parsed(replicas, value::replicas)?.filter(|replicas| *replicas > 0) {
        redis = redis.wait(replicas, WAIT);
    }
    if let Some(names) = given.parsed(compat, value::configurations)? {
        redis = redis.compat_namespaces(names);
    }
    Ok(Some(redis))
}

/// The admin API: both of its settings, or none.
fn admin(given: &Given<'_>) -> Result<Option<Admin>, ConfigError> {
    let listen = given.parsed("admin-listen", value::address)?;
    let file = given.parsed("admin-token-file", value::path)?;
    match (listen, file) {
        (Some(listen), Some(file)) => Ok(Some(Admin { listen, token: token(&file)? })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(ConfigError::Missing {
            setting: "--admin-token-file (FOREBAY_ADMIN_TOKEN_FILE)",
            accepted: "--admin-listen needs a file with a token of 32 bytes or more",
        }),
        (None, Some(_)) => Err(ConfigError::Missing {
            setting: "--admin-listen (FOREBAY_ADMIN_LISTEN)",
            accepted: "--admin-token-file needs an address such as 127.0.0.1:9190",
        }),
    }
}

fn token(path: &Path) -> Result<Token, ConfigError> {
    read("admin token file", path, Token::new)
}

/// The secret that instances share, if there is one.
fn secret(given: &Given<'_>) -> Result<Option<Secret>, ConfigError> {
    let path = given.parsed("secret-file", value::path)?;
    path.map(|path| read("secret file", &path, Secret::new)).transpose()
}

/// What a file holds that is no setting of its own.
fn read<T>(
    kind: &str,
    path: &Path,
    parse: impl Fn(&[u8]) -> Result<T, &'static str>,
) -> Result<T, ConfigError> {
    let file = format!("{kind} {}", path.display());
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) => return Err(ConfigError::File { file, problem: error.to_string() }),
    };
    parse(&text).map_err(|problem| ConfigError::File { file, problem: problem.to_owned() })
}

/// The settings as they were given.
struct Given<'a> {
    matches: &'a ArgMatches,
    file: Option<&'a File>,
}

impl Given<'_> {
    fn or<T>(&self, name: &str, read: impl Fn(&str) -> Parsed<T>, default: T) -> Result<T, ConfigError> {
        Ok(self.parsed(name, read)?.unwrap_or(default))
    }

    fn parsed<T>(&self, name: &str, read: impl Fn(&str) -> Parsed<T>) -> Result<Option<T>, ConfigError> {
        let Some((setting, text)) = self.find(name)? else { return Ok(None) };
        match read(&text) {
            Ok(value) => Ok(Some(value)),
            Err(accepted) => {
                Err(ConfigError::Value { setting, value: accepted.shown(text), accepted: accepted.text })
            }
        }
    }

    /// The setting as its user knows it, and its value.
    fn find(&self, name: &str) -> Result<Option<(String, String)>, ConfigError> {
        let id = name.replace('-', "_");
        // An empty variable is none: that is how compose files and shells leave one out.
        let source = self.matches.value_source(&id);
        let left_out = |text: &&String| text.is_empty() && source == Some(ValueSource::EnvVariable);
        if let Some(text) = self.matches.get_one::<String>(&id).filter(|text| !left_out(text)) {
            let setting = match source {
                Some(ValueSource::EnvVariable) => format!("FOREBAY_{}", id.to_uppercase()),
                _ => format!("--{name}"),
            };
            return Ok(Some((setting, text.clone())));
        }
        let Some(file) = self.file else { return Ok(None) };
        let Some(value) = file.table.get(name) else { return Ok(None) };
        let setting = format!("{name} in {}", file.path);
        match as_text(value) {
            Some(text) => Ok(Some((setting, text))),
            None => Err(ConfigError::Value {
                setting,
                value: value.type_str().to_owned(),
                accepted: "a text, a number, true, false, or a list of texts is accepted".to_owned(),
            }),
        }
    }
}

/// The file of `--config`.
struct File {
    path: String,
    table: Table,
}

impl File {
    fn read(path: &str) -> Result<Self, ConfigError> {
        let wrong = |problem: String| ConfigError::File { file: format!("config file {path}"), problem };
        let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            wrong(format!("line {line}: {}", error.message().lines().next().unwrap_or_default()))
        })?;
        let known = settings();
        if let Some(unknown) = table.keys().find(|key| !known.contains(key)) {
            return Err(wrong(format!("`{unknown}` is no setting; accepted are {}", known.join(", "))));
        }
        Ok(Self { path: path.to_owned(), table })
    }
}

/// A value of the file as it would stand on the command line.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(is) => Some(is.to_string()),
        Value::Array(members) => {
            let texts: Option<Vec<&str>> = members.iter().map(Value::as_str).collect();
            texts.map(|texts| texts.join(","))
        }
        _ => None,
    }
}

/// The settings that say how Redis is reached, beside its URL.
const REDIS: [&str; 9] = [
    "redis-password-file",
    "redis-sentinel-password-file",
    "redis-ca-file",
    "redis-certificate-file",
    "redis-key-file",
    "redis-timeout",
    "redis-shards",
    "wait-replicas",
    "compat",
];

/// How long an invalidation waits for replicas.
const WAIT: Duration = Duration::from_millis(100);
