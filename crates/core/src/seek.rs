//! What a request brings along: what it looks for, and its way to the origin.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::entry::{Assurance, Entry, Span, Stamp};
use crate::tag::Idents;
use crate::time::Moment;

/// A request, as the tiers see it.
pub trait Seeker<V>: Sync {
    /// The canonical primary key.
    fn canonical(&self) -> &[u8];

    /// Under which key this request finds its answer, when `value` was found for it.
    fn variant(&self, value: &V) -> Variant;

    /// What this request may do with an entry that stands under its key.
    fn usage(&self, entry: &Entry<V>, now: Moment) -> Usage;

    /// Whether this request is content with an entry that is stale, after the origin has failed another one.
    fn settles_for(&self, entry: &Entry<V>, now: Moment) -> bool;

    /// What is known to invalidate the answer before it is there: a flight that such an invalidation has hit is not joined.
    fn idents(&self) -> Idents;

    /// How long this request waits for another's answer at most, where it would rather have none then than ask itself.
    fn patience(&self) -> Option<Duration> {
        None
    }

    /// Whether this request may wait for another's answer, and others for its own.
    fn sharing(&self) -> Sharing;

    /// How sure this request has to be that nothing it is answered with was invalidated before it came.
    fn assurance(&self) -> Assurance {
        Assurance::Bounded
    }

    /// Whether one instance of all fetches the answer.
    fn fill_lease(&self) -> FillLease;

    /// How long this request waits for another instance at most, before it asks the origin itself, where that is less than for
    /// one of its own.
    fn turn_wait(&self) -> Option<Duration> {
        self.patience()
    }
}

/// Whether one instance of all fetches what a key stands for, while the others wait for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FillLease {
    /// As [`Settings::fill_lease`](crate::instance::Settings::fill_lease) says.
    #[default]
    AsSet,
    /// One does, and holds a lease of this term, which it renews while it fetches. If it dies, another takes over after the term.
    For(Duration),
    /// Each instance fetches for itself.
    Off,
}

/// Whether requests for the same key share one fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sharing {
    /// They do.
    Flight,
    /// They do among themselves. A layer around this one waits for them, so its flight must not be waited for.
    Nested,
    /// This one looks and asks by itself: its answer may be its own.
    Solo,
}

/// Where a request finds its answer, given a value found under one of its keys.
#[derive(Debug)]
pub enum Variant {
    /// The value does not vary: it is the answer.
    Same,
    /// Under this canonical key.
    Of(Box<[u8]>),
    /// Nowhere: its key would be too long. The origin has to be asked.
    Barred,
}

/// What a request may do with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Usage {
    /// It is the answer.
    Answer,
    /// It is the answer. If its time has come ([`Entry::is_due`]), it is fetched anew beside that.
    Early,
    /// It is the answer, and is fetched anew beside that.
    Refresh,
    /// The origin has to be asked, with the entry at hand: to be validated, or to fall back on.
    Ask,
    /// None of it: the origin has to be asked as if there were no entry.
    Barred,
}

/// What a request does next, having found an entry.
pub(crate) enum Next {
    /// Looks under the key of its variant.
    Look(Box<[u8]>),
    Answer,
    Early,
    Refresh,
    Ask,
    Barred,
}

impl Next {
    pub(crate) fn of<V>(seeker: &impl Seeker<V>, entry: &Entry<V>, now: Moment) -> Self {
        match seeker.variant(&entry.value) {
            Variant::Barred => return Self::Barred,
            Variant::Of(variant) if variant != entry.canonical => return Self::Look(variant),
            Variant::Of(_) | Variant::Same => {}
        }
        match seeker.usage(entry, now) {
            Usage::Answer => Self::Answer,
            Usage::Early => Self::Early,
            Usage::Refresh => Self::Refresh,
            Usage::Ask => Self::Ask,
            Usage::Barred => Self::Barred,
        }
    }
}

/// Whether a request whose leader has no answer from the origin takes what the leader had instead. That must be an answer to
/// this request, too, and not better than it needs.
pub(crate) fn settles<V>(seeker: &impl Seeker<V>, entry: &Entry<V>, now: Moment) -> bool {
    matches!(Next::of(seeker, entry, now), Next::Ask) && seeker.settles_for(entry, now)
}

/// A way to the origin for one request.
pub trait Origin<V>: Send + 'static {
    /// What the requester gets as soon as it is there.
    type Reply: Send + 'static;

    /// Asks the origin. What is `usable` is valid as far as is known, and may be validated or fallen back on; for the latter ask
    /// [`Tiers::is_valid`](crate::tiers::Tiers::is_valid) again, since it may have been invalidated while the origin was busy.
    /// Runs on a task of its own; a panic is passed on to the requester.
    fn ask(self, usable: Option<Arc<Entry<V>>>) -> impl Future<Output = (Self::Reply, Filling<V>)> + Send;
}

/// What becomes of the origin's answer beside its delivery.
pub enum Filling<V> {
    /// It is not stored, and the next one most likely is not either; whoever waits for it asks for itself.
    Unstorable,
    /// It is an error, or there is none, which says nothing of the next one; whoever waits for it asks for itself.
    Lost,
    /// It has told how the key is made; whoever waits for it looks again.
    LookAgain,
    /// There is none worth sharing. Whoever waits for it may settle for this entry, which is stale; and so may, for a
    /// second and no longer than until then, whoever asks next.
    Failed(Arc<Entry<V>>, Moment),
    /// It takes longer than the requester waits. The call goes on, and this is what comes of it; meanwhile, whoever waits for it
    /// may settle for this entry, which is stale, if there is one.
    Late(Option<Arc<Entry<V>>>, Pin<Box<dyn Future<Output = Filling<V>> + Send>>),
    /// It is here in full already, and can be found in L1 before the requester gets its answer. The first of the fills is what
    /// the requester has asked for.
    Complete(Vec<Fill<V>>),
    /// It is stored when it has arrived in full. The first of the fills is what the requester has asked for; none if nothing is
    /// to be stored after all.
    Storable(Pin<Box<dyn Future<Output = Vec<Fill<V>>> + Send>>),
}

impl<V> fmt::Debug for Filling<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unstorable => "Unstorable",
            Self::LookAgain => "LookAgain",
            Self::Lost => "Lost",
            Self::Failed(..) => "Failed(..)",
            Self::Late(..) => "Late(..)",
            Self::Complete(_) => "Complete(..)",
            Self::Storable(_) => "Storable(..)",
        })
    }
}

/// A complete value to store.
#[derive(Debug)]
pub struct Fill<V> {
    /// The value.
    pub value: V,
    /// The canonical key it goes under.
    pub canonical: Box<[u8]>,
    /// Where answers vary: what goes under the primary key, to say so.
    pub marker: Option<Marker<V>>,
    /// What invalidates it.
    pub idents: Idents,
    /// How old it is, how long it is fresh and how long it is kept.
    pub span: Span,
    /// For a value made from an entry that the origin has confirmed: that entry's stamp. What has been invalidated stays so,
    /// whatever the origin says of a validator. What invalidates the entry that was `usable` invalidates this value as well.
    pub basis: Option<Stamp>,
    /// What waits until the value can be found in L1.
    pub held: Option<Held>,
}

/// Something that goes on when it is dropped: the end of a body, so that whoever has seen it finds the value in the cache.
pub struct Held {
    _held: Box<dyn Send>,
}

impl Held {
    /// Holds this.
    #[must_use]
    pub fn new(held: impl Send + 'static) -> Self {
        Self { _held: Box::new(held) }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held(..)")
    }
}

/// A value that says how answers vary.
#[derive(Debug)]
pub struct Marker<V> {
    /// The value.
    pub value: V,
    /// The canonical primary key.
    pub canonical: Box<[u8]>,
}
