//! What can be wrong with the settings.

use std::fmt;

/// A setting that cannot be. Its text is one line that names the setting, where it was given, and what is accepted.
#[derive(Debug)]
pub(crate) enum ConfigError {
    /// A value that is not accepted.
    Value {
        /// The setting as it was given: `--lease`, `FOREBAY_LEASE`, or `lease in forebay.toml`.
        setting: String,
        /// Its value.
        value: String,
        /// What is accepted.
        accepted: String,
    },
    /// One that has to be given.
    Missing {
        /// The flag, and the variable.
        setting: &'static str,
        /// What is accepted.
        accepted: &'static str,
    },
    /// A file that cannot be used.
    File {
        /// The setting that names it, and its path.
        file: String,
        /// Why not.
        problem: String,
    },
    /// The cache refuses a setting.
    Cache(forebay::BuildError),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { setting, value, accepted } => write!(f, "{setting} {value:?}: {accepted}"),
            Self::Missing { setting, accepted } => write!(f, "{setting} is missing: {accepted}"),
            Self::File { file, problem } => write!(f, "{file}: {problem}"),
            Self::Cache(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Cache(error) => Some(error),
            _ => None,
        }
    }
}
