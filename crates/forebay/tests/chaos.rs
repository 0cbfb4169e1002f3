//! Faults by chance: what they do to an L2, and what a cache makes of them.

#![cfg(feature = "chaos")]
#![expect(clippy::unwrap_used, reason = "helpers of tests; clippy excuses only the tests themselves")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use bytes::Bytes;
use forebay::chaos::{Chaos, ChaosL2, Faults};
use forebay::{Authority, Cache, Clock, L2, L2Error, Tag};
use forebay_core::l2::{Link, Message, Notice, Notices, Store, Stored};
use forebay_core::tag::Ident;
use forebay_testkit::clock::TokioClock;
use forebay_testkit::conformance::conformance;
use forebay_testkit::memory::{MemoryServer, Op, Settings};
use http_body_util::BodyExt;
use tower::ServiceExt;

/// A client of `server` behind a switch.
fn behind(server: &MemoryServer, chaos: &Chaos) -> ChaosL2 {
    ChaosL2::new(Arc::new(server.client()), chaos)
}

fn heard(notices: &mut Notices) -> Vec<Notice> {
    std::iter::from_fn(|| notices.try_recv().ok()).collect()
}

fn seqs(notices: &[Notice]) -> Vec<u64> {
    let seq = |notice: &Notice| match notice {
        Notice::Message(Message { seq, .. }) => Some(*seq),
        _ => None,
    };
    notices.iter().filter_map(seq).collect()
}

/// Lets everything that is under way come to rest.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(2)).await;
}

#[tokio::test(start_paused = true)]
async fn an_l2_without_faults_conforms() {
    let chaos = Chaos::seeded(1);
    conformance(async |max_log| {
        let server = MemoryServer::with_settings(Settings { max_log, ..Settings::default() });
        [behind(&server, &chaos), behind(&server, &chaos)]
    })
    .await;
    assert_eq!(chaos.counts(), forebay::chaos::Counts::default());
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_faults() {
    let faults = async |seed| {
        let (server, chaos) = (MemoryServer::new(), Chaos::seeded(seed));
        let l2 = behind(&server, &chaos);
        chaos.set(Faults::none().fail(0.3).drop_replies(0.3));
        let mut seen = Vec::new();
        for _ in 0..100 {
            seen.push(l2.poll(Link::Commands).await);
        }
        seen
    };
    let first = faults(1).await;
    assert_eq!(first, faults(1).await);
    assert_ne!(first, faults(2).await);
}

#[tokio::test(start_paused = true)]
async fn a_write_has_happened_where_the_reply_was_lost_and_only_there() {
    let (server, chaos) = (MemoryServer::new(), Chaos::seeded(1));
    let l2 = behind(&server, &chaos);
    let start = l2.open().await.unwrap();
    let article = [Ident::from_bytes([1; 16])];
    for faults in [Faults::none().fail(1.0), Faults::none().drop_requests(1.0)] {
        chaos.set(faults);
        l2.invalidate(&article, 0).await.unwrap_err();
        assert_eq!(server.position(), Some(start), "{faults:?}");
    }
    chaos.set(Faults::none().drop_replies(1.0));
    assert_eq!(l2.invalidate(&article, 0).await, Err(L2Error::Timeout));
    assert!(server.position().unwrap().seq > start.seq);
    let counts = chaos.counts();
    assert_eq!((counts.failed, counts.requests_dropped, counts.replies_dropped), (1, 1, 1));
    chaos.off();
    l2.invalidate(&article, 0).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_damaged_frame_is_another_one_and_the_one_in_l2_is_whole() {
    let (server, chaos) = (MemoryServer::new(), Chaos::seeded(1));
    let l2 = behind(&server, &chaos);
    let at = l2.open().await.unwrap();
    let (key, frame) = (forebay_core::key::Key::from_bytes([1; 16]), Bytes::from_static(b"a frame"));
    let ttl = Duration::from_secs(60);
    let store =
        Store { key, incarnation: at.incarnation, stamp: at.seq, ttl, frame: frame.clone(), idents: &[] };
    assert_eq!(l2.store(store).await, Ok(Stored::Accepted));
    chaos.set(Faults::none().corrupt(1.0));
    for _ in 0..100 {
        assert_ne!(l2.lookup(key).await.unwrap().frame.as_ref(), Some(&frame));
    }
    chaos.off();
    assert_eq!(l2.lookup(key).await.unwrap().frame, Some(frame));
    assert_eq!(chaos.counts().corrupted, 100);
}

#[tokio::test(start_paused = true)]
async fn messages_are_lost_repeated_and_late_as_told() {
    let (server, chaos) = (MemoryServer::new(), Chaos::seeded(1));
    let l2 = behind(&server, &chaos);
    l2.open().await.unwrap();
    let mut notices = l2.subscribe();
    settle().await;
    assert_eq!(heard(&mut notices), [Notice::Subscribed]);
    let mut issue = async |faults| {
        chaos.set(faults);
        let mut issued = Vec::new();
        for _ in 0..3 {
            issued.push(l2.invalidate(&[], 0).await.unwrap().position.seq);
            tokio::task::yield_now().await;
        }
        settle().await;
        (issued, seqs(&heard(&mut notices)))
    };
    let (issued, got) = issue(Faults::none()).await;
    assert_eq!(got, issued);
    assert!(issue(Faults::none().lose_messages(1.0)).await.1.is_empty());
    let (issued, got) = issue(Faults::none().repeat_messages(1.0)).await;
    assert_eq!(got, issued.iter().flat_map(|seq| [*seq, *seq]).collect::<Vec<_>>());
    let (mut reordered, mut rounds) = (0, 0);
    while reordered == 0 && rounds < 100 {
        let (issued, mut got) = issue(Faults::none().reorder_messages(0.5)).await;
        reordered += usize::from(got != issued);
        got.sort_unstable();
        assert_eq!(got, issued, "late, and not lost");
        rounds += 1;
    }
    assert_eq!(reordered, 1, "none of {rounds} came in another order");
}

#[tokio::test(start_paused = true)]
async fn the_bus_ends_with_its_listener() {
    let (server, chaos) = (MemoryServer::new(), Chaos::seeded(1));
    let l2 = behind(&server, &chaos);
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let notices = l2.subscribe();
    settle().await;
    assert_eq!(tasks(), before + 1);
    drop(notices);
    settle().await;
    assert_eq!(tasks(), before);
}

/// A service whose article has a version.
struct Node {
    cache: Cache,
    app: Router,
}

impl Node {
    async fn start(server: &MemoryServer, chaos: &Chaos, version: &Arc<AtomicU64>) -> Self {
        let l2: Arc<dyn L2> = Arc::new(server.client());
        let cache = Cache::builder("shop")
            .authority(Authority::Fixed("shop".into()))
            .clock(Clock::new(TokioClock::new()))
            .l2(l2)
            .chaos(chaos)
            .build();
        let cache = cache.await.unwrap();
        let version = Arc::clone(version);
        let article = move || {
            let version = version.load(SeqCst).to_string();
            async move { version }
        };
        let app = Router::new().route("/", get(article).layer(cache.route().ttl("5m").tags(["article"])));
        Self { cache, app }
    }

    async fn version(&self) -> u64 {
        let answer = self.app.clone().oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        std::str::from_utf8(&body).unwrap().parse().unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_cache_keeps_its_promises_over_it_and_no_request_fails() {
    for seed in 0..20 {
        let (server, chaos, version) = (MemoryServer::new(), Chaos::seeded(seed), Arc::default());
        let nodes =
            [Node::start(&server, &chaos, &version).await, Node::start(&server, &chaos, &version).await];
        let rough = Faults::none()
            .fail(0.1)
            .drop_requests(0.05)
            .drop_replies(0.05)
            .delay(0.2, Duration::from_millis(50))
            .corrupt(0.2)
            .lose_messages(0.3)
            .repeat_messages(0.3)
            .reorder_messages(0.3);
        chaos.set(rough);
        for round in 0..100 {
            let (writer, other) = (&nodes[round % 2], &nodes[(round + 1) % 2]);
            let current = version.fetch_add(1, SeqCst) + 1;
            if writer.cache.invalidate(Tag("article")).await.is_ok() {
                assert_eq!(writer.version().await, current, "seed {seed}, round {round}");
            }
            other.version().await;
        }
        chaos.off();
        settle().await;
        settle().await;
        let current = version.load(SeqCst);
        assert_eq!([nodes[0].version().await, nodes[1].version().await], [current; 2], "seed {seed}");
        let counts = chaos.counts();
        assert!(counts.failed > 0 && counts.messages_lost > 0, "{counts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn memory_l2_stands_for_a_shared_server() {
    let (server, chaos) = (MemoryServer::new(), Chaos::seeded(1));
    let version = Arc::default();
    let nodes = [Node::start(&server, &chaos, &version).await, Node::start(&server, &chaos, &version).await];
    settle().await;
    assert_eq!(nodes[0].version().await, 0);
    settle().await;
    let client = server.client();
    assert_eq!(client.calls(Op::Lookup), 0);
    version.store(1, SeqCst);
    assert_eq!(nodes[1].version().await, 0, "from what the other has stored");
}
