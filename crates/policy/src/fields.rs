//! Fields that are taken out of a response before it is stored or sent on.
//!
//! ```
//! use forebay_policy::fields::{strip_set_cookie, strip_surrogate_fields};
//! use forebay_policy::profile::{Policy, SetCookie};
//! use http::{HeaderMap, HeaderValue};
//!
//! let mut policy = Policy::proxy();
//! policy.set_cookie = SetCookie::Strip;
//! let mut response = HeaderMap::new();
//! response.insert("set-cookie", HeaderValue::from_static("session=1"));
//! response.insert("cdn-cache-control", HeaderValue::from_static("max-age=600"));
//! response.insert("cache-groups", HeaderValue::from_static("\"articles\""));
//!
//! strip_set_cookie(&mut response, &policy);
//! strip_surrogate_fields(&mut response, &policy);
//! assert_eq!(response.keys().collect::<Vec<_>>(), ["cache-groups"]);
//! ```

use http::HeaderMap;
use http::header::{HeaderName, SET_COOKIE};

use crate::profile::{Policy, SetCookie, SurrogateFields};

/// Takes the fields that speak to this cache from a response that is to be sent on, where the policy has it so: the targeted
/// fields on its list, Surrogate-Control, Surrogate-Key and Cache-Tag.
///
/// Cache-Groups is for every cache on the way, and stays.
pub fn strip_surrogate_fields(response: &mut HeaderMap, policy: &Policy) {
    if policy.surrogate_fields != SurrogateFields::Strip {
        return;
    }
    //= https://www.rfc-editor.org/rfc/rfc9213#section-2.2
    //# Targeted fields that are not on a cache's target list MUST NOT change that cache's behavior and
    //# MUST be passed through.
    //
    //= https://www.rfc-editor.org/rfc/rfc9213#section-3
    //# However, they MAY remove it when this is undesirable (for example, when
    //# configured to do so because it is known not to be used downstream).
    for name in SURROGATE_FIELDS.iter().chain(&policy.targeted) {
        response.remove(name);
    }
}

/// Takes the cookies from a response that is to be stored, where the policy has it so. The client that asked gets them.
pub fn strip_set_cookie(response: &mut HeaderMap, policy: &Policy) {
    if policy.set_cookie == SetCookie::Strip {
        response.remove(SET_COOKIE);
    }
}

const SURROGATE_FIELDS: [HeaderName; 3] = [
    HeaderName::from_static("surrogate-control"),
    HeaderName::from_static("surrogate-key"),
    HeaderName::from_static("cache-tag"),
];
