//! Each operation against a real Redis.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use forebay_core::entry::Seq;
use forebay_core::l2::{L2, L2Error, Link, Position, Refusal, Stored};
use forebay_core::tag::Ident;
use forebay_testkit::resp::Value;

use crate::support::*;

#[tokio::test]
async fn opening_gives_one_position_to_all() {
    let setup = Setup::start().await;
    let first = setup.l2.open().await.unwrap();
    let second = setup.another().await.open().await.unwrap();
    assert_eq!(first, second);
    assert_eq!(setup.l2.lookup(key(1)).await.unwrap().position, Some(first));
    assert_eq!(setup.l2.poll(Link::Commands).await.unwrap(), Some(first));
}

#[tokio::test]
async fn a_stored_frame_is_found_as_it_was_with_the_position() {
    let setup = Setup::start().await;
    let at = setup.l2.open().await.unwrap();
    assert_eq!(setup.frame().await, None);
    assert_eq!(setup.store(at, &[ident(1)], "frame").await, Stored::Accepted);
    let found = setup.l2.lookup(key(1)).await.unwrap();
    assert_eq!((found.frame.as_deref(), found.position), (Some(&b"frame"[..]), Some(at)));
    assert_eq!(setup.l2.lookup(key(2)).await.unwrap().frame, None);
}

#[tokio::test]
async fn a_frame_goes_when_its_time_is_over_and_never_outlives_the_log() {
    let setup = Setup::start().await;
    let at = setup.l2.open().await.unwrap();
    let mut store = a_store(at, &[], "frame");
    store.ttl = Duration::from_secs(1_000_000_000);
    setup.l2.store(store.clone()).await.unwrap();
    let name = setup.name(":e:*").await;
    let Value::Integer(left) = setup.command(&["PTTL", &name]).await else { panic!("no time") };
    assert!(left <= 25 * 3600 * 1000 - 60_000, "{left}");
    store.ttl = Duration::ZERO;
    setup.l2.store(store).await.unwrap();
    until(async || setup.frame().await.is_none().then_some(())).await;
}

#[tokio::test]
async fn a_frame_over_the_limit_is_neither_stored_nor_read() {
    let setup = Setup::with(|redis| redis.max_value(1024)).await;
    let at = setup.l2.open().await.unwrap();
    let large: &'static str = "x".repeat(1020).leak();
    assert_eq!(setup.store(at, &[], large).await, Stored::Refused(Refusal::TooLarge));
    let generous = setup.another().await;
    assert_eq!(store(&generous, at, &[], large).await, Stored::Accepted);
    assert_eq!(setup.frame().await, None);
    assert_eq!(generous.lookup(key(1)).await.unwrap().frame.unwrap().len(), 1020);
}

#[tokio::test]
async fn each_invalidation_is_numbered_above_all_before_it() {
    let setup = Setup::start().await;
    let opened = setup.l2.open().await.unwrap();
    let first = setup.l2.invalidate(&[ident(1)], 0).await.unwrap();
    assert!(first.position.seq > opened.seq);
    assert_eq!((first.previous, first.position.incarnation), (opened.seq, opened.incarnation));
    let second = setup.l2.invalidate(&[ident(2)], FAR).await.unwrap();
    assert_eq!((second.previous, second.position.seq), (first.position.seq, FAR + 2));
    let third = setup.l2.invalidate(&[], 0).await.unwrap();
    assert_eq!((third.previous, third.position.seq), (FAR + 2, FAR + 4));
    assert_eq!(setup.l2.open().await.unwrap(), third.position);
}

#[tokio::test]
async fn a_number_beyond_all_is_an_error_and_used_up_numbers_begin_a_new_life() {
    let setup = Setup::start().await;
    let opened = setup.l2.open().await.unwrap();
    let beyond = setup.l2.invalidate(&[], u64::MAX).await;
    assert!(matches!(beyond, Err(L2Error::Protocol(_))), "{beyond:?}");
    let last = setup.l2.invalidate(&[], (1 << 53) - 4).await.unwrap();
    assert_eq!((last.position.incarnation, last.position.seq), (opened.incarnation, (1 << 53) - 2));
    let after = setup.l2.invalidate(&[ident(1)], 0).await.unwrap();
    assert_ne!(after.position.incarnation, opened.incarnation);
    assert!(after.position.seq < FAR);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_invalidations_make_one_chain() {
    let setup = Setup::start().await;
    let opened = setup.l2.open().await.unwrap();
    let l2s = [Arc::new(setup.another().await), Arc::new(setup.another().await)];
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..200u8 {
        let l2 = l2s[usize::from(n % 2)].clone();
        tasks.spawn(async move { l2.invalidate(&[ident(n)], 0).await.unwrap() });
    }
    let issued = tasks.join_all().await;
    let links: BTreeMap<Seq, Seq> = issued.iter().map(|i| (i.previous, i.position.seq)).collect();
    let mut at = opened.seq;
    for _ in 0..200 {
        at = links[&at];
    }
    assert_eq!(setup.l2.open().await.unwrap().seq, at);
}

#[tokio::test]
async fn more_idents_than_a_message_holds_are_all_invalidated() {
    let setup = Setup::start().await;
    let at = setup.l2.open().await.unwrap();
    let idents: Vec<_> = (0..2500u32).map(numbered).collect();
    let issued = setup.l2.invalidate(&idents, 0).await.unwrap();
    assert!(issued.previous > at.seq, "the caller is shown a gap");
    let scores = setup.l2.scores(&idents).await.unwrap();
    assert!(scores.seqs.iter().all(|seq| seq.is_some_and(|seq| seq > at.seq)));
    assert_eq!(scores.position, issued.position);
}

#[tokio::test]
async fn scores_tell_the_last_invalidation_of_each_ident() {
    let setup = Setup::start().await;
    let at = setup.l2.open().await.unwrap();
    let one = setup.l2.invalidate(&[ident(1), ident(2)], 0).await.unwrap().position.seq;
    let two = setup.l2.invalidate(&[ident(2)], 0).await.unwrap().position;
    let scores = setup.l2.scores(&[ident(3), ident(2), ident(1)]).await.unwrap();
    assert_eq!(scores.seqs, [None, Some(two.seq), Some(one)]);
    assert_eq!((scores.position, scores.floor), (two, at.seq));
    assert_eq!(setup.l2.scores(&[]).await.unwrap().seqs, []);
    let many: Vec<_> = (0..9000u32).map(numbered).collect();
    assert_eq!(setup.l2.scores(&many).await.unwrap().seqs.len(), 9000);
}

#[tokio::test]
async fn catching_up_brings_whole_groups_in_pages() {
    let setup = Setup::start().await;
    let mut at = setup.l2.open().await.unwrap().seq;
    let mut expected = BTreeSet::new();
    for group in 0..5u32 {
        let idents: Vec<_> = (0..400).map(|n| numbered(1000 * group + n)).collect();
        let seq = setup.l2.invalidate(&idents, 0).await.unwrap().position.seq;
        expected.extend(idents.into_iter().map(|ident| (ident, seq)));
    }
    let mut pages = 0;
    loop {
        let page = setup.l2.catch_up(at).await.unwrap();
        assert!(page.floor <= at);
        assert!(page.idents.iter().all(|(_, seq)| (at + 1..=page.upto).contains(seq)));
        for pair in page.idents {
            assert!(expected.remove(&pair), "each once");
        }
        (at, pages) = (page.upto, pages + 1);
        assert!(expected.iter().all(|(_, seq)| *seq > at), "nothing up to here is missing");
        if at == page.position.seq {
            break;
        }
    }
    assert_eq!((expected.len(), pages), (0, 3));
    assert_eq!(setup.l2.catch_up(at).await.unwrap().idents, []);
}

#[tokio::test]
async fn a_full_page_of_one_group_is_brought_whole() {
    let setup = Setup::start().await;
    let at = setup.l2.open().await.unwrap().seq;
    let idents: Vec<_> = (0..1000u32).map(numbered).collect();
    let first = setup.l2.invalidate(&idents, 0).await.unwrap().position.seq;
    setup.l2.invalidate(&[ident(1)], 0).await.unwrap();
    let page = setup.l2.catch_up(at).await.unwrap();
    assert_eq!((page.idents.len(), page.upto), (1000, first));
}

#[tokio::test]
async fn cutting_the_log_by_size_raises_the_floor() {
    let setup = Setup::with(|redis| redis.max_log(1000)).await;
    let opened = setup.l2.open().await.unwrap();
    let idents: Vec<_> = (0..600u32).map(numbered).collect();
    let one = setup.l2.invalidate(&idents[..500], 0).await.unwrap().position;
    let two = setup.l2.invalidate(&idents[500..], 0).await.unwrap().position;
    assert_eq!(setup.l2.catch_up(two.seq).await.unwrap().floor, opened.seq);
    let idents: Vec<_> = (1000..1401u32).map(numbered).collect();
    let three = setup.l2.invalidate(&idents, 0).await.unwrap().position;
    assert_eq!(setup.l2.catch_up(two.seq).await.unwrap().floor, one.seq, "one ident of the first group went");
    let stamped = |seq| Position { seq, ..three };
    assert_eq!(setup.store(stamped(one.seq - 1), &[], "x").await, Stored::Refused(Refusal::Floor));
    assert_eq!(setup.store(stamped(one.seq), &[], "x").await, Stored::Accepted);
    let left: usize = {
        let log = setup.name(":l").await;
        let Value::Integer(left) = setup.command(&["ZCARD", &log]).await else { panic!("no number") };
        left.try_into().unwrap()
    };
    assert_eq!(left, 1001, "the idents and the sentinel");
}

#[tokio::test]
async fn cutting_the_log_by_age_raises_the_floor() {
    let setup = Setup::with(|redis| redis.retention(Duration::from_secs(600))).await;
    let at = setup.l2.open().await.unwrap().seq;
    let (hour_ago, half_an_hour_ago, minute_ago) = (at - 3_600_000_000, at - 1_800_000_000, at - 60_000_000);
    setup.begun_at(hour_ago).await;
    let log = setup.name(":l").await;
    for (ident, seq) in [("aaaaaaaaaaaaaaaa", half_an_hour_ago), ("bbbbbbbbbbbbbbbb", minute_ago)] {
        setup.command(&["ZADD", &log, &seq.to_string(), ident]).await;
    }
    assert_eq!(setup.l2.catch_up(at).await.unwrap().floor, hour_ago);

    setup.l2.invalidate(&[ident(1)], 0).await.unwrap();
    let page = setup.l2.catch_up(half_an_hour_ago).await.unwrap();
    assert_eq!(page.floor, half_an_hour_ago);
    assert_eq!(page.idents[0], (Ident::from_bytes([b'b'; 16]), minute_ago));
}

#[tokio::test]
async fn each_refusal_has_its_reason() {
    let setup = Setup::start().await;
    let at = setup.l2.open().await.unwrap();
    let refused = |reason| Stored::Refused(reason);

    let other = Position { incarnation: forebay_core::l2::Incarnation([9; 16]), ..at };
    assert_eq!(setup.store(other, &[], "x").await, refused(Refusal::Incarnation));
    assert_eq!(setup.store(Position { seq: at.seq - 1, ..at }, &[], "x").await, refused(Refusal::Floor));
    assert_eq!(setup.store(Position { seq: at.seq + 1, ..at }, &[], "x").await, refused(Refusal::Lineage));

    let after = setup.l2.invalidate(&[ident(1)], 0).await.unwrap().position;
    assert_eq!(setup.store(at, &[ident(2), ident(1)], "x").await, refused(Refusal::Invalidated));
    assert_eq!(setup.store(at, &[ident(2)], "old").await, Stored::Accepted);
    assert_eq!(setup.store(after, &[ident(1)], "new").await, Stored::Accepted);
    assert_eq!(setup.store(at, &[ident(2)], "old").await, refused(Refusal::Newer));
    assert_eq!(setup.store(after, &[ident(1)], "same").await, Stored::Accepted);
    assert_eq!(setup.frame().await.as_deref(), Some(&b"same"[..]));
}

#[tokio::test]
async fn a_fill_that_took_too_long_is_refused_by_the_servers_clock() {
    let setup = Setup::start().await;
    let position = setup.name(":v").await;
    let at = setup.l2.open().await.unwrap();
    let seq = at.seq - 3_600_000_000;
    setup.begun_at(seq).await;
    let at = Position { seq, ..at };
    assert_eq!(setup.store(at, &[], "x").await, Stored::Refused(Refusal::Late));

    // A position that stood still for so long is moved on by opening.
    setup.command(&["SET", &position, &seq.to_string()]).await;
    let moved = setup.l2.open().await.unwrap();
    assert_eq!(moved.incarnation, at.incarnation);
    assert!(moved.seq > seq + 3_599_000_000, "{moved:?}");
}

#[tokio::test]
async fn a_frame_of_a_lost_log_is_in_nobodys_way() {
    let setup = Setup::start().await;
    let at = setup.l2.open().await.unwrap();
    let far = setup.l2.invalidate(&[], FAR).await.unwrap().position;
    assert_eq!(setup.store(far, &[], "far").await, Stored::Accepted);
    let position = setup.name(":v").await;
    setup.command(&["SET", &position, &at.seq.to_string()]).await;
    assert_eq!(setup.store(at, &[], "near").await, Stored::Accepted);
    assert_eq!(setup.frame().await.as_deref(), Some(&b"near"[..]));
}

#[tokio::test]
async fn an_entry_of_another_type_is_a_miss_and_is_replaced() {
    let setup = Setup::start().await;
    let at = setup.l2.open().await.unwrap();
    setup.store(at, &[], "x").await;
    let entry = setup.name(":e:*").await;
    for make in [&["LPUSH", &entry, "x"][..], &["SET", &entry, "short"]] {
        setup.command(&["DEL", &entry]).await;
        setup.command(make).await;
        let found = setup.l2.lookup(key(1)).await.unwrap();
        assert_eq!((found.frame, found.position), (None, Some(at)));
        assert_eq!(setup.store(at, &[], "again").await, Stored::Accepted);
        assert_eq!(setup.frame().await.as_deref(), Some(&b"again"[..]));
    }
}

fn numbered(n: u32) -> Ident {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    Ident::from_bytes(bytes)
}
