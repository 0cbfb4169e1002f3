//! The suites that send requests one after another: `hit`, `router`, `bypass` and `miss`.

use std::fmt::{self, Debug};
use std::rc::Rc;

use axum::body::Body;
use tokio::runtime::Runtime;

use crate::endpoint::{Endpoint, endpoint};
use crate::origin::Origin;
use crate::runner::{self, Contestant, Measured};
use crate::subjects::{self, Subject};
use crate::suites::Options;
use crate::table::{Table, grouped};
use crate::workload::{Requests, Workload};

/// One workload over one way to reach the subjects.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    /// The name of the part; a suite may have several.
    pub name: &'static str,
    title: &'static str,
    way: Way,
    workload: Workload,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Service,
    Router,
}

impl Exchange {
    /// Every part of every such suite.
    pub const ALL: [Self; 5] = [
        Self {
            name: "hit",
            title: "hit: one key, tower service alone",
            way: Way::Service,
            workload: Workload::SameKey,
        },
        Self {
            name: "router",
            title: "router: one key, through an axum router",
            way: Way::Router,
            workload: Workload::SameKey,
        },
        Self {
            name: "bypass",
            title: "bypass: POST, tower service alone",
            way: Way::Service,
            workload: Workload::Post,
        },
        Self {
            name: "bypass-get",
            title: "bypass-get: GET whose response states no freshness, tower service alone",
            way: Way::Service,
            workload: Workload::NoFreshness,
        },
        Self {
            name: "miss",
            title: "miss: a new key each time, tower service alone",
            way: Way::Service,
            workload: Workload::NewKeys,
        },
    ];

    /// The part called `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name == name)
    }

    /// Measures every subject and prints the table.
    pub(super) fn run(&self, options: &Options) {
        let contestants = self.prepare(options).into_iter().map(Prepared::contestant).collect();
        let rows = runner::measure(&options.plan, contestants);
        println!("{}", self.table(&rows));
    }

    /// Every subject that fits, in front of an origin of its own.
    pub fn prepare(&self, options: &Options) -> Vec<Prepared> {
        let runtime = Rc::new(runner::runtime());
        subjects::all()
            .iter()
            .filter(|subject| options.wants(subject.name()))
            .filter_map(|subject| self.place(subject.as_ref(), runtime.clone()))
            .collect()
    }

    fn place(&self, subject: &dyn Subject, runtime: Rc<Runtime>) -> Option<Prepared> {
        let origin = Origin::new();
        let endpoint = match self.way {
            Way::Service => subject.service(&runtime, &origin)?,
            Way::Router => endpoint::<_, Body, _>(subject.router(&runtime, origin.app())?),
        };
        let requests = Requests::new(self.workload);
        Some(Prepared { name: subject.name(), origin, endpoint, requests, runtime })
    }

    fn table(&self, rows: &[Measured]) -> Table {
        let head = ["", "ns", "over bare, ns", "to bare", "to floor", "spread", "origin calls"];
        let mut table = Table::new(self.title, &head);
        let floor = rows.iter().find(|row| row.name == "floor");
        for row in rows {
            table.row(vec![
                row.name.clone(),
                grouped(row.ns()),
                grouped(row.ns() - rows[0].ns()),
                format!("{:.2}", row.ratio_to(&rows[0])),
                floor.map_or_else(String::new, |floor| format!("{:.2}", row.ratio_to(floor))),
                format!("{:.0} %", row.spread() * 100.0),
                format!("{:.2}", row.origin_calls),
            ]);
        }
        table
    }
}

/// A subject that is ready to be sent requests.
pub struct Prepared {
    /// The subject's name.
    pub name: &'static str,
    origin: Origin,
    endpoint: Box<dyn Endpoint>,
    requests: Requests,
    runtime: Rc<Runtime>,
}

impl Prepared {
    /// Sends `count` requests.
    pub fn exchange(&mut self, count: u32) {
        self.runtime.block_on(self.endpoint.exchange(&mut self.requests, count));
    }

    fn contestant(mut self) -> Contestant {
        let origin = self.origin.clone();
        Contestant::new(self.name, move |ops| self.exchange(ops)).counting(move || origin.calls())
    }
}

impl Debug for Prepared {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Prepared").field("name", &self.name).finish_non_exhaustive()
    }
}
