//! Removing from a store what nobody needs: the hands of `gc`. What is to go is decided by others.
//!
//! A dataset goes in three steps, under its torrent's lock: the stamp; then its directory, by a rename to `.tmp-…`
//! beside it; then what that holds. A process that is killed between them leaves data without a stamp, which is hashed
//! before it is used, or a leftover, which the next one removes: at no time is there a stamp of data that is not whole.
//!
//! A lock's file stays: another process may be waiting for it, and would then hold a lock that nobody else can see.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::fs::{beside, remove_tree};
use super::inventory::{Held, HeldKind, count};
use super::lock::Waiting;
use super::roots::Root;
use super::{Stamp, Store, infohash_in, remove_if_there};
use crate::error::Error;
use crate::infohash::Infohash;

/// A file that is being written has a `.tmp-…` name for a moment. Older ones were left by a process that was killed.
const LEFT: Duration = Duration::from_secs(60 * 60);

/// Something of no use to anyone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Where it lies.
    pub path: PathBuf,
    /// What lies there.
    pub bytes: u64,
    /// Where it lies in a dataset's directory: whoever holds the lock may be writing it.
    infohash: Option<Infohash>,
}

impl Store {
    /// Who holds the lock of this torrent; `None` where nobody does. Nothing is written.
    pub fn locked(&self, infohash: Infohash) -> Option<Waiting> {
        let file = File::open(self.lock_path(infohash)).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => {
                let text = std::fs::read_to_string(self.lock_path(infohash)).unwrap_or_default();
                Some(Waiting { process: text.trim().parse().ok() })
            }
            _ => None,
        }
    }

    /// Removes a dataset, or a `.torrent` that is left of one; gives who holds its lock where someone does, and
    /// then nothing is removed.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn remove(&self, held: &Held) -> Result<Result<(), Waiting>, Error> {
        let _lock = match self.try_lock(held.infohash)? {
            Ok(lock) => lock,
            Err(waiting) => return Ok(Err(waiting)),
        };
        // Someone fetched it since it was looked at.
        if held.written(self) != held.modified {
            return Ok(Err(Waiting { process: None }));
        }
        let path = match held.kind {
            HeldKind::Complete { .. } | HeldKind::Unstamped => {
                remove_if_there(&self.stamp_path(&held.id))?;
                self.data_path(&held.id)
            }
            HeldKind::Partial => self.partial_path(&held.id),
            HeldKind::Torrent => {
                return remove_if_there(&self.torrent_path(held.infohash)).map(Ok);
            }
        };
        set_aside(&path).map_err(|why| Error::disk("remove", &path, &why))?;
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
            .any(|directory| self.names_in(directory).iter().any(is_its));
        let path = self.torrent_path(infohash);
        let Ok(metadata) = std::fs::metadata(&path) else { return Ok(0) };
        if is_held || self.try_lock(infohash)?.is_err() {
            return Ok(0);
        }
        remove_if_there(&path).map(|()| metadata.len())
    }

    /// What killed processes left, and stamps of copies elsewhere that are not there any more.
    pub fn leftovers(&self, now: SystemTime) -> Vec<Leftover> {
        let mut found = Vec::new();
        for directory in ["", "torrents", "roots", "data", "partial", "elsewhere"] {
            // A dataset that was set aside is nobody's, however new.
            let is_anyones = directory != "data" && directory != "partial";
            let least = if is_anyones { LEFT } else { Duration::ZERO };
            temporary_in(&self.root.join(directory), None, now, least, &mut found);
        }
        for directory in ["data", "partial"] {
            for id in self.names_in(directory) {
                let path = self.root.join(directory).join(&id);
                temporary_in(&path, infohash_in(&id), now, Duration::ZERO, &mut found);
            }
        }
        for id in self.names_in("elsewhere") {
            let directory = self.root.join("elsewhere").join(&id);
            temporary_in(&directory, None, now, LEFT, &mut found);
            for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
                if is_of_nothing(&entry.path()) {
                    found.push(leftover(entry.path(), None));
                }
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        found
    }

    /// Removes it; false where whoever holds the dataset's lock may be writing it.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn remove_leftover(&self, leftover: &Leftover) -> Result<bool, Error> {
        let _lock = match leftover.infohash.map(|infohash| self.try_lock(infohash)).transpose()? {
            Some(Err(_)) => return Ok(false),
            lock => lock,
        };
        let failed = |why: io::Error| Error::disk("remove", &leftover.path, &why);
        if std::fs::symlink_metadata(&leftover.path).is_ok_and(|it| it.is_dir()) {
            remove_tree(&leftover.path).map_err(failed)?;
        } else {
            remove_if_there(&leftover.path)?;
        }
        // The directory of the last stamp of its kind: it goes where it is empty.
        if let Some(parent) = leftover.path.parent()
            && parent.parent().is_some_and(|it| it == self.root.join("elsewhere"))
        {
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

/// Moves a directory out of its place in one step, then removes it.
fn set_aside(path: &Path) -> io::Result<()> {
    let aside = beside(path);
    match std::fs::rename(path, &aside) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.and_then(|()| remove_tree(&aside)),
    }
}

fn leftover(path: PathBuf, infohash: Option<Infohash>) -> Leftover {
    let mut inodes = Vec::new();
    count(&path, &mut inodes);
    let bytes = inodes.iter().map(super::inventory::Inode::bytes).sum();
    Leftover { path, bytes, infohash }
}

fn temporary_in(
    directory: &Path,
    infohash: Option<Infohash>,
    now: SystemTime,
    least: Duration,
    found: &mut Vec<Leftover>,
) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if !entry.file_name().as_encoded_bytes().starts_with(b".tmp-") {
            continue;
        }
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|modified| now.duration_since(modified).ok());
        if least.is_zero() || age.is_some_and(|age| age >= least) {
            found.push(leftover(entry.path(), infohash));
        }
    }
}

/// Whether a stamp is of a copy that is gone. One that cannot be looked at (a disk that is not mounted tells
/// nothing else than that it is not there) costs one hashing more.
fn is_of_nothing(stamp: &Path) -> bool {
    let Some(place) = Stamp::read(stamp).and_then(|stamp| stamp.place) else { return false };
    std::fs::metadata(place).is_err_and(|why| why.kind() == io::ErrorKind::NotFound)
}
