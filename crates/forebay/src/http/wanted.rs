//! What a request is looking for, as the tiers see it.

use std::sync::Arc;
use std::time::Duration;

use forebay_core::entry::{Assurance, Entry};
use forebay_core::seek::{FillLease, Seeker, Sharing, Usage, Variant};
use forebay_core::tag::{Idents, TargetError};
use forebay_core::tiers::Absence;
use forebay_core::time::Moment;
use forebay_policy::credentials::Credentials;
use forebay_policy::directives::RequestDirectives;
use forebay_policy::facts::{Fact, RequestFacts};
use forebay_policy::reason::Reason;
use forebay_policy::reuse::{Failure, Fallback, Lookup, Reusable, Reuse, on_failure, reuse};
use http::{HeaderMap, Method};

use super::key;
use super::ranges;
use super::scope::Known;
use crate::hub::Hub;
use crate::route::{Partition, Route};
use crate::stored::{Kept, KeptResponse};

/// What a request is looking for.
pub(super) struct Wanted {
    pub(super) hub: Arc<Hub>,
    pub(super) canonical: Box<[u8]>,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) credentials: Credentials,
    pub(super) facts: RequestFacts,
    /// What the client asks of the cache, where that is heard.
    pub(super) client: Option<RequestDirectives>,
    pub(super) lookup: Lookup,
    pub(super) sharing: Sharing,
    pub(super) route: Arc<Route>,
    pub(super) partition: Partition,
    pub(super) known: Known,
    pub(super) absence: Absence,
    pub(super) assurance: Assurance,
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

impl Wanted {
    /// Who asks.
    pub(super) fn as_client(&self) -> Client<'_> {
        Client { method: &self.method, headers: &self.headers, facts: self.facts }
    }

    /// Whether the client wants what is stored or nothing.
    pub(super) fn only_if_cached(&self) -> bool {
        self.client.is_some_and(|client| client.only_if_cached)
    }

    fn seeking(&self) -> Seeking<'_> {
        Seeking {
            canonical: &self.canonical,
            headers: &self.headers,
            credentials: self.credentials,
            facts: self.facts,
            client: self.client.as_ref(),
            lookup: self.lookup,
        }
    }
}

impl Seeker<Kept> for Wanted {
    fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    fn variant(&self, value: &Kept) -> Variant {
        self.seeking().variant(value)
    }

    fn usage(&self, entry: &Entry<Kept>, now: Moment) -> Usage {
        self.seeking().usage(entry, now)
    }

    fn settles_for(&self, entry: &Entry<Kept>, now: Moment) -> bool {
        let Kept::Response(kept) = &entry.value else { return false };
        // How the origin failed was judged by whoever asked it; what this request minds is its own.
        kept.lifetime.answers(self.credentials) == Reusable::Yes
            && on_failure(
                &kept.lifetime_in(entry),
                entry.age(now),
                Failure::Unreachable,
                self.client.as_ref(),
            ) == Fallback::Stale
    }

    fn idents(&self) -> Idents {
        // A URL that cannot be named cannot be invalidated by name either.
        let namespace = || Idents::new(&self.hub.tiers.instance().settings().secrets);
        self.url_idents().unwrap_or_else(|_| namespace())
    }

    fn patience(&self) -> Option<Duration> {
        self.route.upkeep.timeouts().1
    }

    fn sharing(&self) -> Sharing {
        self.sharing
    }

    fn assurance(&self) -> Assurance {
        self.assurance
    }

    fn turn_wait(&self) -> Option<Duration> {
        // For whoever has something stale the origin counts as slow after that, whoever asks it.
        let (soft, hard) = self.route.upkeep.timeouts();
        soft.or(hard)
    }

    fn fill_lease(&self) -> FillLease {
        // Who asks nobody takes no turn.
        if self.only_if_cached() { FillLease::Off } else { self.route.fill_lease }
    }
}

/// A client, as far as it decides the form of its answer.
pub(super) struct Client<'a> {
    pub(super) method: &'a Method,
    pub(super) headers: &'a HeaderMap,
    pub(super) facts: RequestFacts,
}

/// The part of a request that decides which stored response answers it.
pub(super) struct Seeking<'a> {
    pub(super) canonical: &'a [u8],
    pub(super) headers: &'a HeaderMap,
    pub(super) credentials: Credentials,
    pub(super) facts: RequestFacts,
    pub(super) client: Option<&'a RequestDirectives>,
    pub(super) lookup: Lookup,
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

    /// What this request may do with an entry under its key. A part of its callers, one of which is every hit.
    #[inline(always)]
    pub(super) fn usage(&self, entry: &Entry<Kept>, now: Moment) -> Usage {
        let Kept::Response(kept) = &entry.value else { return Usage::Barred };
        if kept.lifetime.answers(self.credentials) != Reusable::Yes {
            return Usage::Barred;
        }
        if kept.part.is_some() && !self.is_covered(kept) {
            return Usage::Ask;
        }
        // What `reuse` would say, by one comparison.
        if self.client.is_none() && entry.is_quiet(now) {
            return Usage::Answer;
        }
        match reuse(&kept.lifetime_in(entry), entry.age(now), self.client) {
            Reuse::Fresh if self.lookup == Lookup::Fill => Usage::Early,
            Reuse::Refresh if self.lookup == Lookup::Fill => Usage::Refresh,
            // What it would fetch could not be stored.
            Reuse::Fresh | Reuse::Stale | Reuse::Refresh => Usage::Answer,
            _ => Usage::Ask,
        }
    }

    /// Whether a stored part has all the bytes that are asked for.
    #[cold]
    fn is_covered(&self, kept: &KeptResponse) -> bool {
        // To a HEAD a Range means nothing.
        let ranges = self.facts.has(Fact::Range) && self.lookup != Lookup::ReadOnly(Reason::Method);
        ranges && ranges::selection(self.headers, kept, &kept.as_received()).is_some()
    }
}
