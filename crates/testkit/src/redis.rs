//! A real `redis-server` of a test's own: on a free port of 127.0.0.1, in a directory of its own, gone when dropped.
//!
//! ```
//! use forebay_testkit::redis::RedisServer;
//! use forebay_testkit::resp::Value;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let redis = RedisServer::start().await?;
//! redis.command(["SET", "k", "1"]).await?;
//! assert_eq!(redis.command(["INCR", "k"]).await?, Value::Integer(2));
//!
//! redis.restart().await?; // the same port, empty
//! assert_eq!(redis.command(["EXISTS", "k"]).await?, Value::Integer(0));
//! # Ok(())
//! # }
//! ```
//!
//! A machine without `redis-server` is a failed test that says how to get one, never a skipped one.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::resp::{self, Value};

/// A running `redis-server`. Dropping it kills the process, frozen or not, and removes its directory.
#[derive(Debug)]
pub struct RedisServer {
    options: RedisBuilder,
    port: u16,
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
        self.url_at(self.addr())
    }

    /// The same URL with another address: that of a [`FaultProxy`](crate::proxy::FaultProxy) in front.
    #[must_use]
    pub fn url_at(&self, addr: SocketAddr) -> String {
        match &self.options.password {
            Some(password) => format!("redis://:{password}@{addr}"),
            None => format!("redis://{addr}"),
        }
    }

    /// The address it listens on.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The port it listens on; the same after every restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's process, unless it was killed.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process().as_ref().map(Child::id)
    }

    /// The Unix socket, where the builder asked for one.
    #[must_use]
    pub fn unix_socket(&self) -> Option<PathBuf> {
        (self.options.unix_socket == UnixSocket::Yes).then(|| self.dir.0.join("redis.sock"))
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
        let child = self.options.spawn(self.port, &self.dir.0)?;
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

    /// Start-up waiting: until *this* process answers, for a port may turn out to be another server's.
    async fn wait_until_ready(&self) -> io::Result<()> {
        for _ in 0..START_ATTEMPTS {
            if let Some(status) = self.process().as_mut().map(Child::try_wait).transpose()?.flatten() {
                let log = fs::read_to_string(self.dir.0.join(LOG_FILE)).unwrap_or_default();
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

impl Drop for RedisServer {
    fn drop(&mut self) {
        // SIGKILL ends a frozen process as well; nothing is left to do about a failure.
        let _ = self.kill();
    }
}

/// Settings of a [`RedisServer`]; made by [`RedisServer::builder`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct RedisBuilder {
    directives: Vec<(String, Vec<String>)>,
    password: Option<String>,
    unix_socket: UnixSocket,
}

impl RedisBuilder {
    /// Adds a directive as it would stand in `redis.conf`, for instance `set("maxmemory", "20mb")`. The value's
    /// words are separate arguments: `set("user", "reader on >secret ~* +get")`.
    pub fn set(mut self, directive: &str, value: &str) -> Self {
        let words = value.split_whitespace().map(str::to_owned).collect();
        self.directives.push((format!("--{directive}"), words));
        self
    }

    /// Demands a password of every client; it becomes part of [`RedisServer::url`].
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.set("requirepass", password)
    }

    /// Listens on a Unix socket too: [`RedisServer::unix_socket`].
    pub fn unix_socket(mut self) -> Self {
        self.unix_socket = UnixSocket::Yes;
        self.set("unixsocket", "redis.sock")
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::start`].
    pub async fn start(self) -> io::Result<RedisServer> {
        let mut attempt = 1;
        loop {
            let started = self.start_on(free_port()?).await;
            match started {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempt < PORT_ATTEMPTS => {
                    attempt += 1
                }
                _ => return started,
            }
        }
    }

    async fn start_on(&self, port: u16) -> io::Result<RedisServer> {
        let dir = TempDir::new()?;
        let process = Mutex::new(Some(self.spawn(port, &dir.0)?));
        let server = RedisServer { options: self.clone(), port, dir, process };
        server.wait_until_ready().await?;
        Ok(server)
    }

    /// The child stays in the test's process group: whatever interrupts the test from outside ends it as well.
    fn spawn(&self, port: u16, dir: &Path) -> io::Result<Child> {
        // A refused setting is told on stderr, everything else on stdout.
        let log = fs::File::create(dir.join(LOG_FILE))?;
        let mut command = Command::new("redis-server");
        command.current_dir(dir).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
        for (directive, words) in &self.directives {
            command.arg(directive).args(words);
        }
        command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => io::Error::new(error.kind(), MISSING),
            _ => error,
        })
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum UnixSocket {
    #[default]
    No,
    Yes,
}

/// A connection that speaks RESP, for tests that need several commands on one connection.
///
/// ```
/// use forebay_testkit::redis::{RedisServer, RespConnection};
/// use forebay_testkit::resp::Value;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let redis = RedisServer::start().await?;
/// let mut subscriber = RespConnection::open(redis.addr()).await?;
/// subscriber.command(["HELLO", "3"]).await?;
/// subscriber.command(["SUBSCRIBE", "news"]).await?;
///
/// redis.command(["PUBLISH", "news", "hello"]).await?;
/// let push = Value::Push(vec![Value::from("message"), Value::from("news"), Value::from("hello")]);
/// assert_eq!(subscriber.receive().await?, push);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RespConnection {
    stream: TcpStream,
    received: BytesMut,
}

impl RespConnection {
    /// Connects.
    ///
    /// # Errors
    ///
    /// When nothing listens there.
    pub async fn open(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: BytesMut::new() })
    }

    /// Sends a command and waits for the next value, which is its reply unless a push stands before it.
    ///
    /// # Errors
    ///
    /// When the connection ends or the answer is not RESP.
    pub async fn command<A: AsRef<[u8]>>(&mut self, args: impl IntoIterator<Item = A>) -> io::Result<Value> {
        self.send(args).await?;
        self.receive().await
    }

    /// Sends a command without waiting for its reply.
    ///
    /// # Errors
    ///
    /// When the connection has ended.
    pub async fn send<A: AsRef<[u8]>>(&mut self, args: impl IntoIterator<Item = A>) -> io::Result<()> {
        self.stream.write_all(&resp::command(args)).await
    }

    /// Waits for the next value, reply or push.
    ///
    /// # Cancel safety
    ///
    /// Safe: what has arrived stays for the next call.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::UnexpectedEof`] when the connection ends first.
    pub async fn receive(&mut self) -> io::Result<Value> {
        loop {
            if let Some((value, _)) = Value::take(&mut self.received)? {
                return Ok(value);
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// A directory that is removed when dropped.
#[derive(Debug)]
struct TempDir(PathBuf);

impl TempDir {
    fn new() -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("forebay-redis-{}-{number}", std::process::id()));
        // A leftover of a killed process that had the same id.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A port that nobody listens on at this moment. Somebody else may be quicker: the start is tried again then.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

const MISSING: &str = "no redis-server on this machine: `cargo xtask test` provides it, or install Redis 7 or later \
                       (for instance `apt-get install redis-server`, `brew install redis`)";
const LOG_FILE: &str = "redis.log";
const PORT_ATTEMPTS: u32 = 8;
const START_ATTEMPTS: u32 = 1000;
const START_INTERVAL: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(10);
