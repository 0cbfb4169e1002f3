//! Was anything stale served? Tests write down every write and every read, and the checker judges afterwards.
//!
//! A read is stale when a write that it does not reflect had been invalidated, and the invalidation confirmed, longer
//! before the read began than the guarantees allow: not at all for the instance that invalidated and for what L2
//! answers, a lease for what another instance holds in its memory, and a grace more while that instance says that it is cut
//! off. All times are of one clock.
//!
//! A slow witness accuses nobody: the start of a read is taken before it is sent and a confirmation's time after it has
//! arrived, so that whatever delays the one who writes them down makes a read look earlier and a confirmation later than they
//! were. What the instance promises does not depend on when it was scheduled either: it looks at its lease after the read's
//! start, and a lease that is still valid then was asked for after the confirmation.
//!
//! ```
//! use std::time::Duration;
//! use forebay_core::time::Moment;
//! use forebay_testkit::history::{HistoryChecker, Read, Tier, Write};
//!
//! let at = |millis: u64| Moment::from_nanos(millis * 1_000_000);
//! let mut history = HistoryChecker::new();
//! history.write(Write { key: "/a".into(), version: 1, issuer: 0, confirmed: at(100) });
//! // Another instance still serves version 0 from L1, 50 ms later: within the lease.
//! let read = Read { key: "/a".into(), version: 0, instance: 1, tier: Tier::L1, start: at(150) };
//! history.read(read.clone());
//! assert!(history.check(Duration::from_secs(2)).stale.is_empty());
//! // The issuer itself has no such excuse.
//! history.read(Read { instance: 0, ..read });
//! assert_eq!(history.check(Duration::from_secs(2)).stale.len(), 1);
//! ```

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use forebay_core::time::Moment;

/// A write to the origin's data whose invalidation was confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// What was written.
    pub key: String,
    /// The version that the data has since.
    pub version: u64,
    /// The instance on which the invalidation was called.
    pub issuer: usize,
    /// When that call returned Ok.
    pub confirmed: Moment,
}

/// An answer that a client was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// What was asked for.
    pub key: String,
    /// The version that was answered.
    pub version: u64,
    /// The instance that answered.
    pub instance: usize,
    /// Where it had the answer from.
    pub tier: Tier,
    /// When the client asked. When it had its answer does not matter: what was confirmed in between may be in it or
    /// not.
    pub start: Moment,
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tier {
    /// The instance's own memory: L1, or the flight of another request.
    L1,
    /// L1 of an instance that says it is cut off.
    Unsynced,
    /// The tier that all instances share.
    L2,
    /// The origin, asked for this read.
    Origin,
}

/// How long after a confirmation another instance's memory may answer without it.
///
/// ```
/// use std::time::Duration;
/// use forebay_testkit::history::Bounds;
///
/// let bounds = Bounds { lease: Duration::from_secs(2), grace: Duration::from_secs(30) };
/// assert_eq!(Bounds::from(bounds.lease), Bounds { grace: Duration::ZERO, ..bounds });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// While it is in sync.
    pub lease: Duration,
    /// Beyond that, while it says that it is cut off.
    pub grace: Duration,
}

impl From<Duration> for Bounds {
    fn from(lease: Duration) -> Self {
        Self { lease, grace: Duration::ZERO }
    }
}

/// Collects writes and reads and judges them. Tasks may collect on their own and be put together by
/// [`HistoryChecker::absorb`].
#[derive(Debug, Clone, Default)]
pub struct HistoryChecker {
    writes: HashMap<String, Vec<Noted>>,
    reads: Vec<Read>,
}

/// A write, and whom it binds.
#[derive(Debug, Clone)]
struct Noted {
    write: Write,
    binds: Binds,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Binds {
    /// Every instance, once what its memory is trusted for is over.
    All,
    /// Every instance at once.
    AllAtOnce,
    /// The one that it was called on.
    Issuer,
}

impl HistoryChecker {
    /// An empty history.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes down a write.
    pub fn write(&mut self, write: Write) {
        self.note(write, Binds::All);
    }

    /// Writes down a write whose invalidation was answered but not confirmed: it holds on its issuer, and nobody else is bound.
    pub fn unconfirmed(&mut self, write: Write) {
        self.note(write, Binds::Issuer);
    }

    /// Writes down a write whose invalidation was waited for until it held on every instance: nobody may miss it any more, but for
    /// a grace while it says that it is cut off.
    pub fn everywhere(&mut self, write: Write) {
        self.note(write, Binds::AllAtOnce);
    }

    fn note(&mut self, write: Write, binds: Binds) {
        self.writes.entry(write.key.clone()).or_default().push(Noted { write, binds });
    }

    /// Writes down a read.
    pub fn read(&mut self, read: Read) {
        self.reads.push(read);
    }

    /// Adds what another checker has collected.
    pub fn absorb(&mut self, other: Self) {
        other.writes.into_values().flatten().for_each(|noted| self.note(noted.write, noted.binds));
        self.reads.extend(other.reads);
    }

    /// The writes that bind everybody, without the reads: what to go on with where reads are judged part by part.
    #[must_use]
    pub fn confirmed(&self) -> Self {
        let binding = |noted: &&Noted| noted.binds != Binds::Issuer;
        let mut confirmed = Self::new();
        let all = self.writes.values().flatten().filter(binding);
        all.for_each(|noted| confirmed.note(noted.write.clone(), noted.binds));
        confirmed
    }

    /// Judges every read; without a grace unless `bounds` have one.
    #[must_use]
    pub fn check(&self, bounds: impl Into<Bounds>) -> Verdict {
        let bounds = bounds.into();
        let writes: HashMap<&str, ByVersion<'_>> =
            self.writes.iter().map(|(key, writes)| (key.as_str(), ByVersion::new(writes))).collect();
        let mut verdict = Verdict {
            reads: self.reads.len(),
            stale: vec![],
            behind: vec![],
            longest_behind: Duration::ZERO,
        };
        for read in &self.reads {
            let Some(writes) = writes.get(read.key.as_str()) else { continue };
            let missed = writes.missed(read);
            let confirmed = |noted: &&Noted| noted.write.confirmed;
            let Some(first) = missed.clone().min_by_key(confirmed) else { continue };
            verdict.longest_behind = verdict.longest_behind.max(read.start.since(first.write.confirmed));
            verdict.behind.push(Stale { read: read.clone(), write: first.write.clone() });
            let inexcusable = missed.filter(|noted| {
                let allowed = allowed(read, noted, bounds);
                read.start > noted.write.confirmed.after(allowed)
            });
            // The earliest such write is the one that shows by how much the read was late.
            if let Some(noted) = inexcusable.min_by_key(confirmed) {
                verdict.stale.push(Stale { read: read.clone(), write: noted.write.clone() });
            }
        }
        verdict
    }
}

/// The writes of one key, in the order of their versions.
struct ByVersion<'a> {
    writes: Vec<&'a Noted>,
    /// For each, the earliest confirmation among it and all later ones: most reads are behind nothing, and this tells.
    earliest: Vec<Moment>,
}

impl<'a> ByVersion<'a> {
    fn new(writes: &'a [Noted]) -> Self {
        let mut writes: Vec<&Noted> = writes.iter().collect();
        writes.sort_by_key(|noted| noted.write.version);
        let mut earliest: Vec<Moment> = writes.iter().map(|noted| noted.write.confirmed).collect();
        for at in (1..earliest.len()).rev() {
            earliest[at - 1] = earliest[at - 1].min(earliest[at]);
        }
        Self { writes, earliest }
    }

    /// Those that had been confirmed when the read began, that bind its instance, and that its answer does not reflect.
    fn missed(&self, read: &Read) -> impl Iterator<Item = &'a Noted> + Clone {
        let first = self.writes.partition_point(|noted| noted.write.version <= read.version);
        let none = self.earliest.get(first).is_none_or(|earliest| *earliest >= read.start);
        let later = if none { &[][..] } else { &self.writes[first..] };
        let (instance, start) = (read.instance, read.start);
        let binding = move |noted: &&Noted| noted.binds != Binds::Issuer || noted.write.issuer == instance;
        later.iter().copied().filter(binding).filter(move |noted| noted.write.confirmed < start)
    }
}

fn allowed(read: &Read, noted: &Noted, bounds: Bounds) -> Duration {
    if read.instance == noted.write.issuer {
        return Duration::ZERO;
    }
    // The leases of those who had not heard were waited for.
    let lease = if noted.binds == Binds::AllAtOnce { Duration::ZERO } else { bounds.lease };
    match read.tier {
        Tier::L1 => lease,
        Tier::Unsynced => lease + bounds.grace,
        Tier::L2 | Tier::Origin => Duration::ZERO,
    }
}

/// What [`HistoryChecker::check`] found. Its text is one line for each kind of finding.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// How many reads were judged.
    pub reads: usize,
    /// The reads that no guarantee excuses.
    pub stale: Vec<Stale>,
    /// The reads that missed something confirmed before they began, excused or not, each with the first that it missed.
    pub behind: Vec<Stale>,
    /// The longest time between a confirmed invalidation and the start of a read that did not reflect it, excused
    /// or not: how long the slowest instance took.
    pub longest_behind: Duration,
}

/// A stale read and the earliest write that proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    /// What was served.
    pub read: Read,
    /// What should have been seen.
    pub write: Write,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reads, stale, longest_behind, .. } = self;
        write!(f, "{} stale of {reads} reads, longest behind {longest_behind:?}", stale.len())?;
        for Stale { read, write } in stale.iter().take(SHOWN) {
            let late = read.start.since(write.confirmed);
            write!(
                f,
                "\n  {} version {} from {:?} of instance {}, {late:?} after version {} was confirmed on instance {}",
                read.key, read.version, read.tier, read.instance, write.version, write.issuer
            )?;
        }
        Ok(())
    }
}

/// The first few findings tell what is wrong; thousands would bury it.
const SHOWN: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_millis(2_000);

    fn at(millis: u64) -> Moment {
        Moment::from_nanos(millis * 1_000_000)
    }

    fn one_write_then(tier: Tier, instance: usize, start: u64, version: u64) -> Verdict {
        let mut history = HistoryChecker::new();
        history.write(Write { key: "k".into(), version: 5, issuer: 0, confirmed: at(1_000) });
        history.read(Read { key: "k".into(), version, instance, tier, start: at(start) });
        history.check(LEASE)
    }

    #[test]
    fn what_was_waited_for_everywhere_may_be_missed_by_nobody_in_sync() {
        let mut history = HistoryChecker::new();
        history.everywhere(Write { key: "k".into(), version: 5, issuer: 0, confirmed: at(1_000) });
        for (tier, start) in [(Tier::L1, 1_000), (Tier::L1, 1_001), (Tier::Unsynced, 1_001)] {
            history.read(Read { key: "k".into(), version: 4, instance: 1, tier, start: at(start) });
        }
        assert_eq!(history.check(LEASE).stale.len(), 2);
        assert_eq!(history.check(Bounds { lease: LEASE, grace: LEASE }).stale.len(), 1);
    }

    #[test]
    fn a_later_part_is_judged_by_what_an_earlier_one_has_confirmed_and_by_nothing_else_of_it() {
        let mut earlier = HistoryChecker::new();
        let write = Write { key: "k".into(), version: 5, issuer: 0, confirmed: at(1_000) };
        earlier.write(write.clone());
        earlier.unconfirmed(Write { version: 6, ..write });
        let mut later = earlier.confirmed();
        for version in [4, 5] {
            let start = at(9_000);
            later.read(Read { key: "k".into(), version, instance: 0, tier: Tier::L1, start });
        }
        let stale: Vec<u64> = later.check(LEASE).stale.iter().map(|stale| stale.read.version).collect();
        assert_eq!(stale, [4]);
    }

    #[test]
    fn a_stale_read_is_caught_on_the_issuer_and_from_l2_at_once() {
        for (tier, instance) in [(Tier::L1, 0), (Tier::L2, 0), (Tier::L2, 1), (Tier::Origin, 1)] {
            assert_eq!(one_write_then(tier, instance, 1_001, 4).stale.len(), 1, "{tier:?} of {instance}");
            assert_eq!(one_write_then(tier, instance, 1_001, 5).stale.len(), 0, "{tier:?} of {instance}");
        }
    }

    #[test]
    fn another_instances_memory_has_the_lease_and_no_more() {
        let excused = one_write_then(Tier::L1, 1, 3_000, 4);
        assert_eq!((excused.stale.len(), excused.longest_behind), (0, LEASE));
        let late = one_write_then(Tier::L1, 1, 3_001, 4);
        assert_eq!(late.stale.len(), 1);
        assert!(late.to_string().contains("2.001s after version 5 was confirmed"), "{late}");
    }

    #[test]
    fn a_read_that_began_before_the_confirmation_may_see_either() {
        assert!(one_write_then(Tier::L1, 0, 1_000, 4).stale.is_empty());
        assert!(one_write_then(Tier::L1, 0, 1_000, 5).stale.is_empty());
    }

    #[test]
    fn an_issuer_is_bound_by_its_own_writes_even_when_others_wrote_later() {
        let mut history = HistoryChecker::new();
        let write =
            |version, issuer, confirmed| Write { key: "k".into(), version, issuer, confirmed: at(confirmed) };
        let mut collected_elsewhere = HistoryChecker::new();
        collected_elsewhere.write(write(1, 0, 1_000));
        history.absorb(collected_elsewhere);
        history.write(write(2, 1, 1_500));
        let read = |version| Read { key: "k".into(), version, instance: 0, tier: Tier::L1, start: at(1_600) };
        history.read(read(1));
        assert!(history.check(LEASE).stale.is_empty(), "instance 0 need not have heard of version 2 yet");
        history.read(read(0));
        let verdict = history.check(LEASE);
        assert_eq!((verdict.reads, verdict.stale.len(), verdict.stale[0].write.version), (2, 1, 1));
    }

    #[test]
    fn who_is_cut_off_and_says_so_has_the_grace_too() {
        let mut history = HistoryChecker::new();
        history.write(Write { key: "k".into(), version: 5, issuer: 0, confirmed: at(1_000) });
        let read =
            |start| Read { key: "k".into(), version: 4, instance: 1, tier: Tier::Unsynced, start: at(start) };
        [3_500, 6_001].into_iter().for_each(|start| history.read(read(start)));
        assert_eq!(history.check(LEASE).stale.len(), 2);
        let verdict = history.check(Bounds { lease: LEASE, grace: Duration::from_secs(3) });
        assert_eq!((verdict.stale.len(), verdict.behind.len()), (1, 2));
        // Its own writes it knows, cut off or not.
        history.read(Read { instance: 0, ..read(1_001) });
        assert_eq!(history.check(Bounds { lease: LEASE, grace: Duration::from_secs(3) }).stale.len(), 2);
    }

    #[test]
    fn what_was_not_confirmed_binds_its_issuer_alone() {
        let mut history = HistoryChecker::new();
        history.unconfirmed(Write { key: "k".into(), version: 5, issuer: 0, confirmed: at(1_000) });
        let read = |instance, tier| Read { key: "k".into(), version: 4, instance, tier, start: at(9_000) };
        history.read(read(1, Tier::L2));
        history.read(read(1, Tier::L1));
        assert!(history.check(LEASE).stale.is_empty());
        history.read(read(0, Tier::L2));
        assert_eq!(history.check(LEASE).stale.len(), 1);
    }

    #[test]
    fn keys_are_judged_apart() {
        let mut history = HistoryChecker::new();
        history.write(Write { key: "other".into(), version: 9, issuer: 0, confirmed: at(1) });
        history.read(Read { key: "k".into(), version: 0, instance: 0, tier: Tier::L2, start: at(50) });
        assert!(history.check(LEASE).stale.is_empty());
    }
}
