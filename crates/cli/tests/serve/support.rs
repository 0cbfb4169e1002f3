//! The process, a client that says exactly what a test wants, and an origin that hears exactly what the process says.

use std::io;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

/// A running `forebay serve`. Dropping it ends the process.
pub(crate) struct Proxy {
    process: Child,
    log: watch::Receiver<String>,
    pub(crate) introduction: String,
    pub(crate) address: SocketAddr,
}

impl Proxy {
    pub(crate) async fn start(origin: SocketAddr, more: &[&str]) -> Self {
        let origin = format!("http://{origin}");
        let mut args = vec!["serve", "--listen", "127.0.0.1:0", "--origin", &origin];
        args.extend(more);
        Self::spawn(command(&args)).await
    }

    pub(crate) async fn spawn(mut command: Command) -> Self {
        let mut process = command.spawn().unwrap();
        let log = collect(process.stderr.take().unwrap());
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let introduction = within(lines.next_line()).await.unwrap();
        let introduction = introduction.unwrap_or_else(|| panic!("it ended: {}", *log.borrow()));
        let address = address_after(&introduction, "listening on http://");
        Self { process, log, address, introduction }
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        address_after(&self.introduction, "admin on http://")
    }

    /// Sends this text on a connection of its own, and returns the first answer to it.
    pub(crate) async fn ask(&self, request: &str) -> Answer {
        let mut connection = self.connect().await;
        connection.send(request).await;
        connection.answer().await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: a.example\r\n\r\n")).await
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::to(self.address).await.unwrap()
    }

    /// Waits until the log says this, and returns all of it.
    pub(crate) async fn log_with(&self, what: &str) -> String {
        let mut log = self.log.clone();
        within(log.wait_for(|log| log.contains(what))).await.unwrap().clone()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.process.id().expect("it runs")).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    pub(crate) async fn exit_code(&mut self) -> Option<i32> {
        within(self.process.wait()).await.unwrap().code()
    }
}

fn address_after(line: &str, what: &str) -> SocketAddr {
    let rest = line.split_once(what).unwrap_or_else(|| panic!("{what:?} in {line:?}")).1;
    rest.split([',', ' ']).next().unwrap().parse().unwrap()
}

/// The program with nothing from the environment of the tests.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forebay"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FOREBAY_")) {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// One connection that text is written to as it is.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) async fn to(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { stream: BufReader::new(TcpStream::connect(address).await?) })
    }

    pub(crate) async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(text.as_ref()).await.unwrap();
    }

    /// The next answer, with its body by Content-Length, by chunks, or to the end of the connection.
    pub(crate) async fn answer(&mut self) -> Answer {
        let head = self.head().await;
        let body = within(read_body(&mut self.stream, &head, !head.contains("HTTP/1.1 101"))).await;
        Answer { head, body }
    }

    /// The next answer's head alone.
    pub(crate) async fn head(&mut self) -> String {
        within(read_head(&mut self.stream)).await.expect("an answer")
    }

    /// Exactly this many bytes.
    pub(crate) async fn bytes(&mut self, number: usize) -> String {
        let mut bytes = vec![0; number];
        within(self.stream.read_exact(&mut bytes)).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// The head of the next answer; empty where the other end closes without one.
    pub(crate) async fn head_or_end(&mut self) -> String {
        within(read_head(&mut self.stream)).await.unwrap_or_default()
    }

    /// All that comes until the other end closes.
    pub(crate) async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        // A reset ends it as well.
        drop(within(self.stream.read_to_end(&mut rest)).await);
        String::from_utf8(rest).unwrap()
    }
}

/// A response, or a request, as text.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub(crate) fn first_line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    /// The values of all lines of a field.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    /// The value of a field that there is one line of; empty for none.
    pub(crate) fn field(&self, name: &str) -> &str {
        let all = self.all(name);
        assert!(all.len() < 2, "{name}: {all:?}");
        all.first().copied().unwrap_or_default()
    }
}

/// What the origin does with a request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Answers with this text.
    Text(String),
    /// Answers with it once it is told to.
    Later(Arc<Notify>, String),
    /// Closes the connection without a word.
    Close,
    /// Answers with the first text, and with the second once it is told to.
    Pieces(String, Arc<Notify>, String),
    /// Says nothing, for as long as the connection lasts.
    Silence,
    /// Answers with this head, and then sends back what it receives.
    Echo(String),
}

/// A fresh answer of the origin, with these fields and this body.
pub(crate) fn ok(fields: &str, body: &str) -> Reply {
    Reply::Text(format!("HTTP/1.1 200 OK\r\n{fields}content-length: {}\r\n\r\n{body}", body.len()))
}

/// An origin on a free port.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    seen: watch::Receiver<Vec<Answer>>,
    /// How many requests have been given up that were met with silence.
    given_up: watch::Receiver<usize>,
}

impl Origin {
    pub(crate) async fn start(reply: impl Fn(&Answer) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, seen) = watch::channel(Vec::new());
        let (ended, given_up) = watch::channel(0);
        let (reply, sender, ended) = (Arc::new(reply), Arc::new(sender), Arc::new(ended));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (reply, sender, ended) = (Arc::clone(&reply), Arc::clone(&sender), Arc::clone(&ended));
                tokio::spawn(serve(stream, reply, sender, ended));
            }
        });
        Self { address, seen, given_up }
    }

    /// The requests that have arrived whole.
    pub(crate) fn seen(&self) -> Vec<Answer> {
        self.seen.borrow().clone()
    }

    /// The only one.
    pub(crate) fn only(&self) -> Answer {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen[0].clone()
    }

    /// Waits until this many requests that were met with silence have been given up.
    pub(crate) async fn given_up(&self, number: usize) {
        let mut given_up = self.given_up.clone();
        within(given_up.wait_for(|given_up| *given_up >= number)).await.unwrap();
    }

    /// Waits until this many have arrived.
    pub(crate) async fn arrived(&self, number: usize) {
        let mut seen = self.seen.clone();
        within(seen.wait_for(|seen| seen.len() >= number)).await.unwrap();
    }
}

async fn serve(
    stream: TcpStream,
    reply: Arc<impl Fn(&Answer) -> Reply>,
    sender: Arc<watch::Sender<Vec<Answer>>>,
    ended: Arc<watch::Sender<usize>>,
) {
    let mut stream = BufReader::new(stream);
    while let Some(head) = read_head(&mut stream).await {
        let body = read_body(&mut stream, &head, false).await;
        let request = Answer { head, body };
        let reply = reply(&request);
        sender.send_modify(|seen| seen.push(request));
        let text = match reply {
            Reply::Text(text) => text,
            Reply::Later(told, text) => {
                told.notified().await;
                text
            }
            Reply::Close => return,
            Reply::Pieces(first, told, rest) => {
                stream.get_mut().write_all(first.as_bytes()).await.unwrap();
                told.notified().await;
                rest
            }
            Reply::Silence => {
                drop(read_head(&mut stream).await);
                ended.send_modify(|number| *number += 1);
                return;
            }
            Reply::Echo(head) => {
                stream.get_mut().write_all(head.as_bytes()).await.unwrap();
                let (mut reader, mut writer) = stream.into_inner().into_split();
                drop(tokio::io::copy(&mut reader, &mut writer).await);
                return;
            }
        };
        if stream.get_mut().write_all(text.as_bytes()).await.is_err() {
            return;
        }
        if text.contains("connection: close") {
            return;
        }
    }
}

/// The next head, with its empty line; `None` at the end of the connection.
async fn read_head(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_until(b'\n', &mut head).await {
            Ok(read) if read > 0 => {}
            _ => return None,
        }
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

/// The body as it was sent, chunks with their sizes and trailers. Without a length there is none, or it ends with the
/// connection.
async fn read_body(stream: &mut BufReader<TcpStream>, head: &str, to_the_end: bool) -> String {
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let mut body = Vec::new();
    if head.contains("transfer-encoding: chunked") {
        while !(body.ends_with(b"\r\n\r\n") && (body.starts_with(b"0\r\n") || contains(&body, b"\r\n0\r\n")))
        {
            if stream.read_until(b'\n', &mut body).await.unwrap_or(0) == 0 {
                break;
            }
        }
    } else if let Some(length) = length {
        body.resize(length.trim().parse().unwrap(), 0);
        if stream.read_exact(&mut body).await.is_err() {
            body.clear();
        }
    } else if to_the_end && !head.contains(" 304 ") && !head.contains(" 204 ") {
        drop(stream.read_to_end(&mut body).await);
    }
    String::from_utf8_lossy(&body).into_owned()
}

fn contains(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|window| window == what)
}

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

/// What has to come comes in time.
pub(crate) async fn within<F: Future>(what: F) -> F::Output {
    timeout(PATIENCE, what).await.expect("in time")
}

/// A file for one test, gone with it.
pub(crate) struct Scrap(pub(crate) std::path::PathBuf);

impl Scrap {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let path =
            std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Scrap {
    fn drop(&mut self) {
        // What is left lies in the folder for a test's leftovers.
        let _ = std::fs::remove_file(&self.0);
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
