//! What keeps the suite itself from running. What it finds is no error but a row.

/// Anything: it is told and the run ends.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
