//! Runs an example as its users do, as a process, and speaks HTTP with it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;

/// A folder for the articles of one test.
pub(crate) struct Data(PathBuf);

impl Data {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("articles-{}-{number}", std::process::id());
        Self(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name))
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        // What is left lies in the folder for a test's leftovers.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running example that serves. Dropping it ends the process.
pub(crate) struct Site {
    _process: Child,
    address: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    log: watch::Receiver<String>,
}

impl Site {
    pub(crate) async fn start(program: &str, data: &Data, redis: Option<&str>) -> Self {
        let mut command = command(program, data);
        if let Some(url) = redis {
            command.env("REDIS_URL", url);
        }
        let mut process = command.spawn().unwrap();
        let log = collect(process.stderr.take().unwrap());
        let mut said = collect(process.stdout.take().unwrap());
        let introduced = timeout(PATIENCE, said.wait_for(|said| said.contains("http://"))).await;
        let said = introduced.expect("it introduces itself in time").expect("it does not end").clone();
        let address = said.split_whitespace().find_map(|word| word.strip_prefix("http://")).unwrap();
        Self {
            _process: process,
            address: address.trim_end_matches(':').parse().unwrap(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            log,
        }
    }

    /// What an answer ends with that this instance made.
    pub(crate) fn signature(&self) -> String {
        format!("made by {}", self.address)
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        fields: &[(&str, &str)],
        body: &str,
    ) -> Response<Incoming> {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body.to_owned())).unwrap();
        timeout(PATIENCE, self.client.request(request)).await.expect("an answer in time").unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    pub(crate) async fn get_with(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        Answer::of(self.send(Method::GET, path, fields, "").await).await
    }

    /// Asks until the answer is as wanted. Between the questions others run; the bound is time, not a count.
    pub(crate) async fn get_until(&self, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let asking = async {
            loop {
                let answer = self.get(path).await;
                if wanted(&answer) {
                    return answer;
                }
            }
        };
        timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{path} was never as wanted"))
    }

    pub(crate) async fn put(&self, path: &str, text: &str) -> Answer {
        Answer::of(self.send(Method::PUT, path, &[], text).await).await
    }

    /// Waits until this many responses have been stored in L2.
    pub(crate) async fn stored_in_l2(&self, number: u32) {
        let end = format!("result=\"stored\"}} {number}");
        self.get_until("/metrics", |metrics| metrics.text.lines().any(|line| line.ends_with(&end))).await;
    }

    /// Waits until the log says `what`, and returns all that it says.
    pub(crate) async fn log_with(&self, what: &str) -> String {
        let mut log = self.log.clone();
        let said = timeout(PATIENCE, log.wait_for(|log| log.contains(what))).await;
        said.unwrap_or_else(|_| panic!("the log never says {what:?}: {}", *self.log.borrow()))
            .unwrap()
            .clone()
    }
}

/// A response and its whole body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) fields: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    async fn of(response: Response<Incoming>) -> Self {
        let (parts, body) = response.into_parts();
        let body = timeout(PATIENCE, body.collect()).await.expect("a whole body in time").unwrap();
        let text = String::from_utf8(body.to_bytes().to_vec()).unwrap();
        Self { status: parts.status, fields: parts.headers, text }
    }

    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn cache_status(&self) -> &str {
        self.field("cache-status")
    }

    pub(crate) fn is_hit_of(&self, tier: &str) -> bool {
        self.cache_status().contains("; hit") && self.cache_status().contains(&format!("detail={tier}"))
    }
}

/// An example on a free port, with nothing from the environment of the tests.
pub(crate) fn command(program: &str, data: &Data) -> Command {
    let mut command = Command::new(program);
    command.env_remove("REDIS_URL").env("LISTEN", "127.0.0.1:0").env("DATA", &data.0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Reads a pipe as long as it lasts. The text so far is watched.
fn collect(pipe: impl AsyncRead + Unpin + Send + 'static) -> watch::Receiver<String> {
    let (sender, receiver) = watch::channel(String::new());
    tokio::spawn(async move {
        let mut lines = BufReader::new(pipe).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            sender.send_modify(|text| {
                text.push_str(&line);
                text.push('\n');
            });
        }
    });
    receiver
}

const PATIENCE: Duration = Duration::from_secs(20);
