//! Who the client is and what it has asked for, as said by the proxies in front.

use std::net::IpAddr;

use forebay_policy::facts::is_routing_field;
use http::header::{HOST, HeaderName};
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;

/// Whether what a peer says of others is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    Trusted,
    Stranger,
}

impl Trust {
    /// A peer is trusted if one of the networks has it.
    pub(super) fn of(peer: IpAddr, networks: &[IpNet]) -> Self {
        // A listener for both families shows IPv4 peers as IPv6 ones.
        let peer = peer.to_canonical();
        if networks.iter().any(|network| network.contains(&peer)) { Self::Trusted } else { Self::Stranger }
    }
}

/// Takes out what a stranger says of where the request came from and how it was routed: nobody but a trusted proxy can
/// know, and the origin believes it.
pub(super) fn drop_claims(fields: &mut HeaderMap) {
    let claims: Vec<HeaderName> = fields.keys().filter(|name| is_claim(name)).cloned().collect();
    for name in claims {
        fields.remove(name);
    }
}

/// Whether any field is such a claim. Most requests have none.
pub(super) fn has_claims(fields: &HeaderMap) -> bool {
    fields.keys().any(is_claim)
}

fn is_claim(name: &HeaderName) -> bool {
    let text = name.as_str();
    CLIENT_ADDRESS.contains(&text) || (is_routing_field(name) && !is_from_page(text))
}

/// Fields that a framework's own pages send from the browser. Without them the pages do not work; with them the cache
/// keeps the answers apart, so that nobody chooses another's.
fn is_from_page(name: &str) -> bool {
    FROM_PAGES.contains(&name) || name.starts_with("next-router-")
}

/// By which scheme the request was made: what a trusted proxy says, else that of this listener. A stranger's word is gone by now.
pub(super) fn scheme(fields: &HeaderMap) -> Scheme {
    let said = fields.get(X_FORWARDED_PROTO).map(HeaderValue::as_bytes);
    if said.is_some_and(|said| said.eq_ignore_ascii_case(b"https")) { Scheme::HTTPS } else { Scheme::HTTP }
}

/// Adds the peer to X-Forwarded-For. The cache does not key this field, so it can be added in front of it, where the peer is
/// known.
pub(super) fn add_peer(fields: &mut HeaderMap, peer: &HeaderValue) {
    let Some(before) = fields.get(X_FORWARDED_FOR) else {
        fields.insert(X_FORWARDED_FOR, peer.clone());
        return;
    };
    // Several lines are one list.
    let mut list = before.as_bytes().to_vec();
    for line in fields.get_all(X_FORWARDED_FOR).iter().skip(1).chain([peer]) {
        list.extend_from_slice(b", ");
        list.extend_from_slice(line.as_bytes());
    }
    let list = HeaderValue::from_bytes(&list).unwrap_or_else(|_| peer.clone());
    fields.insert(X_FORWARDED_FOR, list);
}

/// Says for which host and by which scheme the request came, where no trusted proxy has said it. These are set behind the
/// cache, which keys them: what is the same for all needs no place in a key.
pub(super) fn add_routing(fields: &mut HeaderMap) {
    if !fields.contains_key(X_FORWARDED_HOST) {
        fields.extend(fields.get(HOST).cloned().map(|host| (X_FORWARDED_HOST, host)));
    }
    if !fields.contains_key(X_FORWARDED_PROTO) {
        fields.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
    }
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

const CLIENT_ADDRESS: [&str; 9] = [
    "cf-connecting-ip",
    "client-ip",
    "fastly-client-ip",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forwarded-for",
    "x-original-forwarded-for",
    "x-real-ip",
];

const FROM_PAGES: [&str; 5] = ["next-action", "next-hmr-refresh", "next-url", "rsc", "x-nextjs-data"];
