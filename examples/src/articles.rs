//! The data source: one text file an article, so that instances in several processes see the same articles.

use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::Error;

/// Articles in a folder. A read takes 200 ms, as if from a busy database.
#[derive(Clone, Debug)]
pub struct Articles {
    folder: Arc<Path>,
}

impl Articles {
    /// Opens the folder that `DATA` names, else one in the system's folder for temporary files. An empty one gets three
    /// articles.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn open() -> Result<Self, Error> {
        let folder = env::var_os("DATA").map_or_else(|| env::temp_dir().join(FOLDER), PathBuf::from);
        let failed = |error: io::Error| format!("DATA={}: {error}", folder.display());
        fs::create_dir_all(&folder).map_err(failed)?;
        for (id, text) in SEED {
            match fs::File::create_new(folder.join(id)) {
                Ok(mut file) => io::Write::write_all(&mut file, text.as_bytes()).map_err(failed)?,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error).into()),
            }
        }
        Ok(Self { folder: folder.into() })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The text of an article, if there is such an article.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub async fn read(&self, id: u32) -> Result<Option<String>, Unreachable> {
        tokio::time::sleep(READ_TAKES).await;
        match tokio::fs::read_to_string(self.folder.join(id.to_string())).await {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The articles whose text contains `words`, in the order of their numbers.
    ///
    /// # Errors
    /// When the folder or a file cannot be read.
    pub async fn find(&self, words: &str) -> Result<Vec<(u32, String)>, Unreachable> {
        tokio::time::sleep(READ_TAKES).await;
        let mut found = Vec::new();
        let mut files = tokio::fs::read_dir(&self.folder).await?;
        while let Some(file) = files.next_entry().await? {
            let Some(id) = file.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let text = tokio::fs::read_to_string(file.path()).await?;
            if text.contains(words) {
                found.push((id, text));
            }
        }
        found.sort();
        Ok(found)
    }

    /// Writes an article. A reader sees the old text or the new one, never a part.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn write(&self, id: u32, text: &str) -> Result<(), Unreachable> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let draft = self.folder.join(format!("draft-{}-{number}", std::process::id()));
        tokio::fs::write(&draft, text).await?;
        Ok(tokio::fs::rename(&draft, self.folder.join(id.to_string())).await?)
    }
}

/// An entity tag for a text. Weak: answers with the same text differ in who signed them, and when.
#[must_use]
pub fn etag(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("W/\"{:x}\"", hasher.finish())
}

/// The data source cannot be read or written. As a response it is a 500, which is not cached.
#[derive(Debug)]
pub struct Unreachable(io::Error);

impl From<io::Error> for Unreachable {
    fn from(error: io::Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Unreachable {
    fn into_response(self) -> Response {
        let text = format!("the articles cannot be reached: {}\n", self.0);
        (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
    }
}

const READ_TAKES: Duration = Duration::from_millis(200);
const FOLDER: &str = "forebay-quickstart";
const SEED: [(&str, &str); 3] =
    [("1", "Bread with rye"), ("2", "Bread without yeast"), ("3", "Soup for a cold day")];
