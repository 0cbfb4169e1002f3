//! The cache under test between a client and an origin that follow a script.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

pub(crate) use crate::process::{Answer, Reply};
use crate::process::{Origin, Proxy, within};

/// A running `forebay serve`, and what its origin says for each path.
pub(crate) struct Cache {
    pub(crate) proxy: Proxy,
    origin: Origin,
    scripts: Arc<Mutex<HashMap<String, VecDeque<Reply>>>>,
    paths: AtomicUsize,
}

impl Cache {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With these flags.
    pub(crate) async fn with(flags: &[&str]) -> Self {
        let scripts = Arc::new(Mutex::new(HashMap::<String, VecDeque<Reply>>::new()));
        let script = Arc::clone(&scripts);
        let origin = Origin::start(move |request| {
            let mut scripts = script.lock().unwrap();
            let next = scripts.get_mut(path_of(request)).and_then(VecDeque::pop_front);
            next.unwrap_or_else(|| reply(500, &["Cache-Control: no-store"], "not in the script"))
        })
        .await;
        let proxy = Proxy::start(origin.address, flags).await;
        Self { proxy, origin, scripts, paths: AtomicUsize::new(0) }
    }

    /// A path that no other request is for, where the origin answers so, one after the other.
    pub(crate) fn path(&self, replies: impl IntoIterator<Item = Reply>) -> String {
        let path = format!("/{}", self.paths.fetch_add(1, Ordering::Relaxed));
        self.script(&path, replies);
        path
    }

    /// The origin answers requests for this path so, one after the other.
    pub(crate) fn script(&self, path: &str, replies: impl IntoIterator<Item = Reply>) {
        self.scripts.lock().unwrap().entry(path.to_owned()).or_default().extend(replies);
    }

    pub(crate) async fn get(&self, path: &str, fields: &[&str]) -> Answer {
        self.send("GET", path, fields).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, fields: &[&str]) -> Answer {
        let host =
            if fields.iter().any(|field| field.starts_with("Host:")) { "" } else { "Host: a.example\r\n" };
        let mut request = format!("{method} {path} HTTP/1.1\r\n{host}Connection: close\r\n");
        if matches!(method, "POST" | "PUT" | "PATCH") {
            request.push_str("Content-Length: 0\r\n");
        }
        for field in fields {
            writeln!(request, "{field}\r").unwrap();
        }
        request.push_str("\r\n");
        let mut connection = self.proxy.connect().await;
        connection.send(request).await;
        parse(&connection.rest().await)
    }

    /// What the origin was asked for this path.
    pub(crate) fn asked(&self, path: &str) -> Vec<Answer> {
        self.origin.seen().into_iter().filter(|request| path_of(request) == path).collect()
    }

    /// Waits until the origin has been asked for this path so often.
    pub(crate) async fn asked_times(&self, path: &str, times: usize) {
        loop {
            let all = self.origin.seen().len();
            if self.asked(path).len() >= times {
                return;
            }
            self.origin.arrived(all + 1).await;
        }
    }

    /// Asks until an answer is as wanted: for what happens beside an answer and not before it.
    pub(crate) async fn until(
        &self,
        path: &str,
        fields: &[&str],
        wanted: impl Fn(&Answer) -> bool,
    ) -> Answer {
        within(async {
            loop {
                let answer = self.get(path, fields).await;
                if wanted(&answer) {
                    return answer;
                }
            }
        })
        .await
    }

    /// Whether a second GET is answered with the response that the first one got, with the origin not being asked.
    pub(crate) async fn reuses(&self, fields: &[&str]) -> bool {
        self.reuses_for(200, fields, &[]).await
    }

    /// The same for a response with this status, and for a second request with these fields.
    pub(crate) async fn reuses_for(&self, status: u16, fields: &[&str], request: &[&str]) -> bool {
        self.reuses_between(status, &[], fields, request).await
    }

    /// The same where the first request has fields too.
    pub(crate) async fn reuses_between(
        &self,
        status: u16,
        first: &[&str],
        fields: &[&str],
        second: &[&str],
    ) -> bool {
        let path = self.path([reply(status, fields, "first"), reply(status, fields, "second")]);
        let before = self.get(&path, first).await;
        assert_eq!((before.status(), before.first_line().contains(" 1")), (status, false), "{before:?}");
        let answer = self.get(&path, second).await;
        let asked = self.asked(&path).len();
        match asked {
            1 => assert_eq!(answer.body, before.body, "{fields:?}: {answer:?}"),
            _ => assert_ne!(answer.body, "first", "{fields:?}: {answer:?}"),
        }
        asked == 1
    }
}

/// An answer of the origin, with Date and Content-Length where it does not name them itself.
pub(crate) fn reply(status: u16, fields: &[&str], body: &str) -> Reply {
    let mut text = format!("HTTP/1.1 {status} Status\r\n");
    let names = |name: &str| fields.iter().any(|field| field.to_ascii_lowercase().starts_with(name));
    for field in fields {
        write!(text, "{field}\r\n").unwrap();
    }
    if !names("date:") {
        write!(text, "Date: {}\r\n", date(0)).unwrap();
    }
    let bodiless = matches!(status, 100..200 | 204 | 304);
    if !bodiless && !names("content-length:") && !names("transfer-encoding:") {
        write!(text, "Content-Length: {}\r\n", body.len()).unwrap();
    }
    Reply::Text(format!("{text}\r\n{}", if bodiless { "" } else { body }))
}

/// A 200.
pub(crate) fn ok(fields: &[&str], body: &str) -> Reply {
    reply(200, fields, body)
}

/// An answer without any field that was not asked for.
pub(crate) fn exactly(text: &str) -> Reply {
    Reply::Text(text.to_owned())
}

/// So many seconds from now, as HTTP writes it.
#[expect(clippy::disallowed_methods, reason = "the process goes by the machine's clock")]
pub(crate) fn date(seconds: i64) -> String {
    let by = Duration::from_secs(seconds.unsigned_abs());
    let now = SystemTime::now();
    httpdate::fmt_http_date(if seconds < 0 { now - by } else { now + by })
}

/// A field that says a time so many seconds from now.
pub(crate) fn dated(name: &str, seconds: i64) -> String {
    format!("{name}: {}", date(seconds))
}

/// The number in Age.
pub(crate) fn age(answer: &Answer) -> u64 {
    answer.field("age").parse().unwrap_or_else(|_| panic!("no age: {answer:?}"))
}

fn path_of(request: &Answer) -> &str {
    request.first_line().split(' ').nth(1).unwrap()
}

fn parse(text: &str) -> Answer {
    // Nothing at all comes where the origin's answer broke off before any of it was sent.
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    let head = format!("{head}\r\n\r\n");
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunked(body) } else { body.to_owned() };
    Answer { head, body }
}

/// The content of a chunked body, as far as it has come.
fn unchunked(mut text: &str) -> String {
    let mut content = String::new();
    while let Some((size, rest)) = text.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap_or(0).min(rest.len());
        content.push_str(&rest[..size]);
        text = rest[size..].strip_prefix("\r\n").unwrap_or_default();
    }
    content
}
