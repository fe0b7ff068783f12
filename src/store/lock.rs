//! One process at a time fetches a torrent.
//!
//! The lock is the operating system's (`flock`, `LockFileEx`), so that it ends with the process that held it,
//! however that ended. This file only tries; how long to wait is for the caller, who has the clock.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};

use super::{Store, WRITABLE};
use crate::error::Error;
use crate::infohash::Infohash;

/// Held for as long as it lives.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// Another process has the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Who, where it could be read.
    pub process: Option<u32>,
}

impl Lock {
    /// Tells those who wait that this process lives: the lock's mtime moves.
    pub fn alive(&self, now: std::time::SystemTime) {
        let _ = self.file.set_modified(now); // a file system that cannot: they wait for as long as they would
    }
}

impl Store {
    pub(super) fn lock_path(&self, infohash: Infohash) -> std::path::PathBuf {
        self.locks_path().join(format!("{infohash}.lock"))
    }

    /// Tries to lock a torrent.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`], also where the file system has no locks.
    pub fn try_lock(&self, infohash: Infohash) -> Result<Result<Lock, Waiting>, Error> {
        if self.directory.is_none() {
            return self.try_lock_as_it_is(infohash);
        }
        // Who is done with a directory of the user's removes the lock, and where it lay.
        self.create()?;
        let tried = self.try_lock_as_it_is(infohash)?;
        self.create()?;
        match tried {
            Ok(lock) if !is_at(&lock.file, &self.lock_path(infohash)) => {
                Ok(Err(Waiting { process: None }))
            }
            other => Ok(other),
        }
    }

    fn try_lock_as_it_is(&self, infohash: Infohash) -> Result<Result<Lock, Waiting>, Error> {
        let path = self.lock_path(infohash);
        let failed = |why: &std::io::Error| Error::disk("lock", &path, why);
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|why| {
                let error = failed(&why).help(WRITABLE);
                match why.kind() {
                    ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                        error.why("nothing can be fetched into a store that is read-only")
                    }
                    _ => error,
                }
            })?;
        match file.try_lock() {
            Ok(()) => {
                // Only told to those who wait: a lock without it is a lock.
                let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
                Ok(Ok(Lock { file }))
            }
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = file.rewind().and_then(|()| file.take(20).read_to_string(&mut text)); // not readable under Windows' locks
                Ok(Err(Waiting { process: text.trim().parse().ok() }))
            }
            Err(TryLockError::Error(why)) => Err(failed(&why)
                .help("the store's file system has no locks: set ACADEMICTORRENTS_STORE to a directory on a local disk")),
        }
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &std::path::Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let found = file.metadata().and_then(|file| Ok((file, std::fs::metadata(path)?)));
    found.is_ok_and(|(file, there)| (file.dev(), file.ino()) == (there.dev(), there.ino()))
}

/// Here a file that is open stays.
#[cfg(not(unix))]
fn is_at(_file: &File, _path: &std::path::Path) -> bool {
    true
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.file.set_len(0);
        let _ = self.file.unlock(); // closing the file does it as well
    }
}
