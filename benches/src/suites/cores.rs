//! `cores`: one hot key from one thread and from two. What threads share, such as a count of references, shows here.

use std::thread;

use axum::body::Body;
use tokio::runtime::Runtime;

use crate::endpoint::{Endpoint, endpoint};
use crate::origin::Origin;
use crate::runner::{self, Contestant, Measured};
use crate::subjects::{self, Subject};
use crate::suites::Options;
use crate::table::{Table, grouped};
use crate::workload::{Requests, Workload};

pub(super) fn run(options: &Options) {
    let service = |subject: &dyn Subject, runtime: &Runtime| subject.service(runtime, &Origin::apart());
    measure("cores: one hot key, tower service alone", service, options);
    let router = |subject: &dyn Subject, runtime: &Runtime| {
        Some(endpoint::<_, Body, _>(subject.router(runtime, Origin::apart().app())?))
    };
    measure("cores: one hot key, through an axum router", router, options);
}

fn measure(
    title: &str,
    place: impl Fn(&dyn Subject, &Runtime) -> Option<Box<dyn Endpoint>>,
    options: &Options,
) {
    let runtime = runner::runtime();
    let placed: Vec<_> = subjects::all()
        .iter()
        .filter(|subject| options.wants(subject.name()))
        .filter_map(|subject| Some((subject.name(), place(subject.as_ref(), &runtime)?)))
        .collect();
    let contestants = placed.iter().flat_map(|(name, endpoint)| {
        [1, 2].map(|threads| {
            let mut endpoints: Vec<_> = (0..threads).map(|_| endpoint.fork()).collect();
            Contestant::new(*name, move |ops| all_at_once(&mut endpoints, ops))
        })
    });
    let rows = runner::measure(&options.plan, contestants.collect());
    println!("{}", table(title, &rows));
}

/// Each endpoint sends `ops` requests on a thread of its own.
fn all_at_once(endpoints: &mut [Box<dyn Endpoint>], ops: u32) {
    thread::scope(|scope| {
        for endpoint in endpoints {
            scope.spawn(move || {
                let mut requests = Requests::new(Workload::SameKey);
                runner::runtime().block_on(endpoint.exchange(&mut requests, ops));
            });
        }
    });
}

/// Every two rows belong together: one thread, two threads.
fn table(title: &str, rows: &[Measured]) -> Table {
    let head = ["", "one thread, ns", "two threads, ns each", "throughput of two to one", "to bare"];
    let mut table = Table::new(title, &head);
    let scaling = |pair: &[Measured]| 2.0 * pair[0].ratio_to(&pair[1]);
    for pair in rows.chunks_exact(2) {
        table.row(vec![
            pair[0].name.clone(),
            grouped(pair[0].ns()),
            grouped(pair[1].ns()),
            format!("{:.2}", scaling(pair)),
            format!("{:.2}", scaling(pair) / scaling(&rows[..2])),
        ]);
    }
    table
}
