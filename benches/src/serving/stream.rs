//! The first byte of a large body that comes slowly, through a miss and without anything in between.

use std::net::SocketAddr;
use std::time::Duration;

use forebay::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::forebay::Forebay;
use super::origin::{FIRST_BYTE, Origin};
use super::{Error, Outcome};
use crate::outage::{ms, quantile};
use crate::table::Table;

/// Measures both ways in turns.
///
/// # Errors
/// When the measurement itself fails.
pub async fn run() -> Result<Outcome, Error> {
    let origin = Origin::start()?;
    let forebay = Forebay::start(origin.addr(), &[])?;
    let mut direct = Vec::new();
    let mut through = Vec::new();
    for round in 0..ROUNDS {
        let target = format!("/drip/{BYTES}/{RATE}/{round}");
        direct.push(fetch(origin.addr(), &target).await?);
        through.push(fetch(forebay.addr(), &target).await?);
    }
    let title = format!(
        "A miss of {} MiB at {} MiB/s, first byte after {FIRST_BYTE:?}; {ROUNDS} rounds, medians",
        BYTES >> 20,
        RATE >> 20
    );
    let mut table = Table::new(title, &["", "direct ms", "through ms", "added ms", "ratio"]);
    let mut row = |name: &str, time: fn(&Fetched) -> Duration| {
        let median = |all: &[Fetched]| quantile(&mut all.iter().map(time).collect::<Vec<_>>(), 0.5);
        let (direct, through) = (median(&direct), median(&through));
        let ratio = through.as_secs_f64() / direct.as_secs_f64();
        let added = through.saturating_sub(direct);
        table.row(vec![name.to_owned(), ms(direct), ms(through), ms(added), format!("{ratio:.3}")]);
        ratio
    };
    let first = row("first byte of the body", |fetched| fetched.first);
    row("last byte", |fetched| fetched.last);
    println!("{table}");
    println!("  resident after it: {:.1} MiB", forebay.program.resident()? as f64 / f64::from(1 << 20));
    Ok(Outcome::of(first < 1.5 && through.iter().all(|fetched| fetched.bytes == BYTES)))
}

struct Fetched {
    first: Duration,
    last: Duration,
    bytes: u64,
}

/// Reads a body to its end and throws it away.
async fn fetch(addr: SocketAddr, target: &str) -> Result<Fetched, Error> {
    let clock = Clock::system();
    let mut stream = TcpStream::connect(addr).await?;
    let start = clock.now();
    stream.write_all(format!("GET {target} HTTP/1.1\r\nhost: stream\r\n\r\n").as_bytes()).await?;
    let mut buffer = vec![0; 64 << 10];
    let mut read = 0;
    let body = loop {
        let new = stream.read(&mut buffer[read..]).await?;
        read += new;
        if new == 0 {
            return Err("the answer ended before its body".into());
        }
        match buffer[..read].windows(4).position(|part| part == b"\r\n\r\n") {
            Some(end) if read > end + 4 => break (read - end - 4) as u64,
            _ => {}
        }
    };
    let (first, mut bytes) = (clock.now().since(start), body);
    while bytes < BYTES {
        match stream.read(&mut buffer).await? {
            0 => break,
            more => bytes += more as u64,
        }
    }
    Ok(Fetched { first, last: clock.now().since(start), bytes })
}

const BYTES: u64 = 100 << 20;
const RATE: u64 = 50 << 20;
const ROUNDS: usize = 9;
