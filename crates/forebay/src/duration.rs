//! Durations as users write them.

use std::time::Duration;

use crate::error::DurationError;

/// A [`Duration`], or text such as `"90s"`, `"5m"` or `"1h 30m"`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no duration",
    label = "expected `Duration` or text such as \"5m\""
)]
pub trait IntoDuration {
    /// The duration for `setting`.
    ///
    /// # Errors
    /// [`DurationError`] when the text cannot be read, or the duration is zero or longer than a year.
    fn into_duration(self, setting: &'static str) -> Result<Duration, DurationError>;
}

impl IntoDuration for Duration {
    fn into_duration(self, setting: &'static str) -> Result<Duration, DurationError> {
        if self.is_zero() || self > YEAR {
            return Err(DurationError::new(setting, humantime::format_duration(self).to_string()));
        }
        Ok(self)
    }
}

impl IntoDuration for &str {
    fn into_duration(self, setting: &'static str) -> Result<Duration, DurationError> {
        let refuse = || DurationError::new(setting, self);
        let parsed = humantime::parse_duration(self).map_err(|_| refuse())?;
        // The error shows what was written, not how it was read.
        parsed.into_duration(setting).map_err(|_| refuse())
    }
}

const YEAR: Duration = Duration::from_secs(366 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_checked_and_the_error_names_setting_value_and_form() {
        assert_eq!("1h 30m".into_duration("ttl"), Ok(Duration::from_secs(5400)));
        for bad in ["", "5", "soon", "0s", "800days", "-1s"] {
            let error = bad.into_duration("ttl").unwrap_err().to_string();
            assert!(error.contains("ttl") && error.contains(bad) && error.contains("\"5m\""), "{error}");
        }
    }
}
