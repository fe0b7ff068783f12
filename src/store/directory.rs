//! Datasets in a directory of the user's: the torrent's own layout, no stamp, nothing read-only.
//!
//! ```text
//! <directory>/<the torrent's own layout>          verified, and then the user's
//! <directory>/.academictorrents/v1/partial/<id>   being fetched; gone once the dataset is whole
//! ```
//! What lies there under the dataset's names is hashed each time, since nothing tells whether it was changed. A file
//! that is right in all its pieces stays where it is. A damaged one moves into the workplace, where its damaged
//! pieces are written, and moves back when all are verified: so that at its place there is never a file that is half
//! fetched, and of a terabyte with one bad piece nothing is copied. One with other hard links is copied instead:
//! what those names hold is not ours to change.

use std::io;
use std::path::{Path, PathBuf};

use super::Store;
use super::check::Existing;
use super::files::LayoutFiles;
use super::fs::{copy, remove_tree, set_read_only, sync_directory, sync_file};
use super::partial::{Partial, Salvaged};
use super::publish::sync_tree;
use crate::error::Error;
use crate::infohash::Infohash;

/// Where we work, below the user's directory.
pub(super) const WORKPLACE: &str = ".academictorrents";

/// Takes the damaged files over; those that are right in all their pieces stay.
pub(super) fn take_over(
    files: &LayoutFiles,
    existing: &Existing,
    workplace: &Path,
) -> io::Result<Salvaged> {
    let layout = files.layout();
    let mut salvaged = Salvaged::of(existing, layout);
    for (index, file) in layout.files().iter().enumerate() {
        let index = index as u32; // a torrent of 64 MiB has fewer than 2^32 files
        let (from, to) = (existing.files.path(index), files.path(index));
        let pieces = layout.geometry().pieces(file.range.clone());
        if file.length() == 0 || existing.is_right(index) {
            continue;
        }
        if !pieces.clone().any(|piece| existing.good.contains(piece)) {
            continue;
        }
        if to.exists() {
            salvaged.doubt(pieces);
            continue;
        }
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent)?;
        }
        if is_ours_alone(&from) && set_read_only(&from, false).is_ok() {
            std::fs::rename(&from, &to)?;
        } else {
            copy(&from, &to, false, workplace)?;
        }
        std::fs::File::options().write(true).open(&to)?.set_len(file.length())?;
    }
    Ok(salvaged)
}

/// Whether the file may be changed: no symbolic link, and no other name for the same bytes.
#[cfg(unix)]
fn is_ours_alone(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::symlink_metadata(path).is_ok_and(|file| file.is_file() && file.nlink() == 1)
}

/// There is no stable way to count a file's links here.
#[cfg(not(unix))]
fn is_ours_alone(_path: &Path) -> bool {
    false
}

impl Partial {
    /// Moves what was fetched or mended to its place. All of it is verified and synced.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`]: a directory lies where a file belongs, or the other way round, among others.
    pub(super) fn move_in(&self, directory: &Path) -> Result<(), Error> {
        let from = self.store.partial_path(&self.id).join("files");
        let failed = |path: &Path, why: &io::Error| Error::disk("move the data to", path, why);
        let name = self.layout().files().first().and_then(|file| file.path.iter().next());
        let Some(name) = name.map(PathBuf::from) else { return Ok(()) };
        let place = directory.join(&name);
        if std::fs::symlink_metadata(&place).is_err() {
            // Nothing is there: one step for all.
            std::fs::rename(from.join(&name), &place).map_err(|why| failed(&place, &why))?;
        } else {
            for file in self.layout().files() {
                let (from, to) = (from.join(&file.path), directory.join(&file.path));
                if from.exists() {
                    let parent = to.parent().unwrap_or(directory);
                    std::fs::create_dir_all(parent)
                        .and_then(|()| std::fs::rename(&from, &to))
                        .map_err(|why| failed(&to, &why))?;
                }
            }
        }
        let synced = if place.is_dir() { sync_tree(&place) } else { Ok(()) };
        synced.and_then(|()| sync_directory(directory)).map_err(|why| failed(&place, &why))
    }

    /// Leaves a directory of the user's as it was, where nothing will be fetched into it. A file in the workplace may be
    /// the user's own, which is being mended: then all of it stays.
    pub fn leave_if_empty(&self) {
        let files = self.store.partial_path(&self.id).join("files");
        if self.store.directory.is_some() && std::fs::remove_dir(files).is_ok() {
            self.store.leave_directory(&self.id, self.metainfo.infohash);
        }
    }

    /// Makes all that lies in the workplace last through a power cut.
    pub(super) fn sync(&self) -> Result<(), Error> {
        self.files.close();
        super::parallel::each(self.layout().files().len(), &|index, _| {
            let path = self.files.path(index as u32);
            match sync_file(&path) {
                // It was right, and stayed where it was.
                Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
                other => other.map_err(|why| Error::disk("sync", &path, &why)),
            }
        })
    }
}

impl Store {
    /// Removes the workplace, as far as it is this dataset's alone. The lock is held.
    pub(super) fn leave_directory(&self, id: &str, infohash: Infohash) {
        // A failure leaves something that is of no harm.
        let _ = remove_tree(&self.partial_path(id));
        let _ = std::fs::remove_file(self.torrent_path(infohash));
        let _ = std::fs::remove_file(self.lock_path(infohash));
        for emptied in ["partial", "torrents", "locks", ""] {
            let _ = std::fs::remove_dir(self.root.join(emptied));
        }
        let _ = self.root.parent().map(std::fs::remove_dir);
    }
}
