//! What changes the log: invalidations and holds, here and for other configurations, and how everybody is told.

use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use forebay_core::entry::Seq;
use forebay_core::l2::{Held, Holding, Issued, L2Error, MAX_HOLD};
use forebay_core::tag::Ident;
use fred::clients::Client;
use fred::interfaces::PubsubInterface;
use fred::types::{FromValue, Value};
use tokio::time::timeout;

use crate::config::Wait;
use crate::l2::RedisL2;
use crate::patience::answered;
use crate::reply::{decimal, idents_as_args, malformed, micros, number, position};
use crate::schema;
use crate::scripts::{self, Script};

impl RedisL2 {
    pub(crate) async fn invalidate_all(&self, idents: &[Ident], at_least: Seq) -> Result<Issued, L2Error> {
        // A message holds so many and no more. With several, the last one's `previous` shows the caller a gap,
        // which it closes from the log.
        let (last, earlier) = match idents.len().div_ceil(schema::MAX_MESSAGE_IDENTS) {
            0 | 1 => (idents, &[][..]),
            chunks => {
                let (earlier, last) = idents.split_at((chunks - 1) * schema::MAX_MESSAGE_IDENTS);
                (last, earlier)
            }
        };
        let mut highest = 0;
        for chunk in earlier.chunks(schema::MAX_MESSAGE_IDENTS) {
            highest = self.invalidate_some(chunk, at_least).await?.last.max(highest);
        }
        let issued = self.invalidate_some(last, at_least).await?;
        Ok(Issued { last: issued.last.max(highest), ..issued })
    }

    /// Invalidates in the logs of other configurations. What only moves the position on is nobody else's business.
    pub(crate) async fn tell_neighbours(&self, idents: &[Ident]) -> Result<(), L2Error> {
        for neighbour in &self.neighbours {
            for chunk in idents.chunks(schema::MAX_MESSAGE_IDENTS) {
                let told = neighbour.hear(chunk).await;
                told.map_err(|error| L2Error::Untold(format!("{}: {error}", neighbour.schema.channel)))?;
            }
        }
        Ok(())
    }

    /// Invalidates in this log for another configuration, if anybody has ever used it.
    async fn hear(&self, idents: &[Ident]) -> Result<(), L2Error> {
        let mut args = self.args();
        args.extend(idents_as_args(idents));
        let (client, reply) = self.change(&scripts::TELL, args).await?;
        let [incarnation, seq, previous] = &reply[..] else { return Ok(()) };
        let (position, previous) = (position(seq, incarnation)?, number(previous)?);
        self.announce(&client, || schema::encode(position, previous, &self.issuer, idents));
        Ok(())
    }

    async fn invalidate_some(&self, idents: &[Ident], at_least: Seq) -> Result<Issued, L2Error> {
        if at_least > schema::MAX_SEQ {
            return Err(L2Error::Protocol(format!("{at_least} is beyond every sequence number")));
        }
        let mut args = self.args();
        args.push(decimal(at_least));
        args.extend(idents_as_args(idents));
        let (client, reply) = self.change(&scripts::INVALIDATE, args).await?;
        self.issued(&client, &reply, idents)
    }

    pub(crate) async fn change_hold(
        &self,
        idents: &[Ident],
        at_least: Seq,
        holding: Holding,
    ) -> Result<Held, L2Error> {
        if at_least > schema::MAX_SEQ {
            return Err(L2Error::Protocol(format!("{at_least} is beyond every sequence number")));
        }
        let (token, time) = match holding {
            Holding::Begin(token, time) => (token, time.clamp(Duration::from_micros(1), MAX_HOLD)),
            Holding::End(token) => (token, Duration::ZERO),
            _ => return Err(L2Error::Protocol("no such change of a hold".into())),
        };
        let mut args = self.args();
        args.extend([decimal(at_least), Value::Bytes(Bytes::copy_from_slice(&token.0)), micros(time)]);
        args.extend(idents_as_args(idents));
        let (client, reply) = self.change(&scripts::HOLD, args).await?;
        match reply.split_first() {
            Some((word, issued)) if word == "done" => Ok(Held::Done(self.issued(&client, issued, idents)?)),
            Some((word, issued)) if word == "over" => Ok(Held::Over(self.issued(&client, issued, idents)?)),
            Some((word, [])) if word == "full" => Ok(Held::Full),
            _ => Err(malformed()),
        }
    }

    /// Runs a script that invalidates, and waits for replicas if that is configured.
    async fn change(&self, script: &Script, args: Vec<Value>) -> Result<(Client, Vec<Bytes>), L2Error> {
        let client = self.writer().await?;
        let reply = match &self.confirmed {
            None => self.call(script, &client, args).await?,
            Some((slot, wait)) => {
                let client = self.within(slot.tried()).await.map_err(|_| L2Error::Timeout)??;
                self.call_replicated(script, &client, args, *wait).await?
            }
        };
        Ok((client, reply))
    }

    /// Reads what a script has issued, and has it told to everybody.
    fn issued(&self, client: &Client, reply: &[Bytes], idents: &[Ident]) -> Result<Issued, L2Error> {
        let [incarnation, seq, previous, last] = reply else { return Err(malformed()) };
        let position = position(seq, incarnation)?;
        let issued = Issued { position, previous: number(previous)?, last: number(last)? };
        self.announce(client, || schema::encode(position, issued.previous, &self.issuer, idents));
        Ok(issued)
    }

    /// Publishes what a script would publish, sealed, where there is a secret. Nobody waits for it: a message that is lost is
    /// noticed, whatever the reason.
    pub(crate) fn announce(&self, client: &Client, message: impl FnOnce() -> Vec<u8>) {
        if self.schema.seal.is_none() {
            return;
        }
        let message = self.schema.sealed(message());
        let (client, channel) = (client.clone(), self.schema.channel.clone());
        let limit = self.redis.timeout;
        let mut publish = Box::pin(async move {
            let message = Value::Bytes(message);
            let published = async {
                if schema::is_sharded(&channel) {
                    client.spublish::<(), _, _>(channel, message).await
                } else {
                    client.publish::<(), _, _>(channel, message).await
                }
            };
            // Whoever was to hear it finds a gap.
            drop(timeout(limit, published).await);
        });
        // The first poll hands it to the connection: messages go out in the order of their numbers.
        if publish.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            self.tasks().spawn(publish);
        }
    }

    /// Invalidates, and fails unless enough replicas have it.
    async fn call_replicated<R: FromValue>(
        &self,
        script: &Script,
        client: &Client,
        args: Vec<Value>,
        wait: Wait,
    ) -> Result<R, L2Error> {
        let call = script.call_replicated(client, self.keys(), args, wait);
        let (issued, replicas) = self.answer(answered(self.redis.timeout + wait.timeout, call).await)?;
        if replicas < u64::from(wait.replicas) {
            return Err(L2Error::Unreplicated(replicas));
        }
        Ok(issued)
    }
}
