//! Who Forebay is for a server, and the proof of it.

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;

use crate::url::Parts;

/// A user and a password, each where one is given. Never shown.
#[derive(Clone, Default)]
pub(crate) struct Login {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Password>,
}

/// A password, or the file it stands in.
#[derive(Clone)]
pub(crate) enum Password {
    Given(String),
    /// Read anew for each connection, so that a changed password needs no restart.
    InFile(PathBuf),
}

impl Login {
    pub(crate) fn of(parts: &mut Parts) -> Self {
        Self { user: parts.user.take(), password: parts.password.take().map(Password::Given) }
    }

    /// User and password as they are at the moment.
    pub(crate) fn read(&self) -> io::Result<(Option<String>, Option<String>)> {
        Ok((self.user.clone(), self.password.as_ref().map(Password::read).transpose()?))
    }

    /// The file that must be readable, if there is one.
    pub(crate) fn file(&self) -> Option<&PathBuf> {
        match &self.password {
            Some(Password::InFile(path)) => Some(path),
            Some(Password::Given(_)) | None => None,
        }
    }
}

impl Password {
    fn read(&self) -> io::Result<String> {
        match self {
            Self::Given(password) => Ok(password.clone()),
            Self::InFile(path) => {
                let mut text = fs::read_to_string(path)?;
                // Editors and `echo` end a file with a line's end; no password does.
                text.truncate(text.trim_end_matches(['\r', '\n']).len());
                if text.is_empty() { Err(io::Error::other("the file is empty")) } else { Ok(text) }
            }
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(..)")
    }
}
