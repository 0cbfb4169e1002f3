//! A thousand requests at once for one key that is nowhere, on one instance.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::routing::get;
use forebay::{Cache, Clock};
use http::Request;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::{Error, Outcome, ms};
use crate::table::Table;

/// What becomes of the request that leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leader {
    Answered,
    ClientLeaves,
    Panics,
}

/// Runs each scenario many times and prints the worst.
///
/// # Errors
/// When the cache cannot be built.
pub async fn run() -> Result<Outcome, Error> {
    std::panic::set_hook(Box::new(|_| {}));
    let head = ["leader", "rounds", "requests", "origin calls, most", "unanswered", "errors", "slowest ms"];
    let title = format!("{REQUESTS} requests for one cold key; the origin takes {TAKES:?}");
    let mut table = Table::new(title, &head);
    let mut outcome = Outcome::Held;
    let scenarios = [
        (Leader::Answered, "is answered", 1),
        (Leader::ClientLeaves, "its client leaves", 2),
        (Leader::Panics, "panics", 2),
    ];
    for (leader, title, most) in scenarios {
        let mut worst = Round::default();
        for _ in 0..ROUNDS {
            worst.absorb(&measure(leader).await?);
        }
        outcome = outcome.and(Outcome::of(worst.calls <= most && worst.unanswered == 0 && worst.errors == 0));
        table.row(vec![
            title.to_owned(),
            ROUNDS.to_string(),
            REQUESTS.to_string(),
            worst.calls.to_string(),
            worst.unanswered.to_string(),
            worst.errors.to_string(),
            ms(worst.slowest),
        ]);
    }
    println!("{table}");
    Ok(outcome)
}

#[derive(Default)]
struct Round {
    calls: usize,
    unanswered: usize,
    errors: usize,
    slowest: Duration,
}

impl Round {
    fn absorb(&mut self, other: &Self) {
        self.calls = self.calls.max(other.calls);
        self.unanswered += other.unanswered;
        self.errors += other.errors;
        self.slowest = self.slowest.max(other.slowest);
    }
}

struct Origin {
    calls: AtomicUsize,
    arrived: Notify,
    go: Notify,
    leader: Leader,
}

impl Origin {
    async fn answer(&self) -> &'static str {
        let first = self.calls.fetch_add(1, Ordering::SeqCst) == 0;
        if first {
            self.arrived.notify_one();
            self.go.notified().await;
            assert!(self.leader != Leader::Panics, "the leader's handler panics");
        }
        tokio::time::sleep(TAKES).await;
        "an answer"
    }
}

async fn measure(leader: Leader) -> Result<Round, Error> {
    let cache = Cache::builder("stampede").build().await?;
    let origin = Arc::new(Origin { calls: 0.into(), arrived: Notify::new(), go: Notify::new(), leader });
    let handler = {
        let origin = Arc::clone(&origin);
        move || async move { origin.answer().await }
    };
    let app = Router::new().route("/a", get(handler).layer(cache.route().ttl("1m"))).layer(cache.layer());
    let clock = Clock::system();
    let start = clock.now();
    let first = tokio::spawn(send(app.clone()));
    origin.arrived.notified().await;
    let mut requests = JoinSet::new();
    for _ in 1..REQUESTS {
        requests.spawn(send(app.clone()));
    }
    // All of them are waiting when the leader's fate is decided.
    tokio::time::sleep(Duration::from_millis(50)).await;
    if leader == Leader::ClientLeaves {
        first.abort();
    }
    origin.go.notify_one();
    let mut round = Round::default();
    let wait = async {
        while let Some(answer) = requests.join_next().await {
            round.errors += usize::from(!matches!(answer, Ok(Ok(_))));
        }
    };
    if tokio::time::timeout(PATIENCE, wait).await.is_err() {
        round.unanswered = requests.len();
    }
    round.slowest = clock.now().since(start);
    if leader == Leader::Answered {
        round.errors += usize::from(!matches!(first.await, Ok(Ok(_))));
    }
    round.calls = origin.calls.load(Ordering::SeqCst);
    Ok(round)
}

async fn send(app: Router) -> Result<(), Error> {
    let request = Request::get("/a").header("host", "stampede").body(Body::empty())?;
    let response = app.oneshot(request).await?;
    let body = to_bytes(response.into_body(), usize::MAX).await?;
    if body == "an answer" { Ok(()) } else { Err("another answer".into()) }
}

const REQUESTS: usize = 1000;
const ROUNDS: usize = 20;
const TAKES: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(30);
