//! What a hit costs after invalidations that it has nothing to do with.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use forebay::{Cache, L2, Tag};
use forebay_testkit::memory::MemoryServer;
use http_body_util::Full;
use tokio::runtime::{Builder, Runtime};
use tower_layer::Layer;

use crate::endpoint::{Endpoint, endpoint};
use crate::origin::{Leaf, Origin};
use crate::workload::{Requests, Workload};

/// A cache that is in sync with an L2, and what has been invalidated in it.
pub struct Invalidated {
    runtime: Runtime,
    service: Box<dyn Endpoint>,
    requests: Requests,
}

/// The rows: how it is called, how many idents the table holds, and whether each hit is its entry's first since the last of them.
pub const CASES: [(&str, usize, Workload); 5] = [
    ("none", 0, Workload::SameKey),
    ("1", 1, Workload::SameKey),
    ("100,000", 100_000, Workload::SameKey),
    ("1, the entry's first hit since", 1, Workload::NewKeys),
    ("100,000, the entry's first hit since", 100_000, Workload::NewKeys),
];

impl Invalidated {
    /// The case of this name, for so many hits at most. The work before them must not depend on how many they will be: part of it
    /// is counted, and taken off as what two runs have in common.
    pub fn named(name: &str, at_most: u32) -> Option<Self> {
        let (_, number, workload) = *CASES.iter().find(|case| case.0 == name)?;
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let l2: Arc<dyn L2> = Arc::new(MemoryServer::new().client());
        // No poll falls into what is counted.
        let cache = Cache::builder("bench").l2(l2).lease("5m").build();
        let cache = runtime.block_on(cache).expect("the settings are in their ranges");
        let leaf: Leaf<Full<Bytes>> = Origin::new().leaf();
        let mut service = endpoint::<_, Body, _>(cache.layer().layer(leaf));
        let requests = Requests::new(workload);
        runtime.block_on(async {
            // Whoever has invalidated has joined, and whoever joins begins with an empty L1.
            invalidate(&cache, 0..0).await;
            service.exchange(&mut requests.clone(), at_most).await;
            for from in (0..number).step_by(A_MESSAGE) {
                invalidate(&cache, from..number.min(from + A_MESSAGE)).await;
            }
        });
        let mut prepared = Self { runtime, service, requests };
        if workload == Workload::SameKey {
            prepared.hit(at_most);
        }
        Some(prepared)
    }

    /// So many hits.
    pub fn hit(&mut self, times: u32) {
        self.runtime.block_on(self.service.exchange(&mut self.requests, times));
    }
}

async fn invalidate(cache: &Cache, numbers: std::ops::Range<usize>) {
    let tags: Vec<_> = numbers.map(|n| Tag(format!("other:{n}"))).collect();
    cache.invalidate(tags).await.expect("the L2 in memory confirms");
}

const A_MESSAGE: usize = 1000;
