//! The in-memory L2: its own limits, and each fault.

#![expect(clippy::unwrap_used, reason = "helpers of tests; clippy excuses only the tests themselves")]

use std::time::Duration;

use bytes::Bytes;
use forebay_core::entry::Seq;
use forebay_core::key::Key;
use forebay_core::l2::{
    Incarnation, L2, L2Error, Link, Message, Notice, Notices, Position, Refusal, Store, Stored,
};
use forebay_core::tag::Ident;
use forebay_testkit::memory::{MemoryL2, MemoryServer, Op, Settings};

const KEY: Key = Key::from_bytes([1; 16]);
const IDENT: Ident = Ident::from_bytes([2; 16]);
const MINUTE: Duration = Duration::from_secs(60);

fn store(at: Position, frame: &'static str) -> Store<'static> {
    Store {
        key: KEY,
        incarnation: at.incarnation,
        stamp: at.seq,
        ttl: MINUTE,
        frame: Bytes::from_static(frame.as_bytes()),
        idents: &[IDENT],
    }
}

async fn frame(l2: &MemoryL2) -> Option<Bytes> {
    l2.lookup(KEY).await.unwrap().frame
}

fn drain(notices: &mut Notices) -> Vec<Notice> {
    std::iter::from_fn(|| notices.try_recv().ok()).collect()
}

fn seqs(notices: &mut Notices) -> Vec<Seq> {
    let seq = |notice| match notice {
        Notice::Message(Message { seq, .. }) => seq,
        other => panic!("{other:?}, not a message"),
    };
    drain(notices).into_iter().map(seq).collect()
}

async fn invalidate(l2: &MemoryL2) -> Seq {
    l2.invalidate(&[IDENT], 0).await.unwrap().position.seq
}

#[tokio::test(start_paused = true)]
async fn a_frame_is_gone_when_its_time_is_up() {
    let l2 = MemoryServer::new().client();
    let at = l2.open().await.unwrap();
    assert_eq!(l2.store(store(at, "a")).await, Ok(Stored::Accepted));
    tokio::time::advance(MINUTE - Duration::from_millis(1)).await;
    assert!(frame(&l2).await.is_some());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(frame(&l2).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_fill_that_took_too_long_is_refused() {
    let server = MemoryServer::with_settings(Settings { max_fill: MINUTE, ..Settings::default() });
    let l2 = server.client();
    let at = l2.open().await.unwrap();
    tokio::time::advance(MINUTE + Duration::from_secs(30)).await;
    assert_eq!(l2.store(store(at, "just in time")).await, Ok(Stored::Accepted));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(l2.store(store(at, "late")).await, Ok(Stored::Refused(Refusal::Late)));
}

#[tokio::test(start_paused = true)]
async fn what_the_log_forgets_by_age_raises_its_floor() {
    let server = MemoryServer::with_settings(Settings { retention: MINUTE, ..Settings::default() });
    let l2 = server.client();
    let start = l2.open().await.unwrap();
    let first = invalidate(&l2).await;
    tokio::time::advance(MINUTE * 2).await;
    l2.invalidate(&[], 0).await.unwrap();
    assert_eq!(server.log_len(), 0);
    assert_eq!(l2.catch_up(start.seq).await.unwrap().floor, first);
}

#[tokio::test(start_paused = true)]
async fn a_poll_moves_a_position_on_that_has_stood_still() {
    let l2 = MemoryServer::new().client();
    let mut notices = l2.subscribe();
    let start = l2.open().await.unwrap();
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(l2.poll(Link::Commands).await, Ok(Some(start)));
    tokio::time::advance(Duration::from_secs(1)).await;
    let moved = l2.poll(Link::Commands).await.unwrap().unwrap();
    assert!(moved.seq > start.seq);
    assert_eq!(drain(&mut notices).len(), 2, "the subscription and the move");
}

#[tokio::test(start_paused = true)]
async fn a_flush_ends_the_incarnation_and_older_fills_are_refused() {
    let server = MemoryServer::new();
    let l2 = server.client();
    let before = l2.open().await.unwrap();
    l2.store(store(before, "old")).await.unwrap();
    server.flush();
    let found = l2.lookup(KEY).await.unwrap();
    assert!(found.frame.is_none() && found.position.is_none());
    assert_eq!(l2.poll(Link::Commands).await, Ok(None));
    assert!(matches!(l2.catch_up(0).await, Err(L2Error::Protocol(_))));
    assert!(matches!(l2.scores(&[IDENT]).await, Err(L2Error::Protocol(_))));
    let after = l2.open().await.unwrap();
    assert_ne!(after.incarnation, before.incarnation);
    assert_eq!(l2.store(store(before, "old")).await, Ok(Stored::Refused(Refusal::Incarnation)));
}

#[tokio::test(start_paused = true)]
async fn lost_metadata_leaves_frames_that_belong_to_nobody() {
    let server = MemoryServer::new();
    let l2 = server.client();
    let before = l2.open().await.unwrap();
    l2.store(store(before, "old")).await.unwrap();
    server.lose_metadata();
    let after = l2.open().await.unwrap();
    assert_eq!(frame(&l2).await.unwrap(), "old");
    assert_eq!(l2.store(store(after, "new")).await, Ok(Stored::Accepted), "the old stamp counts no more");
}

#[tokio::test(start_paused = true)]
async fn a_restored_snapshot_forgets_what_came_after_it() {
    let server = MemoryServer::new();
    let l2 = server.client();
    let start = l2.open().await.unwrap();
    let snapshot = server.snapshot();
    invalidate(&l2).await;
    l2.store(store(server.position().unwrap(), "new")).await.unwrap();
    server.restore(&snapshot);
    assert_eq!(server.position(), Some(start));
    assert_eq!((server.frames(), server.log_len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn numbers_grow_although_the_clock_steps_back() {
    let server = MemoryServer::new();
    let l2 = server.client();
    let start = l2.open().await.unwrap();
    server.step_clock_back(MINUTE);
    assert_eq!(invalidate(&l2).await, start.seq + 2, "the next even number: nothing is held");
}

#[tokio::test]
async fn frames_can_be_damaged_and_evicted() {
    let server = MemoryServer::new();
    let l2 = server.client();
    let at = l2.open().await.unwrap();
    l2.store(store(at, "whole")).await.unwrap();
    server.corrupt(|_, frame| frame[..2].to_vec());
    assert_eq!(server.frame(KEY).unwrap(), "wh");
    server.evict(KEY);
    assert_eq!(frame(&l2).await, None);
}

#[tokio::test]
async fn planned_failures_hit_one_kind_of_one_client_and_then_end() {
    let server = MemoryServer::new();
    let (broken, whole) = (server.client(), server.client());
    broken.fail(Op::Lookup, 2, L2Error::Timeout);
    for _ in 0..2 {
        assert_eq!(broken.lookup(KEY).await.unwrap_err(), L2Error::Timeout);
        assert!(whole.lookup(KEY).await.is_ok() && broken.open().await.is_ok());
    }
    assert!(broken.lookup(KEY).await.is_ok());
    assert_eq!((broken.calls(Op::Lookup), broken.calls(Op::Open), broken.total_calls()), (3, 2, 5));
}

#[tokio::test]
async fn a_client_without_connection_fails_until_it_is_healed() {
    let l2 = MemoryServer::new().client();
    let gone = L2Error::Unavailable("refused".into());
    l2.fail_all(gone.clone());
    for _ in 0..100 {
        assert_eq!(l2.open().await, Err(gone.clone()));
        assert_eq!(l2.poll(Link::Bus).await, Err(gone.clone()));
    }
    l2.heal();
    assert!(l2.open().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_hung_operation_goes_on_when_healed_and_never_happens_when_dropped() {
    let server = MemoryServer::new();
    let l2 = server.client();
    l2.hang(Op::Open);
    let dropped = tokio::time::timeout(MINUTE, l2.open()).await;
    assert!(dropped.is_err() && server.position().is_none());

    let waiting = tokio::spawn({
        let l2 = l2.clone();
        async move { l2.open().await }
    });
    while l2.calls(Op::Open) < 2 {
        tokio::task::yield_now().await;
    }
    assert!(server.position().is_none());
    l2.heal();
    assert_eq!(waiting.await.unwrap().ok(), server.position());
}

#[tokio::test]
async fn a_write_whose_reply_is_lost_has_happened() {
    let server = MemoryServer::new();
    let l2 = server.client();
    let at = l2.open().await.unwrap();
    l2.lose_replies(Op::Store, 1);
    assert_eq!(l2.store(store(at, "there")).await, Err(L2Error::Timeout));
    assert_eq!(frame(&l2).await.unwrap(), "there");
}

#[tokio::test]
async fn a_postponed_write_lands_after_what_came_later() {
    let server = MemoryServer::new();
    let l2 = server.client();
    let at = l2.open().await.unwrap();
    l2.postpone(Op::Invalidate, 1);
    assert_eq!(l2.invalidate(&[IDENT], 0).await.unwrap_err(), L2Error::Timeout);
    assert_eq!(server.log_len(), 0);
    l2.store(store(at, "between")).await.unwrap();
    l2.land();
    assert_eq!(server.log_len(), 1);
    l2.land();
    assert_eq!(l2.store(store(at, "after")).await, Ok(Stored::Refused(Refusal::Invalidated)));
}

#[tokio::test]
async fn messages_are_lost_for_one_client_only() {
    let server = MemoryServer::new();
    let (deaf, well) = (server.client(), server.client());
    let (mut at_deaf, mut at_well) = (deaf.subscribe(), well.subscribe());
    assert_eq!(drain(&mut at_deaf), [Notice::Subscribed]);
    assert_eq!(drain(&mut at_well), [Notice::Subscribed]);
    let first = invalidate(&well).await;
    deaf.drop_messages(1);
    let last = invalidate(&well).await;
    assert_eq!(seqs(&mut at_deaf), [first]);
    assert_eq!(seqs(&mut at_well), [first, last]);
}

#[tokio::test]
async fn held_messages_arrive_in_order_when_they_are_released() {
    let l2 = MemoryServer::new().client();
    let mut notices = l2.subscribe();
    drain(&mut notices);
    l2.hold_messages();
    let sent = [invalidate(&l2).await, invalidate(&l2).await];
    assert_eq!(drain(&mut notices), []);
    l2.release_messages();
    assert_eq!(seqs(&mut notices), sent);
    let next = invalidate(&l2).await;
    assert_eq!(seqs(&mut notices), [next]);
}

#[tokio::test]
async fn a_cut_bus_is_told_of_and_loses_what_is_published_meanwhile() {
    let l2 = MemoryServer::new().client();
    let mut notices = l2.subscribe();
    l2.open().await.unwrap();
    l2.disconnect_bus();
    l2.disconnect_bus();
    invalidate(&l2).await;
    assert!(matches!(l2.poll(Link::Bus).await, Err(L2Error::Unavailable(_))));
    assert!(l2.poll(Link::Commands).await.is_ok());
    let mut second = l2.subscribe();
    assert_eq!(drain(&mut second), [], "nobody confirms a subscription over a cut bus");
    l2.reconnect_bus();
    assert_eq!(drain(&mut notices), [Notice::Subscribed, Notice::Lost, Notice::Subscribed]);
    assert_eq!(drain(&mut second), [Notice::Subscribed]);
    assert!(l2.poll(Link::Bus).await.is_ok());
}

#[tokio::test]
async fn a_subscriber_that_does_not_read_is_told_that_it_lags() {
    let server = MemoryServer::with_settings(Settings { bus_capacity: 4, ..Settings::default() });
    let l2 = server.client();
    let mut notices = l2.subscribe();
    for _ in 0..10 {
        invalidate(&l2).await;
    }
    let heard = drain(&mut notices);
    assert_eq!(heard.len(), 4);
    assert_eq!(heard.last(), Some(&Notice::Lagged));
    assert_eq!(heard.iter().filter(|notice| **notice == Notice::Lagged).count(), 1);
    let next = invalidate(&l2).await;
    assert_eq!(seqs(&mut notices), [next]);
}

#[tokio::test]
async fn anything_can_be_put_on_the_bus() {
    let l2 = MemoryServer::new().client();
    let mut notices = l2.subscribe();
    let forged = Message { incarnation: Incarnation([9; 16]), seq: 7, previous: 6, idents: vec![IDENT; 100] };
    l2.inject(Notice::Malformed);
    l2.inject(Notice::Message(forged.clone()));
    assert_eq!(drain(&mut notices)[1..], [Notice::Malformed, Notice::Message(forged)]);
}
