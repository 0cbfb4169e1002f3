//! How old a response is when it arrives.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//! use forebay_policy::age::{Times, initial_age};
//! use http::{HeaderMap, HeaderValue, header};
//!
//! let mut response = HeaderMap::new();
//! response.insert(header::AGE, HeaderValue::from_static("30"));
//! let requested = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
//! let received = requested + Duration::from_secs(2);
//!
//! // 30 seconds in the caches behind us, and 2 on the way.
//! assert_eq!(initial_age(&response, Times { requested, received }), Duration::from_secs(32));
//! ```

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::AGE;

use crate::date::date;
use crate::syntax::{MAX_SECONDS, delta_seconds, members};

/// When an exchange with the origin happened, by this instance's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When the request was sent to the origin.
    pub requested: SystemTime,
    /// When the head of the response arrived.
    pub received: SystemTime,
}

/// Returns the age a response already has when it arrives (`corrected_initial_age`).
///
/// Dates have whole seconds, so the fraction of the time of arrival does not count against Date.
#[must_use]
pub fn initial_age(response: &HeaderMap, times: Times) -> Duration {
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.3
    //# the "apparent_age": response_time minus date_value, if the implementation's clock is reasonably
    //# well synchronized to the origin server's clock. If the result is negative, the result is
    //# replaced by zero.
    let apparent_age = date(response, times.received)
        .map_or(Duration::ZERO, |date| since(whole_second(times.received), date));

    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.3
    //# A cache MUST interpret this value relative to the time the request was initiated, not
    //# the time that the response was received.
    let response_delay = since(times.received, times.requested);
    let corrected_age_value = age_value(response).saturating_add(response_delay);

    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.3
    //= type=exception
    //= reason=The more careful calculation is used, which counts what Date says as well.
    //# The corrected_age_value MAY be used as the corrected_initial_age.
    //
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.3
    //# In circumstances where very old cache implementations that might not correctly insert Age are
    //# present, corrected_initial_age can be calculated more conservatively as
    apparent_age.max(corrected_age_value).min(Duration::from_secs(u64::from(MAX_SECONDS)))
}

fn age_value(response: &HeaderMap) -> Duration {
    //= https://www.rfc-editor.org/rfc/rfc9111#section-5.1
    //# Although it is defined as a singleton header field, a cache encountering a message with a
    //# list-based Age field value SHOULD use the first member of the field value, discarding subsequent
    //# ones.
    let first =
        response.get_all(AGE).iter().flat_map(|line| members(line.as_bytes())).find(|m| !m.is_empty());
    //= https://www.rfc-editor.org/rfc/rfc9111#section-5.1
    //# If the field value (after discarding additional members, as per above) is invalid (e.g., it
    //# contains something other than a non-negative integer), a cache SHOULD ignore the field.
    let seconds = first.and_then(delta_seconds).unwrap_or(0);
    Duration::from_secs(u64::from(seconds))
}

/// The time from `earlier` to `later`, zero when the clock went back.
fn since(later: SystemTime, earlier: SystemTime) -> Duration {
    later.duration_since(earlier).unwrap_or(Duration::ZERO)
}

fn whole_second(time: SystemTime) -> SystemTime {
    let fraction = time.duration_since(UNIX_EPOCH).map_or(0, |past| past.subsec_nanos());
    time.checked_sub(Duration::from_nanos(u64::from(fraction))).unwrap_or(time)
}
