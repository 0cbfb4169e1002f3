//! Running other programs, and what is said when one fails.

use std::env;
use std::fmt;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Why a task ended: what is told to the user, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 2 }
    }

    pub(crate) fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// `cargo` as it runs this task, in the workspace's root.
pub(crate) fn cargo<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    command
}

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    let xtask = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    xtask.ancestors().nth(2).map_or_else(|| xtask.clone(), PathBuf::from)
}

/// Whether a program of this name is found on the PATH.
pub(crate) fn on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Runs one stage with its output passed on.
pub(crate) fn stage(name: &str, command: &mut Command) -> Result<(), Failure> {
    timed(name, || {
        let status = command.status().map_err(|error| cannot_start(command, &error))?;
        succeeded(name, status)
    })
}

/// Runs one stage with its output passed on line by line, and returns the lines for which `keep` is true.
pub(crate) fn stage_keeping(
    name: &str,
    command: &mut Command,
    keep: fn(&str) -> bool,
) -> Result<Vec<String>, Failure> {
    if io::stdout().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    timed(name, || {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| cannot_start(command, &error))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let stderr =
            thread::spawn(move || stderr.map_or(Ok(vec![]), |pipe| pass_on(pipe, io::stderr(), keep)));
        let mut kept = stdout.map_or(Ok(vec![]), |pipe| pass_on(pipe, io::stdout(), keep))?;
        kept.extend(stderr.join().map_err(|_| Failure::new("the reader of the output panicked"))??);
        let status = child.wait()?;
        succeeded(name, status).map(|()| kept)
    })
}

fn pass_on(from: impl Read, mut to: impl Write, keep: fn(&str) -> bool) -> io::Result<Vec<String>> {
    let mut kept = Vec::new();
    for line in BufReader::new(from).split(b'\n') {
        let line = line?;
        to.write_all(&line)?;
        to.write_all(b"\n")?;
        let text = without_colours(&String::from_utf8_lossy(&line));
        if keep(&text) {
            kept.push(text);
        }
    }
    Ok(kept)
}

/// The line without its terminal escapes, which all end in `m`.
fn without_colours(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
}

fn timed<T>(name: &str, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    println!("== {name}");
    let begin = now();
    let result = work();
    println!("== {name}: {:.1} s", elapsed(begin).as_secs_f64());
    result
}

#[expect(clippy::disallowed_methods, reason = "how long a stage takes is the wall clock's to say")]
fn now() -> Instant {
    Instant::now()
}

fn elapsed(begin: Instant) -> Duration {
    now().duration_since(begin)
}

fn succeeded(name: &str, status: ExitStatus) -> Result<(), Failure> {
    if status.success() {
        return Ok(());
    }
    // Ended by a signal: no code of its own.
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Err(Failure { message: format!("{name}: failed ({status})"), code })
}

fn cannot_start(command: &Command, error: &io::Error) -> Failure {
    Failure::new(format!("cannot run {}: {error}", command.get_program().to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_taken_out() {
        assert_eq!(without_colours("\u{1b}[32;1m  Summary\u{1b}[0m 3 passed"), "  Summary 3 passed");
        assert_eq!(without_colours("plain"), "plain");
    }

    #[test]
    fn a_stage_keeps_lines_of_both_streams_and_passes_the_exit_code_on() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo keep 1; echo keep 2 >&2; echo drop"]);
        let kept = stage_keeping("both streams", &mut command, |line| line.starts_with("keep")).unwrap();
        assert_eq!(kept, ["keep 1", "keep 2"]);

        let failure = stage("a failure", Command::new("sh").args(["-c", "exit 7"])).unwrap_err();
        assert_eq!(failure.code(), 7);
    }
}
