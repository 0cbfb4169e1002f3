//! The operations.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use forebay_core::entry::Seq;
use forebay_core::key::Key;
use forebay_core::l2::{
    Census, Claim, Held, Holding, Issued, L2, L2Error, L2Future, Link, Lookup, MAX_TERM, Notices, Page,
    Position, Presence, Refusal, Roll, Scores, Store, Stored, Tend, Tenure, Token,
};
use forebay_core::pattern::Shape;
use forebay_core::tag::Ident;
use forebay_core::time::random_id;
use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::KeysInterface;
use fred::types::{FromValue, Value};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::{failed, is_redirection};
use crate::config::{Redis, Wait};
use crate::connection::{self, Dialer, Role, Route, Slot};
use crate::gate::Gate;
use crate::heartbeat::Heartbeat;
use crate::patience::{Answered, Silence, answered};
use crate::reply::{
    Claimed, claimed, decimal, ident_and_seq, idents_as_args, malformed, micros, millis, number, position,
    stored,
};
use crate::schema::{self, Schema};
use crate::scripts::{self, Script};
use crate::subscribe;

/// Redis as L2. Made by [`Redis::connect`]; dropping it closes its connections.
///
/// Lookups, writes and the subscription each have a connection, so that a large frame on its way to Redis keeps no
/// lookup waiting. The bytes of a frame that a lookup returns are a slice of the connection's read buffer and keep
/// all of it in memory: what is to stay must be copied.
pub struct RedisL2 {
    pub(crate) redis: Redis,
    route: Arc<Route>,
    pub(crate) schema: Schema,
    /// Logs of other configurations that each invalidation goes to as well.
    pub(crate) neighbours: Vec<RedisL2>,
    gate: Gate,
    reads: Slot,
    writes: Slot,
    bus: Slot,
    /// For invalidations that replicas have to confirm.
    pub(crate) confirmed: Option<(Slot, Wait)>,
    pub(crate) issuer: Bytes,
    heartbeat: Mutex<Heartbeat>,
    /// Aborted when dropped.
    tasks: Mutex<JoinSet<()>>,
}

impl RedisL2 {
    /// Over these connections, which `tasks` keep.
    pub(crate) fn new(redis: &Redis, schema: Schema, route: Arc<Route>, gate: Gate) -> Self {
        let (reads, writes) = (Slot::new(&route), Slot::new(&route));
        let mut tasks = JoinSet::new();
        tasks.spawn(connection::keep(Dialer::new(&route, Role::Reads), reads.clone()));
        tasks.spawn(connection::keep(Dialer::new(&route, Role::Writes), writes.clone()));
        // What waits for replicas keeps everything behind it on its connection waiting.
        let confirmed = redis.wait.map(|wait| (Slot::new(&route), wait));
        if let Some((slot, _)) = &confirmed {
            tasks.spawn(connection::keep(Dialer::new(&route, Role::Confirmed), slot.clone()));
        }
        Self {
            redis: redis.clone(),
            schema,
            neighbours: Vec::new(),
            gate,
            reads,
            writes,
            bus: Slot::new(&route),
            confirmed,
            route,
            issuer: Bytes::copy_from_slice(&random_id()),
            heartbeat: Mutex::new(Heartbeat::new(TICK + TICK_SPREAD.mul_f64(connection::jitter()))),
            tasks: Mutex::new(tasks),
        }
    }

    /// Another log on the same server, over the same connections.
    pub(crate) fn beside(&self, schema: Schema) -> Self {
        Self {
            redis: self.redis.clone(),
            schema,
            neighbours: Vec::new(),
            gate: self.gate.clone(),
            reads: self.reads.clone(),
            writes: self.writes.clone(),
            bus: self.bus.clone(),
            confirmed: self.confirmed.clone(),
            route: Arc::clone(&self.route),
            issuer: self.issuer.clone(),
            heartbeat: Mutex::new(Heartbeat::new(TICK)),
            tasks: Mutex::default(),
        }
    }

    /// Has every invalidation go to this log as well.
    pub(crate) fn add_neighbour(&mut self, neighbour: Self) {
        self.neighbours.push(neighbour);
    }

    /// The route, and the connection for writes.
    pub(crate) fn writing(&self) -> (Arc<Route>, Slot) {
        (Arc::clone(&self.route), self.writes.clone())
    }

    /// Runs for as long as this lives.
    pub(crate) fn keep(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks().spawn(task);
    }
}

impl L2 for RedisL2 {
    fn open(&self) -> L2Future<'_, Position> {
        Box::pin(async { self.open_over(&self.writer().await?).await })
    }

    fn lookup(&self, key: Key) -> L2Future<'_, Lookup> {
        Box::pin(async move {
            let client = self.reads.client()?;
            let names =
                vec![self.schema.entry(key), self.schema.position.clone(), self.schema.incarnation.clone()];
            // One command, so one instant; a value of a wrong type reads as nothing.
            let (value, seq, incarnation): (Option<Bytes>, Option<Bytes>, Option<Bytes>) =
                self.answer(self.within(client.mget(names)).await)?;
            Ok(self.looked_up(value, seq.as_deref(), incarnation.as_deref()))
        })
    }

    fn store<'a>(&'a self, store: Store<'a>) -> L2Future<'a, Stored> {
        Box::pin(self.store_checked(store))
    }

    fn invalidate<'a>(&'a self, idents: &'a [Ident], at_least: Seq) -> L2Future<'a, Issued> {
        Box::pin(async move {
            let (issued, told) =
                tokio::join!(self.invalidate_all(idents, at_least), self.tell_neighbours(idents));
            let issued = issued?;
            told.map(|()| issued)
        })
    }

    fn hold<'a>(&'a self, idents: &'a [Ident], at_least: Seq, holding: Holding) -> L2Future<'a, Held> {
        Box::pin(async move {
            // To others, both ends of a hold are invalidations: what is stored between the two goes with the second.
            let (held, told) =
                tokio::join!(self.change_hold(idents, at_least, holding), self.tell_neighbours(idents));
            let held = held?;
            told.map(|()| held)
        })
    }

    fn catch_up(&self, after: Seq) -> L2Future<'_, Page> {
        Box::pin(async move {
            let mut args = self.args();
            args.extend([decimal(after), decimal(PAGE)]);
            let reply: Vec<Bytes> = self.call(&scripts::CATCH_UP, &self.reads.client()?, args).await?;
            let [incarnation, seq, floor, upto, idents @ ..] = &reply[..] else { return Err(malformed()) };
            Ok(Page {
                position: position(seq, incarnation)?,
                floor: number(floor)?,
                upto: number(upto)?,
                idents: idents.chunks(2).map(ident_and_seq).collect::<Result<_, _>>()?,
            })
        })
    }

    fn scores<'a>(&'a self, idents: &'a [Ident]) -> L2Future<'a, Scores> {
        Box::pin(async move {
            let mut chunks = idents.chunks(SCORES);
            let mut scores = self.some_scores(chunks.next().unwrap_or_default()).await?;
            for chunk in chunks {
                let more = self.some_scores(chunk).await?;
                // The oldest position, the newest floor: that errs to too little.
                if more.position.incarnation != scores.position.incarnation {
                    return Ok(more);
                }
                scores.floor = more.floor;
                scores.seqs.extend(more.seqs);
            }
            Ok(scores)
        })
    }

    fn claim(&self, key: Key, token: Token, term: Duration, after: Seq) -> L2Future<'_, (Claim, Lookup)> {
        Box::pin(async move {
            let Schema { position, incarnation, .. } = &self.schema;
            let names =
                [position.clone(), incarnation.clone(), self.schema.entry(key), self.schema.lease(key)];
            let token = Value::Bytes(Bytes::copy_from_slice(&token.0));
            let args = vec![token, millis(term.min(MAX_TERM)), millis(MAX_TERM), decimal(after)];
            let client = self.reads.client()?;
            let reply = scripts::CLAIM.call(&client, names.map(Into::into).into(), args);
            let (claim, left, value, seq, incarnation): Claimed = self.answer(self.within(reply).await)?;
            let found = self.looked_up(value, seq.as_deref(), incarnation.as_deref());
            Ok((claimed(&claim, left).ok_or_else(malformed)?, found))
        })
    }

    fn tend(&self, key: Key, token: Token, tend: Tend) -> L2Future<'_, Tenure> {
        Box::pin(async move {
            let (what, term) = match tend {
                Tend::Renew(term) => ("renew", term),
                Tend::Waive(term) => ("waive", term),
                _ => ("release", MAX_TERM),
            };
            let args = vec![
                Value::Bytes(Bytes::copy_from_slice(&token.0)),
                what.into(),
                millis(term.min(MAX_TERM)),
                self.schema.channel.as_str().into(),
                Value::Bytes(self.schema.sealed(schema::release(key))),
            ];
            let client = self.reads.client()?;
            let ours: i64 = self.answer(
                self.within(scripts::TEND.call(&client, vec![self.schema.lease(key).into()], args)).await,
            )?;
            Ok(if ours == 1 { Tenure::Ours } else { Tenure::Lost })
        })
    }

    fn poll(&self, link: Link) -> L2Future<'_, Option<Position>> {
        Box::pin(async move {
            let client = match link {
                Link::Bus => self.bus.client()?,
                _ => self.reads.client()?,
            };
            let still = self.heartbeat().stands_still(Instant::now());
            let moved = if still { Some(self.open_over(&client).await) } else { None };
            let position = match moved {
                Some(Ok(position)) => Some(position),
                // A Redis that is full, say, takes no writes; it can still be read.
                None | Some(Err(L2Error::Protocol(_))) => self.read_position(&client).await?,
                Some(Err(error)) => return Err(error),
            };
            self.heartbeat().note(position, Instant::now());
            Ok(position)
        })
    }

    fn attend(&self, link: Link, presence: Presence) -> L2Future<'_, Option<Position>> {
        Box::pin(async move {
            let client = match link {
                Link::Bus => self.bus.client()?,
                // At start this may come before the first connection.
                _ => self.within(self.reads.tried()).await.map_err(|_| L2Error::Timeout)??,
            };
            if self.heartbeat().stands_still(Instant::now()) {
                match self.open_over(&client).await {
                    Ok(_) | Err(L2Error::Protocol(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            let (keys, args) = self.presence(&presence);
            let noted: Result<Vec<Bytes>, _> =
                self.answer(self.within(scripts::ATTEND.call(&client, keys, args)).await);
            let position = match noted.as_deref() {
                Ok([incarnation, seq]) => Some(position(seq, incarnation)?),
                Ok([]) => None,
                Ok(_) => return Err(malformed()),
                // A Redis that is full, say, takes no writes; it can still be read.
                Err(L2Error::Protocol(_)) => self.read_position(&client).await?,
                Err(error) => return Err(error.clone()),
            };
            self.heartbeat().note(position, Instant::now());
            Ok(position)
        })
    }

    fn roll(&self, upto: Position, caller: Presence) -> L2Future<'_, Roll> {
        Box::pin(async move {
            let caller = Presence { applied: Some(upto), ..caller };
            let (keys, args) = self.presence(&caller);
            let client = self.writes.client()?;
            let left: Bytes = self.answer(self.within(scripts::ROLL.call(&client, keys, args)).await)?;
            match number(&left)? {
                0 => Ok(Roll::Complete),
                micros => {
                    self.announce(&client, || schema::report(upto.incarnation));
                    Ok(Roll::Behind(Duration::from_micros(micros)))
                }
            }
        })
    }

    fn census(&self) -> Option<Arc<Census>> {
        Some(self.gate.census())
    }

    fn subscribe(&self) -> Notices {
        let (sender, notices) = mpsc::channel(MAX_NOTICES);
        let dialer = Dialer::new(&self.route, Role::Bus);
        self.tasks().spawn(subscribe::run(dialer, self.bus.clone(), self.schema.clone(), sender));
        notices
    }

    fn name(&self) -> &'static str {
        "redis"
    }
}

impl RedisL2 {
    /// The connection for writes. At start one may be asked for before the first is made: that is no outage yet.
    pub(crate) async fn writer(&self) -> Result<Client, L2Error> {
        self.within(self.writes.tried()).await.map_err(|_| L2Error::Timeout)?
    }

    async fn open_over(&self, client: &Client) -> Result<Position, L2Error> {
        let mut args = self.args();
        args.push(micros(TICK));
        let (incarnation, seq): (Bytes, Bytes) = self.call(&scripts::OPEN, client, args).await?;
        position(&seq, &incarnation)
    }

    async fn read_position(&self, client: &Client) -> Result<Option<Position>, L2Error> {
        let names = vec![self.schema.position.clone(), self.schema.incarnation.clone()];
        let (seq, incarnation): (Option<Bytes>, Option<Bytes>) =
            self.answer(self.within(client.mget(names)).await)?;
        Ok(schema::position(seq.as_deref(), incarnation.as_deref()))
    }

    fn looked_up(&self, value: Option<Bytes>, seq: Option<&[u8]>, incarnation: Option<&[u8]>) -> Lookup {
        let value = value.filter(|value| value.len() <= self.redis.max_value);
        Lookup { frame: value.and_then(schema::frame_of), position: schema::position(seq, incarnation) }
    }

    async fn store_checked(&self, store: Store<'_>) -> Result<Stored, L2Error> {
        let value = schema::value(store.stamp, &store.frame);
        if value.len() > self.redis.max_value {
            return Ok(Stored::Refused(Refusal::TooLarge));
        }
        // The log must remember for longer than the frame lives.
        let longest = self.redis.retention - self.redis.max_fill;
        let ttl = store.ttl.clamp(Duration::from_millis(1), longest);
        let mut args = self.args();
        args.extend([
            Value::Bytes(Bytes::copy_from_slice(&store.incarnation.0)),
            decimal(store.stamp),
            Value::Bytes(value),
            decimal(ttl.as_millis()),
            micros(self.redis.max_fill + LATE_SLACK),
        ]);
        args.extend(idents_as_args(store.idents));
        let mut keys = self.keys();
        keys.push(self.schema.entry(store.key).into());
        let client = self.writer().await?;
        let word: String = self.answer(self.within(scripts::STORE.call(&client, keys, args)).await)?;
        stored(&word).ok_or_else(malformed)
    }

    /// The tasks, without those that have ended.
    pub(crate) fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks
    }

    async fn some_scores(&self, idents: &[Ident]) -> Result<Scores, L2Error> {
        let mut args = self.args();
        args.extend(idents_as_args(idents));
        let reply: Vec<Bytes> = self.call(&scripts::SCORES, &self.reads.client()?, args).await?;
        let [incarnation, seq, floor, count, rest @ ..] = &reply[..] else { return Err(malformed()) };
        let count = usize::try_from(number(count)?).map_err(|_| malformed())?;
        let (shapes, seqs) = rest.split_at_checked(count).ok_or_else(malformed)?;
        let shape = |bytes: &Bytes| Shape::from_bytes(bytes[..].try_into().ok()?);
        let score = |text: &Bytes| if text.is_empty() { Ok(None) } else { number(text).map(Some) };
        Ok(Scores {
            position: position(seq, incarnation)?,
            floor: number(floor)?,
            seqs: seqs.iter().map(score).collect::<Result<_, _>>()?,
            shapes: shapes.iter().map(shape).collect::<Option<_>>().ok_or_else(malformed)?,
        })
    }

    pub(crate) async fn call<R: FromValue>(
        &self,
        script: &Script,
        client: &Client,
        args: Vec<Value>,
    ) -> Result<R, L2Error> {
        self.answer(self.within(script.call(client, self.keys(), args)).await)
    }

    /// The keys that every script reads.
    pub(crate) fn keys(&self) -> Vec<fred::types::Key> {
        let Schema { position, incarnation, log, .. } = &self.schema;
        [position, incarnation, log].map(|name| name.clone().into()).into()
    }

    /// The arguments that every script begins with.
    pub(crate) fn args(&self) -> Vec<Value> {
        let mut args = Vec::with_capacity(16);
        args.extend([
            Value::Bytes(Bytes::copy_from_slice(&random_id())),
            Value::from(if self.schema.seal.is_some() { "" } else { self.schema.channel.as_str() }),
            Value::Bytes(self.issuer.clone()),
            micros(self.redis.retention),
            decimal(self.redis.max_log),
        ]);
        args
    }

    /// The keys and arguments of the scripts that are about instances.
    fn presence(&self, presence: &Presence) -> (Vec<fred::types::Key>, Vec<Value>) {
        let (mut keys, mut args) = (self.keys(), self.args());
        keys.extend([self.schema.leases.clone().into(), self.schema.applied.clone().into()]);
        let incarnation = presence.applied.map(|at| Bytes::copy_from_slice(&at.incarnation.0));
        args.extend([
            Value::Bytes(Bytes::copy_from_slice(&presence.instance)),
            Value::Bytes(incarnation.unwrap_or_default()),
            decimal(presence.applied.map_or(0, |at| at.seq)),
            micros(presence.lease),
        ]);
        (keys, args)
    }

    /// Bounds a command. fred has a timeout of its own; two timers would cost twice. No `async fn`: it would hold
    /// fred's future, which is large, twice.
    pub(crate) fn within<F: Future>(&self, command: F) -> Answered<F> {
        answered(self.redis.timeout, command)
    }

    /// What came of a command. An answer that leads elsewhere is none, and has the way looked for.
    pub(crate) fn answer<T>(&self, result: Result<Result<T, Error>, Silence>) -> Result<T, L2Error> {
        let answer = result.map_err(|_| L2Error::Timeout)?.map_err(failed);
        if answer.as_ref().is_err_and(is_redirection) {
            self.route.doubt();
        }
        answer
    }

    fn heartbeat(&self) -> MutexGuard<'_, Heartbeat> {
        self.heartbeat.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RedisL2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisL2").field("redis", &self.redis).finish_non_exhaustive()
    }
}

/// How old a position may become before a poll moves it on. Stamps are positions: they must not age with an idle log.
const TICK: Duration = Duration::from_secs(30);
/// Instances wait up to this much longer, each its own time, so that mostly one of them does it.
const TICK_SPREAD: Duration = Duration::from_secs(5);
/// How much older than the fill a stamp can be: the tick, its spread, and as much again.
const LATE_SLACK: Duration = Duration::from_secs(60);
/// How many idents one page of the log holds.
const PAGE: usize = 1000;
/// How many idents one script call looks up.
const SCORES: usize = 4000;
const MAX_NOTICES: usize = 65_536;
