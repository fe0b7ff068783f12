//! Removes what nobody needs from a store, for `gc`. The caller decides what is to be removed.
//!
//! A dataset is removed in three steps, under its torrent's lock: its stamp; its directory, which
//! is renamed to `.tmp-…`; then the content of that directory. A process that is killed in between
//! leaves data without a stamp, which is hashed before it is used, or a leftover, which the next
//! run removes. At no time does incomplete data have a stamp.
//!
//! Lock files are kept: another process may be waiting for one, and would then hold a lock that
//! nobody else sees.

use std::io;
use std::path::Path;

use super::projects::Root;
use super::scan::{EntryState, Leftover, StoreEntry, is_temporary, modified};
use crate::error::Error;
use crate::storage::fs::{self, remove_tree};
use crate::storage::ids::infohash_in;
use crate::storage::lock::LockHolder;
use crate::storage::relocate::set_aside;
use crate::storage::{Store, WRITABLE, remove_if_there};
use crate::torrent::infohash::Infohash;

impl Store {
    /// Removes a dataset, or the `.torrent` that is left of one. Returns the lock's holder if the
    /// lock is taken; then nothing is removed.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn remove(&self, entry: &StoreEntry) -> Result<Result<(), LockHolder>, Error> {
        let _lock = match self.try_lock(entry.infohash)? {
            Ok(lock) => lock,
            Err(waiting) => return Ok(Err(waiting)),
        };
        // Another process fetched it since the scan.
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
        // It may have been replaced by a symbolic link since the scan.
        fs::obstacle(&path, true).map_or(Ok(()), Err).map_err(failed)?;
        if entry.state != EntryState::Partial {
            remove_if_there(&self.stamp_path(&entry.id))?;
        }
        if let Some(aside) = set_aside(&path).map_err(failed)? {
            remove_tree(&aside).map_err(failed)?;
        }
        Ok(Ok(()))
    }

    /// Removes a `.torrent` if the store has nothing else of that torrent and no process holds its
    /// lock. Returns the bytes freed.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn remove_torrent_alone(&self, infohash: Infohash) -> Result<u64, Error> {
        let Ok(_lock) = self.try_lock(infohash)? else { return Ok(0) };
        let bytes = self.torrent_alone_bytes(infohash, |_, _| false);
        if bytes == 0 {
            return Ok(0);
        }
        self.remove_torrent(infohash).map(|()| bytes)
    }

    /// Returns the size of a `.torrent`; 0 if it is missing or if the store has something else of
    /// that torrent, apart from what `is_gone`, by directory and id.
    pub fn torrent_alone_bytes(
        &self,
        infohash: Infohash,
        is_gone: impl Fn(&str, &str) -> bool,
    ) -> u64 {
        let is_held = ["data", "partial", "elsewhere"].iter().any(|directory| {
            let its = |id: &String| infohash_in(id) == Some(infohash) && !is_gone(directory, id);
            self.ids(directory).iter().any(its)
        });
        let metadata = std::fs::symlink_metadata(self.torrent_path(infohash));
        metadata.ok().filter(|_| !is_held).map_or(0, |metadata| metadata.len())
    }

    /// Removes a leftover. Returns false if a process holds the dataset's lock or has written to
    /// the leftover since the scan.
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
        let is_below = |it: &&Path| it.parent().and_then(Path::parent) == Some(&self.root);
        let parent = path.parent().filter(is_below);
        let before = parent.filter(|_| leftover.infohash.is_some()).and_then(modified);
        let is_directory = std::fs::symlink_metadata(path).is_ok_and(|it| it.is_dir());
        let is_temporary = path.file_name().is_some_and(is_temporary);
        let is_partial = path.starts_with(self.root.join("partial"));
        let is_expected_empty = !is_temporary && !is_partial;
        let removed = match is_directory {
            // It was empty, and is removed only if it still is: another process may have published
            // into it since.
            true if is_expected_empty => match std::fs::remove_dir(path) {
                Err(why) if why.kind() == io::ErrorKind::DirectoryNotEmpty => return Ok(false),
                other => other,
            },
            true => remove_tree(path),
            false => fs::remove(path),
        };
        removed.map_err(|why| Error::disk("remove", path, &why).help(WRITABLE))?;
        // Also removes the directory of a dataset, of a copy's stamps or of a catalog if that was
        // its last file.
        if let Some(parent) = parent {
            let is_removed = std::fs::remove_dir(parent).is_ok();
            // The time of a dataset's directory is that of its last use, which this was not. If it
            // cannot be set, the dataset is kept for longer.
            if let Some(before) = before.filter(|_| !is_removed) {
                let _ = fs::set_directory_time(parent, before);
            }
        }
        Ok(true)
    }

    /// Forgets a project. This must come last: without its root nothing shows which datasets it
    /// used.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn remove_root(&self, root: &Root) -> Result<(), Error> {
        remove_if_there(&root.file)
    }
}
