//! Which server the connections are on.
//!
//! An L2 has several connections, dialled one by one; in a failover one may reach the new server while another is still
//! on the old one. What the subscription says of the log must be true for the server that operations ask: so an operation
//! is refused a connection to any other server than the one that was reached last, and the subscription is begun anew
//! there, which makes the instance check what the new server knows.
//!
//! **Invariant:** operations and the subscription are on one server; another one is noticed as a reconnect of the
//! subscription.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

/// One life of one server process: the beginning of its `run_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunId(u128);

impl RunId {
    /// Finds it in the reply to `INFO server`.
    pub(crate) fn in_info(info: &str) -> Option<Self> {
        let id = info.lines().find_map(|line| line.strip_prefix("run_id:"))?;
        u128::from_str_radix(id.trim().get(..32)?, 16).ok().map(Self)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The server that was reached last. A connection whose server did not tell who it is stays where it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Home(Arc<watch::Sender<Option<RunId>>>);

impl Home {
    /// Notes that a connection has reached this server.
    pub(crate) fn reached(&self, server: Option<RunId>) {
        self.0.send_if_modified(|home| {
            let moved = server.is_some() && *home != server;
            if moved {
                if home.is_some() {
                    tracing::info!("Redis is another server now, or the same one started anew");
                }
                *home = server;
            }
            moved
        });
    }

    /// Whether a connection to this server is one too many.
    pub(crate) fn is_elsewhere(&self, server: Option<RunId>) -> bool {
        elsewhere(server, *self.0.borrow())
    }

    /// Waits until a connection reaches another server than the last one.
    pub(crate) async fn moves(&self) {
        // The sender is in `self`: this cannot fail.
        let _ = self.0.subscribe().changed().await;
    }

    /// Waits until a connection to this server is one too many.
    pub(crate) async fn moved_from(&self, server: Option<RunId>) {
        // The sender is in `self`: this cannot fail.
        let _ = self.0.subscribe().wait_for(|home| elsewhere(server, *home)).await;
    }
}

fn elsewhere(server: Option<RunId>, home: Option<RunId>) -> bool {
    matches!((server, home), (Some(server), Some(home)) if server != home)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_id_is_found_among_the_other_lines() {
        let info = |id: &str| format!("# Server\r\nredis_version:7.0.15\r\nrun_id:{id}\r\ntcp_port:6379\r\n");
        let (a, b) = ("84514a072a3f75b3373d01786c1a4a3debc84c39", "94514a072a3f75b3373d01786c1a4a3debc84c39");
        assert_eq!(RunId::in_info(&info(a)), RunId::in_info(&info(a)));
        assert_ne!(RunId::in_info(&info(a)), RunId::in_info(&info(b)));
        for none in ["", "0", "zz514a072a3f75b3373d01786c1a4a3debc84c39"] {
            assert_eq!(RunId::in_info(&info(none)), None);
        }
        assert_eq!(RunId::in_info("# Server"), None);
    }

    #[test]
    fn a_connection_is_elsewhere_once_another_server_was_reached_and_never_where_none_says_who_it_is() {
        let (a, b) = (Some(RunId(1)), Some(RunId(2)));
        let home = Home::default();
        assert!(!home.is_elsewhere(a));
        home.reached(a);
        home.reached(None);
        assert!(!home.is_elsewhere(a) && home.is_elsewhere(b) && !home.is_elsewhere(None));
        home.reached(b);
        assert!(home.is_elsewhere(a) && !home.is_elsewhere(b));
    }
}
