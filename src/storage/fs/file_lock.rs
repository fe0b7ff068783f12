//! Locks of files: `flock` on Unix, `LockFileEx` on Windows.
//!
//! std has the same calls from Rust 1.89 on, so a process that uses those is kept out too. The traits' functions are called by their
//! full names: std's methods have some of these names, and a method of the type itself hides a trait's.

use std::fs::File;
use std::io;

/// Locks a file for this process alone; false where another process has a lock.
///
/// # Errors
/// Where the file system has no locks.
pub fn try_lock(file: &File) -> io::Result<bool> {
    #[cfg(unix)]
    return locked(fs2::FileExt::try_lock_exclusive(file));
    #[cfg(windows)]
    return locked(fs4::FileExt::try_lock(file).map_err(io::Error::from));
}

/// Locks a file together with others that do the same; false where a process has it for itself.
///
/// # Errors
/// As above.
pub fn try_lock_shared(file: &File) -> io::Result<bool> {
    #[cfg(unix)]
    return locked(fs2::FileExt::try_lock_shared(file));
    #[cfg(windows)]
    return locked(fs4::FileExt::try_lock_shared(file).map_err(io::Error::from));
}

/// Ends a lock.
///
/// # Errors
/// Of the system.
pub fn unlock(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    return fs2::FileExt::unlock(file);
    #[cfg(windows)]
    return fs4::FileExt::unlock(file);
}

fn locked(tried: io::Result<()>) -> io::Result<bool> {
    match tried {
        Ok(()) => Ok(true),
        Err(why) if why.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(why) => Err(why),
    }
}
