//! Fields that are taken out of a response before it is stored or sent on.
//!
//! ```
//! use forebay_policy::fields::{strip_set_cookie, take_surrogate_fields};
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
//! let taken = take_surrogate_fields(&mut response, &policy);
//! assert_eq!(taken.keys().collect::<Vec<_>>(), ["cdn-cache-control"]);
//! assert_eq!(response.keys().collect::<Vec<_>>(), ["cache-groups"]);
//! ```

use http::HeaderMap;
use http::header::{
    AGE, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE, ETAG, EXPIRES,
    HOST, HeaderName, LAST_MODIFIED, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, VARY,
};

use crate::profile::{Policy, SetCookie, SurrogateFields};
use crate::syntax::members;

/// Takes the fields that speak to this cache from a response that is to be sent on, where the policy has it so: the targeted
/// fields on its list, Surrogate-Control, Surrogate-Key and Cache-Tag.
///
/// Cache-Groups is for every cache on the way, and stays.
pub fn strip_surrogate_fields(response: &mut HeaderMap, policy: &Policy) {
    drop(take_surrogate_fields(response, policy));
}

/// Does the same, and returns what it has taken. Costs no allocation where there is nothing to take.
pub fn take_surrogate_fields(response: &mut HeaderMap, policy: &Policy) -> HeaderMap {
    let mut taken = HeaderMap::new();
    if policy.surrogate_fields != SurrogateFields::Strip {
        return taken;
    }
    //= https://www.rfc-editor.org/rfc/rfc9213#section-2.2
    //# Targeted fields that are not on a cache's target list MUST NOT change that cache's behavior and
    //# MUST be passed through.
    //
    //= https://www.rfc-editor.org/rfc/rfc9213#section-3
    //# However, they MAY remove it when this is undesirable (for example, when
    //# configured to do so because it is known not to be used downstream).
    for name in SURROGATE_FIELDS.iter().chain(&policy.targeted) {
        if response.contains_key(name) {
            taken.extend(response.get_all(name).iter().map(|line| (name.clone(), line.clone())));
            response.remove(name);
        }
    }
    taken
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

/// Takes the fields that belong to the connection from a response that is to be stored.
///
/// Call it after [`storability`](crate::storable::storability): what Connection names must not be able to hide from the judgement.
pub fn strip_hop_by_hop(response: &mut HeaderMap) {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
    //# Intermediaries MUST parse a received Connection header field before a message is forwarded and, for
    //# each connection-option in this field, remove any header or trailer field(s) from the message with
    //# the same name as the connection-option, and then remove the Connection header field itself (or
    //# replace it with the intermediary's own control options for the forwarded message).
    let lines = response.get_all(CONNECTION).iter();
    let options = lines.flat_map(|line| members(line.as_bytes()));
    let named: Vec<_> = options.filter_map(|option| HeaderName::from_bytes(option).ok()).collect();
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
    //= type=exception
    //= reason=Who can write Connection must not be able to turn a stored response into another one.
    //# A sender MUST NOT send a connection option corresponding to a field that is intended for all
    //# recipients of the content.
    for name in named.iter().filter(|name| !END_TO_END.contains(name)) {
        response.remove(name);
    }
    //= https://www.rfc-editor.org/rfc/rfc9111#section-3.1
    //# Header fields that are specific to the proxy that a cache uses when forwarding a request MUST
    //# NOT be stored, unless the cache incorporates the identity of the proxy into the cache key.
    for name in HOP_BY_HOP {
        response.remove(name);
    }
}

/// Fields that no Connection field can remove: they frame the message, or caching rests on them.
const END_TO_END: [HeaderName; 12] = [
    AGE,
    CACHE_CONTROL,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    DATE,
    ETAG,
    EXPIRES,
    HOST,
    LAST_MODIFIED,
    SET_COOKIE,
    VARY,
];

const HOP_BY_HOP: [HeaderName; 10] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-authentication-info"),
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];
