//! A value that comes with the change that invalidates it.

use std::time::Duration;

use forebay_core::entry::Span;
use forebay_core::instance::Receipt;
use forebay_core::tag::All;
use forebay_core::tiers::Before;

use crate::support::*;

/// Changes `key` on the node, as a request that brings the new value along.
struct Change<'a> {
    node: &'a Node,
    before: Before,
    version: u64,
}

impl<'a> Change<'a> {
    fn sent(node: &'a Node, key: &str) -> Self {
        let before = node.tiers.before_change(&canonical(key));
        Self { node, before, version: node.origin.write(key) }
    }

    async fn invalidated(&self, key: &str) -> Receipt {
        self.node.invalidate(key).await.unwrap()
    }

    async fn stored(self, key: &str, receipt: Receipt) {
        let now = self.node.tiers.instance().settings().clock.now();
        let span = Span { born: now, lifetime: Duration::from_secs(3600), ..Span::default() };
        let fill = answer(key, self.version, span);
        self.node.tiers.fill_after(self.before, receipt, async { vec![fill] }).await;
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_served_by_every_instance_when_nothing_else_was_changed() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    b.get("x").await;
    let change = Change::sent(&a, "x");
    let (version, receipt) = (change.version, change.invalidated("x").await);
    change.stored("x", receipt).await;
    settle().await;
    assert_eq!(a.get("x").await, (version, From::L1));
    assert_eq!(b.get("x").await, (version, From::L2));
}

#[tokio::test(start_paused = true)]
async fn it_is_not_stored_when_another_instance_has_changed_the_same_meanwhile() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    let change = Change::sent(&a, "x");
    let newest = b.write("x").await.unwrap();
    let receipt = change.invalidated("x").await;
    change.stored("x", receipt).await;
    settle().await;
    assert_eq!(a.get("x").await, (newest, From::Origin));
    assert_eq!(b.get("x").await, (newest, From::L2));
}

#[tokio::test(start_paused = true)]
async fn it_is_not_served_when_another_instance_changes_the_same_afterwards() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    let change = Change::sent(&a, "x");
    let receipt = change.invalidated("x").await;
    let newest = b.write("x").await.unwrap();
    change.stored("x", receipt).await;
    settle().await;
    assert_eq!(a.get("x").await, (newest, From::Origin));
}

#[tokio::test(start_paused = true)]
async fn without_l2_it_is_stored_unless_something_else_was_changed_here() {
    let world = World::new();
    let node = world.alone();
    let change = Change::sent(&node, "x");
    let (version, receipt) = (change.version, change.invalidated("x").await);
    change.stored("x", receipt).await;
    assert_eq!(node.get("x").await, (version, From::L1));

    let change = Change::sent(&node, "x");
    let newest = node.write("x").await.unwrap();
    let receipt = change.invalidated("x").await;
    change.stored("x", receipt).await;
    assert_eq!(node.get("x").await, (newest, From::Origin));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_concern_it_may_be_changed_meanwhile() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    for node in [a.clone(), world.alone()] {
        let change = Change::sent(&node, "x");
        b.write("y").await.unwrap();
        node.write("z").await.unwrap();
        let (version, receipt) = (change.version, change.invalidated("x").await);
        b.write("y").await.unwrap();
        change.stored("x", receipt).await;
        settle().await;
        assert_eq!(node.get("x").await, (version, From::L1));
    }
}

#[tokio::test(start_paused = true)]
async fn what_else_invalidates_it_keeps_it_out_though_its_own_change_does_not_name_it() {
    let world = World::new();
    let [a, b] = world.nodes().await;
    let alone = world.alone();
    for (node, other) in [(&a, &b), (&alone, &alone)] {
        let change = Change::sent(node, "x");
        other.tiers.instance().invalidate(All).await.unwrap();
        let receipt = change.invalidated("x").await;
        change.stored("x", receipt).await;
        settle().await;
        assert_eq!(node.peek("x"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_never_arrives_is_given_up() {
    let world = World::new();
    let [a, _] = world.nodes().await;
    let change = Change::sent(&a, "x");
    let receipt = change.invalidated("x").await;
    a.tiers.fill_after(change.before, receipt, std::future::pending()).await;
    assert_eq!(a.peek("x"), None);
}
