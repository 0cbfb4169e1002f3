//! The parts that the protocol consists of, by name: a test takes one out and sees that it is missed.

/// What the protocol consists of: the search removes each once, to show that it would be missed, and a build with
/// `--cfg mutants` can run without one of those in [`Mechanism::BY_NAME`], to show that it would be missed from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    /// A lease waits until the log is applied as far as the poll saw it.
    ApplyBeforeLease,
    /// After a reconnect L2 is asked for what was acknowledged lately.
    Audit,
    /// Also for what lies below the log's floor.
    AuditBelowFloor,
    /// Also when an answer of before the reconnect comes after the audit.
    AuditLateAnswer,
    /// What was forgotten for lack of room counts as lost.
    AuditOverflow,
    /// An audit that fails is repeated.
    AuditRetry,
    /// What was acknowledged is not forgotten while L2 is out of reach.
    AuditWindowHeld,
    /// After a regression the log is moved on beyond every number seen.
    Bump,
    /// Cutting the table raises its floor.
    CutRaisesFloor,
    /// An entry of L1 is judged by what has been invalidated.
    EntryCheck,
    /// Nothing filled before a fresh start is served after it.
    EpochFloor,
    /// Where failovers flush, another server makes everything be invalidated.
    FlushOnTakeover,
    /// A frame from below the table's floor is judged by the log.
    FloorAtRead,
    /// A message that does not continue the log is a gap.
    GapDetection,
    /// The grace is begun by a poll that failed, by nothing else that did.
    GraceFromPoll,
    /// It is counted from when that poll was sent.
    GraceFromSend,
    /// L1 is trusted only for so long without news.
    Lease,
    /// A lease is counted from when its poll was sent.
    LeaseFromSend,
    /// A frame is not taken at a position that the log has fallen back to.
    Lineage,
    /// A frame from below the log's floor is dead.
    LogFloorAtRead,
    /// A page counts up to where it is complete.
    PageEnd,
    /// What pages have been read counts when the last one has.
    PageMoves,
    /// A page whose floor is above the position starts over.
    PageFloor,
    /// Too many unconfirmed invalidations become one of the namespace.
    PendingOverflow,
    /// A frame is judged by the table only as far as that reaches.
    ReachAtRead,
    /// A position is compared with what was known when it was asked for.
    RegressionAtSend,
    /// Being subscribed does not mean being in sync.
    Resync,
    /// An instance learns the shapes of patterns from what is invalidated.
    ShapesFromIdents,
    /// And from the log that it asks.
    ShapesFromLog,
    /// A confirmation settles what it was issued for, nothing later.
    SettleByTicket,
    /// What is softly invalidated is expired in L1.
    SoftAtHit,
    /// A frame that is softly invalidated is taken as expired.
    SoftAtRead,
    /// Also by a soft invalidation that only the log knows of.
    SoftInLog,
    /// Where failovers flush, no lease is earned by what may have been answered by another server.
    SuspectedPolls,
    /// And nothing is believed of what that says of entries.
    Suspicion,
    /// A frame is judged by what the instance knows itself.
    TableAtRead,
    /// An entry stamped below the table's floor is dead.
    TableFloor,
    /// A frame is not taken while an invalidation of it waits for L2.
    TaintAtRead,
    /// Answers from before a reconnect are void.
    VoidAnswers,
}

#[cfg(mutants)]
impl Mechanism {
    /// Those whose loss can be seen from outside of a process.
    const BY_NAME: [(&str, Self); 9] = [
        ("apply-before-lease", Self::ApplyBeforeLease),
        ("audit", Self::Audit),
        ("entry-check", Self::EntryCheck),
        ("floor-at-read", Self::FloorAtRead),
        ("gap-detection", Self::GapDetection),
        ("lease", Self::Lease),
        ("reach-at-read", Self::ReachAtRead),
        ("table-at-read", Self::TableAtRead),
        ("taint-at-read", Self::TaintAtRead),
    ];

    /// What the environment says to leave out. A name that means nothing ends the process: its run would show nothing.
    pub(super) fn left_out() -> Option<Self> {
        let name = std::env::var("FOREBAY_MUTANT").ok().filter(|name| !name.is_empty())?;
        let named = Self::BY_NAME.iter().find(|(known, _)| *known == name);
        match named {
            Some((_, mechanism)) => Some(*mechanism),
            None => panic!("FOREBAY_MUTANT={name} is no mechanism that can be left out"),
        }
    }
}
