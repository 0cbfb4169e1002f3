//! `stampede`: many tasks ask for one key that nobody has stored yet.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::origin::Origin;
use crate::runner::{now, quantile};
use crate::subjects::{self, Subject};
use crate::suites::Options;
use crate::table::{Table, grouped};
use crate::workload::{Requests, Workload};

const TASKS: u32 = 1000;
const ORIGIN: Duration = Duration::from_millis(50);

pub(super) fn run(options: &Options) {
    let runtime =
        Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime can be built");
    let title = format!(
        "stampede: {TASKS} tasks on one cold key, origin takes {} ms, protection on where it is offered",
        ORIGIN.as_millis()
    );
    let mut table = Table::new(title, &["", "origin calls, median", "most", "all answered after, ms"]);
    for subject in subjects::all().iter().filter(|subject| options.wants(subject.name())) {
        let stampedes: Vec<_> =
            (0..options.plan.rounds).filter_map(|_| stampede(&runtime, subject.as_ref())).collect();
        if stampedes.is_empty() {
            continue;
        }
        let calls: Vec<f64> = stampedes.iter().map(|stampede| stampede.origin_calls as f64).collect();
        let waits = stampedes.iter().map(|stampede| stampede.wait.as_secs_f64() * 1e3).collect();
        table.row(vec![
            subject.name().to_owned(),
            grouped(quantile(calls.clone(), 0.5)),
            grouped(quantile(calls, 1.0)),
            format!("{:.0}", quantile(waits, 0.5)),
        ]);
    }
    println!("{table}");
}

struct Stampede {
    origin_calls: u64,
    wait: Duration,
}

fn stampede(runtime: &Runtime, subject: &dyn Subject) -> Option<Stampede> {
    let origin = Origin::slow(ORIGIN);
    let service = subject.guarded_service(runtime, &origin)?;
    let wait = runtime.block_on(async {
        let start = now();
        let mut tasks = JoinSet::new();
        for _ in 0..TASKS {
            let mut service = service.fork();
            tasks.spawn(async move { service.exchange(&mut Requests::new(Workload::SameKey), 1).await });
        }
        while let Some(answered) = tasks.join_next().await {
            answered.expect("every task is answered");
        }
        start.elapsed()
    });
    Some(Stampede { origin_calls: origin.calls(), wait })
}
