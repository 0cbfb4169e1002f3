//! Clients that leave half-way, and origins that break off: no part of an answer may ever pass for the whole.

use std::net::SocketAddr;
use std::time::Duration;

use forebay_testkit::http::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::forebay::Forebay;
use super::origin::Origin;
use super::{Error, Outcome};
use crate::table::Table;

/// Lets clients leave after this and that much of a body, and asks for the same again.
///
/// # Errors
/// When the measurement itself fails.
pub async fn run() -> Result<Outcome, Error> {
    let origin = Origin::start()?;
    let forebay = Forebay::start(origin.addr(), &[])?;
    let head = ["", "rounds", "asked again", "whole", "fragments", "from the cache", "origin calls a round"];
    let mut table = Table::new("The first client leaves, or the origin breaks off, half-way", &head);
    let mut outcome = Outcome::Held;
    for (title, case) in [
        ("client leaves, the next asks at once", Case::Leaves(Duration::ZERO)),
        ("client leaves, the next asks 1 s later", Case::Leaves(Duration::from_secs(1))),
        ("origin breaks off", Case::BreaksOff),
    ] {
        let measured = measure(&origin, &forebay, case).await?;
        outcome = outcome.and(Outcome::of(measured.fragments == 0));
        table.row(measured.row(title));
    }
    println!("{table}");
    Ok(outcome)
}

#[derive(Clone, Copy)]
enum Case {
    /// The client leaves, and so much later another asks.
    Leaves(Duration),
    BreaksOff,
}

#[derive(Default)]
struct Measured {
    asked: usize,
    whole: usize,
    /// Answers that are complete on the wire and not the whole.
    fragments: usize,
    cached: usize,
    calls: u64,
}

impl Measured {
    fn row(&self, title: &str) -> Vec<String> {
        vec![
            title.to_owned(),
            ROUNDS.to_string(),
            self.asked.to_string(),
            self.whole.to_string(),
            self.fragments.to_string(),
            self.cached.to_string(),
            format!("{:.2}", self.calls as f64 / ROUNDS as f64),
        ]
    }
}

async fn measure(origin: &Origin, forebay: &Forebay, case: Case) -> Result<Measured, Error> {
    let before = origin.calls().await?;
    let mut measured = Measured::default();
    for round in 0..ROUNDS {
        let target = match case {
            Case::Leaves(wait) => format!("/drip/{BYTES}/{RATE}/{}-{round}", wait.as_millis()),
            Case::BreaksOff => format!("/cut/{BYTES}/{round}"),
        };
        leave(forebay.addr(), &target, BYTES * (round + 1) / (ROUNDS + 1)).await?;
        if let Case::Leaves(wait) = case {
            sleep(wait).await;
        }
        // The second of them finds what the first has left behind.
        for _ in 0..2 {
            let answer = Client::new(forebay.addr()).get(&target).await;
            measured.asked += 1;
            let Ok(answer) = answer else { continue };
            let whole = answer.body.len() == BYTES && answer.body.iter().all(|byte| *byte == b'x');
            measured.whole += usize::from(whole);
            measured.fragments += usize::from(!whole && answer.status == 200);
            measured.cached += usize::from(answer.field("cache-status").contains("hit"));
        }
    }
    measured.calls = origin.calls().await? - before;
    Ok(measured)
}

/// Reads so many bytes, or what there is, and hangs up.
async fn leave(addr: SocketAddr, target: &str, after: usize) -> Result<(), Error> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(format!("GET {target} HTTP/1.1\r\nhost: outage\r\n\r\n").as_bytes()).await?;
    let (mut buffer, mut read) = (vec![0; 16 << 10], 0);
    while read < after {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(more) => read += more,
        }
    }
    Ok(())
}

const BYTES: usize = 512 << 10;
const RATE: usize = 2 << 20;
const ROUNDS: usize = 20;
