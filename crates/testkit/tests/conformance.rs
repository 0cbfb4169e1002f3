//! The in-memory L2 keeps the promises of the contract, and the suite notices when one is broken.

use std::time::Duration;

use forebay_core::key::Key;
use forebay_core::l2::{
    Claim, Held, Holding, Issued, L2, L2Future, Link, Lookup, Notices, Page, Position, Scores, Store, Stored,
    Tend, Tenure, Token,
};
use forebay_core::tag::Ident;
use forebay_testkit::conformance::{self, TINY_LOG, conformance};
use forebay_testkit::memory::{MemoryL2, MemoryServer, Settings};

fn pair(settings: Settings) -> [MemoryL2; 2] {
    let server = MemoryServer::with_settings(settings);
    [server.client(), server.client()]
}

#[tokio::test]
async fn the_l2_in_memory_conforms() {
    conformance(async |max_log| pair(Settings { max_log, ..Settings::default() })).await;
}

#[tokio::test(start_paused = true)]
async fn the_l2_in_memory_conforms_in_paused_time_with_small_pages() {
    conformance(async |max_log| pair(Settings { max_log, page: 7, ..Settings::default() })).await;
}

#[tokio::test]
#[should_panic(expected = "8 were allowed")]
async fn a_log_that_is_not_cut_is_noticed() {
    let [a, b] = pair(Settings { max_log: 2 * TINY_LOG, ..Settings::default() });
    conformance::a_cut_log_raises_its_floor(&a, &b).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "a link of the chain is missing")]
async fn a_lost_message_is_noticed() {
    let [a, b] = pair(Settings::default());
    b.drop_messages(1);
    conformance::every_subscriber_hears_the_whole_chain(&a, &b).await;
}

#[tokio::test]
#[should_panic(expected = "not atomic")]
async fn a_position_read_apart_from_the_frame_is_noticed() {
    let [a, b] = pair(Settings::default());
    conformance::a_lookup_never_sees_a_frame_without_its_position(&a, &Torn(b)).await;
}

/// An L2 whose lookups read the position first and the frame later.
struct Torn(MemoryL2);

impl L2 for Torn {
    fn open(&self) -> L2Future<'_, Position> {
        self.0.open()
    }

    fn lookup(&self, key: Key) -> L2Future<'_, Lookup> {
        Box::pin(async move {
            let position = self.0.poll(Link::Commands).await?;
            Ok(Lookup { position, ..self.0.lookup(key).await? })
        })
    }

    fn store<'a>(&'a self, store: Store<'a>) -> L2Future<'a, Stored> {
        self.0.store(store)
    }

    fn invalidate<'a>(&'a self, idents: &'a [Ident], at_least: u64) -> L2Future<'a, Issued> {
        self.0.invalidate(idents, at_least)
    }

    fn hold<'a>(&'a self, idents: &'a [Ident], at_least: u64, holding: Holding) -> L2Future<'a, Held> {
        self.0.hold(idents, at_least, holding)
    }

    fn catch_up(&self, after: u64) -> L2Future<'_, Page> {
        self.0.catch_up(after)
    }

    fn scores<'a>(&'a self, idents: &'a [Ident]) -> L2Future<'a, Scores> {
        self.0.scores(idents)
    }

    fn claim(&self, key: Key, token: Token, term: Duration, after: u64) -> L2Future<'_, (Claim, Lookup)> {
        self.0.claim(key, token, term, after)
    }

    fn tend(&self, key: Key, token: Token, tend: Tend) -> L2Future<'_, Tenure> {
        self.0.tend(key, token, tend)
    }

    fn poll(&self, link: Link) -> L2Future<'_, Option<Position>> {
        self.0.poll(link)
    }

    fn subscribe(&self) -> Notices {
        self.0.subscribe()
    }

    fn name(&self) -> &'static str {
        "torn"
    }
}
