//! What a request is looking for, as the tiers see it.

use std::sync::Arc;

use forebay_core::entry::Entry;
use forebay_core::seek::{Seeker, Sharing, Usage, Variant};
use forebay_core::tag::{Idents, TargetError};
use forebay_core::tiers::Absence;
use forebay_core::time::Moment;
use forebay_policy::credentials::Credentials;
use forebay_policy::facts::RequestFacts;
use forebay_policy::reuse::Reusable;
use http::{HeaderMap, Method};

use super::key;
use super::scope::Known;
use crate::hub::Hub;
use crate::route::{Partition, Route};
use crate::stored::Kept;

/// What a request is looking for.
pub(super) struct Wanted {
    pub(super) hub: Arc<Hub>,
    pub(super) canonical: Box<[u8]>,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) credentials: Credentials,
    pub(super) facts: RequestFacts,
    pub(super) sharing: Sharing,
    pub(super) route: Arc<Route>,
    pub(super) partition: Partition,
    pub(super) known: Known,
    pub(super) absence: Absence,
    /// How often the request has started over.
    pub(super) restarts: u8,
    pub(super) authority: Box<str>,
    /// Path and query.
    pub(super) target: Box<str>,
}

impl Wanted {
    /// What any answer to this request can be invalidated by.
    pub(super) fn url_idents(&self) -> Result<Idents, TargetError> {
        let secrets = &self.hub.tiers.instance().settings().secrets;
        let mut idents = Idents::new(secrets);
        idents.url(secrets, &self.authority, &self.target)?;
        Ok(idents)
    }
}

impl Seeker<Kept> for Wanted {
    fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    fn variant(&self, value: &Kept) -> Variant {
        let (canonical, headers) = (&self.canonical, &self.headers);
        Seeking { canonical, headers, credentials: self.credentials }.variant(value)
    }

    fn usage(&self, entry: &Entry<Kept>, now: Moment) -> Usage {
        let (canonical, headers) = (&self.canonical, &self.headers);
        Seeking { canonical, headers, credentials: self.credentials }.usage(entry, now)
    }

    fn settles_for(&self, _: &Entry<Kept>, _: Moment) -> bool {
        false
    }

    fn idents(&self) -> Idents {
        // A URL that cannot be named cannot be invalidated by name either.
        let namespace = || Idents::new(&self.hub.tiers.instance().settings().secrets);
        self.url_idents().unwrap_or_else(|_| namespace())
    }

    fn sharing(&self) -> Sharing {
        self.sharing
    }
}

/// The part of a request that decides which stored response answers it.
pub(super) struct Seeking<'a> {
    pub(super) canonical: &'a [u8],
    pub(super) headers: &'a HeaderMap,
    pub(super) credentials: Credentials,
}

impl Seeking<'_> {
    #[inline]
    pub(super) fn variant(&self, value: &Kept) -> Variant {
        let vary = match value {
            Kept::Varies(vary, _) => vary,
            Kept::Response(response) => &response.vary,
        };
        if vary.is_empty() {
            return Variant::Same;
        }
        key::variant(self.canonical, vary, self.headers).map_or(Variant::Barred, Variant::Of)
    }

    /// What this request may do with an entry under its key.
    #[inline]
    pub(super) fn usage(&self, entry: &Entry<Kept>, now: Moment) -> Usage {
        match &entry.value {
            Kept::Response(response) if response.lifetime.answers(self.credentials) == Reusable::Yes => {
                if entry.is_fresh(now) {
                    Usage::Answer
                } else {
                    Usage::Ask
                }
            }
            _ => Usage::Barred,
        }
    }
}
