//! `compression`: what compressed bodies cost and save in L2.
//!
//! A *store* is the frame made of a response, without Redis; an *L2 hit* is a whole answer out of Redis, which has a core of its
//! own: what compression saves is network, and here that is the machine's own memory. Bodies are made of words and random numbers,
//! about as dense as what a service's API and its pages give.

use std::convert::Infallible;
use std::fmt::Write;
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use axum::body::Body;
use bytes::Bytes;
use forebay::{Authority, Cache, Compression, L1, Redis};
use forebay_core::entry::{Density, Early, Encoded};
use forebay_core::frame::{self, Header, Shape};
use forebay_core::key::Secrets;
use forebay_core::l2::Incarnation;
use forebay_testkit::redis::RedisServer;
use forebay_testkit::resp::Value;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::runtime::Runtime;
use tower::ServiceExt;
use tower_layer::Layer;

use crate::runner::{self, Contestant};
use crate::suites::{Options, l2};
use crate::table::{Table, grouped};

pub(super) fn run(options: &Options) -> Result<(), String> {
    let runtime = Rc::new(runner::runtime());
    let server = l2::server(&runtime)?;
    for (name, body) in bodies() {
        let mut table = Table::new(
            format!("compression: {name}"),
            &["", "frame", "bytes in Redis", "store, us", "L2 hit, us", "to none", "spread"],
        );
        let methods = methods();
        let stores = methods.iter().map(|(method, compression)| store(method, body.clone(), *compression));
        let stores = runner::measure(&options.plan, stores.collect());
        let mut frames = Vec::new();
        let mut hits = Vec::new();
        for (method, compression) in &methods {
            let service = format!("bench-{}-{method}", name.replace(' ', "-").to_lowercase());
            hits.push(hit(&runtime, &server, &service, body.clone(), *compression)?);
            frames.push((framed(&body, *compression).len(), used(&runtime, &server, &service)?));
        }
        let hits = runner::measure(&options.plan, hits);
        for (at, (method, _)) in methods.iter().enumerate() {
            table.row(vec![
                (*method).to_owned(),
                grouped(frames[at].0 as f64),
                grouped(frames[at].1 as f64),
                format!("{:.1}", stores[at].ns() / 1e3),
                format!("{:.1}", hits[at].ns() / 1e3),
                format!("{:.2}", hits[at].ratio_to(&hits[0])),
                format!("{:.0} %", hits[at].spread() * 100.0),
            ]);
        }
        println!("{table}");
    }
    Ok(())
}

fn methods() -> Vec<(&'static str, Compression)> {
    let all = [("none", Compression::none()), ("lz4", Compression::lz4())].into_iter();
    #[cfg(feature = "zstd")]
    let all = all.chain([("zstd-1", Compression::zstd(1)), ("zstd-3", Compression::zstd(3))]);
    all.collect()
}

fn store(method: &str, body: Bytes, compression: Compression) -> Contestant {
    Contestant::new(method, move |ops| {
        for _ in 0..ops {
            std::hint::black_box(framed(&body, compression));
        }
    })
}

fn framed(body: &Bytes, compression: Compression) -> Bytes {
    let header = Header {
        incarnation: Incarnation([7; 16]),
        stamp: 1_763_712_000_000_001,
        idents: Vec::new(),
        born: UNIX_EPOCH,
        lifetime: Duration::from_secs(60),
        keep: Duration::ZERO,
        early: Early::default(),
    };
    let meta = Bytes::from_static(&[0; 300]);
    let value = Encoded { meta, body: body.clone(), density: Density::Loose };
    let shape = Shape { compression, ..Shape::default() };
    frame::encode(&Secrets::new("bench", None), b"a key", &header, &value, shape).expect("it is small")
}

/// A service whose answer stands in Redis and nowhere else.
fn hit(
    runtime: &Rc<Runtime>,
    server: &RedisServer,
    namespace: &str,
    body: Bytes,
    compression: Compression,
) -> Result<Contestant, String> {
    let redis = Redis::url(&server.url()).map_err(|error| error.to_string())?;
    let cache = Cache::builder(namespace)
        .authority(Authority::Fixed("shop".into()))
        .l1(L1::bytes(64 << 10).max_entry(1))
        .l2(redis)
        .compression(compression)
        .build();
    let cache = runtime.block_on(cache).map_err(|error| error.to_string())?;
    let len = body.len();
    let origin = tower::service_fn(move |_: Request<Body>| {
        let response =
            Response::builder().header("content-type", "application/json").body(Full::new(body.clone()));
        std::future::ready(Ok::<_, Infallible>(response.expect("it is a response")))
    });
    let service = cache.route().ttl("1h").layer(origin);
    let ask = async move || {
        let request = Request::get("/articles/42").body(Body::empty()).expect("it is a request");
        let answer = service.clone().oneshot(request).await.expect("the service answers");
        let from_l2 = answer.headers()["cache-status"].as_bytes().ends_with(b"detail=l2");
        let body = answer.into_body().collect().await.expect("the body is whole").to_bytes();
        assert_eq!(body.len(), len);
        from_l2
    };
    runtime.block_on(async {
        while !ask().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let runtime = Rc::clone(runtime);
    Ok(Contestant::new(namespace, move |ops| {
        runtime.block_on(async {
            for _ in 0..ops {
                assert!(ask().await, "the answer comes from Redis");
            }
        });
    }))
}

/// What the entries of a namespace take in Redis' memory.
fn used(runtime: &Runtime, server: &RedisServer, namespace: &str) -> Result<i64, String> {
    let command = |args: Vec<String>| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        runtime.block_on(server.command(&args)).map_err(|error| error.to_string())
    };
    let names = command(vec!["KEYS".into(), format!("{{{namespace}:*:e:*")])?;
    let Value::Array(names) = names else { return Err("Redis gives no list of keys".into()) };
    let mut bytes = 0;
    for name in names.iter().filter_map(Value::as_bytes) {
        let name = String::from_utf8_lossy(name).into_owned();
        if let Value::Integer(used) = command(vec!["MEMORY".into(), "USAGE".into(), name])? {
            bytes += used;
        }
    }
    Ok(bytes)
}

fn bodies() -> Vec<(&'static str, Bytes)> {
    vec![
        ("JSON of 2 KiB", json(2 << 10)),
        ("HTML of 2 KiB", html(2 << 10)),
        ("JSON of 64 KiB", json(64 << 10)),
        ("HTML of 64 KiB", html(64 << 10)),
    ]
}

fn json(len: usize) -> Bytes {
    let (mut text, mut random) = (String::from("{\"items\":["), Random(1));
    while text.len() < len {
        let (id, hash, price) = (random.below(1 << 20), random.next(), random.below(100_000));
        let words = random.words();
        let _ =
            write!(text, "{{\"id\":{id},\"hash\":\"{hash:016x}\",\"title\":\"{words}\",\"price\":{price}}},");
    }
    text.truncate(len);
    text.into()
}

fn html(len: usize) -> Bytes {
    let (mut text, mut random) = (String::from("<!doctype html><html><body>"), Random(2));
    while text.len() < len {
        let (id, title, words) = (random.below(1 << 20), random.words(), random.words());
        let _ = writeln!(
            text,
            "<article class=\"card\"><h2><a href=\"/articles/{id}\">{title}</a></h2><p>{words}</p></article>"
        );
    }
    text.truncate(len);
    text.into()
}

/// The same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        self.0 ^ self.0 >> 29
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn words(&mut self) -> String {
        let count = 4 + self.below(8);
        let words: Vec<&str> = (0..count).map(|_| WORDS[self.below(WORDS.len() as u64) as usize]).collect();
        words.join(" ")
    }
}

const WORDS: [&str; 24] = [
    "river",
    "turbine",
    "intake",
    "concrete",
    "spillway",
    "gate",
    "pressure",
    "reservoir",
    "valley",
    "energy",
    "network",
    "morning",
    "engineer",
    "maintenance",
    "water",
    "level",
    "sensor",
    "report",
    "of",
    "the",
    "and",
    "in",
    "with",
    "for",
];
