//! A cluster.

use std::io;

use super::builder::{Kind, RedisBuilder};
use super::server::RedisServer;
use crate::resp::Value;

/// A Redis Cluster: masters that share the slots, each with as many replicas as were asked for. Dropping it ends all.
///
/// ```
/// use forebay_testkit::redis::RedisCluster;
/// use forebay_testkit::resp::Value;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let cluster = RedisCluster::builder().start().await?;
/// assert!(cluster.url().starts_with("redis-cluster://127.0.0.1:"));
///
/// let slot = cluster.slot_of("{shop}:a").await?;
/// let (owner, other) = (cluster.master_of(slot).await?, cluster.other_master(slot).await?);
/// owner.command(["SET", "{shop}:a", "1"]).await?;
/// cluster.start_migration(slot, other).await?; // ASK from here on, TRYAGAIN for several keys
/// cluster.finish_migration(slot, other).await?; // MOVED
/// assert_eq!(other.command(["GET", "{shop}:a"]).await?, Value::from("1"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    masters: usize,
}

impl RedisCluster {
    /// Three masters without replicas, unless told otherwise.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder { server: RedisServer::builder(), masters: 3, replicas: 0 }
    }

    /// The URL with the addresses of all first masters.
    #[must_use]
    pub fn url(&self) -> String {
        let masters = self.nodes[..self.masters].iter();
        let addrs: Vec<String> = masters.map(|node| node.addr().to_string()).collect();
        format!("redis-cluster://{}{}", self.nodes[0].credentials(), addrs.join(","))
    }

    /// All nodes: the first masters, in the order of their slots, then their replicas in the same order.
    #[must_use]
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The slot of a key.
    ///
    /// # Errors
    ///
    /// When no node answers.
    pub async fn slot_of(&self, key: &str) -> io::Result<u16> {
        let node = self.living().next().ok_or_else(|| io::Error::other("every node was killed"))?;
        match node.command(["CLUSTER", "KEYSLOT", key]).await? {
            Value::Integer(slot) => slot.try_into().map_err(io::Error::other),
            other => Err(io::Error::other(format!("{other:?}"))),
        }
    }

    /// The node that is the master of this slot, as the nodes that live see it.
    ///
    /// # Errors
    ///
    /// When no node answers.
    pub async fn master_of(&self, slot: u16) -> io::Result<&RedisServer> {
        for node in self.living() {
            if self.own(node).await?.is_some_and(|line| is_master(&line) && has_slot(&line, slot)) {
                return Ok(node);
            }
        }
        Err(io::Error::other(format!("no node is the master of slot {slot}")))
    }

    /// A master that does not have this slot.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn other_master(&self, slot: u16) -> io::Result<&RedisServer> {
        for node in self.living() {
            if self.own(node).await?.is_some_and(|line| is_master(&line) && !has_slot(&line, slot)) {
                return Ok(node);
            }
        }
        Err(io::Error::other(format!("no other node than that of slot {slot} is a master")))
    }

    /// Begins to move a slot: keys that are not there any more are asked for at `to`.
    ///
    /// # Errors
    ///
    /// When a node refuses.
    pub async fn start_migration(&self, slot: u16, to: &RedisServer) -> io::Result<()> {
        let from = self.master_of(slot).await?;
        let (slot, from_id, to_id) = (slot.to_string(), self.id(from).await?, self.id(to).await?);
        ok(to.command(["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]).await?)?;
        ok(from.command(["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]).await?)
    }

    /// Moves the keys of a slot to `to` and makes that its master for everybody.
    ///
    /// # Errors
    ///
    /// When a node refuses.
    pub async fn finish_migration(&self, slot: u16, to: &RedisServer) -> io::Result<()> {
        let from = self.master_of(slot).await?;
        let (number, to_id, to_port) = (slot.to_string(), self.id(to).await?, to.port().to_string());
        while let Value::Array(keys) = from.command(["CLUSTER", "GETKEYSINSLOT", &number, "100"]).await? {
            if keys.is_empty() {
                break;
            }
            let mut migrate: Vec<&[u8]> =
                vec![b"MIGRATE", b"127.0.0.1", to_port.as_bytes(), b"", b"0", b"5000"];
            if let Some(password) = to.password() {
                migrate.extend([&b"AUTH"[..], password.as_bytes()]);
            }
            migrate.push(b"KEYS");
            migrate.extend(keys.iter().filter_map(Value::as_bytes));
            ok(from.command(migrate).await?)?;
        }
        // The new master first: it is the one that must not lose it again.
        ok(to.command(["CLUSTER", "SETSLOT", &number, "NODE", &to_id]).await?)?;
        for node in self.living().filter(|node| node.port() != to.port()) {
            // Replicas refuse; they learn it from their masters.
            node.command(["CLUSTER", "SETSLOT", &number, "NODE", &to_id]).await?;
        }
        Ok(())
    }

    /// Waits until every living node sees all slots served.
    ///
    /// # Errors
    ///
    /// When they do not within twenty seconds.
    pub async fn until_whole(&self) -> io::Result<()> {
        for node in self.living() {
            let whole = |info: &Value| {
                let lines = ["cluster_state:ok", "cluster_slots_ok:16384"];
                info.as_str().is_some_and(|info| lines.iter().all(|line| info.contains(line)))
            };
            node.until(["CLUSTER", "INFO"], whole).await?;
        }
        Ok(())
    }

    /// Kills the master of a slot, which must have a replica, and returns the replica once it is the master for all.
    ///
    /// # Errors
    ///
    /// When no replica has taken over within twenty seconds.
    pub async fn fail_over(&self, slot: u16) -> io::Result<&RedisServer> {
        let old = self.master_of(slot).await?;
        let old_addr = format!(" {}@", old.addr());
        old.kill()?;
        let taken = |nodes: &Value| {
            let mut lines = nodes.as_str().unwrap_or_default().lines();
            lines.any(|line| is_master(line) && has_slot(line, slot) && !line.contains(&old_addr))
        };
        for node in self.living() {
            node.until(["CLUSTER", "NODES"], taken).await?;
        }
        self.until_whole().await?;
        self.master_of(slot).await
    }

    fn living(&self) -> impl Iterator<Item = &RedisServer> {
        self.nodes.iter().filter(|node| node.pid().is_some())
    }

    async fn id(&self, node: &RedisServer) -> io::Result<String> {
        let id = node.command(["CLUSTER", "MYID"]).await?;
        id.as_str().map(str::to_owned).ok_or_else(|| io::Error::other(format!("{id:?}")))
    }

    /// What a node says of itself.
    async fn own(&self, node: &RedisServer) -> io::Result<Option<String>> {
        let nodes = node.command(["CLUSTER", "NODES"]).await?;
        let mut lines = nodes.as_str().unwrap_or_default().lines();
        Ok(lines.find(|line| line.contains("myself")).map(str::to_owned))
    }
}

/// Settings of a [`RedisCluster`]; made by [`RedisCluster::builder`].
#[derive(Debug, Clone)]
#[must_use]
pub struct ClusterBuilder {
    server: RedisBuilder,
    masters: usize,
    replicas: usize,
}

impl ClusterBuilder {
    /// How each node is to be: passwords, users, directives.
    pub fn nodes(mut self, server: RedisBuilder) -> Self {
        self.server = server;
        self
    }

    /// How many masters share the slots. Default 3.
    pub fn masters(mut self, masters: usize) -> Self {
        self.masters = masters;
        self
    }

    /// How many replicas each of them has. Default 0.
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// Starts the nodes and waits until every one sees the whole cluster and the replicas have caught up.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::start`].
    pub async fn start(self) -> io::Result<RedisCluster> {
        let mut nodes = Vec::new();
        for _ in 0..self.masters * (1 + self.replicas) {
            let node =
                DIRECTIVES.iter().fold(self.server.clone(), |node, (name, value)| node.set(name, value));
            nodes.push(node.kind(Kind::ClusterNode).start().await?);
        }
        let cluster = RedisCluster { nodes, masters: self.masters };
        cluster.share_slots().await?;
        cluster.introduce().await?;
        cluster.until_whole().await?;
        cluster.attach_replicas().await?;
        Ok(cluster)
    }
}

impl RedisCluster {
    async fn share_slots(&self) -> io::Result<()> {
        for (n, node) in self.nodes[..self.masters].iter().enumerate() {
            let border = |n: usize| n * SLOTS / self.masters;
            let (first, last) = (border(n).to_string(), (border(n + 1) - 1).to_string());
            ok(node.command(["CLUSTER", "ADDSLOTSRANGE", &first, &last]).await?)?;
        }
        // Before they meet, or they would all have to find different epochs one by one.
        for (n, node) in self.nodes.iter().enumerate() {
            ok(node.command(["CLUSTER", "SET-CONFIG-EPOCH", &(n + 1).to_string()]).await?)?;
        }
        Ok(())
    }

    async fn introduce(&self) -> io::Result<()> {
        for (n, node) in self.nodes.iter().enumerate() {
            for other in &self.nodes[n + 1..] {
                let (port, bus) = (other.port().to_string(), other.bus_port().to_string());
                ok(node.command(["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await?)?;
            }
        }
        let known = format!("cluster_known_nodes:{}\r\n", self.nodes.len());
        for node in &self.nodes {
            let knows_all = |info: &Value| info.as_str().is_some_and(|info| info.contains(&known));
            node.until(["CLUSTER", "INFO"], knows_all).await?;
            let no_handshake =
                |nodes: &Value| nodes.as_str().is_some_and(|nodes| !nodes.contains("handshake"));
            node.until(["CLUSTER", "NODES"], no_handshake).await?;
        }
        Ok(())
    }

    async fn attach_replicas(&self) -> io::Result<()> {
        let (masters, replicas) = self.nodes.split_at(self.masters);
        for (n, replica) in replicas.iter().enumerate() {
            let master = self.id(&masters[n % masters.len()]).await?;
            ok(replica.command(["CLUSTER", "REPLICATE", &master]).await?)?;
        }
        for replica in replicas {
            replica.until_replica().await?;
        }
        // A master fails over only to a replica that the others know of.
        for node in &self.nodes {
            let all_known = |nodes: &Value| {
                let lines = nodes.as_str().unwrap_or_default().lines();
                lines.filter(|line| line.contains("slave")).count() == replicas.len()
            };
            node.until(["CLUSTER", "NODES"], all_known).await?;
        }
        Ok(())
    }
}

fn ok(reply: Value) -> io::Result<()> {
    match reply {
        Value::Error(error) => Err(io::Error::other(error)),
        _ => Ok(()),
    }
}

/// Reads a line of `CLUSTER NODES`: id, address, flags, master, ping, pong, epoch, link, slots.
fn is_master(line: &str) -> bool {
    line.split(' ').nth(2).is_some_and(|flags| flags.split(',').any(|flag| flag == "master"))
}

fn has_slot(line: &str, slot: u16) -> bool {
    line.split(' ').skip(8).any(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        // What stands in brackets is on its way, and no number.
        let bounds = first.parse::<u16>().ok().zip(last.parse::<u16>().ok());
        bounds.is_some_and(|(first, last)| (first..=last).contains(&slot))
    })
}

const SLOTS: usize = 16_384;
const DIRECTIVES: [(&str, &str); 4] = [
    ("cluster-node-timeout", "1000"),
    ("cluster-require-full-coverage", "no"),
    ("cluster-replica-validity-factor", "0"),
    ("repl-diskless-sync-delay", "0"),
];
