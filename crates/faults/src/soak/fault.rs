//! What is broken in a soak, one after the other.

use std::time::Duration;

use forebay_testkit::proxy::{Connections, Direction, Ending, Fault, Pushes};
use tokio::time::sleep;

use crate::error::Error;
use crate::process::Instance;
use crate::random::Random;
use crate::stage::Stage;

/// What can be broken.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    SubscribersKilled,
    MessagesLost,
    BusBlackhole,
    CutOff,
    ConnectionsReset,
    InstanceFrozen,
    InstanceReplaced,
    RedisFrozen,
    RedisRestarted,
    RedisFlushed,
}

impl Kind {
    /// Any of them.
    pub(super) fn draw(random: &mut Random) -> Self {
        Self::ALL[random.below(Self::ALL.len())]
    }

    const ALL: [Self; 10] = [
        Self::SubscribersKilled,
        Self::MessagesLost,
        Self::BusBlackhole,
        Self::CutOff,
        Self::ConnectionsReset,
        Self::InstanceFrozen,
        Self::InstanceReplaced,
        Self::RedisFrozen,
        Self::RedisRestarted,
        Self::RedisFlushed,
    ];

    /// Breaks it for up to four seconds.
    pub(super) async fn strike(self, stage: &mut Stage, random: &mut Random) -> Result<(), Error> {
        let length = Duration::from_millis(500) + random.up_to(Duration::from_millis(3500));
        let victim = random.below(stage.instances.len());
        let blackhole = Fault::Blackhole(Direction::Both);
        match self {
            Self::SubscribersKilled => drop(stage.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await?),
            Self::MessagesLost => {
                stage.proxies[victim].inject(Connections::all(), Fault::DropPushes(Pushes::Every(3)))
            }
            Self::BusBlackhole => stage.proxies[victim].inject(Connections::subscribers(), blackhole),
            Self::CutOff => stage.proxies[victim].inject(Connections::all(), blackhole),
            Self::ConnectionsReset => stage.proxies[victim].end(&Connections::all(), Ending::Reset),
            Self::InstanceFrozen => {
                stage.load.spare(victim);
                stage.instances[victim].stop()?;
            }
            // Always the same one: in the others whatever grows can grow.
            Self::InstanceReplaced => stage.replace(stage.instances.len() - 1).await?,
            Self::RedisFrozen => stage.redis.stop()?,
            Self::RedisRestarted => stage.redis.kill()?,
            Self::RedisFlushed => drop(stage.command(&["FLUSHALL"]).await?),
        }
        sleep(length).await;
        stage.proxies[victim].heal();
        match self {
            Self::InstanceFrozen => stage.instances[victim].resume()?,
            Self::RedisFrozen => stage.redis.cont()?,
            Self::RedisRestarted => stage.redis.restart().await?,
            _ => {}
        }
        stage.load.spare_none();
        Ok(())
    }
}

/// Undoes whatever a strike that was not brought to its end has left behind.
pub(super) async fn mend(stage: &mut Stage) -> Result<(), Error> {
    stage.proxies.iter().for_each(|proxy| proxy.heal());
    stage.instances.iter().try_for_each(Instance::resume)?;
    match stage.redis.pid() {
        Some(_) => stage.redis.cont()?,
        None => stage.redis.restart().await?,
    }
    stage.load.spare_none();
    Ok(())
}
