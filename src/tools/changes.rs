//! Files of a project that shall change, all or none.

use std::path::PathBuf;

use crate::error::Error;
use crate::store::{self, Written};

/// What would be written, and what its reader should know.
#[derive(Debug, Default)]
pub struct Changes {
    pub files: Vec<ChangedFile>,
    pub warnings: Vec<String>,
    written: Vec<Written>,
}

/// A file that is new or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedFile {
    pub path: PathBuf,
    /// Its text; `None` where it is not there yet.
    pub before: Option<String>,
    /// Its text; `None` for one that is no text, a `.torrent`.
    pub after: Option<String>,
}

impl Changes {
    /// Writes all, in the order in which they were added, or nothing.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn write(&self) -> Result<(), Error> {
        store::write_all(&self.written)
    }

    /// A text; `before` is what is there now.
    pub(super) fn text(&mut self, path: PathBuf, before: Option<String>, after: String) {
        self.files.push(ChangedFile {
            path: path.clone(),
            before: before.clone(),
            after: Some(after.clone()),
        });
        let before = before.map(String::into_bytes);
        self.written.push(Written { path, bytes: after.into_bytes(), before });
    }

    /// A new file that is no text.
    pub(super) fn bytes(&mut self, path: PathBuf, bytes: Vec<u8>) {
        self.files.push(ChangedFile { path: path.clone(), before: None, after: None });
        self.written.push(Written { path, bytes, before: None });
    }
}
