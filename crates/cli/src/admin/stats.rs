//! `GET /stats`: what the cache holds and has done.

use axum::Json;
use axum::extract::State;
use forebay::{Admission, Census, Standing};
use serde::Serialize;

use super::backstage::Backstage;

/// The answer.
#[derive(Debug, Serialize)]
pub(super) struct Stats {
    version: &'static str,
    namespace: String,
    profile: &'static str,
    uptime_seconds: u64,
    l1: L1,
    l2: &'static str,
    configuration: Option<Configuration>,
    hits: Hits,
    misses: u64,
    remembered: Remembered,
    process: Process,
}

/// Which configuration of the namespace this is, and which others there are.
#[derive(Debug, Serialize)]
struct Configuration {
    own: String,
    strangers: Vec<String>,
}

/// What the instance keeps of invalidations.
#[derive(Debug, Serialize)]
struct Remembered {
    invalidated: usize,
    unconfirmed: usize,
    acknowledged: usize,
}

/// What the process uses: for telling whether it grows.
#[derive(Debug, Serialize)]
struct Process {
    tasks: usize,
    /// Where the system tells it.
    open_files: Option<usize>,
}

impl Process {
    fn now() -> Self {
        let open_files = std::fs::read_dir("/proc/self/fd").ok().map(Iterator::count);
        Self { tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(), open_files }
    }
}

#[derive(Debug, Serialize)]
struct L1 {
    entries: u64,
    bytes: u64,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Hits {
    l1: u64,
    l2: u64,
    flight: u64,
}

pub(super) async fn stats(State(backstage): State<Backstage>) -> Json<Stats> {
    let (entries, bytes) = backstage.cache.l1_size();
    let metrics = backstage.metrics.render();
    let remembered = backstage.cache.bookkeeping();
    let census = backstage.cache.census();
    let refused = census.as_ref().is_some_and(|census| census.admission == Admission::Refused);
    let configuration = census.map(|census| {
        let Census { own, strangers, .. } = &*census;
        Configuration { own: own.clone(), strangers: strangers.clone() }
    });
    Json(Stats {
        version: env!("CARGO_PKG_VERSION"),
        namespace: backstage.namespace.to_string(),
        profile: backstage.profile,
        uptime_seconds: backstage.started.elapsed().as_secs(),
        l1: L1 { entries, bytes },
        l2: match (backstage.shared, backstage.cache.standing()) {
            (false, _) => "none",
            _ if refused => "refused",
            (true, Standing::Synced) => "synced",
            (true, Standing::Unsynced) => "unsynced",
            (true, Standing::Apart) => "apart",
            (true, _) => "lapsed",
        },
        configuration,
        hits: Hits {
            l1: sum(&metrics, "cache_hits_total", "tier=\"l1\""),
            l2: sum(&metrics, "cache_hits_total", "tier=\"l2\""),
            flight: sum(&metrics, "cache_hits_total", "tier=\"flight\""),
        },
        misses: sum(&metrics, "cache_misses_total", ""),
        remembered: Remembered {
            invalidated: remembered.invalidated,
            unconfirmed: remembered.unconfirmed,
            acknowledged: remembered.acknowledged,
        },
        process: Process::now(),
    })
}

/// The sum of a counter over all of its series that have this label.
fn sum(metrics: &str, name: &str, label: &str) -> u64 {
    let series =
        metrics.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once("} "));
    series
        .filter(|(labels, _)| labels.contains(label))
        .filter_map(|(_, value)| value.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_summed_over_the_series_with_a_label() {
        let metrics = "# TYPE cache_hits_total counter\n\
            cache_hits_total{namespace=\"a\",route=\"\",tier=\"l1\",sync=\"synced\"} 3\n\
            cache_hits_total{namespace=\"a\",route=\"\",tier=\"l1\",sync=\"unsynced\"} 4\n\
            cache_hits_total{namespace=\"a\",route=\"\",tier=\"l2\",sync=\"synced\"} 5\n\
            cache_misses_total{reason=\"x\"} 6\n";
        assert_eq!(sum(metrics, "cache_hits_total", "tier=\"l1\""), 7);
        assert_eq!(sum(metrics, "cache_hits_total", ""), 12);
        assert_eq!(sum(metrics, "cache_misses_total", ""), 6);
        assert_eq!(sum(metrics, "cache_misses", ""), 0);
    }
}
