//! Instances of different configurations in one namespace: refused, or told of each other's invalidations.

use std::sync::Arc;

use forebay_core::key::Secrets;
use forebay_core::l2::{Admission, L2, L2Error, Link, Notice, Stored};
use forebay_redis::Redis;
use forebay_testkit::redis::RedisCluster;
use forebay_testkit::resp::Value;

use crate::support::*;

/// All shards of one instance.
type Instance = Vec<Arc<dyn L2>>;

fn connect(redis: &Redis, secrets: &Secrets) -> Instance {
    let mut shards = Vec::new();
    let keep = |shard: Arc<dyn L2>| {
        shards.push(Arc::clone(&shard));
        shard
    };
    drop(redis.connect_shards("t", secrets).unwrap().wrapped(keep));
    shards
}

/// What the configuration with so many shards is called.
fn name(redis: &Redis, shards: usize, secrets: &Secrets) -> String {
    connect(&redis.clone().shards(shards), secrets)[0].census().unwrap().own.clone()
}

/// Two instances with other numbers of shards, each of which takes the other for compatible.
async fn two(redis: &Redis, shards: [usize; 2]) -> [Instance; 2] {
    let [a, b] = shards.map(|shards| name(redis, shards, &secrets()));
    let connect = async |shards, other: &str| {
        let instance = connect(&redis.clone().shards(shards).compat_namespaces([other]), &secrets());
        for shard in &instance {
            until(async || shard.open().await.ok()).await;
        }
        instance
    };
    [connect(shards[0], &b).await, connect(shards[1], &a).await]
}

async fn admission(l2: &dyn L2) -> Admission {
    let census = || l2.census().unwrap().admission;
    until(async || Some(census()).filter(|admission| *admission != Admission::Pending)).await
}

fn strangers(l2: &dyn L2) -> Vec<String> {
    l2.census().unwrap().strangers.clone()
}

#[tokio::test]
async fn who_comes_second_with_another_secret_is_refused_and_both_know() {
    let setup = Setup::start().await;
    let own = setup.l2.census().unwrap().own.clone();
    assert_eq!((admission(&setup.l2).await, strangers(&setup.l2)), (Admission::Admitted, vec![]));
    let second = config(&setup.redis, setup.redis.addr()).connect("t", &with_secret()).unwrap();
    assert_eq!((admission(&second).await, strangers(&second)), (Admission::Refused, vec![own.clone()]));
    let refused = L2Error::Refused(own);
    assert_eq!(second.open().await, Err(refused.clone()));
    assert_eq!(second.lookup(key(1)).await.unwrap_err(), refused);
    assert_eq!(second.invalidate(&[ident(1)], 0).await, Err(refused.clone()));
    assert_eq!(second.poll(Link::Commands).await, Err(refused));
    let Value::Array(begun) = setup.command(&["KEYS", "*:v"]).await else { panic!("no list") };
    assert_eq!(begun.len(), 1, "it has begun nothing");
    let second = second.census().unwrap().own.clone();
    until(async || (strangers(&setup.l2) == [second.clone()]).then_some(())).await;
    assert_eq!(admission(&setup.l2).await, Admission::Admitted);
    setup.l2.invalidate(&[ident(1)], 0).await.unwrap();
}

#[tokio::test]
async fn instances_of_one_configuration_are_all_admitted() {
    let setup = Setup::start().await;
    let second = setup.another().await;
    assert_eq!((admission(&second).await, strangers(&second)), (Admission::Admitted, vec![]));
}

#[tokio::test]
async fn to_name_another_is_not_enough_unless_it_names_one_back_and_has_the_same_secret() {
    let setup = Setup::start().await;
    let redis = config(&setup.redis, setup.redis.addr());
    let own = setup.l2.census().unwrap().own.clone();
    let not_named = connect(&redis.clone().shards(2).compat_namespaces([own.clone()]), &secrets());
    assert_eq!((admission(&*not_named[1]).await, strangers(&*not_named[0])), (Admission::Refused, vec![own]));

    let setup = Setup::start().await;
    setup.command(&["DEL", "{t:census}"]).await;
    let redis = config(&setup.redis, setup.redis.addr());
    let [a, b] = [name(&redis, 1, &secrets()), name(&redis, 1, &with_secret())];
    drop(setup.l2);
    let first = connect(&redis.clone().compat_namespaces([b.clone()]), &secrets());
    assert_eq!(admission(&*first[0]).await, Admission::Admitted);
    let second = connect(&redis.compat_namespaces([a]), &with_secret());
    assert_eq!(admission(&*second[0]).await, Admission::Refused);
}

#[tokio::test]
async fn an_invalidation_reaches_every_shard_of_a_compatible_configuration_and_no_entry_does() {
    let setup = Setup::start().await;
    setup.command(&["DEL", "{t:census}"]).await;
    let redis = config(&setup.redis, setup.redis.addr());
    drop(setup.l2);
    let instances = two(&redis, [2, 4]).await;
    for ([issuer, other], frame) in [([0, 1], "of the second"), ([1, 0], "of the first")] {
        let [issuer, other] = [&instances[issuer], &instances[other]];
        let at = other[0].open().await.unwrap();
        assert_eq!(other[0].store(a_store(at, &[ident(1)], frame)).await.unwrap(), Stored::Accepted);
        let found = issuer[0].lookup(key(1)).await.unwrap().frame;
        assert_ne!(found.as_deref(), Some(frame.as_bytes()), "entries are not shared");
        let mut notices = Vec::new();
        for shard in other {
            let mut heard = shard.subscribe();
            wait_for(&mut heard, &Notice::Subscribed).await;
            notices.push(heard);
        }
        for shard in issuer {
            shard.invalidate(&[ident(1), ident(2)], 0).await.unwrap();
        }
        for (shard, heard) in other.iter().zip(&mut notices) {
            let Notice::Message(message) = next(heard).await else { panic!("no message") };
            assert_eq!(message.idents, [ident(1), ident(2)]);
            let scores = shard.scores(&[ident(2)]).await.unwrap();
            assert_eq!(scores.seqs, [Some(message.seq)]);
        }
        assert_eq!(
            other[0].store(a_store(at, &[ident(1)], "older")).await.unwrap(),
            Stored::Refused(forebay_core::l2::Refusal::Invalidated)
        );
        let before = other[0].poll(Link::Commands).await.unwrap();
        issuer[0].invalidate(&[], 0).await.unwrap();
        assert_eq!(other[0].poll(Link::Commands).await.unwrap(), before, "a tick is one's own");
    }
}

#[tokio::test]
async fn with_a_secret_it_is_sealed_for_those_who_hear_it() {
    let setup = Setup::with_secret().await;
    setup.command(&["DEL", "{t:census}"]).await;
    let redis = config(&setup.redis, setup.redis.addr());
    drop(setup.l2);
    let [a, b] = [1, 2].map(|shards| name(&redis, shards, &with_secret()));
    let first = connect(&redis.clone().compat_namespaces([b]), &with_secret());
    until(async || first[0].open().await.ok()).await;
    let second = connect(&redis.shards(2).compat_namespaces([a]), &with_secret());
    until(async || second[1].open().await.ok()).await;
    let mut heard = second[1].subscribe();
    wait_for(&mut heard, &Notice::Subscribed).await;
    first[0].invalidate(&[ident(1)], 0).await.unwrap();
    let Notice::Message(message) = next(&mut heard).await else { panic!("no message") };
    assert_eq!(message.idents, [ident(1)]);
}

#[tokio::test]
async fn where_nobody_has_ever_been_nothing_is_left_behind() {
    let setup = Setup::with(|redis| redis.compat_namespaces(["deadbeef/2"])).await;
    setup.l2.invalidate(&[ident(1)], 0).await.unwrap();
    let Value::Array(names) = setup.command(&["KEYS", "*deadbeef*"]).await else { panic!("no list") };
    assert!(names.is_empty(), "{names:?}");
}

#[tokio::test]
async fn one_that_a_compatible_log_does_not_take_is_not_confirmed() {
    let setup = Setup::with(|redis| redis.compat_namespaces(["deadbeef"])).await;
    let own = format!("~{{t:{}:*", setup.l2.census().unwrap().own);
    setup.command(&["ACL", "SETUSER", "default", "resetkeys", "~{t:census}", &own]).await;
    let result = setup.l2.invalidate(&[ident(1)], 0).await;
    assert!(matches!(result, Err(L2Error::Untold(_))), "{result:?}");
    let scores = setup.l2.scores(&[ident(1)]).await.unwrap();
    assert!(scores.seqs[0].is_some(), "its own has it");
}

#[tokio::test]
async fn a_census_of_a_wrong_type_or_with_garbage_in_it_keeps_nobody_out() {
    let setup = Setup::start().await;
    let second = async || {
        let second = setup.another().await;
        assert_eq!((admission(&second).await, strangers(&second)), (Admission::Admitted, vec![]));
    };
    setup.command(&["DEL", "{t:census}"]).await;
    setup.command(&["SET", "{t:census}", "no census"]).await;
    second().await;
    let Value::Array(time) = setup.command(&["TIME"]).await else { panic!("no time") };
    let now = format!("{}000000", time[0].as_str().unwrap());
    let far = FAR.to_string();
    for (score, member) in [("1", "00:deadbeef:"), (&far, "00:deadbeef:"), (&now, "deadbeef"), (&now, "::")] {
        setup.command(&["ZADD", "{t:census}", score, member]).await;
        second().await;
    }
}

#[tokio::test]
async fn on_a_cluster_they_hear_each_other_over_all_nodes() {
    let cluster = RedisCluster::builder().start().await.unwrap();
    let redis = Redis::url(&cluster.url()).unwrap().timeout(PATIENCE / 10);
    let [first, second] = two(&redis, [2, 4]).await;
    for shard in &second {
        until(async || shard.scores(&[ident(1)]).await.ok()).await;
    }
    for shard in &first {
        until(async || shard.invalidate(&[ident(1)], 0).await.ok()).await;
    }
    for shard in &second {
        assert!(shard.scores(&[ident(1)]).await.unwrap().seqs[0].is_some());
    }
    let stranger = connect(&redis.shards(8), &secrets());
    for shard in &stranger {
        assert_eq!(admission(&**shard).await, Admission::Refused);
    }
}
