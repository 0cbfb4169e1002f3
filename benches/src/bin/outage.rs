//! What Forebay does while something is broken, measured on real processes, sockets and a real Redis.
//!
//! ```text
//! cargo run --release -p benches --bin outage -- coherence     # stale answers of two instances, with this and that broken
//! cargo run --release -p benches --bin outage -- propagation   # from one instance to the other, beside raw pub/sub
//! cargo run --release -p benches --bin outage -- kill          # Redis killed for 5 s under 500 requests/s
//! cargo run --release -p benches --bin outage -- freeze        # Redis stopped for 5 s under 500 requests/s
//! cargo run --release -p benches --bin outage -- stampede      # 1000 requests for one cold key
//! cargo run --release -p benches --bin outage -- leases        # the same on four instances; and their holder of a lease killed
//! cargo run --release -p benches --bin outage -- memory        # a million responses through 256 MiB
//! ```
//!
//! Each prints a table and fails when a bound that is promised did not hold. `redis-server` is needed, 7 or later.

use std::process::ExitCode;

use benches::outage::{
    Error, Outcome, coherence, instance, leases, memory, propagation, redis_gone, stampede,
};

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.map_err(Error::from).and_then(|runtime| runtime.block_on(run())) {
        Ok(Outcome::Held) => ExitCode::SUCCESS,
        Ok(Outcome::Broken) => {
            eprintln!("a bound was broken");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("outage: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<Outcome, Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, rest)) = arguments.split_first() else { return Err(USAGE.into()) };
    match command.as_str() {
        "coherence" => coherence::run().await,
        "propagation" => propagation::run().await,
        "kill" => redis_gone::run(redis_gone::How::Killed).await,
        "freeze" => redis_gone::run(redis_gone::How::Frozen).await,
        "stampede" => stampede::run().await,
        "leases" => leases::run().await,
        "memory" => memory::run(rest).await,
        instance::COMMAND => instance::run(rest).await.map(|()| Outcome::Held),
        _ => Err(USAGE.into()),
    }
}

const USAGE: &str = "name one of coherence, propagation, kill, freeze, stampede, leases, memory";
