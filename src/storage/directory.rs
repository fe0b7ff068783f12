//! Datasets in a user's directory: the torrent's own layout, without a stamp, and not read-only.
//!
//! ```text
//! <directory>/<the torrent's own layout>          verified, then owned by the user
//! <directory>/.academictorrents/v1/partial/<id>   being fetched; removed once the dataset is complete
//! ```
//! Existing files at the dataset's paths are hashed on every run, since nothing records whether
//! they changed; `replaceable.rs` decides which of them may be replaced. A file whose pieces are
//! all right stays in place. A damaged file also stays until the first byte for it arrives. Then it
//! is moved into the workplace, its damaged pieces are rewritten, and it is moved back once
//! everything is verified. As a result, a half-downloaded file is never at its final path, a
//! terabyte with one bad piece is not copied, and nothing moves if no data arrives. Files with
//! other hard links and files that we cannot write to are copied instead.

use std::io;
use std::path::{Path, PathBuf};

use super::fs::remove_tree;
use super::lock::{Lock, LockHolder};
use super::{Store, Wording};
use crate::error::{Error, printable};
use crate::plan::Layout;
use crate::torrent::infohash::Infohash;

/// Name of the working directory below the user's directory.
pub(super) const WORKPLACE: &str = ".academictorrents";

const WORDING: Wording =
    Wording { create: "create the directory", help: "choose a directory that you can write to" };

/// A user's directory as the destination of a dataset.
#[derive(Clone, Debug)]
pub struct Directory {
    pub(super) path: PathBuf,
    /// Whether files that do not belong to the dataset may be replaced.
    pub(super) overwrite: bool,
    /// Holds locks, torrents and unfinished downloads.
    pub(super) workplace: Store,
}

/// Removes a directory tree that contains no files. Returns whether it is gone.
fn remove_empty(directory: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(directory) else { return !directory.exists() };
    for entry in entries.flatten() {
        if !entry.file_type().is_ok_and(|it| it.is_dir()) || !remove_empty(&entry.path()) {
            return false;
        }
    }
    std::fs::remove_dir(directory).is_ok()
}

impl Directory {
    /// A user's directory. With `overwrite`, existing files that are not the dataset's are
    /// replaced. Nothing is created yet.
    pub fn new(path: &Path, overwrite: bool) -> Directory {
        let workplace = Store { root: path.join(WORKPLACE).join("v1"), wording: &WORDING };
        Directory { path: path.to_owned(), overwrite, workplace }
    }

    /// Creates the workplace.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub(super) fn create(&self) -> Result<(), Error> {
        self.workplace.create_below(&["torrents", "partial", "locks"])
    }

    /// Tries to lock a torrent.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`], also where the file system has no locks.
    pub(super) fn try_lock(&self, infohash: Infohash) -> Result<Result<Lock, LockHolder>, Error> {
        // A process that has finished removes its lock file and the directories above it that are
        // then empty, possibly while we create ours.
        self.create()?;
        let tried = match self.workplace.try_lock(infohash) {
            Err(_) if !self.workplace.locks_path().is_dir() => {
                return Ok(Err(LockHolder::default()));
            }
            tried => tried?,
        };
        let path = self.workplace.lock_path(infohash);
        match tried {
            Ok(lock) if !lock.is_at(&path) => Ok(Err(LockHolder::default())),
            Ok(lock) => {
                // The lock file is in `.academictorrents/v1/locks`: three levels below the user's
                // directory.
                let lock = lock.emptying(path, 3);
                self.create()?;
                Ok(Ok(lock))
            }
            other => Ok(other),
        }
    }

    /// Cleans up after a failure: if nothing was downloaded, leaves the directory as it was;
    /// otherwise adds to the error where the unfinished files are. The caller holds the lock.
    pub(super) fn left(
        &self,
        id: &str,
        infohash: Infohash,
        layout: &Layout,
        error: Error,
    ) -> Error {
        let files = self.workplace.partial_path(id).join("files");
        if remove_empty(&files) {
            self.leave(id, infohash);
            return error;
        }
        let is_unfinished =
            |path: &PathBuf| files.join(path).exists() && !self.path.join(path).exists();
        let mut unfinished = layout.files().map(|file| file.path()).filter(is_unfinished);
        let error = match (unfinished.next(), unfinished.count()) {
            (None, _) => error,
            (Some(first), others) => {
                let first = printable(&self.path.join(first).display().to_string());
                let more = match others {
                    0 => "is".to_owned(),
                    1 => "and 1 more file are".to_owned(),
                    others => format!("and {others} more files are"),
                };
                error.why(format!(
                    "{first} {more} kept in {} until the download succeeds",
                    files.display()
                ))
            }
        };
        error.help(format!(
            "verified data is kept in {}, and the next run resumes",
            self.workplace.root.display()
        ))
    }

    /// Removes this dataset's part of the workplace. The caller holds the lock; dropping the lock
    /// removes its file.
    pub(super) fn leave(&self, id: &str, infohash: Infohash) {
        let _ = self.workplace.remove_torrent(infohash); // a file that stays does no harm
        self.leave_tree(id);
    }

    /// Removes what is unfinished of this dataset or tree. The caller holds the lock.
    pub(super) fn leave_tree(&self, id: &str) {
        // Failures leave only files that do no harm.
        let _ = remove_tree(&self.workplace.partial_path(id));
        for emptied in ["partial", "torrents"] {
            let _ = std::fs::remove_dir(self.workplace.root.join(emptied));
        }
    }
}

/// Returns where a mirror directory has a dataset, in the torrent's own layout: below `<infohash>` or,
/// if the mirror is a store, in the data directory of that store.
pub fn data_in_mirror(mirror: &Path, infohash: &str) -> PathBuf {
    let own = mirror.join(infohash);
    let in_store = mirror.join("v1").join("data").join(infohash).join("files");
    if !own.is_dir() && in_store.is_dir() { in_store } else { own }
}

/// Returns why a directory that the user named cannot be read, as a clause that follows its path in
/// a message.
pub fn directory_fault(path: &Path) -> Option<String> {
    // Windows has no distinct error for a path below a file.
    let is_in_file = || {
        path.ancestors().find_map(|it| std::fs::metadata(it).ok()).is_some_and(|it| it.is_file())
    };
    match std::fs::read_dir(path) {
        Ok(_) => None,
        Err(_) if is_in_file() => Some("it is not a directory".to_owned()),
        Err(why) if why.kind() == io::ErrorKind::NotFound => {
            Some("the directory does not exist".to_owned())
        }
        Err(why) => Some(format!("it cannot be read: {why}")),
    }
}
