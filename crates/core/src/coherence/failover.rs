//! Another server takes over, perhaps without the last that the one before had acknowledged.
//!
//! By default that is left to the audit. With [`Failover::Flush`] everything is invalidated when it may have happened, and until
//! it is known whether it has, nothing is believed that L2 says.

use super::mechanism::Mechanism;
use super::protocol::Failover;
use super::state::{Server, State};
use crate::time::Moment;

impl State {
    /// The bus is with this server.
    pub(super) fn on_server(&mut self, name: Option<String>) {
        let same =
            self.server == Server::Untold || (name.is_some() && self.server == Server::Named(name.clone()));
        self.server = Server::Named(name);
        self.suspects = false;
        // What was answered meanwhile has earned no lease.
        self.next_poll = Moment::default();
        if !same {
            self.flush_all();
        }
    }

    /// The bus is lost: what answers from now on may be another server.
    pub(super) fn suspect(&mut self) {
        self.suspects = self.settings.failover == Failover::Flush && !self.lacks(Mechanism::Suspicion);
    }

    /// Invalidates everything, here at once and everywhere when L2 has it.
    pub(super) fn flush_all(&mut self) {
        if self.settings.failover == Failover::Flush && !self.lacks(Mechanism::FlushOnTakeover) {
            self.epoch += 1;
            self.pending.raise(self.settings.namespace, self.epoch);
        }
    }
}
