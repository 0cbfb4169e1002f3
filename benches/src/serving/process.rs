//! Programs that a measurement starts, and what they leave behind.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::Error;

/// A running program. Dropping it ends it.
#[derive(Debug)]
pub struct Program {
    child: Child,
}

impl Program {
    /// Starts `command`.
    ///
    /// # Errors
    /// When it is not installed, with the name of its package; or when it cannot be started.
    pub fn start(mut command: Command, package: &str) -> Result<Self, Error> {
        let name = command.get_program().to_string_lossy().into_owned();
        let started = command.stdin(Stdio::null()).spawn();
        let child = started.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                format!("{name} is not installed; the package of most systems is called {package}")
            }
            _ => format!("{name} cannot be started: {error}"),
        })?;
        Ok(Self { child })
    }

    /// The first line that it prints, where its stdout is a pipe.
    ///
    /// # Errors
    /// When there is none.
    pub fn first_line(&mut self) -> Result<String, Error> {
        let out = self.child.stdout.take().ok_or("the program's output is not read")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        if line.is_empty() { Err("the program ended at its start".into()) } else { Ok(line) }
    }

    /// Waits until it listens at `addr`.
    ///
    /// # Errors
    /// When it ends instead, or takes too long.
    pub fn listens_at(&mut self, addr: SocketAddr) -> Result<(), Error> {
        for _ in 0..200 {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the program ended at its start: {status}").into());
            }
            if TcpStream::connect(addr).is_ok() {
                return Ok(());
            }
            sleep(Duration::from_millis(50));
        }
        Err(format!("nothing listens at {addr}").into())
    }

    /// Its resident memory, in bytes.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resident(&self) -> Result<u64, Error> {
        let status = fs::read_to_string(format!("/proc/{}/statm", self.child.id()))?;
        let pages: u64 = status.split(' ').nth(1).ok_or("no resident size")?.parse()?;
        Ok(pages * rustix::param::page_size() as u64)
    }

    /// The processor time that it and the processes it has started have used, in ticks of the system's clock.
    ///
    /// # Errors
    /// When it has ended.
    pub fn ticks(&self) -> Result<u64, Error> {
        ticks_of(self.child.id())
    }

    /// Ends it at once (SIGKILL).
    ///
    /// # Errors
    /// When it has ended already.
    pub fn kill(mut self) -> Result<(), Error> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end, so that it can end what it has started itself, and waits a while for that.
    fn terminate(&mut self) -> Result<(), Error> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).ok_or("no process")?;
        kill_process(pid, Signal::TERM)?;
        for _ in 0..40 {
            if self.child.try_wait()?.is_some() {
                break;
            }
            sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // One that has ended already cannot be ended and need not be.
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            drop(self.terminate());
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn ticks_of(process: u32) -> Result<u64, Error> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let numbers = stat.rsplit(')').next().unwrap_or_default();
    let own: u64 = numbers.split_whitespace().skip(11).take(2).flat_map(str::parse::<u64>).sum();
    let started = fs::read_to_string(format!("/proc/{process}/task/{process}/children"))?;
    let started = started.split_whitespace().flat_map(str::parse);
    Ok(own + started.map(ticks_of).sum::<Result<u64, Error>>()?)
}

/// `program` on one core.
#[must_use]
pub fn pinned(core: &str, program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program.as_ref());
    command
}

/// An address of this machine that is free now.
///
/// # Errors
/// When no port is.
pub fn free_address() -> Result<SocketAddr, Error> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// A folder in memory that goes when it is dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new one, called after this process and `name`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(name: &str) -> Result<Self, Error> {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let path = parent.join(format!("forebay-benches-{}-{name}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is removed with the memory it lies in.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A program that is built with this one.
///
/// # Errors
/// When it is not built, with the command that builds it.
pub fn sibling(name: &str, package: &str) -> Result<PathBuf, Error> {
    let path = std::env::current_exe()?.with_file_name(name);
    if path.exists() {
        return Ok(path);
    }
    Err(format!("{name} is not built; `cargo build --release -p {package} --bin {name}` builds it").into())
}
