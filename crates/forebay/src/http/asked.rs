//! A request with its key, and what comes of it: what it looks for now, and what it takes along.

use std::sync::Arc;

use forebay_core::entry::Assurance;
use forebay_core::key::KeyEncoder;
use forebay_core::seek::Sharing;
use forebay_core::tiers::Absence;
use forebay_policy::credentials::Credentials;
use forebay_policy::directives::RequestDirectives;
use forebay_policy::facts::RequestFacts;
use forebay_policy::reuse::{Lookup, heard};
use http::header::HOST;
use http::{Extensions, HeaderMap, HeaderValue, Uri, request};

use super::key::{self, Keyless};
use super::said::Outer;
use super::scope::{Known, Scope};
use super::wanted::{Seeking, Wanted};
use crate::axum::rewrite;
use crate::hub::Hub;
use crate::route::{Cookies, Partition, Route};

/// A request and its key.
pub(super) struct Asked<'a> {
    pub(super) scope: &'a Scope,
    pub(super) route: &'a Arc<Route>,
    pub(super) known: Known,
    pub(super) facts: RequestFacts,
    lookup: Lookup,
    filtered: Option<String>,
    partition: Partition,
    credentials: Credentials,
    client: Option<RequestDirectives>,
}

impl<'a> Asked<'a> {
    /// A request whose key is still to be made.
    #[inline]
    pub(super) fn new(
        scope: &'a Scope,
        route: &'a Arc<Route>,
        known: Known,
        facts: RequestFacts,
        lookup: Lookup,
    ) -> Self {
        let (partition, credentials) = (Partition::Shared, Credentials::default());
        Self { scope, route, known, facts, lookup, filtered: None, partition, credentials, client: None }
    }

    /// Takes out of its query what the route does not want there.
    #[inline]
    pub(super) fn filter_query(&mut self, uri: &mut Uri, extensions: &mut Extensions) {
        if let Some(names) = &self.route.query {
            self.filtered = key::filtered(uri, names);
        }
        if let (Some(query), Known::Own | Known::Ruled) = (&self.filtered, self.known) {
            // An annotated route inside does that itself: only there it is certain which one the request has come to.
            rewrite(uri, extensions, query);
        }
    }

    /// Makes its key; `host` is what its Host says.
    ///
    /// What it finds it fills in: handed back, all of it would be copied on every hit. A part of its callers, for the same
    /// reason.
    #[inline(always)]
    pub(super) fn make_key(
        &mut self,
        parts: &request::Parts,
        host: Option<&HeaderValue>,
        canonical: &mut KeyEncoder,
    ) -> Result<(), Keyless> {
        let (hub, route, facts) = (&*self.scope.hub, self.route, self.facts);
        self.partition = key::primary(canonical, hub, route, facts, parts, host, self.filtered.as_deref())?;
        self.credentials = credentials(hub, route, &self.partition, facts, &parts.headers);
        self.client = heard(facts, &parts.headers, &hub.policy);
        Ok(())
    }

    /// The part of it that decides which stored response answers it.
    #[inline]
    pub(super) fn seeking<'s>(&'s self, parts: &'s request::Parts, canonical: &'s [u8]) -> Seeking<'s> {
        Seeking {
            canonical,
            headers: &parts.headers,
            credentials: self.credentials,
            facts: self.facts,
            client: self.client.as_ref(),
            lookup: self.lookup,
        }
    }

    /// What the request is looking for, to be taken along.
    pub(super) fn to_wanted(&self, parts: &request::Parts, canonical: &[u8], absence: Absence) -> Wanted {
        let Self { scope, route, known, facts, lookup, credentials, client, .. } = *self;
        let hub = &scope.hub;
        let authority = key::authority(hub, &parts.uri, parts.headers.get(HOST)).unwrap_or_default();
        Wanted {
            hub: Arc::clone(hub),
            canonical: canonical.into(),
            method: parts.method.clone(),
            headers: parts.headers.clone(),
            authority: String::from_utf8_lossy(authority).into(),
            target: key::target(parts, self.filtered.as_deref()),
            credentials,
            facts,
            client,
            lookup,
            sharing: sharing(route, lookup, credentials, absence, Outer::depth_under(parts, hub.id)),
            route: Arc::clone(route),
            partition: self.partition.clone(),
            known,
            absence,
            assurance: Assurance::Bounded,
            restarts: 0,
        }
    }
}

/// The request's credentials, as far as the route minds them.
#[inline]
fn credentials(
    hub: &Hub,
    route: &Route,
    partition: &Partition,
    facts: RequestFacts,
    headers: &HeaderMap,
) -> Credentials {
    let credentials = Credentials::of(facts, headers, &hub.credentials);
    match (partition, route.cookies) {
        (Partition::Of(_), _) => credentials.partitioned(),
        (_, Cookies::Ignore) => credentials.cookies_ignored(),
        _ => credentials,
    }
}

/// A request whose answer may be its own, or will not be stored, neither leads nor follows. One that an outer layer of this
/// cache waits for does not wait for that layer in turn.
fn sharing(route: &Route, lookup: Lookup, credentials: Credentials, absence: Absence, depth: u8) -> Sharing {
    let own = credentials.authorization() || (credentials.cookie() && route.ttl.is_some());
    match depth {
        _ if lookup != Lookup::Fill || own || absence == Absence::Barred => Sharing::Solo,
        0 => Sharing::Flight,
        1 => Sharing::Nested,
        _ => Sharing::Solo,
    }
}
