//! `forebay serve`, as everybody runs it.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use super::Error;
use super::process::{Program, pinned, sibling};

/// A running `forebay serve`. Dropping it ends it.
#[derive(Debug)]
pub struct Forebay {
    /// The process.
    pub program: Program,
    addr: SocketAddr,
}

impl Forebay {
    /// Starts it in front of `origin`, with these settings beside the defaults.
    ///
    /// # Errors
    /// When it is not built, or does not start.
    pub fn start(origin: SocketAddr, settings: &[&str]) -> Result<Self, Error> {
        Self::run(Command::new(sibling("forebay", "forebay-cli")?), origin, settings)
    }

    /// The same, on one core.
    ///
    /// # Errors
    /// When it is not built, or does not start.
    pub fn start_on(core: &str, origin: SocketAddr, settings: &[&str]) -> Result<Self, Error> {
        Self::run(pinned(core, sibling("forebay", "forebay-cli")?), origin, settings)
    }

    fn run(mut command: Command, origin: SocketAddr, settings: &[&str]) -> Result<Self, Error> {
        command.args(["serve", "--listen", "127.0.0.1:0", "--origin", &format!("http://{origin}")]);
        command.args(settings).stdout(Stdio::piped());
        let mut program = Program::start(command, "util-linux")?;
        let line = program.first_line()?;
        let told = line.split("listening on http://").nth(1).and_then(|rest| rest.split(',').next());
        let addr = told.and_then(|addr| addr.parse().ok());
        Ok(Self { program, addr: addr.ok_or("forebay does not tell its address")? })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}
