//! Many more responses than L1 has room for: what it believes to hold, and what the process holds.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Path;
use axum::response::IntoResponse;
use axum::routing::get;
use forebay::{Cache, L1};
use http::Request;
use tower::ServiceExt;

use super::{Error, Outcome};
use crate::table::Table;

/// Fills L1 with distinct responses, a million unless told otherwise, and prints how it went.
///
/// # Errors
/// When the cache cannot be built, or the system does not tell the process' size.
pub async fn run(arguments: &[String]) -> Result<Outcome, Error> {
    let responses = arguments.first().map_or(Ok(RESPONSES), |number| number.parse())?;
    let title =
        format!("L1 of {} MiB, {responses} distinct responses of {BODY} bytes with 8 fields", CAP >> 20);
    let head = ["responses", "entries", "weights MiB", "of the cap", "RSS MiB", "RSS of the cap"];
    let mut table = Table::new(title, &head);
    let cache = Cache::builder("memory").l1(L1::bytes(CAP)).build().await?;
    let app: Router = Router::new()
        .route("/articles/{id}", get(show).layer(cache.route().ttl("1h").tags(["article:{id}", "articles"])))
        .layer(cache.layer());
    // The allocator and the runtime have their own memory before the first entry.
    for id in 0..100 {
        ask(&app, id).await?;
    }
    let base = resident()?;
    let (mut most, mut peak) = (0, 0);
    for id in 0..responses {
        ask(&app, id).await?;
        if id % SAMPLE == SAMPLE - 1 {
            most = most.max(cache.l1_size().1);
            peak = peak.max(resident()? - base);
        }
        if id % (responses / 10) == responses / 10 - 1 {
            let (entries, bytes) = cache.l1_size();
            table.row(row(&(id + 1).to_string(), entries, bytes, resident()? - base));
        }
    }
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let (entries, bytes) = cache.l1_size();
    let size = resident()? - base;
    table.row(row("at rest", entries, bytes, size));
    println!("{table}");
    let per = |total: u64| total as f64 / entries as f64;
    println!(
        "  weights: {:+.2} % of the cap at most; RSS at most {:.2} of the cap",
        share(most) * 100.0 - 100.0,
        share(peak)
    );
    println!("  an entry: payload {PAYLOAD} bytes (body, fields' names and values, key)");
    println!(
        "  beyond it: by weight {:.0} bytes, by RSS {:.0} bytes",
        per(bytes) - PAYLOAD as f64,
        per(size) - PAYLOAD as f64
    );
    Ok(Outcome::of(share(most) < 1.05))
}

fn row(title: &str, entries: u64, bytes: u64, resident: u64) -> Vec<String> {
    let mib = |bytes: u64| format!("{:.1}", bytes as f64 / f64::from(1 << 20));
    vec![
        title.to_owned(),
        entries.to_string(),
        mib(bytes),
        format!("{:.3}", share(bytes)),
        mib(resident),
        format!("{:.3}", share(resident)),
    ]
}

fn share(bytes: u64) -> f64 {
    bytes as f64 / CAP as f64
}

async fn show(Path(id): Path<u64>) -> impl IntoResponse {
    let mut body = format!("article {id} ").into_bytes();
    body.resize(BODY, b'x');
    (FIELDS, Bytes::from(body))
}

async fn ask(app: &Router, id: u64) -> Result<(), Error> {
    let request =
        Request::get(format!("/articles/{id:07}")).header("host", "shop.example").body(Body::empty())?;
    let response = app.clone().oneshot(request).await?;
    to_bytes(response.into_body(), usize::MAX).await?;
    Ok(())
}

/// The process' resident memory, in bytes.
fn resident() -> Result<u64, Error> {
    let status = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = status.split(' ').nth(1).ok_or("no resident size")?.parse()?;
    Ok(pages * rustix::param::page_size() as u64)
}

const CAP: u64 = 256 << 20;
const RESPONSES: u64 = 1_000_000;
const BODY: usize = 2048;
const SAMPLE: u64 = 1000;
/// Content-Length is the eighth.
const FIELDS: [(&str, &str); 7] = [
    ("content-type", "application/json"),
    ("cache-control", "public, max-age=3600"),
    ("etag", "\"5f3c8a1b2d4e6f70\""),
    ("last-modified", "Fri, 21 Nov 2025 08:00:00 GMT"),
    ("x-content-type-options", "nosniff"),
    ("x-request-id", "0f8fad5b-d9cd-469f-a165-70867728950e"),
    ("content-language", "en"),
];
const PAYLOAD: usize = BODY + fields_len() + KEY;
/// The canonical key of such a request: method, scheme, authority and path, each with its tag and length.
const KEY: usize = "GET/articles/0000000shop.example".len();

const fn fields_len() -> usize {
    let mut len = "content-length".len() + "2048".len();
    let mut index = 0;
    while index < FIELDS.len() {
        len += FIELDS[index].0.len() + FIELDS[index].1.len();
        index += 1;
    }
    len
}
