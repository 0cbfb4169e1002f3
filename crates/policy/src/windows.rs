//! For how long past its freshness a stored response is of use, and for what.
//!
//! ```
//! use std::time::Duration;
//! use forebay_policy::windows::{Stale, Validation, Windows};
//!
//! let mut windows = Windows::default();
//! assert_eq!((windows.stale, windows.keep), (Stale::Forbidden, Duration::ZERO));
//! windows.stale = Stale::Permitted;
//! windows.refresh = Duration::from_secs(30);
//! windows.keep = Duration::from_secs(600);
//!
//! // What L2 keeps of it.
//! assert_eq!(Windows::from_numbers(windows.to_numbers()), Some(windows));
//! ```

use std::time::Duration;

use crate::directives::CacheControl;
use crate::freshness::{Granted, Source};
use crate::profile::Policy;
use crate::syntax::MAX_SECONDS;

/// For how long past its freshness a stored response is of use, and for what.
///
/// The default is a response that is of none.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    /// It answers while it is being refreshed (`stale-while-revalidate`).
    pub refresh: Duration,
    /// It answers when the origin says 500, 502, 503 or 504 or cannot be reached (`stale-if-error`).
    pub error: Duration,
    /// It answers when the origin cannot be reached. At least [`error`](Self::error).
    pub unreachable: Duration,
    /// It is kept: the longest of the others, and longer when it can be validated.
    pub keep: Duration,
    /// Whether it may answer when it is stale at all, for instance because the client allows that.
    pub stale: Stale,
    /// When it has to be validated.
    pub validation: Validation,
}

/// Whether a stale response may answer.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Stale {
    /// Never: the response forbids it. The windows for it are zero.
    #[default]
    Forbidden,
    /// Where somebody permits it.
    Permitted,
}

/// When a stored response has to be validated before it answers.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Validation {
    /// Once it is stale.
    #[default]
    WhenStale,
    /// Every time (`no-cache`). Its freshness is zero.
    Always,
}

impl Windows {
    /// The default, as a constant.
    pub(crate) const NONE: Self = Self {
        refresh: Duration::ZERO,
        error: Duration::ZERO,
        unreachable: Duration::ZERO,
        keep: Duration::ZERO,
        stale: Stale::Forbidden,
        validation: Validation::WhenStale,
    };

    /// Puts together again what L2 kept; `None` for numbers that no response has.
    #[must_use]
    pub fn from_numbers(numbers: [u32; 5]) -> Option<Self> {
        let [refresh, error, unreachable, keep, rules] = numbers;
        let (stale, validation) = match rules {
            0 => (Stale::Forbidden, Validation::WhenStale),
            1 => (Stale::Permitted, Validation::WhenStale),
            2 => (Stale::Forbidden, Validation::Always),
            _ => return None,
        };
        let longest = refresh.max(error).max(unreachable);
        let unused = stale == Stale::Permitted || longest == 0;
        let ordered = error <= unreachable && longest <= keep && keep <= MAX_SECONDS;
        (unused && ordered).then(|| Self {
            refresh: seconds(refresh),
            error: seconds(error),
            unreachable: seconds(unreachable),
            keep: seconds(keep),
            stale,
            validation,
        })
    }

    /// What L2 keeps, in whole seconds. The order is stable.
    #[must_use]
    pub fn to_numbers(&self) -> [u32; 5] {
        let rules = match (self.validation, self.stale) {
            (Validation::Always, _) => 2,
            (Validation::WhenStale, Stale::Permitted) => 1,
            (Validation::WhenStale, Stale::Forbidden) => 0,
        };
        [whole(self.refresh), whole(self.error), whole(self.unreachable), whole(self.keep), rules]
    }

    /// The windows of a response, and of one whose freshness came from `source`.
    pub(crate) fn of(
        directives: &CacheControl,
        granted: Granted,
        source: Source,
        policy: &Policy,
        validator: Validator,
    ) -> Self {
        //= https://www.rfc-editor.org/rfc/rfc9111#section-4
        //# the stored response does not contain the no-cache directive (Section 5.2.2.4), unless it is
        //# successfully validated (Section 4.3), and
        //
        //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.4
        //# The no-cache response directive, in its unqualified form (without an argument), indicates that
        //# the response MUST NOT be used to satisfy any other request without forwarding it for
        //# validation and receiving a successful response; see Section 4.3.
        let validation = if directives.no_cache { Validation::Always } else { Validation::WhenStale };
        let kept = if validator == Validator::Present { limited(policy.keep_stale) } else { Duration::ZERO };
        if forbidden(directives, source) {
            return Self { keep: kept, validation, ..Self::default() };
        }
        let refresh =
            granted_or_said(granted.stale_while_revalidate, directives.stale_while_revalidate, source);
        //= https://www.rfc-editor.org/rfc/rfc5861#section-4
        //# The stale-if-error Cache-Control extension indicates that when an error is encountered, a cached
        //# stale response MAY be used to satisfy the request, regardless of other freshness information.
        let error = granted_or_said(granted.stale_if_error, directives.stale_if_error, source);
        let error = error.min(LONGEST_ERROR);
        //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.4
        //# A cache MUST NOT generate a stale response unless it is disconnected or doing so is explicitly
        //# permitted by the client or origin server (e.g., by the max-stale request directive in Section 5.2.1
        //# , extension directives such as those defined in [RFC5861], or configuration in accordance with an
        //# out-of-band contract).
        let unreachable = error.max(limited(policy.stale_when_unreachable));
        let keep = refresh.max(unreachable).max(kept);
        Self { refresh, error, unreachable, keep, stale: Stale::Permitted, validation }
    }
}

/// Whether a response has a validator, by which a later answer can say that it still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validator {
    Present,
    Absent,
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.4
//# A cache MUST NOT generate a stale response if it is prohibited by an explicit in-protocol directive
//# (e.g., by a no-cache response directive, a must-revalidate response directive, or an applicable
//# s-maxage or proxy-revalidate response directive; see Section 5.2.2).
fn forbidden(directives: &CacheControl, source: Source) -> bool {
    //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.10
    //# The s-maxage directive incorporates the semantics of the proxy-revalidate response directive (
    //# Section 5.2.2.8) for a shared cache.
    //
    //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.10
    //# A shared cache MUST NOT reuse a stale response with s-maxage to satisfy another request until it has
    //# been successfully validated by the origin, as defined by Section 4.3.
    //
    // It applies unless the handler has given another time in its place.
    let s_maxage = directives.s_maxage.is_some() && source != Source::Handler;
    //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.2
    //# The must-revalidate response directive indicates that once the response has become stale, a cache
    //# MUST NOT reuse that response to satisfy another request until it has been successfully validated
    //# by the origin, as defined by Section 4.3.
    //
    //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.8
    //# The proxy-revalidate response directive indicates that once the response has become stale, a
    //# shared cache MUST NOT reuse that response to satisfy another request until it has been
    //# successfully validated by the origin, as defined by Section 4.3.
    //
    //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.10
    //# A shared cache MUST NOT reuse a stale response with s-maxage to satisfy another request until it
    //# has been successfully validated by the origin, as defined by Section 4.3.
    directives.must_revalidate || directives.proxy_revalidate || directives.no_cache || s_maxage
}

/// Who gave the freshness is asked first for the window.
fn granted_or_said(granted: Option<Duration>, said: Option<u32>, source: Source) -> Duration {
    let said = said.map(seconds);
    let first = match source {
        Source::Handler | Source::Route => granted.or(said),
        Source::CacheControl | Source::Expires | Source::Heuristic => said.or(granted),
    };
    limited(first.unwrap_or(Duration::ZERO))
}

const fn seconds(number: u32) -> Duration {
    Duration::from_secs(number as u64)
}

/// L2 keeps whole seconds, so a window has whole seconds everywhere.
fn limited(duration: Duration) -> Duration {
    seconds(whole(duration))
}

fn whole(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(MAX_SECONDS).min(MAX_SECONDS)
}

/// The longest that errors are covered up: an origin that fails for longer should be seen to.
const LONGEST_ERROR: Duration = seconds(24 * 60 * 60);
