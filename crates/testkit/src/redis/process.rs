//! What every server process needs: a program, a directory and a port.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Starts the server in `dir`. It stays in the test's process group: whatever interrupts the test from outside ends it
/// as well.
pub(super) fn spawn(args: &[String], dir: &Path) -> io::Result<Child> {
    // A refused setting is told on stderr, everything else on stdout.
    let log = fs::File::create(log_of(dir))?;
    let program = env::var_os(PROGRAM).unwrap_or_else(|| OsString::from("redis-server"));
    let mut command = Command::new(&program);
    command.args(args).current_dir(dir).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            io::Error::new(error.kind(), format!("no {} on this machine: {MISSING}", program.display()))
        }
        _ => error,
    })
}

/// What the server wrote since its last start.
pub(super) fn said(dir: &Path) -> String {
    fs::read_to_string(log_of(dir)).unwrap_or_default()
}

fn log_of(dir: &Path) -> PathBuf {
    dir.join("redis.log")
}

/// A port that nobody listens on at this moment. Somebody else may be quicker: the start is tried again then.
pub(super) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A directory that is removed when dropped.
#[derive(Debug)]
pub(super) struct TempDir(pub(super) PathBuf);

impl TempDir {
    pub(super) fn new() -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("forebay-redis-{}-{number}", std::process::id()));
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

/// The variable that names another program than `redis-server`.
const PROGRAM: &str = "FOREBAY_REDIS_SERVER";
const MISSING: &str = "`cargo xtask test` provides it, or install Redis 7 or later (for instance \
                       `apt-get install redis-server`, `brew install redis`), or name a redis-server or valkey-server \
                       in FOREBAY_REDIS_SERVER";
