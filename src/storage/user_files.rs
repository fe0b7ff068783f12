//! The user's directory as the workplace sees it: which of its files are right, and which are to be
//! repaired.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::MutexGuard;

use super::claims::{ClaimKind, Claims};
use super::directory::Directory;
use super::fs::{CopyMode, FileFingerprint, copy, create_parents, open_to_write, set_read_only};
use super::relocate::move_file;
use super::site::on_disk;
use crate::mutex::Mutex;
use crate::plan::PlacedFile;

/// The user's directory as the workplace sees it.
#[derive(Debug)]
pub(super) struct UserFiles {
    pub(super) directory: Directory,
    workplace: PathBuf,
    /// The files that existed when the download began.
    pub(super) claims: Claims,
    /// Damaged files that still are at their final path, by index in [`Layout::files`].
    waiting: Mutex<BTreeMap<u32, FileFingerprint>>,
}

impl UserFiles {
    pub(super) fn new(directory: Directory, workplace: PathBuf, claims: Claims) -> UserFiles {
        UserFiles { directory, workplace, claims, waiting: Mutex::default() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, FileFingerprint>> {
        self.waiting.lock()
    }

    /// Returns the path of a file of the layout in the user's directory.
    pub(super) fn path(&self, in_layout: &Path) -> PathBuf {
        on_disk(&self.directory.path, in_layout)
    }

    pub(super) fn waits(&self, index: u32) -> bool {
        self.lock().contains_key(&index)
    }

    /// Whether a file is right and stays in the user's directory.
    pub(super) fn stays(&self, index: u32) -> bool {
        self.claims.get(&index).is_some_and(|claim| claim.kind == ClaimKind::Right)
    }

    /// Whether the user's file is part of the dataset or becomes part of it, rather than unrelated.
    pub(super) fn is_used(&self, index: u32) -> bool {
        self.stays(index) || self.waits(index)
    }

    /// Moves a file that is waiting for repair into the workplace, and sets its length. A file that
    /// cannot be moved is left in place. Returns whether the file was waiting.
    pub(super) fn bring(&self, index: u32, file: &PlacedFile<'_>) -> io::Result<bool> {
        let mut waiting = self.lock();
        let Some(fingerprint) = waiting.get(&index) else { return Ok(false) };
        let files = self.workplace.join("files");
        let (from, to) = (self.path(&file.path()), on_disk(&files, &file.path()));
        if FileFingerprint::at(&from) != Some(*fingerprint) {
            return Err(io::Error::other(format!(
                "{} was changed after it was hashed and was left alone",
                from.display()
            )));
        }
        let failed = |why: io::Error| {
            let why = format!("{} could not be moved here for repair: {why}", from.display());
            io::Error::other(why)
        };
        create_parents(&files, &to)?;
        if !move_writable(&from, &to).map_err(failed)? {
            // The file goes back to the user, who may have restricted its permissions.
            copy(&from, &to, CopyMode::Same, &self.workplace).map_err(failed)?;
            set_read_only(&to, false)?;
        }
        waiting.remove(&index);
        open_to_write(&to)?.set_len(file.length())?;
        Ok(true)
    }
}

/// Moves a file that can be written to; `false` if it must be copied, since it has other names or
/// belongs to another user.
fn move_writable(from: &Path, to: &Path) -> io::Result<bool> {
    if !is_ours_alone(from) {
        return Ok(false);
    }
    // In the workplace read-only means complete, and root can write even to read-only files.
    let was_read_only = std::fs::metadata(from)?.permissions().readonly();
    let is_writable =
        (!was_read_only || set_read_only(from, false).is_ok()) && open_to_write(from).is_ok();
    let moved = if is_writable { move_file(from, to).map(|()| true) } else { Ok(false) };
    if was_read_only && !matches!(moved, Ok(true)) {
        let _ = set_read_only(from, true); // it stays, unchanged
    }
    moved
}

/// Whether the file may be changed in place: it is not a symbolic link and has no other name.
#[cfg(unix)]
pub(super) fn is_ours_alone(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::symlink_metadata(path).is_ok_and(|file| file.is_file() && file.nlink() == 1)
}

/// Std has no stable way to count a file's links on this platform.
#[cfg(not(unix))]
pub(super) fn is_ours_alone(_path: &Path) -> bool {
    false
}
