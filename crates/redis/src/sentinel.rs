//! The sentinels, and which server they name.
//!
//! All of them are asked at once. One that is cut off from the others may still name the old master, so nobody's word
//! is taken before more than half have spoken (or the others cannot), and then that of the latest failover.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use forebay_core::l2::L2Error;
use fred::interfaces::ClientLike;
use fred::types::config::{Server, ServerConfig};
use fred::types::{ClusterHash, CustomCommand};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::client::{Plan, Wire, unavailable};

/// The sentinels of one service.
pub(crate) struct Sentinels {
    nodes: Vec<Arc<Node>>,
    service: Arc<str>,
}

/// One sentinel, and the connection to it.
struct Node {
    plan: Plan,
    server: Server,
    wire: Mutex<Option<Wire>>,
}

/// What a sentinel says.
struct Word {
    master: Server,
    /// The number of the failover that made it the master.
    epoch: u64,
}

impl Sentinels {
    pub(crate) fn new(servers: &[Server], service: &str, plan: &Plan) -> Self {
        let node = |server: &Server| {
            Arc::new(Node { plan: plan.clone(), server: server.clone(), wire: Mutex::new(None) })
        };
        Self { nodes: servers.iter().map(node).collect(), service: service.into() }
    }

    /// The master.
    pub(crate) async fn master(&self) -> Result<Server, L2Error> {
        let mut asked = JoinSet::new();
        for node in &self.nodes {
            let (node, service) = (Arc::clone(node), Arc::clone(&self.service));
            asked.spawn(async move { node.ask(&service).await });
        }
        let (mut words, mut why) = (Vec::new(), None);
        while words.len() <= self.nodes.len() / 2
            && let Some(answer) = asked.join_next().await
        {
            match answer {
                Ok(Ok(word)) => words.push(word),
                Ok(Err(error)) => why = Some(error),
                Err(_) => {}
            }
        }
        latest(words).ok_or_else(|| {
            let why = why.map_or_else(String::new, |error| format!(": {error}"));
            L2Error::Unavailable(format!("no sentinel names a master for {}{why}", self.service))
        })
    }

    /// Waits until the master is another than this one.
    pub(crate) async fn until_another(&self, master: &Server) {
        loop {
            sleep(INTERVAL).await;
            if self.master().await.is_ok_and(|named| named != *master) {
                return;
            }
        }
    }
}

impl Node {
    async fn ask(&self, service: &str) -> Result<Word, L2Error> {
        let mut kept = self.wire.lock().await;
        // A connection that was kept may have ended meanwhile: that says nothing about the sentinel.
        if let Some(wire) = &*kept
            && let Ok(word) = word(wire, service).await
        {
            return Ok(word);
        }
        *kept = None;
        let server = ServerConfig::Centralized { server: self.server.clone() };
        let dialled = timeout(self.plan.patience(), Wire::open(&self.plan, server, 1)).await;
        let wire = dialled.map_err(|_| L2Error::Timeout)??;
        let word = word(&wire, service).await?;
        *kept = Some(wire);
        Ok(word)
    }
}

async fn word(wire: &Wire, service: &str) -> Result<Word, L2Error> {
    let command = CustomCommand::new_static("SENTINEL", ClusterHash::FirstKey, false);
    let reply = timeout(PATIENCE, wire.client.custom(command, vec!["MASTER", service])).await;
    let reply: HashMap<String, String> =
        reply.map_err(|_| L2Error::Timeout)?.map_err(|error| unavailable(&error))?;
    read(&reply).ok_or_else(|| L2Error::Unavailable("a sentinel's word on the master is incomplete".into()))
}

/// The master of the latest failover that any of them has heard of.
fn latest(words: Vec<Word>) -> Option<Server> {
    words.into_iter().max_by_key(|word| word.epoch).map(|word| word.master)
}

fn read(reply: &HashMap<String, String>) -> Option<Word> {
    let (host, port) = (reply.get("ip")?, reply.get("port")?.parse().ok()?);
    Some(Word { master: Server::new(host.as_str(), port), epoch: reply.get("config-epoch")?.parse().ok()? })
}

/// How often the sentinels are asked whether the master is still the same.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a sentinel may take for its word.
const PATIENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentinel_that_has_missed_the_failover_is_not_believed() {
        let word = |host: &str, epoch| Word { master: Server::new(host, 6379), epoch };
        let words = vec![word("old", 3), word("new", 4), word("old", 3)];
        assert_eq!(latest(words), Some(Server::new("new", 6379)));
        assert_eq!(latest(vec![]), None);
    }

    #[test]
    fn a_word_without_address_or_epoch_is_none() {
        let told = [("ip", "10.0.0.5"), ("port", "6379"), ("config-epoch", "7"), ("flags", "master")];
        let reply = |left_out: &str| -> HashMap<String, String> {
            let kept = told.iter().filter(|(name, _)| *name != left_out);
            kept.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let word = read(&reply("flags")).unwrap();
        assert_eq!((word.master, word.epoch), (Server::new("10.0.0.5", 6379), 7));
        for missing in ["ip", "port", "config-epoch"] {
            assert!(read(&reply(missing)).is_none(), "{missing}");
        }
    }
}
