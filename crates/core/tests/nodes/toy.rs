//! Values, requests for them, and an origin: as simple as they can be, and as difficult as a test wants them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use forebay_core::entry::{Assurance, Density, Early, Encoded, Entry, Span, Stamp, Stored, Undecodable};
use forebay_core::key::{KeyEncoder, PATH};
use forebay_core::seek::{Fill, FillLease, Filling, Marker, Origin, Seeker, Sharing, Usage, Variant};
use forebay_core::tag::Idents;
use forebay_core::time::{Clock, Moment};
use forebay_testkit::origin::CountingOrigin;
use tokio::time::sleep;

use crate::support::{From, Got, secrets};

/// How requests treat what is stale, and how the origin treats requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manners {
    /// How long an answer is fresh.
    pub(crate) lifetime: Duration,
    /// How long it is kept after that.
    pub(crate) keep: Duration,
    /// When it is fetched anew though it is fresh.
    pub(crate) early: Early,
    /// What a request does with an answer that is stale.
    pub(crate) stale: Usage,
    /// What it does with one when the origin fails.
    pub(crate) failed: Settles,
    pub(crate) origin: Conduct,
    pub(crate) assurance: Assurance,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settles {
    Never,
    ForStale,
}

/// What the origin does when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conduct {
    /// Answers with the data.
    Answers,
    /// Says that the answer at hand is still right, whatever has become of the data: its validator is a weak one.
    Confirms,
    /// The same, and the fill does not say what it was made from: a bug, for tests that have to see it.
    ConfirmsWithoutBasis,
    /// The same again, with a tag less than before.
    ConfirmsUntagged,
    Fails,
    Panics,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(3600),
            keep: Duration::ZERO,
            early: Early::default(),
            stale: Usage::Ask,
            failed: Settles::Never,
            origin: Conduct::Answers,
            assurance: Assurance::Bounded,
        }
    }
}

/// A version of the origin's data, or the word that answers vary.
pub(crate) struct Toy {
    pub(crate) version: u64,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Answer,
    Variant,
    Marker,
}

impl Stored for Toy {
    fn weight(&self) -> usize {
        size_of::<Self>()
    }

    fn encode(&self) -> Result<Encoded, Undecodable> {
        let meta = [&[self.kind as u8][..], &self.version.to_be_bytes()].concat();
        Ok(Encoded { meta: meta.into(), body: Bytes::from_static(b"body"), density: Density::Loose })
    }

    fn decode(encoded: Encoded) -> Result<Self, Undecodable> {
        let Some((&kind, Ok(version))) =
            encoded.meta.split_first().map(|(kind, rest)| (kind, rest.try_into()))
        else {
            return Err(Undecodable("toy"));
        };
        let kind = [Kind::Answer, Kind::Variant, Kind::Marker].into_iter().find(|k| *k as u8 == kind);
        Ok(Self { version: u64::from_be_bytes(version), kind: kind.ok_or(Undecodable("toy"))? })
    }
}

/// A request.
#[derive(Clone)]
pub(crate) struct Ask {
    key: String,
    language: Option<&'static str>,
    pub(crate) canonical: Vec<u8>,
    manners: Manners,
}

impl Ask {
    pub(crate) fn new(key: &str, language: Option<&'static str>, manners: Manners) -> Self {
        let mut encoder = KeyEncoder::new();
        let field = if key.starts_with('/') { PATH } else { 1 };
        encoder.field(field, key.as_bytes()).expect("keys of tests are short");
        Self { key: key.to_owned(), language, canonical: encoder.bytes().to_vec(), manners }
    }

    fn own_variant(&self) -> KeyEncoder {
        let mut encoder = KeyEncoder::continuing(&self.canonical).expect("keys of tests are short");
        encoder.field(2, self.language.unwrap_or_default().as_bytes()).expect("keys of tests are short");
        encoder
    }
}

impl Seeker<Toy> for Ask {
    fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    fn variant(&self, value: &Toy) -> Variant {
        match value.kind {
            Kind::Answer => Variant::Same,
            Kind::Variant | Kind::Marker => Variant::Of(self.own_variant().bytes().into()),
        }
    }

    fn usage(&self, entry: &Entry<Toy>, now: Moment) -> Usage {
        if entry.is_fresh(now) { Usage::Early } else { self.manners.stale }
    }

    fn settles_for(&self, _: &Entry<Toy>, _: Moment) -> bool {
        self.manners.failed == Settles::ForStale
    }

    fn idents(&self) -> Idents {
        let mut idents = Idents::new(&secrets());
        idents.tag(&secrets(), &self.key).expect("tags of tests are short");
        idents
    }

    fn sharing(&self) -> Sharing {
        Sharing::Flight
    }

    fn assurance(&self) -> Assurance {
        self.manners.assurance
    }

    fn fill_lease(&self) -> FillLease {
        FillLease::AsSet
    }
}

/// One call of the origin.
pub(crate) struct Call {
    pub(crate) ask: Ask,
    pub(crate) origin: CountingOrigin,
    pub(crate) takes: Duration,
    pub(crate) clock: Clock,
}

impl Origin<Toy> for Call {
    type Reply = Got;

    async fn ask(self, usable: Option<Arc<Entry<Toy>>>) -> (Got, Filling<Toy>) {
        let version = self.origin.answer(&self.ask.key).await.version;
        if !self.takes.is_zero() {
            sleep(self.takes).await;
        }
        match (self.ask.manners.origin, usable) {
            (Conduct::Panics, _) => panic!("the origin's own"),
            (Conduct::Fails, Some(usable)) => {
                let settles = self.ask.manners.failed == Settles::ForStale;
                let from = if settles { From::Fallback } else { From::Failed };
                ((usable.value.version, from), Filling::Failed(usable, Moment::NEVER))
            }
            (Conduct::Fails, None) => ((0, From::Failed), Filling::Lost),
            (Conduct::Answers, _) | (_, None) => ((version, From::Origin), self.fills(version, None)),
            (conduct, Some(usable)) => {
                let basis = (conduct != Conduct::ConfirmsWithoutBasis).then_some(usable.stamp);
                let version = usable.value.version;
                ((version, From::Confirmed), self.fills(version, basis))
            }
        }
    }
}

impl Call {
    fn fills(self, version: u64, basis: Option<Stamp>) -> Filling<Toy> {
        let Self { ask, origin, clock, .. } = self;
        let (kind, canonical, marker) = match ask.language {
            None => (Kind::Answer, ask.canonical.clone(), None),
            Some(_) => (Kind::Variant, ask.own_variant().bytes().to_vec(), Some(ask.canonical.clone())),
        };
        let Manners { lifetime, keep, early, origin: conduct, .. } = ask.manners;
        let untagged = basis.is_some() && conduct == Conduct::ConfirmsUntagged;
        let fill = Fill {
            value: Toy { version, kind },
            canonical: canonical.into(),
            marker: marker.map(|canonical| Marker {
                value: Toy { version: 0, kind: Kind::Marker },
                canonical: canonical.into(),
            }),
            idents: if untagged { Idents::new(&secrets()) } else { ask.idents() },
            span: Span { born: clock.now(), lifetime, keep, early },
            basis,
            held: None,
        };
        Filling::Storable(Box::pin(async move {
            // The body has a gate of its own.
            origin.answer(&body_of(&ask.key)).await;
            vec![fill]
        }))
    }
}

/// What the body of an answer is called at the origin.
pub(crate) fn body_of(key: &str) -> String {
    format!("the body of {key}")
}

/// A version of a key's data, to be stored.
pub(crate) fn answer(key: &str, version: u64, span: Span) -> Fill<Toy> {
    let ask = Ask::new(key, None, Manners::default());
    Fill {
        value: Toy { version, kind: Kind::Answer },
        canonical: ask.canonical.clone().into(),
        marker: None,
        idents: ask.idents(),
        span,
        basis: None,
        held: None,
    }
}
