//! `cargo xtask check`.

use std::fs;

use crate::conformance;
use crate::files::{folders, sources};
use crate::imports;
use crate::manifest::Manifest;
use crate::run::{self, Failure, cargo, stage};
use crate::sizes;

pub(crate) fn run() -> Result<(), Failure> {
    stage("format", &mut cargo(["fmt", "--all", "--check"]))?;
    let manifests = structure()?;
    let lints = ["--all-targets", "--", "-D", "warnings"];
    stage("lints", cargo(["clippy"]).args(SELECTION).args(lints))?;
    let docs = ["--no-deps"];
    stage("docs", cargo(["doc"]).args(SELECTION).args(docs).env("RUSTDOCFLAGS", "-D warnings"))?;
    for manifest in manifests.iter().filter(|manifest| manifest.is_published()) {
        alone(manifest)?;
    }
    conformance::check()?;
    where_installed(
        "cargo-deny",
        &["deny", "--config", ".deny.toml", "check", "bans", "licenses", "sources"],
    )?;
    where_installed("cargo-machete", &["machete"])
}

/// What needs no compiler: import direction, dependencies, sizes. Returns the manifests of the crates.
fn structure() -> Result<Vec<Manifest>, Failure> {
    println!("== structure");
    let mut manifests = Vec::new();
    let mut violations = Vec::new();
    for folder in folders(&run::root().join("crates"))? {
        let shown = folder.strip_prefix(run::root()).unwrap_or(&folder).join("src").display().to_string();
        let files = sources(&folder.join("src"), "")?;
        violations
            .extend(imports::violations(&files).into_iter().map(|problem| format!("{shown}/{problem}")));
        for file in &files {
            for warning in sizes::too_long(&format!("{shown}/{}", file.path), &file.text) {
                println!("warning: {warning}");
            }
        }
        let manifest = Manifest::parse(&fs::read_to_string(folder.join("Cargo.toml"))?);
        violations.extend(manifest.violations());
        manifests.push(manifest);
    }
    if violations.is_empty() {
        return Ok(manifests);
    }
    Err(Failure::new(format!("the structure is broken:\n  {}", violations.join("\n  "))))
}

/// A published crate must compile by itself, where no other crate turns on what it forgot to ask for, and with
/// each of its features.
fn alone(manifest: &Manifest) -> Result<(), Failure> {
    let name = manifest.name();
    let check = |what: &str| {
        let features = ["--no-default-features", "--features", what];
        let shown =
            if what.is_empty() { format!("{name} alone") } else { format!("{name} with `{what}` alone") };
        stage(&shown, cargo(["check", "--quiet", "--package", name]).args(features))
    };
    check("")?;
    manifest.features().into_iter().try_for_each(check)
}

fn where_installed(program: &str, args: &[&str]) -> Result<(), Failure> {
    if !run::on_path(program) {
        println!("== {program}: not installed, left out");
        return Ok(());
    }
    stage(program, &mut cargo(args.iter().copied()))
}

const SELECTION: [&str; 4] = ["--workspace", "--exclude", "benches", "--all-features"];
