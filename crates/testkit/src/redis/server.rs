//! One server.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::time::{sleep, timeout};

use super::builder::{Ports, RedisBuilder, SOCKET, Tls, UnixSocket};
use super::certificates;
use super::connection::RespConnection;
use super::process::{self, TempDir};
use crate::resp::Value;

/// A running `redis-server`. Dropping it kills the process, frozen or not, and removes its directory.
#[derive(Debug)]
pub struct RedisServer {
    options: RedisBuilder,
    ports: Ports,
    dir: TempDir,
    process: Mutex<Option<Child>>,
}

impl RedisServer {
    /// Starts a server with the defaults: nothing persisted, no password, TCP only.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] when the machine has no `redis-server`; otherwise what the server said before
    /// it ended, or that it did not answer in time.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Starts from settings of the test's own.
    ///
    /// ```
    /// use forebay_testkit::redis::RedisServer;
    /// use forebay_testkit::resp::Value;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let redis = RedisServer::builder()
    ///     .set("maxmemory", "20mb")
    ///     .set("maxmemory-policy", "allkeys-lru")
    ///     .password("hunter2")
    ///     .start()
    ///     .await?;
    /// assert!(redis.url().starts_with("redis://:hunter2@127.0.0.1:"));
    /// assert_eq!(redis.command(["PING"]).await?, Value::from("PONG"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> RedisBuilder {
        RedisBuilder::default()
    }

    /// The URL under which clients reach this server, password included.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(match self.options.tls {
            Tls::No => self.addr(),
            Tls::ServerShowsCertificate | Tls::BothShowCertificates => self.tls_addr(),
        })
    }

    /// The same URL with another address: that of a [`FaultProxy`](crate::proxy::FaultProxy) in front.
    #[must_use]
    pub fn url_at(&self, addr: SocketAddr) -> String {
        let scheme = if self.options.tls == Tls::No { "redis" } else { "rediss" };
        format!("{scheme}://{}{addr}", self.credentials())
    }

    /// The URL of the Unix socket, where the builder asked for one.
    #[must_use]
    pub fn unix_url(&self) -> Option<String> {
        Some(format!("redis+unix://{}{}", self.credentials(), self.unix_socket()?.display()))
    }

    /// What stands in a URL before the host: `user:secret@`, `:password@` or nothing.
    #[must_use]
    pub fn credentials(&self) -> String {
        match (&self.options.user, &self.options.password) {
            (Some((name, secret)), _) => format!("{name}:{secret}@"),
            (None, Some(password)) => format!(":{password}@"),
            (None, None) => String::new(),
        }
    }

    /// The address it listens on, without TLS.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.plain).into()
    }

    /// The address it listens on for TLS, where the builder asked for that.
    #[must_use]
    pub fn tls_addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.tls).into()
    }

    /// The certificate authority that clients must trust, in PEM, where the builder asked for TLS.
    #[must_use]
    pub fn ca_file(&self) -> Option<PathBuf> {
        (self.options.tls != Tls::No).then(|| self.dir.0.join(certificates::AUTHORITY))
    }

    /// A certificate and its key that the server takes from clients, in PEM, where the builder asked for TLS.
    #[must_use]
    pub fn client_certificate_files(&self) -> Option<(PathBuf, PathBuf)> {
        let dir = &self.dir.0;
        (self.options.tls != Tls::No)
            .then(|| (dir.join(certificates::CERTIFICATE), dir.join(certificates::KEY)))
    }

    /// The port it listens on; the same after every restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ports.plain
    }

    /// The server's directory, which a test may put files of its own into.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir.0
    }

    /// The server's process, unless it was killed.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process().as_ref().map(Child::id)
    }

    /// The Unix socket, where the builder asked for one.
    #[must_use]
    pub fn unix_socket(&self) -> Option<PathBuf> {
        (self.options.unix_socket == UnixSocket::Yes).then(|| self.dir.0.join(SOCKET))
    }

    /// Freezes the server (SIGSTOP) and waits until it stands still: connections stay open and nothing is answered.
    ///
    /// # Errors
    ///
    /// When the server was killed before.
    pub fn stop(&self) -> io::Result<()> {
        let pid = self.signal(Signal::STOP)?;
        // NOWAIT leaves an exit for `kill` to collect.
        let stopped_or_ended = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(pid), stopped_or_ended)? {
            Some(status) if status.stopped() => Ok(()),
            _ => Err(io::Error::other("redis-server ended while it was to be frozen")),
        }
    }

    /// Lets a frozen server go on (SIGCONT).
    ///
    /// # Errors
    ///
    /// When the server was killed before.
    pub fn cont(&self) -> io::Result<()> {
        self.signal(Signal::CONT).map(drop)
    }

    /// Kills the server (SIGKILL, which a frozen one obeys too) and waits until it is gone. A killed server may be
    /// killed again.
    ///
    /// # Errors
    ///
    /// When the system refuses the signal.
    pub fn kill(&self) -> io::Result<()> {
        let Some(mut child) = self.process().take() else { return Ok(()) };
        child.kill()?;
        child.wait().map(drop)
    }

    /// Kills the server where it still runs and starts it again on the same port with the same settings. It comes
    /// back empty, or with what the last `SAVE` command wrote: so restarts from an older snapshot are tested.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::start`].
    pub async fn restart(&self) -> io::Result<()> {
        self.kill()?;
        let child = process::spawn(&self.options.args(self.ports), &self.dir.0)?;
        *self.process() = Some(child);
        self.wait_until_ready().await
    }

    /// Sends one command over a connection of its own and returns the reply. An error reply is a [`Value::Error`]
    /// for the test to look at.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached, refuses the password, or has not answered within ten seconds.
    pub async fn command<A: AsRef<[u8]>>(&self, args: impl IntoIterator<Item = A>) -> io::Result<Value> {
        let exchange = async {
            let mut connection = RespConnection::open(self.addr()).await?;
            if let Some(password) = &self.options.password {
                connection.command(["AUTH", password]).await?;
            }
            connection.command(args).await
        };
        timeout(PATIENCE, exchange).await?
    }

    fn signal(&self, signal: Signal) -> io::Result<Pid> {
        let pid = self.pid().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        let pid = pid.ok_or_else(|| io::Error::other("redis-server was killed before"))?;
        kill_process(pid, signal)?;
        Ok(pid)
    }

    /// Waits until a command has a reply that meets the condition; errors on the way are waited out.
    ///
    /// ```
    /// use forebay_testkit::redis::RedisServer;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let redis = RedisServer::start().await?;
    /// redis.until(["INFO", "server"], |info| info.as_str().is_some_and(|info| info.contains("uptime"))).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] with the last reply, when it has not come within twenty seconds.
    pub async fn until<A: AsRef<[u8]>>(
        &self,
        args: impl IntoIterator<Item = A> + Clone,
        mut condition: impl FnMut(&Value) -> bool,
    ) -> io::Result<Value> {
        let mut last = None;
        let asking = async {
            loop {
                let reply = self.command(args.clone()).await;
                if let Some(met) = reply.as_ref().ok().filter(|reply| condition(reply)) {
                    return met.clone();
                }
                last = Some(reply);
                sleep(START_INTERVAL).await;
            }
        };
        let waited = timeout(2 * PATIENCE, asking).await;
        waited.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, format!("waited in vain: {last:?}")))
    }

    /// Waits until the server is a replica that has caught up with its master.
    ///
    /// # Errors
    ///
    /// As [`until`](Self::until).
    pub async fn until_replica(&self) -> io::Result<()> {
        let is_linked =
            |info: &Value| info.as_str().is_some_and(|info| info.contains("master_link_status:up"));
        self.until(["INFO", "replication"], is_linked).await.map(drop)
    }

    pub(super) fn password(&self) -> Option<&str> {
        self.options.password.as_deref()
    }

    pub(super) fn bus_port(&self) -> u16 {
        self.ports.bus
    }

    pub(super) async fn start_on(options: RedisBuilder, ports: Ports) -> io::Result<Self> {
        let dir = TempDir::new()?;
        options.prepare(ports, &dir.0)?;
        let process = Mutex::new(Some(process::spawn(&options.args(ports), &dir.0)?));
        let server = Self { options, ports, dir, process };
        server.wait_until_ready().await?;
        Ok(server)
    }

    /// Start-up waiting: until *this* process answers, for a port may turn out to be another server's.
    async fn wait_until_ready(&self) -> io::Result<()> {
        for _ in 0..START_ATTEMPTS {
            if let Some(status) = self.process().as_mut().map(Child::try_wait).transpose()?.flatten() {
                let log = process::said(&self.dir.0);
                let kind = if log.contains("Address already in use") {
                    io::ErrorKind::AddrInUse
                } else {
                    io::ErrorKind::Other
                };
                return Err(io::Error::new(kind, format!("redis-server ended at start ({status}):\n{log}")));
            }
            if let Ok(Value::Bulk(info)) = self.command(["INFO", "server"]).await {
                let ours = format!("process_id:{}\r\n", self.pid().unwrap_or_default());
                if info.windows(ours.len()).any(|part| part == ours.as_bytes()) {
                    return Ok(());
                }
            }
            sleep(START_INTERVAL).await;
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "redis-server was started and does not answer"))
    }

    fn process(&self) -> MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RedisBuilder {
    /// Starts as a replica of `master`. Whether it has caught up is asked with
    /// [`until_replica`](RedisServer::until_replica).
    pub fn replica_of(self, master: &RedisServer) -> Self {
        self.set("replicaof", &format!("127.0.0.1 {}", master.port()))
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::start`].
    pub async fn start(self) -> io::Result<RedisServer> {
        let mut attempt = 1;
        loop {
            let started = RedisServer::start_on(self.clone(), Ports::free()?).await;
            match started {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempt < PORT_ATTEMPTS => {
                    attempt += 1
                }
                _ => return started,
            }
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // SIGKILL ends a frozen process as well; nothing is left to do about a failure.
        let _ = self.kill();
    }
}

const PORT_ATTEMPTS: u32 = 8;
const START_ATTEMPTS: u32 = 1000;
const START_INTERVAL: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(10);
