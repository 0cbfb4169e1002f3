//! An event stream: does each event arrive when it was sent?

use std::net::SocketAddr;
use std::time::Duration;

use forebay::Clock;
use forebay_core::time::Moment;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::forebay::Forebay;
use super::origin::{EVENTS, Origin};
use super::{Error, Outcome};
use crate::outage::{ms, quantile};
use crate::table::Table;

/// Listens to one stream directly and to one through Forebay, at the same time.
///
/// # Errors
/// When the measurement itself fails.
pub async fn run() -> Result<Outcome, Error> {
    let origin = Origin::start()?;
    let forebay = Forebay::start(origin.addr(), &[])?;
    let (direct, through) = tokio::join!(listen(origin.addr()), listen(forebay.addr()));
    let title = "An event every 50 ms: from being sent to being received";
    let mut table = Table::new(title, &["", "events", "in order", "p50 ms", "p99 ms", "max ms"]);
    let mut outcome = Outcome::Held;
    for (name, heard) in [("direct", direct?), ("through", through?)] {
        let ordered = heard.iter().enumerate().all(|(index, event)| event.0 == index as u64);
        let mut delays: Vec<Duration> = heard.iter().map(|event| event.1).collect();
        let late = quantile(&mut delays, 1.0) >= Duration::from_millis(50);
        outcome = outcome.and(Outcome::of(ordered && heard.len() as u64 == EVENTS && !late));
        table.row(vec![
            name.to_owned(),
            heard.len().to_string(),
            if ordered { "yes" } else { "no" }.to_owned(),
            ms(quantile(&mut delays, 0.5)),
            ms(quantile(&mut delays, 0.99)),
            ms(quantile(&mut delays, 1.0)),
        ]);
    }
    println!("{table}");
    Ok(outcome)
}

/// The events' numbers, and how long each was under way. The clock is the machine's, the same for all processes.
async fn listen(addr: SocketAddr) -> Result<Vec<(u64, Duration)>, Error> {
    let clock = Clock::system();
    let mut stream = BufReader::new(TcpStream::connect(addr).await?);
    stream.write_all(b"GET /events HTTP/1.1\r\nhost: events\r\n\r\n").await?;
    let (mut heard, mut line, mut number) = (Vec::new(), String::new(), 0);
    while (heard.len() as u64) < EVENTS && stream.read_line(&mut line).await? > 0 {
        let now = clock.now();
        if let Some(id) = line.trim().strip_prefix("id: ") {
            number = id.parse()?;
        } else if let Some(nanos) = line.trim().strip_prefix("data: ") {
            heard.push((number, now.since(Moment::from_nanos(nanos.parse()?))));
        }
        line.clear();
    }
    Ok(heard)
}
