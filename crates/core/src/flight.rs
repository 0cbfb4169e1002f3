//! Flights: of many requests that miss the same key at once, one leads and the others follow.
//!
//! A [`Lead`] that is dropped, whatever the reason, frees its followers: none ever hangs on a cancelled or
//! panicked leader. Whether a follower may use what its leader brought is its own decision, judged by when it arrived.
//!
//! ```
//! use forebay_core::flight::{Flights, Joined, Landing, Takeoff};
//! use forebay_core::key::Key;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! let flights = Flights::<&str>::new();
//! let key = Key::from_bytes([1; 16]);
//! let Joined::Lead(lead) = flights.join(key, Takeoff::default(), |_| true) else { unreachable!() };
//! let Joined::Follow(follower) = flights.join(key, Takeoff::default(), |_| true) else { unreachable!() };
//! lead.land("entry");
//! assert_eq!(follower.landing().await, Landing::Landed("entry"));
//! # Ok::<(), std::io::Error>(()) })?;
//! # Ok::<(), std::io::Error>(())
//! ```

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;

use crate::entry::{Assurance, Stamp};
use crate::key::Key;
use crate::time::Moment;

/// The flights of one kind of value.
pub struct Flights<T> {
    table: Arc<Table<T>>,
    limits: Limits,
}

/// How many flights there may be, and how many in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most flights at the same time. Default 65,536.
    pub flights: usize,
    /// The most followers of one flight. Default 65,536.
    pub followers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { flights: 65_536, followers: 65_536 }
    }
}

/// Why a request has no place in a flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Full {
    /// There are as many flights as there may be.
    Flights,
    /// The flight for its key has as many followers as it may have.
    Followers,
}

impl Full {
    /// The limit as a word for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flights => "flights",
            Self::Followers => "followers",
        }
    }
}

#[derive(Debug)]
struct Table<T> {
    shards: Box<[Shard<T>]>,
    /// Leaders alive, in the table or out of it already.
    leads: AtomicUsize,
}

type Shard<T> = Mutex<HashMap<Key, Flight<T>>>;

#[derive(Debug)]
struct Flight<T> {
    /// What the leader knew when it began.
    began: Takeoff,
    /// Held by the leader and by each follower.
    id: Weak<Aboard>,
    landing: watch::Receiver<Option<Landing<T>>>,
}

/// What all in a flight have in common.
#[derive(Debug, Default)]
struct Aboard {
    /// The leader has had to wait for somebody else.
    delayed: AtomicBool,
}

/// What a request knew when it began to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Takeoff {
    /// What a fill that begins now reflects.
    pub stamp: Stamp,
    /// When that was. A stamp alone does not tell: what others have invalidated may not have been heard of yet.
    pub at: Moment,
    /// How sure it has to be of what it brings.
    pub assurance: Assurance,
}

/// How a flight ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Landing<T> {
    /// Not yet, and it may take a while. Followers may settle for this, which is stale, or go on waiting.
    Meanwhile(T),
    /// With something to share.
    Landed(T),
    /// The origin failed. Followers may settle for this, which is stale, or ask for themselves.
    Failed(T),
    /// With something that must not be shared: every follower asks for itself.
    Unshareable,
    /// With knowledge that changes the key: every follower looks again.
    LookAgain,
    /// Not at all: the leader was cancelled or panicked.
    Abandoned,
}

/// A place in a flight.
#[derive(Debug)]
pub enum Joined<T> {
    /// The first: goes to look.
    Lead(Lead<T>),
    /// One of the others: waits.
    Follow(Follower<T>),
    /// Neither: there is no room, and it goes alone.
    Alone(Full),
}

impl<T: Clone> Flights<T> {
    /// No flights yet.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    /// No flights yet, and not more than so many.
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { table: Arc::new(Table { shards, leads: AtomicUsize::new(0) }), limits }
    }

    /// Joins the flight for `key`, or begins one at `now`. A flight for which `joinable` (given what its leader knew when
    /// it began) says no is left to those who are in it, and a new one begins. Where the limits leave no room, neither happens.
    pub fn join(&self, key: Key, now: Takeoff, joinable: impl FnOnce(Takeoff) -> bool) -> Joined<T> {
        let mut shard = self.shard(key);
        let slot = shard.entry(key);
        if let Slot::Occupied(slot) = &slot
            && let flight = slot.get()
            && joinable(flight.began)
            && let Some(id) = flight.id.upgrade()
        {
            // Beside the followers the leader and this one hold it.
            if Arc::strong_count(&id) - 2 >= self.limits.followers {
                return Joined::Alone(Full::Followers);
            }
            let (began, landing) = (flight.began, flight.landing.clone());
            return Joined::Follow(Follower { began, id, landing });
        }
        if self.table.leads.fetch_add(1, Relaxed) >= self.limits.flights {
            self.table.leads.fetch_sub(1, Relaxed);
            return Joined::Alone(Full::Flights);
        }
        let (sender, landing) = watch::channel(None);
        let id = Arc::new(Aboard::default());
        slot.insert_entry(Flight { began: now, id: Arc::downgrade(&id), landing });
        Joined::Lead(Lead { table: Arc::clone(&self.table), key, id, sender })
    }

    /// How many flights are under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, key: Key) -> MutexGuard<'_, HashMap<Key, Flight<T>>> {
        lock(&self.table.shards[shard_of(key)])
    }
}

impl<T: Clone> Default for Flights<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Flights<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flights")
    }
}

/// The leader's duty to end the flight. Dropping it ends it as [`Landing::Abandoned`].
pub struct Lead<T> {
    table: Arc<Table<T>>,
    key: Key,
    id: Arc<Aboard>,
    sender: watch::Sender<Option<Landing<T>>>,
}

impl<T> Lead<T> {
    /// Ends the flight with something to share.
    pub fn land(self, value: T) {
        self.end(Landing::Landed(value));
    }

    /// Says that the flight may take a while, and what there is for those who would rather not wait.
    pub fn meanwhile(&self, value: T) {
        self.sender.send_replace(Some(Landing::Meanwhile(value)));
    }

    /// What the flight is for.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// Ends the flight: the origin failed, and this is what there is instead.
    pub fn failed(self, value: T) {
        self.end(Landing::Failed(value));
    }

    /// Ends the flight: nobody may share what it brought.
    pub fn unshareable(self) {
        self.end(Landing::Unshareable);
    }

    /// Ends the flight: everybody looks again.
    pub fn look_again(self) {
        self.end(Landing::LookAgain);
    }

    /// Lets those who follow know that the leader itself has to wait for somebody else.
    pub fn delay(&self) {
        self.id.delayed.store(true, Relaxed);
    }

    /// A view of who waits for this flight, to keep outside of the leader's task.
    #[must_use]
    pub fn crew(&self) -> Crew {
        Crew(Arc::downgrade(&self.id))
    }

    fn end(self, landing: Landing<T>) {
        // Out of the table first, so that whoever is woken cannot join the flight that has just ended.
        self.leave();
        self.sender.send_replace(Some(landing));
    }

    fn leave(&self) {
        let mut shard = lock(&self.table.shards[shard_of(self.key)]);
        if shard.get(&self.key).is_some_and(|flight| std::ptr::eq(flight.id.as_ptr(), Arc::as_ptr(&self.id)))
        {
            shard.remove(&self.key);
        }
    }
}

impl<T> Drop for Lead<T> {
    fn drop(&mut self) {
        self.leave();
        self.table.leads.fetch_sub(1, Relaxed);
    }
}

impl<T> fmt::Debug for Lead<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lead({})", self.key)
    }
}

/// Whether a leader has had to wait for somebody else.
#[derive(Clone, Debug)]
pub struct Delay(Weak<Aboard>);

impl Delay {
    /// Whether it has, and the flight goes on.
    #[must_use]
    pub fn has_occurred(&self) -> bool {
        self.0.upgrade().is_some_and(|aboard| aboard.delayed.load(Relaxed))
    }
}

/// Who is in a flight. Does not keep it going.
#[derive(Clone, Debug)]
pub struct Crew(Weak<Aboard>);

impl Crew {
    /// Whether somebody waits for this flight.
    #[must_use]
    pub fn has_followers(&self) -> bool {
        // One reference is the leader's. The table has none: it may have another flight in this one's place.
        self.0.strong_count() > 1
    }
}

/// A request that waits for another's answer.
#[derive(Debug)]
pub struct Follower<T> {
    began: Takeoff,
    id: Arc<Aboard>,
    landing: watch::Receiver<Option<Landing<T>>>,
}

impl<T: Clone> Follower<T> {
    /// What the leader knew before it looked for anything.
    #[must_use]
    pub fn began(&self) -> Takeoff {
        self.began
    }

    /// Waits until something is known of the flight: that it takes its time, or how it ended. The caller bounds the wait.
    ///
    /// # Cancel safety
    /// Safe to drop.
    pub async fn news(&mut self) -> Landing<T> {
        self.landing_of(|_| true).await
    }

    /// Whether the leader has had to wait for somebody else. May be asked when the follower itself is gone.
    pub fn delay(&self) -> Delay {
        Delay(Arc::downgrade(&self.id))
    }

    /// Waits until the flight has ended. The caller bounds the wait.
    ///
    /// # Cancel safety
    /// Safe to drop.
    pub async fn landing(mut self) -> Landing<T> {
        self.landing_of(|landing| !matches!(landing, Landing::Meanwhile(_))).await
    }

    async fn landing_of(&mut self, awaited: impl Fn(&Landing<T>) -> bool) -> Landing<T> {
        match self.landing.wait_for(|landing| landing.as_ref().is_some_and(&awaited)).await {
            Ok(landing) => landing.clone().unwrap_or(Landing::Abandoned),
            Err(_) => Landing::Abandoned,
        }
    }
}

fn lock<T>(shard: &Shard<T>) -> MutexGuard<'_, HashMap<Key, Flight<T>>> {
    // No code that can panic runs under the lock.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shard_of(key: Key) -> usize {
    (key.word() >> 32) as usize % SHARDS
}

const SHARDS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key::from_bytes([7; 16]);

    fn at(epoch: u64) -> Takeoff {
        Takeoff { stamp: Stamp { seq: 0, epoch }, ..Takeoff::default() }
    }

    fn lead(flights: &Flights<u32>, epoch: u64) -> Lead<u32> {
        match flights.join(KEY, at(epoch), |began| began.stamp >= at(epoch).stamp) {
            Joined::Lead(lead) => lead,
            other => panic!("expected to lead: {other:?}"),
        }
    }

    fn follow(flights: &Flights<u32>, epoch: u64) -> Follower<u32> {
        match flights.join(KEY, at(epoch), |_| true) {
            Joined::Follow(follower) => follower,
            other => panic!("expected to follow: {other:?}"),
        }
    }

    #[tokio::test]
    async fn a_landing_reaches_every_follower_and_ends_the_flight() {
        let flights = Flights::new();
        let leader = lead(&flights, 0);
        let crew = leader.crew();
        assert!(!crew.has_followers());
        let followers = [follow(&flights, 0), follow(&flights, 0)];
        assert!(crew.has_followers());
        leader.land(5);
        for follower in followers {
            assert_eq!(follower.landing().await, Landing::Landed(5));
        }
        assert!(flights.is_empty());
    }

    #[tokio::test]
    async fn a_flight_that_takes_its_time_says_so_to_those_who_come_later_too() {
        let flights = Flights::new();
        let leader = lead(&flights, 0);
        let mut early = follow(&flights, 0);
        leader.meanwhile(4);
        assert_eq!(early.news().await, Landing::Meanwhile(4));
        let mut late = follow(&flights, 0);
        assert_eq!(late.news().await, Landing::Meanwhile(4));
        leader.land(5);
        assert_eq!(early.landing().await, Landing::Landed(5));
        assert_eq!(late.news().await, Landing::Landed(5));
    }

    #[tokio::test]
    async fn a_dropped_leader_wakes_its_followers() {
        let flights = Flights::new();
        let leader = lead(&flights, 0);
        let follower = follow(&flights, 0);
        drop(leader);
        assert_eq!(follower.landing().await, Landing::Abandoned);
        assert!(flights.is_empty());
    }

    #[tokio::test]
    async fn a_panicking_leader_wakes_its_followers() {
        let flights = Flights::new();
        let leader = lead(&flights, 0);
        let follower = follow(&flights, 0);
        let panicked = tokio::spawn(async move {
            let _leader = leader;
            panic!("handler");
        });
        assert!(panicked.await.is_err());
        assert_eq!(follower.landing().await, Landing::Abandoned);
    }

    #[test]
    fn those_who_follow_can_tell_that_their_leader_has_had_to_wait() {
        let flights = Flights::new();
        let leader = lead(&flights, 0);
        let follower = follow(&flights, 0);
        let delay = follower.delay();
        assert!(!delay.has_occurred());
        leader.delay();
        assert!(delay.has_occurred());
        drop((leader, follower));
        assert!(!delay.has_occurred());
    }

    #[tokio::test]
    async fn a_tainted_flight_is_not_joined_and_does_not_end_its_successor() {
        let flights = Flights::new();
        let tainted = lead(&flights, 0);
        let early = follow(&flights, 0);
        let fresh = lead(&flights, 1);
        assert!(tainted.crew().has_followers() && !fresh.crew().has_followers());
        tainted.land(1);
        assert_eq!(early.landing().await, Landing::Landed(1));
        assert_eq!(flights.len(), 1);
        let late = follow(&flights, 1);
        assert_eq!(late.began(), at(1));
        fresh.unshareable();
        assert_eq!(late.landing().await, Landing::Unshareable);
    }

    #[tokio::test]
    async fn no_more_flights_begin_than_there_may_be_and_room_comes_back() {
        let flights = Flights::<u32>::with_limits(Limits { flights: 2, followers: 9 });
        let join = |n: u8, epoch| {
            flights.join(Key::from_bytes([n; 16]), at(epoch), |began| began.stamp.epoch >= epoch)
        };
        let (first, second) = (join(1, 0), join(2, 0));
        assert!(matches!(join(3, 0), Joined::Alone(Full::Flights)));
        assert!(matches!(join(1, 0), Joined::Follow(_)), "what is under way can be joined");
        assert!(
            matches!(join(1, 1), Joined::Alone(Full::Flights)),
            "and one that is left to its crew still counts"
        );
        drop(first);
        let third = join(3, 0);
        assert!(matches!(third, Joined::Lead(_)));
        assert!(matches!(join(1, 0), Joined::Alone(Full::Flights)));
        drop((second, third));
        assert!(flights.is_empty());
    }

    #[tokio::test]
    async fn a_flight_has_no_more_followers_than_it_may_have() {
        let flights = Flights::<u32>::with_limits(Limits { flights: 9, followers: 2 });
        let leader = lead(&flights, 0);
        let (first, second) = (follow(&flights, 0), follow(&flights, 0));
        assert!(matches!(flights.join(KEY, at(0), |_| true), Joined::Alone(Full::Followers)));
        drop(first);
        let third = follow(&flights, 0);
        assert!(matches!(flights.join(KEY, at(0), |_| true), Joined::Alone(Full::Followers)));
        leader.land(1);
        for follower in [second, third] {
            assert_eq!(follower.landing().await, Landing::Landed(1));
        }
    }
}
