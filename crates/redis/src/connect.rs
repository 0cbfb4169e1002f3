//! From the settings to the L2.

use std::sync::Arc;

use forebay_core::key::Secrets;
use forebay_core::l2::{L2, Shards};

use crate::census::Census;
use crate::client::Plan;
use crate::cluster::Cluster;
use crate::config::{ConfigError, Redis};
use crate::connection::{self, Dialer, Role, Route, Seat, Slot};
use crate::digest::Digest;
use crate::gate::Gate;
use crate::l2::RedisL2;
use crate::schema::{Bus, Registry, Schema};
use crate::url::Target;

impl Redis {
    /// Begins to connect, in the background, and returns the L2 at once: a Redis that cannot be reached is no error.
    ///
    /// Instances share entries where they agree on `namespace` and `secrets`. The namespace becomes a part of all
    /// names in Redis; it is to have letters, digits, `_`, `.` and `-` only.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] as from [`check`](Redis::check).
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn connect(&self, namespace: &str, secrets: &Secrets) -> Result<RedisL2, ConfigError> {
        self.check()?;
        let house = House::of(self, namespace, secrets, 1)?;
        let l2 = self.connect_shard(&house, 0)?;
        self.count(&house, &l2)?;
        Ok(l2)
    }

    /// The same with as many [`shards`](Redis::shards) as are configured: what an instance is started over.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] as from [`check`](Redis::check).
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn connect_shards(&self, namespace: &str, secrets: &Secrets) -> Result<Shards, ConfigError> {
        self.check()?;
        let of = self.shard_count();
        let house = House::of(self, namespace, secrets, of)?;
        let shards = (0..of).map(|shard| self.connect_shard(&house, shard).map(Arc::new));
        let shards = shards.collect::<Result<Vec<_>, _>>()?;
        self.count(&house, &shards[0])?;
        let shards = shards.into_iter().map(|shard| shard as Arc<dyn L2>).collect();
        Ok(Shards::new(shards).expect("`check` has refused every other number"))
    }

    fn connect_shard(&self, house: &House<'_>, shard: usize) -> Result<RedisL2, ConfigError> {
        let House { namespace, secrets, registry, compat, .. } = house;
        let schema = Schema::new(namespace, secrets, &registry.own, shard, house.bus());
        let slot = schema.slot();
        let mut l2 = RedisL2::new(self, schema, house.route(self, slot)?, house.gate.clone());
        for digest in compat {
            // All of their shards have to hear of it; each of these tells some.
            for theirs in (shard..digest.shards).step_by(registry.own.shards) {
                let schema = Schema::new(namespace, secrets, digest, theirs, house.bus());
                let neighbour = match &house.cluster {
                    // Its slot may be anywhere.
                    Some(_) => {
                        let route = house.route(self, schema.slot())?;
                        RedisL2::new(self, schema, route, house.gate.clone())
                    }
                    None => l2.beside(schema),
                };
                l2.add_neighbour(neighbour);
            }
        }
        Ok(l2)
    }

    /// Begins the census that admits all shards, for as long as the first one lives.
    fn count(&self, house: &House<'_>, first: &RedisL2) -> Result<(), ConfigError> {
        let (route, writes) = match house.cluster {
            None => first.writing(),
            // It is in a slot of its own.
            Some(_) => {
                let route = house.route(self, house.registry.slot())?;
                let writes = Slot::new(&route);
                first.keep(connection::keep(Dialer::new(&route, Role::Writes), writes.clone()));
                (route, writes)
            }
        };
        let (registry, compat, gate) = (house.registry.clone(), house.compat.clone(), house.gate.clone());
        first.keep(Census { writes, route, registry, compat, gate, patience: self.timeout }.run());
        Ok(())
    }
}

/// What all shards of an L2 have in common.
struct House<'a> {
    namespace: &'a str,
    secrets: &'a Secrets,
    registry: Registry,
    compat: Vec<Digest>,
    cluster: Option<Arc<Cluster>>,
    gate: Gate,
}

impl<'a> House<'a> {
    fn of(
        redis: &Redis,
        namespace: &'a str,
        secrets: &'a Secrets,
        shards: usize,
    ) -> Result<Self, ConfigError> {
        let cluster = match &redis.target {
            Target::Cluster(seeds) => Some(Arc::new(Cluster::new(seeds, Plan::of(redis)?))),
            _ => None,
        };
        let registry = Registry::new(namespace, secrets, shards);
        let compat = redis.compat_with(Some(&registry.own))?;
        let gate = Gate::shut(&registry.own);
        Ok(Self { namespace, secrets, registry, compat, cluster, gate })
    }

    fn bus(&self) -> Bus {
        if self.cluster.is_some() { Bus::Sharded } else { Bus::Whole }
    }

    fn route(&self, redis: &Redis, slot: u16) -> Result<Arc<Route>, ConfigError> {
        let seat = self.cluster.as_ref().map(|cluster| Seat::new(cluster, slot));
        Route::of(redis, seat, self.gate.clone()).map(Arc::new)
    }
}
