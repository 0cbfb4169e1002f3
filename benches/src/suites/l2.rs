//! `l2`: what an answer from Redis costs, beside the bare clients.
//!
//! Redis and this program share one core: across cores the time of waking up the other side rules, and it does not
//! repeat.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;

use forebay_testkit::redis::RedisServer;
use fred::clients::Client;
use fred::interfaces::{ClientLike, KeysInterface};
use fred::types::Builder;
use fred::types::config::Config;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::endpoint::{Endpoint, Exchanges, stored};
use crate::origin::{BODY_BYTES, Origin};
use crate::runner::{self, Contestant};
use crate::subjects;
use crate::suites::{Options, tools};
use crate::table::{Table, grouped};
use crate::workload::{Requests, Workload};

const TASKS: u32 = 64;
const CORE: &str = "0";

pub(super) fn run(options: &Options) -> Result<(), String> {
    tools::require("taskset", "util-linux")?;
    let runtime = Rc::new(runner::runtime());
    let server = server(&runtime)?;
    let processes = server.pid().into_iter().chain([std::process::id()]);
    let _pinned = processes.map(|process| tools::pin(process, CORE)).collect::<Result<Vec<_>, _>>()?;
    one_at_a_time(&runtime, &server, options)?;
    many_at_once(&runtime, &server, options)
}

/// A Redis for this run alone.
pub(super) fn server(runtime: &Runtime) -> Result<RedisServer, String> {
    runtime.block_on(RedisServer::start()).map_err(|error| error.to_string())
}

/// The bare clients, with their names.
pub(super) fn clients(runtime: &Runtime, server: &RedisServer) -> Result<[Named; 2], String> {
    let client = runtime.block_on(client(server)).map_err(|error| format!("fred cannot connect: {error}"))?;
    let bare = |command| Box::new(Bare { client: client.clone(), command });
    Ok([("fred GET", bare(Command::Get)), ("fred MGET of entry and position", bare(Command::MGet))])
}

/// What is measured, with its name.
pub(super) type Named = (&'static str, Box<dyn Endpoint>);

fn one_at_a_time(runtime: &Rc<Runtime>, server: &RedisServer, options: &Options) -> Result<(), String> {
    let mut socket = Socket::connect(server.addr()).map_err(|error| format!("no connection: {error}"))?;
    let mut contestants: Vec<_> = endpoints(runtime, server, options)?
        .into_iter()
        .map(|(name, mut endpoint, origin)| {
            let mut requests = Requests::new(Workload::SameKey);
            let runtime = runtime.clone();
            let run = move |ops| runtime.block_on(endpoint.exchange(&mut requests, ops));
            Contestant::new(name, run).counting(move || origin.calls())
        })
        .collect();
    contestants.push(Contestant::new("blocking socket GET", move |ops| {
        for _ in 0..ops {
            socket.get().expect("Redis answers");
        }
    }));
    let mut table = Table::new(
        "l2: 2 KiB from Redis, one at a time, Redis on the same core",
        &["", "microseconds", "ratio", "spread", "origin calls"],
    );
    let rows = runner::measure(&options.plan, contestants);
    for row in &rows {
        table.row(vec![
            row.name.clone(),
            format!("{:.1}", row.ns() / 1e3),
            format!("{:.2}", row.ratio_to(&rows[0])),
            format!("{:.0} %", row.spread() * 100.0),
            format!("{:.2}", row.origin_calls),
        ]);
    }
    println!("{table}");
    Ok(())
}

fn many_at_once(runtime: &Rc<Runtime>, server: &RedisServer, options: &Options) -> Result<(), String> {
    let mut contestants = Vec::new();
    for (name, endpoint, origin) in endpoints(runtime, server, options)? {
        let runtime = runtime.clone();
        // A key for each task: on one key, a cache would ask Redis once for all of them.
        let mut tasks: Vec<_> =
            (0..TASKS).map(|task| (endpoint.fork(), Requests::of_article(task.into()))).collect();
        runtime.block_on(async {
            for (endpoint, requests) in &mut tasks {
                stored(&mut **endpoint, requests, &origin).await;
            }
        });
        let run = move |ops| tasks = runtime.block_on(at_once(std::mem::take(&mut tasks), ops));
        contestants.push(Contestant::new(name, run).counting(move || origin.calls()));
    }
    let title = format!(
        "l2: 2 KiB from Redis, {TASKS} tasks with a key each on one connection, Redis on the same core"
    );
    let mut table = Table::new(title, &["", "a second", "ratio", "spread", "origin calls"]);
    let rows = runner::measure(&options.plan, contestants);
    for row in &rows {
        table.row(vec![
            row.name.clone(),
            grouped(1e9 / row.ns()),
            format!("{:.2}", 1.0 / row.ratio_to(&rows[0])),
            format!("{:.0} %", row.spread() * 100.0),
            format!("{:.2}", row.origin_calls),
        ]);
    }
    println!("{table}");
    Ok(())
}

/// The bare clients, then every subject that has a Redis behind it, each with its origin.
fn endpoints(runtime: &Runtime, server: &RedisServer, options: &Options) -> Result<Vec<Row>, String> {
    let mut all: Vec<_> =
        clients(runtime, server)?.into_iter().map(|(name, bare)| (name, bare, Origin::new())).collect();
    for subject in subjects::all().iter().filter(|subject| options.wants(subject.name())) {
        let origin = Origin::new();
        if let Some(endpoint) = subject.l2_service(runtime, &origin, &server.url()) {
            all.push((subject.name(), endpoint, origin));
        }
    }
    Ok(all)
}

type Row = (&'static str, Box<dyn Endpoint>, Origin);

/// Shares `ops` out to the tasks, and gives them back.
async fn at_once(tasks: Vec<Task>, ops: u32) -> Vec<Task> {
    let mut all = JoinSet::new();
    for (number, (mut endpoint, mut requests)) in (0..).zip(tasks) {
        let share = ops / TASKS + u32::from(number < ops % TASKS);
        all.spawn(async move {
            endpoint.exchange(&mut requests, share).await;
            (endpoint, requests)
        });
    }
    all.join_all().await
}

type Task = (Box<dyn Endpoint>, Requests);

/// A client without a cache.
struct Bare {
    client: Client,
    command: Command,
}

#[derive(Clone, Copy)]
enum Command {
    Get,
    MGet,
}

impl Endpoint for Bare {
    fn exchange<'a>(&'a mut self, _: &'a mut Requests, count: u32) -> Exchanges<'a> {
        match self.command {
            Command::Get => Box::pin(gets(&self.client, count)),
            Command::MGet => Box::pin(mgets(&self.client, count)),
        }
    }

    fn fork(&self) -> Box<dyn Endpoint> {
        Box::new(Self { client: self.client.clone(), command: self.command })
    }
}

async fn client(server: &RedisServer) -> Result<Client, fred::error::Error> {
    let config = Config::from_url(&server.url())?;
    let client = Builder::from_config(config).build()?;
    client.init().await?;
    client.set::<(), _, _>(ENTRY, vec![b'x'; BODY_BYTES].as_slice(), None, None, false).await?;
    client.set::<(), _, _>(POSITION, "4711", None, None, false).await?;
    Ok(client)
}

async fn gets(client: &Client, ops: u32) {
    for _ in 0..ops {
        let entry: Option<bytes::Bytes> = client.get(ENTRY).await.expect("Redis answers");
        assert_eq!(entry.map(|entry| entry.len()), Some(BODY_BYTES));
    }
}

async fn mgets(client: &Client, ops: u32) {
    for _ in 0..ops {
        let both: Vec<Option<bytes::Bytes>> =
            client.mget(vec![ENTRY, POSITION]).await.expect("Redis answers");
        assert_eq!(both.len(), 2);
    }
}

/// The least that a client can do.
struct Socket {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Socket {
    fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let head = format!("${BODY_BYTES}\r\n");
        Ok(Self { stream, answer: vec![0; head.len() + BODY_BYTES + 2] })
    }

    fn get(&mut self) -> io::Result<()> {
        self.stream.write_all(format!("*2\r\n$3\r\nGET\r\n${}\r\n{ENTRY}\r\n", ENTRY.len()).as_bytes())?;
        self.stream.read_exact(&mut self.answer)
    }
}

const ENTRY: &str = "bench:{0}:entry";
const POSITION: &str = "bench:{0}:position";
