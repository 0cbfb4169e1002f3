//! The workspace's crates and their source files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A source file: its path inside the folder that was asked for, with `/`, and its text.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The crates in this folder.
pub(crate) fn folders(within: &Path) -> io::Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    for entry in fs::read_dir(within)? {
        let path = entry?.path();
        if path.join("Cargo.toml").is_file() {
            out.push(path);
        }
    }
    out.sort();
    Ok(out)
}

/// The Rust files in this folder and the folders in it.
pub(crate) fn sources(folder: &Path, prefix: &str) -> io::Result<Vec<File>> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            out.extend(sources(&entry.path(), &format!("{prefix}{name}/"))?);
        } else if name.ends_with(".rs") {
            out.push(File { path: format!("{prefix}{name}"), text: fs::read_to_string(entry.path())? });
        }
    }
    out.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(out)
}
