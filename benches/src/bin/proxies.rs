//! `forebay serve` beside nginx and Varnish, hits of 2 KiB and of 64 KiB.
//!
//! ```text
//! cargo build --release -p forebay-cli
//! cargo run --release -p benches --bin proxies -- --seconds 3 --rounds 7
//! ```
//!
//! `nginx`, `varnishd`, `wrk` and `taskset` are needed; what is missing is named. The machine should have nothing else to do:
//! each proxy has one core while it is driven, and wrk the other. nginx has its cache in a file system in memory, one worker
//! and its open files remembered; Varnish has its store in memory and one pool of threads; both are otherwise as they come.

use std::process::ExitCode;

use benches::outage::Error;
use benches::serving::origin;
use benches::serving::proxies::{self, Plan};

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.map_err(Error::from).and_then(|runtime| runtime.block_on(run())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("proxies: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((first, rest)) if first == origin::COMMAND => origin::run(rest).await,
        _ => proxies::run(Plan::read(arguments)?).await,
    }
}
