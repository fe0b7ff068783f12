//! The destination of verified files.

use std::path::PathBuf;

use super::directory::Directory;
use super::lock::{Lock, LockHolder};
use super::{Stamp, Store};
use crate::error::Error;
use crate::plan::Layout;
use crate::torrent::infohash::Infohash;

/// The destination of verified files.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// The user's store, or a build's own below `OUT_DIR`. A stamp marks a dataset as complete.
    Store(&'a Store),
    /// A user's directory, where a dataset is hashed on every run.
    Directory(&'a Directory),
}

impl<'a> Target<'a> {
    /// Returns the store, if the target is one.
    pub fn store(self) -> Option<&'a Store> {
        match self {
            Target::Store(store) => Some(store),
            Target::Directory(_) => None,
        }
    }

    /// Returns the store for locks, torrents and unfinished downloads; for a store, the store
    /// itself.
    pub fn workplace(self) -> &'a Store {
        match self {
            Target::Store(store) => store,
            Target::Directory(directory) => &directory.workplace,
        }
    }

    /// Creates the directories.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn create(self) -> Result<(), Error> {
        match self {
            Target::Store(store) => store.create(),
            Target::Directory(directory) => directory.create(),
        }
    }

    /// Tries to lock a torrent.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`], also where the file system has no locks.
    pub fn try_lock(self, infohash: Infohash) -> Result<Result<Lock, LockHolder>, Error> {
        match self {
            Target::Store(store) => store.try_lock(infohash),
            Target::Directory(directory) => directory.try_lock(infohash),
        }
    }

    /// Returns the directory of a complete dataset's files, in the torrent's own layout.
    pub fn files_path(self, id: &str) -> PathBuf {
        match self {
            Target::Store(store) => store.files_path(id),
            Target::Directory(directory) => directory.path.clone(),
        }
    }

    /// See [`Store::present`]. A directory has no stamps: a stamp found there came with other data.
    pub fn present(self, id: &str) -> Option<Stamp> {
        self.store()?.present(id)
    }

    /// See [`Store::last_stamp`].
    pub(super) fn last_stamp(self, id: &str) -> Option<Stamp> {
        self.store()?.last_stamp(id)
    }

    /// Cleans up after a failure: see [`Directory::left`]. The caller holds the lock.
    pub fn left(self, id: &str, infohash: Infohash, layout: &Layout, error: Error) -> Error {
        match self {
            Target::Store(_) => error,
            Target::Directory(directory) => directory.left(id, infohash, layout, error),
        }
    }
}
