//! One connection: two streams, each read, cut into RESP values, put through the faults, and written.

use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::sleep;

use super::fault::{Connections, Direction, Fault, Rule, is_message};
use crate::resp::Value;

/// What all connections of a proxy share.
#[derive(Debug, Default)]
pub(super) struct Wires {
    pub(super) rules: watch::Sender<Vec<Arc<Rule>>>,
    pub(super) counters: watch::Sender<Counters>,
}

/// What a [`FaultProxy`](super::FaultProxy) has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Connections accepted.
    pub connections: usize,
    /// Connections that live now.
    pub open: usize,
    /// Pub/sub messages that the server pushed, the dropped ones too.
    pub pushes_seen: u64,
    /// Pub/sub messages that were taken out.
    pub pushes_dropped: u64,
    /// Bytes that went into a [`Fault::Blackhole`].
    pub bytes_lost: u64,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// In good order (FIN).
    Close,
    /// By a reset (RST).
    Reset,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) index: usize,
    pub(super) ending: watch::Sender<Option<Ending>>,
    opening: Mutex<Vec<u8>>,
}

impl Connection {
    pub(super) fn new(index: usize) -> Self {
        Self { index, ending: watch::Sender::new(None), opening: Mutex::default() }
    }

    pub(super) fn is_one_of(&self, who: &Connections) -> bool {
        who.include(self.index, &self.opening())
    }

    /// Runs until one side ends, a fault cuts it, or the test ends it.
    pub(super) async fn run(
        &self,
        wires: &Wires,
        mut client: TcpStream,
        mut server: TcpStream,
    ) -> io::Result<()> {
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let how = {
            let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
            let mut asked = self.ending.subscribe();
            tokio::select! {
                how = self.pump(wires, Direction::ToServer, from_client, to_server) => how,
                how = self.pump(wires, Direction::ToClient, from_server, to_client) => how,
                how = asked.wait_for(Option::is_some) => Ok(how.ok().and_then(|how| *how).unwrap_or(Ending::Close)),
            }
        };
        // A side that was reset resets the other.
        if how.unwrap_or(Ending::Reset) == Ending::Reset {
            client.set_zero_linger()?;
            server.set_zero_linger()?;
        }
        Ok(())
    }

    async fn pump(
        &self,
        wires: &Wires,
        stream: Direction,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
    ) -> io::Result<Ending> {
        let mut values = Values::default();
        loop {
            let before = values.received.len();
            if from.read_buf(&mut values.received).await? == 0 {
                return Ok(Ending::Close);
            }
            if stream == Direction::ToServer {
                self.note_opening(&values.received[before..]);
            }
            let whole = values.take_whole(|value| self.passes(wires, value));
            self.wait_while_held(wires, stream).await;
            if let ControlFlow::Break(how) = self.forward(wires, stream, whole, &mut to).await? {
                return Ok(how);
            }
        }
    }

    fn passes(&self, wires: &Wires, value: &Value) -> bool {
        if !is_message(value) {
            return true;
        }
        // Every rule counts the message, whichever of them drops it.
        let dropping =
            self.rules(wires, Direction::ToClient).iter().filter(|rule| rule.drops_this_message()).count();
        wires.counters.send_modify(|counters| {
            counters.pushes_seen += 1;
            counters.pushes_dropped += u64::from(dropping > 0);
        });
        dropping == 0
    }

    async fn wait_while_held(&self, wires: &Wires, stream: Direction) {
        let holds = |rule: &Arc<Rule>| {
            matches!(rule.fault, Fault::Hold(_)) && rule.covers(stream) && self.is_one_of(&rule.who)
        };
        // Fails only when the proxy is gone, and this task with it.
        let _ = wires.rules.subscribe().wait_for(|rules| !rules.iter().any(holds)).await;
    }

    async fn forward(
        &self,
        wires: &Wires,
        stream: Direction,
        mut bytes: BytesMut,
        to: &mut WriteHalf<'_>,
    ) -> io::Result<ControlFlow<Ending>> {
        let mut then = ControlFlow::Continue(());
        for rule in self.rules(wires, stream) {
            match rule.fault {
                Fault::Blackhole(_) => {
                    let lost = bytes.split().len() as u64;
                    wires.counters.send_modify(|counters| counters.bytes_lost += lost);
                }
                Fault::Delay(_, by) => sleep(by).await,
                Fault::Corrupt(_, offset) => {
                    if let Some(at) = rule.locate(offset, bytes.len()) {
                        bytes[at] = !bytes[at];
                    }
                }
                Fault::CutAfter(_, count) => {
                    if let Some(at) = rule.locate(count, bytes.len()) {
                        bytes.truncate(at);
                        then = ControlFlow::Break(Ending::Reset);
                    }
                }
                Fault::Throttle(_, rate) => write_slowly(&bytes.split(), rate, to).await?,
                Fault::Hold(_) | Fault::DropPushes(_) => {}
            }
        }
        to.write_all(&bytes).await?;
        Ok(then)
    }

    /// The rules in force for one of this connection's streams.
    fn rules(&self, wires: &Wires, stream: Direction) -> Vec<Arc<Rule>> {
        let rules = wires.rules.borrow();
        let mine = rules.iter().filter(|rule| rule.covers(stream) && self.is_one_of(&rule.who));
        mine.cloned().collect()
    }

    fn note_opening(&self, sent: &[u8]) {
        let mut opening = self.opening();
        let room = OPENING_LIMIT - opening.len();
        opening.extend_from_slice(&sent[..sent.len().min(room)]);
    }

    fn opening(&self) -> MutexGuard<'_, Vec<u8>> {
        self.opening.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream cut into RESP values. What turns out not to be RESP passes as it comes.
#[derive(Debug, Default)]
struct Values {
    received: BytesMut,
    protocol: Protocol,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Protocol {
    #[default]
    Resp,
    Unknown,
}

impl Values {
    fn take_whole(&mut self, passes: impl Fn(&Value) -> bool) -> BytesMut {
        let mut whole = BytesMut::new();
        while self.protocol == Protocol::Resp {
            match Value::take(&mut self.received) {
                Ok(Some((value, as_sent))) if passes(&value) => whole.extend_from_slice(&as_sent),
                Ok(Some(_)) => {}
                Ok(None) => return whole,
                Err(_) => self.protocol = Protocol::Unknown,
            }
        }
        whole.unsplit(self.received.split());
        whole
    }
}

async fn write_slowly(bytes: &[u8], rate: u64, to: &mut WriteHalf<'_>) -> io::Result<()> {
    let portion = usize::try_from(rate / PORTIONS_A_SECOND).unwrap_or(usize::MAX).max(1);
    for portion in bytes.chunks(portion) {
        to.write_all(portion).await?;
        sleep(Duration::from_secs(1) / PORTIONS_A_SECOND as u32).await;
    }
    Ok(())
}

const OPENING_LIMIT: usize = 16 * 1024;
const PORTIONS_A_SECOND: u64 = 100;
