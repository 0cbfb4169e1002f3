//! What a request brings along: what it looks for, and its way to the origin.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::tag::Idents;
use crate::time::Moment;

/// A request, as the tiers see it.
pub trait Seeker<V>: Sync {
    /// The canonical primary key.
    fn canonical(&self) -> &[u8];

    /// Under which key this request finds its answer, when `value` was found for it.
    fn variant(&self, value: &V) -> Variant;

    /// What is known to invalidate the answer before it is there: a flight that such an invalidation has hit is not joined.
    fn idents(&self) -> Idents;

    /// Whether this request may wait for another's answer, and others for its own.
    fn sharing(&self) -> Sharing;
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
    /// Nowhere: it may not have this answer, or its key would be too long. The origin has to be asked.
    Barred,
}

/// A way to the origin for one request.
pub trait Origin<V>: Send + 'static {
    /// What the requester gets as soon as it is there.
    type Reply: Send + 'static;

    /// Asks the origin. Runs on a task of its own; a panic is passed on to the requester.
    fn ask(self) -> impl Future<Output = (Self::Reply, Filling<V>)> + Send;
}

/// What becomes of the origin's answer beside its delivery.
pub enum Filling<V> {
    /// It is not stored; whoever waits for it asks for itself.
    Unstorable,
    /// It has told how the key is made; whoever waits for it looks again.
    LookAgain,
    /// It is stored when it has arrived in full; `None` if it does not.
    Storable(Pin<Box<dyn Future<Output = Option<Fill<V>>> + Send>>),
}

impl<V> fmt::Debug for Filling<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unstorable => "Unstorable",
            Self::LookAgain => "LookAgain",
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
    /// When its age was zero.
    pub born: Moment,
    /// How long it is fresh from then on.
    pub lifetime: Duration,
}

/// A value that says how answers vary.
#[derive(Debug)]
pub struct Marker<V> {
    /// The value.
    pub value: V,
    /// The canonical primary key.
    pub canonical: Box<[u8]>,
}
