//! The settings in force: a flag before a variable before the file before the default.
//!
//! [`given`] finds what was said of a setting and where, [`value`] reads it; [`Config`] is the outcome.

mod error;
mod token;
mod value;
mod given;

pub(crate) use self::error::ConfigError;
pub(crate) use self::given::Config;
pub(crate) use self::token::Token;
pub(crate) use self::value::CacheStatus;
