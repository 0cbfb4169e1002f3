//! The tiers of one kind of value, and each step that a request takes through them.
//!
//! The order of the steps is told by [`fetch`](mod@crate::fetch); no step calls the next one's business.

mod outcome;
mod recent;
mod state;
mod attest;
mod follow;
mod look;
mod turn;
mod unheld;
mod fill;
mod refresh;
mod change;

pub use self::change::Before;
pub use self::outcome::{Absence, Failing, Fetched, Probe, Synced};
pub use self::refresh::Refreshing;
pub use self::state::Tiers;

pub(crate) use self::outcome::{Duty, Followed, Looked, Place};
