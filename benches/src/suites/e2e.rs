//! `e2e`: wrk drives whole servers; each server has one core for itself, wrk has the other.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::runner::quantile;
use crate::subjects;
use crate::suites::{Options, tools};
use crate::table::{Table, grouped};

const SERVER_CORE: &str = "0";
const WRK_CORE: &str = "1";

pub(super) fn run(options: &Options) -> Result<(), String> {
    tools::require("taskset", "util-linux")?;
    tools::require("wrk", "wrk")?;
    let program = serve_program()?;
    let names: Vec<&str> = subjects::all().iter().map(|subject| subject.name()).collect();
    let servers = names
        .into_iter()
        .filter(|name| options.wants(name))
        .map(|name| Server::start(&program, name))
        .collect::<Result<Vec<_>, _>>()?;
    let mut rates = vec![Vec::new(); servers.len()];
    for server in &servers {
        server.drive("1s")?;
    }
    for round in 0..options.plan.rounds {
        for place in 0..servers.len() {
            let index = (place + round) % servers.len();
            rates[index].push(servers[index].drive("2s")?);
        }
    }
    let mut table =
        Table::new("e2e: wrk -t1 -c32, server on one core, 2 KiB, one key", &["", "requests/s", "to bare"]);
    for (server, own) in servers.iter().zip(&rates) {
        let against = own.iter().zip(&rates[0]).map(|(own, bare)| own / bare).collect();
        table.row(vec![
            server.name.to_owned(),
            grouped(quantile(own.clone(), 0.5)),
            format!("{:.2}", quantile(against, 0.5)),
        ]);
    }
    println!("{table}");
    Ok(())
}

/// The server is a program of its own, so that its allocator and its core are its own as well.
fn serve_program() -> Result<PathBuf, String> {
    let program = std::env::current_exe().map_err(|error| format!("this program has no path: {error}"))?;
    let serve = program.with_file_name("serve");
    if serve.exists() {
        return Ok(serve);
    }
    Err("the server is not built; `cargo build --release -p benches --features peers --bins` builds it"
        .to_owned())
}

struct Server {
    name: &'static str,
    process: Child,
    port: u16,
}

impl Server {
    fn start(program: &Path, name: &'static str) -> Result<Self, String> {
        let failed = |why: String| format!("the server of {name} did not start: {why}");
        let mut process = Command::new("taskset")
            .args(["-c", SERVER_CORE])
            .arg(program)
            .arg(name)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let out = process.stdout.take();
        let mut server = Self { name, process, port: 0 };
        let mut line = String::new();
        if let Some(out) = out {
            BufReader::new(out).read_line(&mut line).map_err(|error| failed(error.to_string()))?;
        }
        server.port = line.trim().parse().map_err(|_| failed(format!("it printed {line:?}")))?;
        Ok(server)
    }

    fn drive(&self, duration: &str) -> Result<f64, String> {
        let out = Command::new("taskset")
            .args(["-c", WRK_CORE, "wrk", "-t1", "-c32", "-d", duration])
            .arg(format!("http://127.0.0.1:{}/articles/42?page=1", self.port))
            .output()
            .map_err(|error| format!("wrk cannot be started: {error}"))?;
        let text = String::from_utf8_lossy(&out.stdout);
        requests_a_second(&text).ok_or_else(|| {
            let error = String::from_utf8_lossy(&out.stderr);
            format!("wrk measured nothing on {}:\n{text}{error}", self.name)
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that has ended already is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `None` as well when answers were missing or not successful.
fn requests_a_second(report: &str) -> Option<f64> {
    if report.contains("Socket errors") || report.contains("Non-2xx") {
        return None;
    }
    let line = report.lines().find_map(|line| line.strip_prefix("Requests/sec:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_with_failed_requests_is_no_measurement() {
        let report =
            "Running 2s test\n  1000 requests in 2.00s\nRequests/sec:    500.25\nTransfer/sec: 1MB\n";
        assert_eq!(requests_a_second(report), Some(500.25));
        assert_eq!(requests_a_second(&format!("{report}  Non-2xx or 3xx responses: 3\n")), None);
    }
}
