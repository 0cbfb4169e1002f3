//! A Redis Cluster: slots that move, and nodes that die.

use std::net::SocketAddr;
use std::time::Duration;

use forebay_core::time::Clock;
use forebay_testkit::redis::RedisCluster;
use forebay_testkit::resp::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::Acting;
use super::scenario::{Runs, Scenario};
use crate::error::Error;
use crate::load::{Collected, What};
use crate::origin::{self, TAGS};
use crate::process::{Instance, TOKEN, says_synced};
use crate::row::ms;
use crate::setting::{Setting, Topology};
use crate::stage::{LEASE, Stage};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "F15a",
        title: "a slot moves to another master (Cluster)",
        setting: masters,
        act: moved,
        runs: Runs::Everywhere,
    },
    Scenario {
        id: "F15b",
        title: "a master is killed, its replica takes over (Cluster)",
        setting: replicated,
        act: taken_over,
        runs: Runs::Full,
    },
    Scenario {
        id: "F18",
        title: "tags are invalidated while one of three masters is dead (Cluster)",
        setting: masters,
        act: one_dead,
        runs: Runs::Alone,
    },
];

/// With the default grace: a shard that is away sends nobody to the origin.
fn masters() -> Setting {
    Setting {
        topology: Topology::Cluster { replicas: 0 },
        grace: Duration::from_secs(30),
        ..Setting::default()
    }
}

fn replicated() -> Setting {
    Setting { topology: Topology::Cluster { replicas: 1 }, ..masters() }
}

/// For the first half of the fault the slot is on its way, for the second it is where it was moved to.
fn moved(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        let (cluster, watch) = (stage.cluster()?, Watch::over(&stage.instances));
        let slot = busy_slot(cluster).await?;
        let to = cluster.other_master(slot).await?;
        cluster.start_migration(slot, to).await?;
        sleep(stage.pace.during / 2).await;
        cluster.finish_migration(slot, to).await?;
        sleep(stage.pace.during / 2).await;
        stage.heal();
        stage.synced().await?;
        let out_of_sync = watch.end().await?;
        stage.note(format!("not all in sync for {} ms", ms(out_of_sync)));
        Ok(())
    })
}

/// The replica takes over without what the master had confirmed and not sent on.
fn taken_over(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        let (cluster, watch) = (stage.cluster()?, Watch::over(&stage.instances));
        let slot = busy_slot(cluster).await?;
        let lost = stage.now();
        cluster.fail_over(slot).await?;
        let elected = stage.now().since(lost);
        stage.heal();
        stage.synced().await?;
        let out_of_sync = watch.end().await?;
        stage.leave_open(lost, stage.now().after(LEASE));
        stage.note(format!(
            "a new master {} ms after the kill, not all in sync for {} ms",
            ms(elected),
            ms(out_of_sync)
        ));
        Ok(())
    })
}

/// What is invalidated while a shard is out of reach is queued for it. Once the queues are empty nobody may miss it any more.
fn one_dead(stage: &mut Stage) -> Acting<'_> {
    Box::pin(async move {
        let (writer, mut client) = (stage.load.writer.clone(), stage.load.writer.client(0));
        let (mut noted, mut changes, mut unconfirmed) = (Collected::default(), Vec::new(), 0);
        let cluster = stage.cluster()?;
        let dead = cluster.master_of(busy_slot(cluster).await?).await?;
        dead.kill()?;
        stage.wait().await;
        for tag in 0..TAGS {
            let what = What::Tag(tag);
            let change = writer.change(what);
            let answer = client.admin_post("/invalidate", TOKEN, &what.order("")).await?;
            noted.absorb(change.answered(answer.status, 0));
            unconfirmed += usize::from(answer.status == 202);
            changes.push(change);
        }
        dead.restart().await?;
        let back = stage.now();
        for instance in &stage.instances {
            while instance.stat("unconfirmed").await? > 0 {
                sleep(Duration::from_millis(5)).await;
            }
        }
        let drained = stage.now();
        for write in changes.iter().flat_map(|change| change.writes(0, drained)) {
            noted.history.write(write);
        }
        stage.noted.absorb(noted);
        stage.heal();
        stage.synced().await?;
        stage.note(format!(
            "{unconfirmed} of {TAGS} tags unconfirmed, all told {} ms after the node was back",
            ms(drained.since(back))
        ));
        Ok(())
    })
}

/// The slot of the first shard; where there are none, of the resource that is written most.
async fn busy_slot(cluster: &RedisCluster) -> Result<u16, Error> {
    for node in cluster.nodes() {
        let Value::Array(names) = node.command(["KEYS", "*:0}:v"]).await? else { continue };
        if let Some(name) = names.first().and_then(Value::as_str) {
            return Ok(cluster.slot_of(name).await?);
        }
    }
    Ok(cluster.slot_of(&origin::path(0)).await?)
}

/// Asks the instances whether they follow their Redis, until it is ended.
struct Watch {
    end: oneshot::Sender<()>,
    task: JoinHandle<Duration>,
}

impl Watch {
    fn over(instances: &[Instance]) -> Self {
        let (end, ended) = oneshot::channel();
        let admins = instances.iter().map(Instance::admin).collect();
        Self { end, task: tokio::spawn(out_of_sync(admins, ended)) }
    }

    /// For how long at least one did not.
    async fn end(self) -> Result<Duration, Error> {
        drop(self.end);
        Ok(self.task.await?)
    }
}

async fn out_of_sync(admins: Vec<SocketAddr>, mut ended: oneshot::Receiver<()>) -> Duration {
    let (clock, mut sum) = (Clock::system(), Duration::ZERO);
    while ended.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
        let from = clock.now();
        let mut all = true;
        for &admin in &admins {
            all &= says_synced(admin).await;
        }
        sleep(Duration::from_millis(20)).await;
        if !all {
            sum += clock.now().since(from);
        }
    }
    sum
}
