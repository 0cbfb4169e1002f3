//! Counts instructions and allocations under valgrind, where nothing else on the machine can disturb them.
//!
//! A process is run twice under callgrind, with a number of operations and with twice as many; the difference belongs to
//! the operations alone. Only what happens inside [`measured`] is collected. Allocations are callgrind's own count of
//! the calls to malloc, calloc, realloc and posix_memalign, so that the program needs no counting allocator, which would
//! burden the subjects that allocate most.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What one operation costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counts {
    /// Instructions.
    pub instructions: f64,
    /// Calls of the allocator for memory, growing included.
    pub allocations: f64,
}

/// The section that callgrind collects; it finds it by its name.
#[inline(never)]
pub fn measured(mut work: impl FnMut(u32), ops: u32) {
    work(ops);
}

/// Counts what `program`, given the number of operations as its last argument, costs for each of them.
///
/// # Errors
///
/// A sentence for the user, when valgrind is missing or the program fails.
pub fn count(program: &Path, arguments: &[&str], ops: u32) -> Result<Counts, String> {
    let once = totals(program, arguments, ops)?;
    let twice = totals(program, arguments, ops * 2)?;
    let each = |once: u64, twice: u64| (twice as f64 - once as f64) / f64::from(ops);
    Ok(Counts {
        instructions: each(once.instructions, twice.instructions),
        allocations: each(once.allocations, twice.allocations),
    })
}

fn totals(program: &Path, arguments: &[&str], ops: u32) -> Result<Totals, String> {
    let profile = Profile::new();
    let out = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*callgrind*measured*", "--compress-strings=no"])
        .arg(format!("--callgrind-out-file={}", profile.0.display()))
        .arg(program)
        .args(arguments)
        .arg(ops.to_string())
        .output()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                "valgrind is not installed; the package of most systems is called valgrind".to_owned()
            }
            _ => format!("valgrind cannot be started: {error}"),
        })?;
    if !out.status.success() {
        return Err(format!("valgrind failed ({}):\n{}", out.status, String::from_utf8_lossy(&out.stderr)));
    }
    let text =
        fs::read_to_string(&profile.0).map_err(|error| format!("the profile is unreadable: {error}"))?;
    Totals::read(&text).ok_or_else(|| "the profile states no totals".to_owned())
}

/// A profile's file, removed when dropped.
struct Profile(PathBuf);

impl Profile {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("benches-{}.callgrind", std::process::id())))
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        // A profile that was never written leaves nothing to remove.
        let _ = fs::remove_file(&self.0);
    }
}

#[derive(Debug, PartialEq)]
struct Totals {
    instructions: u64,
    allocations: u64,
}

impl Totals {
    fn read(profile: &str) -> Option<Self> {
        let mut totals = Self { instructions: 0, allocations: 0 };
        let mut callee = "";
        for line in profile.lines() {
            if let Some(name) = line.strip_prefix("cfn=") {
                callee = name;
            } else if let Some(calls) = line.strip_prefix("calls=").filter(|_| ALLOCATORS.contains(&callee)) {
                totals.allocations += calls.split(' ').next()?.parse::<u64>().ok()?;
            } else if let Some(total) = line.strip_prefix("totals: ") {
                totals.instructions = total.trim().parse().ok()?;
            }
        }
        (totals.instructions > 0).then_some(totals)
    }
}

const ALLOCATORS: [&str; 4] = ["malloc", "calloc", "realloc", "posix_memalign"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_the_allocator_are_added_up() {
        let profile = "fn=a\n12 3\ncfn=malloc\ncalls=2 0\n14 40\ncfn=free\ncalls=9 0\n14 9\n\
                       fn=b\ncfn=realloc\ncalls=1 0\n15 30\n\ntotals: 4711\n";
        assert_eq!(Totals::read(profile), Some(Totals { instructions: 4711, allocations: 3 }));
    }

    #[test]
    fn a_profile_of_nothing_is_refused() {
        assert_eq!(Totals::read("totals: 0\n"), None);
    }
}
