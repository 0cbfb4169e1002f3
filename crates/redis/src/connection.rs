//! Connections: each one fred client with one life, replaced by a new client when it ends.
//!
//! fred can reconnect by itself, but while it does so it queues commands, a subscription that was not renewed looks
//! like one that was, and a server that stands still is not noticed while commands are sent. So fred is told never to
//! reconnect: its task ends with the connection, and what owns it here dials again. Whoever asks for the client
//! meanwhile is told at once that there is none.
//!
//! **Invariant:** a connection answers a probe every second, or it is replaced.

use std::sync::Arc;
use std::time::Duration;

use forebay_core::l2::L2Error;
use forebay_core::time::random_id;
use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, EventInterface, PubsubInterface};
use fred::types::ConnectHandle;
use fred::types::config::{ConnectionConfig, PerformanceConfig, TcpConfig};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::config::Redis;

/// Where operations find the client of the connection that lives at the moment.
#[derive(Clone)]
pub(crate) struct Slot(Arc<watch::Sender<Option<Result<Client, L2Error>>>>);

impl Slot {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    /// The client, or at once why there is none.
    pub(crate) fn client(&self) -> Result<Client, L2Error> {
        self.0.borrow().clone().unwrap_or_else(|| Err(L2Error::Unavailable("not connected yet".into())))
    }

    /// The client, or why there is none, once the first connection has been tried.
    pub(crate) async fn tried(&self) -> Result<Client, L2Error> {
        drop(self.0.subscribe().wait_for(Option::is_some).await);
        self.client()
    }

    /// Lets operations use `client` until the guard is dropped.
    pub(crate) fn occupy(&self, client: &Client) -> Occupied {
        self.0.send_replace(Some(Ok(client.clone())));
        Occupied { slot: self.clone(), id: client.id().to_owned() }
    }

    pub(crate) fn vacate(&self, why: &L2Error) {
        self.0.send_replace(Some(Err(why.clone())));
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Reads,
    Writes,
    Bus,
}

/// As long as this lives, its client is in the slot, unless a later one took its place.
pub(crate) struct Occupied {
    slot: Slot,
    id: String,
}

impl Drop for Occupied {
    fn drop(&mut self) {
        if self.slot.client().is_ok_and(|client| client.id() == self.id) {
            self.slot.vacate(&L2Error::Unavailable("the connection was lost".into()));
        }
    }
}

/// A connection. Dropping it closes it.
pub(crate) struct Connection {
    pub(crate) client: Client,
    task: OwnedTask,
}

struct OwnedTask(ConnectHandle);

impl Drop for OwnedTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    /// Connects and greets the server.
    async fn open(redis: &Redis, role: Role) -> Result<Self, L2Error> {
        let (performance, connection) = (performance(role), connection(redis));
        let client = Client::new(redis.server.clone(), Some(performance), Some(connection), None);
        // Whoever subscribes to this before connecting cannot miss it.
        let mut connected = client.reconnect_rx();
        let mut task = OwnedTask(client.connect());
        tokio::select! {
            biased;
            ended = &mut task.0 => return Err(end_of(ended)),
            _ = connected.recv() => {}
        }
        Ok(Self { client, task })
    }

    /// Subscribes to a channel and returns when that is certain.
    pub(crate) async fn subscribe(&self, channel: &str) -> Result<(), L2Error> {
        // fred does not wait for the confirmation, nor would it hand on a refusal. The probe's answer comes after it;
        // a refusal comes in its place.
        let subscribed = async {
            self.client.subscribe(channel).await.map_err(|error| unavailable(&error))?;
            probe(&self.client).await
        };
        timeout(PROBE_TIMEOUT, subscribed).await.unwrap_or_else(|_| Err(silence()))
    }

    /// Waits for the connection's end, looking every second whether it is still alive.
    pub(crate) async fn lost(mut self) -> L2Error {
        loop {
            tokio::select! {
                ended = &mut self.task.0 => return end_of(ended),
                () = sleep(PROBE_INTERVAL) => {}
            }
            tokio::select! {
                ended = &mut self.task.0 => return end_of(ended),
                answer = probe(&self.client) => if let Err(why) = answer { return why },
            }
        }
    }
}

async fn probe(client: &Client) -> Result<(), L2Error> {
    let answer = timeout(PROBE_TIMEOUT, client.ping(None)).await.map_err(|_| silence())?;
    answer.map_err(|error| unavailable(&error))
}

/// Dials, again and again: at once, then after a short pause that grows while connections do not last.
pub(crate) struct Dialer {
    redis: Redis,
    role: Role,
    pause: Duration,
    since: Option<Instant>,
}

impl Dialer {
    pub(crate) fn new(redis: Redis, role: Role) -> Self {
        Self { redis, role, pause: MIN_PAUSE, since: None }
    }

    pub(crate) async fn dial(&mut self) -> Result<Connection, L2Error> {
        // fred bounds connecting and greeting apart; this bounds whatever else there may be.
        let patience = self.redis.connect_timeout * 3;
        let connection =
            timeout(patience, Connection::open(&self.redis, self.role)).await.map_err(|_| silence())??;
        self.since = Some(Instant::now());
        Ok(connection)
    }

    /// Notes that the connection serves its purpose now.
    pub(crate) fn connected(&self) {
        tracing::debug!(role = ?self.role, "connected to Redis");
    }

    /// Notes what ended the connection, or kept it from being made, and waits until it is time to dial again.
    pub(crate) async fn rest(&mut self, why: &L2Error) {
        tracing::debug!(role = ?self.role, error = %why, "no connection to Redis; trying again until there is one");
        if self.since.take().is_some_and(|since| since.elapsed() > 4 * self.pause) {
            self.pause = MIN_PAUSE;
        }
        sleep(self.pause + self.pause.mul_f64(jitter() / 4.0)).await;
        self.pause = MAX_PAUSE.min(2 * self.pause);
    }
}

/// Keeps a connection in the slot for ever.
pub(crate) async fn keep(mut dialer: Dialer, slot: Slot) {
    loop {
        let why = match dialer.dial().await {
            Ok(connection) => {
                let _occupied = slot.occupy(&connection.client);
                dialer.connected();
                connection.lost().await
            }
            Err(why) => why,
        };
        slot.vacate(&why);
        dialer.rest(&why).await;
    }
}

/// fred's word on an operation, in ours.
pub(crate) fn failed(error: Error) -> L2Error {
    match error.kind() {
        ErrorKind::Timeout => L2Error::Timeout,
        ErrorKind::IO | ErrorKind::Canceled | ErrorKind::Backpressure | ErrorKind::Auth => {
            unavailable(&error)
        }
        ErrorKind::Unknown if error.details() == NO_ROUTER => unavailable(&error),
        _ => L2Error::Protocol(error.details().to_owned()),
    }
}

/// A number in `0.0..1.0` that differs from instance to instance.
pub(crate) fn jitter() -> f64 {
    let [a, b, ..] = random_id();
    f64::from(u16::from_le_bytes([a, b])) / 65536.0
}

/// Why a connection without answers is given up. From then on it is not slow, it is gone.
fn silence() -> L2Error {
    L2Error::Unavailable("the server does not answer".into())
}

fn unavailable(error: &Error) -> L2Error {
    L2Error::Unavailable(error.details().to_owned())
}

fn end_of(ended: Result<Result<(), Error>, tokio::task::JoinError>) -> L2Error {
    match ended {
        Ok(Err(error)) => unavailable(&error),
        Ok(Ok(())) | Err(_) => L2Error::Unavailable("the connection was closed".into()),
    }
}

fn performance(role: Role) -> PerformanceConfig {
    PerformanceConfig {
        broadcast_channel_capacity: if role == Role::Bus { BROADCAST } else { 1 },
        ..PerformanceConfig::default()
    }
}

fn connection(redis: &Redis) -> ConnectionConfig {
    ConnectionConfig {
        connection_timeout: redis.connect_timeout,
        internal_command_timeout: redis.connect_timeout,
        max_command_attempts: 1,
        max_command_buffer_len: MAX_QUEUED,
        tcp: TcpConfig { nodelay: Some(true), ..TcpConfig::default() },
        ..ConnectionConfig::default()
    }
}

const PROBE_INTERVAL: Duration = Duration::from_secs(1);
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
const MIN_PAUSE: Duration = Duration::from_millis(10);
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// Commands that wait to be written; beyond that they fail at once.
const MAX_QUEUED: usize = 10_000;
/// Messages on their way from fred to the subscription's own loop, which only hands them on. fred reserves the room
/// in advance, and for seven other kinds of event as well; what does not fit is a gap like any other.
const BROADCAST: usize = 1024;
/// What fred says of a command that comes after the connection's end.
const NO_ROUTER: &str = "Failed to send command to router.";
