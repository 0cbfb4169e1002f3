//! Programs that a suite needs from the system.

use std::io;
use std::process::{Command, Stdio};

/// Fails with a sentence for the user where `program` is not installed.
pub(super) fn require(program: &str, package: &str) -> Result<(), String> {
    let started = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    match started {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(format!("{program} is not installed; the package of most systems is called {package}"))
        }
        Err(error) => Err(format!("{program} cannot be started: {error}")),
        // Some tools answer `--version` with a failure; that they answer is enough.
        Ok(_) => Ok(()),
    }
}

/// Puts a process with all its threads on one core, until the guard is dropped.
pub(super) fn pin(process: u32, core: &str) -> Result<Pinned, String> {
    let before = cores(process)?;
    set_cores(process, core)?;
    Ok(Pinned { process, before })
}

/// Lets the process have its cores again when dropped.
pub(super) struct Pinned {
    process: u32,
    before: String,
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // A process that has ended needs no cores.
        let _ = set_cores(self.process, &self.before);
    }
}

fn cores(process: u32) -> Result<String, String> {
    // "pid 4711's current affinity list: 0,1"
    let told = taskset(&["-p", "-c", &process.to_string()])?;
    let list = told.rsplit(": ").next().map(str::trim).filter(|list| !list.is_empty());
    list.map(str::to_owned).ok_or_else(|| format!("taskset does not tell the cores of process {process}"))
}

fn set_cores(process: u32, cores: &str) -> Result<(), String> {
    taskset(&["-a", "-p", "-c", cores, &process.to_string()]).map(drop)
}

fn taskset(arguments: &[&str]) -> Result<String, String> {
    let out = Command::new("taskset")
        .args(arguments)
        .output()
        .map_err(|error| format!("taskset cannot be started: {error}"))?;
    if out.status.success() {
        return Ok(String::from_utf8_lossy(&out.stdout).into_owned());
    }
    Err(format!("taskset failed: {}", String::from_utf8_lossy(&out.stderr).trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        let error = require("no-such-program-here", "some-package").unwrap_err();
        assert_eq!(
            error,
            "no-such-program-here is not installed; the package of most systems is called some-package"
        );
    }
}
