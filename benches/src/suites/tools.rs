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

/// Puts a process with all its threads on one core.
pub(super) fn pin(process: u32, core: &str) -> Result<(), String> {
    let done = Command::new("taskset")
        .args(["-a", "-p", "-c", core, &process.to_string()])
        .stdout(Stdio::null())
        .status()
        .map_err(|error| format!("taskset cannot be started: {error}"))?;
    if done.success() { Ok(()) } else { Err(format!("process {process} cannot be put on core {core}")) }
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
