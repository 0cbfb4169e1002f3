//! How an answer gets from one instance's tiers into another's.

use forebay_testkit::memory::Op;
use metrics_util::debugging::DebuggingRecorder;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn what_one_has_filled_another_finds_in_l2_and_then_in_its_own_l1() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    assert_eq!(a.get("x").await, (0, From::Origin));
    assert_eq!(a.get("x").await, (0, From::L1));
    assert_eq!(b.get("x").await, (0, From::L2));
    assert_eq!(b.get("x").await, (0, From::L1));
    assert_eq!((world.origin.calls("x"), b.l2.calls(Op::Lookup)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn many_misses_in_one_instance_are_one_lookup_and_one_fetch() {
    let world = World::new();
    let [a] = world.nodes().await;
    world.origin.hold("x");
    let requests: Vec<_> = (0..100).map(|_| a.spawn_get("x")).collect();
    world.origin.arrived("x", 1).await;
    settle().await;
    world.origin.release("x");
    let mut from_flight = 0;
    for request in requests {
        let (version, from) = request.await.unwrap();
        assert_eq!(version, 0);
        from_flight += usize::from(from == From::Flight);
    }
    assert_eq!((world.origin.calls("x"), a.l2.calls(Op::Lookup), from_flight), (1, 1, 99));
}

#[tokio::test(start_paused = true)]
async fn a_frame_from_before_an_instance_started_is_checked_against_the_log_once() {
    let world = World::new();
    let a = world.node().await;
    let (kept, gone) = (near("kept"), near("gone"));
    a.get(&kept).await;
    a.get(&gone).await;
    let version = a.write(&gone).await.unwrap();
    a.write("something else").await.unwrap();
    let late = world.node().await;
    assert!(world.server.frame(hashed(&gone)).is_some(), "invalidated, not removed");
    assert_eq!(late.get(&kept).await, (0, From::L2));
    assert_eq!(late.l2.calls(Op::Scores), 1);
    assert_eq!(late.get(&kept).await, (0, From::L1));
    assert_eq!(late.l2.calls(Op::Scores), 1);
    assert_eq!(late.get(&gone).await, (version, From::Origin));
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_is_ahead_of_the_messages_is_judged_by_the_log() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    a.get("kept").await;
    a.get("gone").await;
    b.l2.hold_messages();
    let version = a.write("gone").await.unwrap();
    assert_eq!(b.get("gone").await, (version, From::Origin));
    assert_eq!(b.get("kept").await, (0, From::L2));
}

#[tokio::test(start_paused = true)]
async fn variants_are_found_on_another_instance_and_die_together() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    assert_eq!(a.get_in("x", "de").await, (0, From::Origin));
    assert_eq!(a.get_in("x", "en").await, (0, From::Origin));
    assert_eq!(a.get_in("x", "de").await, (0, From::L1));
    for language in ["de", "en"] {
        assert_eq!(b.get_in("x", language).await, (0, From::L2), "{language}");
        assert_eq!(b.get_in("x", language).await, (0, From::L1), "{language}");
    }
    assert_eq!(b.get_in("x", "fr").await, (0, From::Origin));
    let version = a.write("x").await.unwrap();
    settle().await;
    for node in [&a, &b] {
        for language in ["de", "en", "fr"] {
            assert_eq!(node.get_in("x", language).await.0, version, "{language}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn frames_that_cannot_be_read_are_counted_misses_and_are_replaced() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let world = World::new();
    let a = world.node().await;
    a.get("x").await;
    let frame = world.server.frame(hashed("x")).unwrap();
    let mut broken: Vec<Vec<u8>> = (0..frame.len()).map(|cut| frame[..cut].to_vec()).collect();
    broken.extend((0..frame.len()).map(|at| {
        let mut frame = frame.to_vec();
        frame[at] ^= 0x40;
        frame
    }));
    broken.push(vec![0; 64]);
    let mut expected = 0;
    for broken in broken {
        a.get("x").await;
        world.server.corrupt(|_, _| broken.clone());
        let b = world.node().await;
        assert_eq!(b.get("x").await, (0, From::Origin), "{broken:?}");
        expected += 1;
    }
    assert_eq!(counted(&snapshotter, "cache_errors_total", ("op", "decode")), expected);
}

#[tokio::test(start_paused = true)]
async fn a_frame_of_another_key_is_not_served() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    a.get("x").await;
    a.get("y").await;
    let y = world.server.frame(hashed("y")).unwrap();
    world.server.corrupt(|_, _| y.to_vec());
    assert_eq!(b.get("x").await, (0, From::Origin));
    assert_eq!(b.get("y").await, (0, From::L2));
}
