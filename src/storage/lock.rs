//! Locks a torrent, so that one process at a time fetches it.
//!
//! The operating system's locks (`flock`, `LockFileEx`) end with the process that holds them,
//! however it ends. This module only tries to lock; the caller, which has the clock, decides how
//! long to wait.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use super::{Store, WRITABLE, fs};
use crate::error::{Error, is_read_only};
use crate::torrent::infohash::Infohash;

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    /// Declared after `file`, so it is dropped after the file is closed.
    emptied: Option<Emptied>,
}

/// A lock file that is removed with the lock, together with the directories above it that are then
/// empty.
///
/// On Unix it is removed while the lock is held; a process that has opened it meanwhile finds out
/// with [`Lock::is_at`]. On Windows an open file cannot be removed, so it is removed after it is
/// closed, unless another process has opened it.
#[derive(Debug)]
struct Emptied {
    file: PathBuf,
    /// How many directories above the file are ours.
    levels: usize,
}

impl Emptied {
    /// Removes the file and the directories. Failures leave only entries that do no harm.
    fn remove(&self) {
        let _ = fs::remove_entry(&self.file);
        for directory in self.file.ancestors().skip(1).take(self.levels) {
            if std::fs::remove_dir(directory).is_err() {
                return;
            }
        }
    }
}

impl Drop for Emptied {
    fn drop(&mut self) {
        if cfg!(windows) {
            self.remove();
        }
    }
}

/// The process that holds a lock, as far as the lock file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockHolder {
    /// Its process id, which is valid only on its host.
    pub process: Option<u32>,
    /// The name of the machine or container that it runs on.
    pub host: Option<String>,
}

/// Maximum length of a host name (RFC 1123).
const MAX_HOST_BYTES: usize = 253;

impl LockHolder {
    /// Returns the text that a lock file contains while this process holds it.
    fn ours() -> String {
        let host = crate::settings::host_name().unwrap_or_default();
        format!("{} {host}", std::process::id()).trim_end().to_owned()
    }

    /// Parses a lock file. Anyone who can write to the store may have written it.
    fn parse(text: &str) -> LockHolder {
        let mut words = text.split_whitespace();
        let process = words.next().and_then(|word| word.parse().ok());
        let is_name = |word: &&str| {
            word.len() <= MAX_HOST_BYTES
                && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        let host = process.and_then(|_| words.next().filter(is_name)).map(str::to_owned);
        LockHolder { process, host }
    }

    /// Reads who holds the lock.
    fn on(file: &mut File) -> LockHolder {
        let mut text = String::new();
        let most = MAX_HOST_BYTES as u64 + 20;
        let _ = file.rewind().and_then(|()| file.take(most).read_to_string(&mut text)); // not readable under Windows' locks
        LockHolder::parse(&text)
    }
}

/// Formats as "process 1234 on login1".
impl std::fmt::Display for LockHolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.process, &self.host) {
            (Some(process), Some(host)) => write!(f, "process {process} on {host}"),
            (Some(process), None) => write!(f, "process {process}"),
            (None, _) => f.write_str("another process"),
        }
    }
}

impl Lock {
    /// Updates the lock file's mtime, which shows waiting processes that this one is alive. Only
    /// the owner may set the time, but writing to the file updates it too.
    pub fn alive(&self, now: std::time::SystemTime) {
        if self.file.set_modified(now).is_err() {
            self.sign(); // if that fails too, they wait for as long as they would anyway
        }
    }

    /// Whether the file at this path is the lock file: it may have been removed after it was
    /// opened.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        is_at(&self.file, path)
    }

    /// Makes the lock remove its file when it is dropped, and up to `levels` directories above it
    /// that are then empty.
    pub(super) fn emptying(mut self, file: PathBuf, levels: usize) -> Lock {
        self.emptied = Some(Emptied { file, levels });
        self
    }

    /// Writes the holder into the file, for waiting processes only: the lock is valid without it.
    fn sign(&self) {
        let mut file = &self.file;
        let text = LockHolder::ours();
        let _ = file
            .rewind()
            .and_then(|()| file.write_all(text.as_bytes()))
            .and_then(|()| file.set_len(text.len() as u64));
    }
}

impl Store {
    pub(super) fn lock_path(&self, infohash: Infohash) -> PathBuf {
        self.locks_path().join(format!("{infohash}.lock"))
    }

    /// Tries to lock a torrent. Creates only the lock file: `gc` and `remove` lock too.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`], also where the file system has no locks.
    pub fn try_lock(&self, infohash: Infohash) -> Result<Result<Lock, LockHolder>, Error> {
        self.check_links()?;
        let path = self.lock_path(infohash);
        let failed = |why: &std::io::Error| self.failed("lock", &path, why);
        let mut file = fs::open_or_create(&path).map_err(|why| {
            let error = failed(&why);
            match error.is_read_only() {
                true => error
                    .why("the store is read-only, so nothing can be downloaded to it")
                    .help(WRITABLE),
                false => error,
            }
        })?;
        match fs::try_lock(&file) {
            Ok(true) => {
                let lock = Lock { file, emptied: None };
                lock.sign();
                Ok(Ok(lock))
            }
            Ok(false) => Ok(Err(LockHolder::on(&mut file))),
            Err(why) => Err(failed(&why)
                .help("the store's file system has no locks: set ACADEMICTORRENTS_STORE to a directory on a local disk")),
        }
    }

    /// Whether the torrent cannot be locked here because the store is read-only. Writes nothing, since
    /// look-ups ask: opens the lock file or, if there is none yet, another file that was created with
    /// the store. If that tells nothing either, only [`Store::try_lock`] finds out.
    pub fn is_read_only(&self, infohash: Infohash) -> bool {
        match fs::open_to_write(&self.lock_path(infohash)) {
            Err(why) if why.kind() == ErrorKind::NotFound => {}
            opened => return opened.is_err_and(|why| is_read_only(&why)),
        }
        // Members of a group may create files in its store, but not write to all of those of others.
        let is_shared = || self.root.parent().is_some_and(fs::is_shared);
        fs::open_to_write(&self.tag_path()).is_err_and(|why| match why.kind() {
            ErrorKind::PermissionDenied => !is_shared(),
            _ => is_read_only(&why),
        })
    }

    /// Returns who holds the lock of this torrent; `None` if nobody does. Works on a read-only
    /// store, since nothing is written.
    pub fn locked(&self, infohash: Infohash) -> Option<LockHolder> {
        let mut file = fs::open(&self.lock_path(infohash)).ok()?;
        matches!(fs::try_lock_shared(&file), Ok(false)).then(|| LockHolder::on(&mut file))
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let found = file.metadata().and_then(|file| Ok((file, std::fs::symlink_metadata(path)?)));
    found.is_ok_and(|(file, there)| (file.dev(), file.ino()) == (there.dev(), there.ino()))
}

/// A file opened by [`fs::open_or_create`] cannot be removed on this platform.
#[cfg(not(unix))]
fn is_at(_file: &File, _path: &Path) -> bool {
    true
}

impl Drop for Lock {
    fn drop(&mut self) {
        if cfg!(unix) {
            self.emptied.iter().for_each(Emptied::remove);
        }
        let _ = self.file.set_len(0);
        let _ = fs::unlock(&self.file); // closing the file unlocks it too
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_names_its_holder_and_whatever_else_is_written_there_names_nobody() {
        let of =
            |process, host: Option<&str>| LockHolder { process, host: host.map(str::to_owned) };
        for (text, expected, shown) in [
            (
                "1234 login-1.example.org",
                of(Some(1234), Some("login-1.example.org")),
                "process 1234 on login-1.example.org",
            ),
            ("1 3f2a9c\n", of(Some(1), Some("3f2a9c")), "process 1 on 3f2a9c"),
            ("1234", of(Some(1234), None), "process 1234"),
            ("", of(None, None), "another process"),
            ("login1 1234", of(None, None), "another process"),
            ("99999999999 a", of(None, None), "another process"),
            ("7 \u{1b}[2Jevil", of(Some(7), None), "process 7"),
        ] {
            let read = LockHolder::parse(text);
            assert_eq!((read.to_string().as_str(), &read), (shown, &expected), "{text:?}");
        }
        assert_eq!(LockHolder::parse(&format!("7 {}", "a".repeat(254))), of(Some(7), None));
        assert_eq!(LockHolder::parse(&LockHolder::ours()).process, Some(std::process::id()));
        #[cfg(target_os = "linux")]
        assert!(LockHolder::parse(&LockHolder::ours()).host.is_some());
    }
}
