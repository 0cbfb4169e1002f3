//! The launchers of several servers that belong together.

use forebay_testkit::redis::{RedisCluster, RedisServer, RespConnection, SentinelGroup};
use forebay_testkit::resp::Value;

#[tokio::test]
async fn a_replica_has_what_its_master_has_and_takes_no_writes() {
    let master = RedisServer::builder().password("hunter2").start().await.unwrap();
    let replica = RedisServer::builder().password("hunter2").replica_of(&master).start().await.unwrap();
    replica.until_replica().await.unwrap();
    master.command(["SET", "k", "v"]).await.unwrap();
    replica.until(["GET", "k"], |value| *value == Value::from("v")).await.unwrap();
    let refusal = replica.command(["SET", "k", "w"]).await.unwrap();
    assert!(matches!(&refusal, Value::Error(error) if error.starts_with("READONLY")), "{refusal:?}");
}

#[tokio::test]
async fn a_user_is_the_one_of_the_url_and_no_more_than_its_rights() {
    let redis = RedisServer::builder().user("shop", "secret", "~shop:* +get").start().await.unwrap();
    assert_eq!(redis.url(), format!("redis://shop:secret@{}", redis.addr()));
    let mut shop = RespConnection::open(redis.addr()).await.unwrap();
    assert_eq!(shop.command(["AUTH", "shop", "secret"]).await.unwrap(), Value::from("OK"));
    assert_eq!(shop.command(["GET", "shop:a"]).await.unwrap(), Value::Nil);
    for refused in [&["GET", "other"][..], &["SET", "shop:a", "1"]] {
        let refusal = shop.command(refused).await.unwrap();
        assert!(matches!(&refusal, Value::Error(error) if error.starts_with("NOPERM")), "{refusal:?}");
    }
}

#[tokio::test]
async fn three_sentinels_replace_a_dead_master_and_make_a_replica_of_it_when_it_comes_back() {
    let group = SentinelGroup::builder().start().await.unwrap();
    assert_eq!((group.servers().len(), group.sentinels().len()), (2, 3));
    let old = group.master().await.unwrap();
    old.command(["SET", "k", "v"]).await.unwrap();
    group.servers()[1].until(["GET", "k"], |value| *value == Value::from("v")).await.unwrap();

    let new = group.fail_over().await.unwrap();
    assert_eq!(new.port(), group.servers()[1].port());
    assert_eq!(new.command(["GET", "k"]).await.unwrap(), Value::from("v"));
    assert_eq!(new.command(["SET", "k", "w"]).await.unwrap(), Value::from("OK"));

    old.restart().await.unwrap();
    old.until_replica().await.unwrap();
    old.until(["GET", "k"], |value| *value == Value::from("w")).await.unwrap();
}

#[tokio::test]
async fn a_sentinel_group_with_a_password_shows_it_in_its_url_only() {
    let server = RedisServer::builder().password("hunter2");
    let group = SentinelGroup::builder().servers(server).sentinels(1).start().await.unwrap();
    let sentinel = group.sentinels()[0].addr();
    assert_eq!(group.url(), format!("redis-sentinel://:hunter2@{sentinel}/forebay"));
    let new = group.fail_over().await.unwrap();
    assert_eq!(new.command(["SET", "k", "v"]).await.unwrap(), Value::from("OK"));
}

#[tokio::test]
async fn a_cluster_is_whole_and_each_slot_has_one_master() {
    let cluster = RedisCluster::builder().start().await.unwrap();
    let mut ports = Vec::new();
    for slot in [0, 5460, 5461, 8192, 10922, 16383] {
        ports.push(cluster.master_of(slot).await.unwrap().port());
    }
    ports.dedup();
    assert_eq!(ports, cluster.nodes().iter().map(RedisServer::port).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_slot_on_its_way_is_asked_for_and_then_moved() {
    let cluster = RedisCluster::builder().start().await.unwrap();
    let slot = cluster.slot_of("{shop}:a").await.unwrap();
    let (from, to) = (cluster.master_of(slot).await.unwrap(), cluster.other_master(slot).await.unwrap());
    from.command(["SET", "{shop}:a", "1"]).await.unwrap();
    cluster.start_migration(slot, to).await.unwrap();
    assert_eq!(from.command(["GET", "{shop}:a"]).await.unwrap(), Value::from("1"));
    let asked = from.command(["GET", "{shop}:b"]).await.unwrap();
    assert_eq!(asked, Value::Error(format!("ASK {slot} {}", to.addr())));

    cluster.finish_migration(slot, to).await.unwrap();
    assert_eq!(to.command(["GET", "{shop}:a"]).await.unwrap(), Value::from("1"));
    let moved = from.command(["GET", "{shop}:a"]).await.unwrap();
    assert_eq!(moved, Value::Error(format!("MOVED {slot} {}", to.addr())));
    assert_eq!(cluster.master_of(slot).await.unwrap().port(), to.port());
}

#[tokio::test]
async fn a_replica_takes_over_the_slots_of_a_dead_master() {
    let cluster = RedisCluster::builder().replicas(1).start().await.unwrap();
    let slot = cluster.slot_of("{shop}:a").await.unwrap();
    let old = cluster.master_of(slot).await.unwrap();
    let new = cluster.fail_over(slot).await.unwrap();
    assert_ne!(old.port(), new.port());
    assert_eq!(new.command(["SET", "{shop}:a", "1"]).await.unwrap(), Value::from("OK"));
}
