//! What the processes use.

use crate::error::Error;
use crate::stage::Stage;

/// What is used: of all instances the most, and by Redis.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage([u64; NAMES.len()]);

impl Usage {
    /// What is used now.
    pub(super) async fn of(stage: &Stage) -> Result<Self, Error> {
        let mut most = [0; 6];
        for instance in &stage.instances {
            let now = [
                instance.resident()? >> 10,
                instance.stat("tasks").await?,
                instance.stat("open_files").await?,
                instance.stat("invalidated").await?,
                instance.stat("unconfirmed").await?,
                instance.stat("acknowledged").await?,
            ];
            most = std::array::from_fn(|at| most[at].max(now[at]));
        }
        let mut log = 0;
        for name in stage.keys("*}:l").await? {
            log += u64::try_from(stage.number(&["ZCARD", &name]).await?)?;
        }
        let [resident, tasks, files, invalidated, unconfirmed, acknowledged] = most;
        let (clients, memory) =
            (stage.info("connected_clients").await?, stage.info("used_memory").await? >> 10);
        Ok(Self([resident, tasks, files, invalidated, unconfirmed, acknowledged, log, clients, memory]))
    }

    /// Of each the greater.
    pub(super) fn or_more(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at].max(other.0[at])))
    }

    /// On one line.
    pub(super) fn brief(&self) -> String {
        let parts: Vec<String> =
            NAMES.iter().zip(self.0).map(|(name, value)| format!("{name} {value}")).collect();
        parts.join(", ")
    }

    /// A line of the table for each.
    pub(super) fn lines(&self, end: &Self, most: &Self) -> Vec<String> {
        let line = |at: usize| format!("| {} | {} | {} | {} |", NAMES[at], self.0[at], end.0[at], most.0[at]);
        (0..NAMES.len()).map(line).collect()
    }
}

const NAMES: [&str; 9] = [
    "resident memory, KiB",
    "tasks",
    "open files",
    "invalidations in the table",
    "unconfirmed",
    "acknowledged, kept for the audit",
    "members of the log in Redis",
    "connections of Redis",
    "Redis' memory, KiB",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_is_of_each_figure_on_its_own() {
        let (a, b) = (Usage([3, 1, 0, 0, 0, 0, 0, 0, 9]), Usage([2, 5, 0, 0, 0, 0, 0, 0, 1]));
        let lines = a.lines(&b, &a.or_more(b));
        assert_eq!(lines[0], "| resident memory, KiB | 3 | 2 | 3 |");
        assert_eq!(lines[1], "| tasks | 1 | 5 | 5 |");
        assert_eq!(lines[8], "| Redis' memory, KiB | 9 | 1 | 9 |");
    }
}
