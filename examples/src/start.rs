//! How an example starts and how it ends.

use std::env;
use std::process::ExitCode;

use forebay::{Clock, Redis};
use tokio::net::TcpListener;

/// What keeps an example from running. Its text is all that the user sees.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Runs an example with its log on stderr. An error is one line there, and exit code 1.
pub async fn run(example: impl Future<Output = Result<(), Error>>) -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    match example.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Listens where `LISTEN` says, by default on port 3000 of this machine alone.
///
/// # Errors
/// When it is no address, or one that is not free.
pub async fn listen() -> Result<TcpListener, Error> {
    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let failed = |error| format!("LISTEN={address}: {error}; {ADDRESS_WANTED}");
    Ok(TcpListener::bind(&address).await.map_err(failed)?)
}

/// The Redis that `REDIS_URL` names, if it is set. Whether it answers is not asked here.
///
/// # Errors
/// When it is no URL of a Redis.
pub fn redis() -> Result<Option<Redis>, Error> {
    let Some(url) = env::var("REDIS_URL").ok().filter(|url| !url.is_empty()) else { return Ok(None) };
    Redis::url(&url).map(Some).map_err(|error| format!("REDIS_URL: {error}").into())
}

/// The time of day, in milliseconds.
#[must_use]
pub fn now() -> String {
    humantime::format_rfc3339_millis(Clock::system().wall()).to_string()
}

const ADDRESS_WANTED: &str = "an address and a free port are wanted, as in LISTEN=127.0.0.1:3001";
