//! Every subject does in every suite what the suite takes for granted.

use benches::endpoint::endpoint;
use benches::origin::Origin;
use benches::runner::runtime;
use benches::subjects;
use benches::workload::{Requests, Workload};

/// Origin calls that `count` requests cost each subject, after one that went before.
fn origin_calls(workload: Workload, count: u32) -> Vec<(&'static str, u64)> {
    let runtime = runtime();
    let calls = |subject: &dyn subjects::Subject| {
        let origin = Origin::new();
        let mut service = subject.service(&runtime, &origin)?;
        let mut requests = Requests::new(workload);
        runtime.block_on(service.exchange(&mut requests, 1));
        let before = origin.calls();
        runtime.block_on(service.exchange(&mut requests, count));
        Some((subject.name(), origin.calls() - before))
    };
    subjects::all().iter().filter_map(|subject| calls(subject.as_ref())).collect()
}

#[test]
fn only_bare_asks_the_origin_again_for_a_stored_key() {
    for (name, calls) in origin_calls(Workload::SameKey, 20) {
        assert_eq!(calls, if name == "bare" { 20 } else { 0 }, "{name}");
    }
}

#[test]
fn every_subject_asks_the_origin_for_each_new_key() {
    for (name, calls) in origin_calls(Workload::NewKeys, 20) {
        assert_eq!(calls, 20, "{name}");
    }
}

#[test]
fn the_floor_leaves_alone_what_is_not_cacheable() {
    for workload in [Workload::Post, Workload::NoFreshness] {
        let all = origin_calls(workload, 20);
        assert!(all.contains(&("floor", 20)), "{workload:?}: {all:?}");
    }
}

#[test]
fn routers_answer_from_the_store_too() {
    let runtime = runtime();
    for subject in subjects::all() {
        let origin = Origin::new();
        let Some(app) = subject.router(&runtime, origin.app()) else { continue };
        let mut app = endpoint::<_, axum::body::Body, _>(app);
        let mut requests = Requests::new(Workload::SameKey);
        runtime.block_on(app.exchange(&mut requests, 1));
        runtime.block_on(app.exchange(&mut requests, 20));
        let name = subject.name();
        assert_eq!(origin.calls(), if name == "bare" { 21 } else { 1 }, "{name}");
    }
}

#[test]
fn a_dropped_tag_is_not_served() {
    let runtime = runtime();
    for mut store in subjects::all().iter().flat_map(|subject| subject.tag_stores(&runtime)) {
        runtime.block_on(async {
            store.fill(50).await;
            assert!(store.serves().await, "{}", store.name());
            store.drop_tag().await;
            assert!(!store.serves().await, "{}", store.name());
        });
    }
}
