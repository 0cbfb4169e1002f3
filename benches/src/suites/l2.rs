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
    let server = runtime.block_on(RedisServer::start()).map_err(|error| error.to_string())?;
    let processes = server.pid().into_iter().chain([std::process::id()]);
    let _pinned = processes.map(|process| tools::pin(process, CORE)).collect::<Result<Vec<_>, _>>()?;
    let client =
        runtime.block_on(client(&server)).map_err(|error| format!("fred cannot connect: {error}"))?;
    one_at_a_time(&runtime, &server, &client, options)?;
    many_at_once(&runtime, &client, options);
    Ok(())
}

fn one_at_a_time(
    runtime: &Rc<Runtime>,
    server: &RedisServer,
    client: &Client,
    options: &Options,
) -> Result<(), String> {
    let mut socket = Socket::connect(server.addr()).map_err(|error| format!("no connection: {error}"))?;
    let (get, get_client) = (runtime.clone(), client.clone());
    let (mget, mget_client) = (runtime.clone(), client.clone());
    let mut contestants = vec![
        Contestant::new("fred GET", move |ops| get.block_on(gets(&get_client, ops))),
        Contestant::new("fred MGET of entry and position", move |ops| {
            mget.block_on(mgets(&mget_client, ops))
        }),
        Contestant::new("blocking socket GET", move |ops| {
            for _ in 0..ops {
                socket.get().expect("Redis answers");
            }
        }),
    ];
    for subject in subjects::all().iter().filter(|subject| options.wants(subject.name())) {
        let origin = Origin::new();
        let Some(mut endpoint) = subject.l2_service(runtime, &origin, &server.url()) else { continue };
        let mut requests = Requests::new(Workload::SameKey);
        let runtime = runtime.clone();
        let run = move |ops| runtime.block_on(endpoint.exchange(&mut requests, ops));
        contestants.push(Contestant::new(subject.name(), run).counting(move || origin.calls()));
    }
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

fn many_at_once(runtime: &Rc<Runtime>, client: &Client, options: &Options) {
    let (get, get_client) = (runtime.clone(), client.clone());
    let (mget, mget_client) = (runtime.clone(), client.clone());
    let contestants = vec![
        Contestant::new("fred MGET of entry and position", move |ops| {
            mget.block_on(tasks(ops, |share| {
                let client = mget_client.clone();
                async move { mgets(&client, share).await }
            }));
        }),
        Contestant::new("fred GET", move |ops| {
            get.block_on(tasks(ops, |share| {
                let client = get_client.clone();
                async move { gets(&client, share).await }
            }));
        }),
    ];
    let title = format!("l2: 2 KiB from Redis, {TASKS} tasks on one connection, Redis on the same core");
    let mut table = Table::new(title, &["", "a second", "ratio", "spread"]);
    let rows = runner::measure(&options.plan, contestants);
    for row in &rows {
        table.row(vec![
            row.name.clone(),
            grouped(1e9 / row.ns()),
            format!("{:.2}", 1.0 / row.ratio_to(&rows[0])),
            format!("{:.0} %", row.spread() * 100.0),
        ]);
    }
    println!("{table}");
}

/// Shares `ops` out to the tasks.
async fn tasks<F>(ops: u32, mut task: impl FnMut(u32) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut all = JoinSet::new();
    for number in 0..TASKS {
        all.spawn(task(ops / TASKS + u32::from(number < ops % TASKS)));
    }
    while let Some(done) = all.join_next().await {
        done.expect("every task ends");
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
