//! Removing from a store what nobody needs: the hands of `gc`. What is to go is decided by others.
//!
//! A dataset goes in three steps, under its torrent's lock: the stamp; then its directory, by a rename to `.tmp-…`
//! beside it; then what that holds. A process that is killed between them leaves data without a stamp, which is hashed
//! before it is used, or a leftover, which the next one removes: at no time is there a stamp of data that is not whole.
//!
//! A lock's file stays: another process may be waiting for it, and would then hold a lock that nobody else can see.

use std::io;
use std::path::Path;

use super::infohash_in;
use super::projects::Root;
use super::scan::{EntryState, Leftover, StoreEntry, is_temporary, modified};
use crate::error::Error;
use crate::storage::fs::{self, remove_tree};
use crate::storage::lock::LockHolder;
use crate::storage::relocate::set_aside;
use crate::storage::{Store, WRITABLE, remove_if_there};
use crate::torrent::infohash::Infohash;

impl Store {
    /// Removes a dataset, or a `.torrent` that is left of one; gives who holds its lock where someone does, and
    /// then nothing is removed.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn remove(&self, entry: &StoreEntry) -> Result<Result<(), LockHolder>, Error> {
        let _lock = match self.try_lock(entry.infohash)? {
            Ok(lock) => lock,
            Err(waiting) => return Ok(Err(waiting)),
        };
        // Someone fetched it since it was looked at.
        if entry.written(self) != entry.modified {
            return Ok(Err(LockHolder::default()));
        }
        let path = match entry.state {
            EntryState::Complete { .. } | EntryState::Unstamped { .. } => self.data_path(&entry.id),
            EntryState::Partial => self.partial_path(&entry.id),
            EntryState::Torrent => {
                return self.remove_torrent(entry.infohash).map(Ok);
            }
        };
        let failed = |why: io::Error| self.failed("remove", &path, &why);
        // It may have been replaced by a symbolic link since.
        fs::obstacle(&path, true).map_or(Ok(()), Err).map_err(failed)?;
        if entry.state != EntryState::Partial {
            remove_if_there(&self.stamp_path(&entry.id))?;
        }
        if let Some(aside) = set_aside(&path).map_err(failed)? {
            remove_tree(&aside).map_err(failed)?;
        }
        Ok(Ok(()))
    }

    /// Removes the `.torrent` where nothing of it is left in the store. Whoever fetches it at this moment has it.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn remove_torrent_alone(&self, infohash: Infohash) -> Result<u64, Error> {
        let is_its = |name: &String| infohash_in(name) == Some(infohash);
        let is_held = ["data", "partial", "elsewhere"]
            .iter()
            .any(|directory| self.ids(directory).iter().any(is_its));
        let path = self.torrent_path(infohash);
        let Ok(metadata) = std::fs::symlink_metadata(&path) else { return Ok(0) };
        if is_held || self.try_lock(infohash)?.is_err() {
            return Ok(0);
        }
        self.remove_torrent(infohash).map(|()| metadata.len())
    }

    /// Removes a leftover; false where a process holds the dataset's lock, or has written to it since it was looked at.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn remove_leftover(&self, leftover: &Leftover) -> Result<bool, Error> {
        let path = &leftover.path;
        let _lock = match leftover.infohash.map(|infohash| self.try_lock(infohash)).transpose()? {
            Some(Err(_)) => return Ok(false),
            lock => lock,
        };
        if modified(path) != leftover.modified {
            return Ok(false);
        }
        let is_directory = std::fs::symlink_metadata(path).is_ok_and(|it| it.is_dir());
        let is_temporary = path.file_name().is_some_and(is_temporary);
        let is_partial = path.starts_with(self.root.join("partial"));
        let is_expected_empty = !is_temporary && !is_partial;
        let removed = match is_directory {
            // It was empty, and is removed only if it still is: another process may have published into it since.
            true if is_expected_empty => match std::fs::remove_dir(path) {
                Err(why) if why.kind() == io::ErrorKind::DirectoryNotEmpty => return Ok(false),
                other => other,
            },
            true => remove_tree(path),
            false => fs::remove(path),
        };
        removed.map_err(|why| Error::disk("remove", path, &why).help(WRITABLE))?;
        // The directory of the last file of a dataset, of a copy's stamp or of a catalog goes with it: it is removed if it is empty.
        let is_below = |it: &&Path| it.parent().and_then(Path::parent) == Some(&self.root);
        if let Some(parent) = path.parent().filter(is_below) {
            let _ = std::fs::remove_dir(parent);
        }
        Ok(true)
    }

    /// Forgets a project. It is done last: what it used would be unknown without it.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn remove_root(&self, root: &Root) -> Result<(), Error> {
        remove_if_there(&root.file)
    }
}
