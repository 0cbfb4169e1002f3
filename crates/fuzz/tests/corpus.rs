//! What libFuzzer has found worth keeping, run again with any toolchain.

#![expect(clippy::unwrap_used, reason = "helpers of tests; clippy excuses only the tests themselves")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use forebay_fuzz::TARGETS;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn every_committed_input_passes_its_target() {
    for (name, target) in TARGETS {
        let corpus = folder("corpus").join(name);
        let inputs = names(&corpus);
        assert!(!inputs.is_empty(), "{name} has no corpus");
        for input in inputs {
            // Seen when the test fails.
            println!("{name}/{input}");
            target(&fs::read(corpus.join(input)).unwrap());
        }
    }
}

#[test]
fn every_committed_input_cut_anywhere_passes_its_target() {
    for (name, target) in TARGETS {
        let corpus = folder("corpus").join(name);
        for input in names(&corpus) {
            println!("{name}/{input}");
            let whole = fs::read(corpus.join(input)).unwrap();
            (0..whole.len()).step_by(whole.len() / 16 + 1).for_each(|end| target(&whole[..end]));
        }
    }
}

#[test]
fn every_target_has_its_corpus_and_its_binary() {
    let targets: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&folder("corpus")), targets);
    let files = targets.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(names(&folder("libfuzzer/fuzz_targets")), files);
    let manifest = fs::read_to_string(folder("libfuzzer/Cargo.toml")).unwrap();
    for name in &targets {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
}
