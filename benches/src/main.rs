//! Measures Forebay beside a hand-written floor and the published caches.
//!
//! # Running
//!
//! ```text
//! cargo run --release -p benches --features peers                       # hit and router
//! cargo run --release -p benches --features peers -- hit bypass miss
//! cargo run --release -p benches --features peers -- all
//! cargo run --release -p benches --features peers --bin instructions    # counts instead of time, under valgrind
//! cargo run --release -p benches -- hit --only floor --rounds 15 --turn 300
//! ```
//!
//! Without the feature `peers` nothing of the published caches is built; `semantics` is the part of it that `policy` has a use
//! for. `--rounds` and `--turn` (milliseconds) set how long is measured; `--only NAME`, any number of times, picks rows. `e2e`
//! needs `wrk` and `taskset`, and the server beside it: `cargo build --release -p benches --features peers --bins`. `l2` needs
//! `redis-server` and `taskset`; `instructions` needs `valgrind`. What is missing is named.
//!
//! # Suites
//!
//! | suite | what one operation is |
//! |---|---|
//! | `hit` | a GET of one stored 2 KiB response with eight headers, read to its end, on the tower service alone |
//! | `router` | the same through an axum router |
//! | `bypass` | a POST, which a cache has to leave alone, and after which it has to drop what is stored for the path |
//! | `bypass-options` | an OPTIONS, which a cache has to leave alone and after which it has nothing to do |
//! | `bypass-get` | a GET whose response states no freshness |
//! | `miss` | a GET of a key that was never asked for: look up, ask the origin, store; `over bare` is the cache's part |
//! | `cores` | the hits of `hit` and `router` from one thread and from two, on one hot key |
//! | `stampede` | 1000 tasks ask for one cold key; the origin's calls are counted |
//! | `invalidate` | a tag is dropped that 100 or 100,000 entries carry |
//! | `l2` | a 2 KiB answer out of Redis, beside the bare clients: one at a time, and 64 tasks with a key each |
//! | `compression` | bodies in Redis as they are, in LZ4 and, with the feature `zstd`, in Zstandard: bytes, a store, a hit |
//! | `policy` | a judgement of `forebay-policy`: may a response be stored, may a stored one answer; no cache around it |
//! | `e2e` | wrk with 32 connections against a whole server on one core |
//!
//! # Rows
//!
//! | row | what it is |
//! |---|---|
//! | `bare` | the origin alone: a tower service whose future is ready, or an axum handler |
//! | `floor` | the least that a cache can do: 128 bits of keyed blake3 over a key encoded on the stack, moka::sync with a hasher that takes the key as it is, a response out of a cloned header map and `Bytes`, a future that is an enum. No freshness, no flight, no coherence, no metrics |
//! | `forebay` | `cache.layer()`, and in a router an annotation with a lifetime and two tags on every route as well, with everything on: freshness, coherence, Age, Cache-Status, and metrics that the recorder of `metrics-exporter-prometheus` takes. In `l2` no entry fits into L1 |
//! | `forebay: route alone` | the annotation without a layer around it |
//! | others | the published caches as their own documentation sets them up for memory, with an hour to live and room for 10,000 entries |
//!
//! # Reading
//!
//! Rows take turns, each round starts one row further, and a ratio is the median over the rounds of a row against `bare`
//! in the same round; so ratios hold where nanoseconds drift with the machine. `spread` is the middle half of a row's own
//! turns. `origin calls` tells whether a row did what its suite says: 0 for a hit, 1 for a bypass or a miss. A cache that
//! shows 0 in `bypass` answers a POST, or a response without freshness, from its store; its time there is that of a hit.
//! `cores` and `e2e` need a machine that does nothing else; the first line printed tells its load. Requests are built
//! inside the measured time, for all rows alike. Nothing counts allocations here, because a counting allocator slows down
//! most what allocates most; `instructions` counts them.

use std::fs;
use std::num::NonZero;
use std::process::ExitCode;
use std::thread;

use benches::arguments::Arguments;
use benches::suites;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let arguments = Arguments::read(std::env::args().skip(1))?;
    let words: Vec<&str> = arguments.words.iter().map(String::as_str).collect();
    let names = match words.as_slice() {
        [] => vec!["hit", "router"],
        ["all"] => suites::NAMES.to_vec(),
        words => words.to_vec(),
    };
    println!("{}", machine());
    names.into_iter().try_for_each(|name| suites::run(name, &arguments.options))
}

/// What a reader of the figures should know of the machine: other work on it shows most in `cores` and `e2e`.
fn machine() -> String {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown");
    format!("{cores} cores, load before the run {load}")
}
