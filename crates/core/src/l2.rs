//! L2: the tier that instances share, with the invalidation log and the bus that belong to it.
//!
//! An L2 is a store of frames *and* the order of invalidations. Coherence rests on what [`L2`] promises:
//!
//! * **Invariant:** each invalidation gets a [`Seq`] larger than any before it, and than `at_least`.
//! * **Invariant:** [`L2::lookup`] reads the frame, the incarnation and the position in one atomic step.
//! * **Invariant:** [`L2::store`] refuses a frame whose idents were invalidated after its stamp, whose stamp is below the
//!   log's floor or above its position, or whose incarnation is gone.
//! * **Invariant:** it keeps the [`Shape`] of every ident of a pattern that the log holds, at most
//!   [`MAX_SHAPES`](crate::pattern::MAX_SHAPES) of them; what has to give way to another raises the floor as if it were cut.
//! * **Invariant:** cutting the log, for whatever reason, raises its floor in the same atomic step.
//! * **Invariant:** lost metadata (a flush, an eviction, a wrong type) ends the incarnation; it never goes unnoticed.
//!
//! *Holds* keep entries out for a while: see [`L2::hold`].
//!
//! * **Invariant:** a number is odd if anything is held when it is issued, and even if nothing is; so a hold that ends, in whatever
//!   way, ends with an invalidation of what it held.
//! * **Invariant:** what is held counts, for [`L2::store`] and [`L2::scores`], as if the next number had invalidated it.
//!
//! *Fill leases* let one instance of all fetch a key. They spare the origin and promise nothing: whatever becomes of
//! them, a fill is judged by its stamp.
//!
//! * **Invariant:** at any time a key's lease belongs to one [`Token`] at most, and to none for longer than its term.
//! * **Invariant:** [`L2::claim`] reads what [`L2::lookup`] reads in the same atomic step: a frame that was stored before
//!   the lease was released is seen by whoever claims next.
//!
//! `forebay-testkit` has the conformance suite that every implementation must pass.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::entry::Seq;
use crate::key::Key;
use crate::pattern::Shape;
use crate::tag::Ident;

/// The future of an L2 operation.
pub type L2Future<'a, T> = Pin<Box<dyn Future<Output = Result<T, L2Error>> + Send + 'a>>;

/// Sixteen random bytes that name one unbroken life of a namespace in L2. A new one makes every older frame void.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub [u8; 16]);

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Incarnation(")?;
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("..)")
    }
}

/// Where the log stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// The namespace's current incarnation.
    pub incarnation: Incarnation,
    /// The last sequence number issued.
    pub seq: Seq,
}

/// What a lookup found: the frame, if there is one, and the position at the same instant.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The frame under the key.
    pub frame: Option<Bytes>,
    /// The position; `None` where L2 has none (nobody has opened the namespace, or it was flushed).
    pub position: Option<Position>,
}

/// A frame to store.
#[derive(Clone, Debug)]
pub struct Store<'a> {
    /// Under which key.
    pub key: Key,
    /// The incarnation that the fill's lookup saw.
    pub incarnation: Incarnation,
    /// The stamp: the position that the fill's lookup saw.
    pub stamp: Seq,
    /// How long L2 keeps the frame.
    pub ttl: Duration,
    /// The frame.
    pub frame: Bytes,
    /// What invalidates it.
    pub idents: &'a [Ident],
}

/// What became of a [`Store`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stored {
    /// The frame is there.
    Accepted,
    /// Nothing was written.
    Refused(Refusal),
}

/// Why L2 refused a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// Another incarnation has begun.
    Incarnation,
    /// The stamp is below the floor: the log no longer knows what happened since.
    Floor,
    /// An ident was invalidated after the stamp.
    Invalidated,
    /// The stamp is above the position: it comes from a log that was lost.
    Lineage,
    /// The fill took longer than the longest permitted one, by L2's own clock.
    Late,
    /// A frame with a higher stamp stands there.
    Newer,
    /// The frame is larger than this L2 takes.
    TooLarge,
}

impl Refusal {
    /// The reason as a word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Incarnation => "incarnation",
            Self::Floor => "floor",
            Self::Invalidated => "invalidated",
            Self::Lineage => "lineage",
            Self::Late => "late",
            Self::Newer => "newer",
            Self::TooLarge => "too-large",
        }
    }
}

/// Names one claim of a fill lease, or one hold, so that nobody else renews or ends it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(pub [u8; 16]);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(")?;
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("..)")
    }
}

/// Who may fetch what a key stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Claim {
    /// Whoever claimed: the lease is theirs now.
    Claimed,
    /// Another, for so long unless it renews. A [`Notice::Released`] tells of its end, unless the lease runs out.
    Held(Duration),
    /// Everybody: what was fetched last cannot be shared, so there is nothing to wait for.
    Waived,
}

/// What a holder does with its fill lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tend {
    /// Holds it for so long from now.
    Renew(Duration),
    /// Ends it: the next claim gets it.
    Release,
    /// Ends it, and for so long each claim is told [`Claim::Waived`].
    Waive(Duration),
}

/// Whether a lease still was its holder's when the holder tended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tenure {
    /// It was.
    Ours,
    /// It had run out, whoever has it now. Nothing has changed.
    Lost,
}

/// A confirmed invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Issued {
    /// The position after it.
    pub position: Position,
    /// The sequence number that stood there before it.
    pub previous: Seq,
    /// The highest number that any of its idents had in the log before, or the log's floor if that is higher.
    pub last: Seq,
}

/// What becomes of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Holding {
    /// It begins, and ends by itself after so long, at most [`MAX_HOLD`].
    Begin(Token, Duration),
    /// It ends.
    End(Token),
}

/// What came of a [`Holding`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Held {
    /// It has begun, or it was on until now.
    Done(Issued),
    /// It was over before it was to end. The idents are invalidated all the same.
    Over(Issued),
    /// It has not begun: that would be more than [`MAX_HELD`](crate::holds::MAX_HELD) idents at a time.
    Full,
}

/// A stretch of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The position, read before the log was.
    pub position: Position,
    /// The highest sequence number ever cut from the log.
    pub floor: Seq,
    /// Up to where this page is complete: `position.seq` on the last page. What is invalidated again between two pages moves to
    /// the later one, so nothing is known for certain before the last.
    pub upto: Seq,
    /// The idents invalidated after the position asked for, each with its last sequence number.
    pub idents: Vec<(Ident, Seq)>,
}

/// What the log says of some idents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scores {
    /// The position, read before the scores were.
    pub position: Position,
    /// The log's floor, read after the scores were.
    pub floor: Seq,
    /// For each ident asked for: its last invalidation, where the log has one.
    pub seqs: Vec<Option<Seq>>,
    /// The shape of every pattern that the log may hold. Who does not know one of them has not asked for all that matters.
    pub shapes: Vec<Shape>,
}

/// What an instance learns through the bus.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Notice {
    /// The subscription has been (re)confirmed. What was published before may be lost.
    Subscribed,
    /// Which server the subscription is with, after [`Subscribed`](Self::Subscribed): another name is another server, one that has
    /// been started again included. `None` where it cannot be told.
    Server(Option<String>),
    /// The subscription has ended; it is being renewed.
    Lost,
    /// Messages were dropped on the way: a gap.
    Lagged,
    /// An invalidation.
    Message(Message),
    /// A fill lease for which somebody waited has ended. It says no more than that: who waits looks for itself.
    Released(Key),
    /// Something that is no message.
    Malformed,
    /// Somebody waits for those who are behind: poll now.
    Report,
}

/// An invalidation as it goes over the bus.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    /// The incarnation it belongs to.
    pub incarnation: Incarnation,
    /// Its sequence number.
    pub seq: Seq,
    /// The number before it: a receiver that has not applied that one has a gap.
    pub previous: Seq,
    /// What it invalidates.
    pub idents: Vec<Ident>,
}

/// Over which connection a poll goes: they can fail apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Link {
    /// The one that carries the subscription.
    Bus,
    /// The one that carries lookups.
    Commands,
}

/// An instance, as it makes itself known to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Presence {
    /// Sixteen random bytes that name the instance.
    pub instance: [u8; 16],
    /// The log that it follows, and up to where it has applied it.
    pub applied: Option<Position>,
    /// For how long a poll that is answered vouches for its L1.
    pub lease: Duration,
}

/// How far the instances are that hold a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Roll {
    /// Each has applied the log that far.
    Complete,
    /// One or more have not. The leases that they hold now are over after this time.
    Behind(Duration),
    /// This L2 does not know which instances there are.
    Unknown,
}

/// Which configurations an L2 has found in its namespace: instances of one share everything, those of others stand apart. What makes
/// up a configuration is L2's own affair: its wire version, a secret, how many shards there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Census {
    /// What this instance's configuration is called.
    pub own: String,
    /// Whether it takes part.
    pub admission: Admission,
    /// Others in the namespace that this one does not go together with.
    pub strangers: Vec<String>,
}

/// Whether an instance takes part in its namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Admission {
    /// It has not been told yet.
    Pending,
    /// It does.
    Admitted,
    /// It does not: others that it does not go together with were there first. Every operation fails with
    /// [`L2Error::Refused`] until they have gone, and the instance serves nothing from L1, for it does not hear what they invalidate.
    Refused,
}

/// The bus, as one instance hears it. Bounded: an L2 that finds it full drops messages and sends [`Notice::Lagged`].
pub type Notices = tokio::sync::mpsc::Receiver<Notice>;

/// A tier shared by all instances.
///
/// Every operation is bounded by the implementation's own timeout and is safe to drop at any await; a dropped
/// write may or may not have happened.
#[diagnostic::on_unimplemented(note = "see `forebay_core::l2` for what an L2 promises")]
pub trait L2: Send + Sync + 'static {
    /// Makes sure that the namespace has an incarnation and a position, and says which. One round trip.
    fn open(&self) -> L2Future<'_, Position>;

    /// Reads a frame with the position at the same instant. One round trip.
    fn lookup(&self, key: Key) -> L2Future<'_, Lookup>;

    /// Stores a frame unless something speaks against it. One round trip.
    fn store<'a>(&'a self, store: Store<'a>) -> L2Future<'a, Stored>;

    /// Invalidates the idents and tells every instance; no ident only moves the position on. The new sequence number
    /// is larger than `at_least`. One round trip.
    fn invalidate<'a>(&'a self, idents: &'a [Ident], at_least: Seq) -> L2Future<'a, Issued>;

    /// Invalidates the idents as [`invalidate`](Self::invalidate) does, and begins or ends a hold on them. While one is on, no
    /// frame that answers to them is stored. It ends at the latest after its time, by L2's own clock, with an invalidation that
    /// any operation brings about which comes later. One round trip.
    fn hold<'a>(&'a self, idents: &'a [Ident], at_least: Seq, holding: Holding) -> L2Future<'a, Held>;

    /// The log after `after`, at most a page of it. One round trip.
    fn catch_up(&self, after: Seq) -> L2Future<'_, Page>;

    /// The last invalidation of each of the idents. One round trip.
    fn scores<'a>(&'a self, idents: &'a [Ident]) -> L2Future<'a, Scores>;

    /// Claims the fill lease of a key for `term`, at most [`MAX_TERM`], unless another token has it that has claimed it at the
    /// position `after` or later; and looks up the key at the same instant. One round trip.
    fn claim(&self, key: Key, token: Token, term: Duration, after: Seq) -> L2Future<'_, (Claim, Lookup)>;

    /// Renews or ends a fill lease that is this token's. When it ends and a claim has found it held, every instance gets a
    /// [`Notice::Released`]. One round trip.
    fn tend(&self, key: Key, token: Token, tend: Tend) -> L2Future<'_, Tenure>;

    /// The position, over the given connection; moves it on when it has stood still too long. One round trip,
    /// rarely two.
    fn poll(&self, link: Link) -> L2Future<'_, Option<Position>>;

    /// [`poll`](Self::poll)s, and notes in the same atomic step who does: for the length of its lease from then on,
    /// [`roll`](Self::roll) knows of the instance and what it has applied. An L2 that notes nobody only polls.
    fn attend(&self, link: Link, presence: Presence) -> L2Future<'_, Option<Position>> {
        let _ = presence;
        self.poll(link)
    }

    /// Whether there may be an instance other than `caller` that holds a lease and has not applied the log up to `upto`. Those it
    /// knows of are told to report ([`Notice::Report`]). Where the notes have been lost, all instances of that time count as
    /// behind for the length of `caller`'s lease. One round trip.
    fn roll(&self, upto: Position, caller: Presence) -> L2Future<'_, Roll> {
        let _ = (upto, caller);
        Box::pin(async { Ok(Roll::Unknown) })
    }

    /// Which configurations there are in the namespace, as far as is known by now. Asks nobody. `None`: this L2 does not count them.
    fn census(&self) -> Option<Arc<Census>> {
        None
    }

    /// Starts the subscription. It renews itself until the receiver is dropped; each loss and renewal is a notice.
    fn subscribe(&self) -> Notices;

    /// What the tier calls itself in logs: `redis`, for one.
    fn name(&self) -> &'static str;
}

/// What an instance has for an L2: one, or several that share the entries among them. Each is a log of its own with the entries
/// whose keys belong to it; an invalidation goes to all of them. So a cluster takes part as a whole, and what one
/// node of it does not answer costs the entries of its shards alone.
///
/// All instances of a namespace have the same number, or they would look for entries where no other puts them.
#[derive(Clone)]
pub struct Shards(Vec<Arc<dyn L2>>);

impl Shards {
    /// These shards, in this order.
    ///
    /// # Errors
    /// [`OddNumber`] when there are none, more than [`MAX_SHARDS`], or another number than a power of two.
    pub fn new(shards: Vec<Arc<dyn L2>>) -> Result<Self, OddNumber> {
        let fits = shards.len().is_power_of_two() && shards.len() <= MAX_SHARDS;
        if fits { Ok(Self(shards)) } else { Err(OddNumber(shards.len())) }
    }

    /// What the tier calls itself in logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.first().map_or("none", |shard| shard.name())
    }

    /// The same shards, each behind what `wrap` makes of it.
    #[must_use]
    pub fn wrapped(self, wrap: impl FnMut(Arc<dyn L2>) -> Arc<dyn L2>) -> Self {
        Self(self.0.into_iter().map(wrap).collect())
    }

    pub(crate) fn into_vec(self) -> Vec<Arc<dyn L2>> {
        self.0
    }
}

impl From<Arc<dyn L2>> for Shards {
    fn from(l2: Arc<dyn L2>) -> Self {
        Self(vec![l2])
    }
}

impl fmt::Debug for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shards({} of {})", self.0.len(), self.name())
    }
}

/// As many shards as an L2 cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OddNumber(pub usize);

impl fmt::Display for OddNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} shards: a power of two from 1 to {MAX_SHARDS} is accepted", self.0)
    }
}

impl std::error::Error for OddNumber {}

/// The most shards an L2 can have: a byte of a key chooses among them.
pub const MAX_SHARDS: usize = 256;

/// Why an L2 operation did not succeed. It never reaches a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum L2Error {
    /// No answer in time.
    Timeout,
    /// No connection, or it broke.
    Unavailable(String),
    /// The server answered with an error, or with something that is no answer.
    Protocol(String),
    /// The server has it, and so many replicas, which is too few.
    Unreplicated(u64),
    /// This instance's log has it, and that of another configuration, which was to have it as well, has not.
    Untold(String),
    /// Instances of these other configurations were in the namespace first: see [`Admission::Refused`].
    Refused(String),
}

impl L2Error {
    /// The kind as a word for metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unavailable(_) => "unavailable",
            Self::Protocol(_) => "protocol",
            Self::Unreplicated(_) => "unreplicated",
            Self::Untold(_) => "untold",
            Self::Refused(_) => "refused",
        }
    }
}

impl fmt::Display for L2Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("L2 did not answer in time"),
            Self::Unavailable(why) => write!(f, "L2 cannot be reached: {why}"),
            Self::Protocol(why) => write!(f, "L2 gave no valid answer: {why}"),
            Self::Unreplicated(replicas) => write!(f, "only {replicas} replicas of L2 have it"),
            Self::Untold(why) => write!(f, "a compatible configuration's log does not have it: {why}"),
            Self::Refused(others) => write!(
                f,
                "instances with another configuration were in the namespace first, nothing is shared with them: {others}"
            ),
        }
    }
}

impl std::error::Error for L2Error {}

/// The longest that a hold may last.
pub const MAX_HOLD: Duration = Duration::from_secs(5 * 60);
/// The longest term of a fill lease.
pub const MAX_TERM: Duration = Duration::from_secs(60);
