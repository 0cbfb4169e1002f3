//! Forebay on the command line.
//!
//! `forebay serve` is a caching reverse proxy in front of a service in any language: what the `forebay` layer does inside a
//! Rust service, it does for others. What may be stored and reused is the layer's business; this crate is the
//! intermediary around it: connections, fields of the connection, the way to the origin, and the errors of that way.
//!
//! Modules import only what stands above them in this list.

mod args;
mod config;
mod admin;
mod serve;

use std::process::ExitCode;

use clap::error::ErrorKind;

use self::args::{Command, parse};
use self::config::Config;

fn main() -> ExitCode {
    let (Command::Serve(given), matches) = match parse() {
        Ok(parsed) => parsed,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            // A pipe that closes early has seen enough.
            drop(error.print());
            return ExitCode::SUCCESS;
        }
        Err(error) => return wrong(&args::one_line(&error)),
    };
    match Config::resolve(&given, &matches) {
        Ok(config) => run(config),
        Err(error) => wrong(&error.to_string()),
    }
}

fn run(config: Config) -> ExitCode {
    serve::log_to_stderr(config.log);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("no runtime: {error}")),
    };
    let result = runtime.block_on(serve::serve(config));
    // Tunnels may still be open; nobody waits for them.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(serve::Error::Config(error)) => wrong(&error.to_string()),
        Err(error) => failed(&error.to_string()),
    }
}

/// A flag, a variable or a file is wrong.
fn wrong(message: &str) -> ExitCode {
    eprintln!("error: {message}");
    ExitCode::from(2)
}

/// What was asked for is right and cannot be done.
fn failed(message: &str) -> ExitCode {
    eprintln!("error: {message}");
    ExitCode::FAILURE
}
