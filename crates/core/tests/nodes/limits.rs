//! What happens where there is no room.

use metrics_util::debugging::DebuggingRecorder;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_miss_for_which_there_is_no_flight_left_is_fetched_by_itself() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let world = World::new();
    let a = world.node_with(|settings| settings.flights.flights = 1).await;
    world.origin.hold("x");
    let held = a.spawn_get("x");
    world.origin.arrived("x", 1).await;
    let others = [a.spawn_get("y"), a.spawn_get("y")];
    for other in others {
        assert_eq!(other.await.unwrap(), (0, From::Origin));
    }
    assert_eq!(world.origin.calls("y"), 2, "nobody could wait for the other");
    assert_eq!(counted(&snapshotter, "cache_limits_total", ("limit", "flights")), 2);
    assert_eq!(a.get("y").await, (0, From::L1), "it is stored all the same");
    world.origin.release("x");
    assert_eq!(held.await.unwrap(), (0, From::Origin));
}

#[tokio::test(start_paused = true)]
async fn a_request_for_which_a_flight_has_no_room_asks_by_itself() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let world = World::new();
    let a = world.node_with(|settings| settings.flights.followers = 2).await;
    world.origin.hold("x");
    let requests: Vec<_> = (0..5).map(|_| a.spawn_get("x")).collect();
    world.origin.arrived("x", 3).await;
    world.origin.release("x");
    let mut followed = 0;
    for request in requests {
        let (version, from) = request.await.unwrap();
        assert_eq!(version, 0);
        followed += usize::from(from == From::Flight);
    }
    assert_eq!((world.origin.calls("x"), followed), (3, 2));
    assert_eq!(counted(&snapshotter, "cache_limits_total", ("limit", "followers")), 2);
}

#[tokio::test(start_paused = true)]
async fn a_response_over_the_largest_frame_is_kept_here_and_not_stored_there() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let world = World::new();
    let a = world.node_with(|settings| settings.frames.max_len = 100).await;
    assert_eq!(a.get("x").await, (0, From::Origin));
    assert_eq!(a.get("x").await, (0, From::L1));
    assert_eq!(world.server.frames(), 0);
    assert_eq!(counted(&snapshotter, "cache_stores_total", ("result", "too-large")), 1);
}
