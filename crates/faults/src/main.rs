//! The fault suite: instances of `forebay serve` as processes, a real Redis, faults between them, readers and writers at
//! work, and a judge of every answer. `cargo xtask faults` builds what it needs and runs it.
//!
//! Beside it the same runs over [`plain`], the cache that is usually written by hand.
//!
//! Modules import only what stands above them in this list.

mod error;
mod random;
mod client;
mod origin;
mod process;
mod plain;
mod load;
mod row;
mod setting;
mod stage;
mod scenarios;
mod table;
mod arguments;
mod suite;
mod mutants;
mod soak;
mod figures;

use std::process::ExitCode;

use crate::arguments::Arguments;
use crate::error::Error;
use crate::suite::Outcome;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    match runtime.block_on(dispatch(&args)) {
        Ok(Outcome::Held) => ExitCode::SUCCESS,
        Ok(Outcome::Broken) => ExitCode::FAILURE,
        Err(error) => failed(&error),
    }
}

async fn dispatch(args: &[String]) -> Result<Outcome, Error> {
    match args.split_first() {
        Some((first, rest)) if first == "plain" => plain::serve(rest).await.map(|()| Outcome::Held),
        Some((first, rest)) if first == "mutants" => mutants::run(&Arguments::parse(rest)?).await,
        Some((first, rest)) if first == "soak" => soak::run(&Arguments::parse(rest)?).await,
        Some((first, rest)) if first == "figures" => figures::run(&Arguments::parse(rest)?).await,
        _ => suite::run(&Arguments::parse(args)?).await,
    }
}

fn failed(error: &Error) -> ExitCode {
    eprintln!("faults: {error}");
    ExitCode::from(2)
}
