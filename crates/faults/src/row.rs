//! A row of the table: what one scenario came to.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use forebay_core::time::Moment;
use forebay_testkit::history::{Bounds, Stale, Verdict};

use crate::samples::{Collected, Failed, From, Sample};

/// What one scenario came to, on one system.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) system: String,
    pub(crate) reads: usize,
    pub(crate) writes: u64,
    pub(crate) unconfirmed: u64,
    /// Reads that no guarantee excuses.
    pub(crate) stale: usize,
    /// Reads beyond the bounds where a guarantee leaves it open.
    pub(crate) open: usize,
    failed: BTreeMap<String, usize>,
    pub(crate) panics: usize,
    /// The 99th percentile before, during and after the fault, in ms.
    p99: [Option<f64>; 3],
    /// From the fault's end until the last answer that missed something confirmed before that end.
    coherent: Duration,
    /// Of an answer, excused or not.
    longest_behind: Duration,
    /// How many answers missed something, excused or not.
    behind: usize,
    /// From L1, from L2, and from the origin, by a fetch of its own or another's.
    from: [usize; 3],
    unsynced: usize,
    /// The scenario's own figure.
    pub(crate) own: String,
    /// The first stale reads, to look at.
    findings: Vec<String>,
}

impl Row {
    /// Judges what was collected.
    pub(crate) fn judge(
        collected: Collected,
        bounds: Bounds,
        begun: Moment,
        healed: Moment,
        open: Option<(Moment, Moment)>,
    ) -> Self {
        let Collected { samples, mut history, confirmed, unconfirmed } = collected;
        samples.iter().filter_map(Sample::to_read).for_each(|read| history.read(read));
        let Verdict { stale, behind, longest_behind, .. } = history.check(bounds);
        let is_open = |stale: &&Stale| open.is_some_and(|(from, to)| (from..to).contains(&stale.read.start));
        let (left_open, stale): (Vec<_>, Vec<_>) = stale.iter().partition(is_open);
        let mut row = Self {
            reads: samples.len(),
            writes: confirmed,
            unconfirmed,
            stale: stale.len(),
            open: left_open.len(),
            longest_behind,
            behind: behind.len(),
            coherent: until_coherent(&behind, healed),
            p99: latencies(&samples, begun, healed),
            findings: stale.iter().take(SHOWN).map(|stale| describe(stale, begun)).collect(),
            ..Self::default()
        };
        for sample in &samples {
            match sample.got {
                Ok((from, _)) => {
                    let at = match from {
                        From::L1 | From::Unsynced => 0,
                        From::L2 => 1,
                        From::Flight | From::Origin => 2,
                    };
                    row.from[at] += 1;
                    row.unsynced += usize::from(from == From::Unsynced);
                }
                Err(why) => *row.failed.entry(name(why)).or_default() += 1,
            }
        }
        row
    }

    /// Takes errors that the origin made on purpose out of the failures, as many as it made.
    pub(crate) fn excuse_origin(&mut self, made: u64) {
        let excused = ["status 500", "status 502", "status 504", "broken"];
        let mut told = 0;
        for kind in excused {
            told += self.failed.remove(kind).unwrap_or_default();
        }
        if !self.own.is_empty() {
            self.own += ", ";
        }
        let _ = write!(self.own, "origin wrong {made} times, {told} answers told so");
    }

    pub(crate) fn failed(&self) -> usize {
        self.failed.values().sum()
    }

    /// Whether everything held that is promised.
    pub(crate) fn held(&self) -> bool {
        self.stale == 0 && self.failed() == 0 && self.panics == 0 && self.reads > 0
    }

    /// The line of a table in Markdown.
    pub(crate) fn line(&self) -> String {
        let [before, during, after] =
            self.p99.map(|p99| p99.map_or("-".to_owned(), |p99| format!("{p99:.1}")));
        let [l1, l2, origin] = self.from.map(|from| 100.0 * from as f64 / self.reads.max(1) as f64);
        let mut own = format!("L1 {l1:.0} %, L2 {l2:.0} %, origin {origin:.0} %");
        if self.unsynced > 0 {
            let _ = write!(own, ", unsynced {}", self.unsynced);
        }
        if self.unconfirmed > 0 {
            let _ = write!(own, ", unconfirmed {}", self.unconfirmed);
        }
        if self.open > 0 {
            let _ = write!(own, ", stale where it is left open {}", self.open);
        }
        if self.panics > 0 {
            let _ = write!(own, ", **panics {}**", self.panics);
        }
        if !self.own.is_empty() {
            let _ = write!(own, "; {}", self.own);
        }
        format!(
            "| {} | {} | {} | {} | {} | {} | {} | {before} / {during} / {after} | {} | {} ({}) | {own} |",
            self.id,
            self.system,
            self.title,
            self.reads,
            self.writes,
            self.stale,
            self.failed(),
            ms(self.coherent),
            ms(self.longest_behind),
            self.behind,
        )
    }

    /// What went wrong, for whoever has to find out why.
    pub(crate) fn complaint(&self) -> Option<String> {
        if self.held() {
            return None;
        }
        let mut text = format!("{} on {}: {} stale", self.id, self.system, self.stale);
        for (kind, count) in &self.failed {
            let _ = write!(text, ", {count} {kind}");
        }
        for finding in &self.findings {
            let _ = write!(text, "\n    {finding}");
        }
        Some(text)
    }
}

/// The table's head.
pub(crate) const HEAD: &str = "\
| | system | scenario | reads | invalidations | stale after Ok | failed | p99 before / during / after, ms | coherent after, ms | longest behind, ms (answers) | |
|---|---|---|---:|---:|---:|---:|---|---:|---:|---|";

fn until_coherent(behind: &[Stale], healed: Moment) -> Duration {
    let late = behind.iter().filter(|stale| stale.write.confirmed < healed && stale.read.start > healed);
    late.map(|stale| stale.read.start.since(healed)).max().unwrap_or_default()
}

fn latencies(samples: &[Sample], begun: Moment, healed: Moment) -> [Option<f64>; 3] {
    let mut parts = [Vec::new(), Vec::new(), Vec::new()];
    for sample in samples {
        let at = usize::from(sample.start >= begun) + usize::from(sample.start >= healed);
        parts[at].push(sample.took);
    }
    parts.map(|mut part| quantile(&mut part, 0.99).map(|took| took.as_secs_f64() * 1e3))
}

/// The value below which this share of all lies.
pub(crate) fn quantile(all: &mut [Duration], share: f64) -> Option<Duration> {
    all.sort_unstable();
    let at = (all.len() as f64 * share) as usize;
    all.get(at.min(all.len().saturating_sub(1))).copied()
}

/// Milliseconds, as a table shows them.
pub(crate) fn ms(duration: Duration) -> String {
    format!("{:.0}", duration.as_secs_f64() * 1e3)
}

fn name(why: Failed) -> String {
    match why {
        Failed::Broken => "broken".to_owned(),
        Failed::Hung => "hung".to_owned(),
        Failed::Status(status) => format!("status {status}"),
        Failed::Bytes => "wrong bytes".to_owned(),
    }
}

fn describe(Stale { read, write }: &Stale, begun: Moment) -> String {
    let at = |moment: Moment| match moment.since(begun) {
        Duration::ZERO => format!("-{} ms", ms(begun.since(moment))),
        after => format!("{} ms", ms(after)),
    };
    format!(
        "{}: version {} read from {:?} of instance {} at {}; version {} was confirmed on instance {} at {}",
        read.key,
        read.version,
        read.tier,
        read.instance,
        at(read.start),
        write.version,
        write.issuer,
        at(write.confirmed),
    )
}

/// The first few findings tell what is wrong; thousands would bury it.
const SHOWN: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let mut values: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(quantile(&mut values, 0.5), Some(Duration::from_millis(51)));
        assert_eq!(quantile(&mut values, 0.99), Some(Duration::from_millis(100)));
        assert_eq!(quantile(&mut [], 0.5), None);
    }

    #[test]
    fn only_a_row_with_reads_and_nothing_wrong_has_held() {
        assert!(!Row::default().held());
        assert!(Row { reads: 1, ..Row::default() }.held());
        assert!(!Row { reads: 1, stale: 1, ..Row::default() }.held());
        let failed = BTreeMap::from([("hung".to_owned(), 1)]);
        assert!(Row { reads: 1, failed, ..Row::default() }.complaint().unwrap().contains("1 hung"));
    }
}
