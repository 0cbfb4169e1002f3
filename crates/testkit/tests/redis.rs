//! The launcher against real servers.

use forebay_testkit::redis::{RedisServer, RespConnection};
use forebay_testkit::resp::Value;

#[tokio::test]
async fn servers_start_side_by_side_and_hold_their_own_data() {
    let (one, two) = tokio::join!(RedisServer::start(), RedisServer::start());
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_ne!(one.port(), two.port());
    one.command(["SET", "k", "v"]).await.unwrap();
    assert_eq!(one.command(["GET", "k"]).await.unwrap(), Value::from("v"));
    assert_eq!(two.command(["GET", "k"]).await.unwrap(), Value::Nil);
}

#[tokio::test]
async fn a_killed_server_refuses_connections_and_comes_back_empty_on_its_port() {
    let redis = RedisServer::start().await.unwrap();
    let first = (redis.port(), redis.pid().unwrap());
    redis.command(["SET", "k", "v"]).await.unwrap();

    redis.kill().unwrap();
    assert_eq!(redis.pid(), None);
    assert!(redis.command(["PING"]).await.is_err());
    assert!(redis.stop().is_err());

    redis.restart().await.unwrap();
    assert_eq!(redis.port(), first.0);
    assert_ne!(redis.pid().unwrap(), first.1);
    assert_eq!(redis.command(["GET", "k"]).await.unwrap(), Value::Nil);
}

#[tokio::test]
async fn a_restart_after_save_brings_the_older_snapshot_back() {
    let redis = RedisServer::start().await.unwrap();
    redis.command(["SET", "k", "saved"]).await.unwrap();
    redis.command(["SAVE"]).await.unwrap();
    redis.command(["SET", "k", "lost"]).await.unwrap();
    redis.restart().await.unwrap();
    assert_eq!(redis.command(["GET", "k"]).await.unwrap(), Value::from("saved"));
}

#[tokio::test]
async fn a_frozen_server_answers_only_after_it_goes_on() {
    let redis = RedisServer::start().await.unwrap();
    let mut connection = RespConnection::open(redis.addr()).await.unwrap();
    connection.command(["PING"]).await.unwrap();

    redis.stop().unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", redis.pid().unwrap()));
    // The state letter follows the name in parentheses; other systems than Linux have no such file.
    if let Ok(stat) = stat {
        assert!(stat.contains(") T "), "{stat}");
    }
    connection.send(["PING"]).await.unwrap();
    redis.cont().unwrap();
    assert_eq!(connection.receive().await.unwrap(), Value::from("PONG"));

    redis.stop().unwrap();
    redis.restart().await.unwrap();
    assert_eq!(redis.command(["PING"]).await.unwrap(), Value::from("PONG"));
}

#[tokio::test]
async fn dropping_a_frozen_server_ends_it_and_removes_its_directory() {
    let redis = RedisServer::builder().unix_socket().start().await.unwrap();
    let socket = redis.unix_socket().unwrap();
    let addr = redis.addr();
    assert!(socket.exists());
    redis.stop().unwrap();
    drop(redis);
    assert!(!socket.parent().unwrap().exists());
    assert!(RespConnection::open(addr).await.is_err());
}

#[tokio::test]
async fn users_and_passwords_are_enforced() {
    let redis = RedisServer::builder()
        .password("hunter2")
        .set("user", "reader on >secret ~* +get")
        .start()
        .await
        .unwrap();
    assert_eq!(redis.command(["SET", "k", "v"]).await.unwrap(), Value::from("OK"));

    let mut stranger = RespConnection::open(redis.addr()).await.unwrap();
    let refusal = stranger.command(["GET", "k"]).await.unwrap();
    assert!(matches!(&refusal, Value::Error(error) if error.starts_with("NOAUTH")), "{refusal:?}");
    stranger.command(["AUTH", "reader", "secret"]).await.unwrap();
    assert_eq!(stranger.command(["GET", "k"]).await.unwrap(), Value::from("v"));
    let refusal = stranger.command(["SET", "k", "w"]).await.unwrap();
    assert!(matches!(&refusal, Value::Error(error) if error.starts_with("NOPERM")), "{refusal:?}");
}

#[tokio::test]
async fn a_refused_setting_is_reported_in_the_servers_own_words() {
    let error = RedisServer::builder().set("maxmemory", "plenty").start().await.unwrap_err();
    assert!(error.to_string().contains("redis-server ended at start"), "{error}");
}
