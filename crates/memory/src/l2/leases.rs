//! The fill leases of a server.

use std::collections::HashMap;
use std::time::Duration;

use forebay_core::entry::Seq;
use forebay_core::key::Key;
use forebay_core::l2::{Claim, MAX_TERM, Tend, Tenure, Token};
use tokio::time::Instant;

#[derive(Clone, Default)]
pub(super) struct Leases(HashMap<Key, Lease>);

#[derive(Clone)]
struct Lease {
    /// Who has claimed it, and at which position; nobody where it was waived.
    holder: Option<(Token, Seq)>,
    ends: Instant,
    waited_for: bool,
}

impl Leases {
    pub(super) fn claim(&mut self, key: Key, holder: (Token, Seq), term: Duration, after: Seq) -> Claim {
        let now = Instant::now();
        let ends = now + term.min(MAX_TERM);
        let lease = self.0.entry(key).or_insert(Lease { holder: None, ends: now, waited_for: false });
        match lease.holder {
            Some((_, at)) if lease.ends > now && at >= after => {
                lease.waited_for = true;
                Claim::Held(lease.ends - now)
            }
            None if lease.ends > now => Claim::Waived,
            _ => {
                let waited_for = lease.waited_for && lease.ends > now;
                *lease = Lease { holder: Some(holder), ends, waited_for };
                Claim::Claimed
            }
        }
    }

    /// Also whether somebody has to be told.
    pub(super) fn tend(&mut self, key: Key, token: Token, tend: Tend) -> (Tenure, bool) {
        let now = Instant::now();
        let is_ours = |lease: &&mut Lease| lease.holder.is_some_and(|it| it.0 == token) && lease.ends > now;
        let Some(lease) = self.0.get_mut(&key).filter(is_ours) else {
            return (Tenure::Lost, false);
        };
        let waited_for = lease.waited_for;
        match tend {
            Tend::Renew(term) => {
                lease.ends = now + term.min(MAX_TERM);
                return (Tenure::Ours, false);
            }
            Tend::Waive(term) => *lease = Lease { holder: None, ends: now + term, waited_for: false },
            _ => drop(self.0.remove(&key)),
        }
        (Tenure::Ours, waited_for)
    }

    /// How many there are, waived ones and those that have run out included.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
