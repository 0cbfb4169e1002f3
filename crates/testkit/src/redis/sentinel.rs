//! A master, its replicas, and the sentinels that watch them.

use std::io;

use super::builder::{Kind, RedisBuilder};
use super::server::RedisServer;
use crate::resp::Value;

/// A master with replicas under the eyes of sentinels that take a second or two for a failover. Dropping it ends all.
///
/// ```
/// use forebay_testkit::redis::SentinelGroup;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let group = SentinelGroup::builder().sentinels(1).start().await?;
/// assert!(group.url().ends_with("/forebay"), "redis-sentinel://127.0.0.1:port/forebay");
///
/// let old = group.master().await?;
/// let new = group.fail_over().await?; // kills the old one
/// assert_ne!(old.port(), new.port());
/// new.command(["SET", "k", "v"]).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SentinelGroup {
    // Ended before what they watch.
    sentinels: Vec<RedisServer>,
    servers: Vec<RedisServer>,
}

impl SentinelGroup {
    /// One master, one replica, three sentinels, unless told otherwise.
    pub fn builder() -> SentinelBuilder {
        SentinelBuilder { server: RedisServer::builder(), replicas: 1, sentinels: 3 }
    }

    /// The URL under which clients find the master, whichever that is: all sentinels, and the service's name.
    #[must_use]
    pub fn url(&self) -> String {
        let sentinels: Vec<String> =
            self.sentinels.iter().map(|sentinel| sentinel.addr().to_string()).collect();
        format!("redis-sentinel://{}{}/{SERVICE}", self.servers[0].credentials(), sentinels.join(","))
    }

    /// The master as the sentinels agree on it.
    ///
    /// # Errors
    ///
    /// When they do not within twenty seconds.
    pub async fn master(&self) -> io::Result<&RedisServer> {
        let mut port = None;
        for sentinel in self.sentinels.iter().filter(|sentinel| sentinel.pid().is_some()) {
            let agrees =
                |reply: &Value| master_port(reply).is_some_and(|told| port.is_none_or(|port| port == told));
            port = master_port(&sentinel.until(ASK, agrees).await?);
        }
        let found = self.servers.iter().find(|server| Some(server.port()) == port);
        found.ok_or_else(|| io::Error::other("the sentinels name a master that is none of the servers"))
    }

    /// The servers, the first master first.
    #[must_use]
    pub fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// The sentinels, to be stopped and killed as servers are.
    #[must_use]
    pub fn sentinels(&self) -> &[RedisServer] {
        &self.sentinels
    }

    /// Kills the master and returns the new one, once all sentinels name it and it takes writes. The killed one may
    /// be restarted; the sentinels make a replica of it.
    ///
    /// # Errors
    ///
    /// When there is no new master within twenty seconds.
    pub async fn fail_over(&self) -> io::Result<&RedisServer> {
        let old = self.master().await?;
        old.kill()?;
        self.until_another(old).await
    }

    /// Waits until another than `old`, which was killed, frozen or cut off, is the master for all sentinels and takes
    /// writes.
    ///
    /// # Errors
    ///
    /// When there is none within twenty seconds.
    pub async fn until_another(&self, old: &RedisServer) -> io::Result<&RedisServer> {
        let another = |reply: &Value| master_port(reply).is_some_and(|port| port != old.port());
        for sentinel in self.sentinels.iter().filter(|sentinel| sentinel.pid().is_some()) {
            sentinel.until(ASK, another).await?;
        }
        let new = self.master().await?;
        let is_master = |reply: &Value| matches!(reply, Value::Array(role) if role.first() == Some(&Value::from("master")));
        new.until(["ROLE"], is_master).await?;
        Ok(new)
    }
}

/// Settings of a [`SentinelGroup`]; made by [`SentinelGroup::builder`].
#[derive(Debug, Clone)]
#[must_use]
pub struct SentinelBuilder {
    server: RedisBuilder,
    replicas: usize,
    sentinels: usize,
}

impl SentinelBuilder {
    /// How each server is to be: passwords, users, directives.
    pub fn servers(mut self, server: RedisBuilder) -> Self {
        self.server = server;
        self
    }

    /// How many replicas the first master has. Default 1.
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// How many sentinels there are; more than half of them decide. Default 3.
    pub fn sentinels(mut self, sentinels: usize) -> Self {
        self.sentinels = sentinels;
        self
    }

    /// Starts everything and waits until the replicas have caught up and all know of each other.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::start`].
    pub async fn start(self) -> io::Result<SentinelGroup> {
        let server = self.server.clone().set("repl-diskless-sync-delay", "0");
        let mut servers = vec![server.clone().start().await?];
        for _ in 0..self.replicas {
            servers.push(server.clone().replica_of(&servers[0]).start().await?);
        }
        for replica in &servers[1..] {
            replica.until_replica().await?;
        }
        let mut sentinels = Vec::new();
        for n in 0..self.sentinels {
            let config = Kind::Sentinel(self.config(&servers[0], n));
            let sentinel = RedisServer::builder().kind(config).start().await?;
            sentinel.command(["SENTINEL", "DEBUG"].iter().chain(&HASTE)).await?;
            sentinels.push(sentinel);
        }
        for sentinel in &sentinels {
            sentinel.until(["SENTINEL", "MASTER", SERVICE], |about| self.knows_all(about)).await?;
        }
        Ok(SentinelGroup { sentinels, servers })
    }

    /// The file of the `n`th sentinel. Each loses patience at a time of its own: where all stand for election at once,
    /// each votes for itself, and the next try is seconds later.
    fn config(&self, master: &RedisServer, n: usize) -> String {
        let (port, quorum, patience) = (master.port(), self.sentinels / 2 + 1, 300 + 300 * n);
        let mut config = format!(
            "sentinel monitor {SERVICE} 127.0.0.1 {port} {quorum}\n\
             sentinel down-after-milliseconds {SERVICE} {patience}\n\
             sentinel failover-timeout {SERVICE} 2000\n"
        );
        if let Some(password) = &self.server.password {
            config += &format!("sentinel auth-pass {SERVICE} {password}\n");
        }
        config
    }

    /// Whether a sentinel's word on the service names everybody.
    fn knows_all(&self, about: &Value) -> bool {
        let Value::Array(pairs) = about else { return false };
        let says = |name: &str, number: usize| {
            pairs.chunks(2).any(|pair| {
                pair[0].as_str() == Some(name)
                    && pair.get(1).and_then(Value::as_str) == Some(&number.to_string())
            })
        };
        says("num-slaves", self.replicas) && says("num-other-sentinels", self.sentinels - 1)
    }
}

fn master_port(reply: &Value) -> Option<u16> {
    let Value::Array(address) = reply else { return None };
    address.get(1)?.as_str()?.parse().ok()
}

/// The name under which the sentinels know the servers.
const SERVICE: &str = "forebay";
const ASK: [&str; 3] = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE];
/// How often sentinels look around, in ms; as they come they take ten times as long. A replica is good for a failover
/// if it was heard of in the last five ping periods, and while its master is down sentinels look at it every second.
const HASTE: [&str; 16] = [
    "MIN-LINK-RECONNECT-PERIOD",
    "300",
    "INFO-PERIOD",
    "200",
    "PING-PERIOD",
    "300",
    "ASK-PERIOD",
    "100",
    "PUBLISH-PERIOD",
    "200",
    "ELECTION-TIMEOUT",
    "1000",
    "TILT-PERIOD",
    "1000",
    "SLAVE-RECONF-TIMEOUT",
    "1000",
];
