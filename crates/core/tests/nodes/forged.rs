//! Somebody who can write to L2, and to its bus.

use forebay_core::compress::Compression;
use forebay_core::entry::{Density, Encoded};
use forebay_core::frame::{self, Shape};
use forebay_core::instance::Settings;
use forebay_core::key::Secrets;
use forebay_core::l2::Notice;
use forebay_testkit::memory::Op;
use metrics_util::debugging::{DebuggingRecorder, Snapshotter};

use crate::support::*;

fn with_secret(settings: &mut Settings) {
    let own = Settings::new(NAMESPACE, Some(SECRET));
    (settings.secrets, settings.coherence) = (own.secrets, own.coherence);
}

async fn two_with_secret(world: &World) -> [Node; 2] {
    [world.node_with(with_secret).await, world.node_with(with_secret).await]
}

/// How many frames were refused for this reason since the last time.
fn refused(snapshotter: &Snapshotter, why: &str) -> u64 {
    counted(snapshotter, "cache_errors_total", ("kind", why))
}

/// The frame of another value, made with these secrets by somebody who knows everything else.
fn forged(secrets: &Secrets, canonical: &[u8], genuine: &[u8], reader: &Secrets) -> Vec<u8> {
    let (header, value) = frame::decode(reader, canonical, genuine, 1 << 20).unwrap();
    let mut meta = value.meta.to_vec();
    *meta.last_mut().unwrap() = 99;
    let value = Encoded { meta: meta.into(), density: Density::Loose, ..value };
    frame::encode(secrets, canonical, &header, &value, Shape::default()).unwrap().to_vec()
}

#[tokio::test(start_paused = true)]
async fn under_a_secret_a_forged_frame_is_a_counted_miss() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let world = World::new();
    let [a, b] = two_with_secret(&world).await;
    a.get("x").await;
    let own = Secrets::new(NAMESPACE, Some(SECRET));
    let canonical = canonical("x");
    for forger in [secrets(), Secrets::new(NAMESPACE, Some(b"a guess, sixteen long"))] {
        let mut done = 0;
        world.server.corrupt(|_, genuine| {
            done += 1;
            forged(&forger, &canonical, genuine, &own)
        });
        assert_eq!((done, refused(&snapshotter, "mac")), (1, 0));
        assert_eq!(b.get("x").await, (0, From::Origin));
        assert_eq!(refused(&snapshotter, "mac"), 1);
        b.tiers.l1().remove(&own.key(&canonical));
        assert_eq!(b.get("x").await, (0, From::L2), "what b has stored over it");
        b.tiers.l1().remove(&own.key(&canonical));
    }
    // With the secret it would have been taken: the test forges well.
    world.server.corrupt(|_, genuine| forged(&own, &canonical, genuine, &own));
    assert_eq!(b.get("x").await, (99, From::L2));
}

#[tokio::test(start_paused = true)]
async fn under_a_secret_a_frame_moved_to_another_key_is_a_counted_miss() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let world = World::new();
    let [a, b] = two_with_secret(&world).await;
    a.get("x").await;
    a.get("y").await;
    let y = world.server.frame(Secrets::new(NAMESPACE, Some(SECRET)).key(&canonical("y"))).unwrap();
    world.server.corrupt(|_, _| y.to_vec());
    assert_eq!(b.get("x").await, (0, From::Origin));
    assert_eq!(refused(&snapshotter, "mac"), 1);
    assert_eq!(b.get("y").await, (0, From::L2));
}

#[tokio::test(start_paused = true)]
async fn a_frame_put_back_after_a_flush_is_a_counted_miss() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    for secret in [|_: &mut Settings| {}, with_secret] {
        let world = World::new();
        let a = world.node_with(secret).await;
        a.get("x").await;
        let mut old = Vec::new();
        world.server.corrupt(|_, frame| {
            old = frame.to_vec();
            frame.to_vec()
        });
        world.server.flush();
        pass(LEASE).await;
        world.origin.write("x");
        assert_eq!(a.get("x").await, (1, From::Origin));
        world.server.corrupt(|_, _| old.clone());
        let b = world.node_with(secret).await;
        assert_eq!(refused(&snapshotter, "incarnation"), 0);
        assert_eq!(b.get("x").await, (1, From::Origin));
        assert_eq!(refused(&snapshotter, "incarnation"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn instances_that_compress_and_instances_that_do_not_share_their_entries() {
    let world = World::new();
    let packing = |settings: &mut Settings| {
        settings.frames.compression = Compression::lz4().at_least(1);
    };
    let [a, b] = [world.node_with(packing).await, world.node().await];
    a.get("x").await;
    b.get("y").await;
    assert_eq!((b.get("x").await, a.get("y").await), ((0, From::L2), (0, From::L2)));
}

#[tokio::test(start_paused = true)]
async fn garbage_on_the_bus_ten_thousand_times_a_second_costs_no_hit_and_no_storm() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let world = World::new();
    let [a, b] = world.nodes().await;
    a.get("x").await;
    let asked = a.l2.calls(Op::CatchUp) + a.l2.calls(Op::PollBus);
    let seconds = 10;
    for _ in 0..1000 * seconds {
        (0..10).for_each(|_| a.l2.inject(Notice::Malformed));
        pass(MS).await;
        assert_eq!(a.peek("x"), Some((0, From::L1)));
    }
    assert_eq!(counted(&snapshotter, "cache_errors_total", ("op", "bus")), 10_000 * seconds);
    let asked = a.l2.calls(Op::CatchUp) + a.l2.calls(Op::PollBus) - asked;
    // Four polls a lease as ever, and as many looks into the log.
    assert!(asked <= 2 * (1 + 2 * seconds), "{asked} in {seconds} s");
    // A message that comes among it is heard.
    let version = b.write("x").await.unwrap();
    settle().await;
    assert_eq!((a.peek("x"), a.get("x").await.0), (None, version));
}

const SECRET: &[u8] = b"a secret of sixteen bytes";
