//! The proxy between real clients and a real Redis.

#![expect(clippy::unwrap_used, reason = "a helper that fails is the test failing")]

use std::io;
use std::time::Duration;

use forebay_testkit::proxy::{Connections, Direction, Ending, Fault, FaultProxy, Pushes};
use forebay_testkit::redis::{RedisServer, RespConnection};
use forebay_testkit::resp::Value;

struct Setup {
    redis: RedisServer,
    proxy: FaultProxy,
}

impl Setup {
    async fn start() -> Self {
        let redis = RedisServer::start().await.unwrap();
        let proxy = FaultProxy::start(redis.addr()).await.unwrap();
        Self { redis, proxy }
    }

    async fn connect(&self) -> RespConnection {
        let mut connection = RespConnection::open(self.proxy.addr()).await.unwrap();
        assert_eq!(connection.command(["PING"]).await.unwrap(), pong());
        connection
    }

    async fn subscribe(&self, channel: &str) -> RespConnection {
        let mut subscriber = self.connect().await;
        subscriber.command(["HELLO", "3"]).await.unwrap();
        subscriber.command(["SUBSCRIBE", channel]).await.unwrap();
        subscriber
    }

    async fn publish(&self, messages: &[&str]) {
        for message in messages {
            let receivers = self.redis.command(["PUBLISH", "c", message]).await.unwrap();
            assert_eq!(receivers, Value::Integer(1), "Redis sees the subscriber all the while");
        }
    }
}

fn pong() -> Value {
    Value::from("PONG")
}

async fn text_of_next_push(subscriber: &mut RespConnection) -> String {
    let Value::Push(items) = subscriber.receive().await.unwrap() else { panic!("not a push") };
    items.last().and_then(Value::as_str).unwrap().to_owned()
}

#[tokio::test]
async fn chosen_messages_are_lost_and_the_rest_arrives_in_order() {
    let setup = Setup::start().await;
    let mut subscriber = setup.subscribe("c").await;
    setup.proxy.inject(Connections::subscribers(), Fault::DropPushes(Pushes::Every(3)));
    setup.publish(&["1", "2", "3", "4", "5", "6", "7"]).await;
    for expected in ["1", "2", "4", "5", "7"] {
        assert_eq!(text_of_next_push(&mut subscriber).await, expected);
    }
    let counters = setup.proxy.counters();
    assert_eq!((counters.pushes_seen, counters.pushes_dropped), (7, 2));

    setup.proxy.heal();
    setup.proxy.inject(Connections::all(), Fault::DropPushes(Pushes::Kth(2)));
    setup.publish(&["8", "9", "10"]).await;
    assert_eq!(text_of_next_push(&mut subscriber).await, "8");
    assert_eq!(text_of_next_push(&mut subscriber).await, "10");
}

#[tokio::test]
async fn replies_and_confirmations_pass_where_messages_are_dropped() {
    let setup = Setup::start().await;
    setup.proxy.inject(Connections::all(), Fault::DropPushes(Pushes::All));
    let mut subscriber = setup.subscribe("c").await;
    setup.publish(&["lost"]).await;
    setup.proxy.wait_until(|counters| counters.pushes_dropped == 1).await.unwrap();
    assert_eq!(subscriber.command(["PING"]).await.unwrap(), pong());
}

#[tokio::test]
async fn held_bytes_arrive_after_healing() {
    let setup = Setup::start().await;
    let mut connection = setup.connect().await;
    setup.proxy.inject(Connections::all(), Fault::Hold(Direction::ToServer));
    connection.send(["SET", "k", "late"]).await.unwrap();
    assert_eq!(setup.redis.command(["GET", "k"]).await.unwrap(), Value::Nil);
    setup.proxy.heal();
    assert_eq!(connection.receive().await.unwrap(), Value::from("OK"));
    assert_eq!(setup.redis.command(["GET", "k"]).await.unwrap(), Value::from("late"));
}

#[tokio::test]
async fn a_reply_lost_on_its_way_was_carried_out_and_the_next_one_is_readable() {
    let setup = Setup::start().await;
    let mut connection = setup.connect().await;
    setup.proxy.inject(Connections::nth(0), Fault::Blackhole(Direction::ToClient));
    connection.send(["INCR", "k"]).await.unwrap();
    setup.proxy.wait_until(|counters| counters.bytes_lost > 0).await.unwrap();
    setup.connect().await;
    setup.proxy.heal();
    assert_eq!(connection.command(["INCR", "k"]).await.unwrap(), Value::Integer(2));
}

#[tokio::test]
async fn only_the_subscriber_is_hit() {
    let setup = Setup::start().await;
    let mut commands = setup.connect().await;
    let mut subscriber = setup.subscribe("c").await;
    setup.proxy.inject(Connections::subscribers(), Fault::Hold(Direction::Both));
    setup.publish(&["held"]).await;
    assert_eq!(commands.command(["PING"]).await.unwrap(), pong());

    setup.proxy.end(&Connections::subscribers(), Ending::Reset);
    let error = subscriber.receive().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(commands.command(["PING"]).await.unwrap(), pong());
    let counters = setup.proxy.wait_until(|counters| counters.open == 1).await.unwrap();
    assert_eq!(counters.connections, 2);
}

#[tokio::test]
async fn closing_ends_in_good_order() {
    let setup = Setup::start().await;
    let mut connection = setup.connect().await;
    setup.proxy.end(&Connections::all(), Ending::Close);
    assert_eq!(connection.receive().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn new_connections_are_refused_while_the_old_ones_live() {
    let setup = Setup::start().await;
    let mut connection = setup.connect().await;
    setup.proxy.refuse().await;
    let error = RespConnection::open(setup.proxy.addr()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(connection.command(["PING"]).await.unwrap(), pong());
    setup.proxy.accept().await;
    setup.connect().await;
}

#[tokio::test]
async fn a_dead_server_resets_its_clients() {
    let setup = Setup::start().await;
    setup.redis.kill().unwrap();
    let mut connection = RespConnection::open(setup.proxy.addr()).await.unwrap();
    assert!(connection.command(["PING"]).await.is_err());
    setup.redis.restart().await.unwrap();
    setup.connect().await;
}

#[tokio::test]
async fn a_reply_is_cut_in_the_middle() {
    let setup = Setup::start().await;
    let mut connection = setup.connect().await;
    setup.proxy.inject(Connections::all(), Fault::CutAfter(Direction::ToClient, 3));
    assert_eq!(connection.command(["PING"]).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn one_byte_is_corrupted_once() {
    let setup = Setup::start().await;
    let mut connection = setup.connect().await;
    setup.redis.command(["SET", "k", "aaaa"]).await.unwrap();
    // "$4\r\n" stands before the value.
    setup.proxy.inject(Connections::all(), Fault::Corrupt(Direction::ToClient, 5));
    let corrupted = connection.command(["GET", "k"]).await.unwrap();
    assert_eq!(corrupted.as_bytes(), Some(&[b'a', !b'a', b'a', b'a'][..]));
    assert_eq!(connection.command(["GET", "k"]).await.unwrap(), Value::from("aaaa"));
}

#[tokio::test]
async fn slow_and_late_streams_carry_everything() {
    let setup = Setup::start().await;
    let mut connection = setup.connect().await;
    let long = "x".repeat(2_000);
    setup.proxy.inject(Connections::all(), Fault::Throttle(Direction::ToServer, 100_000));
    setup.proxy.inject(Connections::all(), Fault::Delay(Direction::Both, Duration::from_millis(2)));
    assert_eq!(connection.command(["SET", "k", &long]).await.unwrap(), Value::from("OK"));
    assert_eq!(connection.command(["GET", "k"]).await.unwrap().as_str(), Some(&long[..]));
}

#[tokio::test]
async fn large_values_pass_unchanged_in_both_directions() {
    let setup = Setup::start().await;
    let mut connection = setup.connect().await;
    let large: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    connection.command([&b"SET"[..], b"k", &large]).await.unwrap();
    assert_eq!(connection.command(["GET", "k"]).await.unwrap().as_bytes(), Some(&large[..]));
}
