//! The services in other languages that the documentation shows, behind `forebay serve`.
//!
//! Where an interpreter is missing, its test says so on stderr, past the harness, and checks nothing.

use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::support::{Answer, Connection, Proxy, Scrap, within};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/sidecar");

#[tokio::test]
async fn a_python_service_is_cached_as_it_says_and_outlived() {
    is_cached_as_it_says("python3", "python/app.py").await;
}

#[tokio::test]
async fn a_node_service_is_cached_as_it_says_and_outlived() {
    is_cached_as_it_says("node", "node/app.mjs").await;
}

async fn is_cached_as_it_says(interpreter: &str, program: &str) {
    let Some(service) = Service::start(interpreter, program).await else { return };
    let site = Site::start(service.address, interpreter).await;

    let first = site.proxy.get("/articles/1").await;
    assert!(first.field("cache-status").contains("fwd=uri-miss; stored"), "{}", first.head);
    let second = site.get_until("/articles/1", "; hit").await;
    assert_eq!((first.body.as_str(), second.body.as_str()), ("Bread with rye\n", "Bread with rye\n"));
    let same = site.ask("GET /articles/1", &format!("if-none-match: {}\r\n", first.field("etag")), "").await;
    assert_eq!((same.status(), same.body.as_str()), (304, ""));

    let list = site.get_until("/articles", "fwd=stale; fwd-status=304; stored").await;
    assert_eq!((list.status(), list.body.as_str()), (200, "1: Bread with rye\n2: Soup of beans\n"));

    let changed = site.ask("POST /articles/1", "", "Rye again").await;
    assert_eq!((changed.status(), changed.body.as_str()), (200, "changed\n"));
    for (path, text) in [("/articles/1", "Rye again\n"), ("/articles", "1: Rye again\n2: Soup of beans\n")] {
        let new = site.proxy.get(path).await;
        assert!(new.field("cache-status").contains("fwd=uri-miss"), "{}", new.head);
        assert_eq!(new.body, text);
    }

    site.get_until("/articles/1", "; hit").await;
    site.get_until("/articles/2", "; hit").await;
    site.invalidate(r#"{"tags": ["article-2"]}"#).await;
    assert!(site.proxy.get("/articles/2").await.field("cache-status").contains("fwd=uri-miss"));
    assert!(site.proxy.get("/articles/1").await.field("cache-status").contains("; hit"));

    site.get_until("/articles", "fwd-status=304").await;
    service.end().await;
    let stale = site.proxy.get("/articles").await;
    assert!(stale.field("cache-status").contains("fwd=stale"), "{}", stale.head);
    assert!(stale.field("cache-status").contains("detail=stale-if-error"), "{}", stale.head);
    assert_eq!((stale.status(), stale.body.as_str()), (200, "1: Rye again\n2: Soup of beans\n"));
    assert!(site.proxy.get("/articles/1").await.field("cache-status").contains("; hit"));
    let unknown = site.proxy.get("/articles/3").await;
    assert_eq!((unknown.status(), unknown.body.as_str()), (502, "the origin cannot be reached\n"));
}

/// A service on a free port. Dropping it ends the process.
struct Service {
    process: Child,
    address: SocketAddr,
}

impl Service {
    /// `None` where there is no such interpreter.
    async fn start(interpreter: &str, program: &str) -> Option<Self> {
        let mut command = Command::new(interpreter);
        command.arg(format!("{EXAMPLES}/{program}")).env("PORT", "0");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut process = match command.spawn() {
            Ok(process) => process,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // Not by a macro: what those print, the harness keeps to itself.
                let mut past_the_harness = io::stderr().lock();
                writeln!(
                    past_the_harness,
                    "SKIPPED: {program} is not tested, there is no `{interpreter}` here"
                )
                .unwrap();
                return None;
            }
            Err(error) => panic!("{interpreter}: {error}"),
        };
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = within(lines.next_line()).await.unwrap().expect("it introduces itself");
        let address = line.split_once("http://").unwrap().1.parse().unwrap();
        Some(Self { process, address })
    }

    async fn end(mut self) {
        within(self.process.kill()).await.unwrap();
    }
}

/// `forebay serve` in front of a service.
struct Site {
    proxy: Proxy,
    _token: Scrap,
}

impl Site {
    async fn start(service: SocketAddr, name: &str) -> Self {
        let token = Scrap::new(name, TOKEN);
        let args = ["--admin-listen", "127.0.0.1:0", "--admin-token-file", token.path()];
        Self { proxy: Proxy::start(service, &args).await, _token: token }
    }

    async fn ask(&self, request: &str, fields: &str, body: &str) -> Answer {
        let length = body.len();
        let head = format!("{request} HTTP/1.1\r\nhost: a.example\r\n{fields}content-length: {length}\r\n");
        self.proxy.ask(&format!("{head}\r\n{body}")).await
    }

    /// Asks until Cache-Status has this in it: an answer is stored once its last byte is there, beside the client's.
    async fn get_until(&self, path: &str, said: &str) -> Answer {
        let asking = async {
            loop {
                let answer = self.proxy.get(path).await;
                if answer.field("cache-status").contains(said) {
                    return answer;
                }
            }
        };
        within(asking).await
    }

    async fn invalidate(&self, order: &str) {
        let length = order.len();
        let fields = format!(
            "host: a\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n"
        );
        let mut connection = Connection::to(self.proxy.admin()).await.unwrap();
        connection.send(format!("POST /invalidate HTTP/1.1\r\n{fields}\r\n{order}")).await;
        let answer = connection.answer().await;
        assert_eq!((answer.status(), answer.body.as_str()), (200, r#"{"confirmed":true,"seq":"local"}"#));
    }
}
