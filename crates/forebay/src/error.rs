//! What can be wrong with a configuration. Nothing here ever reaches a request.

use std::fmt;
#[cfg(feature = "redis")]
use std::time::Duration;

pub use forebay_core::hold::HoldError;
pub use forebay_core::instance::InvalidateError;

/// A setting that cannot be. The message names the setting, the value and what is accepted.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// The namespace.
    Namespace(String),
    /// The name in Cache-Status.
    Name(String),
    /// The prefix of metric names.
    MetricsPrefix(String),
    /// The size of L1.
    L1(forebay_core::l1::L1Error),
    /// A duration.
    Duration(DurationError),
    /// A setting outside of what it accepts.
    Range {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: String,
        /// What it accepts.
        accepted: &'static str,
    },
    /// How entries are kept fresh.
    Upkeep(RouteError),
    /// Redis' address or settings.
    #[cfg(feature = "redis")]
    Redis(forebay_redis::ConfigError),
    /// Redis may take too long for the lease, which four polls have to fit into.
    #[cfg(feature = "redis")]
    RedisTimeout {
        /// How long one operation may take.
        timeout: Duration,
        /// The lease.
        lease: Duration,
    },
    /// `build` was called outside of a tokio runtime.
    Runtime,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace(name) => {
                write!(
                    f,
                    "namespace {name:?}: 1 to 64 characters out of a-z, 0-9, `_`, `.` and `-` are accepted"
                )
            }
            Self::Name(name) => {
                write!(f, "name {name:?}: a cache's name is 1 to 64 printable ASCII characters")
            }
            Self::MetricsPrefix(prefix) => {
                write!(
                    f,
                    "metrics_prefix {prefix:?}: 1 to 64 characters out of a-z, 0-9 and `_` are accepted"
                )
            }
            Self::L1(error) => error.fmt(f),
            Self::Duration(error) => error.fmt(f),
            Self::Upkeep(error) => error.fmt(f),
            Self::Range { setting, value, accepted } => write!(f, "{setting} of {value}: {accepted}"),
            #[cfg(feature = "redis")]
            Self::Redis(error) => error.fmt(f),
            #[cfg(feature = "redis")]
            Self::RedisTimeout { timeout, lease } => {
                let longest = humantime::format_duration(*lease / 4);
                let (timeout, shortest) = (
                    humantime::format_duration(*timeout),
                    humantime::format_duration(timeout.saturating_mul(4)),
                );
                let lease = humantime::format_duration(*lease);
                write!(
                    f,
                    "redis timeout of {timeout} with a lease of {lease}: four polls have to fit into a lease; \
                     a timeout of at most {longest}, or a lease of at least {shortest}, is accepted"
                )
            }
            Self::Runtime => f.write_str("a cache has to be built inside of a tokio runtime"),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::L1(error) => Some(error),
            Self::Duration(error) => Some(error),
            Self::Upkeep(error) => Some(error),
            #[cfg(feature = "redis")]
            Self::Redis(error) => Some(error),
            _ => None,
        }
    }
}

/// Something wrong with what a route, a rule or a handler says about caching.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouteError {
    /// A duration.
    Duration(DurationError),
    /// A template for a tag.
    Template {
        /// The template.
        template: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A template names a parameter that its path does not have.
    UnknownName {
        /// The template.
        template: String,
        /// The parameter.
        name: String,
        /// The path.
        path: String,
    },
    /// A name that is no field name, or one that a key may not hold.
    Vary(String),
    /// A setting outside of what it accepts.
    Range {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: String,
        /// What it accepts.
        accepted: &'static str,
    },
    /// A path pattern of the rules table.
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duration(error) => error.fmt(f),
            Self::Template { template, problem } => write!(f, "template {template:?}: {problem}"),
            Self::UnknownName { template, name, path } => {
                write!(f, "template {template:?}: the path {path:?} has no parameter `{name}`")
            }
            Self::Vary(name) => {
                write!(
                    f,
                    "vary {name:?}: a request field's name is accepted, but not Authorization or Cookie (use vary_by)"
                )
            }
            Self::Range { setting, value, accepted } => write!(f, "{setting} of {value}: {accepted}"),
            Self::Pattern { pattern, problem } => write!(f, "rule for {pattern:?}: {problem}"),
        }
    }
}

impl std::error::Error for RouteError {}

/// Text that is no duration, or a duration that makes no sense here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DurationError {
    setting: &'static str,
    value: String,
}

impl DurationError {
    pub(crate) fn new(setting: &'static str, value: impl Into<String>) -> Self {
        Self { setting, value: value.into() }
    }

    /// What was given.
    pub(crate) fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, value } = self;
        write!(
            f,
            "{setting} of {value:?}: more than 0 and at most a year is accepted, as in \"90s\", \"5m\" or \"1h 30m\""
        )
    }
}

impl std::error::Error for DurationError {}
