//! The scripts, and how they are called.
//!
//! All of them begin with `log.lua`, which reads the log and knows how to begin, to issue and to trim. They are called
//! by their hash; a server that does not have one (it restarted, or was told `SCRIPT FLUSH`) gets the text.

use std::sync::LazyLock;

use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::LuaInterface;
use fred::types::{FromValue, Key, Value};
use fred::util::sha1_hash;

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
}

pub(crate) static OPEN: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("scripts/log.lua"), include_str!("scripts/open.lua"))));

pub(crate) static INVALIDATE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(include_str!("scripts/log.lua"), include_str!("scripts/invalidate.lua")))
});

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
