//! The proxy under the client that production uses.

use fred::clients::SubscriberClient;
use fred::interfaces::{ClientLike, EventInterface, PubsubInterface};
use fred::types::RespVersion;
use fred::types::config::Config;

use forebay_testkit::proxy::{Connections, Fault, FaultProxy, Pushes};
use forebay_testkit::redis::RedisServer;

#[tokio::test]
async fn a_fred_subscriber_loses_messages_and_nothing_else() {
    let redis = RedisServer::start().await.unwrap();
    let proxy = FaultProxy::start(redis.addr()).await.unwrap();
    let mut config = Config::from_url(&proxy.url()).unwrap();
    config.version = RespVersion::RESP3;
    let subscriber = SubscriberClient::new(config, None, None, None);
    let mut messages = subscriber.message_rx();
    subscriber.init().await.unwrap();
    subscriber.subscribe("c").await.unwrap();

    proxy.inject(Connections::subscribers(), Fault::DropPushes(Pushes::Kth(2)));
    for message in ["1", "2", "3"] {
        redis.command(["PUBLISH", "c", message]).await.unwrap();
    }
    for expected in ["1", "3"] {
        assert_eq!(messages.recv().await.unwrap().value.as_str().unwrap(), expected);
    }
    subscriber.ping::<()>(None).await.unwrap();
    let counters = proxy.counters();
    assert_eq!((counters.pushes_dropped, counters.connections), (1, counters.open));
    subscriber.quit().await.unwrap();
}
