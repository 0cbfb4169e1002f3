//! Connections, each replaced by a new one when it ends.
//!
//! Whoever asks for the client meanwhile is told at once that there is none.
//!
//! **Invariant:** a connection answers a probe every second, or it is replaced; so is one whose server is no master.

use std::sync::Arc;
use std::time::Duration;

use forebay_core::l2::L2Error;
use forebay_core::time::random_id;
use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::{ClientLike, PubsubInterface};
use fred::types::config::{Server, ServerConfig};
use fred::types::{ClusterHash, CustomCommand, Value};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::client::{Plan, Wire, unavailable};
use crate::cluster::Cluster;
use crate::config::{ConfigError, Redis};
use crate::gate::Gate;
use crate::home::{Home, RunId};
use crate::patience::answered;
use crate::schema;
use crate::sentinel::Sentinels;
use crate::url::Target;

/// Where an L2's connections lead, and how.
pub(crate) struct Route {
    plan: Plan,
    target: Target,
    sentinels: Option<Sentinels>,
    seat: Option<Seat>,
    home: Home,
    gate: Gate,
    /// How long a write waits for replicas.
    wait: Duration,
}

/// A slot of a cluster, in which all keys of a shard are.
pub(crate) struct Seat {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) slot: u16,
    /// Told when a node says that it is not the slot's master.
    doubt: Notify,
}

impl Seat {
    pub(crate) fn new(cluster: &Arc<Cluster>, slot: u16) -> Self {
        Self { cluster: Arc::clone(cluster), slot, doubt: Notify::new() }
    }

    /// Waits until the cluster names another master than this one: asks when there is reason to, and now and then.
    async fn until_another(&self, master: &Server) {
        loop {
            let now = Instant::now();
            let since = tokio::select! {
                () = self.doubt.notified() => Instant::now(),
                // What another slot has asked for in the meantime will do.
                () = sleep(DOUBT_INTERVAL) => now,
            };
            if self.cluster.master_of(self.slot, since).await.is_ok_and(|named| named != *master) {
                return;
            }
            sleep(DOUBT_PAUSE).await;
        }
    }
}

impl Route {
    pub(crate) fn of(redis: &Redis, seat: Option<Seat>, gate: Gate) -> Result<Self, ConfigError> {
        let plan = Plan::of(redis)?;
        let sentinels = match &redis.target {
            Target::Sentinels { sentinels, service } => {
                Some(Sentinels::new(sentinels, service, &plan.to_sentinels(&redis.sentinel_login)))
            }
            Target::Server(_) | Target::Socket(_) | Target::Cluster(_) => None,
        };
        let wait = redis.wait.map_or(Duration::ZERO, |wait| wait.timeout);
        Ok(Self { plan, target: redis.target.clone(), sentinels, seat, home: Home::default(), gate, wait })
    }

    /// Notes that a server has said it is not the one to ask.
    pub(crate) fn doubt(&self) {
        if let Some(seat) = &self.seat {
            seat.doubt.notify_one();
        }
    }

    /// The server as it is to be dialled now.
    async fn server(&self) -> Result<ServerConfig, L2Error> {
        if let Some(seat) = &self.seat {
            let now = Instant::now();
            let recently = now.checked_sub(RECENT).unwrap_or(now);
            let server = seat.cluster.master_of(seat.slot, recently).await?;
            return Ok(ServerConfig::Centralized { server });
        }
        Ok(match (&self.target, &self.sentinels) {
            (Target::Server(server), _) => ServerConfig::Centralized { server: server.clone() },
            #[cfg(unix)]
            (Target::Socket(path), _) => ServerConfig::Unix { path: path.clone() },
            (Target::Sentinels { .. }, Some(sentinels)) => {
                ServerConfig::Centralized { server: sentinels.master().await? }
            }
            (target, _) => return Err(L2Error::Unavailable(format!("{target} cannot be reached from here"))),
        })
    }

    /// How long dialling may take in all: asking the sentinels, and then the server itself.
    fn patience(&self) -> Duration {
        self.plan.patience() * if self.sentinels.is_some() || self.seat.is_some() { 2 } else { 1 }
    }

    /// Waits until the sentinels, or the cluster, name another master than this one; for ever where there are none.
    async fn superseded(&self, server: &ServerConfig) -> L2Error {
        match (&self.sentinels, &self.seat, server) {
            (Some(sentinels), _, ServerConfig::Centralized { server }) => {
                sentinels.until_another(server).await
            }
            (_, Some(seat), ServerConfig::Centralized { server }) => seat.until_another(server).await,
            _ => std::future::pending().await,
        }
        L2Error::Unavailable("there is another master now".into())
    }
}

/// Where operations find the client of the connection that lives at the moment.
#[derive(Clone)]
pub(crate) struct Slot {
    current: Arc<watch::Sender<Option<Result<Tenant, L2Error>>>>,
    home: Home,
    gate: Gate,
}

/// A client, and which server it is connected to.
type Tenant = (Client, Option<RunId>);

impl Slot {
    pub(crate) fn new(route: &Route) -> Self {
        let current = Arc::new(watch::Sender::new(None));
        Self { current, home: route.home.clone(), gate: route.gate.clone() }
    }

    /// The client, or at once why there is none.
    pub(crate) fn client(&self) -> Result<Client, L2Error> {
        let client = self.connected()?;
        self.gate.check().map(|()| client)
    }

    /// The client, whether or not this instance is admitted.
    fn connected(&self) -> Result<Client, L2Error> {
        match &*self.current.borrow() {
            Some(Ok((_, server))) if self.home.is_elsewhere(*server) => Err(moved()),
            Some(Ok((client, _))) => Ok(client.clone()),
            Some(Err(why)) => Err(why.clone()),
            None => Err(L2Error::Unavailable("not connected yet".into())),
        }
    }

    /// The client, or why there is none, once the first connection has been tried, and over it whether this instance is admitted.
    pub(crate) async fn tried(&self) -> Result<Client, L2Error> {
        drop(self.current.subscribe().wait_for(Option::is_some).await);
        self.connected()?;
        self.gate.tried().await;
        self.client()
    }

    /// The client, whether or not this instance is admitted, as soon as there is one.
    pub(crate) async fn there(&self) -> Client {
        loop {
            let mut changes = self.current.subscribe();
            match self.connected() {
                Ok(client) => return client,
                // The sender is in `self`: this cannot fail.
                Err(_) => drop(changes.changed().await),
            }
        }
    }

    /// Lets operations use the connection until the guard is dropped.
    pub(crate) fn occupy(&self, connection: &Connection) -> Occupied {
        let client = connection.client().clone();
        let id = client.id().to_owned();
        self.current.send_replace(Some(Ok((client, connection.run_id))));
        Occupied { slot: self.clone(), id }
    }

    pub(crate) fn vacate(&self, why: &L2Error) {
        self.current.send_replace(Some(Err(why.clone())));
    }

    fn holds(&self, id: &str) -> bool {
        matches!(&*self.current.borrow(), Some(Ok((client, _))) if client.id() == id)
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Reads,
    Writes,
    Bus,
    /// Writes that wait for replicas.
    Confirmed,
}

/// As long as this lives, its client is in the slot, unless a later one took its place.
pub(crate) struct Occupied {
    slot: Slot,
    id: String,
}

impl Drop for Occupied {
    fn drop(&mut self) {
        if self.slot.holds(&self.id) {
            self.slot.vacate(&L2Error::Unavailable("the connection was lost".into()));
        }
    }
}

/// A connection to a master. Dropping it closes it.
pub(crate) struct Connection {
    wire: Wire,
    server: ServerConfig,
    run_id: Option<RunId>,
    home: Home,
    /// How long an answer to a probe may take.
    patience: Duration,
}

impl Connection {
    async fn open(route: &Route, role: Role) -> Result<Self, L2Error> {
        let server = route.server().await?;
        let messages = if role == Role::Bus { BROADCAST } else { 1 };
        let wire = Wire::open(&route.plan, server.clone(), messages).await?;
        let run_id = identify(&wire.client).await?;
        route.home.reached(run_id);
        // What waits for replicas answers when it has waited, one after the other.
        let patience = PROBE_TIMEOUT + if role == Role::Confirmed { 8 * route.wait } else { Duration::ZERO };
        Ok(Self { wire, server, run_id, home: route.home.clone(), patience })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.wire.client
    }

    /// Which server it is with, where that has told.
    pub(crate) fn run_id(&self) -> Option<RunId> {
        self.run_id
    }

    /// Subscribes to a channel and returns when that is certain.
    pub(crate) async fn subscribe(&self, channel: &str) -> Result<(), L2Error> {
        // fred does not wait for the confirmation, nor would it hand on a refusal. The answer to PING comes after it; a
        // refusal comes in its place.
        let client = self.client();
        let subscribed = async {
            if schema::is_sharded(channel) {
                client.ssubscribe(channel).await.map_err(|error| unavailable(&error))?;
            } else {
                client.subscribe(channel).await.map_err(|error| unavailable(&error))?;
            }
            client.ping(None).await.map_err(|error| unavailable(&error))
        };
        timeout(PROBE_TIMEOUT, subscribed).await.unwrap_or_else(|_| Err(silence()))
    }

    /// Waits for the connection's end, or for a reason to end it, looking every second whether it is still alive and
    /// its server still a master.
    pub(crate) async fn lost(mut self) -> L2Error {
        loop {
            tokio::select! {
                why = self.wire.ended() => return why,
                () = self.home.moved_from(self.run_id) => return moved(),
                () = sleep(PROBE_INTERVAL) => {}
            }
            let client = self.client().clone();
            tokio::select! {
                why = self.wire.ended() => return why,
                answer = probe(&client, self.patience) => if let Err(why) = answer { return why },
            }
        }
    }
}

/// Which server it is. One that refuses to tell is taken as it is; a replica is not.
async fn identify(client: &Client) -> Result<Option<RunId>, L2Error> {
    let command = CustomCommand::new_static("INFO", ClusterHash::FirstKey, false);
    match client.custom::<String, _>(command, vec!["server", "replication"]).await {
        Ok(info) if info.lines().any(|line| line.trim_end() == "role:slave") => Err(replica()),
        Ok(info) => Ok(RunId::in_info(&info)),
        Err(error) if is_refused(&error) => Ok(None),
        Err(error) => Err(unavailable(&error)),
    }
}

/// Asks for a sign of life, and whether the server is a master.
async fn probe(client: &Client, patience: Duration) -> Result<(), L2Error> {
    let command = CustomCommand::new_static("ROLE", ClusterHash::FirstKey, false);
    let answer = answered(patience, client.custom::<Value, ()>(command, vec![])).await;
    match answer.map_err(|_| silence())? {
        Ok(Value::Array(role)) if role.first().and_then(Value::as_str).as_deref() == Some("slave") => {
            Err(replica())
        }
        Ok(_) => Ok(()),
        // That is a sign of life as well.
        Err(error) if is_refused(&error) => Ok(()),
        Err(error) => Err(unavailable(&error)),
    }
}

/// Whether the server does not know the command, or does not want it from this user.
fn is_refused(error: &Error) -> bool {
    ["NOPERM", "ERR"].iter().any(|word| error.details().starts_with(word))
}

/// Dials, again and again: at once, then after a short pause that grows while connections do not last.
pub(crate) struct Dialer {
    route: Arc<Route>,
    role: Role,
    pause: Duration,
    since: Option<Instant>,
}

impl Dialer {
    pub(crate) fn new(route: &Arc<Route>, role: Role) -> Self {
        Self { route: Arc::clone(route), role, pause: MIN_PAUSE, since: None }
    }

    pub(crate) async fn dial(&mut self) -> Result<Connection, L2Error> {
        let patience = self.route.patience();
        let connection =
            timeout(patience, Connection::open(&self.route, self.role)).await.map_err(|_| silence())??;
        self.since = Some(Instant::now());
        Ok(connection)
    }

    /// Notes that the connection serves its purpose now.
    pub(crate) fn connected(&self) {
        tracing::debug!(role = ?self.role, "connected to Redis");
    }

    /// Waits until a connection that operations use is lost. One of them watches the sentinels; the others follow it.
    async fn lost(&self, connection: Connection) -> L2Error {
        if self.role != Role::Writes {
            return connection.lost().await;
        }
        let server = connection.server.clone();
        tokio::select! {
            why = connection.lost() => why,
            why = self.route.superseded(&server) => why,
        }
    }

    /// Notes what ended the connection, or kept it from being made, and waits until it is time to dial again.
    pub(crate) async fn rest(&mut self, why: &L2Error) {
        tracing::debug!(role = ?self.role, error = %why, "no connection to Redis; trying again until there is one");
        if self.since.take().is_some_and(|since| since.elapsed() > 4 * self.pause) {
            self.pause = MIN_PAUSE;
        }
        let pause = self.pause + self.pause.mul_f64(jitter() / 4.0);
        // Where another connection has found a server meanwhile, this one need not wait for its turn.
        let _ = timeout(pause, self.route.home.moves()).await;
        self.pause = MAX_PAUSE.min(2 * self.pause);
    }
}

/// Keeps a connection in the slot for ever.
pub(crate) async fn keep(mut dialer: Dialer, slot: Slot) {
    loop {
        let why = match dialer.dial().await {
            Ok(connection) => {
                let _occupied = slot.occupy(&connection);
                dialer.connected();
                dialer.lost(connection).await
            }
            Err(why) => why,
        };
        slot.vacate(&why);
        dialer.rest(&why).await;
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

fn moved() -> L2Error {
    L2Error::Unavailable("another server has taken over".into())
}

fn replica() -> L2Error {
    L2Error::Unavailable("the server is a replica".into())
}

/// How old the cluster's word may be for a server to be dialled by it.
const RECENT: Duration = Duration::from_millis(100);
/// How often the cluster is asked without a reason, and how soon again with one.
const DOUBT_INTERVAL: Duration = Duration::from_secs(5);
const DOUBT_PAUSE: Duration = Duration::from_millis(100);
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
const MIN_PAUSE: Duration = Duration::from_millis(10);
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// Messages on their way from fred to the subscription's own loop, which only hands them on. fred reserves the room
/// in advance, and for seven other kinds of event as well; what does not fit is a gap like any other.
const BROADCAST: usize = 1024;
