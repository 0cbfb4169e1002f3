//! Redis itself: killed, frozen, flushed, full, or back with old data.

use std::collections::BTreeSet;
use std::time::Duration;

use forebay_testkit::redis::RedisServer;
use tokio::time::sleep;

use super::Acting;
use super::scenario::{Runs, Scenario};
use crate::client::Client;
use crate::error::Error;
use crate::load::{Plan, What};
use crate::origin::{KEYS, Manner};
use crate::row::ms;
use crate::setting::{Setting, Topology};
use crate::stage::{LEASE, Stage};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "F7",
        title: "Redis is killed and comes back empty",
        setting: with_grace,
        act: killed,
        runs: Runs::Everywhere,
    },
    Scenario {
        id: "F8",
        title: "Redis is frozen (SIGSTOP)",
        setting: with_grace,
        act: frozen,
        runs: Runs::Everywhere,
    },
    Scenario {
        id: "F11",
        title: "FLUSHALL, SCRIPT FLUSH, and each key of the bookkeeping deleted",
        setting: Setting::default,
        act: flushed,
        runs: Runs::Everywhere,
    },
    Scenario {
        id: "F12",
        title: "Redis is full: maxmemory 20 MB, allkeys-lru",
        setting: crammed,
        act: evicting,
        runs: Runs::Full,
    },
    Scenario {
        id: "F13",
        title: "the master is killed, its replica lacks 2 s; an instance is replaced (Sentinel)",
        setting: with_sentinels,
        act: failed_over,
        runs: Runs::Full,
    },
    Scenario {
        id: "F14a",
        title: "Redis is killed and comes back with an older snapshot; an instance is replaced",
        setting: with_grace,
        act: restored,
        runs: Runs::Everywhere,
    },
    Scenario {
        id: "F14b",
        title: "the same, and the new instance invalidates before any other is back",
        setting: with_grace,
        act: restored_and_moved_on,
        runs: Runs::Everywhere,
    },
];

/// What `forebay serve` does unless told otherwise.
fn with_grace() -> Setting {
    Setting { grace: Duration::from_secs(30), ..Setting::default() }
}

fn killed(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        stage.redis.kill()?;
        stage.wait().await;
        stage.redis.restart().await?;
        stage.heal();
        let synced = stage.synced().await?;
        stage.note(format!("in sync {} ms after", ms(synced)));
        Ok(())
    })
}

fn frozen(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        stage.redis.stop()?;
        let noticed = unsynced(stage).await;
        stage.wait().await;
        stage.redis.cont()?;
        stage.heal();
        let synced = stage.synced().await?;
        stage.note(format!(
            "noticed by all after {} ms at most, in sync {} ms after",
            ms(noticed),
            ms(synced)
        ));
        Ok(())
    })
}

/// How long it takes until no instance says any more that it is in sync; no longer than a lease and a half.
async fn unsynced(stage: &Stage) -> Duration {
    let from = stage.now();
    for instance in &stage.instances {
        while instance.is_synced().await && stage.now().since(from) < LEASE.mul_f64(1.5) {
            sleep(Duration::from_millis(10)).await;
        }
    }
    stage.now().since(from)
}

fn flushed(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        let mut lives = BTreeSet::from([life(stage).await?]);
        let pause = stage.pace.during / 7;
        let mut deletions: Vec<Vec<String>> = ["FLUSHALL", "FLUSHDB", "SCRIPT FLUSH"]
            .map(|command| command.split(' ').map(str::to_owned).collect())
            .to_vec();
        for ending in ["v", "i", "l"] {
            let mut words = vec!["DEL".to_owned()];
            words.extend(stage.keys(&format!("*}}:{ending}")).await?);
            deletions.push(words);
        }
        let mut slowest = Duration::ZERO;
        for words in deletions {
            if words != ["DEL"] {
                stage.redis.command(&words).await?;
            }
            sleep(pause).await;
            slowest = slowest.max(stage.synced().await?);
            lives.insert(life(stage).await?);
        }
        let rotations = lives.len() - 1;
        stage.note(format!(
            "6 losses, {rotations} new incarnations seen, in sync {} ms after at most",
            ms(slowest)
        ));
        Ok(())
    })
}

/// The incarnation in Redis now.
async fn life(stage: &Stage) -> Result<Vec<u8>, Error> {
    let names = stage.keys("*}:i").await?;
    let Some(name) = names.first() else { return Ok(Vec::new()) };
    let value = stage.command(&["GET", name]).await?;
    Ok(value.as_bytes().unwrap_or_default().to_vec())
}

fn crammed() -> Setting {
    Setting {
        redis: RedisServer::builder().set("maxmemory", "20mb").set("maxmemory-policy", "allkeys-lru"),
        manner: Manner { length: 50_000, ..Manner::default() },
        plan: Plan { reads: 50, ..Plan::default() },
        ..Setting::default()
    }
}

/// Many other entries push out whatever is used least, bookkeeping included.
fn evicting(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        let mut lives = BTreeSet::from([life(stage).await?]);
        let end = stage.now().after(stage.pace.during);
        let mut clients: Vec<Client> =
            stage.instances.iter().map(|instance| Client::new(instance.addr())).collect();
        let (mut asked, mut evicted) = (0, 0);
        // However slow the machine: until Redis has had to evict.
        while stage.now() < end || evicted == 0 && asked < MANY {
            let paths = (asked..).map(|number| format!("/x/{number}"));
            let asking = clients.iter_mut().zip(paths).map(async |(client, path)| client.get(&path).await);
            futures_util::future::try_join_all(asking).await?;
            asked += clients.len();
            if asked % 60 == 0 {
                lives.insert(life(stage).await?);
                evicted = stage.info("evicted_keys").await?;
            }
        }
        let evicted = stage.info("evicted_keys").await?;
        let rotations = lives.len() - 1;
        stage.note(format!("{evicted} keys evicted, {rotations} new incarnations seen"));
        Ok(())
    })
}

fn with_sentinels() -> Setting {
    Setting { topology: Topology::Sentinels, ..with_grace() }
}

/// A frozen replica whose connection is cut gets nothing of what the master confirms from then on; then it takes over.
fn failed_over(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        let group = stage.sentinels()?;
        let [master, replica] = group.servers() else { return Err("not a master and a replica".into()) };
        replica.stop()?;
        master.command(["CLIENT", "KILL", "TYPE", "replica"]).await?;
        sleep(Duration::from_secs(2)).await;
        let lost = stage.now();
        master.kill()?;
        replica.cont()?;
        group.until_another(master).await?;
        let elected = stage.now().since(lost);
        stage.heal();
        let synced = stage.synced().await?;
        stage.leave_open(lost, stage.now().after(LEASE));
        stage.replace(stage.instances.len() - 1).await?;
        stage.note(format!(
            "a new master {} ms after the kill, in sync {} ms after that",
            ms(elected),
            ms(synced)
        ));
        Ok(())
    })
}

/// What was confirmed after the snapshot is lost to Redis. From then until the instances that have heard of it have issued it
/// again, answers may be old: these are counted apart. An instance that starts after that knows what it finds in Redis and no more.
fn restored(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        stage.command(&["SAVE"]).await?;
        let half = stage.pace.during / 2;
        sleep(half).await;
        let lost = stage.now();
        stage.redis.kill()?;
        sleep(half / 2).await;
        stage.redis.restart().await?;
        stage.heal();
        let synced = stage.synced().await?;
        stage.leave_open(lost, stage.now().after(LEASE));
        stage.replace(stage.instances.len() - 1).await?;
        stage.note(format!("snapshot {} ms old, in sync {} ms after", ms(half), ms(synced)));
        Ok(())
    })
}

/// What is invalidated first on the restored Redis moves its position beyond all that was ever seen: nobody can see by the position
/// that anything is missing, and who has moved it on does not know.
fn restored_and_moved_on(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        stage.command(&["SAVE"]).await?;
        let (writer, last) = (stage.load.writer.clone(), stage.instances.len() - 1);
        let mut client = writer.client(0);
        for key in KEYS / 2..KEYS {
            stage.noted.absorb(writer.write(&mut client, What::Key(key), 0).await);
        }
        sleep(stage.pace.during / 2).await;
        let lost = stage.now();
        stage.redis.kill()?;
        for proxy in &stage.proxies[..last] {
            proxy.refuse().await;
        }
        stage.redis.restart().await?;
        stage.replace(last).await?;
        stage.noted.absorb(writer.write(&mut writer.client(last), What::Key(0), last).await);
        for proxy in &stage.proxies {
            proxy.accept().await;
        }
        stage.heal();
        let synced = stage.synced().await?;
        stage.leave_open(lost, stage.now().after(LEASE));
        stage.note(format!("in sync {} ms after", ms(synced)));
        Ok(())
    })
}

/// More than 20 MB hold.
const MANY: usize = 3000;
