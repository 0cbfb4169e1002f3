//! Somebody else in Redis: messages and frames that no instance has sent, or not now, or not for this key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use forebay_testkit::redis::RespConnection;
use forebay_testkit::resp::Value;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::Acting;
use super::scenario::{Runs, Scenario};
use crate::error::Error;
use crate::random::Random;
use crate::setting::Setting;
use crate::stage::Stage;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "F21a",
        title: "random and forged messages on the bus",
        setting: Setting::default,
        act: messages,
        runs: Runs::Alone,
    },
    Scenario {
        id: "F21b",
        title: "with a secret: messages and frames forged, sent again, and put elsewhere",
        setting: sealed,
        act: messages_and_frames,
        runs: Runs::Alone,
    },
];

fn sealed() -> Setting {
    Setting { secret: |_| Some("the secret of the fault suite"), ..Setting::default() }
}

fn messages(stage: &mut Stage) -> Acting<'_> {
    attack(stage, Means::Messages)
}

fn messages_and_frames(stage: &mut Stage) -> Acting<'_> {
    attack(stage, Means::MessagesAndFrames)
}

/// What the attacker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    /// It publishes what it makes up.
    Messages,
    /// It also publishes again what it has heard, under a seal of its own or the right one, and writes frames.
    MessagesAndFrames,
}

fn attack(stage: &mut Stage, means: Means) -> Acting<'_> {
    Box::pin(async move {
        let mut attacker = Attacker::enter(stage).await?;
        let end = stage.now().after(stage.pace.during);
        while stage.now() < end {
            attacker.publish(stage, means).await?;
            if means == Means::MessagesAndFrames {
                attacker.write(stage).await?;
            }
            sleep(Duration::from_millis(10)).await;
        }
        let refused = stage.metric("cache_errors_total", |labels| labels.contains("op=\"bus\"")).await;
        let unreadable = stage.metric("cache_errors_total", |labels| labels.contains("op=\"decode\"")).await;
        stage.note(format!("{} messages, {refused} refused", attacker.sent));
        if means == Means::MessagesAndFrames {
            stage.note(format!("{} frames written, {unreadable} refused", attacker.written));
        }
        Ok(())
    })
}

/// Somebody with every right in Redis, but without the secret.
struct Attacker {
    connection: RespConnection,
    /// What the names of the bookkeeping begin with.
    stem: String,
    incarnation: Vec<u8>,
    random: Random,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    listener: JoinHandle<()>,
    /// What has stood under each name.
    seen: HashMap<String, Vec<Vec<u8>>>,
    sent: usize,
    written: usize,
}

impl Attacker {
    async fn enter(stage: &Stage) -> Result<Self, Error> {
        let positions = stage.keys("*}:v").await?;
        let stem =
            positions.first().and_then(|name| name.strip_suffix(":v")).ok_or("no namespace in Redis")?;
        let incarnation = stage.command(&["GET", &format!("{stem}:i")]).await?;
        let mut ears = RespConnection::open(stage.redis.addr()).await?;
        ears.command(["SUBSCRIBE", &format!("{stem}:c")]).await?;
        let heard = Arc::default();
        Ok(Self {
            connection: RespConnection::open(stage.redis.addr()).await?,
            stem: stem.to_owned(),
            incarnation: incarnation.as_bytes().unwrap_or_default().to_vec(),
            random: Random::new(stage.seed, "hostile"),
            listener: tokio::spawn(listen(ears, Arc::clone(&heard))),
            heard,
            seen: HashMap::new(),
            sent: 0,
            written: 0,
        })
    }

    /// Publishes a hundred messages.
    async fn publish(&mut self, stage: &Stage, means: Means) -> Result<(), Error> {
        let position = stage.command(&["GET", &format!("{}:v", self.stem)]).await?;
        let position = std::str::from_utf8(position.as_bytes().unwrap_or_default())?.parse()?;
        let channel = format!("{}:c", self.stem);
        for _ in 0..BATCH {
            let message = match means {
                Means::Messages => forged(&mut self.random, &self.incarnation, position),
                Means::MessagesAndFrames => self.sealed(position),
            };
            self.connection.send([b"PUBLISH".as_slice(), channel.as_bytes(), &message]).await?;
        }
        for _ in 0..BATCH {
            self.connection.receive().await?;
        }
        self.sent += BATCH;
        Ok(())
    }

    /// A message that was heard, as it was or with another seal, or a forged one with a seal that is none.
    fn sealed(&mut self, position: u64) -> Vec<u8> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let old = heard.get(self.random.below(heard.len())).cloned();
        drop(heard);
        let (choice, random) = (self.random.below(3), &mut self.random);
        match (choice, old) {
            (0, Some(old)) => old,
            (1, Some(mut old)) => {
                let at = random.below(old.len());
                old[at] ^= 1 << random.below(8);
                old
            }
            _ => {
                let mut message = forged(random, &self.incarnation, position);
                message.extend((0..16).map(|_| random.draw() as u8));
                message
            }
        }
    }

    /// Goes through the frames once and replaces one in three.
    async fn write(&mut self, stage: &Stage) -> Result<(), Error> {
        let names = stage.keys("*:e:*").await?;
        for name in &names {
            let value = stage.command(&["GET", name]).await?;
            let Some(value) = value.as_bytes().map(<[u8]>::to_vec) else { continue };
            let seen = self.seen.entry(name.clone()).or_default();
            if seen.len() < KEPT && !seen.contains(&value) {
                seen.push(value.clone());
            }
            if !self.random.one_in(3) {
                continue;
            }
            let other = &names[self.random.below(names.len())];
            let Some(frame) = self.frame(name, other, value) else { continue };
            stage.redis.command([b"SET".as_slice(), name.as_bytes(), &frame, b"XX", b"KEEPTTL"]).await?;
            self.written += 1;
        }
        Ok(())
    }

    /// What has stood here before, also as if it were new; what has stood under another name; or this one changed.
    fn frame(&mut self, name: &str, other: &str, mut value: Vec<u8>) -> Option<Vec<u8>> {
        let random = &mut self.random;
        let mut of = |name: &str| {
            let seen = self.seen.get(name)?;
            seen.get(random.below(seen.len())).cloned()
        };
        let (old, foreign) = (of(name), of(other));
        match self.random.below(5) {
            0 => old,
            1 => {
                let mut old = old.filter(|old| old.len() >= STAMP)?;
                let stamp = value.get(..STAMP)?;
                old[..STAMP].copy_from_slice(stamp);
                Some(old)
            }
            2 => foreign,
            3 => {
                let at = self.random.below(value.len());
                *value.get_mut(at)? ^= 1 << self.random.below(8);
                Some(value)
            }
            // The weaker seal, which needs no secret.
            _ => {
                *value.get_mut(STAMP + FLAGS)? &= !1;
                Some(value)
            }
        }
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// Notes what instances say, until the connection ends.
async fn listen(mut ears: RespConnection, heard: Arc<Mutex<Vec<Vec<u8>>>>) {
    while let Ok(value) = ears.receive().await {
        let (Value::Array(parts) | Value::Push(parts)) = value else { continue };
        let Some(message) = parts.get(2).and_then(Value::as_bytes) else { continue };
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        if message.starts_with(&GENUINE) && heard.len() < MOST {
            heard.push(message.to_vec());
        }
    }
}

/// Half are bytes that mean nothing, half are messages in the right form: of this life of the log or another, of the past, of the
/// far future, or just what would come next.
fn forged(random: &mut Random, incarnation: &[u8], position: u64) -> Vec<u8> {
    if random.one_in(2) {
        return (0..random.below(200)).map(|_| random.draw() as u8).collect();
    }
    let life = if random.one_in(2) { incarnation } else { &FORGER };
    let previous = [1, position, 8_000_000_000_000_000][random.below(3)];
    let seq = previous + 1 + random.draw() % 1_000_000;
    let ident: Vec<u8> = (0..16).map(|_| random.draw() as u8).collect();
    let (seq, previous) = (seq.to_be_bytes(), previous.to_be_bytes());
    let parts: [&[u8]; 10] =
        [&HEAD, life, &[0xcf], &seq, &[0xcf], &previous, &[0xb0], &FORGER, &[0, 0xb0], &ident];
    parts.concat()
}

/// An array of six, of which the first is a text of 16 bytes.
const HEAD: [u8; 2] = [0x96, 0xb0];
/// What instances seal: an array with its length in two bytes.
const GENUINE: [u8; 2] = [0xdc, 0];

/// Who issues what is forged.
const FORGER: [u8; 16] = [7; 16];
/// The stamp before a frame.
const STAMP: usize = 8;
/// Where a frame's flags are.
const FLAGS: usize = 5;
const BATCH: usize = 100;
/// How many messages are remembered.
const MOST: usize = 1000;
/// How many old values of a name are kept.
const KEPT: usize = 4;
