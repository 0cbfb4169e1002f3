//! Fields of a message on its way through an intermediary.

use forebay_policy::fields::strip_hop_by_hop;
use http::header::{
    CONNECTION, COOKIE, EXPECT, HeaderName, MAX_FORWARDS, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, response};

use super::forwarded::{self, Trust};
use super::refusal::Refusal;
use super::target::{self, Named};

/// What becomes of a request that has arrived.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It goes to the cache.
    Goes,
    /// It is meant for this proxy itself.
    Here,
    /// It goes no further.
    Refused(Refusal),
}

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) address: HeaderValue,
    pub(super) trust: Trust,
}

/// Makes of a request what the cache and the origin shall see.
pub(super) fn arrive(parts: &mut Parts, peer: &Peer) -> Arrival {
    let refused = check(parts, peer).err();
    if let Some(refusal) = refused {
        return Arrival::Refused(refusal);
    }
    if is_for_us(parts) {
        return Arrival::Here;
    }
    let upgrade = wanted_upgrade(parts);
    strip(&mut parts.headers);
    if let Some(upgrade) = upgrade {
        set_upgrade(&mut parts.headers, upgrade);
    }
    if parts.version == Version::HTTP_2 {
        join_cookies(&mut parts.headers);
    }
    if !parts.method.is_safe() {
        // Which other URLs the answer invalidates depends on it.
        let scheme = forwarded::scheme(&parts.headers);
        parts.extensions.insert(scheme);
    }
    forwarded::add_peer(&mut parts.headers, &peer.address);
    parts.headers.append(VIA, via(parts.version));
    Arrival::Goes
}

fn check(parts: &mut Parts, peer: &Peer) -> Result<(), Refusal> {
    let named = target::settle(parts)?;
    if peer.trust == Trust::Stranger && forwarded::has_claims(&parts.headers) {
        forwarded::drop_claims(&mut parts.headers);
    }
    match (named, peer.trust) {
        (Named::Https, Trust::Stranger) => return Err(Refusal::Misdirected),
        (Named::Https, Trust::Trusted) if !parts.headers.contains_key(forwarded::X_FORWARDED_PROTO) => {
            parts.headers.insert(forwarded::X_FORWARDED_PROTO, HeaderValue::from_static("https"));
        }
        _ => {}
    }
    let mut codings = parts.headers.get_all(TRANSFER_ENCODING).iter();
    if codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err(Refusal::Coding);
    }
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.6
    //# An intermediary MUST NOT forward a message to itself unless it is protected from an infinite request
    //# loop.
    if visits(&parts.headers) >= MAX_VISITS {
        return Err(Refusal::Loop);
    }
    //= https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1
    //# A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that
    //# expectation.
    if parts.version < Version::HTTP_11 {
        parts.headers.remove(EXPECT);
    }
    //= https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1
    //# A server that receives an Expect field value containing a member other than 100-continue MAY
    //# respond with a 417 (Expectation Failed) status code to indicate that the unexpected expectation
    //# cannot be met.
    let mut expectations = parts.headers.get_all(EXPECT).iter();
    if expectations.any(|expectation| !expectation.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return Err(Refusal::Expectation);
    }
    Ok(())
}

/// Whether a TRACE or OPTIONS has come as far as it may; if not, one step less is left to it.
fn is_for_us(parts: &mut Parts) -> bool {
    if parts.method != Method::TRACE && parts.method != Method::OPTIONS {
        return false;
    }
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.6.2
    //# Each intermediary that receives a TRACE or OPTIONS request containing a Max-Forwards header field
    //# MUST check and update its value prior to forwarding the request. If the received value is zero (0),
    //# the intermediary MUST NOT forward the request; instead, the intermediary MUST respond as the final
    //# recipient.
    let steps = parts.headers.get(MAX_FORWARDS).and_then(|steps| steps.to_str().ok());
    let Some(steps) =
        steps.filter(|steps| !steps.is_empty() && steps.bytes().all(|byte| byte.is_ascii_digit()))
    else {
        return false;
    };
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.6.2
    //# If the received Max-Forwards value is greater than zero, the intermediary MUST generate
    //# an updated Max-Forwards field in the forwarded message with a field value that is the lesser of a)
    //# the received value decremented by one (1) or b) the recipient's maximum supported value for
    //# Max-Forwards.
    let left = steps.parse().unwrap_or(u32::MAX).checked_sub(1);
    if let Some(left) = left {
        parts.headers.insert(MAX_FORWARDS, HeaderValue::from(left));
    }
    left.is_none()
}

/// The protocols that the client would rather speak, where it may be let through to them.
///
/// Only a GET: an answer to another method may change what is stored, and the cache has to see it. Never `h2c`: requests
/// in such a tunnel would pass the cache and everything here unseen.
fn wanted_upgrade(parts: &Parts) -> Option<HeaderValue> {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.8
    //# A server that receives an Upgrade header field in an HTTP/1.0 request MUST ignore that Upgrade field.
    if parts.method != Method::GET || parts.version != Version::HTTP_11 {
        return None;
    }
    let wanted = parts.headers.get(UPGRADE)?;
    let single = parts.headers.get_all(UPGRADE).iter().nth(1).is_none();
    let h2c = members(wanted).any(|protocol| protocol.to_ascii_lowercase().starts_with(b"h2c"));
    let asked = has_member(&parts.headers, CONNECTION, b"upgrade");
    (single && asked && !h2c).then(|| wanted.clone())
}

/// Takes out of a message what is meant for this hop. Trailer stays: it tells of the message, and trailers do pass.
pub(super) fn strip(fields: &mut HeaderMap) {
    if !fields.keys().any(belongs_to_the_hop) {
        return;
    }
    let trailers = has_member(fields, TE, b"trailers");
    let named = has_member(fields, CONNECTION, b"trailer");
    let announced: Vec<HeaderValue> =
        if named { vec![] } else { fields.get_all(TRAILER).iter().cloned().collect() };
    strip_hop_by_hop(fields);
    fields.extend(announced.into_iter().map(|names| (TRAILER, names)));
    if trailers {
        fields.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Takes out of an origin's answer what was meant for this hop, and adds what an intermediary adds.
pub(super) fn passed_on(head: &mut response::Parts, now: impl FnOnce() -> HeaderValue) {
    let upgrade = match head.status {
        //= https://www.rfc-editor.org/rfc/rfc9110#section-7.8
        //# A server that sends a 426 (Upgrade Required) response MUST send an Upgrade header field to
        //# indicate the acceptable protocols, in order of descending preference.
        StatusCode::SWITCHING_PROTOCOLS | StatusCode::UPGRADE_REQUIRED => head.headers.get(UPGRADE).cloned(),
        _ => None,
    };
    strip(&mut head.headers);
    head.headers.remove(TE);
    if let Some(upgrade) = upgrade {
        set_upgrade(&mut head.headers, upgrade);
    }
    //= https://www.rfc-editor.org/rfc/rfc9110#section-6.6.1
    //# A recipient with a clock that receives a response message without a Date header field MUST record
    //# the time it was received and append a corresponding Date header field to the message's header
    //# section if it is cached or forwarded downstream.
    if !head.headers.contains_key(http::header::DATE) {
        head.headers.insert(http::header::DATE, now());
    }
    head.headers.append(VIA, via(head.version));
}

fn set_upgrade(fields: &mut HeaderMap, protocols: HeaderValue) {
    fields.insert(UPGRADE, protocols);
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.8
    //# A sender of Upgrade MUST also send an "Upgrade" connection option in the Connection header field (
    //# Section 7.6.1) to inform intermediaries not to forward this field.
    fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
}

/// A Cookie that HTTP/2 has cut up into crumbs is one field again for HTTP/1.1.
fn join_cookies(fields: &mut HeaderMap) {
    if fields.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = fields.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        fields.insert(COOKIE, whole);
    }
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-7.6.3
//# A proxy MUST send an appropriate Via header field, as described below, in each message that it
//# forwards. An HTTP-to-HTTP gateway MUST send an appropriate Via header field in each inbound request
//# message and MAY send a Via header field in forwarded response messages.
fn via(received: Version) -> HeaderValue {
    HeaderValue::from_static(match received {
        Version::HTTP_2 => "2 forebay",
        Version::HTTP_10 => "1.0 forebay",
        _ => "1.1 forebay",
    })
}

/// How often a request has come through a proxy of this name. Several in a row are as well as any other.
fn visits(fields: &HeaderMap) -> usize {
    let ours = |member: &&[u8]| member.split(|byte| *byte == b' ').nth(1) == Some(b"forebay");
    fields.get_all(VIA).iter().flat_map(members).filter(ours).count()
}

/// Whether a list field has this member. Case does not matter, and neither do parameters.
pub(super) fn has_member(fields: &HeaderMap, name: HeaderName, wanted: &[u8]) -> bool {
    let plain =
        |member: &[u8]| member.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii().to_vec();
    fields.get_all(name).iter().flat_map(members).any(|member| plain(member).eq_ignore_ascii_case(wanted))
}

fn members(line: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

/// More proxies of this name than anybody puts one behind the other.
const MAX_VISITS: usize = 10;

/// Whether this is one of the fields of which at least one stands in every message that has something to take out. A pass
/// over the names that are there costs less than to look up each that could be.
fn belongs_to_the_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}
