//! The suites that send requests one after another: `hit`, `router`, `bypass`, `miss`, and `l2` where it is counted.

use std::fmt::{self, Debug};
use std::rc::Rc;

use axum::body::Body;
use forebay_testkit::redis::RedisServer;
use tokio::runtime::Runtime;

use crate::endpoint::{Endpoint, endpoint};
use crate::origin::Origin;
use crate::runner::{self, Contestant, Measured};
use crate::subjects::{self, Subject};
use crate::suites::{Options, l2};
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
    Redis,
}

impl Exchange {
    /// Every part of every such suite.
    pub const ALL: [Self; 7] = [
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
            name: "bypass-options",
            title: "bypass-options: OPTIONS, which changes nothing, tower service alone",
            way: Way::Service,
            workload: Workload::Options,
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
        Self {
            name: "l2",
            title: "l2: one key from Redis, tower service alone, the clients' tasks included",
            way: Way::Redis,
            workload: Workload::SameKey,
        },
    ];

    /// The part called `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name == name)
    }

    /// Measures every subject and prints the table.
    pub(super) fn run(&self, options: &Options) -> Result<(), String> {
        let contestants = self.prepare(options)?.into_iter().map(Prepared::contestant).collect();
        let rows = runner::measure(&options.plan, contestants);
        println!("{}", self.table(&rows));
        Ok(())
    }

    /// Every subject that fits, in front of an origin of its own.
    ///
    /// # Errors
    ///
    /// A sentence for the user, when Redis is needed and cannot be started.
    pub fn prepare(&self, options: &Options) -> Result<Vec<Prepared>, String> {
        let runtime = Rc::new(runner::runtime());
        let server = match self.way {
            Way::Service | Way::Router => None,
            Way::Redis => Some(Rc::new(l2::server(&runtime)?)),
        };
        let mut all = Vec::new();
        if let Some(server) = &server {
            for (name, endpoint) in l2::clients(&runtime, server)? {
                let prepared = self.prepared(name, Origin::new(), endpoint, &runtime, Some(server));
                all.push(prepared);
            }
        }
        for subject in subjects::all() {
            let origin = Origin::new();
            let name = subject.name();
            if !options.wants(name) {
                continue;
            }
            if let Some(endpoint) = self.place(subject.as_ref(), &runtime, &origin, server.as_deref()) {
                all.push(self.prepared(name, origin, endpoint, &runtime, server.as_ref()));
            }
        }
        Ok(all)
    }

    fn place(
        &self,
        subject: &dyn Subject,
        runtime: &Runtime,
        origin: &Origin,
        server: Option<&RedisServer>,
    ) -> Option<Box<dyn Endpoint>> {
        match self.way {
            Way::Service => subject.service(runtime, origin),
            Way::Router => Some(endpoint::<_, Body, _>(subject.router(runtime, origin.app())?)),
            Way::Redis => subject.l2_service(runtime, origin, &server?.url()),
        }
    }

    fn prepared(
        &self,
        name: &'static str,
        origin: Origin,
        endpoint: Box<dyn Endpoint>,
        runtime: &Rc<Runtime>,
        server: Option<&Rc<RedisServer>>,
    ) -> Prepared {
        let requests = Requests::new(self.workload);
        Prepared { name, origin, endpoint, requests, runtime: Rc::clone(runtime), _server: server.cloned() }
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
    /// Ends with the last of those who use it.
    _server: Option<Rc<RedisServer>>,
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
