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
    /// Those of them that the allocator executed. How many depends on what the heap looks like: the same clone of a header map
    /// costs two hundred more or less from build to build.
    pub in_allocator: f64,
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
        in_allocator: each(once.in_allocator, twice.in_allocator),
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
    in_allocator: u64,
    allocations: u64,
}

impl Totals {
    fn read(profile: &str) -> Option<Self> {
        let mut totals = Self { instructions: 0, in_allocator: 0, allocations: 0 };
        let (mut function, mut callee) = ("", "");
        let mut lines = profile.lines();
        while let Some(line) = lines.next() {
            if let Some(name) = line.strip_prefix("fn=") {
                function = name;
            } else if let Some(name) = line.strip_prefix("cfn=") {
                callee = name;
            } else if let Some(calls) = line.strip_prefix("calls=") {
                if ALLOCATORS.contains(&callee) {
                    totals.allocations += calls.split(' ').next()?.parse::<u64>().ok()?;
                }
                // What the callee cost follows, and is stated once more where the callee is.
                lines.next();
            } else if let Some(total) = line.strip_prefix("totals: ") {
                totals.instructions = total.trim().parse().ok()?;
            } else if of_allocator(function)
                && line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c))
            {
                totals.in_allocator += line.split(' ').nth(1)?.parse::<u64>().ok()?;
            }
        }
        (totals.instructions > 0).then_some(totals)
    }
}

/// Whether a function is a part of the C library's allocator. Its own name may have a suffix from the compiler.
fn of_allocator(function: &str) -> bool {
    let name = function.split('.').next().unwrap_or(function);
    ALLOCATORS.contains(&name) || INSIDE_ALLOCATOR.contains(&name)
}

const ALLOCATORS: [&str; 4] = ["malloc", "calloc", "realloc", "posix_memalign"];
const INSIDE_ALLOCATOR: [&str; 9] = [
    "free",
    "_int_malloc",
    "_int_free",
    "_int_realloc",
    "_int_memalign",
    "unlink_chunk",
    "malloc_consolidate",
    "sysmalloc",
    "systrim",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_the_allocator_are_added_up() {
        let profile = "fn=a\n12 3\ncfn=malloc\ncalls=2 0\n14 40\ncfn=free\ncalls=9 0\n14 9\n\
                       fn=b\ncfn=realloc\ncalls=1 0\n15 30\n\ntotals: 4711\n";
        let read = Totals::read(profile);
        assert_eq!(read, Some(Totals { instructions: 4711, in_allocator: 0, allocations: 3 }));
    }

    #[test]
    fn what_the_allocator_executed_itself_is_added_up() {
        let profile = "fn=a\n12 3\ncfn=malloc\ncalls=2 0\n14 40\nfn=malloc\n14 9\n+2 8\ncfn=_int_malloc\n\
                       calls=1 0\n* 23\nfn=_int_malloc.constprop\n* 23\n\ntotals: 43\n";
        assert_eq!(
            Totals::read(profile),
            Some(Totals { instructions: 43, in_allocator: 40, allocations: 2 })
        );
    }

    #[test]
    fn a_profile_of_nothing_is_refused() {
        assert_eq!(Totals::read("totals: 0\n"), None);
    }
}
