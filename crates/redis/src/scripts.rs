//! The scripts, and how they are called.
//!
//! Those that know the log begin with `log.lua`, which reads it and knows how to begin, to issue and to trim. They are called
//! by their hash; a server that does not have one (it restarted, or was told `SCRIPT FLUSH`) gets the text.

use std::sync::LazyLock;

use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, LuaInterface};
use fred::types::{ClusterHash, CustomCommand, FromValue, Key, Value};
use fred::util::sha1_hash;

use crate::config::Wait;

/// A script and its hash.
pub(crate) struct Script {
    text: &'static str,
    hash: String,
}

impl Script {
    fn new(text: &'static str) -> Self {
        Self { text, hash: sha1_hash(text) }
    }

    /// Runs the script. One round trip; two where the server does not know it.
    pub(crate) async fn call<R: FromValue>(
        &self,
        client: &Client,
        keys: Vec<Key>,
        args: Vec<Value>,
    ) -> Result<R, Error> {
        match client.evalsha(self.hash.as_str(), keys.clone(), args.clone()).await {
            Err(error) if error.details().starts_with("NOSCRIPT") => client.eval(self.text, keys, args).await,
            result => result,
        }
    }

    /// Runs the script and waits for replicas, in one pipeline: one round trip to the server, two where it does not know the
    /// script. Returns how many replicas have what the script has written.
    pub(crate) async fn call_replicated<R: FromValue>(
        &self,
        client: &Client,
        keys: Vec<Key>,
        args: Vec<Value>,
        wait: Wait,
    ) -> Result<(R, u64), Error> {
        let first = pipelined(client, "EVALSHA", &self.hash, (&keys, &args), wait).await;
        match first {
            Err(error) if error.details().starts_with("NOSCRIPT") => {
                pipelined(client, "EVAL", self.text, (&keys, &args), wait).await
            }
            result => result,
        }
    }
}

async fn pipelined<R: FromValue>(
    client: &Client,
    command: &'static str,
    script: &str,
    (keys, args): (&[Key], &[Value]),
    wait: Wait,
) -> Result<(R, u64), Error> {
    let custom = |name| CustomCommand::new_static(name, ClusterHash::FirstKey, false);
    let keys_of = keys.iter().map(|key| Value::Bytes(key.as_bytes().to_vec().into()));
    let count = Value::from(keys.len().to_string());
    let script = [Value::from(script), count].into_iter().chain(keys_of).chain(args.iter().cloned());
    let timeout = wait.timeout.as_millis().to_string();
    let pipeline = client.pipeline();
    let _queued: Value = pipeline.custom(custom(command), script.collect()).await?;
    let _queued: Value = pipeline.custom(custom("WAIT"), vec![wait.replicas.to_string(), timeout]).await?;
    let mut answers = pipeline.try_all::<Value>().await.into_iter();
    let (Some(done), Some(replicas)) = (answers.next(), answers.next()) else {
        return Err(Error::new(ErrorKind::Protocol, "a pipeline of two commands has two answers"));
    };
    Ok((done?.convert()?, replicas?.convert()?))
}

pub(crate) static OPEN: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("scripts/log.lua"), include_str!("scripts/open.lua"))));

pub(crate) static INVALIDATE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(include_str!("scripts/log.lua"), include_str!("scripts/invalidate.lua")))
});

pub(crate) static TELL: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("scripts/log.lua"), include_str!("scripts/tell.lua"))));

pub(crate) static CENSUS: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/census.lua")));

pub(crate) static HOLD: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("scripts/log.lua"), include_str!("scripts/hold.lua"))));

pub(crate) static STORE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(include_str!("scripts/log.lua"), include_str!("scripts/store.lua")))
});

pub(crate) static CATCH_UP: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(include_str!("scripts/log.lua"), include_str!("scripts/catch_up.lua")))
});

pub(crate) static ATTEND: LazyLock<Script> = LazyLock::new(|| {
    let parts = concat!(
        include_str!("scripts/log.lua"),
        include_str!("scripts/register.lua"),
        include_str!("scripts/attend.lua")
    );
    Script::new(parts)
});

pub(crate) static ROLL: LazyLock<Script> = LazyLock::new(|| {
    let parts = concat!(
        include_str!("scripts/log.lua"),
        include_str!("scripts/register.lua"),
        include_str!("scripts/roll.lua")
    );
    Script::new(parts)
});

pub(crate) static SCORES: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(include_str!("scripts/log.lua"), include_str!("scripts/scores.lua")))
});

pub(crate) static CLAIM: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/claim.lua")));

pub(crate) static TEND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/tend.lua")));
