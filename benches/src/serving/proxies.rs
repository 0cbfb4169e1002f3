//! `forebay serve` beside nginx and Varnish: hits out of memory, each proxy alone on one core, wrk on the other.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use forebay_testkit::http::Client;

use super::Error;
use super::forebay::Forebay;
use super::origin::Origin;
use super::process::{Program, Scratch, free_address, pinned};
use crate::runner::quantile;
use crate::table::{Table, grouped};

/// How long is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How long wrk drives a proxy in each round.
    pub turn: Duration,
    /// How many rounds there are.
    pub rounds: usize,
}

impl Plan {
    /// Reads `--seconds N` and `--rounds N`.
    ///
    /// # Errors
    /// A sentence for the user, when there is anything else.
    pub fn read(arguments: impl IntoIterator<Item = String>) -> Result<Self, Error> {
        let mut plan = Self { turn: Duration::from_secs(3), rounds: 7 };
        let mut arguments = arguments.into_iter();
        while let Some(option) = arguments.next() {
            let number = arguments.next().and_then(|value| value.parse().ok()).filter(|number| *number > 0);
            let number: u32 = number.ok_or_else(|| format!("{option} needs a whole number above zero"))?;
            match option.as_str() {
                "--seconds" => plan.turn = Duration::from_secs(number.into()),
                "--rounds" => plan.rounds = number as usize,
                _ => {
                    return Err(
                        format!("there is no option {option}; there are --seconds and --rounds").into()
                    );
                }
            }
        }
        Ok(plan)
    }
}

/// Measures with bodies of two sizes.
///
/// # Errors
/// When one of the programs is missing or does not do its work.
pub async fn run(plan: Plan) -> Result<(), Error> {
    let origin = Origin::start()?;
    let proxies = start(origin.addr())?;
    for bytes in SIZES {
        let target = format!("/fixed/{bytes}/one");
        for proxy in &proxies {
            proxy.fill(&target, bytes, &origin).await?;
        }
        println!("{}", measure(plan, &proxies, &target, bytes)?);
    }
    Ok(())
}

struct Proxy {
    name: &'static str,
    addr: SocketAddr,
    program: Program,
    /// Goes after the program has ended.
    _scratch: Option<Scratch>,
}

fn start(origin: SocketAddr) -> Result<[Proxy; 3], Error> {
    let forebay = Forebay::start_on(PROXY_CORE, origin, &[])?;
    let addr = forebay.addr();
    let forebay = Proxy { name: "forebay serve", addr, program: forebay.program, _scratch: None };
    Ok([nginx(origin)?, varnish(origin)?, forebay])
}

fn nginx(origin: SocketAddr) -> Result<Proxy, Error> {
    let (scratch, addr) = (Scratch::new("nginx")?, free_address()?);
    let folder = scratch.path().display();
    let config = NGINX
        .replace("FOLDER", &folder.to_string())
        .replace("LISTEN", &addr.to_string())
        .replace("ORIGIN", &origin.to_string());
    let file = scratch.path().join("nginx.conf");
    fs::write(&file, config)?;
    let mut command = pinned(PROXY_CORE, installed("nginx", "nginx")?);
    command.arg("-p").arg(scratch.path()).arg("-c").arg(&file).args(["-e", "stderr"]);
    let mut program = Program::start(command, "util-linux")?;
    program.listens_at(addr)?;
    Ok(Proxy { name: "nginx proxy_cache", addr, program, _scratch: Some(scratch) })
}

fn varnish(origin: SocketAddr) -> Result<Proxy, Error> {
    let (scratch, addr) = (Scratch::new("varnish")?, free_address()?);
    let mut command = pinned(PROXY_CORE, installed("varnishd", "varnish")?);
    command.args(["-F", "-j", "none", "-T", "none", "-s", "malloc,256m", "-p", "thread_pools=1"]);
    command.arg("-n").arg(scratch.path()).args(["-a", &addr.to_string(), "-b", &origin.to_string()]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut program = Program::start(command, "util-linux")?;
    program.listens_at(addr)?;
    Ok(Proxy { name: "varnish", addr, program, _scratch: Some(scratch) })
}

/// A program by its name, which must be there: `taskset` would not say so clearly.
fn installed(name: &'static str, package: &str) -> Result<&'static str, Error> {
    let mut command = Command::new(name);
    command.arg("-V").stdout(Stdio::null()).stderr(Stdio::null());
    drop(Program::start(command, package)?);
    Ok(name)
}

impl Proxy {
    /// Has it store the answer, and makes sure that it has.
    async fn fill(&self, target: &str, bytes: usize, origin: &Origin) -> Result<(), Error> {
        let mut client = Client::new(self.addr);
        let mut calls = 0;
        for _ in 0..3 {
            calls = origin.calls().await?;
            let answer = client.get(target).await?;
            if answer.status != 200 || answer.body.len() != bytes {
                return Err(
                    format!("{} answers {}, {} bytes", self.name, answer.status, answer.body.len()).into()
                );
            }
            // Some store after they have answered.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        if origin.calls().await? != calls {
            return Err(format!("{} asks the origin for what it should have stored", self.name).into());
        }
        Ok(())
    }

    fn drive(&self, target: &str, turn: Duration) -> Result<Driven, Error> {
        let mut command = pinned(WRK_CORE, "wrk");
        command.args(["-t1", "-c32", "--latency", "-H", "Host: shop.example"]);
        command.arg(format!("-d{}s", turn.as_secs())).arg(format!("http://{}{target}", self.addr));
        let before = self.program.ticks()?;
        let out = command.output()?;
        let ticks = self.program.ticks()? - before;
        let text = String::from_utf8_lossy(&out.stdout);
        let error = || {
            format!("wrk measured nothing on {}:\n{text}{}", self.name, String::from_utf8_lossy(&out.stderr))
        };
        let driven = Driven::read(&text).ok_or_else(error)?;
        Ok(Driven { cpu: ticks as f64 / TICKS_A_SECOND * 1e6 / driven.requests, ..driven })
    }
}

/// What wrk tells.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Driven {
    /// Requests a second.
    rate: f64,
    /// In microseconds.
    p99: f64,
    /// How many requests there were.
    requests: f64,
    /// The proxy's processor time for a request, in microseconds.
    cpu: f64,
}

impl Driven {
    /// `None` as well when answers were missing or not successful.
    fn read(report: &str) -> Option<Self> {
        if report.contains("Socket errors") || report.contains("Non-2xx") {
            return None;
        }
        let value =
            |head: &str| report.lines().find_map(|line| line.trim().strip_prefix(head)).map(str::trim);
        let p99 = value("99%")?;
        let unit = p99.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
        let factor = match unit {
            "us" => 1.0,
            "ms" => 1e3,
            "s" => 1e6,
            _ => return None,
        };
        let p99 = p99.strip_suffix(unit)?.parse::<f64>().ok()? * factor;
        // "150000 requests in 3.00s, 345.00MB read"
        let requests = report.lines().find_map(|line| line.trim().split_once(" requests in "));
        let requests = requests?.0.parse().ok()?;
        Some(Self { rate: value("Requests/sec:")?.parse().ok()?, p99, requests, cpu: 0.0 })
    }
}

/// Rows take turns, and each round begins one row further; a ratio is the median over the rounds of a row against the first
/// in the same round.
fn measure(plan: Plan, proxies: &[Proxy], target: &str, bytes: usize) -> Result<Table, Error> {
    let mut all = vec![Vec::new(); proxies.len()];
    for proxy in proxies {
        proxy.drive(target, Duration::from_secs(1))?;
    }
    for round in 0..plan.rounds {
        for place in 0..proxies.len() {
            let index = (place + round) % proxies.len();
            all[index].push(proxies[index].drive(target, plan.turn)?);
        }
    }
    let title = format!(
        "A hit of {} KiB: wrk -t1 -c32 on one core, the proxy on the other; {} rounds of {} s, medians",
        bytes >> 10,
        plan.rounds,
        plan.turn.as_secs()
    );
    let mut table = Table::new(
        title,
        &["", "requests/s", "to nginx", "p99 us", "to nginx", "CPU us", "to nginx", "RSS MiB"],
    );
    for (proxy, own) in proxies.iter().zip(&all) {
        let median = |value: fn(&Driven) -> f64| quantile(own.iter().map(value).collect(), 0.5);
        let ratio = |value: fn(&Driven) -> f64| {
            quantile(own.iter().zip(&all[0]).map(|(own, nginx)| value(own) / value(nginx)).collect(), 0.5)
        };
        table.row(vec![
            proxy.name.to_owned(),
            grouped(median(|driven| driven.rate)),
            format!("{:.2}", ratio(|driven| driven.rate)),
            grouped(median(|driven| driven.p99)),
            format!("{:.2}", ratio(|driven| driven.p99)),
            format!("{:.1}", median(|driven| driven.cpu)),
            format!("{:.2}", ratio(|driven| driven.cpu)),
            format!("{:.1}", proxy.program.resident()? as f64 / f64::from(1 << 20)),
        ]);
    }
    Ok(table)
}

/// Two sizes of bodies, in bytes.
const SIZES: [usize; 2] = [2 << 10, 64 << 10];
const PROXY_CORE: &str = "0";
const WRK_CORE: &str = "1";
/// Of the clock that Linux counts processor time with, whatever its own runs at.
const TICKS_A_SECOND: f64 = 100.0;
/// One worker; connections that stay; open files remembered; the cache in memory.
const NGINX: &str = "\
daemon off;
worker_processes 1;
pid FOLDER/nginx.pid;
error_log stderr crit;
events { worker_connections 4096; multi_accept on; }
http {
    access_log off;
    sendfile on;
    tcp_nodelay on;
    keepalive_timeout 60s;
    keepalive_requests 1000000000;
    open_file_cache max=10000 inactive=60s;
    client_body_temp_path FOLDER/body;
    proxy_temp_path FOLDER/proxy;
    fastcgi_temp_path FOLDER/fastcgi;
    uwsgi_temp_path FOLDER/uwsgi;
    scgi_temp_path FOLDER/scgi;
    proxy_cache_path FOLDER/cache levels=1:2 keys_zone=one:16m max_size=256m inactive=1h use_temp_path=off;
    upstream origin { server ORIGIN; keepalive 32; }
    server {
        listen LISTEN;
        location / {
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host $host;
            proxy_cache one;
            add_header X-Cache-Status $upstream_cache_status;
        }
    }
}
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_whatever_its_unit() {
        let report = |p99: &str| {
            format!(
                "  Latency Distribution\n     50%  300us\n     99%  {p99}\n  150 requests in 3.00s, 1MB read\nRequests/sec:  50000.50\n"
            )
        };
        let driven = |p99| Some(Driven { rate: 50000.5, p99, requests: 150.0, cpu: 0.0 });
        assert_eq!(Driven::read(&report("812.00us")), driven(812.0));
        assert_eq!(Driven::read(&report("1.50ms")), driven(1500.0));
        assert_eq!(Driven::read(&format!("{}  Non-2xx or 3xx responses: 3\n", report("1.5ms"))), None);
    }

    #[test]
    fn an_option_that_is_none_is_named() {
        let read = |line: &str| Plan::read(line.split_whitespace().map(str::to_owned));
        let plan = read("--seconds 2 --rounds 3").unwrap();
        assert_eq!((plan.turn, plan.rounds), (Duration::from_secs(2), 3));
        assert!(read("--fast 1").unwrap_err().to_string().starts_with("there is no option --fast"));
        assert_eq!(read("--rounds 0").unwrap_err().to_string(), "--rounds needs a whole number above zero");
    }
}
