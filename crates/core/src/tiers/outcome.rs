//! What comes of each step.

use std::sync::Arc;

use crate::entry::{Entry, Stamp};
use crate::event::Tier;
use crate::flight::{Follower, Lead};
use crate::key::Key;
use crate::l2::Incarnation;
use crate::lease::Lease;
use crate::seek::Origin;
use crate::time::Moment;

/// What L1 had.
#[derive(Debug)]
pub enum Probe<V> {
    /// A valid entry that is the answer, and whether the instance is in sync with L2.
    Hit(Arc<Entry<V>>, Synced),
    /// The same, but it is to be fetched anew as well.
    Refresh(Arc<Entry<V>>, Synced),
    /// Nothing to serve.
    Miss(Absence),
}

/// Whether an answer is known to be coherent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synced {
    /// It is.
    Yes,
    /// L2 cannot be reached: it may have been invalidated elsewhere.
    No,
}

/// Why L1 had nothing to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Absence {
    /// There is nothing under the key.
    Unknown,
    /// There is something, but not for these request fields.
    Variant,
    /// It has expired, or the request wants it validated.
    Stale,
    /// It has been invalidated.
    Invalidated,
    /// It may have been invalidated: the instance is not in sync.
    Lapsed,
    /// There is an answer, but not for this request.
    Barred,
    /// There was an answer, and the request needs L2's word on it.
    Unattested,
}

impl Absence {
    /// The same, of a variant that something was found to have.
    pub(crate) const fn of_variant(self) -> Self {
        match self {
            Self::Unknown => Self::Variant,
            other => other,
        }
    }
}

/// How a request was answered.
pub enum Fetched<V, O: Origin<V>> {
    /// With an entry.
    Cached(Arc<Entry<V>>, Tier),
    /// With an entry that is stale, in the place of an origin that was not asked for this request.
    Fallback(Arc<Entry<V>>, Failing),
    /// Not at all: another request has asked the origin, and this one waits no longer for the answer.
    TimedOut,
    /// By the origin, because of this.
    Origin(O::Reply, Absence),
    /// Not yet: the request's key is made otherwise than it thought. The origin was not asked.
    LookAgain(O),
}

/// Why a stale entry stands in for the origin, which another request has asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    /// It has failed that one, for which this one had waited.
    Now,
    /// It has failed that one less than a second ago.
    Lately,
    /// It takes its time.
    Slow,
}

/// What a fill rests on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grounds {
    /// What was looked for: the fill belongs to the same shard, whose log the rest is about.
    pub(super) key: Key,
    pub(super) stamp: Stamp,
    /// Without one, the fill is not offered to L2.
    pub(super) incarnation: Option<Incarnation>,
    /// A moment before the origin was asked; the clock's start where that is not known.
    pub(super) asked: Moment,
    pub(super) told: Told,
    /// The end of the frame that L2 had: what tells it from another.
    pub(super) frame: Option<FrameEnd>,
}

/// The last bytes of a frame: its checksum.
pub(super) type FrameEnd = [u8; 16];

/// Who has told what a fill rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// L2, just now.
    ByL2,
    /// Nobody: it is what has been applied here.
    ByNobody,
}

/// Whether a fill has left anything behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    Something,
    Nothing,
}

/// What L2 says of an entry that is held in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attestation {
    /// Nothing that it answers to was invalidated before L2 was asked.
    Valid,
    /// It has been invalidated, or L2's log is not the one that the instance follows.
    Refuted,
    /// L2 does not answer.
    Silent,
}

pub(crate) enum Place<V> {
    Ahead(Option<Lead<Arc<Entry<V>>>>),
    Follow(Follower<Arc<Entry<V>>>),
}

pub(crate) enum Followed<V> {
    Shared(Arc<Entry<V>>),
    /// The origin has failed, and the request settles for this.
    Failed(Arc<Entry<V>>),
    Slow(Arc<Entry<V>>),
    TimedOut,
    Again,
    LookAgain,
    Alone,
}

pub(crate) enum Looked<V> {
    Found(Arc<Entry<V>>, Tier, Grounds),
    Nothing(Grounds),
}

/// What a request has taken on that goes ahead, and has to end: the flight that it leads, and the lease under which no other
/// instance fetches the same. Dropping it abandons both.
#[derive(Debug)]
pub(crate) struct Duty<V> {
    pub(super) lead: Option<Lead<Arc<Entry<V>>>>,
    pub(super) lease: Option<Lease>,
}

impl<V> Duty<V> {
    /// Of a request that leads nothing.
    pub(crate) const NONE: Self = Self { lead: None, lease: None };

    /// Ends it: everybody may share this.
    pub(crate) fn land(self, entry: &Arc<Entry<V>>) {
        land(self.lead, entry);
    }

    /// Ends it: the origin failed. Followers may settle for this entry, which is stale.
    pub(super) fn failed(self, entry: &Arc<Entry<V>>) {
        self.waive(|lead| lead.failed(Arc::clone(entry)));
    }

    /// Ends it without having asked the origin, which has failed lately.
    pub(crate) fn fail(self, entry: &Arc<Entry<V>>) {
        if let Some(lead) = self.lead {
            lead.failed(Arc::clone(entry));
        }
    }

    /// Ends it: everybody asks for itself.
    pub(super) fn unshareable(self) {
        self.waive(Lead::unshareable);
    }

    /// Ends it: everybody looks again, here under another key.
    pub(super) fn look_again(self) {
        self.waive(Lead::look_again);
    }

    /// Other instances have nothing to wait for in any of these cases.
    fn waive(self, end: impl FnOnce(Lead<Arc<Entry<V>>>)) {
        if let Some(lead) = self.lead {
            end(lead);
        }
        if let Some(lease) = self.lease {
            lease.waive();
        }
    }
}

pub(super) fn land<V>(lead: Option<Lead<Arc<Entry<V>>>>, entry: &Arc<Entry<V>>) {
    if let Some(lead) = lead {
        lead.land(Arc::clone(entry));
    }
}
