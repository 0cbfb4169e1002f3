//! What a request is for: one Host, and a target in origin form. Path and query stay byte for byte.

use http::header::HOST;
use http::request::Parts;
use http::uri::{self, Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Method, Uri, Version};

use super::refusal::Refusal;

/// The scheme that the target names, where it names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Nothing,
    Http,
    Https,
}

/// Brings the target into origin form, with its authority in Host. A request of any version and form for one resource then
/// looks alike to the cache and to the origin.
///
/// # Errors
/// A [`Refusal`] for what names no resource, or could be taken for two.
pub(super) fn settle(parts: &mut Parts) -> Result<Named, Refusal> {
    if parts.method == Method::CONNECT {
        return Err(Refusal::Connect);
    }
    //= https://www.rfc-editor.org/rfc/rfc9112#section-3
    //# A server that receives a request-target longer than any URI it wishes to parse MUST respond with a
    //# 414 (URI Too Long) status code (see Section 15.5.15 of [HTTP]).
    if parts.uri.path_and_query().is_some_and(|target| target.as_str().len() > MAX_TARGET) {
        return Err(Refusal::TargetLength);
    }
    let named = match parts.uri.scheme() {
        None => Named::Nothing,
        Some(scheme) if *scheme == Scheme::HTTP => Named::Http,
        Some(scheme) if *scheme == Scheme::HTTPS => Named::Https,
        Some(_) => return Err(Refusal::Target),
    };
    match parts.uri.authority() {
        Some(_) if named == Named::Nothing => return Err(Refusal::Target),
        Some(authority) => {
            //= https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2
            //# When a proxy receives a request with an absolute-form of request-target, the proxy MUST ignore the
            //# received Host header field (if any) and instead replace it with the host information of the
            //# request-target.
            let host = HeaderValue::from_str(plain(authority.as_str())?).map_err(|_| Refusal::Host)?;
            let path = parts.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
            parts.headers.insert(HOST, host);
            parts.uri = origin_form(path)?;
        }
        None => check_host(parts)?,
    }
    match parts.uri.path() {
        path if path.starts_with('/') => Ok(named),
        "*" if parts.method == Method::OPTIONS => Ok(named),
        _ => Err(Refusal::Target),
    }
}

/// One Host that is a host's name, or none where HTTP/1.0 knew none.
fn check_host(parts: &Parts) -> Result<(), Refusal> {
    //= https://www.rfc-editor.org/rfc/rfc9112#section-3.2
    //# A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that
    //# lacks a Host header field and to any request message that contains more than one Host header field
    //# line or a Host header field with an invalid field value.
    let mut lines = parts.headers.get_all(HOST).iter();
    match (lines.next(), lines.next()) {
        (Some(host), None) => plain(host.to_str().map_err(|_| Refusal::Host)?).map(drop),
        (None, _) if parts.version < Version::HTTP_11 => Ok(()),
        _ => Err(Refusal::Host),
    }
}

/// An authority without user information, which no request has a use for.
fn plain(text: &str) -> Result<&str, Refusal> {
    let ordinary = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let (host, port) = text.split_once(':').unwrap_or((text, ""));
    let simple = !host.is_empty()
        && host.bytes().all(|byte| ordinary(&byte))
        && port.bytes().all(|byte| byte.is_ascii_digit());
    let accepted =
        simple || text.parse::<Authority>().is_ok_and(|name| !name.host().is_empty() && !text.contains('@'));
    accepted.then_some(text).ok_or(Refusal::Host)
}

fn origin_form(path: PathAndQuery) -> Result<Uri, Refusal> {
    let mut parts = uri::Parts::default();
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).map_err(|_| Refusal::Target)
}

/// Longer than what clients and origins take; shorter than the head of a request may be.
const MAX_TARGET: usize = 32 << 10;
