//! Provides `redis-server`, which the tests need, or takes the one that `FOREBAY_REDIS_SERVER` names.

use std::env;
use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal, Write};
use std::process::Command;

use crate::run::{self, Failure};

/// Whether the user is asked before something is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    Ask,
    Given,
}

/// Returns when a `redis-server` of version 7 or later is there, and installs one where it is not.
pub(crate) fn provide(consent: Consent) -> Result<(), Failure> {
    let found = Found::look();
    println!("{found}");
    if let Found::Usable(_) = found {
        return Ok(());
    }
    if env::var_os(PROGRAM).is_some() {
        return Err(Failure::new(format!("{PROGRAM} must name a server of version {OLDEST} or later.")));
    }
    let Some(manager) = MANAGERS.iter().find(|manager| run::on_path(manager.program)) else {
        return Err(Failure::new(format!("no package manager known here. {INSTALL_IT}")));
    };
    let commands = manager.commands(&Rights::look());
    let shown: Vec<String> = commands.iter().map(|command| command.join(" ")).collect();
    if consent == Consent::Ask && !ask(&shown.join(" && "))? {
        return Err(Failure::new(format!("nothing installed. {INSTALL_IT}")));
    }
    for (words, shown) in commands.iter().zip(&shown) {
        let mut command = Command::new(words[0]);
        run::stage(shown, command.args(&words[1..]).env("DEBIAN_FRONTEND", "noninteractive"))?;
    }
    match Found::look() {
        Found::Usable(_) => Ok(()),
        still => Err(Failure::new(format!("{still} {INSTALL_IT}"))),
    }
}

#[derive(Debug)]
enum Found {
    /// With what it says of itself.
    Usable(String),
    Old(String),
    Unreadable(String),
    Nothing,
}

impl Found {
    fn look() -> Self {
        let program = env::var_os(PROGRAM).unwrap_or_else(|| OsString::from("redis-server"));
        let Ok(output) = Command::new(program).arg("--version").output() else { return Self::Nothing };
        Self::judge(&String::from_utf8_lossy(&output.stdout))
    }

    /// Reads `Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=...`.
    fn judge(said: &str) -> Self {
        let version = said.split_whitespace().find_map(|word| word.strip_prefix("v="));
        let major = version.and_then(|version| version.split('.').next()?.parse::<u32>().ok());
        match (version, major) {
            (Some(_), Some(major)) if major >= OLDEST => Self::Usable(said.trim().to_owned()),
            (Some(version), Some(_)) => Self::Old(version.to_owned()),
            _ => Self::Unreadable(said.trim().to_owned()),
        }
    }
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Usable(said) => write!(f, "tests run against: {said}"),
            Self::Old(version) => write!(f, "redis-server {version} is older than {OLDEST}."),
            Self::Unreadable(said) => write!(f, "redis-server does not tell its version: {said:?}."),
            Self::Nothing => {
                f.write_str("redis-server is not on the PATH; the tests start servers of their own.")
            }
        }
    }
}

/// A package manager and its commands, in order.
#[derive(Debug)]
struct Manager {
    program: &'static str,
    arguments: &'static [&'static [&'static str]],
}

impl Manager {
    fn commands(&self, rights: &Rights) -> Vec<Vec<&'static str>> {
        let prefix = (*rights == Rights::Sudo && self.program != "brew").then_some("sudo");
        let with_prefix = |arguments: &&'static [&'static str]| {
            prefix.into_iter().chain([self.program]).chain(arguments.iter().copied()).collect()
        };
        self.arguments.iter().map(with_prefix).collect()
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Rights {
    /// Root, or a user without sudo, whose attempt tells what is missing.
    AsIs,
    Sudo,
}

impl Rights {
    fn look() -> Self {
        let id = Command::new("id").arg("-u").output();
        let is_root = id.is_ok_and(|output| output.stdout.trim_ascii() == b"0");
        if !is_root && run::on_path("sudo") { Self::Sudo } else { Self::AsIs }
    }
}

fn ask(command: &str) -> io::Result<bool> {
    if !io::stdin().is_terminal() {
        println!("`{command}` would install it; pass --yes to let it.");
        return Ok(false);
    }
    print!("Install it with `{command}`? [y/N] ");
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// What `--yes` and the environment say.
pub(crate) fn consent(yes: bool) -> Consent {
    let in_ci = env::var("CI").is_ok_and(|value| value == "true");
    if yes || in_ci { Consent::Given } else { Consent::Ask }
}

/// The variable that names another program than `redis-server`, for the tests as well.
const PROGRAM: &str = "FOREBAY_REDIS_SERVER";
const OLDEST: u32 = 7;
const INSTALL_IT: &str =
    "Install Redis 7 or later (https://redis.io/downloads) so that `redis-server` is on the PATH.";
const MANAGERS: &[Manager] = &[
    Manager { program: "apt-get", arguments: &[&["update"], &["install", "-y", "redis-server"]] },
    Manager { program: "dnf", arguments: &[&["install", "-y", "redis"]] },
    Manager { program: "yum", arguments: &[&["install", "-y", "redis"]] },
    Manager { program: "pacman", arguments: &[&["-S", "--noconfirm", "redis"]] },
    Manager { program: "apk", arguments: &[&["add", "redis"]] },
    Manager { program: "zypper", arguments: &[&["--non-interactive", "install", "redis"]] },
    Manager { program: "brew", arguments: &[&["install", "redis"]] },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_judged() {
        assert!(matches!(Found::judge("Redis server v=7.0.15 sha=0:0 bits=64"), Found::Usable(_)));
        assert!(matches!(Found::judge("Valkey server v=10.1.0 sha=0:0"), Found::Usable(_)));
        assert!(
            matches!(Found::judge("Redis server v=6.0.16 sha=0:0"), Found::Old(version) if version == "6.0.16")
        );
        assert!(matches!(Found::judge("hello"), Found::Unreadable(_)));
    }

    #[test]
    fn only_a_user_with_sudo_uses_it_and_never_for_brew() {
        let shown = |program: &str, rights: &Rights| {
            let manager = MANAGERS.iter().find(|manager| manager.program == program).unwrap();
            manager.commands(rights).iter().map(|words| words.join(" ")).collect::<Vec<_>>()
        };
        assert_eq!(shown("apt-get", &Rights::AsIs), ["apt-get update", "apt-get install -y redis-server"]);
        assert_eq!(shown("apt-get", &Rights::Sudo)[1], "sudo apt-get install -y redis-server");
        assert_eq!(shown("brew", &Rights::Sudo), ["brew install redis"]);
    }
}
