//! How instances are started: with which settings, each.

use std::net::SocketAddr;

use forebay_testkit::redis::RedisServer;
use tokio::time::{Duration, sleep, timeout};

use crate::error::Error;
use crate::process::{Instance, Ports, Scrap, System};
use crate::setting::Setting;

/// Starts the instances of a scenario.
pub(crate) struct Starter {
    pub(crate) system: System,
    scrap: Scrap,
    origin: SocketAddr,
    /// What the configurations of the setting are called.
    names: Vec<String>,
}

impl Starter {
    pub(crate) async fn new(setting: &Setting, system: &System, origin: SocketAddr) -> Result<Self, Error> {
        let mut starter = Self { system: system.clone(), scrap: Scrap::new()?, origin, names: Vec::new() };
        starter.names = starter.learn(setting).await?;
        Ok(starter)
    }

    /// Starts an instance: the one of this number, in this configuration.
    pub(crate) async fn start(
        &self,
        setting: &Setting,
        (number, kind): (usize, usize),
        redis: &str,
        ports: Ports,
    ) -> Result<Instance, Error> {
        let mut args = self.arguments(setting, kind, redis);
        if self.system != System::Plain {
            if let Some(secret) = (setting.secret)(number) {
                args.extend(["--secret-file".to_owned(), self.scrap.secret(secret)?]);
            }
            let others = self.names.iter().enumerate().filter(|(other, _)| *other != kind);
            let others: Vec<&str> = others.map(|(_, name)| name.as_str()).collect();
            if !others.is_empty() {
                args.extend(["--compat".to_owned(), others.join(",")]);
            }
        }
        Instance::start(&self.system, &self.scrap, ports, &args).await
    }

    /// What the configurations are called that are to know each other, as an instance of each says itself, over a Redis where nobody is.
    async fn learn(&self, setting: &Setting) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        if setting.kinds.len() > 1 {
            let redis = RedisServer::start().await?;
            for kind in 0..setting.kinds.len() {
                let args = self.arguments(setting, kind, &redis.url());
                let instance = Instance::start(&self.system, &self.scrap, Ports::any(), &args).await?;
                names.push(timeout(PATIENCE, own_name(&instance)).await??);
            }
        }
        Ok(names)
    }

    fn arguments(&self, setting: &Setting, kind: usize, redis: &str) -> Vec<String> {
        let origin = format!("http://{}", self.origin);
        let mut args = ["--origin", &origin, "--redis", redis].map(str::to_owned).to_vec();
        if self.system != System::Plain {
            let grace = format!("{}ms", setting.grace.as_millis());
            let own = ["--namespace", "faults", "--lease", "2s", "--partition-grace", &grace];
            args.extend(own.map(str::to_owned));
            let more = setting.more.iter().chain(setting.kinds.get(kind).copied().unwrap_or_default());
            args.extend(more.map(|&more| more.to_owned()));
        }
        args
    }
}

async fn own_name(instance: &Instance) -> Result<String, Error> {
    loop {
        let stats = instance.ask("/stats").await?;
        if let Some((_, rest)) = stats.split_once("\"own\":\"") {
            return Ok(rest.split('"').next().unwrap_or_default().to_owned());
        }
        sleep(Duration::from_millis(20)).await;
    }
}

const PATIENCE: Duration = Duration::from_secs(30);
