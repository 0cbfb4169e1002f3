//! Instances: child processes that serve, listen to an admin, and can be stopped, resumed and killed.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::client::Client;
use crate::error::Error;

/// What is put to the test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum System {
    /// `forebay serve`, this binary.
    Forebay(PathBuf),
    /// The baseline.
    Plain,
    /// `forebay serve` without one mechanism of its protocol.
    Mutant(PathBuf, &'static str),
}

impl System {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Forebay(_) => "forebay",
            Self::Plain => "plain",
            Self::Mutant(_, mechanism) => mechanism,
        }
    }

    fn command(&self) -> Result<Command, Error> {
        Ok(match self {
            Self::Forebay(binary) | Self::Mutant(binary, _) => Command::new(binary),
            Self::Plain => Command::new(std::env::current_exe()?),
        })
    }
}

/// A running instance. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Instance {
    process: Child,
    ports: Ports,
    log: PathBuf,
}

/// Where an instance listens; port 0 for any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    addr: SocketAddr,
    admin: SocketAddr,
}

impl Ports {
    /// Any that are free.
    pub(crate) fn any() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { addr: any, admin: any }
    }
}

impl Instance {
    /// Starts one and waits until it listens.
    pub(crate) async fn start(
        system: &System,
        scrap: &Scrap,
        ports: Ports,
        args: &[String],
    ) -> Result<Self, Error> {
        let mut command = system.command()?;
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FOREBAY_")) {
            command.env_remove(name);
        }
        if let System::Mutant(_, mechanism) = system {
            command.env("FOREBAY_MUTANT", mechanism);
        }
        let verb = if *system == System::Plain { "plain" } else { "serve" };
        let log = scrap.file("log");
        let Ports { addr, admin } = ports;
        command.args([verb, "--listen", &addr.to_string(), "--admin-listen", &admin.to_string()]);
        command.arg("--admin-token-file").arg(scrap.token()?).args(args).kill_on_drop(true);
        let mut process =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log)?).spawn()?;
        let out = process.stdout.take().ok_or("the instance's output is not read")?;
        let line = timeout(PATIENCE, BufReader::new(out).lines().next_line()).await??;
        let Some(line) = line else {
            return Err(format!("an instance ended at its start: {}", fs::read_to_string(&log)?).into());
        };
        let addr = address_after(&line, "listening on http://")?;
        let admin = address_after(&line, "admin on http://")?;
        Ok(Self { process, ports: Ports { addr, admin }, log })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.ports.addr
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        self.ports.admin
    }

    /// Kills it (SIGKILL) and says where it listened.
    pub(crate) async fn kill(&mut self) -> Result<Ports, Error> {
        self.process.kill().await?;
        Ok(self.ports)
    }

    /// Freezes it (SIGSTOP).
    pub(crate) fn stop(&self) -> Result<(), Error> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on (SIGCONT).
    pub(crate) fn resume(&self) -> Result<(), Error> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), Error> {
        Ok(kill_process(self.pid()?, signal)?)
    }

    fn pid(&self) -> Result<Pid, Error> {
        let pid = self.process.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        pid.ok_or_else(|| "the instance has ended".into())
    }

    /// Its resident memory, in bytes.
    pub(crate) fn resident(&self) -> Result<u64, Error> {
        let status = fs::read_to_string(format!("/proc/{}/statm", self.pid()?.as_raw_nonzero()))?;
        let pages: u64 = status.split(' ').nth(1).ok_or("no resident size")?.parse()?;
        Ok(pages * rustix::param::page_size() as u64)
    }

    /// How many panics it has reported.
    pub(crate) fn panics(&self) -> usize {
        fs::read_to_string(&self.log).unwrap_or_default().matches("panicked at").count()
    }

    /// The answer of its admin API to a GET.
    pub(crate) async fn ask(&self, path: &str) -> io::Result<String> {
        ask(self.admin(), path, PATIENCE).await
    }

    /// The number under this name in its statistics.
    pub(crate) async fn stat(&self, name: &str) -> Result<u64, Error> {
        let stats = self.ask("/stats").await?;
        let value = stats.split_once(&format!("\"{name}\":")).map_or("", |(_, rest)| rest);
        let number: String = value.chars().take_while(char::is_ascii_digit).collect();
        number.parse().map_err(|_| format!("no number {name} in {stats}").into())
    }

    /// The sum of a counter over all of its series for which `counts` is true.
    pub(crate) async fn metric(&self, name: &str, counts: impl Fn(&str) -> bool) -> io::Result<u64> {
        let metrics = self.ask("/metrics").await?;
        let series = metrics.lines().filter_map(|line| line.strip_prefix(name)?.split_once("} "));
        let values =
            series.filter(|(labels, _)| counts(labels)).filter_map(|(_, value)| value.parse::<f64>().ok());
        Ok(values.sum::<f64>() as u64)
    }

    /// Whether it says that it follows its Redis.
    pub(crate) async fn is_synced(&self) -> bool {
        says_synced(self.admin()).await
    }

    /// Whether it says that others in its namespace have another configuration and were there first.
    pub(crate) async fn is_refused(&self) -> bool {
        let stats = self.ask("/stats").await;
        stats.is_ok_and(|stats| stats.contains("\"l2\":\"refused\""))
    }

    /// Waits until it follows its Redis, or knows that it may not.
    pub(crate) async fn synced(&self) -> Result<(), Error> {
        let synced = async {
            while !self.is_synced().await && !self.is_refused().await {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, synced).await.map_err(|_| "an instance does not come to follow its Redis".into())
    }
}

/// Whether the instance with this admin API says that it follows its Redis.
pub(crate) async fn says_synced(admin: SocketAddr) -> bool {
    let stats = ask(admin, "/stats", Duration::from_secs(2)).await;
    stats.is_ok_and(|stats| stats.contains("\"l2\":\"synced\""))
}

async fn ask(admin: SocketAddr, path: &str, patience: Duration) -> io::Result<String> {
    let answer = Client::with_patience(admin, patience).admin_get(path, TOKEN).await?;
    Ok(String::from_utf8_lossy(&answer.body).into_owned())
}

fn address_after(line: &str, what: &str) -> Result<SocketAddr, Error> {
    let rest = line.split_once(what).ok_or_else(|| format!("no {what:?} in {line:?}"))?.1;
    Ok(rest.split([',', ' ']).next().unwrap_or_default().parse()?)
}

/// A folder for what instances read and write. It goes with its owner.
#[derive(Debug)]
pub(crate) struct Scrap(PathBuf);

impl Scrap {
    pub(crate) fn new() -> Result<Self, Error> {
        let path = std::env::temp_dir().join(format!("forebay-faults-{}-{}", std::process::id(), next()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}-{}", next()))
    }

    fn token(&self) -> Result<PathBuf, Error> {
        let path = self.0.join("token");
        fs::write(&path, TOKEN)?;
        Ok(path)
    }
}

impl Scrap {
    /// A file with this secret.
    pub(crate) fn secret(&self, secret: &str) -> Result<String, Error> {
        let path = self.file("secret");
        fs::write(&path, secret)?;
        Ok(path.to_string_lossy().into_owned())
    }
}

impl Drop for Scrap {
    fn drop(&mut self) {
        // What is left lies in the system's folder for leftovers.
        drop(fs::remove_dir_all(&self.0));
    }
}

fn next() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// What the admin APIs of all instances ask for.
pub(crate) const TOKEN: &str = "the-token-of-the-fault-suite-0123456789";
const PATIENCE: Duration = Duration::from_secs(30);
