//! Coherence: how an instance knows that what it holds has not been invalidated elsewhere.
//!
//! Every entry carries a [`Stamp`](crate::entry::Stamp): the position of the invalidation log, read before its origin was asked. It
//! may be served while no ident of it has been invalidated after the stamp. Messages on the bus only make that fast; what
//! makes it safe is the *log* (a gap in the sequence numbers is noticed and read again) and the *lease* (an
//! instance that has not heard from L2 for that long no longer trusts its L1).
//!
//! * [`State`] is the protocol, without I/O, clock or locks: events in, [`Action`]s out. An exhaustive search over it
//!   runs as a test (`coherence/search`), with every mechanism knocked out once to show that the search would notice.
//! * [`Coherence`] shares a state between the task that drives it and the requests that ask it.
//!
//! ```
//! use forebay_core::coherence::{Coherence, Serves, Settings};
//! use forebay_core::entry::{Entry, Span};
//! use forebay_core::key::Secrets;
//! use forebay_core::tag::{Idents, Tag, Targets};
//! use forebay_core::time::Moment;
//! use std::time::Duration;
//!
//! let secrets = Secrets::new("shop", None);
//! let coherence = Coherence::alone(Settings::new(&secrets));
//! let mut idents = Idents::new(&secrets);
//! idents.tag(&secrets, "article:42")?;
//!
//! let stamp = coherence.begin().stamp;
//! let span = Span { lifetime: Duration::from_secs(60), ..Span::default() };
//! let entry = Entry::new("body", secrets.key(b"key"), b"key", idents.as_slice(), stamp, span);
//! assert_eq!(coherence.serves(&entry, Moment::default()), Serves::Synced);
//!
//! coherence.taint(&Tag("article:42").idents(&secrets)?, Moment::default());
//! assert_eq!(coherence.serves(&entry, Moment::default()), Serves::Invalidated);
//! # Ok::<(), forebay_core::tag::TargetError>(())
//! ```

mod mechanism;
mod protocol;
mod idents;
mod state;
mod audit;
mod bookkeeping;
mod failover;
mod soft;
mod patterns;
mod judge;
#[cfg(test)]
mod search;
mod shared;
#[cfg(test)]
mod tests;

pub use self::bookkeeping::Bookkeeping;
pub use self::protocol::{Action, Event, Failover, FrameVerdict, Reply, Settings, Ticket};
pub use self::shared::{Begun, Coherence, Serves, Standing};
pub use self::soft::asked;
pub use self::state::State;

pub(crate) use self::shared::Alone;
