//! The key of a request.

use forebay_core::key::{KeyEncoder, PATH, TooLong};
use forebay_policy::facts::{Fact, RequestFacts, is_routing_field};
use forebay_policy::variant::{Vary, write_field};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Uri};

use crate::axum::asked_for;
use crate::hub::{Authority, Hub};
use crate::route::{Partition, Route};

/// Why a request has no key: it is not cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyless {
    NoAuthority,
    AuthorityMismatch,
    NoPrincipal,
    LongQuery,
    TooLong,
    Path,
}

impl Keyless {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::NoAuthority => "no-authority",
            Self::AuthorityMismatch => "authority-mismatch",
            Self::NoPrincipal => "no-principal",
            Self::LongQuery => "query-too-long",
            Self::TooLong => "key-too-long",
            Self::Path => "path-form",
        }
    }
}

impl From<TooLong> for Keyless {
    fn from(_: TooLong) -> Self {
        Self::TooLong
    }
}

/// The canonical primary key of a request. What it holds is what the handler gets: path and query go in byte for byte, as
/// the client asked for them and, where a router in between has shortened them, also as they are now; or with the `filtered`
/// query instead. Written in place: a `KeyEncoder` is too large to be handed around.
pub(super) fn primary(
    key: &mut KeyEncoder,
    hub: &Hub,
    route: &Route,
    facts: RequestFacts,
    parts: &Parts,
    host: Option<&HeaderValue>,
    filtered: Option<&str>,
) -> Result<Partition, Keyless> {
    key.field(AUTHORITY, authority(hub, &parts.uri, host)?)?;
    let asked = asked_for(parts);
    let path = asked.path();
    // `*` and the empty path of CONNECT name no resource.
    if !path.starts_with('/') {
        return Err(Keyless::Path);
    }
    key.field(PATH, path.as_bytes())?;
    if let Some(query) = query(asked, filtered) {
        if query.len() > hub.limits.query {
            return Err(Keyless::LongQuery);
        }
        key.field(QUERY, query.as_bytes())?;
    }
    if parts.uri.path() != path {
        key.field(LOCAL_PATH, parts.uri.path().as_bytes())?;
    }
    if filtered.is_none() && parts.uri.query() != asked.query() {
        key.field(LOCAL_QUERY, parts.uri.query().unwrap_or_default().as_bytes())?;
    }
    if let Some(scheme) = parts.uri.scheme_str() {
        key.field(SCHEME, scheme.as_bytes())?;
    }
    if facts.has(Fact::Routing) {
        for (name, value) in parts.headers.iter().filter(|(name, _)| is_routing_field(name)) {
            key.field(ROUTING_NAME, name.as_str().as_bytes())?;
            key.field(ROUTING_VALUE, value.as_bytes())?;
        }
    }
    for name in &route.vary {
        // With its name: the instances of a rolling deploy may declare different fields for one route.
        key.field(DECLARED_NAME, name.as_str().as_bytes())?;
        key.field_with(DECLARED, |sink| write_field(&parts.headers, name, &mut |bytes| sink(bytes)))?;
    }
    let partition = route.partition(parts);
    match &partition {
        Partition::Shared => {}
        Partition::Of(principal) => key.field(PARTITION, principal)?,
        Partition::Unknown => return Err(Keyless::NoPrincipal),
    }
    Ok(partition)
}

/// The canonical key of a variant: the primary one, and for each name the request's value.
pub(super) fn variant(primary: &[u8], vary: &Vary, request: &HeaderMap) -> Result<Box<[u8]>, TooLong> {
    let mut key = KeyEncoder::continuing(primary)?;
    for name in vary.names() {
        key.field(VARY_NAME, name.as_str().as_bytes())?;
        key.field_with(VARY_VALUE, |sink| write_field(request, name, &mut |bytes| sink(bytes)))?;
    }
    Ok(key.bytes().into())
}

/// The authority a request is for, byte for byte; `host` is what its Host says.
pub(super) fn authority<'a>(
    hub: &'a Hub,
    uri: &'a Uri,
    host: Option<&'a HeaderValue>,
) -> Result<&'a [u8], Keyless> {
    if let Authority::Fixed(name) = &hub.authority {
        return Ok(name.as_bytes());
    }
    let host = host.map(HeaderValue::as_bytes);
    match uri.authority().map(|authority| authority.as_str().as_bytes()) {
        None => host.filter(|host| !host.is_empty()).ok_or(Keyless::NoAuthority),
        // A handler may believe the one that is not in the key.
        Some(uri) if host.is_some_and(|host| !host.eq_ignore_ascii_case(uri)) => {
            Err(Keyless::AuthorityMismatch)
        }
        Some(uri) => Ok(uri),
    }
}

/// Path and query as they stand in the key.
pub(super) fn target(parts: &Parts, filtered: Option<&str>) -> Box<str> {
    let asked = asked_for(parts);
    match query(asked, filtered) {
        Some(query) => format!("{}?{query}", asked.path()).into(),
        None => asked.path().into(),
    }
}

fn query<'a>(asked: &'a Uri, filtered: Option<&'a str>) -> Option<&'a str> {
    match filtered {
        Some(query) => Some(query).filter(|query| !query.is_empty()),
        None => asked.query(),
    }
}

/// The query with only these parameters, sorted by name; `None` when it is like that already.
pub(super) fn filtered(uri: &Uri, names: &[Box<str>]) -> Option<String> {
    let query = uri.query()?;
    let name_of = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
    let mut pairs: Vec<&str> =
        query.split('&').filter(|pair| names.iter().any(|name| **name == *name_of(pair))).collect();
    pairs.sort_by_key(|pair| name_of(pair));
    let wanted = pairs.join("&");
    (wanted != query).then_some(wanted)
}

const AUTHORITY: u8 = 1;
const QUERY: u8 = 3;
const SCHEME: u8 = 4;
const ROUTING_NAME: u8 = 5;
const ROUTING_VALUE: u8 = 6;
const DECLARED: u8 = 7;
const PARTITION: u8 = 8;
const VARY_NAME: u8 = 9;
const VARY_VALUE: u8 = 10;
const LOCAL_PATH: u8 = 11;
const LOCAL_QUERY: u8 = 12;
const DECLARED_NAME: u8 = 13;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filtered_query_holds_the_named_parameters_sorted_and_keeps_repetitions() {
        let names: Vec<Box<str>> = vec!["q".into(), "page".into()];
        let check = |query: &str, expected: Option<&str>| {
            let uri: Uri = format!("http://h/a{query}").parse().unwrap();
            let filtered = filtered(&uri, &names);
            assert_eq!(filtered.as_deref(), expected, "{query}");
        };
        check("", None);
        check("?page=2&q=x", None);
        check("?q=x&page=2", Some("page=2&q=x"));
        check("?utm=1&q=b&q=a", Some("q=b&q=a"));
        check("?utm=1", Some(""));
        check("?Q=1;q=2", Some(""));
    }
}
