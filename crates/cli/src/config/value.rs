//! How the values of settings are read.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use forebay::{Compression, Failover, Redis};
use forebay_policy::profile::SetCookie;
use forebay_policy::status::CacheName;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderName, Uri};
use ipnet::IpNet;
use tracing::level_filters::LevelFilter;

/// A value, or what would be accepted in its place.
pub(super) type Parsed<T> = Result<T, Accepted>;

/// What a setting accepts, as a sentence for the user.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) text: String,
    secret: bool,
}

impl Accepted {
    /// The refused value as it may be shown.
    pub(super) fn shown(&self, value: String) -> String {
        if self.secret { "..".to_owned() } else { value }
    }
}

impl From<&str> for Accepted {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), secret: false }
    }
}

/// Which preset of [`Policy`](forebay::Policy) the settings start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    Proxy,
    Origin,
}

impl Profile {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Origin => "origin",
        }
    }
}

/// Whether responses carry Cache-Status, and under which name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CacheStatus {
    Off,
    Named(String),
}

/// The origin's address. Only plain HTTP is spoken with it.
#[derive(Clone, Debug)]
pub(crate) struct OriginUrl {
    pub(crate) authority: Authority,
}

pub(super) const ORIGIN: &str = "an address such as http://127.0.0.1:8000 is accepted, without a path";

pub(super) fn origin(text: &str) -> Parsed<OriginUrl> {
    let uri: Uri = text.parse().map_err(|_| Accepted::from(ORIGIN))?;
    let parts = uri.into_parts();
    let bare = parts.path_and_query.as_ref().is_none_or(|path| *path == PathAndQuery::from_static("/"));
    match (parts.scheme, parts.authority) {
        (Some(scheme), Some(authority))
            if scheme == Scheme::HTTP
                && bare
                && !authority.host().is_empty()
                && !authority.as_str().contains('@') =>
        {
            Ok(OriginUrl { authority })
        }
        _ => Err(ORIGIN.into()),
    }
}

pub(super) fn address(text: &str) -> Parsed<SocketAddr> {
    text.parse().map_err(|_| "an address and a port such as 127.0.0.1:9100 or [::1]:9100 are accepted".into())
}

pub(super) fn redis(text: &str) -> Parsed<Redis> {
    // The URL may hold a password, so it is not shown.
    Redis::url(text).map_err(|error| Accepted { text: error.to_string(), secret: true })
}

#[expect(clippy::unnecessary_wraps, reason = "it is one of the readers")]
pub(super) fn text(text: &str) -> Parsed<String> {
    Ok(text.to_owned())
}

pub(super) fn path(text: &str) -> Parsed<PathBuf> {
    if text.is_empty() { Err("the path of a file is accepted".into()) } else { Ok(text.into()) }
}

pub(super) fn profile(text: &str) -> Parsed<Profile> {
    match text {
        "proxy" => Ok(Profile::Proxy),
        "origin" => Ok(Profile::Origin),
        _ => Err("proxy or origin is accepted".into()),
    }
}

pub(super) fn set_cookie(text: &str) -> Parsed<SetCookie> {
    match text {
        "refuse" => Ok(SetCookie::Refuse),
        "strip" => Ok(SetCookie::Strip),
        "store" => Ok(SetCookie::Store),
        _ => Err("refuse, strip or store is accepted".into()),
    }
}

pub(super) fn compression(text: &str) -> Parsed<Compression> {
    match text {
        "none" => Ok(Compression::none()),
        "lz4" => Ok(Compression::lz4()),
        _ => Err("none or lz4 is accepted".into()),
    }
}

pub(super) fn failover(text: &str) -> Parsed<Failover> {
    match text {
        "reissue" => Ok(Failover::Reissue),
        "flush" => Ok(Failover::Flush),
        _ => Err("reissue or flush is accepted".into()),
    }
}

pub(super) fn shards(text: &str) -> Parsed<usize> {
    let shards = text.parse().ok().filter(|shards: &usize| shards.is_power_of_two() && *shards <= 256);
    shards.ok_or_else(|| "a power of two from 1 to 256 is accepted".into())
}

pub(super) fn replicas(text: &str) -> Parsed<u8> {
    let replicas = text.parse().ok().filter(|replicas| *replicas <= 16);
    replicas.ok_or_else(|| "a number from 0 to 16 is accepted".into())
}

/// Which names there are, Redis' own settings check.
pub(super) fn configurations(text: &str) -> Parsed<Vec<String>> {
    Ok(members(text).map(str::to_owned).collect())
}

pub(super) fn boolean(text: &str) -> Parsed<bool> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("true or false is accepted".into()),
    }
}

pub(super) fn level(text: &str) -> Parsed<LevelFilter> {
    match text {
        "off" => Ok(LevelFilter::OFF),
        "error" => Ok(LevelFilter::ERROR),
        "warn" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        _ => Err("off, error, warn, info, debug or trace is accepted".into()),
    }
}

pub(super) fn cache_status(text: &str) -> Parsed<CacheStatus> {
    match text {
        "off" => Ok(CacheStatus::Off),
        "on" => Ok(CacheStatus::Named("forebay".to_owned())),
        name if CacheName::new(name).is_ok() => Ok(CacheStatus::Named(name.to_owned())),
        _ => Err("on, off, or a name of 1 to 64 printable ASCII characters is accepted".into()),
    }
}

pub(super) fn field_names(text: &str) -> Parsed<Vec<HeaderName>> {
    let accepted = "field names are accepted, as in CDN-Cache-Control,Surrogate-Control";
    members(text).map(|name| name.parse().map_err(|_| accepted.into())).collect()
}

pub(super) fn networks(text: &str) -> Parsed<Vec<IpNet>> {
    let accepted = "addresses and networks are accepted, as in 10.0.0.0/8,192.0.2.1,fd00::/8";
    let network = |member: &str| member.parse().or_else(|_| member.parse::<IpAddr>().map(IpNet::from));
    members(text).map(|member| network(member).map_err(|_| accepted.into())).collect()
}

/// The members of a list; empty ones do not count.
fn members(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|member| !member.is_empty())
}

pub(super) fn duration(text: &str) -> Parsed<Duration> {
    let parsed = humantime::parse_duration(text).ok().filter(|duration| *duration <= LONGEST);
    parsed.ok_or_else(|| "a time such as 500ms, 2s, 5m or 1h is accepted, at most 365days".into())
}

pub(super) fn negative_ttl(text: &str) -> Parsed<Duration> {
    let parsed = positive(text).ok().filter(|duration| *duration <= Duration::from_secs(60));
    parsed.ok_or_else(|| "a time such as 10s or 1m is accepted, from 1ms to 1m".into())
}

pub(super) fn soft_timeout(text: &str) -> Parsed<Duration> {
    let parsed = positive(text).ok().filter(|duration| *duration <= Duration::from_secs(600));
    parsed.ok_or_else(|| "a time such as 200ms or 2s is accepted, from 1ms to 10m".into())
}

pub(super) fn refresh_ahead(text: &str) -> Parsed<f64> {
    number(text, 0.01..=1.0).ok_or_else(|| "a number from 0.01 to 1 is accepted, as in 0.8".into())
}

pub(super) fn refresh_early(text: &str) -> Parsed<f64> {
    number(text, 0.0..=10.0).ok_or_else(|| "a number from 0 to 10 is accepted, as in 1.0".into())
}

pub(super) fn jitter(text: &str) -> Parsed<f64> {
    number(text, 0.0..=0.5).ok_or_else(|| "a number from 0 to 0.5 is accepted, as in 0.1".into())
}

fn number(text: &str, range: RangeInclusive<f64>) -> Option<f64> {
    text.parse().ok().filter(|number| range.contains(number))
}

pub(super) fn positive(text: &str) -> Parsed<Duration> {
    let parsed = duration(text).ok().filter(|duration| *duration >= Duration::from_millis(1));
    parsed.ok_or_else(|| "a time such as 500ms, 2s, 5m or 1h is accepted, from 1ms to 365days".into())
}

pub(super) fn size(text: &str) -> Parsed<u64> {
    let unit = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let factor = match unit.trim_start() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => 0,
    };
    let bytes =
        number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).filter(|_| factor > 0);
    bytes.ok_or_else(|| "a size such as 65536, 64KiB, 256MiB or 1GiB is accepted".into())
}

/// What L1 accepts is L1's to say; that it must hold its own largest entry is not a matter for this flag's users.
pub(super) fn l1_size(text: &str) -> Parsed<u64> {
    size(text)
        .ok()
        .filter(|bytes| *bytes >= 1 << 20)
        .ok_or_else(|| "a size such as 64MiB or 1GiB is accepted, 1MiB or more".into())
}

pub(super) fn header_size(text: &str) -> Parsed<usize> {
    let bytes = size(text).ok().and_then(|bytes| usize::try_from(bytes).ok());
    let accepted = "a size from 8KiB to 16MiB is accepted";
    bytes.filter(|bytes| (8 << 10..=16 << 20).contains(bytes)).ok_or_else(|| accepted.into())
}

const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
