//! The proxy itself: what the test holds, the listener, and the live connections.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::fault::{Connections, Fault, Rule};
use super::pump::{Connection, Counters, Ending, Wires};

/// A TCP proxy on a port of 127.0.0.1 of its own. Dropping it ends its connections.
#[derive(Debug)]
pub struct FaultProxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    acceptor: JoinHandle<()>,
}

impl FaultProxy {
    /// Starts a proxy in front of `target`, which need not listen yet.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        let reserved = reserve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let addr = reserved.local_addr()?;
        let listener = reserve(addr)?.listen(BACKLOG)?;
        let shared = Arc::new(Shared {
            target,
            wires: Wires::default(),
            gate: watch::Sender::new(Gate::Open),
            listening: watch::Sender::new(Gate::Open),
            live: Mutex::default(),
        });
        let acceptor = tokio::spawn(accept(Arc::clone(&shared), reserved, listener));
        Ok(Self { addr, shared, acceptor })
    }

    /// The address clients are to connect to.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// That address as a Redis URL; where the server wants a password see
    /// [`RedisServer::url_at`](crate::redis::RedisServer::url_at).
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.addr)
    }

    /// Puts a fault in force beside those already there.
    pub fn inject(&self, who: Connections, fault: Fault) {
        self.shared.wires.rules.send_modify(|rules| rules.push(Arc::new(Rule::new(who, fault))));
    }

    /// Takes back every fault; held bytes arrive. Refused connections stay refused until [`FaultProxy::accept`].
    pub fn heal(&self) {
        self.shared.wires.rules.send_modify(Vec::clear);
    }

    /// Refuses new connections as a closed port does, and returns once it does so; the live ones go on.
    pub async fn refuse(&self) {
        self.turn(Gate::Closed).await;
    }

    /// Accepts connections again.
    pub async fn accept(&self) {
        self.turn(Gate::Open).await;
    }

    /// Ends live connections, both ends alike.
    pub fn end(&self, who: &Connections, how: Ending) {
        for connection in self.shared.live().values().filter(|connection| connection.is_one_of(who)) {
            connection.ending.send_replace(Some(how));
        }
    }

    /// What the proxy has seen up to now.
    #[must_use]
    pub fn counters(&self) -> Counters {
        *self.shared.wires.counters.borrow()
    }

    /// Waits until the counters meet a condition.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] when they have not within ten seconds.
    pub async fn wait_until(&self, condition: impl FnMut(&Counters) -> bool) -> io::Result<Counters> {
        let mut counters = self.shared.wires.counters.subscribe();
        let met = timeout(PATIENCE, counters.wait_for(condition)).await?;
        met.map(|counters| *counters).map_err(io::Error::other)
    }

    async fn turn(&self, gate: Gate) {
        self.shared.gate.send_replace(gate);
        // Fails only when the acceptor has ended, and then nothing is accepted any more.
        let _ = self.shared.listening.subscribe().wait_for(|listening| *listening == gate).await;
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    Closed,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    wires: Wires,
    gate: watch::Sender<Gate>,
    listening: watch::Sender<Gate>,
    live: Mutex<HashMap<usize, Arc<Connection>>>,
}

impl Shared {
    fn live(&self) -> MutexGuard<'_, HashMap<usize, Arc<Connection>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(&self) -> Arc<Connection> {
        let mut index = 0;
        self.wires.counters.send_modify(|counters| {
            index = counters.connections;
            counters.connections += 1;
            counters.open += 1;
        });
        let connection = Arc::new(Connection::new(index));
        self.live().insert(index, Arc::clone(&connection));
        connection
    }

    async fn serve(self: Arc<Self>, client: TcpStream, connection: Arc<Connection>) {
        // A failure of either side is the connection's end, which the other side sees.
        let _ = match TcpStream::connect(self.target).await {
            Ok(server) => connection.run(&self.wires, client, server).await,
            Err(_) => client.set_zero_linger(),
        };
        self.live().remove(&connection.index);
        self.wires.counters.send_modify(|counters| counters.open -= 1);
    }
}

/// Accepts until aborted; its connections end with it. `_reserved` keeps the port while it is refused.
async fn accept(shared: Arc<Shared>, _reserved: TcpSocket, listener: TcpListener) {
    let addr = listener.local_addr().ok();
    let mut gate = shared.gate.subscribe();
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            client = next_client(listener.as_ref()) => {
                let connection = shared.admit();
                connections.spawn(Arc::clone(&shared).serve(client, connection));
            }
            Some(_) = connections.join_next() => {}
            Ok(()) = gate.changed() => {
                let turned = *gate.borrow_and_update();
                listener = match (turned, addr) {
                    (Gate::Open, Some(addr)) => reserve(addr).and_then(|socket| socket.listen(BACKLOG)).ok(),
                    _ => None,
                };
                shared.listening.send_replace(turned);
            }
        }
    }
}

async fn next_client(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        // A client that left again before it was accepted is no concern of the next one.
        if let Ok((client, _)) = listener.accept().await {
            return client;
        }
    }
}

/// A bound socket. Two may share the port; only one that listens is given connections, so a second one that does
/// not keeps the port from being taken while it refuses.
fn reserve(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(addr)?;
    Ok(socket)
}

const BACKLOG: u32 = 1024;
const PATIENCE: Duration = Duration::from_secs(10);
