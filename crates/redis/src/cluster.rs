//! The nodes of a cluster, and which of them is the master of which slot.
//!
//! A shard lives in one slot, so to a shard a cluster is one server whose address changes. Who has the slot is asked of
//! several nodes at once: one that is cut off from the others may still name itself. Nobody's word is taken before more
//! than half have spoken (or the others cannot), and then that of the latest configuration.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use forebay_core::l2::L2Error;
use fred::interfaces::ClientLike;
use fred::types::config::{Server, ServerConfig};
use fred::types::{ClusterHash, CustomCommand};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::client::{Plan, Wire, unavailable};

/// A cluster, as all shards of an L2 see it.
pub(crate) struct Cluster {
    plan: Plan,
    seeds: Vec<Server>,
    heard: Mutex<Heard>,
}

/// What the nodes have said last.
#[derive(Default)]
struct Heard {
    /// When they were asked.
    at: Option<Instant>,
    claims: Vec<Claim>,
    /// Connections to those that were asked.
    nodes: HashMap<Server, Arc<Node>>,
}

/// One node, and the connection to it.
#[derive(Default)]
struct Node(Mutex<Option<Wire>>);

/// A node's word on another, or on itself.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Claim {
    node: Server,
    /// The number of the configuration by which it has its slots.
    epoch: u64,
    /// None for a replica.
    slots: Vec<RangeInclusive<u16>>,
}

impl Cluster {
    pub(crate) fn new(seeds: &[Server], plan: Plan) -> Self {
        Self { plan, seeds: seeds.to_vec(), heard: Mutex::default() }
    }

    /// The master of a slot, by what the nodes have said since `since`. All who ask at once share an answer.
    pub(crate) async fn master_of(&self, slot: u16, since: Instant) -> Result<Server, L2Error> {
        let mut heard = self.heard.lock().await;
        if heard.at.is_none_or(|at| at < since) {
            let begun = Instant::now();
            heard.claims = self.ask(&mut heard).await?;
            heard.at = Some(begun);
        }
        let masters =
            heard.claims.iter().filter(|claim| claim.slots.iter().any(|range| range.contains(&slot)));
        let latest = masters.max_by_key(|claim| claim.epoch);
        latest.map(|claim| claim.node.clone()).ok_or_else(|| {
            L2Error::Unavailable(format!("no node of the cluster is the master of slot {slot}"))
        })
    }

    /// Asks some nodes, those given in the first place.
    async fn ask(&self, heard: &mut Heard) -> Result<Vec<Claim>, L2Error> {
        let known = heard.claims.iter().map(|claim| &claim.node);
        let mut asked: Vec<Server> = Vec::with_capacity(ASKED);
        for server in self.seeds.iter().chain(known) {
            if asked.len() < ASKED && !asked.contains(server) {
                asked.push(server.clone());
            }
        }
        heard.nodes.retain(|server, _| asked.contains(server));
        let mut answers = JoinSet::new();
        for server in &asked {
            let node = Arc::clone(heard.nodes.entry(server.clone()).or_default());
            let (server, plan) = (server.clone(), self.plan.clone());
            answers.spawn(async move { node.ask(&plan, &server).await });
        }
        let (mut spoken, mut claims, mut why) = (0, Vec::new(), None);
        while spoken <= asked.len() / 2
            && let Some(answer) = answers.join_next().await
        {
            match answer {
                Ok(Ok(words)) => {
                    spoken += 1;
                    claims.extend(words);
                }
                Ok(Err(error)) => why = Some(error),
                Err(_) => {}
            }
        }
        if spoken == 0 {
            let why = why.map_or_else(String::new, |error| format!(": {error}"));
            return Err(L2Error::Unavailable(format!("no node of the cluster answers{why}")));
        }
        Ok(claims)
    }
}

impl Node {
    async fn ask(&self, plan: &Plan, server: &Server) -> Result<Vec<Claim>, L2Error> {
        let mut kept = self.0.lock().await;
        // A connection that was kept may have ended meanwhile: that says nothing about the node.
        if let Some(wire) = &*kept
            && let Ok(claims) = claims(wire, server).await
        {
            return Ok(claims);
        }
        *kept = None;
        let config = ServerConfig::Centralized { server: server.clone() };
        let dialled = timeout(plan.patience(), Wire::open(plan, config, 1)).await;
        let wire = dialled.map_err(|_| L2Error::Timeout)??;
        let claims = claims(&wire, server).await?;
        *kept = Some(wire);
        Ok(claims)
    }
}

async fn claims(wire: &Wire, asked: &Server) -> Result<Vec<Claim>, L2Error> {
    let command = CustomCommand::new_static("CLUSTER", ClusterHash::FirstKey, false);
    let reply = timeout(PATIENCE, wire.client.custom(command, vec!["NODES"])).await;
    let reply: String = reply.map_err(|_| L2Error::Timeout)?.map_err(|error| unavailable(&error))?;
    Ok(reply.lines().filter_map(|line| claim(line, asked)).collect())
}

/// Reads a line of `CLUSTER NODES`: id, address, flags, its master, ping, pong, epoch, link, slots. Of nodes that are
/// gone, or of which only a name is known, there is nothing to be read.
fn claim(line: &str, asked: &Server) -> Option<Claim> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (address, flags) = (fields.next()?, fields.next()?);
    if flags.split(',').any(|flag| ["fail", "handshake", "noaddr"].contains(&flag)) {
        return None;
    }
    let (host, port) = address.split('@').next()?.rsplit_once(':')?;
    // A node that was never told its own address is where it was reached.
    let host = if host.is_empty() { &*asked.host } else { host };
    let node = Server::new(host, port.parse().ok()?);
    let epoch = fields.nth(3)?.parse().ok()?;
    // A slot on its way has brackets around it, and is still where it was.
    let slots = fields.skip(1).filter(|range| !range.starts_with('['));
    let range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    Some(Claim { node, epoch, slots: slots.map(range).collect::<Option<_>>()? })
}

/// How many nodes are asked.
const ASKED: usize = 5;
/// How long a node may take for its word.
const PATIENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Claim> {
        claim(line, &Server::new("seed", 7000))
    }

    #[test]
    fn a_master_claims_its_slots_and_a_replica_none() {
        let master =
            "6a1f 10.0.0.5:7001@17001,b.internal master - 0 1763712000000 12 connected 0-99 5461 [77->-6a2f]";
        let expected =
            Claim { node: Server::new("10.0.0.5", 7001), epoch: 12, slots: vec![0..=99, 5461..=5461] };
        assert_eq!(read(master), Some(expected));
        let replica = "6a2f fd00::7:7002@17002 slave 6a1f 0 1763712000000 12 connected";
        let expected = Claim { node: Server::new("fd00::7", 7002), epoch: 12, slots: vec![] };
        assert_eq!(read(replica), Some(expected));
    }

    #[test]
    fn a_node_without_an_address_is_where_it_was_reached() {
        let alone = "6a1f :7000@17000 myself,master - 0 0 1 connected 0-16383";
        assert_eq!(read(alone).unwrap().node, Server::new("seed", 7000));
    }

    #[test]
    fn nodes_that_are_gone_and_lines_that_are_none_claim_nothing() {
        for line in [
            "6a1f 10.0.0.5:7001@17001 master,fail - 0 0 12 disconnected 0-99",
            "6a1f :0@0 master,noaddr - 0 0 12 disconnected 0-99",
            "6a1f 10.0.0.5:7001@17001 handshake - 0 0 0 connected",
            "6a1f 10.0.0.5:7001@17001 master - 0 0 x connected 0-99",
            "6a1f 10.0.0.5:7001@17001 master - 0 0 12 connected 0-99999",
            "6a1f nowhere master - 0 0 12 connected",
            "",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
