//! What `forebay serve` does when an entry has become stale, when the origin goes away, and with bodies that come slowly.
//!
//! ```text
//! cargo build --release -p forebay-cli
//! cargo run --release -p benches --bin serving -- swr       # 1000 requests at once for an entry that has become stale
//! cargo run --release -p benches --bin serving -- kill      # the origin killed for 10 s under 500 requests/s
//! cargo run --release -p benches --bin serving -- stream    # the first byte of 100 MiB that come slowly
//! cargo run --release -p benches --bin serving -- events    # when the events of a stream arrive
//! cargo run --release -p benches --bin serving -- abort     # clients that leave half-way
//! cargo run --release -p benches --bin serving -- memory    # a million requests through 64 MiB
//! ```
//!
//! Each prints a table and fails when a bound that is promised did not hold.

use std::process::ExitCode;

use benches::serving::{Error, Outcome, abort, events, kill, memory, origin, stream, swr};

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.map_err(Error::from).and_then(|runtime| runtime.block_on(run())) {
        Ok(Outcome::Held) => ExitCode::SUCCESS,
        Ok(Outcome::Broken) => {
            eprintln!("a bound was broken");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("serving: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<Outcome, Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, rest)) = arguments.split_first() else { return Err(USAGE.into()) };
    match command.as_str() {
        "swr" => swr::run().await,
        "kill" => kill::run().await,
        "stream" => stream::run().await,
        "events" => events::run().await,
        "abort" => abort::run().await,
        "memory" => memory::run(rest).await,
        origin::COMMAND => origin::run(rest).await.map(|()| Outcome::Held),
        _ => Err(USAGE.into()),
    }
}

const USAGE: &str = "name one of swr, kill, stream, events, abort, memory";
