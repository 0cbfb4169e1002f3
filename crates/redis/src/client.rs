//! fred, as it is used here: one client, one connection, one life.
//!
//! fred can reconnect by itself, but while it does so it queues commands, a subscription that was not renewed looks
//! like one that was, and a server that stands still is not noticed while commands are sent. So fred is told never to
//! reconnect: its task ends with the connection, and what owns it here dials again.

use std::time::Duration;

use forebay_core::l2::L2Error;
use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, EventInterface};
use fred::types::config::{Config, ConnectionConfig, PerformanceConfig, ServerConfig, TcpConfig};
use fred::types::{ConnectHandle, RespVersion};

use crate::config::{ConfigError, Redis};
use crate::login::Login;

/// How a connection is made, wherever it leads.
#[derive(Clone)]
pub(crate) struct Plan {
    login: Login,
    version: RespVersion,
    database: Option<u8>,
    connect_timeout: Duration,
    #[cfg(feature = "tls")]
    tls: Option<fred::types::config::TlsConfig>,
}

impl Plan {
    pub(crate) fn of(redis: &Redis) -> Result<Self, ConfigError> {
        Ok(Self {
            login: redis.login.clone(),
            version: RespVersion::RESP3,
            database: redis.database,
            connect_timeout: redis.connect_timeout,
            #[cfg(feature = "tls")]
            tls: redis.tls_config()?,
        })
    }

    /// The same for a sentinel, which has databases no more than it has RESP3 in every version.
    pub(crate) fn to_sentinels(&self, login: &Login) -> Self {
        Self { login: login.clone(), version: RespVersion::RESP2, database: None, ..self.clone() }
    }

    /// fred bounds connecting and greeting apart; this bounds whatever else there may be.
    pub(crate) fn patience(&self) -> Duration {
        self.connect_timeout * 3
    }

    /// What fred is told. The password is read now.
    fn config(&self, server: ServerConfig) -> Result<Config, L2Error> {
        let login = self.login.read();
        let (username, password) =
            login.map_err(|error| L2Error::Unavailable(format!("the password cannot be read: {error}")))?;
        Ok(Config {
            server,
            username,
            password,
            version: self.version.clone(),
            database: self.database,
            fail_fast: true,
            #[cfg(feature = "tls")]
            tls: self.tls.clone(),
            ..Config::default()
        })
    }

    fn connection(&self) -> ConnectionConfig {
        ConnectionConfig {
            connection_timeout: self.connect_timeout,
            internal_command_timeout: self.connect_timeout,
            max_command_attempts: 1,
            max_command_buffer_len: MAX_QUEUED,
            tcp: TcpConfig { nodelay: Some(true), ..TcpConfig::default() },
            ..ConnectionConfig::default()
        }
    }
}

/// A client and the task that moves its bytes. Dropping it closes the connection.
pub(crate) struct Wire {
    pub(crate) client: Client,
    task: OwnedTask,
}

struct OwnedTask(ConnectHandle);

impl Drop for OwnedTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Wire {
    /// Connects and greets the server. `messages` is how many may be on their way to whoever listens.
    pub(crate) async fn open(plan: &Plan, server: ServerConfig, messages: usize) -> Result<Self, L2Error> {
        let performance =
            PerformanceConfig { broadcast_channel_capacity: messages, ..PerformanceConfig::default() };
        let client = Client::new(plan.config(server)?, Some(performance), Some(plan.connection()), None);
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

    /// Waits for the connection's end.
    pub(crate) async fn ended(&mut self) -> L2Error {
        end_of((&mut self.task.0).await)
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
        // Another server has to be found, or this one waited for.
        _ if NOT_THE_MASTER.iter().any(|word| error.details().starts_with(word)) => unavailable(&error),
        _ => L2Error::Protocol(error.details().to_owned()),
    }
}

/// Whether the error says that a slot is on another node, or on its way there.
pub(crate) fn is_redirection(error: &L2Error) -> bool {
    let L2Error::Unavailable(why) = error else { return false };
    ["MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN"].iter().any(|word| why.starts_with(word))
}

pub(crate) fn unavailable(error: &Error) -> L2Error {
    L2Error::Unavailable(error.details().to_owned())
}

fn end_of(ended: Result<Result<(), Error>, tokio::task::JoinError>) -> L2Error {
    match ended {
        Ok(Err(error)) => unavailable(&error),
        Ok(Ok(())) | Err(_) => L2Error::Unavailable("the connection was closed".into()),
    }
}

/// How errors begin that a server gives which is no master, or none yet. fred ends the connection on most of them.
const NOT_THE_MASTER: [&str; 7] =
    ["READONLY", "MASTERDOWN", "LOADING", "MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN"];
/// Commands that wait to be written; beyond that they fail at once.
const MAX_QUEUED: usize = 10_000;
/// What fred says of a command that comes after the connection's end.
const NO_ROUTER: &str = "Failed to send command to router.";
