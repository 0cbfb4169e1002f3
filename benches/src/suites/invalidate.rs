//! `invalidate`: drop a tag that few or many entries carry.

use std::time::Duration;

use crate::runner::{now, quantile, runtime};
use crate::subjects;
use crate::suites::Options;
use crate::table::Table;

const SIZES: [u64; 2] = [100, 100_000];

pub(super) fn run(options: &Options) {
    let mut table = Table::new(
        "invalidate: drop one tag, microseconds",
        &["", "100 entries", "100,000 entries", "still served"],
    );
    let runtime = runtime();
    let stores = subjects::all().iter().flat_map(|subject| subject.tag_stores(&runtime)).collect::<Vec<_>>();
    for mut store in stores.into_iter().filter(|store| options.wants(store.name())) {
        let mut cells = vec![store.name().to_owned()];
        let mut served = 0;
        for entries in SIZES {
            let mut times = Vec::new();
            for _ in 0..options.plan.rounds {
                let (time, serves) = runtime.block_on(async {
                    store.fill(entries).await;
                    assert!(store.serves().await, "{} serves what it has stored", store.name());
                    let start = now();
                    store.drop_tag().await;
                    (start.elapsed(), store.serves().await)
                });
                times.push(microseconds(time));
                served += u32::from(serves);
            }
            cells.push(format!("{:.2}", quantile(times, 0.5)));
        }
        cells.push(served.to_string());
        table.row(cells);
    }
    println!("{table}");
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
